//! Locks on files, which the kernel gives back however their holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// A machine's lock: while it is held, no other process runs, changes or deletes the machine.
#[derive(Debug)]
pub struct VmLock {
    /// Locked for as long as it is open.
    _file: File,
}

/// Takes the lock that `path` stands for, making the file when it does not exist; `None` when
/// somebody holds it.
pub(super) fn try_lock(path: &Path) -> io::Result<Option<VmLock>> {
    loop {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if is_current(&file, path)? {
            return Ok(Some(VmLock { _file: file }));
        }
    }
}

/// Takes the lock that `path` stands for, waiting for its holder.
pub(super) fn lock(path: &Path) -> io::Result<VmLock> {
    loop {
        let file = open(path)?;
        file.lock()?;
        if is_current(&file, path)? {
            return Ok(VmLock { _file: file });
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
}

/// Whether `path` still is the file that was locked: between opening and locking it may have been
/// moved away with its folder, and a lock on that locks nothing.
fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(current) => Ok((current.dev(), current.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
