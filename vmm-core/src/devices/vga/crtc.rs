//! The CRT controller: registers 0x00 to 0x18 behind ports 0x3D4 and 0x3D5, and what they say
//! about geometry (IBM VGA technical reference, "CRT Controller").

use serde::{Deserialize, Serialize};

use super::scan::{Addressing, Scan, Unit};

const COUNT: usize = 0x19;

mod reg {
    pub(super) const HORIZONTAL_END: usize = 0x01;
    pub(super) const VERTICAL_TOTAL: usize = 0x06;
    pub(super) const OVERFLOW: usize = 0x07;
    pub(super) const PRESET_ROW: usize = 0x08;
    pub(super) const MAX_SCAN: usize = 0x09;
    pub(super) const CURSOR_START: usize = 0x0a;
    pub(super) const CURSOR_END: usize = 0x0b;
    pub(super) const START_HIGH: usize = 0x0c;
    pub(super) const CURSOR_HIGH: usize = 0x0e;
    pub(super) const RETRACE_END: usize = 0x11;
    pub(super) const VERTICAL_END: usize = 0x12;
    pub(super) const OFFSET: usize = 0x13;
    pub(super) const UNDERLINE: usize = 0x14;
    pub(super) const MODE: usize = 0x17;
    pub(super) const LINE_COMPARE: usize = 0x18;
}

/// Retrace end: registers 0 to 7 are read-only, but for line compare bit 8.
const PROTECT: u8 = 1 << 7;
/// Mode: the sync pulses run; without them the monitor shows nothing.
const SYNC_ENABLE: u8 = 1 << 7;

/// The text cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The address counter's value of its cell.
    pub(super) counter: u32,
    /// First scan line in the cell.
    pub(super) first: u8,
    /// Last scan line in the cell.
    pub(super) last: u8,
}

/// The registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Crtc {
    index: u8,
    regs: [u8; COUNT],
}

impl Crtc {
    pub(super) fn index(&self) -> u8 {
        self.index
    }

    pub(super) fn set_index(&mut self, index: u8) {
        self.index = index;
    }

    /// The selected register; zero past the last.
    pub(super) fn read(&self) -> u8 {
        self.regs.get(usize::from(self.index)).copied().unwrap_or(0)
    }

    /// Writes the selected register.
    pub(super) fn write(&mut self, value: u8) {
        let index = usize::from(self.index);
        let mask = match index {
            reg::OVERFLOW if self.protected() => 1 << 4,
            0..8 if self.protected() => return,
            _ => 0xff,
        };
        if let Some(register) = self.regs.get_mut(index) {
            *register = (*register & !mask) | (value & mask);
        }
    }

    fn protected(&self) -> bool {
        self.regs[reg::RETRACE_END] & PROTECT != 0
    }

    fn bit(&self, register: usize, bit: u32) -> u32 {
        u32::from(self.regs[register]) >> bit & 1
    }

    fn word(&self, high: usize) -> u32 {
        u32::from(self.regs[high]) << 8 | u32::from(self.regs[high + 1])
    }

    /// Whether the CRTC drives the monitor.
    pub(super) fn running(&self) -> bool {
        self.regs[reg::MODE] & SYNC_ENABLE != 0
    }

    /// Character clocks a scan line shows.
    pub(super) fn columns(&self) -> u32 {
        u32::from(self.regs[reg::HORIZONTAL_END]) + 1
    }

    /// Scan lines shown: 1 to 1024.
    pub(super) fn lines(&self) -> u32 {
        let high = self.bit(reg::OVERFLOW, 1) << 8 | self.bit(reg::OVERFLOW, 6) << 9;
        (u32::from(self.regs[reg::VERTICAL_END]) | high) + 1
    }

    /// Scan lines from one retrace to the next.
    pub(super) fn total_lines(&self) -> u32 {
        let high = self.bit(reg::OVERFLOW, 0) << 8 | self.bit(reg::OVERFLOW, 5) << 9;
        (u32::from(self.regs[reg::VERTICAL_TOTAL]) | high) + 2
    }

    /// The order in which scan lines walk through memory.
    pub(super) fn scan(&self) -> Scan {
        let compare_high = self.bit(reg::OVERFLOW, 4) << 8 | self.bit(reg::MAX_SCAN, 6) << 9;
        Scan {
            height: self.lines(),
            // Bits 5 and 6 pan by whole bytes.
            start: self.word(reg::START_HIGH) + u32::from(self.regs[reg::PRESET_ROW] >> 5 & 3),
            pitch: u32::from(self.regs[reg::OFFSET]) * 2,
            row_height: self.regs[reg::MAX_SCAN] % 32 + 1,
            double_scan: self.bit(reg::MAX_SCAN, 7) != 0,
            preset_row: self.regs[reg::PRESET_ROW] % 32,
            line_compare: u32::from(self.regs[reg::LINE_COMPARE]) | compare_high,
        }
    }

    /// How the address counter becomes a plane offset.
    pub(super) fn addressing(&self) -> Addressing {
        let unit = if self.bit(reg::UNDERLINE, 6) != 0 {
            Unit::DoubleWord
        } else if self.bit(reg::MODE, 6) != 0 {
            Unit::Byte
        } else if self.bit(reg::MODE, 5) != 0 {
            Unit::Word { wrap_bit: 15 }
        } else {
            Unit::Word { wrap_bit: 13 }
        };
        let divide = match (self.bit(reg::UNDERLINE, 5), self.bit(reg::MODE, 3)) {
            (1, _) => 2,
            (_, 1) => 1,
            _ => 0,
        };
        Addressing {
            unit,
            divide,
            row_bit_13: self.bit(reg::MODE, 0) == 0,
            row_bit_14: self.bit(reg::MODE, 1) == 0,
            wrap: 0xffff,
        }
    }

    /// The text cursor, unless it is off.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        let (start, end) = (self.regs[reg::CURSOR_START], self.regs[reg::CURSOR_END]);
        let (first, last) = (start & 0x1f, end & 0x1f);
        let counter = self.word(reg::CURSOR_HIGH);
        (start & 0x20 == 0 && first <= last).then_some(Cursor { counter, first, last })
    }

    /// The scan line of a character cell that underlines it.
    pub(super) fn underline(&self) -> u8 {
        self.regs[reg::UNDERLINE] & 0x1f
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(crtc: &mut Crtc, index: u8, value: u8) {
        crtc.set_index(index);
        crtc.write(value);
    }

    #[test]
    fn protection_spares_line_compare() {
        let mut crtc = Crtc::default();
        set(&mut crtc, 0x11, 0x80);
        set(&mut crtc, 0x01, 79);
        set(&mut crtc, 0x07, 0xff);
        assert_eq!(crtc.columns(), 1);
        assert_eq!(crtc.scan().line_compare, 0x100);
        set(&mut crtc, 0x11, 0x00);
        set(&mut crtc, 0x01, 79);
        assert_eq!(crtc.columns(), 80);
        set(&mut crtc, 0xff, 1);
        assert_eq!(crtc.read(), 0);
    }

    #[test]
    fn an_inverted_cursor_is_none() {
        let mut crtc = Crtc::default();
        set(&mut crtc, 0x0a, 14);
        set(&mut crtc, 0x0b, 13);
        assert_eq!(crtc.cursor(), None);
        set(&mut crtc, 0x0b, 15);
        set(&mut crtc, 0x0f, 9);
        assert_eq!(crtc.cursor(), Some(Cursor { counter: 9, first: 14, last: 15 }));
        set(&mut crtc, 0x0a, 0x2e);
        assert_eq!(crtc.cursor(), None);
    }
}
