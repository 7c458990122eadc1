//! Failures of the host that a guest should not see.
//!
//! A guest whose write fails takes its disk for broken and remounts it read-only or worse. So
//! writes, flushes and discards that fail because of the host are held until somebody has put the
//! host right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::text;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The file system, or the user's share of it, is full.
    NoSpace,
    /// The file system cannot hold so large a file.
    FileTooLarge,
    /// The file is gone: a network file system went away or a device was unplugged.
    Vanished,
    /// What the guest wrote earlier did not reach the disk and cannot be written again.
    Lost,
    /// The image contradicts itself.
    Damaged,
    /// Another failure of input or output.
    Io,
    /// This program failed.
    Panic,
}

impl FaultKind {
    /// Whether trying again can help.
    pub fn can_retry(self) -> bool {
        !matches!(self, Self::Lost | Self::Panic)
    }

    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => Self::NoSpace,
            Kind::FileTooLarge => Self::FileTooLarge,
            Kind::StaleNetworkFileHandle
            | Kind::NotFound
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::NotConnected
            | Kind::TimedOut => Self::Vanished,
            Kind::InvalidData => Self::Damaged,
            _ => match error.raw_os_error() {
                Some(libc::ENODEV | libc::ENXIO | libc::ENOMEDIUM | libc::ESHUTDOWN) => {
                    Self::Vanished
                }
                _ => Self::Io,
            },
        }
    }
}

/// Why a disk has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFault {
    /// The image.
    pub path: PathBuf,
    /// What went wrong.
    pub kind: FaultKind,
    /// The system's or the program's own words.
    pub detail: String,
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, detail) = (self.path.display(), &self.detail);
        f.write_str(&match self.kind {
            FaultKind::NoSpace => text!(
                "the disk “{path}” cannot be written because its file system is full; make space \
                 ({detail})",
                path,
                detail
            ),
            FaultKind::FileTooLarge => text!(
                "the disk “{path}” cannot be written because its file system does not hold files \
                 so large; move it ({detail})",
                path,
                detail
            ),
            FaultKind::Vanished => text!(
                "the disk “{path}” is no longer there; make it reachable again ({detail})",
                path,
                detail
            ),
            FaultKind::Lost => text!(
                "the disk “{path}” has lost data that was written to it; restore a copy ({detail})",
                path,
                detail
            ),
            FaultKind::Damaged => text!(
                "the disk “{path}” cannot be written because its image is damaged; repair it with \
                 “qemu-img check” ({detail})",
                path,
                detail
            ),
            FaultKind::Io => text!(
                "the disk “{path}” cannot be written; check the device it is on ({detail})",
                path,
                detail
            ),
            FaultKind::Panic => text!(
                "the disk “{path}” stopped because of a fault in this program ({detail})",
                path,
                detail
            ),
        })
    }
}
