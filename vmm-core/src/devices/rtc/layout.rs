//! What firmware finds in the bytes of CMOS memory that the clock does not use.
//!
//! The layout is the IBM PC/AT's; the bytes for memory above 16 MiB and 4 GiB and for the number
//! of CPUs are what SeaBIOS and OVMF read on virtual machines.

use crate::units::Bytes;

/// Where firmware looks for something to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootDevice {
    /// The first hard disk.
    Disk = 2,
    /// The first CD-ROM drive.
    Cdrom = 3,
    /// A network card's ROM.
    Network = 4,
}

/// What the CMOS memory tells firmware about the machine.
#[derive(Debug, Clone)]
pub struct CmosLayout {
    /// RAM from address 0 up to the hole below 4 GiB.
    pub ram_below_4g: Bytes,
    /// RAM from 4 GiB up.
    pub ram_above_4g: Bytes,
    /// Number of vCPUs, 1 to 256.
    pub cpus: u16,
    /// What to start from, in this order; firmware tries three at most.
    pub boot_order: Vec<BootDevice>,
}

/// Bit 1: a floating-point unit; bit 2: a PS/2 mouse.
const EQUIPMENT: (u8, u8) = (0x14, 0x06);
/// Memory below 1 MiB in KiB, little-endian: all PCs have 640.
const BASE_MEMORY: (u8, u16) = (0x15, 640);
/// Memory above 1 MiB in KiB, at most 65535; there are two copies.
const EXTENDED_MEMORY: [u8; 2] = [0x17, 0x30];
/// Memory from 16 MiB to 4 GiB in units of 64 KiB.
const MEMORY_ABOVE_16M: u8 = 0x34;
/// Memory above 4 GiB in units of 64 KiB, three bytes.
const MEMORY_ABOVE_4G: u8 = 0x5b;
/// High half: third boot device. Bit 0: start from a floppy disk without its signature.
const BOOT_THIRD: u8 = 0x38;
/// Low half: first boot device, high half: second.
const BOOT_FIRST_SECOND: u8 = 0x3d;
/// Number of CPUs less one.
const CPUS: u8 = 0x5f;
/// Sum of the bytes 0x10 to 0x2d, big-endian.
const CHECKSUM: u8 = 0x2e;

impl CmosLayout {
    /// Writes the bytes that describe the machine; the others stay.
    pub(super) fn apply(&self, cmos: &mut [u8; super::chip::CMOS_BYTES]) {
        let mut set = |first: u8, bytes: &[u8]| {
            let first = usize::from(first);
            cmos[first..first + bytes.len()].copy_from_slice(bytes);
        };
        set(EQUIPMENT.0, &[EQUIPMENT.1]);
        set(BASE_MEMORY.0, &BASE_MEMORY.1.to_le_bytes());
        let above_1m = saturating_u16(self.ram_below_4g.0.saturating_sub(1 << 20) >> 10);
        for first in EXTENDED_MEMORY {
            set(first, &above_1m.to_le_bytes());
        }
        let above_16m = saturating_u16(self.ram_below_4g.0.saturating_sub(16 << 20) >> 16);
        set(MEMORY_ABOVE_16M, &above_16m.to_le_bytes());
        let above_4g = (self.ram_above_4g.0 >> 16).min(0xff_ffff).to_le_bytes();
        set(MEMORY_ABOVE_4G, &above_4g[..3]);
        set(CPUS, &[u8::try_from(self.cpus.saturating_sub(1)).unwrap_or(u8::MAX)]);

        let boot = |n: usize| self.boot_order.get(n).map_or(0, |device| *device as u8);
        set(BOOT_FIRST_SECOND, &[boot(0) | (boot(1) << 4)]);
        set(BOOT_THIRD, &[(boot(2) << 4) | 1]);

        let sum: u16 = cmos[0x10..=0x2d].iter().map(|byte| u16::from(*byte)).sum();
        let checksum = usize::from(CHECKSUM);
        cmos[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

fn saturating_u16(n: u64) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_finds_the_machine() {
        let mut cmos = [0; 128];
        let layout = CmosLayout {
            ram_below_4g: Bytes::gib(2),
            ram_above_4g: Bytes::gib(6),
            cpus: 4,
            boot_order: vec![BootDevice::Cdrom, BootDevice::Disk],
        };
        layout.apply(&mut cmos);
        assert_eq!(cmos[0x15..0x19], [0x80, 0x02, 0xff, 0xff]);
        assert_eq!(cmos[0x34..0x36], 0x7f00u16.to_le_bytes());
        assert_eq!(cmos[0x5b..0x5e], [0, 0x80, 0x01]);
        assert_eq!((cmos[0x3d], cmos[0x38], cmos[0x5f]), (0x23, 0x01, 3));
        let sum: u32 = cmos[0x10..0x2e].iter().map(|b| u32::from(*b)).sum();
        assert_eq!(sum, u32::from(cmos[0x2e]) << 8 | u32::from(cmos[0x2f]));
    }
}
