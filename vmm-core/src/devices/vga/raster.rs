//! Drawing graphics modes the way VGA does: the CRTC walks through the planes, and the shift
//! registers turn what it fetches into pixels.

use super::canvas::Canvas;
use super::damage::DamageList;
use super::dispi::MAX_XRES;
use super::pages::Stamps;
use super::scan::{Addressing, Line, Scan};
use super::vram::Vram;
use crate::display::Rect;

/// Dots fetched for the longest row, with what panning needs beyond it.
const MAX_DOTS: usize = MAX_XRES as usize + 16;

/// How the shift registers are loaded (graphics controller, mode register bits 5 and 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shift {
    /// A pixel is one bit of each plane: 16 colours.
    Bits,
    /// A pixel is two neighbouring bits of plane 0 (then 1) and of plane 2 (then 3): CGA.
    Pairs,
    /// A pixel is a byte of one plane, two dots wide: 256 colours.
    Bytes,
}

/// A graphics mode.
#[derive(Debug, PartialEq)]
pub(super) struct Raster {
    /// Pixels a row, at most [`MAX_XRES`].
    pub(super) width: u32,
    /// How many pixels each dot becomes: 1, or 2 at half the dot clock.
    pub(super) dot_width: u32,
    pub(super) scan: Scan,
    pub(super) addressing: Addressing,
    /// Dots by which the picture moves to the left, 0 to 7.
    pub(super) pan: u32,
    /// No panning below the line compare.
    pub(super) pan_split: bool,
    pub(super) shift: Shift,
    /// Colours; the first 16 in 16-colour modes.
    pub(super) palette: [u32; 256],
}

impl Raster {
    /// Draws the rows that changed after generation `since`, or everything.
    pub(super) fn draw(
        &self,
        vram: &Vram,
        canvas: &mut Canvas<'_>,
        stamps: &Stamps,
        since: Option<u64>,
        damage: &mut DamageList,
    ) {
        // The row drawn last: double scanning shows most rows twice.
        let mut last: Option<Line> = None;
        for line in self.scan.lines() {
            if since.is_some_and(|since| !self.changed(&line, stamps, since)) {
                continue;
            }
            match last {
                Some(same) if Line { y: line.y, ..same } == line => {
                    canvas.repeat_row(same.y as usize, line.y as usize);
                }
                _ => self.draw_line(vram, canvas, &line),
            }
            last = Some(line);
            damage.add(Rect { x: 0, y: line.y, width: self.width, height: 1 });
        }
    }

    fn pan(&self, line: &Line) -> u32 {
        if line.below_split && self.pan_split { 0 } else { self.pan % 8 }
    }

    /// Character clocks that a row takes, the one that panning brings in included.
    fn clocks(&self, line: &Line) -> u32 {
        (self.width.div_ceil(self.dot_width) + self.pan(line)).div_ceil(8)
    }

    fn changed(&self, line: &Line, stamps: &Stamps, since: u64) -> bool {
        let clocks = self.clocks(line);
        let bytes = |first: u32, last: u32| (first as usize * 4, last as usize * 4 + 4);
        match self.addressing.stretch(line, clocks) {
            Some((first, last)) => {
                let (from, to) = bytes(first, last);
                stamps.changed(from, to, since)
            }
            None => (0..clocks).any(|clock| {
                let offset = self.addressing.offset(line, clock);
                let (from, to) = bytes(offset, offset);
                stamps.changed(from, to, since)
            }),
        }
    }

    fn draw_line(&self, vram: &Vram, canvas: &mut Canvas<'_>, line: &Line) {
        let mut dots = [0u32; MAX_DOTS];
        for (clock, out) in (0..self.clocks(line)).zip(dots.chunks_exact_mut(8)) {
            self.expand(vram.planes(self.addressing.offset(line, clock)), out);
        }
        let dots = &dots[self.pan(line) as usize..];
        let row = canvas.row(line.y as usize);
        if self.dot_width == 1 {
            for (pixel, dot) in row.chunks_exact_mut(4).zip(dots) {
                pixel.copy_from_slice(&dot.to_le_bytes());
            }
        } else {
            for (pair, dot) in row.chunks_mut(8).zip(dots) {
                for pixel in pair.chunks_exact_mut(4) {
                    pixel.copy_from_slice(&dot.to_le_bytes());
                }
            }
        }
    }

    /// The eight dots of one fetch.
    fn expand(&self, planes: u32, out: &mut [u32]) {
        let bytes = planes.to_le_bytes();
        match self.shift {
            Shift::Bits => {
                for (bit, dot) in (0..8).rev().zip(out) {
                    let at = planes >> bit;
                    let colour = (at & 1) | (at >> 7 & 2) | (at >> 14 & 4) | (at >> 21 & 8);
                    *dot = self.palette[colour as usize];
                }
            }
            Shift::Pairs => {
                for (index, dot) in out.iter_mut().enumerate() {
                    let (plane, shift) = (index / 4, 6 - index % 4 * 2);
                    let colour = (bytes[plane] >> shift & 3) | (bytes[plane + 2] >> shift & 3) << 2;
                    *dot = self.palette[usize::from(colour & 0x0f)];
                }
            }
            Shift::Bytes => {
                for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
                    pair.fill(self.palette[usize::from(byte)]);
                }
            }
        }
    }
}
