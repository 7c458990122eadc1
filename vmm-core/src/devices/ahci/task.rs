//! What a port and the device behind it say to each other: commands, outcomes, task files.

use serde::{Deserialize, Serialize};

use super::fis::HostFis;
use super::prdt::{BufferError, HostBuffer};

/// The status register (ATA8-ACS §6.2).
pub(super) mod status {
    pub(in super::super) const BSY: u8 = 0x80;
    pub(in super::super) const DRDY: u8 = 0x40;
    /// Seek complete; always set with DRDY, as drives do.
    pub(in super::super) const DSC: u8 = 0x10;
    pub(in super::super) const DRQ: u8 = 0x08;
    pub(in super::super) const ERR: u8 = 0x01;
    /// A device that waits for work.
    pub(in super::super) const READY: u8 = DRDY | DSC;
}

/// The error register (ATA8-ACS §6.3).
pub(super) mod error {
    /// The data could not be read.
    pub(in super::super) const UNC: u8 = 0x40;
    /// The address is not on the medium.
    pub(in super::super) const IDNF: u8 = 0x10;
    /// The command was refused.
    pub(in super::super) const ABRT: u8 = 0x04;
    /// What the error register holds after a reset that found no fault.
    pub(in super::super) const DIAGNOSTICS_PASSED: u8 = 0x01;
}

/// The registers a device answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TaskFile {
    pub(super) status: u8,
    pub(super) error: u8,
    /// 48 bits.
    pub(super) lba: u64,
    pub(super) count: u16,
    pub(super) device: u8,
}

impl TaskFile {
    /// Success, with the command's own address and count.
    pub(super) fn ok(fis: &HostFis) -> Self {
        Self { status: status::READY, error: 0, lba: fis.lba, count: fis.count, device: fis.device }
    }

    /// Failure with the bits of `error`.
    pub(super) fn failed(fis: &HostFis, error: u8) -> Self {
        Self { status: status::READY | status::ERR, error, ..Self::ok(fis) }
    }

    /// What a device answers a reset with: `lba` and count tell its kind (ATA8-ACS §9.12).
    pub(super) fn signature(lba: u64, status: u8) -> Self {
        Self { status, error: error::DIAGNOSTICS_PASSED, lba, count: 1, device: 0 }
    }

    pub(super) fn is_error(&self) -> bool {
        self.status & status::ERR != 0
    }
}

/// How a command's end is announced: the FISes of its protocol (AHCI 1.3.1 §5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Non-data, DMA, and PIO to the device: a D2H register FIS.
    Register,
    /// PIO from the device: a PIO setup FIS alone.
    PioIn,
    /// A packet command with PIO from the device: both.
    PacketPioIn,
    /// A queued command: a set device bits FIS.
    Queued,
}

/// One command as the device sees it.
pub(super) struct Command<'a> {
    pub(super) slot: u8,
    pub(super) fis: HostFis,
    /// The CDB, when the command header says that there is one.
    pub(super) packet: Option<[u8; 16]>,
    /// The host memory that the command is about.
    pub(super) buffer: HostBuffer<'a>,
}

/// What a device does with a command.
pub(super) enum Outcome {
    /// It is done, `data` being for the host.
    Reply { task_file: TaskFile, phase: Phase, data: Vec<u8> },
    /// The medium has to work first. When it has, `done` is the answer.
    Work { work: Work, phase: Phase, done: TaskFile },
    /// The host memory is not there or not enough.
    BadBuffer(BufferError),
}

impl Outcome {
    /// An answer without data.
    pub(super) fn plain(task_file: TaskFile) -> Self {
        Self::Reply { task_file, phase: Phase::Register, data: Vec::new() }
    }
}

/// Work for the block layer.
pub(super) enum Work {
    /// Between host memory and the medium, byte offset and length.
    Transfer { write: bool, offset: u64, bytes: u64, then_flush: bool },
    /// Write what is cached.
    Flush,
    /// Byte ranges that are no longer needed, the next one last.
    Discard(Vec<(u64, u64)>),
}
