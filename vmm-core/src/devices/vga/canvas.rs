//! A frame's pixels while they are drawn.

/// Rows of four-byte pixels without gaps.
pub(super) struct Canvas<'a> {
    width: usize,
    pixels: &'a mut [u8],
}

impl<'a> Canvas<'a> {
    /// Draws on `pixels`, whose length is a multiple of `width * 4`.
    pub(super) fn new(width: u32, pixels: &'a mut [u8]) -> Self {
        Self { width: width as usize, pixels }
    }

    /// Row `y`; empty below the last.
    pub(super) fn row(&mut self, y: usize) -> &mut [u8] {
        let len = self.width * 4;
        self.pixels.get_mut(y * len..(y + 1) * len).unwrap_or_default()
    }

    /// Makes row `to` like row `from`.
    pub(super) fn repeat_row(&mut self, from: usize, to: usize) {
        let len = self.width * 4;
        if (from.max(to) + 1) * len <= self.pixels.len() {
            self.pixels.copy_within(from * len..(from + 1) * len, to * len);
        }
    }

    /// Makes everything black.
    pub(super) fn blank(&mut self) {
        for pixel in self.pixels.chunks_exact_mut(4) {
            pixel.copy_from_slice(&[0, 0, 0, 0xff]);
        }
    }
}
