//! IDENTIFY DEVICE (ATA8-ACS §7.16.7).

use super::super::identity::Words;
use super::transfer::MAX_TRIM_BLOCKS;
use super::{Disk, MAX_MULTIPLE};

/// The most cylinders that a geometry can tell; larger disks say so and mean "use LBA".
const MAX_CYLINDERS: u64 = 16383;

impl Disk {
    pub(super) fn identify(&self) -> Vec<u8> {
        let state = &self.state;
        let total = self.sectors();
        let cylinders = |heads: u8, sectors: u8| {
            (total / (u64::from(heads) * u64::from(sectors))).min(MAX_CYLINDERS) as u16
        };
        let mut words = Words::new();
        words.set_identity(&self.identity);
        // A fixed disk.
        words.set(0, &[0x0040]);
        words.set(1, &[cylinders(16, 63)]);
        words.set(3, &[16]);
        words.set(6, &[63]);
        words.set(47, &[0x8000 | u16::from(MAX_MULTIPLE)]);
        // Standby timer (13), IORDY (11, 10), LBA (9), DMA (8).
        words.set(49, &[0x2f00, 0x4000]);
        // Words 54-58, 64-70 and 88 are valid.
        words.set(53, &[0x0007]);
        let current = cylinders(state.heads, state.sectors);
        let (heads, sectors) = (u16::from(state.heads), u16::from(state.sectors));
        words.set(54, &[current, heads, sectors]);
        words.set_u32(57, u32::from(current) * u32::from(heads) * u32::from(sectors));
        if state.multiple > 0 {
            words.set(59, &[0x0100 | u16::from(state.multiple)]);
        }
        words.set_u32(60, total.min(0x0fff_ffff) as u32);
        words.set(63, &[state.mode.word_63()]);
        // PIO modes 3 and 4; 120 ns for every kind of cycle.
        words.set(64, &[0x0003, 120, 120, 120, 120]);
        // 32 queued commands.
        words.set(75, &[31]);
        // NCQ (8), 3 and 1.5 Gbit/s (2, 1).
        words.set(76, &[0x0106]);
        // ATA8-ACS down to ATA/ATAPI-5.
        words.set(80, &[0x01e0]);
        // NOP (14), look-ahead (6), write cache (5), power management (3), SMART (0).
        words.set(82, &[0x4069]);
        // FLUSH CACHE EXT (13) and FLUSH CACHE (12), 48-bit addresses (10).
        words.set(83, &[0x7400]);
        // FUA writes (6), general purpose logging (5).
        words.set(84, &[0x4060]);
        let mut enabled = 0x4008;
        enabled |= u16::from(state.look_ahead) << 6;
        enabled |= u16::from(state.write_cache) << 5;
        enabled |= u16::from(state.smart);
        // The same, as far as enabled; words 119 and 120 are valid (15).
        words.set(85, &[enabled, 0xb400, 0x4060]);
        words.set(88, &[state.mode.word_88()]);
        words.set_u32(100, total as u32);
        words.set_u32(102, (total >> 32) as u32);
        if !self.image.read_only() {
            words.set(105, &[MAX_TRIM_BLOCKS]);
            words.set(169, &[0x0001]);
        }
        // Eight logical sectors of 512 bytes in a physical one: what lies below has pages and
        // clusters of 4 KiB or more, and guests align to this.
        words.set(106, &[0x6003]);
        words.set(209, &[0x4000]);
        words.set(119, &[0x4000, 0x4000]);
        // Does not rotate.
        words.set(217, &[0x0001]);
        // Serial ATA up to 2.6.
        words.set(222, &[0x101f]);
        words.into_page()
    }
}
