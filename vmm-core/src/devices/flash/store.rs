//! Keeping the variables in a file: read once, and replaced as a whole after changes.
//!
//! The file is never written in place. Killed at any moment, it is the old one or the new one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{BLOCK_SIZE, MAX_SIZE};
use crate::text;

/// Hears that the variables could not be saved; called once until they could again. They are
/// kept in memory, and saving is tried again every few seconds and when the machine stops.
pub type OnFailure = Box<dyn Fn(FlashError) + Send + Sync>;

/// Why variables cannot be read or saved.
#[derive(Debug, Error)]
pub enum FlashError {
    /// The file cannot be read.
    #[error("{}", text!("the UEFI variables {path} cannot be read", path = .path.display()))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file cannot be replaced.
    #[error("{}", text!("the UEFI variables {path} cannot be saved", path = .path.display()))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not one of UEFI variables for this firmware.
    #[error("{}", text!(
        "the UEFI variables {path} do not belong to this firmware: they have {actual} bytes, not \
         {expected}",
        path = .path.display(), actual, expected
    ))]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        actual: u64,
        /// The size the firmware has.
        expected: usize,
    },
    /// The template itself is not a flash image.
    #[error("{}", text!(
        "a flash cannot have {n} bytes: whole blocks of 4 KiB up to 16 MiB are needed",
        n = .0
    ))]
    Geometry(usize),
    /// There is no memory, or no thread, to run the flash.
    #[error("{}", text!("the UEFI variables' flash cannot be set up"))]
    Resources(#[source] io::Error),
}

/// Where a machine's variables are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarsFile {
    /// `None` for a machine that forgets them at its end.
    path: Option<PathBuf>,
}

impl VarsFile {
    /// The file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()) }
    }

    /// No file: the variables end with the machine.
    pub fn forgotten() -> Self {
        Self { path: None }
    }

    /// Reads the file, or makes it from `template` when there is none.
    pub(super) fn load(&self, template: &[u8]) -> Result<Vec<u8>, FlashError> {
        let expected = template.len();
        if expected == 0 || expected > MAX_SIZE || !expected.is_multiple_of(BLOCK_SIZE) {
            return Err(FlashError::Geometry(expected));
        }
        let Some(path) = &self.path else { return Ok(template.to_vec()) };
        let unreadable = |source| FlashError::Read { path: path.clone(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.save(template)?;
                return Ok(template.to_vec());
            }
            Err(error) => return Err(unreadable(error)),
        };
        let actual = file.metadata().map_err(unreadable)?.len();
        if actual != expected as u64 {
            return Err(FlashError::Size { path: path.clone(), actual, expected });
        }
        let mut contents = Vec::with_capacity(expected);
        file.take(actual).read_to_end(&mut contents).map_err(unreadable)?;
        if contents.len() != expected {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(contents)
    }

    /// Replaces the file; on return the new contents are on disk.
    pub(super) fn save(&self, contents: &[u8]) -> Result<(), FlashError> {
        let Some(path) = &self.path else { return Ok(()) };
        replace(path, contents).map_err(|source| FlashError::Write { path: path.clone(), source })
    }
}

fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    let temporary = directory.join(temporary);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        // What is left of it would only take space, which may be what was lacking.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}
