//! Screenshots, looked at.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

/// A screenshot.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green and blue of each pixel.
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads a PNG file as `berth` writes it.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader =
            png::Decoder::new(BufReader::new(file)).read_info().expect("a PNG file's header");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a picture of usual size")];
        let info = reader.next_frame(&mut bytes).expect("a PNG file");
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        let pixels = bytes[..info.buffer_size()].chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
        Self { width: info.width, height: info.height, pixels: pixels.collect() }
    }

    /// The picture with these pixels, `width` a row.
    #[must_use]
    pub(crate) fn new(width: u32, pixels: Vec<[u8; 3]>) -> Self {
        let height = u32::try_from(pixels.len()).unwrap_or(u32::MAX) / width.max(1);
        Self { width, height, pixels }
    }

    /// Writes a PNG file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &Path) {
        let file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut encoder = png::Encoder::new(BufWriter::new(file), self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().expect("a PNG file's header");
        writer.write_image_data(self.pixels.as_flattened()).expect("a PNG file");
    }

    /// The part of it that begins `x` from the left and `y` from the top, as far as there is one.
    #[must_use]
    pub fn part(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let right = x.saturating_add(width).min(self.width);
        let rows = y.min(self.height)..y.saturating_add(height).min(self.height);
        let row = |row: u32| {
            let begin = row as usize * self.width as usize;
            &self.pixels[begin + x.min(right) as usize..begin + right as usize]
        };
        let pixels: Vec<_> = rows.flat_map(row).copied().collect();
        Self::new(right.saturating_sub(x), pixels)
    }

    /// How many of a hundred pixels are not black.
    #[must_use]
    pub fn lit(&self) -> f64 {
        self.share(self.pixels.iter().filter(|pixel| **pixel != [0; 3]).count())
    }

    /// How many of a hundred pixels differ from those of `other`.
    ///
    /// # Panics
    /// When the sizes do.
    #[must_use]
    pub fn difference(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height));
        self.share(self.pixels.iter().zip(&other.pixels).filter(|(a, b)| a != b).count())
    }

    fn share(&self, count: usize) -> f64 {
        // Counts of pixels are far below 2^53, where f64 is exact.
        count as f64 * 100.0 / self.pixels.len().max(1) as f64
    }
}
