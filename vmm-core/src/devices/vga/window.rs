//! The memory window at 0xA0000: how processor accesses reach the planes (IBM VGA technical
//! reference, "Graphics Controller"), and DISPI's banks.

use super::chip::Chip;
use super::registers::{MISC_RAM, Registers, gfx, seq};
use super::vram::Vram;

/// Length of the window: 0xA0000 to 0xBFFFF.
pub(super) const WINDOW: u64 = 128 << 10;

/// What an address in the window means.
enum Target {
    /// A byte of video memory.
    Linear(usize),
    /// An address for the graphics controller, and the largest plane offset.
    Planes { address: u32, wrap: u32 },
}

/// Four bits, each repeated over one plane's byte.
fn spread(nibble: u8) -> u32 {
    (0..4).filter(|plane| nibble >> plane & 1 != 0).map(|plane| 0xff << (8 * plane)).sum()
}

/// A byte repeated over the four planes.
fn repeat(byte: u8) -> u32 {
    u32::from(byte) * 0x0101_0101
}

impl Chip {
    /// Reads from `offset` in the window.
    pub(super) fn read_window(&mut self, vram: &Vram, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..WINDOW).zip(data) {
            *byte = match self.target(at as u32) {
                Some(Target::Linear(at)) => vram.read(at),
                Some(Target::Planes { address, wrap }) => self.vga.read_planes(vram, address, wrap),
                None => 0xff,
            };
        }
    }

    /// Writes to `offset` in the window.
    pub(super) fn write_window(&mut self, vram: &Vram, offset: u64, data: &[u8]) {
        for (at, &byte) in (offset..WINDOW).zip(data) {
            match self.target(at as u32) {
                Some(Target::Linear(at)) => vram.write(at, byte),
                Some(Target::Planes { address, wrap }) => {
                    self.vga.write_planes(vram, address, wrap, byte);
                }
                None => {}
            }
        }
    }

    fn target(&self, at: u32) -> Option<Target> {
        if let Some(bank) = self.dispi.linear_bank() {
            return (at < 0x1_0000).then_some(Target::Linear(bank + at as usize));
        }
        if self.vga.misc & MISC_RAM == 0 {
            return None;
        }
        let (base, len) = match self.vga.gfx[gfx::MISC] >> 2 & 3 {
            0 => (0, 0x2_0000),
            1 => (0, 0x1_0000),
            2 => (0x1_0000, 0x8000),
            _ => (0x1_8000, 0x8000),
        };
        let address = at.checked_sub(base).filter(|&address| address < len)?;
        let (bank, wrap) = self.dispi.planar_bank().unwrap_or((0, 0xffff));
        Some(Target::Planes { address: bank + address, wrap })
    }
}

impl Registers {
    fn chain4(&self) -> bool {
        self.seq[seq::MEMORY_MODE] & seq::CHAIN4 != 0
    }

    /// The plane offset for `address`: in place of address bits that select planes, those
    /// beyond 64 KiB reach the planes, so that the large window wastes nothing.
    fn plane_offset(&self, address: u32, wrap: u32) -> u32 {
        let offset = if self.chain4() {
            (address & !3) | (address >> 16 & 3)
        } else if self.gfx[gfx::MISC] & gfx::CHAIN_ODD_EVEN != 0 {
            (address & !1) | (address >> 16 & 1)
        } else {
            address
        };
        offset & wrap
    }

    fn read_planes(&mut self, vram: &Vram, address: u32, wrap: u32) -> u8 {
        self.latches = vram.planes(self.plane_offset(address, wrap));
        let mode = self.gfx[gfx::MODE];
        if mode & gfx::READ_MODE_1 != 0 {
            let differs = (self.latches ^ spread(self.gfx[gfx::COLOUR_COMPARE]))
                & spread(self.gfx[gfx::COLOUR_DONT_CARE]);
            return !differs.to_le_bytes().into_iter().fold(0, |all, plane| all | plane);
        }
        let map = u32::from(self.gfx[gfx::READ_MAP] & 3);
        let plane = if self.chain4() {
            address & 3
        } else if mode & gfx::READ_ODD_EVEN != 0 {
            (map & 2) | (address & 1)
        } else {
            map
        };
        (self.latches >> (8 * plane)) as u8
    }

    fn write_planes(&self, vram: &Vram, address: u32, wrap: u32, byte: u8) {
        let memory_mode = self.seq[seq::MEMORY_MODE];
        let selected = if self.chain4() {
            1 << (address & 3)
        } else if memory_mode & seq::NO_ODD_EVEN == 0 {
            // Planes 0 and 2 at even addresses, 1 and 3 at odd ones.
            0b0101 << (address & 1)
        } else {
            0b1111
        };
        let planes = spread(self.seq[seq::MAP_MASK] & selected);
        if planes != 0 {
            vram.set_planes(self.plane_offset(address, wrap), self.combine(byte), planes);
        }
    }

    /// What a write of `byte` puts on the four planes (write modes 0 to 3).
    fn combine(&self, byte: u8) -> u32 {
        let rotate = self.gfx[gfx::ROTATE];
        let rotated = byte.rotate_right(u32::from(rotate & 7));
        let set_reset = spread(self.gfx[gfx::SET_RESET]);
        let bit_mask = self.gfx[gfx::BIT_MASK];
        let (value, mask) = match self.gfx[gfx::MODE] & 3 {
            0 => {
                let enable = spread(self.gfx[gfx::ENABLE_SET_RESET]);
                ((repeat(rotated) & !enable) | (set_reset & enable), bit_mask)
            }
            1 => return self.latches,
            2 => (spread(byte & 0x0f), bit_mask),
            _ => (set_reset, bit_mask & rotated),
        };
        let value = match rotate >> 3 & 3 {
            0 => value,
            1 => value & self.latches,
            2 => value | self.latches,
            _ => value ^ self.latches,
        };
        let mask = repeat(mask);
        (value & mask) | (self.latches & !mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in mode 12h: four planes at 0xA0000.
    fn planar() -> (Chip, Vram) {
        let mut chip = Chip::default();
        chip.vga.misc = MISC_RAM;
        chip.vga.seq[seq::MAP_MASK] = 0x0f;
        chip.vga.seq[seq::MEMORY_MODE] = 0x06;
        chip.vga.gfx[gfx::MISC] = 0x05;
        chip.vga.gfx[gfx::BIT_MASK] = 0xff;
        chip.vga.gfx[gfx::COLOUR_DONT_CARE] = 0x0f;
        (chip, Vram::new().unwrap())
    }

    fn read(chip: &mut Chip, vram: &Vram, at: u64) -> u8 {
        let mut data = [0];
        chip.read_window(vram, at, &mut data);
        data[0]
    }

    #[test]
    fn write_mode_0_rotates_sets_and_masks() {
        let (mut chip, vram) = planar();
        vram.set_planes(5, 0x0f0f_0f0f, !0);
        read(&mut chip, &vram, 5);
        chip.vga.gfx[gfx::SET_RESET] = 0b0010;
        chip.vga.gfx[gfx::ENABLE_SET_RESET] = 0b0110;
        chip.vga.gfx[gfx::ROTATE] = 4;
        chip.vga.gfx[gfx::BIT_MASK] = 0xf8;
        chip.write_window(&vram, 5, &[0x1a]);
        // Planes 0 and 3 take 0xA1, plane 1 ones, plane 2 zeroes; the low three bits stay.
        assert_eq!(vram.planes(5), 0xa707_ffa7);
    }

    #[test]
    fn logical_operations_use_the_latches() {
        for (operation, expected) in [(1, 0x0c), (2, 0x3f), (3, 0x33)] {
            let (mut chip, vram) = planar();
            vram.set_planes(0, repeat(0x0f), !0);
            read(&mut chip, &vram, 0);
            chip.vga.gfx[gfx::ROTATE] = operation << 3;
            chip.write_window(&vram, 0, &[0x3c]);
            assert_eq!(vram.planes(0), repeat(expected));
        }
    }

    #[test]
    fn write_mode_1_copies_and_2_and_3_colour() {
        let (mut chip, vram) = planar();
        vram.set_planes(0, 0x1234_5678, !0);
        read(&mut chip, &vram, 0);
        chip.vga.gfx[gfx::MODE] = 1;
        chip.write_window(&vram, 9, &[0xff]);
        assert_eq!(vram.planes(9), 0x1234_5678);

        chip.vga.gfx[gfx::MODE] = 2;
        chip.vga.gfx[gfx::BIT_MASK] = 0xf0;
        chip.vga.latches = 0;
        chip.write_window(&vram, 10, &[0b1001]);
        assert_eq!(vram.planes(10), 0xf000_00f0);

        chip.vga.gfx[gfx::MODE] = 3;
        chip.vga.gfx[gfx::SET_RESET] = 0b0100;
        chip.vga.gfx[gfx::BIT_MASK] = 0x3c;
        chip.vga.latches = repeat(0xff);
        chip.write_window(&vram, 11, &[0x0f]);
        assert_eq!(vram.planes(11), 0xf3ff_f3f3);
    }

    #[test]
    fn reads_select_a_plane_or_compare_colours() {
        let (mut chip, vram) = planar();
        // Pixels, leftmost first: 3, 5, 0, ... 0.
        vram.set_planes(0, 0x0040_80c0, !0);
        chip.vga.gfx[gfx::READ_MAP] = 1;
        assert_eq!(read(&mut chip, &vram, 0), 0x80);
        chip.vga.gfx[gfx::MODE] = gfx::READ_MODE_1;
        chip.vga.gfx[gfx::COLOUR_COMPARE] = 3;
        assert_eq!(read(&mut chip, &vram, 0), 0x80);
        chip.vga.gfx[gfx::COLOUR_DONT_CARE] = 0b0001;
        assert_eq!(read(&mut chip, &vram, 0), 0xc0);
    }

    #[test]
    fn text_addresses_alternate_between_planes() {
        let (mut chip, vram) = planar();
        chip.vga.seq[seq::MAP_MASK] = 0x03;
        chip.vga.seq[seq::MEMORY_MODE] = 0x02;
        chip.vga.gfx[gfx::MODE] = gfx::READ_ODD_EVEN;
        chip.vga.gfx[gfx::MISC] = 0x0e;
        chip.write_window(&vram, 0x1_8002, &[b'A', 0x07]);
        assert_eq!(vram.planes(2), 0x0000_0741);
        let mut data = [0; 4];
        chip.read_window(&vram, 0x1_8002, &mut data);
        assert_eq!(data, [b'A', 0x07, 0, 0]);
        assert_eq!(read(&mut chip, &vram, 0x1_0002), 0xff);
        assert_eq!(read(&mut chip, &vram, 2), 0xff);
    }

    #[test]
    fn chain_4_spreads_pixels_over_planes() {
        let (mut chip, vram) = planar();
        chip.vga.seq[seq::MEMORY_MODE] = 0x0e;
        chip.write_window(&vram, 4, &[1, 2, 3, 4]);
        assert_eq!(vram.planes(4), 0x0403_0201);
        let mut data = [0; 4];
        chip.read_window(&vram, 4, &mut data);
        assert_eq!(data, [1, 2, 3, 4]);
    }

    #[test]
    fn accesses_end_with_the_window() {
        let (mut chip, vram) = planar();
        chip.vga.gfx[gfx::MISC] = 0x01;
        let mut data = [9; 8];
        chip.write_window(&vram, WINDOW - 1, &[0x55; 8]);
        chip.read_window(&vram, WINDOW - 1, &mut data);
        assert_eq!(data, [0x55, 9, 9, 9, 9, 9, 9, 9]);
        chip.read_window(&vram, u64::MAX, &mut data);
        chip.vga.misc = 0;
        assert_eq!(read(&mut chip, &vram, 0), 0xff);
    }
}
