//! Packet commands (MMC-6 §6, SPC-4 §6).

use super::super::fis::HostFis;
use super::super::task::{Command, Outcome, Phase, TaskFile, Work, error, status};
use super::sense::Sense;
use super::{BLOCK, INTERRUPT_REASON_END, Optical, Power, pages, toc};

/// Operation codes.
mod op {
    pub(super) const TEST_UNIT_READY: u8 = 0x00;
    pub(super) const REQUEST_SENSE: u8 = 0x03;
    pub(super) const INQUIRY: u8 = 0x12;
    pub(super) const MODE_SELECT_6: u8 = 0x15;
    pub(super) const MODE_SENSE_6: u8 = 0x1a;
    pub(super) const START_STOP_UNIT: u8 = 0x1b;
    pub(super) const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
    pub(super) const READ_CAPACITY: u8 = 0x25;
    pub(super) const READ_10: u8 = 0x28;
    pub(super) const SEEK_10: u8 = 0x2b;
    pub(super) const VERIFY_10: u8 = 0x2f;
    pub(super) const SYNCHRONIZE_CACHE: u8 = 0x35;
    pub(super) const READ_SUB_CHANNEL: u8 = 0x42;
    pub(super) const READ_TOC: u8 = 0x43;
    pub(super) const GET_CONFIGURATION: u8 = 0x46;
    pub(super) const GET_EVENT_STATUS_NOTIFICATION: u8 = 0x4a;
    pub(super) const READ_DISC_INFORMATION: u8 = 0x51;
    pub(super) const READ_TRACK_INFORMATION: u8 = 0x52;
    pub(super) const MODE_SELECT_10: u8 = 0x55;
    pub(super) const MODE_SENSE_10: u8 = 0x5a;
    pub(super) const READ_12: u8 = 0xa8;
    pub(super) const READ_DISC_STRUCTURE: u8 = 0xad;
    pub(super) const SET_CD_SPEED: u8 = 0xbb;
    pub(super) const MECHANISM_STATUS: u8 = 0xbd;
    pub(super) const READ_CD: u8 = 0xbe;
}

/// The most blocks of one read: 128 MiB. No driver comes near.
const MAX_BLOCKS: u32 = 65535;

/// A successful command.
enum Answer {
    Done,
    Data(Vec<u8>),
    Read { first: u32, blocks: u32 },
}

type Result<T> = std::result::Result<T, Sense>;

fn be16(cdb: &[u8; 16], at: usize) -> u16 {
    u16::from_be_bytes([cdb[at], cdb[at + 1]])
}

fn be32(cdb: &[u8; 16], at: usize) -> u32 {
    u32::from_be_bytes([cdb[at], cdb[at + 1], cdb[at + 2], cdb[at + 3]])
}

/// `data`, cut to the `allocation` length of the command.
fn cut(mut data: Vec<u8>, allocation: usize) -> Result<Answer> {
    data.truncate(allocation);
    Ok(Answer::Data(data))
}

impl Optical {
    /// Begins a packet command.
    pub(super) fn packet(&mut self, command: &Command<'_>) -> Outcome {
        let fis = &command.fis;
        let Some(cdb) = command.packet else {
            return Outcome::plain(TaskFile::failed(fis, error::ABRT));
        };
        // Features bit 0: by DMA.
        let by_pio = fis.features & 1 == 0;
        let phase = if by_pio { Phase::PacketPioIn } else { Phase::Register };
        match self.answer(&cdb) {
            Err(sense) => Outcome::plain(self.check_condition(fis, sense)),
            Ok(Answer::Done) => Outcome::plain(end(fis)),
            Ok(Answer::Data(data)) if data.is_empty() => Outcome::plain(end(fis)),
            Ok(Answer::Data(data)) => {
                let count = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let task_file = TaskFile { lba: count << 8, ..end(fis) };
                Outcome::Reply { task_file, phase, data }
            }
            Ok(Answer::Read { first, blocks }) => {
                let (offset, bytes) = (u64::from(first) * BLOCK, u64::from(blocks) * BLOCK);
                let work = Work::Transfer { write: false, offset, bytes, then_flush: false };
                Outcome::Work { work, phase, done: end(fis) }
            }
        }
    }

    fn check_condition(&mut self, fis: &HostFis, sense: Sense) -> TaskFile {
        self.state.sense = sense;
        TaskFile { status: status::READY | status::ERR, error: sense.error_register(), ..end(fis) }
    }

    /// The medium could not be read.
    pub(in super::super) fn read_failed(&mut self, fis: &HostFis) -> TaskFile {
        self.check_condition(fis, Sense::UNRECOVERED_READ_ERROR)
    }

    /// Takes the most urgent unit attention.
    fn take_attention(&mut self) -> Option<Sense> {
        let attention = &mut self.state.attention;
        if std::mem::take(&mut attention.reset) {
            Some(Sense::RESET_OCCURRED)
        } else if std::mem::take(&mut attention.medium_changed) {
            Some(Sense::MEDIUM_MAY_HAVE_CHANGED)
        } else {
            None
        }
    }

    /// Blocks of the medium.
    fn ready(&self) -> Result<u32> {
        self.ready_blocks().ok_or(match self.state.tray_open {
            true => Sense::NO_MEDIUM_TRAY_OPEN,
            false => Sense::NO_MEDIUM,
        })
    }

    /// Checks that `blocks` from `first` are on the medium.
    fn read(&self, first: u32, blocks: u32) -> Result<Answer> {
        let end = u64::from(first) + u64::from(blocks);
        if end > u64::from(self.ready()?) {
            return Err(Sense::ADDRESS_OUT_OF_RANGE);
        }
        match blocks {
            0 => Ok(Answer::Done),
            1..=MAX_BLOCKS => Ok(Answer::Read { first, blocks }),
            _ => Err(Sense::INVALID_FIELD),
        }
    }

    fn answer(&mut self, cdb: &[u8; 16]) -> Result<Answer> {
        // These work whatever happened, and tell it in their own way (MMC-6 §4.1.6.1).
        match cdb[0] {
            op::REQUEST_SENSE => return self.request_sense(cdb),
            op::INQUIRY => return self.inquiry(cdb),
            op::GET_CONFIGURATION => {
                let data = pages::configuration(self.ready_blocks(), cdb[1] & 3, be16(cdb, 2));
                return cut(data, be16(cdb, 7).into());
            }
            op::GET_EVENT_STATUS_NOTIFICATION => return self.event_status(cdb),
            _ => {}
        }
        if let Some(attention) = self.take_attention() {
            return Err(attention);
        }
        self.state.sense = Sense::NONE;
        self.state.power = Power::Active;
        match cdb[0] {
            op::TEST_UNIT_READY => self.ready().map(|_| Answer::Done),
            op::START_STOP_UNIT => self.start_stop(cdb[4]),
            op::PREVENT_ALLOW_MEDIUM_REMOVAL => {
                self.state.locked = cdb[4] & 1 != 0;
                Ok(Answer::Done)
            }
            op::READ_CAPACITY => {
                let last = self.ready()? - 1;
                let mut data = last.to_be_bytes().to_vec();
                data.extend((BLOCK as u32).to_be_bytes());
                Ok(Answer::Data(data))
            }
            op::READ_10 => self.read(be32(cdb, 2), be16(cdb, 7).into()),
            op::READ_12 => self.read(be32(cdb, 2), be32(cdb, 6)),
            op::READ_CD => self.read_cd(cdb),
            op::SEEK_10 => self.read(be32(cdb, 2), 1).map(|_| Answer::Done),
            op::VERIFY_10 => self.read(be32(cdb, 2), be16(cdb, 7).into()).map(|_| Answer::Done),
            op::READ_TOC => {
                let blocks = self.ready()?;
                // The format field moved: ATAPI drives had it in the last byte.
                let format = if cdb[2] & 0xf != 0 { cdb[2] & 0xf } else { cdb[9] >> 6 };
                let toc = toc::read(format, cdb[1] & 2 != 0, cdb[6], blocks);
                cut(toc.ok_or(Sense::INVALID_FIELD)?, be16(cdb, 7).into())
            }
            op::READ_SUB_CHANNEL => {
                self.ready()?;
                // No audio status, no sub-channel data.
                cut(vec![0, 0x15, 0, 0], be16(cdb, 7).into())
            }
            op::READ_DISC_INFORMATION if cdb[1] & 7 == 0 => {
                self.ready()?;
                cut(pages::disc_information(), be16(cdb, 7).into())
            }
            op::READ_TRACK_INFORMATION => {
                let blocks = self.ready()?;
                let data = pages::track_information(cdb[1] & 3, be32(cdb, 2), blocks);
                cut(data.ok_or(Sense::INVALID_FIELD)?, be16(cdb, 7).into())
            }
            op::READ_DISC_STRUCTURE => {
                let blocks = self.ready()?;
                if !pages::is_dvd(blocks) {
                    return Err(Sense::INCOMPATIBLE_MEDIUM);
                }
                let data = pages::disc_structure(cdb[7], cdb[6], blocks);
                cut(data.ok_or(Sense::INVALID_FIELD)?, be16(cdb, 8).into())
            }
            op::MODE_SENSE_6 => cut(self.mode_sense(cdb, 4)?, cdb[4].into()),
            op::MODE_SENSE_10 => cut(self.mode_sense(cdb, 8)?, be16(cdb, 7).into()),
            // No page has anything to change: what is sent is of no consequence.
            op::MODE_SELECT_6 | op::MODE_SELECT_10 | op::SET_CD_SPEED | op::SYNCHRONIZE_CACHE => {
                Ok(Answer::Done)
            }
            op::MECHANISM_STATUS => {
                // Door open (4) and a single slot (byte 5 counts slots of changers).
                let door = u8::from(self.state.tray_open) << 4;
                cut(vec![0, door, 0, 0, 0, 1, 0, 0], be16(cdb, 8).into())
            }
            _ => Err(Sense::INVALID_OPERATION_CODE),
        }
    }

    fn request_sense(&mut self, cdb: &[u8; 16]) -> Result<Answer> {
        let mut sense = std::mem::replace(&mut self.state.sense, Sense::NONE);
        if sense == Sense::NONE {
            sense = self.take_attention().unwrap_or(Sense::NONE);
        }
        cut(sense.fixed_format(), cdb[4].into())
    }

    fn inquiry(&mut self, cdb: &[u8; 16]) -> Result<Answer> {
        // No vital product data, as with any ATAPI drive.
        if cdb[1] & 1 != 0 || cdb[2] != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        cut(pages::inquiry(&self.identity), be16(cdb, 3).into())
    }

    fn mode_sense(&self, cdb: &[u8; 16], header: usize) -> Result<Vec<u8>> {
        let (control, page) = (cdb[2] >> 6, cdb[2] & 0x3f);
        if control == 3 {
            return Err(Sense::SAVING_NOT_SUPPORTED);
        }
        let state = &self.state;
        pages::mode_sense(header, page, control == 1, state.locked).ok_or(Sense::INVALID_FIELD)
    }

    /// START STOP UNIT: `action` holds load/eject (1) and start (0).
    fn start_stop(&mut self, action: u8) -> Result<Answer> {
        match action & 3 {
            2 if self.state.locked && !self.state.tray_open => {
                return Err(Sense::REMOVAL_PREVENTED);
            }
            2 => self.move_tray(true),
            3 => self.move_tray(false),
            // Spinning up or down takes no time.
            _ => {}
        }
        Ok(Answer::Done)
    }

    /// GET EVENT STATUS NOTIFICATION (MMC-6 §6.7): media events, when polled for.
    fn event_status(&mut self, cdb: &[u8; 16]) -> Result<Answer> {
        const MEDIA_CLASS: u8 = 4;
        if cdb[1] & 1 == 0 {
            return Err(Sense::INVALID_FIELD);
        }
        let allocation = be16(cdb, 7).into();
        if cdb[4] & 1 << MEDIA_CLASS == 0 {
            // No event of the classes asked for is supported.
            return cut(vec![0, 2, 0x80, 1 << MEDIA_CLASS], allocation);
        }
        let events = &mut self.state.events;
        // An event is only taken when there is room to tell it.
        let event = if allocation < 5 {
            0
        } else if std::mem::take(&mut events.eject_request) {
            1
        } else if std::mem::take(&mut events.removal) {
            3
        } else if std::mem::take(&mut events.new_medium) {
            2
        } else {
            0
        };
        let present = u8::from(self.ready_blocks().is_some()) << 1;
        let media = present | u8::from(self.state.tray_open);
        cut(vec![0, 6, MEDIA_CLASS, 1 << MEDIA_CLASS, event, media, 0, 0], allocation)
    }

    /// READ CD (MMC-6 §6.19) of user data.
    fn read_cd(&self, cdb: &[u8; 16]) -> Result<Answer> {
        let blocks = u32::from_be_bytes([0, cdb[6], cdb[7], cdb[8]]);
        // Any type, mode 1, or mode 2 form 1: blocks of 2048 bytes.
        let data_blocks = matches!(cdb[1] >> 2 & 7, 0 | 2 | 4);
        match cdb[9] & 0xf8 {
            0x00 => self.read(be32(cdb, 2), blocks).map(|_| Answer::Done),
            // User data and no sub-channel; headers and error correction are not on the image.
            0x10 if data_blocks && cdb[10] & 7 == 0 => self.read(be32(cdb, 2), blocks),
            _ => Err(Sense::INVALID_FIELD),
        }
    }
}

/// The registers when a packet command has succeeded.
fn end(fis: &HostFis) -> TaskFile {
    TaskFile { count: INTERRUPT_REASON_END, ..TaskFile::ok(fis) }
}
