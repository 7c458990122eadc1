//! What can be behind a port.

use std::sync::Arc;

use super::disk::Disk;
use super::fis::HostFis;
use super::optical::Optical;
use super::task::{Command, Outcome, TaskFile, error};
use crate::block::BlockDevice;

/// A device, or the lack of one.
pub(super) enum Device {
    Empty,
    Disk(Disk),
    Optical(Optical),
}

impl Device {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether `fis` is a command of which several may be in flight.
    pub(super) fn is_queued(&self, fis: &HostFis) -> bool {
        matches!(self, Self::Disk(_)) && Disk::is_queued(fis)
    }

    /// Begins a command.
    pub(super) fn execute(&mut self, command: &Command<'_>) -> Outcome {
        match self {
            // No link is up, so that no command gets here.
            Self::Empty => Outcome::plain(TaskFile::failed(&command.fis, error::ABRT)),
            Self::Disk(disk) => disk.execute(command),
            Self::Optical(drive) => drive.execute(command),
        }
    }

    /// What the work of an [`Outcome::Work`] is for.
    pub(super) fn backend(&self) -> Option<Arc<dyn BlockDevice>> {
        match self {
            Self::Empty => None,
            Self::Disk(disk) => Some(disk.image()),
            Self::Optical(drive) => drive.medium(),
        }
    }

    /// The medium failed to do the work of `fis`: the answer to the host.
    pub(super) fn work_failed(&mut self, fis: &HostFis, write: bool) -> TaskFile {
        match self {
            Self::Optical(drive) => drive.read_failed(fis),
            _ if write => TaskFile::failed(fis, error::ABRT),
            _ => TaskFile::failed(fis, error::UNC),
        }
    }

    /// Remembers the queued command that failed for the error log.
    pub(super) fn queued_failed(&mut self, tag: u8, task_file: &TaskFile) {
        if let Self::Disk(disk) = self {
            disk.log_error(tag, task_file);
        }
    }

    /// What tells its kind after a reset.
    pub(super) fn signature(&self) -> TaskFile {
        match self {
            Self::Optical(_) => Optical::signature(),
            _ => Disk::signature(),
        }
    }

    /// Power-on.
    pub(super) fn power_on(&mut self) {
        match self {
            Self::Optical(drive) => drive.power_on(),
            _ => self.hard_reset(),
        }
    }

    /// COMRESET.
    pub(super) fn hard_reset(&mut self) {
        match self {
            Self::Empty => {}
            Self::Disk(disk) => disk.hard_reset(),
            Self::Optical(drive) => drive.hard_reset(),
        }
    }

    /// SRST.
    pub(super) fn soft_reset(&mut self) {
        match self {
            Self::Empty => {}
            Self::Disk(disk) => disk.soft_reset(),
            Self::Optical(drive) => drive.soft_reset(),
        }
    }

    /// A call to make once no lock is held.
    pub(super) fn take_notice(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        match self {
            Self::Optical(drive) => drive.take_notice(),
            _ => None,
        }
    }
}
