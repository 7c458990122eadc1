//! Looking at images without using them.

use std::path::{Path, PathBuf};

use super::chain::resolve_backing;
use super::error::{ImageAction, ImageError};
use super::host_file::{Access, HostFile};
use super::image::MAX_BACKING_FILES;
use super::qcow2::{Header, Qcow2Error};
use super::{Format, format};
use crate::units::Bytes;

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The file.
    pub path: PathBuf,
    /// How it is laid out.
    pub format: Format,
    /// Size of the disk that the guest sees.
    pub virtual_size: Bytes,
    /// Space the file takes up on the host.
    pub actual_size: Bytes,
    /// Size of a cluster; `None` for raw images.
    pub cluster_size: Option<Bytes>,
    /// Number of internal snapshots.
    pub snapshots: u32,
    /// What this image calls the one beneath; relative names are looked for beside it.
    pub backing_name: Option<PathBuf>,
    /// The images beneath, topmost first.
    pub backing: Vec<ImageInfo>,
}

/// Looks at the image at `path` and those beneath it; also while a machine uses them.
///
/// `format` of `None` looks at the contents, which is only safe for images that no guest has
/// written.
///
/// # Errors
/// When the file, or one beneath it, is not an image or cannot be used.
pub fn info(path: &Path, format: Option<Format>) -> Result<ImageInfo, ImageError> {
    let mut files = Vec::new();
    let mut images = Vec::new();
    let mut next = Some((path.to_path_buf(), format));
    while let Some((path, format)) = next.take() {
        let beneath = |error| match images.last() {
            Some(above) => ImageError::Backing {
                path: Path::to_path_buf(above_path(above)),
                source: Box::new(error),
            },
            None => error,
        };
        let top = || images.first().map_or(path.clone(), |image: &ImageInfo| image.path.clone());
        let file = HostFile::open(&path, Access::Peek).map_err(beneath)?;
        let identity = file.identity().map_err(ImageError::io(&path, ImageAction::Read))?;
        if files.contains(&identity) {
            return Err(ImageError::BackingLoop(top()));
        }
        if files.len() > MAX_BACKING_FILES {
            return Err(ImageError::ChainTooDeep { path: top(), max: MAX_BACKING_FILES });
        }
        files.push(identity);
        let (image, backing) = look(file, format).map_err(beneath)?;
        images.push(image);
        next = backing;
    }
    let mut images = images.into_iter();
    // The loop above has run at least once.
    let Some(mut top) = images.next() else { return Err(ImageError::NotFound(path.into())) };
    top.backing = images.collect();
    Ok(top)
}

fn above_path(image: &ImageInfo) -> &Path {
    &image.path
}

/// An image still to be looked at, and its format if somebody said it.
type Next = (PathBuf, Option<Format>);

/// One image, and what is beneath it.
fn look(file: HostFile, format: Option<Format>) -> Result<(ImageInfo, Option<Next>), ImageError> {
    let path = file.path().to_path_buf();
    let format = match format {
        Some(format) => format,
        None => format::probe(&file)?,
    };
    let actual = file.allocated().map_err(ImageError::io(&path, ImageAction::Read))?;
    let mut info = ImageInfo {
        path: path.clone(),
        format,
        virtual_size: Bytes(file.len()),
        actual_size: Bytes(actual),
        cluster_size: None,
        snapshots: 0,
        backing_name: None,
        backing: Vec::new(),
    };
    match format {
        Format::Raw => {
            format::check_raw_length(&file)?;
            Ok((info, None))
        }
        Format::Qcow2 => {
            if !format::is_qcow2(&file)? {
                return Err(ImageError::NotQcow2(path));
            }
            let failed = |source: Qcow2Error| ImageError::Qcow2 { path: path.clone(), source };
            let header = Header::read(&file).map_err(failed)?;
            info.virtual_size = Bytes(header.size);
            info.cluster_size = Some(Bytes(header.cluster_size()));
            info.snapshots = header.snapshots;
            let Some(name) = header.backing else { return Ok((info, None)) };
            let beneath =
                |error| ImageError::Backing { path: path.clone(), source: Box::new(error) };
            let format = match header.backing_format.as_deref() {
                Some("qcow2") => Some(Format::Qcow2),
                Some("raw" | "file") => Some(Format::Raw),
                Some(other) => {
                    let other = other.chars().take(40).collect();
                    return Err(beneath(ImageError::BackingFormat(other)));
                }
                None => None,
            };
            let backing = resolve_backing(&path, &name).map_err(beneath)?;
            info.backing_name = Some(name.strip_prefix("file:").unwrap_or(&name).into());
            Ok((info, Some((backing, format))))
        }
    }
}
