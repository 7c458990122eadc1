//! An optical drive (ATA8-ACS packet device, MMC-6): its ATA side and its mechanics. Packet
//! commands are in [`packet`], the pages they answer with in [`pages`] and [`toc`], sense data
//! in [`sense`], the front end's handle in [`handle`].

mod handle;
mod packet;
mod pages;
mod sense;
mod toc;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::handle::{MediumLocked, OpticalDrive};
use self::sense::Sense;
use super::disk::Power;
use super::fis::HostFis;
use super::identity::{Identity, TransferMode, Words};
use super::task::{Command, Outcome, Phase, TaskFile, error, status};
use crate::block::BlockDevice;

/// Bytes of a block of user data.
const BLOCK: u64 = 2048;

/// ATA commands of a packet device.
mod command {
    pub(super) const NOP: u8 = 0x00;
    pub(super) const DEVICE_RESET: u8 = 0x08;
    pub(super) const EXECUTE_DEVICE_DIAGNOSTIC: u8 = 0x90;
    pub(super) const PACKET: u8 = 0xa0;
    pub(super) const IDENTIFY_PACKET_DEVICE: u8 = 0xa1;
    pub(super) const IDENTIFY_DEVICE: u8 = 0xec;
    pub(super) const SET_FEATURES: u8 = 0xef;
    /// The commands that every packet device refuses with its signature.
    pub(super) const READ_SECTORS: u8 = 0x20;
}

/// In the count register at a packet command's end: command/data and direction (ATA8-ACS §6.5).
const INTERRUPT_REASON_END: u16 = 0x03;

/// Called when the guest opens (`true`) or closes (`false`) the tray, with no lock held, on a
/// vCPU's or a block thread: it must not block. The medium stays in the open tray until it is
/// taken out with [`OpticalDrive::change_medium`].
pub type TrayCallback = Arc<dyn Fn(bool) + Send + Sync>;

/// Media events that the guest has not asked for yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Events {
    eject_request: bool,
    removal: bool,
    new_medium: bool,
}

/// Unit attentions that the guest has not been told yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Attention {
    reset: bool,
    medium_changed: bool,
}

/// What a guest sees of an optical drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpticalState {
    sense: Sense,
    attention: Attention,
    events: Events,
    tray_open: bool,
    locked: bool,
    power: Power,
    mode: TransferMode,
    /// Blocks of the medium, 0 without one: another length after restoring is another medium.
    blocks: u32,
}

/// An optical drive and the medium in it.
pub(super) struct Optical {
    medium: Option<Arc<dyn BlockDevice>>,
    identity: Identity,
    on_tray: TrayCallback,
    /// The guest has just moved the tray; true for open.
    tray_moved: Option<bool>,
    state: OpticalState,
}

impl Optical {
    pub(super) fn new(
        medium: Option<Arc<dyn BlockDevice>>,
        identity: Identity,
        on_tray: TrayCallback,
    ) -> Self {
        let state = OpticalState {
            sense: Sense::NONE,
            attention: Attention { reset: true, medium_changed: false },
            events: Events::default(),
            tray_open: false,
            locked: false,
            power: Power::Active,
            mode: TransferMode::Ultra(5),
            blocks: 0,
        };
        Self { medium, identity, on_tray, tray_moved: None, state }
    }

    pub(super) fn medium(&self) -> Option<Arc<dyn BlockDevice>> {
        self.medium.clone()
    }

    pub(super) fn signature() -> TaskFile {
        // A packet device is not DRDY until its first command.
        TaskFile::signature(0xeb_1401, 0)
    }

    /// Power-on: the tray stays where it is, and what is in it.
    pub(super) fn power_on(&mut self) {
        self.hard_reset();
        self.state.events = Events::default();
        self.state.attention.medium_changed = false;
    }

    /// COMRESET: that the medium has changed is still to be told.
    pub(super) fn hard_reset(&mut self) {
        self.soft_reset();
        self.state.locked = false;
        self.state.mode = TransferMode::Ultra(5);
    }

    pub(super) fn soft_reset(&mut self) {
        self.state.sense = Sense::NONE;
        self.state.power = Power::Active;
        self.state.attention.reset = true;
    }

    pub(super) fn save(&self) -> OpticalState {
        OpticalState { blocks: self.loaded_blocks(), ..self.state.clone() }
    }

    pub(super) fn restore(&mut self, state: OpticalState) {
        self.state = state;
        let blocks = self.loaded_blocks();
        if blocks != self.state.blocks {
            self.medium_exchanged(self.state.blocks != 0);
        }
        self.state.blocks = 0;
    }

    pub(super) fn take_notice(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        let open = self.tray_moved.take()?;
        let on_tray = self.on_tray.clone();
        Some(Box::new(move || on_tray(open)))
    }

    /// Blocks of the medium, wherever the tray is; 0 without one.
    fn loaded_blocks(&self) -> u32 {
        let blocks = self.medium.as_ref().map_or(0, |medium| medium.len() / BLOCK);
        u32::try_from(blocks).unwrap_or(u32::MAX)
    }

    /// Blocks of the medium that can be read.
    fn ready_blocks(&self) -> Option<u32> {
        Some(self.loaded_blocks()).filter(|blocks| *blocks > 0 && !self.state.tray_open)
    }

    /// The guest is to learn that there is another medium now, or none.
    fn medium_exchanged(&mut self, had_one: bool) {
        self.state.events.removal |= had_one;
        self.state.events.new_medium = self.ready_blocks().is_some();
        self.state.attention.medium_changed |= self.state.events.new_medium;
    }

    /// Opens or closes the tray for the guest.
    fn move_tray(&mut self, open: bool) {
        if self.state.tray_open == open {
            return;
        }
        self.state.tray_open = open;
        self.tray_moved = Some(open);
        if open {
            self.state.events = Events { removal: self.loaded_blocks() > 0, ..Events::default() };
            self.state.attention.medium_changed = false;
        } else {
            self.medium_exchanged(false);
        }
    }

    /// Begins an ATA command.
    pub(super) fn execute(&mut self, command: &Command<'_>) -> Outcome {
        use self::command as c;
        let fis = &command.fis;
        match fis.command {
            c::PACKET => self.packet(command),
            c::IDENTIFY_PACKET_DEVICE => Outcome::Reply {
                task_file: TaskFile::ok(fis),
                phase: Phase::PioIn,
                data: self.identify(),
            },
            // How a driver that takes it for a disk finds out.
            c::IDENTIFY_DEVICE | c::READ_SECTORS => Outcome::plain(TaskFile {
                status: status::READY | status::ERR,
                error: error::ABRT,
                ..Self::signature()
            }),
            c::DEVICE_RESET => {
                self.soft_reset();
                Outcome::plain(Self::signature())
            }
            c::EXECUTE_DEVICE_DIAGNOSTIC => Outcome::plain(Self::signature()),
            c::SET_FEATURES => Outcome::plain(self.set_features(fis)),
            c::NOP => Outcome::plain(TaskFile::failed(fis, error::ABRT)),
            code if Power::is_check(code) => {
                Outcome::plain(TaskFile { count: self.state.power.count(), ..TaskFile::ok(fis) })
            }
            code => Outcome::plain(match Power::from_command(code) {
                Some(power) => {
                    self.state.power = power;
                    TaskFile::ok(fis)
                }
                None => TaskFile::failed(fis, error::ABRT),
            }),
        }
    }

    fn set_features(&mut self, fis: &HostFis) -> TaskFile {
        match (fis.features as u8, TransferMode::from_count(fis.count as u8)) {
            (0x03, Some(mode)) => self.state.mode = mode,
            // Whether a software reset keeps settings: it does.
            (0x66 | 0xcc, _) => {}
            _ => return TaskFile::failed(fis, error::ABRT),
        }
        TaskFile::ok(fis)
    }

    /// IDENTIFY PACKET DEVICE (ATA8-ACS §7.17).
    fn identify(&self) -> Vec<u8> {
        let mut words = Words::new();
        words.set_identity(&self.identity);
        // A packet device (15), CD/DVD (12:8), removable medium (7), DRQ within 50 µs (6:5),
        // 12-byte commands (1:0).
        words.set(0, &[0x85c0]);
        // IORDY (11, 10), LBA (9), DMA (8).
        words.set(49, &[0x0f00, 0x4000]);
        // Words 64-70 and 88 are valid.
        words.set(53, &[0x0006]);
        words.set(63, &[self.state.mode.word_63()]);
        words.set(64, &[0x0003, 120, 120, 120, 120]);
        // 3 and 1.5 Gbit/s.
        words.set(76, &[0x0006]);
        words.set(80, &[0x01e0]);
        // NOP (14), DEVICE RESET (9), PACKET (4), power management (3).
        words.set(82, &[0x4218, 0x4000, 0x4000, 0x4218, 0x0000, 0x4000]);
        words.set(88, &[self.state.mode.word_88()]);
        words.set(222, &[0x101f]);
        words.into_page()
    }
}
