//! Locks on files, which the kernel gives back however their holder ends.
//!
//! Open file description locks (fcntl(2)): unlike those of flock(2) they can be asked about without
//! being taken, and unlike traditional record locks they do not vanish when another descriptor of
//! the same file is closed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

/// A lock that this process has just let go of is held by a child of it that is being started, until
/// that closes what it inherited: so it is asked for a few times.
const ATTEMPTS: u32 = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// A machine's lock: while it is held, no other process runs, changes or deletes the machine.
#[derive(Debug)]
pub struct VmLock {
    /// Locked for as long as it is open.
    _file: File,
}

/// Takes the lock that `path` stands for, making the file when it does not exist; `None` when
/// somebody holds it.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<VmLock>> {
    let mut attempts = 0;
    loop {
        let file = open(path)?;
        match record_lock(&file, libc::F_OFD_SETLK) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && attempts < ATTEMPTS => {
                attempts += 1;
                std::thread::sleep(BETWEEN_ATTEMPTS);
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        };
        if is_current(&file, path)? {
            return Ok(Some(VmLock { _file: file }));
        }
    }
}

/// Takes the lock that `path` stands for, waiting for its holder.
pub(super) fn lock(path: &Path) -> io::Result<VmLock> {
    loop {
        let file = open(path)?;
        match record_lock(&file, libc::F_OFD_SETLKW) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if is_current(&file, path)? {
            return Ok(VmLock { _file: file });
        }
    }
}

/// Whether somebody holds the lock that `path` stands for. In nobody's way.
pub(super) fn is_locked(path: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .and_then(|file| record_lock(&file, libc::F_OFD_GETLK))
        .is_ok_and(|lock| i32::from(lock.l_type) != libc::F_UNLCK)
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

/// Takes or asks about an exclusive lock on the whole file.
fn record_lock(file: &File, command: libc::c_int) -> io::Result<libc::flock> {
    // Small constants, whose types differ between C libraries.
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open for as long as `file` lives, and the three commands this is
    // called with read and write one `flock`, which is valid for as long as the call lasts.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(lock),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_others_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_locked(&path));
        let held = try_lock(&path).unwrap().expect("nobody holds it");
        assert!(is_locked(&path));
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(!is_locked(&path));
        let waiting = std::thread::spawn({
            let held = try_lock(&path).unwrap();
            let path = path.clone();
            move || {
                let next = std::thread::spawn(move || lock(&path).unwrap());
                std::thread::sleep(std::time::Duration::from_millis(20));
                drop(held);
                next.join().unwrap()
            }
        });
        let held = waiting.join().unwrap();
        assert!(is_locked(&path));
        drop(held);
    }

    #[test]
    fn a_lock_on_what_was_moved_away_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = open(&path).unwrap();
        assert!(is_current(&file, &path).unwrap());
        std::fs::rename(&path, folder.path().join("other")).unwrap();
        assert!(!is_current(&file, &path).unwrap());
        open(&path).unwrap();
        assert!(!is_current(&file, &path).unwrap());
    }
}
