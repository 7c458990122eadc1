//! Advisory locks on image files, in the way QEMU takes them.
//!
//! QEMU (`block/file-posix.c`) marks what it does with an image, and what it does not suffer
//! others to do, by shared locks on single bytes; then it asks whether others have marked the
//! opposite. Doing the same means that QEMU's tools refuse an image a machine of ours runs from,
//! and we refuse one of theirs, while any number of readers may share a backing file.
//!
//! The locks are of the open-file-description kind: they belong to the open file, conflict
//! between two disks of one process, and vanish with the last descriptor, also when the process
//! is killed; a moment later if io_uring still has requests of it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

/// First of the bytes that say “I do this”.
const USES_BASE: i64 = 100;
/// First of the bytes that say “others must not do this”.
const FORBIDS_BASE: i64 = 200;

/// How long locks of a process that was killed may be there still.
const LINGER: Duration = Duration::from_secs(1);
/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What one can do with an image; the values are the bits of QEMU's `BLK_PERM_*`.
#[derive(Debug, Clone, Copy)]
enum Permission {
    ConsistentRead = 0,
    Write = 1,
    Resize = 3,
}

/// How an image is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nobody else may write it.
    Shared,
    /// Nobody else may use it.
    Exclusive,
}

impl Mode {
    fn uses(self) -> &'static [Permission] {
        match self {
            Self::Shared => &[Permission::ConsistentRead],
            Self::Exclusive => &[Permission::ConsistentRead, Permission::Write, Permission::Resize],
        }
    }

    fn forbids(self) -> &'static [Permission] {
        // A writer forbids only writing, as in QEMU: a reader forbids writing itself, so it
        // finds the writer and the writer finds it.
        &[Permission::Write, Permission::Resize]
    }
}

/// Whether a lock was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was.
    Locked,
    /// Somebody else's lock is in the way.
    InUse,
    /// The file system has no locks.
    Unsupported,
}

/// Locks `file` until its last descriptor is closed. Who wants it alone waits a moment for others to
/// let go of it, so that a machine can be started again right after its process was killed.
///
/// # Errors
/// When the system refuses for another reason than those of [`Outcome`].
pub(super) fn lock(file: &File, mode: Mode) -> io::Result<Outcome> {
    let deadline = Instant::now() + LINGER;
    loop {
        let outcome = try_lock(file, mode);
        if matches!(outcome, Ok(Outcome::Locked)) {
            return outcome;
        }
        // Leave nothing behind that is in another's way.
        unlock(file);
        let may_end = matches!(outcome, Ok(Outcome::InUse)) && mode == Mode::Exclusive;
        if !may_end || Instant::now() >= deadline {
            return outcome;
        }
        thread::sleep(LOOK);
    }
}

/// Takes the locks away at once. Closing the file does so, too, but a child process that is just
/// being started has the descriptor for a moment longer.
pub(super) fn unlock(file: &File) {
    // Where this fails there were no locks.
    let _ = set(file, libc::F_UNLCK, 0, 0);
}

fn try_lock(file: &File, mode: Mode) -> io::Result<Outcome> {
    // First mark, then look: of two that start at once, at least one sees the other.
    let marks = (mode.uses().iter().map(|p| USES_BASE + *p as i64))
        .chain(mode.forbids().iter().map(|p| FORBIDS_BASE + *p as i64));
    for byte in marks {
        if let Err(error) = set(file, libc::F_RDLCK, byte, 1) {
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => Ok(Outcome::InUse),
                Some(libc::EINVAL | libc::ENOLCK | libc::ENOSYS | libc::EOPNOTSUPP) => {
                    Ok(Outcome::Unsupported)
                }
                _ => Err(error),
            };
        }
    }
    let opposites = (mode.uses().iter().map(|p| FORBIDS_BASE + *p as i64))
        .chain(mode.forbids().iter().map(|p| USES_BASE + *p as i64));
    for byte in opposites {
        if marked_by_others(file, byte)? {
            return Ok(Outcome::InUse);
        }
    }
    Ok(Outcome::Locked)
}

fn request(kind: i32, start: i64, len: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        l_pid: 0,
    }
}

/// `len` of 0 reaches to the end of the file.
fn set(file: &File, kind: i32, start: i64, len: i64) -> io::Result<()> {
    let lock = request(kind, start, len);
    // SAFETY: the descriptor is open and `lock` is a valid `flock` for the length of the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn marked_by_others(file: &File, byte: i64) -> io::Result<bool> {
    let mut lock = request(libc::F_WRLCK, byte, 1);
    // SAFETY: the descriptor is open and `lock` is a valid `flock` that the kernel overwrites.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut lock) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &std::path::Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn writers_exclude_all_and_readers_share() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (a, b, c) = (open(file.path()), open(file.path()), open(file.path()));
        assert_eq!(lock(&a, Mode::Exclusive).unwrap(), Outcome::Locked);
        assert_eq!(lock(&b, Mode::Exclusive).unwrap(), Outcome::InUse);
        assert_eq!(lock(&b, Mode::Shared).unwrap(), Outcome::InUse);
        drop(a);
        assert_eq!(lock(&b, Mode::Shared).unwrap(), Outcome::Locked);
        assert_eq!(lock(&c, Mode::Exclusive).unwrap(), Outcome::InUse);
        assert_eq!(lock(&c, Mode::Shared).unwrap(), Outcome::Locked);
    }

    #[test]
    fn a_lock_that_goes_away_is_waited_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (a, b) = (open(file.path()), open(file.path()));
        assert_eq!(lock(&a, Mode::Exclusive).unwrap(), Outcome::Locked);
        let lets_go = thread::spawn(move || {
            thread::sleep(LOOK * 3);
            drop(a);
        });
        assert_eq!(lock(&b, Mode::Exclusive).unwrap(), Outcome::Locked);
        lets_go.join().unwrap();
    }
}
