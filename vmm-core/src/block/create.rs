//! Making and growing disk images.
//!
//! A new image is built in a file beside its place, called like it but ending in `.creating-` and
//! the process's number, and gets its name when it is complete and on disk. Only a process that is
//! killed leaves such a file behind; it can be deleted.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, FormatDriverBuilder};
use rustix::fs::RenameFlags;

use super::error::{ImageAction, ImageError};
use super::host_file::HostFile;
use super::image::{DiskOptions, Image, check_new_size};
use super::storage::ImageStorage;
use super::{Format, info};
use crate::units::Bytes;

/// How much is preallocated between two calls of [`Progress`].
const STEP: u64 = 256 << 20;
/// What is written at a time where space cannot be reserved.
const ZERO_CHUNK: u64 = 1 << 20;

/// Whether an image takes up its space from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preallocation {
    /// The image grows as the guest writes.
    #[default]
    None,
    /// All of the disk's space is reserved now.
    Full,
}

/// What lies beneath a new disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The image, relative to the directory of the new one. Must not change any more.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
}

/// Called with the number of bytes done and of bytes in all; `false` cancels.
pub type Progress<'a> = &'a mut dyn FnMut(Bytes, Bytes) -> bool;

/// Makes a qcow2 image for a disk of `size`, a multiple of 512 bytes.
///
/// # Errors
/// When `path` exists, the size is impossible, the backing file is unusable, there is no space,
/// or `progress` cancels. Nothing is left behind then.
pub fn create_qcow2(
    path: &Path,
    size: Bytes,
    preallocation: Preallocation,
    backing: Option<&Backing>,
    progress: Progress<'_>,
) -> Result<(), ImageError> {
    check_new_size(size)?;
    if let Some(backing) = backing {
        if preallocation != Preallocation::None {
            return Err(ImageError::PreallocatedOverlay);
        }
        check_backing(path, backing)?;
    }
    let new = NewFile::create(path)?;
    if preallocation == Preallocation::Full {
        // Tables take less than a thousandth.
        check_space(path, size.0.saturating_add(size.0 / 1000))?;
    }
    let io = |error| new.failed(error);
    let storage = ImageStorage::plain(Arc::clone(&new.file));
    let mut builder = Qcow2::<ImageStorage>::create_builder(storage).size(size.0);
    if let Some(backing) = backing {
        let name = backing.path.to_str().ok_or_else(|| {
            ImageError::BackingNotLocal(backing.path.to_string_lossy().into_owned())
        })?;
        builder = builder.backing(name.to_owned(), backing.format.to_string());
    }
    let driver = builder
        .create_open(DenyImplicitOpenGate::default(), |image| {
            Ok(Qcow2::<ImageStorage>::builder(image).backing(None).write(true))
        })
        .map_err(io)?;
    let access = FormatAccess::new(driver);
    if preallocation == Preallocation::Full {
        let mut done = 0;
        while done < size.0 {
            let wanted = STEP.min(size.0 - done);
            let (_, host, len) = access.ensure_data_mapping(done, wanted, true).map_err(io)?;
            reserve(&new.file, host, len).map_err(io)?;
            done += len;
            report(progress, done, size)?;
        }
    }
    access.flush().map_err(io)?;
    drop(access);
    new.finish()
}

/// Makes a raw image for a disk of `size`, a multiple of 512 bytes.
///
/// # Errors
/// As for [`create_qcow2`].
pub fn create_raw(
    path: &Path,
    size: Bytes,
    preallocation: Preallocation,
    progress: Progress<'_>,
) -> Result<(), ImageError> {
    check_new_size(size)?;
    let new = NewFile::create(path)?;
    let io = |error| new.failed(error);
    if preallocation == Preallocation::Full {
        check_space(path, size.0)?;
        let mut done = 0;
        while done < size.0 {
            let len = STEP.min(size.0 - done);
            reserve(&new.file, done, len).map_err(io)?;
            done += len;
            report(progress, done, size)?;
        }
    } else {
        new.file.set_len(size.0).map_err(io)?;
    }
    new.finish()
}

/// Makes the disk in the image at `path` larger; what is added reads as zeroes.
///
/// # Errors
/// When the image cannot be used or is in use, or the size is impossible or smaller than now.
pub fn grow(path: &Path, format: Option<Format>, size: Bytes) -> Result<(), ImageError> {
    check_new_size(size)?;
    let options = DiskOptions { format, ..DiskOptions::default() };
    Image::open(path, &options)?.grow(size)
}

fn check_backing(path: &Path, backing: &Backing) -> Result<(), ImageError> {
    let place = directory(path).join(&backing.path);
    info::info(&place, Some(backing.format)).map(drop).map_err(|source| ImageError::Backing {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

pub(super) fn check_space(path: &Path, needed: u64) -> Result<(), ImageError> {
    let free =
        free_space(directory(path)).map_err(|error| ImageError::opening(path, true, error))?;
    if needed > free.0 {
        let path = path.to_path_buf();
        // To a whole MiB: nobody wants to read the last digit.
        let needed = Bytes(needed.next_multiple_of(Bytes::mib(1).0));
        return Err(ImageError::NoSpace { path, needed, free });
    }
    Ok(())
}

/// What is left for this user on the file system of `folder`.
///
/// # Errors
/// When the system does not say, as when there is no such folder.
pub fn free_space(folder: &Path) -> io::Result<Bytes> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(Bytes(found.f_bavail.saturating_mul(found.f_frsize)))
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Takes up space for a range beyond what has been written.
fn reserve(file: &HostFile, offset: u64, len: u64) -> io::Result<()> {
    match file.allocate(offset, len) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let zeroes = vec![0; ZERO_CHUNK.min(len) as usize];
            let mut done = 0;
            while done < len {
                let part = ZERO_CHUNK.min(len - done);
                file.write_at(&zeroes[..part as usize], offset + done)?;
                done += part;
            }
            Ok(())
        }
        result => result,
    }
}

fn report(progress: Progress<'_>, done: u64, all: Bytes) -> Result<(), ImageError> {
    if progress(Bytes(done), all) { Ok(()) } else { Err(ImageError::Cancelled) }
}

/// A file that is deleted unless it is finished.
pub(super) struct NewFile {
    pub(super) file: Arc<HostFile>,
    /// What it is called while it is being made.
    temporary: PathBuf,
    /// What it is to be called.
    path: PathBuf,
    finished: bool,
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<Self, ImageError> {
        // So that several threads of one process can make images at once.
        static SERIAL: AtomicU32 = AtomicU32::new(0);

        if path.symlink_metadata().is_ok() {
            return Err(ImageError::Exists(path.to_path_buf()));
        }
        let Some(name) = path.file_name() else {
            return Err(ImageError::Directory(path.to_path_buf()));
        };
        let mut name = name.to_os_string();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".creating-{}-{serial}", std::process::id()));
        let temporary = path.with_file_name(name);
        let opening = |error| ImageError::opening(path, true, error);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(opening)?;
        let file = HostFile::from_open(file, path, true)
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
        Ok(Self { file: Arc::new(file), temporary, path: path.to_path_buf(), finished: false })
    }

    pub(super) fn failed(&self, source: io::Error) -> ImageError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                check_space(&path, u64::MAX).err().unwrap_or(ImageError::Io {
                    path,
                    action: ImageAction::Make,
                    source,
                })
            }
            _ => ImageError::Io { path, action: ImageAction::Make, source },
        }
    }

    /// Brings the file to the disk and gives it its name.
    pub(super) fn finish(mut self) -> Result<(), ImageError> {
        self.file.sync().map_err(|error| self.failed(error))?;
        rename_new(&self.temporary, &self.path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ImageError::Exists(self.path.clone()),
            _ => self.failed(error),
        })?;
        self.finished = true;
        // The name, too, should survive a power failure; where directories cannot be synced it
        // does so anyhow.
        if let Ok(directory) = File::open(directory(&self.path)) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Renames a file unless the new name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let cwd = rustix::fs::CWD;
    match rustix::fs::renameat_with(cwd, from, cwd, to, RenameFlags::NOREPLACE) {
        // Not every file system knows the flag; a second name does the same in two steps.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        result => Ok(result?),
    }
}
