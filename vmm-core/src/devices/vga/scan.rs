//! Which memory each scan line shows: the CRTC's counters, without its registers.

/// The counters' programme for one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// Scan lines.
    pub(super) height: u32,
    /// The address counter at the top left.
    pub(super) start: u32,
    /// What is added to the address counter from one row of characters to the next.
    pub(super) pitch: u32,
    /// Row-scan lines in a row of characters, 1 to 32; one in most graphics modes.
    pub(super) row_height: u8,
    /// Every row-scan line is shown twice.
    pub(super) double_scan: bool,
    /// Row-scan line that the frame starts with, 0 to 31.
    pub(super) preset_row: u8,
    /// After this scan line the address counter starts again from zero: a split screen.
    pub(super) line_compare: u32,
}

/// One scan line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its place on the screen.
    pub(super) y: u32,
    /// The address counter at its left end.
    pub(super) counter: u32,
    /// Which line of a row of characters it is, 0 to 31.
    pub(super) row_scan: u8,
    /// Whether it lies below the split.
    pub(super) below_split: bool,
}

impl Scan {
    /// The scan lines from top to bottom.
    pub(super) fn lines(self) -> impl Iterator<Item = Line> {
        let mut next =
            Line { y: 0, counter: self.start, row_scan: self.preset_row % 32, below_split: false };
        let mut repeated = false;
        std::iter::from_fn(move || {
            let line = next;
            if line.y >= self.height {
                return None;
            }
            next.y += 1;
            if line.y == self.line_compare {
                (next.counter, next.row_scan, next.below_split) = (0, 0, true);
                repeated = false;
            } else if self.double_scan && !repeated {
                repeated = true;
            } else {
                repeated = false;
                next.row_scan += 1;
                if next.row_scan >= self.row_height.clamp(1, 32) {
                    next.row_scan = 0;
                    next.counter = next.counter.wrapping_add(self.pitch);
                }
            }
            Some(line)
        })
    }
}

/// What the address counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Plane offsets.
    Byte,
    /// Pairs of plane offsets; bit 0 comes from bit `wrap_bit` of the counter.
    Word { wrap_bit: u32 },
    /// Groups of four plane offsets; bits 0 and 1 come from bits 14 and 15, as the window's
    /// come from address bits 16 and 17 (SVGA chips do so; IBM's took bits that mode 13h uses).
    DoubleWord,
}

/// How the address counter becomes a plane offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addressing {
    pub(super) unit: Unit,
    /// The counter advances every 1, 2 or 4 character clocks: 0, 1 or 2.
    pub(super) divide: u32,
    /// Bit 13 is the lowest bit of the row-scan counter (CGA's interleave).
    pub(super) row_bit_13: bool,
    /// Bit 14 is the second bit of the row-scan counter (Hercules' interleave).
    pub(super) row_bit_14: bool,
    /// Largest plane offset; one less than a power of two.
    pub(super) wrap: u32,
}

impl Addressing {
    /// The plane offset that character clock `clock` of `line` fetches.
    pub(super) fn offset(&self, line: &Line, clock: u32) -> u32 {
        let counter = line.counter.wrapping_add(clock >> self.divide);
        let mut offset = match self.unit {
            Unit::Byte => counter,
            Unit::Word { wrap_bit } => counter << 1 | (counter >> wrap_bit & 1),
            Unit::DoubleWord => counter << 2 | (counter >> 14 & 3),
        };
        let row = u32::from(line.row_scan);
        if self.row_bit_13 {
            offset = (offset & !(1 << 13)) | (row & 1) << 13;
        }
        if self.row_bit_14 {
            offset = (offset & !(1 << 14)) | (row >> 1 & 1) << 14;
        }
        offset & self.wrap
    }

    /// The plane offsets that the first `clocks` clocks of `line` fetch, as one stretch
    /// `first..=last`; `None` when they wrap around and may be anywhere.
    pub(super) fn stretch(&self, line: &Line, clocks: u32) -> Option<(u32, u32)> {
        let (first, last) = (self.offset(line, 0), self.offset(line, clocks.saturating_sub(1)));
        // No line fetches more than 257 groups of four: a stretch that grows by more, or shrinks,
        // has wrapped somewhere.
        (first <= last && last - first < 257 * 4 + 4).then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: Scan = Scan {
        height: 8,
        start: 100,
        pitch: 40,
        row_height: 1,
        double_scan: true,
        preset_row: 0,
        line_compare: 1023,
    };

    #[test]
    fn double_scan_and_split() {
        let counters = |scan: Scan| scan.lines().map(|l| l.counter).collect::<Vec<_>>();
        assert_eq!(counters(SCAN), [100, 100, 140, 140, 180, 180, 220, 220]);
        let split = Scan { line_compare: 2, ..SCAN };
        assert_eq!(counters(split), [100, 100, 140, 0, 0, 40, 40, 80]);
        let text = Scan { double_scan: false, row_height: 3, preset_row: 2, ..SCAN };
        assert_eq!(counters(text), [100, 140, 140, 140, 180, 180, 180, 220]);
    }

    #[test]
    fn units_spread_the_counter() {
        let line = Line { y: 0, counter: 0x2001, row_scan: 1, below_split: false };
        let with = |unit| Addressing {
            unit,
            divide: 0,
            row_bit_13: false,
            row_bit_14: false,
            wrap: 0xffff,
        };
        assert_eq!(with(Unit::Byte).offset(&line, 1), 0x2002);
        assert_eq!(with(Unit::Word { wrap_bit: 15 }).offset(&line, 1), 0x4004);
        assert_eq!(with(Unit::Word { wrap_bit: 13 }).offset(&line, 1), 0x4005);
        assert_eq!(with(Unit::DoubleWord).offset(&line, 1), 0x8008);
        let high = Line { counter: 0xc001, ..line };
        assert_eq!(with(Unit::DoubleWord).offset(&high, 0), 0x0007);
        let cga = Addressing { row_bit_13: true, ..with(Unit::Word { wrap_bit: 15 }) };
        assert_eq!(cga.offset(&Line { counter: 3, ..line }, 0), 0x2006);
        assert_eq!(with(Unit::Byte).stretch(&line, 80), Some((0x2001, 0x2050)));
        let end = Line { counter: 0xfff0, ..line };
        assert_eq!(with(Unit::Byte).stretch(&end, 80), None);
    }
}
