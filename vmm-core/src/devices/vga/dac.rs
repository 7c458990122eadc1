//! The palette DAC: 256 colours and the four ports that reach them
//! (IBM VGA technical reference, "Video Digital-to-Analog Converter").

use serde::{Deserialize, Serialize};

/// Palette entries.
const ENTRIES: usize = 256;

/// The DAC's registers. Colours are kept with eight bits a component, whichever width the guest
/// writes them with, so that changing the width changes no colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dac {
    /// ANDed with every pixel before the palette (port 0x3C6).
    pub(super) mask: u8,
    /// Whether the data port carries eight bits a component rather than six (DISPI's 8BIT_DAC).
    pub(super) wide: bool,
    read_index: u8,
    write_index: u8,
    /// Which of red, green and blue the data port is at.
    component: u8,
    /// Whether the read index was written last; what port 0x3C7 reads as.
    reading: bool,
    /// Components written so far; a colour changes when its blue arrives.
    pending: [u8; 3],
    colours: Vec<[u8; 3]>,
}

impl Default for Dac {
    fn default() -> Self {
        Self {
            // No monitor shows anything with a mask of zero, and drivers that only know DISPI
            // never write it.
            mask: 0xff,
            wide: false,
            read_index: 0,
            write_index: 0,
            component: 0,
            reading: false,
            pending: [0; 3],
            colours: vec![[0; 3]; ENTRIES],
        }
    }
}

impl Dac {
    /// Whether a restored state keeps the invariants.
    pub(super) fn is_valid(&self) -> bool {
        self.colours.len() == ENTRIES && self.component < 3
    }

    /// Port 0x3C7, read.
    pub(super) fn state(&self) -> u8 {
        if self.reading { 3 } else { 0 }
    }

    /// Port 0x3C7, written.
    pub(super) fn set_read_index(&mut self, index: u8) {
        (self.read_index, self.component, self.reading) = (index, 0, true);
    }

    /// Port 0x3C8, written.
    pub(super) fn set_write_index(&mut self, index: u8) {
        (self.write_index, self.component, self.reading) = (index, 0, false);
    }

    /// Port 0x3C8, read.
    pub(super) fn write_index(&self) -> u8 {
        self.write_index
    }

    /// Port 0x3C9, read.
    pub(super) fn read_data(&mut self) -> u8 {
        let colour = self.colours[usize::from(self.read_index)];
        let value = colour[usize::from(self.component)];
        self.component += 1;
        if self.component == 3 {
            self.component = 0;
            self.read_index = self.read_index.wrapping_add(1);
        }
        if self.wide { value } else { value >> 2 }
    }

    /// Port 0x3C9, written.
    pub(super) fn write_data(&mut self, value: u8) {
        let narrow = value & 0x3f;
        self.pending[usize::from(self.component)] =
            if self.wide { value } else { narrow << 2 | narrow >> 4 };
        self.component += 1;
        if self.component == 3 {
            self.component = 0;
            self.colours[usize::from(self.write_index)] = self.pending;
            self.write_index = self.write_index.wrapping_add(1);
        }
    }

    /// The pixel, as [`crate::display::Frame`] stores it (little-endian), for palette index
    /// `index`.
    pub(super) fn pixel(&self, index: u8) -> u32 {
        let [red, green, blue] = self.colours[usize::from(index & self.mask)];
        u32::from_le_bytes([blue, green, red, 0xff])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_bit_components_fill_eight() {
        let mut dac = Dac::default();
        dac.set_write_index(0xff);
        for value in [63, 32, 0, 1, 2, 3] {
            dac.write_data(value);
        }
        assert_eq!(dac.pixel(0xff), 0xffff_8200);
        dac.set_read_index(0xff);
        assert_eq!(dac.state(), 3);
        let read: Vec<u8> = (0..6).map(|_| dac.read_data()).collect();
        assert_eq!(read, [63, 32, 0, 1, 2, 3]);
    }

    #[test]
    fn a_colour_changes_when_complete() {
        let mut dac = Dac { wide: true, ..Dac::default() };
        dac.set_write_index(7);
        dac.write_data(0xab);
        dac.write_data(0xcd);
        assert_eq!(dac.pixel(7), 0xff00_0000);
        dac.write_data(0xef);
        assert_eq!(dac.pixel(7), 0xffab_cdef);
        dac.mask = 0x7;
        assert_eq!(dac.pixel(0xff), 0xffab_cdef);
    }
}
