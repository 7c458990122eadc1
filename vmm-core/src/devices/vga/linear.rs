//! Drawing DISPI's modes of whole pixels: rows of video memory, converted.

use super::canvas::Canvas;
use super::damage::DamageList;
use super::dispi::{Depth, MAX_XRES};
use super::pages::Stamps;
use super::vram::Vram;
use crate::display::Rect;

/// Longest row that needs converting rather than copying, in bytes.
const SCRATCH: usize = MAX_XRES as usize * 3;

/// A rectangle of pixels in video memory.
///
/// Invariant: all of it lies inside video memory, and it has at least one pixel.
#[derive(Debug, PartialEq)]
pub(super) struct Linear {
    pub(super) depth: Depth,
    /// Byte offset of the first pixel.
    pub(super) start: usize,
    /// Bytes from a row to the next.
    pub(super) pitch: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Colours of [`Depth::Indexed8`].
    pub(super) palette: Option<Box<[u32; 256]>>,
}

impl Linear {
    /// Draws what changed after generation `since`, or everything.
    pub(super) fn draw(
        &self,
        vram: &Vram,
        canvas: &mut Canvas<'_>,
        stamps: &Stamps,
        since: Option<u64>,
        damage: &mut DamageList,
    ) {
        let Some(since) = since else {
            for y in 0..self.height {
                self.draw_span(vram, canvas, y, 0, self.width);
            }
            return;
        };
        let bytes = self.depth.bytes();
        let end = self.start + (self.height - 1) * self.pitch + self.width * bytes;
        for (from, to) in stamps.changed_runs(self.start, end, since) {
            let (from, to) = (from - self.start, to - self.start);
            let (first, last) = (from / self.pitch, (to - 1) / self.pitch);
            for y in first..=last {
                let row = y * self.pitch;
                let left = from.saturating_sub(row) / bytes;
                let right = (to - row).div_ceil(bytes).min(self.width);
                // The page may lie beside the picture.
                if left < right {
                    self.draw_span(vram, canvas, y, left, right);
                    damage.add(Rect {
                        x: left as u32,
                        y: y as u32,
                        width: (right - left) as u32,
                        height: 1,
                    });
                }
            }
        }
    }

    /// Draws pixels `left..right` of row `y`.
    fn draw_span(&self, vram: &Vram, canvas: &mut Canvas<'_>, y: usize, left: usize, right: usize) {
        let bytes = self.depth.bytes();
        let at = self.start + y * self.pitch + left * bytes;
        let Some(pixels) = canvas.row(y).get_mut(left * 4..right * 4) else { return };
        if self.depth == Depth::Xrgb8888 {
            vram.copy_to(at, pixels);
            for pixel in pixels.chunks_exact_mut(4) {
                pixel[3] = 0xff;
            }
            return;
        }
        let mut scratch = [0; SCRATCH];
        let Some(source) = scratch.get_mut(..(right - left) * bytes) else { return };
        vram.copy_to(at, source);
        match (self.depth, self.palette.as_deref()) {
            (Depth::Rgb888, _) => {
                for (pixel, from) in pixels.chunks_exact_mut(4).zip(source.chunks_exact(3)) {
                    pixel.copy_from_slice(&[from[0], from[1], from[2], 0xff]);
                }
            }
            (Depth::Rgb565, _) => convert16(source, pixels, |v| {
                widen::<5>(v >> 11) << 16 | widen::<6>(v >> 5) << 8 | widen::<5>(v)
            }),
            (Depth::Rgb555, _) => convert16(source, pixels, |v| {
                widen::<5>(v >> 10) << 16 | widen::<5>(v >> 5) << 8 | widen::<5>(v)
            }),
            (_, Some(palette)) => {
                for (pixel, index) in pixels.chunks_exact_mut(4).zip(source.iter()) {
                    pixel.copy_from_slice(&palette[usize::from(*index)].to_le_bytes());
                }
            }
            (_, None) => {}
        }
    }
}

/// The low `BITS` bits of `value`, spread over eight.
fn widen<const BITS: u32>(value: u16) -> u32 {
    let value = u32::from(value) & ((1 << BITS) - 1);
    value << (8 - BITS) | value >> (2 * BITS - 8)
}

fn convert16(source: &[u8], pixels: &mut [u8], colour: impl Fn(u16) -> u32) {
    for (pixel, from) in pixels.chunks_exact_mut(4).zip(source.chunks_exact(2)) {
        let value = colour(u16::from_le_bytes([from[0], from[1]]));
        pixel.copy_from_slice(&(value | 0xff00_0000).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(depth: Depth, bytes: &[u8], palette: Option<Box<[u32; 256]>>) -> [u8; 4] {
        let vram = Vram::new().unwrap();
        vram.copy_from(0, bytes);
        let linear = Linear { depth, start: 0, pitch: bytes.len(), width: 1, height: 1, palette };
        let mut pixels = [0; 4];
        let mut canvas = Canvas::new(1, &mut pixels);
        linear.draw(&vram, &mut canvas, &Stamps::default(), None, &mut DamageList::default());
        pixels
    }

    #[test]
    fn every_depth_becomes_bgra() {
        assert_eq!(one(Depth::Xrgb8888, &[1, 2, 3, 4], None), [1, 2, 3, 0xff]);
        assert_eq!(one(Depth::Rgb888, &[1, 2, 3], None), [1, 2, 3, 0xff]);
        assert_eq!(one(Depth::Rgb565, &0xf81fu16.to_le_bytes(), None), [0xff, 0, 0xff, 0xff]);
        assert_eq!(one(Depth::Rgb565, &0x07e0u16.to_le_bytes(), None), [0, 0xff, 0, 0xff]);
        assert_eq!(one(Depth::Rgb555, &0xfc10u16.to_le_bytes(), None), [0x84, 0, 0xff, 0xff]);
        let palette = Box::new(std::array::from_fn(|i| 0xff00_0000 | i as u32));
        assert_eq!(one(Depth::Indexed8, &[0x77], Some(palette)), [0x77, 0, 0, 0xff]);
    }
}
