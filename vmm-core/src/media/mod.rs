//! What a file holds that somebody wants to make a machine from.
//!
//! What lives here: reading the descriptors of an ISO image, its boot catalogue, and [`osinfo`],
//! the database that tells which system is on it. What does not: the drive that a guest reads it
//! through, which is in [`crate::block`] and refuses the same files for the same reasons. Callers
//! are the front ends. Everything here reads files and takes its time; call it on a worker.

mod el_torito;
pub mod osinfo;
mod sectors;
mod volume;

use std::path::{Path, PathBuf};

pub use el_torito::BootKinds;
pub use volume::Volume;

use crate::block::info::{self, ImageInfo};
use crate::block::{ImageAction, ImageError, optical};
use crate::units::Bytes;

/// An ISO image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size: Bytes,
    /// What its descriptors say.
    pub volume: Volume,
    /// Which firmware can start from it.
    pub boot: BootKinds,
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An ISO image.
    Medium(Medium),
    /// A disk image.
    Disk(ImageInfo),
}

/// Looks at the ISO image at `path`; also while machines use it.
///
/// # Errors
/// When the file cannot be read, is none, or is truncated.
pub fn medium(path: &Path) -> Result<Medium, ImageError> {
    let file = optical::peek(path)?;
    let failed = |error| ImageError::io(path, ImageAction::Read)(error);
    let (volume, catalogue) = volume::read(&file).map_err(failed)?;
    let boot = match catalogue {
        Some(sector) => el_torito::read(&file, sector).map_err(failed)?,
        None => BootKinds::default(),
    };
    Ok(Medium { path: path.to_path_buf(), size: Bytes(file.len()), volume, boot })
}

/// Looks at the file at `path`, whichever of the two it is. One called `.iso` must be a medium.
///
/// # Errors
/// When it is neither, or cannot be read.
pub fn inspect(path: &Path) -> Result<Found, ImageError> {
    let called_medium = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("iso"));
    match medium(path) {
        Ok(medium) => Ok(Found::Medium(medium)),
        // Nearly anything can be a raw disk.
        Err(ImageError::NotAMedium { .. }) if !called_medium => {
            info::info(path, None).map(Found::Disk)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
