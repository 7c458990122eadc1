//! A hard disk (ATA8-ACS): its settings and which command does what. Transfers are in
//! [`transfer`], the identity page in [`identify`], logs and SMART in [`log`].

mod identify;
mod log;
mod transfer;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fis::HostFis;
use super::identity::{Identity, TransferMode};
use super::task::{Command, Outcome, Phase, TaskFile, Work, error, status};
use crate::block::BlockDevice;

/// Bytes of a logical sector.
const SECTOR: u64 = 512;
/// The largest READ/WRITE MULTIPLE block.
const MAX_MULTIPLE: u8 = 16;

/// Commands (ATA8-ACS table 24).
mod command {
    pub(super) const DATA_SET_MANAGEMENT: u8 = 0x06;
    pub(super) const RECALIBRATE: u8 = 0x10;
    pub(super) const READ_SECTORS: u8 = 0x20;
    pub(super) const READ_SECTORS_NO_RETRY: u8 = 0x21;
    pub(super) const READ_SECTORS_EXT: u8 = 0x24;
    pub(super) const READ_DMA_EXT: u8 = 0x25;
    pub(super) const READ_NATIVE_MAX_EXT: u8 = 0x27;
    pub(super) const READ_MULTIPLE_EXT: u8 = 0x29;
    pub(super) const READ_LOG_EXT: u8 = 0x2f;
    pub(super) const WRITE_SECTORS: u8 = 0x30;
    pub(super) const WRITE_SECTORS_NO_RETRY: u8 = 0x31;
    pub(super) const WRITE_SECTORS_EXT: u8 = 0x34;
    pub(super) const WRITE_DMA_EXT: u8 = 0x35;
    pub(super) const WRITE_MULTIPLE_EXT: u8 = 0x39;
    pub(super) const WRITE_DMA_FUA_EXT: u8 = 0x3d;
    pub(super) const READ_VERIFY: u8 = 0x40;
    pub(super) const READ_VERIFY_NO_RETRY: u8 = 0x41;
    pub(super) const READ_VERIFY_EXT: u8 = 0x42;
    pub(super) const READ_FPDMA_QUEUED: u8 = 0x60;
    pub(super) const WRITE_FPDMA_QUEUED: u8 = 0x61;
    pub(super) const SEEK: u8 = 0x70;
    pub(super) const EXECUTE_DEVICE_DIAGNOSTIC: u8 = 0x90;
    pub(super) const INITIALIZE_DEVICE_PARAMETERS: u8 = 0x91;
    pub(super) const SMART: u8 = 0xb0;
    pub(super) const READ_MULTIPLE: u8 = 0xc4;
    pub(super) const WRITE_MULTIPLE: u8 = 0xc5;
    pub(super) const SET_MULTIPLE: u8 = 0xc6;
    pub(super) const READ_DMA: u8 = 0xc8;
    pub(super) const READ_DMA_NO_RETRY: u8 = 0xc9;
    pub(super) const WRITE_DMA: u8 = 0xca;
    pub(super) const WRITE_DMA_NO_RETRY: u8 = 0xcb;
    pub(super) const WRITE_MULTIPLE_FUA_EXT: u8 = 0xce;
    pub(super) const FLUSH_CACHE: u8 = 0xe7;
    pub(super) const FLUSH_CACHE_EXT: u8 = 0xea;
    pub(super) const IDENTIFY_DEVICE: u8 = 0xec;
    pub(super) const SET_FEATURES: u8 = 0xef;
    pub(super) const READ_NATIVE_MAX: u8 = 0xf8;
}
use command as c;

/// The power mode (ATA8-ACS §4.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Power {
    Active,
    Idle,
    Standby,
}

impl Power {
    /// What a power management command sets, in its codes of both generations.
    pub(super) fn from_command(command: u8) -> Option<Self> {
        match command {
            // STANDBY IMMEDIATE, STANDBY, SLEEP.
            0xe0 | 0x94 | 0xe2 | 0x96 | 0xe6 | 0x99 => Some(Self::Standby),
            // IDLE IMMEDIATE, IDLE.
            0xe1 | 0x95 | 0xe3 | 0x97 => Some(Self::Idle),
            _ => None,
        }
    }

    /// Whether `command` is CHECK POWER MODE.
    pub(super) fn is_check(command: u8) -> bool {
        matches!(command, 0xe5 | 0x98)
    }

    /// What CHECK POWER MODE answers as count.
    pub(super) fn count(self) -> u16 {
        match self {
            Self::Active => 0xff,
            Self::Idle => 0x80,
            Self::Standby => 0x00,
        }
    }
}

/// The queued command that failed, for the error log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct LoggedError {
    tag: u8,
    task_file: TaskFile,
}

/// Settings of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskState {
    /// Sectors of a READ/WRITE MULTIPLE block; 0 when these are disabled.
    multiple: u8,
    write_cache: bool,
    look_ahead: bool,
    smart: bool,
    power: Power,
    mode: TransferMode,
    /// Heads and sectors a track of the current translation.
    heads: u8,
    sectors: u8,
    error: Option<LoggedError>,
}

impl Default for DiskState {
    fn default() -> Self {
        Self {
            multiple: MAX_MULTIPLE,
            write_cache: true,
            look_ahead: true,
            smart: true,
            power: Power::Active,
            mode: TransferMode::Ultra(6),
            heads: 16,
            sectors: 63,
            error: None,
        }
    }
}

impl DiskState {
    /// What makes it a state that no disk can have.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.heads == 0 || self.heads > 16 || self.sectors == 0 {
            return Some("no such geometry");
        }
        (self.multiple > MAX_MULTIPLE).then_some("blocks of too many sectors")
    }
}

/// A hard disk on an image.
pub(super) struct Disk {
    image: Arc<dyn BlockDevice>,
    identity: Identity,
    state: DiskState,
}

impl Disk {
    pub(super) fn new(image: Arc<dyn BlockDevice>, identity: Identity) -> Self {
        Self { image, identity, state: DiskState::default() }
    }

    pub(super) fn image(&self) -> Arc<dyn BlockDevice> {
        self.image.clone()
    }

    /// Length in sectors.
    fn sectors(&self) -> u64 {
        // 48 bits of address.
        (self.image.len() / SECTOR).min(1 << 48)
    }

    pub(super) fn is_queued(fis: &HostFis) -> bool {
        matches!(fis.command, c::READ_FPDMA_QUEUED | c::WRITE_FPDMA_QUEUED)
    }

    pub(super) fn signature() -> TaskFile {
        TaskFile::signature(0x00_0001, status::READY)
    }

    pub(super) fn hard_reset(&mut self) {
        self.state = DiskState::default();
    }

    /// Software reset keeps what SET FEATURES chose, as 66h (keep settings) is what drivers
    /// count on.
    pub(super) fn soft_reset(&mut self) {
        self.state.power = Power::Active;
        self.state.error = None;
    }

    pub(super) fn save(&self) -> DiskState {
        self.state.clone()
    }

    pub(super) fn restore(&mut self, state: DiskState) {
        self.state = state;
    }

    /// Begins a command.
    pub(super) fn execute(&mut self, command: &Command<'_>) -> Outcome {
        let fis = &command.fis;
        match fis.command {
            c::READ_SECTORS | c::READ_SECTORS_NO_RETRY => self.read(fis, false, Phase::PioIn),
            c::READ_SECTORS_EXT => self.read(fis, true, Phase::PioIn),
            c::READ_DMA | c::READ_DMA_NO_RETRY => self.read(fis, false, Phase::Register),
            c::READ_DMA_EXT => self.read(fis, true, Phase::Register),
            c::READ_MULTIPLE | c::READ_MULTIPLE_EXT if self.state.multiple > 0 => {
                self.read(fis, fis.command == c::READ_MULTIPLE_EXT, Phase::PioIn)
            }
            c::WRITE_SECTORS | c::WRITE_SECTORS_NO_RETRY | c::WRITE_DMA | c::WRITE_DMA_NO_RETRY => {
                self.write(fis, false, false)
            }
            c::WRITE_SECTORS_EXT | c::WRITE_DMA_EXT => self.write(fis, true, false),
            c::WRITE_DMA_FUA_EXT => self.write(fis, true, true),
            c::WRITE_MULTIPLE | c::WRITE_MULTIPLE_EXT | c::WRITE_MULTIPLE_FUA_EXT
                if self.state.multiple > 0 =>
            {
                let extended = fis.command != c::WRITE_MULTIPLE;
                self.write(fis, extended, fis.command == c::WRITE_MULTIPLE_FUA_EXT)
            }
            c::READ_FPDMA_QUEUED | c::WRITE_FPDMA_QUEUED => self.queued(command),
            c::READ_VERIFY | c::READ_VERIFY_NO_RETRY => self.verify(fis, false),
            c::READ_VERIFY_EXT => self.verify(fis, true),
            c::DATA_SET_MANAGEMENT => self.data_set_management(command),
            c::FLUSH_CACHE | c::FLUSH_CACHE_EXT => self.flush(fis),

            c::IDENTIFY_DEVICE => pio_in(fis, self.identify()),
            c::READ_LOG_EXT => self.read_log(fis),
            c::SMART => self.smart(fis),
            c::READ_NATIVE_MAX | c::READ_NATIVE_MAX_EXT => self.read_native_max(fis),
            c::SET_FEATURES => Outcome::plain(self.set_features(fis)),
            c::SET_MULTIPLE => Outcome::plain(self.set_multiple(fis)),
            c::INITIALIZE_DEVICE_PARAMETERS => Outcome::plain(self.set_geometry(fis)),
            c::EXECUTE_DEVICE_DIAGNOSTIC => Outcome::plain(Self::signature()),
            c::RECALIBRATE | c::SEEK => Outcome::plain(TaskFile::ok(fis)),
            code => Outcome::plain(self.power(fis, code)),
        }
    }

    fn power(&mut self, fis: &HostFis, code: u8) -> TaskFile {
        if Power::is_check(code) {
            return TaskFile { count: self.state.power.count(), ..TaskFile::ok(fis) };
        }
        match Power::from_command(code) {
            Some(power) => {
                self.state.power = power;
                TaskFile::ok(fis)
            }
            None => TaskFile::failed(fis, error::ABRT),
        }
    }

    fn flush(&mut self, fis: &HostFis) -> Outcome {
        if self.image.read_only() {
            return Outcome::plain(TaskFile::ok(fis));
        }
        Outcome::Work { work: Work::Flush, phase: Phase::Register, done: TaskFile::ok(fis) }
    }

    fn read_native_max(&self, fis: &HostFis) -> Outcome {
        let last = self.sectors().saturating_sub(1);
        let ok = TaskFile::ok(fis);
        Outcome::plain(if fis.command == c::READ_NATIVE_MAX_EXT {
            TaskFile { lba: last, ..ok }
        } else {
            let last = last.min(0x0fff_ffff);
            let high = (last >> 24) as u8;
            TaskFile { lba: last & 0xff_ffff, device: fis.device & 0xf0 | high, ..ok }
        })
    }

    /// ATA8-ACS §7.45.
    fn set_features(&mut self, fis: &HostFis) -> TaskFile {
        match fis.features as u8 {
            0x02 => self.state.write_cache = true,
            0x82 => self.state.write_cache = false,
            0xaa => self.state.look_ahead = true,
            0x55 => self.state.look_ahead = false,
            // Whether a software reset keeps settings: it does.
            0x66 | 0xcc => {}
            0x03 => match TransferMode::from_count(fis.count as u8) {
                Some(mode) => self.state.mode = mode,
                None => return TaskFile::failed(fis, error::ABRT),
            },
            _ => return TaskFile::failed(fis, error::ABRT),
        }
        TaskFile::ok(fis)
    }

    fn set_multiple(&mut self, fis: &HostFis) -> TaskFile {
        let sectors = fis.count as u8;
        if sectors > MAX_MULTIPLE || (sectors != 0 && !sectors.is_power_of_two()) {
            return TaskFile::failed(fis, error::ABRT);
        }
        self.state.multiple = sectors;
        TaskFile::ok(fis)
    }

    fn set_geometry(&mut self, fis: &HostFis) -> TaskFile {
        let sectors = fis.count as u8;
        if sectors == 0 {
            return TaskFile::failed(fis, error::ABRT);
        }
        self.state.sectors = sectors;
        self.state.heads = (fis.device & 0x0f) + 1;
        TaskFile::ok(fis)
    }
}

/// A page for the host by PIO.
fn pio_in(fis: &HostFis, data: Vec<u8>) -> Outcome {
    Outcome::Reply { task_file: TaskFile::ok(fis), phase: Phase::PioIn, data }
}
