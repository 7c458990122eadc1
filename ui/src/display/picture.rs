//! The guest's picture as GDK textures.
//!
//! One frame, which the display brings up to date, and the textures made from it, one for each of
//! many tiles: a renderer handles a texture as a whole, so that a small change costs it a small
//! texture. Where pixels are mixed with their neighbours, tiles overlap by those neighbours, and
//! each is to be clipped to its own part: nothing shows where they meet.

use std::sync::{Arc, Mutex, PoisonError};

use gtk::gdk;
use gtk::glib;
use vmm_core::display::{Damage, Display, Frame, Rect};

use super::sheet::{Sheet, intersection};

/// A tile's width and height. Smaller tiles waste less around a change, larger ones need fewer
/// nodes.
const TILE: u32 = 128;
/// How far tiles overlap where pixels are mixed with their neighbours: bilinear filters look at
/// the next pixel, and rounding to device pixels can move an edge by one more at half size.
const OVERLAP: u32 = 3;
/// How far a pixel can be seen beyond itself in a picture made less than half as large: down to
/// an eighth, below which nobody recognizes one.
const WHOLE_BLEED: u32 = 8;
/// Largest side of a picture shown; GTK's renderers refuse larger textures.
const MAX_SIDE: u32 = 16384;

/// How a picture is cut into textures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// In one.
    Whole,
    /// In tiles.
    Tiles,
    /// In tiles that overlap.
    Overlapping,
}

/// A part of the picture.
pub(super) struct Tile {
    pub(super) texture: gdk::Texture,
    /// What `texture` shows.
    pub(super) area: Rect,
    /// The part of it to be seen.
    pub(super) part: Rect,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing new.
    None,
    /// Other pixels.
    Pixels,
    /// Another size.
    Size,
}

/// The picture.
pub(super) struct Picture {
    frame: Frame,
    /// With the part of each to be seen.
    sheets: Vec<(Sheet, Rect)>,
    cut: Cut,
}

impl Default for Picture {
    fn default() -> Self {
        Self { frame: Frame::new(), sheets: Vec::new(), cut: Cut::Whole }
    }
}

impl Picture {
    /// Width and height, in guest pixels; both or neither are 0.
    pub(super) fn size(&self) -> (u32, u32) {
        match (self.frame.width, self.frame.height) {
            (0, _) | (_, 0) => (0, 0),
            size => size,
        }
    }

    /// Brings it up to date.
    pub(super) fn refresh(&mut self, display: &dyn Display) -> Change {
        let old = self.size();
        let damage = display.refresh(&mut self.frame);
        if damage == Damage::None {
            return Change::None;
        }
        if !is_sound(&self.frame) {
            tracing::error!("the display gave a frame of an impossible size");
            *self = Self { cut: self.cut, ..Self::default() };
        }
        if self.size() != old {
            self.sheets.clear();
            return Change::Size;
        }
        match damage {
            Damage::None => {}
            Damage::Rects(rects) => {
                for (sheet, _) in &mut self.sheets {
                    rects.iter().for_each(|rect| sheet.damage(rect));
                }
            }
            Damage::All => {
                for (sheet, _) in &mut self.sheets {
                    sheet.damage(&sheet.area());
                }
            }
        }
        Change::Pixels
    }

    /// The tiles that together show the picture.
    pub(super) fn tiles(&mut self, cut: Cut) -> impl Iterator<Item = Tile> + use<'_> {
        if self.sheets.is_empty() || self.cut != cut {
            self.cut = cut;
            self.sheets = sheets(cut, self.size());
        }
        self.sheets.iter_mut().map(|(sheet, part)| Tile {
            texture: sheet.texture(&self.frame),
            area: sheet.area(),
            part: *part,
        })
    }

    /// Gives back the memory of the tiles, until they are asked for again.
    pub(super) fn forget_tiles(&mut self) {
        self.sheets.clear();
    }

    /// The whole picture in one texture of its own; `None` when there is none.
    pub(super) fn texture(&self) -> Option<gdk::Texture> {
        texture(&self.frame)
    }

    /// The picture made to fit into a size; never enlarged.
    pub(super) fn thumbnail(&self, max_width: u32, max_height: u32) -> Option<gdk::Texture> {
        scaled_down(&self.frame, max_width, max_height).and_then(|small| texture(&small))
    }
}

/// Whether the frame's numbers agree with each other and with what textures can hold.
fn is_sound(frame: &Frame) -> bool {
    let bytes = u64::from(frame.width) * u64::from(frame.height) * 4;
    frame.width <= MAX_SIDE && frame.height <= MAX_SIDE && bytes == frame.pixels.len() as u64
}

/// The sheets for a picture, with the part of each to be seen.
fn sheets(cut: Cut, (width, height): (u32, u32)) -> Vec<(Sheet, Rect)> {
    if width == 0 || height == 0 {
        return Vec::new();
    }
    let all = Rect { x: 0, y: 0, width, height };
    let (overlap, bleed) = match cut {
        Cut::Whole => return vec![(Sheet::new(all, WHOLE_BLEED), all)],
        Cut::Tiles => (0, 0),
        Cut::Overlapping => (OVERLAP, 1),
    };
    let corners = |end: u32| (0..end).step_by(TILE as usize);
    let parts = corners(height)
        .flat_map(|y| corners(width).map(move |x| Rect { x, y, width: TILE, height: TILE }))
        .filter_map(|tile| intersection(&tile, &all));
    parts
        .map(|part| {
            let (x, y) = (part.x.saturating_sub(overlap), part.y.saturating_sub(overlap));
            let area = Rect {
                x,
                y,
                width: (part.x + part.width + overlap).min(width) - x,
                height: (part.y + part.height + overlap).min(height) - y,
            };
            (Sheet::new(area, bleed), part)
        })
        .collect()
}

fn texture(frame: &Frame) -> Option<gdk::Texture> {
    if frame.width == 0 || frame.height == 0 || !is_sound(frame) {
        return None;
    }
    let texture = gdk::MemoryTextureBuilder::new()
        .set_bytes(Some(&glib::Bytes::from(&frame.pixels)))
        .set_format(gdk::MemoryFormat::B8g8r8a8Premultiplied)
        .set_width(frame.width as i32)
        .set_height(frame.height as i32)
        .set_stride(frame.width as usize * 4)
        .build();
    Some(texture)
}

/// Small pictures of a screen that no widget shows, such as for a list of machines. Between two
/// looks it keeps a frame, so that a screen that stands still costs next to nothing.
pub struct Thumbnailer {
    display: Arc<dyn Display>,
    frame: Arc<Mutex<Frame>>,
    max: (u32, u32),
}

impl Thumbnailer {
    /// Pictures of `display` that fit into `max_width` by `max_height` pixels with the aspect
    /// kept; never enlarged.
    pub fn new(display: Arc<dyn Display>, max_width: u32, max_height: u32) -> Self {
        Self { display, frame: Arc::default(), max: (max_width, max_height) }
    }

    /// A new picture; `None` when nothing has changed since the last one, or nothing is shown.
    /// The work is done off the GUI thread.
    pub async fn look(&self) -> Option<gdk::Texture> {
        let (display, frame, max) = (self.display.clone(), self.frame.clone(), self.max);
        let work = move || {
            let mut frame = frame.lock().unwrap_or_else(PoisonError::into_inner);
            match display.refresh(&mut frame) {
                Damage::None => None,
                _ => scaled_down(&frame, max.0, max.1),
            }
        };
        let small = gtk::gio::spawn_blocking(work).await.ok().flatten()?;
        texture(&small)
    }
}

/// A copy of `frame` that fits into the given size: each pixel the mean of those it stands for.
fn scaled_down(frame: &Frame, max_width: u32, max_height: u32) -> Option<Frame> {
    if !is_sound(frame) || [frame.width, frame.height, max_width, max_height].contains(&0) {
        return None;
    }
    let across = f64::from(max_width) / f64::from(frame.width);
    let down = f64::from(max_height) / f64::from(frame.height);
    let scale = across.min(down);
    if scale >= 1.0 {
        return Some(frame.clone());
    }
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let (width, height) = (scaled(frame.width), scaled(frame.height));
    // The pixels `from..to` of the frame that pixel `at` stands for: at least one.
    let span = |at: u32, side: u32, small: u32| {
        let from = u64::from(at) * u64::from(side) / u64::from(small);
        let to = (u64::from(at) + 1) * u64::from(side) / u64::from(small);
        from as usize..(to.max(from + 1)) as usize
    };
    let columns: Vec<_> = (0..width).map(|x| span(x, frame.width, width)).collect();
    let stride = frame.width as usize * 4;
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 4);
    for y in 0..height {
        let rows = span(y, frame.height, height);
        for column in &columns {
            let mut sums = [0_u64; 4];
            for row in rows.clone() {
                let line = &frame.pixels[row * stride + column.start * 4..][..column.len() * 4];
                for (sum, value) in line.chunks_exact(4).flat_map(|p| (0..4).zip(p)) {
                    sums[sum] += u64::from(*value);
                }
            }
            let count = (rows.len() * column.len()).max(1) as u64;
            pixels.extend(sums.map(|sum| (sum / count) as u8));
        }
    }
    let mut small = Frame::new();
    (small.width, small.height, small.pixels) = (width, height, pixels);
    Some(small)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Frame {
        let mut frame = Frame::new();
        (frame.width, frame.height) = (width, height);
        frame.pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| pixel(x, y))
            .collect();
        frame
    }

    #[test]
    fn tiles_cover_the_picture_once() {
        for cut in [Cut::Tiles, Cut::Overlapping] {
            let mut seen = vec![0_u8; 300 * 257];
            for (sheet, part) in sheets(cut, (300, 257)) {
                assert_eq!(intersection(&sheet.area(), &part), Some(part));
                for y in part.y..part.y + part.height {
                    for x in part.x..part.x + part.width {
                        seen[(y * 300 + x) as usize] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|count| *count == 1));
        }
        assert_eq!(sheets(Cut::Whole, (300, 257)).len(), 1);
        assert!(sheets(Cut::Tiles, (0, 0)).is_empty());
    }

    #[test]
    fn thumbnails_are_means_and_keep_the_aspect() {
        let stripes = frame(640, 400, |x, _| if x % 2 == 0 { [0, 0, 0, 255] } else { [200; 4] });
        let small = scaled_down(&stripes, 160, 160).unwrap();
        assert_eq!((small.width, small.height), (160, 100));
        assert!(small.pixels.chunks_exact(4).all(|p| p[..3] == [100, 100, 100]));
        let same = scaled_down(&stripes, 1000, 1000).unwrap();
        assert_eq!(same, stripes);
        let flat = scaled_down(&frame(16384, 1, |_, _| [255; 4]), 10, 10).unwrap();
        assert_eq!((flat.width, flat.height), (10, 1));
        assert!(flat.pixels.iter().all(|value| *value == 255));
        assert_eq!(scaled_down(&Frame::new(), 10, 10), None);
    }

    #[test]
    fn frames_that_lie_are_not_sound() {
        let mut lying = frame(4, 4, |_, _| [0; 4]);
        assert!(is_sound(&lying));
        lying.height = 5;
        assert!(!is_sound(&lying));
        lying.height = u32::MAX;
        assert!(!is_sound(&lying));
    }
}
