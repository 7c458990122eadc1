//! The boot catalogue of a medium: El Torito 1.0 §2, and what UEFI 2.10 §13.3.2.1 makes of it.

use std::io;

use super::sectors::{SECTOR, Sectors};
use super::volume::{u16_at, u32_at};

/// Size of an entry.
const ENTRY: usize = 32;
/// How many sectors of a catalogue are looked at: entries for 192 images, where media have two.
const MAX_SECTORS: u64 = 3;
/// First bytes of entries (El Torito 1.0 figures 2 to 6).
const VALIDATION: u8 = 1;
const BOOTABLE: u8 = 0x88;
const SECTION: u8 = 0x90;
const LAST_SECTION: u8 = 0x91;
/// Platforms.
const X86: u8 = 0;
const EFI: u8 = 0xef;

/// Which firmware can start from a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootKinds {
    /// A BIOS.
    pub bios: bool,
    /// UEFI.
    pub uefi: bool,
}

impl BootKinds {
    /// Whether any can.
    pub fn any(self) -> bool {
        self.bios || self.uefi
    }
}

/// Reads the catalogue at sector `first`. A damaged one starts nothing, as with firmware.
pub(super) fn read(medium: &impl Sectors, first: u32) -> io::Result<BootKinds> {
    let mut bytes = Vec::with_capacity(SECTOR * MAX_SECTORS as usize);
    for number in 0..MAX_SECTORS {
        bytes.extend(medium.sector(u64::from(first) + number)?);
    }
    let mut kinds = BootKinds::default();
    let mut entries = bytes.chunks_exact(ENTRY);
    let Some(validation) = entries.next().filter(|entry| is_valid(entry)) else {
        return Ok(kinds);
    };
    let mut platform = validation[1];
    // Entries left in the section; the first is the initial entry's.
    let mut left = 1;
    let mut last = false;
    for entry in entries {
        match entry[0] {
            SECTION | LAST_SECTION if left == 0 && !last => {
                platform = entry[1];
                left = u16_at(entry, 2);
                last = entry[0] == LAST_SECTION;
            }
            BOOTABLE if left > 0 => {
                left -= 1;
                let start = u64::from(u32_at(entry, 8)) * SECTOR as u64;
                if start == 0 || start >= medium.len() {
                    continue;
                }
                match platform {
                    X86 => kinds.bios = true,
                    EFI => kinds.uefi = true,
                    _ => {}
                }
            }
            // Not bootable, or an extension of the entry before.
            0 if left > 0 => left -= 1,
            0x44 => {}
            _ => break,
        }
    }
    Ok(kinds)
}

/// The validation entry: its key bytes, and 16-bit words that add up to zero.
fn is_valid(entry: &[u8]) -> bool {
    let sum = (0..ENTRY / 2).fold(0u16, |sum, word| sum.wrapping_add(u16_at(entry, 2 * word)));
    entry[0] == VALIDATION && entry[30..] == [0x55, 0xaa] && sum == 0
}
