//! The VGA register file and its ports (IBM VGA technical reference; the FreeVGA project's
//! register reference is the common restatement).
//!
//! What the registers mean for memory accesses is in [`super::window`], for the picture in
//! [`super::scanout`].

use serde::{Deserialize, Serialize};

use super::crtc::Crtc;
use super::dac::Dac;

/// Misc output: the CRTC answers at 0x3Dx (colour) rather than 0x3Bx (monochrome).
pub(super) const MISC_COLOUR: u8 = 1 << 0;
/// Misc output: the memory window answers.
pub(super) const MISC_RAM: u8 = 1 << 1;

/// Sequencer register indices and bits.
pub(super) mod seq {
    pub(in super::super) const CLOCKING: usize = 1;
    pub(in super::super) const MAP_MASK: usize = 2;
    pub(in super::super) const CHARACTER_MAP: usize = 3;
    pub(in super::super) const MEMORY_MODE: usize = 4;
    /// Clocking: characters are eight dots wide, else nine.
    pub(in super::super) const EIGHT_DOTS: u8 = 1 << 0;
    /// Clocking: every dot lasts two dot clocks.
    pub(in super::super) const HALF_CLOCK: u8 = 1 << 3;
    /// Clocking: the screen is off.
    pub(in super::super) const SCREEN_OFF: u8 = 1 << 5;
    /// Memory mode: address bit 0 does not select planes.
    pub(in super::super) const NO_ODD_EVEN: u8 = 1 << 2;
    /// Memory mode: the low two address bits select the plane.
    pub(in super::super) const CHAIN4: u8 = 1 << 3;
    pub(super) const MASKS: [u8; 5] = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];
}

/// Graphics controller register indices and bits.
pub(super) mod gfx {
    pub(in super::super) const SET_RESET: usize = 0;
    pub(in super::super) const ENABLE_SET_RESET: usize = 1;
    pub(in super::super) const COLOUR_COMPARE: usize = 2;
    pub(in super::super) const ROTATE: usize = 3;
    pub(in super::super) const READ_MAP: usize = 4;
    pub(in super::super) const MODE: usize = 5;
    pub(in super::super) const MISC: usize = 6;
    pub(in super::super) const COLOUR_DONT_CARE: usize = 7;
    pub(in super::super) const BIT_MASK: usize = 8;
    /// Mode: read mode 1, colour compare.
    pub(in super::super) const READ_MODE_1: u8 = 1 << 3;
    /// Mode: reads select planes by address bit 0.
    pub(in super::super) const READ_ODD_EVEN: u8 = 1 << 4;
    /// Mode: four-colour shift (CGA).
    pub(in super::super) const SHIFT_INTERLEAVE: u8 = 1 << 5;
    /// Mode: 256-colour shift.
    pub(in super::super) const SHIFT_256: u8 = 1 << 6;
    /// Misc: graphics rather than text.
    pub(in super::super) const GRAPHICS: u8 = 1 << 0;
    /// Misc: address bit 0 does not reach the planes.
    pub(in super::super) const CHAIN_ODD_EVEN: u8 = 1 << 1;
    pub(super) const MASKS: [u8; 9] = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
}

/// Attribute controller register indices and bits.
pub(super) mod attr {
    pub(in super::super) const MODE: usize = 0x10;
    pub(in super::super) const PLANE_ENABLE: usize = 0x12;
    pub(in super::super) const PEL_PAN: usize = 0x13;
    pub(in super::super) const COLOUR_SELECT: usize = 0x14;
    /// Index: the palette is the display's rather than the guest's; clear, the screen is dark.
    pub(in super::super) const PALETTE_SOURCE: u8 = 1 << 5;
    /// Mode: monochrome attributes.
    pub(in super::super) const MONO: u8 = 1 << 1;
    /// Mode: the ninth dot of line-drawing characters repeats the eighth.
    pub(in super::super) const LINE_GRAPHICS: u8 = 1 << 2;
    /// Mode: attribute bit 7 blinks rather than brightens the background.
    pub(in super::super) const BLINK: u8 = 1 << 3;
    /// Mode: panning ends at the line compare.
    pub(in super::super) const PAN_SPLIT: u8 = 1 << 5;
    /// Mode: colour select gives palette bits 4 and 5.
    pub(in super::super) const PALETTE_54: u8 = 1 << 7;
    pub(super) const COUNT: usize = 0x15;
    pub(super) fn mask(index: usize) -> u8 {
        match index {
            MODE => 0xef,
            0x11 => 0xff,
            PEL_PAN | COLOUR_SELECT => 0x0f,
            _ => 0x3f,
        }
    }
}

/// All VGA registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registers {
    /// Miscellaneous output.
    pub(super) misc: u8,
    feature: u8,
    seq_index: u8,
    /// Sequencer.
    pub(super) seq: [u8; 5],
    gfx_index: u8,
    /// Graphics controller.
    pub(super) gfx: [u8; 9],
    /// Attribute controller's index with its palette source bit.
    pub(super) attr_index: u8,
    /// Whether the next write to 0x3C0 is data rather than an index.
    attr_data_next: bool,
    /// Attribute controller.
    pub(super) attr: [u8; attr::COUNT],
    pub(super) crtc: Crtc,
    pub(super) dac: Dac,
    /// The latches: the four planes at the last address read, plane 0 lowest.
    pub(super) latches: u32,
}

impl Registers {
    /// Whether a restored state is one that the ports could have made: no register has bits that
    /// it does not hold.
    pub(super) fn is_valid(&self) -> bool {
        let fits = |registers: &[u8], masks: &[u8]| {
            registers.iter().zip(masks).all(|(register, mask)| register & !mask == 0)
        };
        fits(&self.seq, &seq::MASKS)
            && fits(&self.gfx, &gfx::MASKS)
            && fits(&self.attr, &std::array::from_fn::<_, { attr::COUNT }, _>(attr::mask))
            && self.dac.is_valid()
    }

    /// The port at which a port of the CRTC's block is known to the decoder below (0x3Dx), or
    /// none when the block answers elsewhere.
    fn decode(&self, port: u16) -> Option<u16> {
        let colour = self.misc & MISC_COLOUR != 0;
        match port {
            0x3b0..=0x3bf => (!colour).then_some(port + 0x20),
            0x3d0..=0x3df => colour.then_some(port),
            _ => Some(port),
        }
    }

    /// Reads a port; ones where nothing answers. `status1` makes input status 1.
    pub(super) fn read(&mut self, port: u16, status1: impl FnOnce(&Crtc) -> u8) -> u8 {
        self.decode(port).map_or(0xff, |port| self.read_decoded(port, status1))
    }

    /// Reads a port, the CRTC's at 0x3Dx whatever the misc output register says.
    pub(super) fn read_decoded(&mut self, port: u16, status1: impl FnOnce(&Crtc) -> u8) -> u8 {
        match port {
            0x3c0 => self.attr_index,
            0x3c1 => self.attr.get(usize::from(self.attr_index & 0x1f)).copied().unwrap_or(0),
            // Input status 0: the sense comparator says that a monitor is there.
            0x3c2 => 0x10,
            0x3c4 => self.seq_index,
            0x3c5 => self.seq.get(usize::from(self.seq_index)).copied().unwrap_or(0),
            0x3c6 => self.dac.mask,
            0x3c7 => self.dac.state(),
            0x3c8 => self.dac.write_index(),
            0x3c9 => self.dac.read_data(),
            0x3ca => self.feature,
            0x3cc => self.misc,
            0x3ce => self.gfx_index,
            0x3cf => self.gfx.get(usize::from(self.gfx_index)).copied().unwrap_or(0),
            0x3d4 => self.crtc.index(),
            0x3d5 => self.crtc.read(),
            0x3da => {
                self.attr_data_next = false;
                status1(&self.crtc)
            }
            _ => 0xff,
        }
    }

    /// Writes a port.
    pub(super) fn write(&mut self, port: u16, value: u8) {
        if let Some(port) = self.decode(port) {
            self.write_decoded(port, value);
        }
    }

    /// Writes a port, the CRTC's at 0x3Dx whatever the misc output register says.
    pub(super) fn write_decoded(&mut self, port: u16, value: u8) {
        match port {
            0x3c0 => self.write_attribute(value),
            0x3c2 => self.misc = value,
            0x3c4 => self.seq_index = value & 0x07,
            0x3c5 => {
                let index = usize::from(self.seq_index);
                if let (Some(register), Some(mask)) =
                    (self.seq.get_mut(index), seq::MASKS.get(index))
                {
                    *register = value & mask;
                }
            }
            0x3c6 => self.dac.mask = value,
            0x3c7 => self.dac.set_read_index(value),
            0x3c8 => self.dac.set_write_index(value),
            0x3c9 => self.dac.write_data(value),
            0x3ce => self.gfx_index = value & 0x0f,
            0x3cf => {
                let index = usize::from(self.gfx_index);
                if let (Some(register), Some(mask)) =
                    (self.gfx.get_mut(index), gfx::MASKS.get(index))
                {
                    *register = value & mask;
                }
            }
            0x3d4 => self.crtc.set_index(value),
            0x3d5 => self.crtc.write(value),
            0x3da => self.feature = value & 0x03,
            _ => {}
        }
    }

    fn write_attribute(&mut self, value: u8) {
        if self.attr_data_next {
            let index = usize::from(self.attr_index & 0x1f);
            // While the display uses the palette the guest cannot write it.
            let locked = index < 16 && self.attr_index & attr::PALETTE_SOURCE != 0;
            if let Some(register) = self.attr.get_mut(index).filter(|_| !locked) {
                *register = value & attr::mask(index);
            }
        } else {
            self.attr_index = value & 0x3f;
        }
        self.attr_data_next = !self.attr_data_next;
    }

    /// The pixel for a four-bit colour, through attribute palette and DAC.
    pub(super) fn pixel16(&self, colour: u8) -> u32 {
        let colour = colour & self.attr[attr::PLANE_ENABLE] & 0x0f;
        let entry = self.attr[usize::from(colour)];
        let select = self.attr[attr::COLOUR_SELECT];
        let low = if self.attr[attr::MODE] & attr::PALETTE_54 != 0 {
            (entry & 0x0f) | (select & 0x03) << 4
        } else {
            entry
        };
        self.dac.pixel(low | (select & 0x0c) << 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_flip_flop_is_reset_by_status_1() {
        let mut regs = Registers { misc: MISC_COLOUR, ..Registers::default() };
        regs.write(0x3c0, 0x10);
        regs.read(0x3da, |_| 0);
        regs.write(0x3c0, 0x13);
        regs.write(0x3c0, 0xff);
        assert_eq!(regs.attr[0x13], 0x0f);
        assert_eq!(regs.attr[0x10], 0);
        // At the other address the read has no effect.
        regs.write(0x3c0, 0x12);
        assert_eq!(regs.read(0x3ba, |_| 0), 0xff);
        regs.write(0x3c0, 0x05);
        assert_eq!(regs.attr[0x12], 0x05);
    }

    #[test]
    fn the_crtc_moves_with_the_misc_register() {
        let mut regs = Registers::default();
        regs.write(0x3b4, 0x0f);
        regs.write(0x3b5, 0x42);
        assert_eq!(regs.read(0x3d5, |_| 0), 0xff);
        assert_eq!(regs.read(0x3b5, |_| 0), 0x42);
        regs.write(0x3c2, MISC_COLOUR);
        assert_eq!(regs.read(0x3d5, |_| 0), 0x42);
        assert_eq!(regs.read(0x3b5, |_| 0), 0xff);
    }

    #[test]
    fn the_palette_is_locked_while_shown() {
        let mut regs = Registers::default();
        for value in [0x01, 0x2a, 0x21, 0x15] {
            regs.write(0x3c0, value);
        }
        assert_eq!(regs.attr[1], 0x2a);
    }

    #[test]
    fn colour_select_extends_the_palette() {
        let mut regs = Registers::default();
        regs.attr[attr::PLANE_ENABLE] = 0x0f;
        regs.attr[5] = 0x3f;
        regs.attr[attr::COLOUR_SELECT] = 0x0e;
        regs.dac.set_write_index(0xff);
        [1, 1, 1].into_iter().for_each(|v| regs.dac.write_data(v));
        regs.dac.set_write_index(0xef);
        [2, 2, 2].into_iter().for_each(|v| regs.dac.write_data(v));
        assert_eq!(regs.pixel16(5), regs.dac.pixel(0xff));
        regs.attr[attr::MODE] = attr::PALETTE_54;
        assert_eq!(regs.pixel16(5), regs.dac.pixel(0xef));
    }
}
