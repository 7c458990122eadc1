//! Opening a qcow2 image with all that lies beneath it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use imago::FormatAccess;
use imago::qcow2::Qcow2;
use imago::raw::Raw;

use super::error::{ImageAction, ImageError};
use super::host_file::{Access, HostFile};
use super::image::{DiskOptions, MAX_BACKING_FILES, check_size};
use super::qcow2::{Header, MetadataOrder, Qcow2Error, Volume};
use super::storage::{ImageStorage, Settling};
use super::{Format, format};

/// What there is to an open qcow2 image. Its metadata has an order if it is written.
type Opened = (FormatAccess<ImageStorage>, Option<Arc<MetadataOrder>>, Header);

/// A qcow2 image and its backing files while they are being opened.
pub(super) struct Chain<'a> {
    top: &'a Path,
    options: &'a DiskOptions,
    /// Device and inode of each file so far.
    files: Vec<(u64, u64)>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(top: &'a Path, options: &'a DiskOptions) -> Self {
        Self { top, options, files: Vec::new() }
    }

    /// Opens the qcow2 image in `file`, the topmost one.
    pub(super) fn open(&mut self, file: &Arc<HostFile>) -> Result<Volume, ImageError> {
        let settling = Arc::new(Settling::default());
        let (access, order, header) = self.open_qcow2(file, Some(&settling))?;
        Ok(Volume::new(Arc::clone(file), access, settling, order, &header))
    }

    /// Opens the qcow2 image in `file` and what is beneath it. There is a `settling` for the
    /// topmost.
    fn open_qcow2(
        &mut self,
        file: &Arc<HostFile>,
        settling: Option<&Arc<Settling>>,
    ) -> Result<Opened, ImageError> {
        let path = file.path();
        let failed = |source: Qcow2Error| ImageError::Qcow2 { path: path.to_path_buf(), source };
        if file.len() == 0 {
            return Err(ImageError::Empty(path.to_path_buf()));
        }
        if !format::is_qcow2(file)? {
            return Err(ImageError::NotQcow2(path.to_path_buf()));
        }
        let header = Header::read(file).map_err(failed)?;
        check_size(path, header.size)?;
        let tables = header.check_tables(file).map_err(failed)?;

        self.files.push(file.identity().map_err(ImageError::io(path, ImageAction::Read))?);
        let backing = match &header.backing {
            Some(name) => Some(
                self.open_backing(path, name, header.backing_format.as_deref())
                    .map_err(|error| self.beneath(path, error))?,
            ),
            None => None,
        };

        let writable = settling.is_some() && file.writable();
        let order = writable.then(|| {
            file.set_limit(header.length_limit(file.len()));
            Arc::new(MetadataOrder::new(header.clone(), tables))
        });
        let storage = match (&order, settling) {
            (Some(order), Some(settling)) => {
                ImageStorage::ordered(Arc::clone(file), Arc::clone(order), Arc::clone(settling))
            }
            _ => ImageStorage::plain(Arc::clone(file)),
        };
        let mut driver = Qcow2::<ImageStorage>::open_image(storage, writable)
            .map_err(|error| failed(Qcow2Error::Driver(error)))?;
        driver.set_data_file(None);
        driver.set_backing(backing);
        if let Some(order) = &order {
            order.start();
        }
        Ok((FormatAccess::new(driver), order, header))
    }

    /// Says of which image a backing file cannot be used; errors of the chain as a whole stay.
    fn beneath(&self, path: &Path, error: ImageError) -> ImageError {
        match error {
            ImageError::BackingLoop(_) | ImageError::ChainTooDeep { .. } => error,
            error => ImageError::Backing { path: path.to_path_buf(), source: Box::new(error) },
        }
    }

    fn open_backing(
        &mut self,
        overlay: &Path,
        name: &str,
        declared: Option<&str>,
    ) -> Result<FormatAccess<ImageStorage>, ImageError> {
        if self.files.len() > MAX_BACKING_FILES {
            let path = self.top.to_path_buf();
            return Err(ImageError::ChainTooDeep { path, max: MAX_BACKING_FILES });
        }
        let path = resolve_backing(overlay, name)?;
        self.check_rule(&path)?;
        // Before locking, which would only find the file in use.
        let identity = HostFile::open(&path, Access::Peek)?
            .identity()
            .map_err(ImageError::io(&path, ImageAction::Read))?;
        if self.files.contains(&identity) {
            return Err(ImageError::BackingLoop(self.top.to_path_buf()));
        }
        let file = Arc::new(HostFile::open(&path, Access::Read)?);
        let format = match declared {
            Some("qcow2") => Format::Qcow2,
            Some("raw" | "file") => Format::Raw,
            Some(other) => {
                return Err(ImageError::BackingFormat(other.chars().take(40).collect()));
            }
            // Images made before 2021 often leave the format out. If the backing file was a
            // guest's raw disk, that guest may have made it look like qcow2; then it must not
            // reach any further file.
            None if format::is_qcow2(&file)? => {
                let source = |source| ImageError::Qcow2 { path: path.clone(), source };
                if Header::read(&file).map_err(source)?.backing.is_some() {
                    return Err(ImageError::BackingUndeclared(path));
                }
                Format::Qcow2
            }
            None => Format::Raw,
        };
        match format {
            Format::Qcow2 => Ok(self.open_qcow2(&file, None)?.0),
            Format::Raw => {
                // An overlay from somewhere else must not show the guest a secret of the host:
                // those are mostly text.
                format::check_raw_contents(&file)?;
                let storage = ImageStorage::plain(Arc::clone(&file));
                let driver = Raw::open_image(storage, false)
                    .map_err(ImageError::io(&path, ImageAction::Open))?;
                Ok(FormatAccess::new(driver))
            }
        }
    }

    fn check_rule(&self, path: &Path) -> Result<(), ImageError> {
        let Some(directories) = &self.options.backing_directories else { return Ok(()) };
        let opening = |error| ImageError::opening(path, false, error);
        let real = path.canonicalize().map_err(opening)?;
        let allowed = directories
            .iter()
            .filter_map(|directory| directory.canonicalize().ok())
            .any(|directory| real.starts_with(directory));
        if allowed { Ok(()) } else { Err(ImageError::BackingForbidden(path.to_path_buf())) }
    }
}

/// The path that a header in `overlay` means by `name`.
pub(super) fn resolve_backing(overlay: &Path, name: &str) -> Result<PathBuf, ImageError> {
    let name = name.strip_prefix("file:").unwrap_or(name);
    // As QEMU tells protocols from paths: a colon before the first slash.
    let protocol = name.find(':').is_some_and(|colon| !name[..colon].contains('/'));
    if protocol || name.is_empty() {
        return Err(ImageError::BackingNotLocal(name.chars().take(200).collect()));
    }
    Ok(overlay.parent().unwrap_or(Path::new("")).join(name))
}
