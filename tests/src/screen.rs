//! Screenshots, looked at.

use std::fs::File;
use std::io::BufReader;
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
