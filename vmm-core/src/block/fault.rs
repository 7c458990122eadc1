//! Failures of the host that a guest should not see.
//!
//! A guest whose write fails takes its disk for broken and remounts it read-only or worse. So
//! writes, flushes and discards that fail because of the host are held until somebody has put the
//! host right.

use std::fmt;
use std::io;
use std::path::PathBuf;

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
        write!(f, "the disk “{}” ", self.path.display())?;
        match self.kind {
            FaultKind::NoSpace => {
                f.write_str("cannot be written because its file system is full; make space")?;
            }
            FaultKind::FileTooLarge => f.write_str(
                "cannot be written because its file system does not hold files so large; move it",
            )?,
            FaultKind::Vanished => f.write_str("is no longer there; make it reachable again")?,
            FaultKind::Lost => {
                f.write_str("has lost data that was written to it; restore a copy")?
            }
            FaultKind::Damaged => f.write_str(
                "cannot be written because its image is damaged; repair it with “qemu-img check”",
            )?,
            FaultKind::Io => f.write_str("cannot be written; check the device it is on")?,
            FaultKind::Panic => f.write_str("stopped because of a fault in this program")?,
        }
        write!(f, " ({})", self.detail)
    }
}
