//! Reads, writes and TRIM: from the registers of a command to bytes on the image.

use super::super::fis::HostFis;
use super::super::task::{Command, Outcome, Phase, TaskFile, Work, error};
use super::{Disk, Power, SECTOR, command as c};

/// In the device register: the address is an LBA; forced unit access (queued writes).
const LBA_MODE: u8 = 1 << 6;
const FUA: u8 = 1 << 7;

/// DATA SET MANAGEMENT in the features register: TRIM.
const TRIM: u16 = 1 << 0;
/// 512-byte blocks of ranges that one TRIM may bring.
pub(super) const MAX_TRIM_BLOCKS: u16 = 8;

/// A count of zero means the most there is.
fn sectors(count: u16, extended: bool) -> u64 {
    match (count, extended) {
        (0, true) => 65536,
        (count, true) => u64::from(count),
        (count, false) if count & 0xff == 0 => 256,
        (count, false) => u64::from(count & 0xff),
    }
}

impl Disk {
    /// The first sector that a command names (ATA8-ACS §6.4); `None` for an impossible one.
    fn first_sector(&self, fis: &HostFis, extended: bool) -> Option<u64> {
        if extended {
            return Some(fis.lba);
        }
        let high = u64::from(fis.device & 0x0f);
        if fis.device & LBA_MODE != 0 {
            return Some(high << 24 | fis.lba & 0xff_ffff);
        }
        let (sector, cylinder) = (fis.lba & 0xff, fis.lba >> 8 & 0xffff);
        let (heads, track) = (u64::from(self.state.heads), u64::from(self.state.sectors));
        let valid = (1..=track).contains(&sector) && high < heads;
        valid.then(|| (cylinder * heads + high) * track + sector - 1)
    }

    /// Byte offset and length, when all of it is on the disk.
    fn range(&self, first: u64, sectors: u64) -> Option<(u64, u64)> {
        let end = first.checked_add(sectors)?;
        (end <= self.sectors()).then_some((first * SECTOR, sectors * SECTOR))
    }

    fn target(&mut self, fis: &HostFis, extended: bool) -> Option<(u64, u64)> {
        self.state.power = Power::Active;
        let first = self.first_sector(fis, extended)?;
        self.range(first, sectors(fis.count, extended))
    }

    pub(super) fn read(&mut self, fis: &HostFis, extended: bool, phase: Phase) -> Outcome {
        let Some((offset, bytes)) = self.target(fis, extended) else {
            return Outcome::plain(TaskFile::failed(fis, error::IDNF));
        };
        let work = Work::Transfer { write: false, offset, bytes, then_flush: false };
        Outcome::Work { work, phase, done: TaskFile::ok(fis) }
    }

    pub(super) fn write(&mut self, fis: &HostFis, extended: bool, fua: bool) -> Outcome {
        let Some((offset, bytes)) = self.target(fis, extended) else {
            return Outcome::plain(TaskFile::failed(fis, error::IDNF));
        };
        if self.image.read_only() {
            return Outcome::plain(TaskFile::failed(fis, error::ABRT));
        }
        let then_flush = fua || !self.state.write_cache;
        let work = Work::Transfer { write: true, offset, bytes, then_flush };
        Outcome::Work { work, phase: Phase::Register, done: TaskFile::ok(fis) }
    }

    pub(super) fn verify(&mut self, fis: &HostFis, extended: bool) -> Outcome {
        Outcome::plain(match self.target(fis, extended) {
            Some(_) => TaskFile::ok(fis),
            None => TaskFile::failed(fis, error::IDNF),
        })
    }

    /// READ and WRITE FPDMA QUEUED (Serial ATA 2.6 §13.6): the count is in the features
    /// register, the tag in the count register.
    pub(super) fn queued(&mut self, command: &Command<'_>) -> Outcome {
        let fis = &command.fis;
        let write = fis.command == c::WRITE_FPDMA_QUEUED;
        let failed = |error| Outcome::Reply {
            task_file: TaskFile::failed(fis, error),
            phase: Phase::Queued,
            data: Vec::new(),
        };
        self.state.power = Power::Active;
        // AHCI requires the tag to be the slot (AHCI 1.3.1 §5.6.4.1).
        if fis.count >> 3 & 0x1f != u16::from(command.slot) || (write && self.image.read_only()) {
            return failed(error::ABRT);
        }
        let Some((offset, bytes)) = self.range(fis.lba, sectors(fis.features, true)) else {
            return failed(error::IDNF);
        };
        let then_flush = write && (fis.device & FUA != 0 || !self.state.write_cache);
        let work = Work::Transfer { write, offset, bytes, then_flush };
        Outcome::Work { work, phase: Phase::Queued, done: TaskFile::ok(fis) }
    }

    /// DATA SET MANAGEMENT with TRIM (ATA8-ACS-2 §7.5): 64 ranges a block, 48 bits of LBA and
    /// 16 bits of count each. All ranges are checked before any is given up.
    pub(super) fn data_set_management(&mut self, command: &Command<'_>) -> Outcome {
        let fis = &command.fis;
        let valid = fis.features & TRIM != 0
            && (1..=MAX_TRIM_BLOCKS).contains(&fis.count)
            && !self.image.read_only();
        if !valid {
            return Outcome::plain(TaskFile::failed(fis, error::ABRT));
        }
        let list = match command.buffer.read(usize::from(fis.count) * 512) {
            Ok(list) => list,
            Err(problem) => return Outcome::BadBuffer(problem),
        };
        self.state.power = Power::Active;
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for entry in list.chunks_exact(8) {
            let entry = entry.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
            let (first, count) = (entry & 0xffff_ffff_ffff, entry >> 48);
            if count == 0 {
                continue;
            }
            let Some((offset, len)) = self.range(first, count) else {
                return Outcome::plain(TaskFile::failed(fis, error::IDNF));
            };
            match ranges.last_mut() {
                // A long range comes as several: 65535 sectors are the most for one.
                Some(last) if last.0 + last.1 == offset => last.1 += len,
                _ => ranges.push((offset, len)),
            }
        }
        if ranges.is_empty() {
            return Outcome::plain(TaskFile::ok(fis));
        }
        ranges.reverse();
        let work = Work::Discard(ranges);
        Outcome::Work { work, phase: Phase::Register, done: TaskFile::ok(fis) }
    }
}
