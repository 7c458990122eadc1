//! A rectangle of the guest's picture as a texture that follows it.
//!
//! A texture never changes, so each change takes a new one, told how it differs from the one
//! before. Their pixels are in buffers that come back when GTK lets a texture go; a buffer that
//! comes back lacks only what has changed since it was filled, and only that is copied.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use gtk::cairo::{RectangleInt, Region};
use gtk::gdk;
use gtk::glib;
use vmm_core::display::{Frame, Rect};

/// Bytes of a pixel.
const PIXEL: usize = 4;
/// Buffers kept for reuse: one is shown, one is on its way out, one is about to be filled.
const SPARE_BUFFERS: usize = 2;
/// How many changes back a buffer can be and still be brought up to date in part.
const HISTORY: usize = 4;
/// With more rectangles than this the whole sheet counts as changed.
const MAX_RECTS: usize = 64;

/// Pixels for a texture.
struct Buffer {
    pixels: Vec<u8>,
    /// The number of the change it was filled for.
    change: u64,
}

/// Where buffers wait for reuse. GTK may let go of a texture on a thread of its own.
type Pool = Arc<Mutex<Vec<Buffer>>>;

/// A buffer in use by a texture; it goes back to its pool with it.
struct Lease {
    buffer: Buffer,
    pool: Pool,
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.pixels
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < SPARE_BUFFERS {
            let pixels = std::mem::take(&mut self.buffer.pixels);
            pool.push(Buffer { pixels, change: self.buffer.change });
        }
    }
}

/// A rectangle of the picture.
pub(super) struct Sheet {
    area: Rect,
    /// How far a changed pixel can be seen beyond itself, in pixels.
    bleed: u32,
    texture: Option<gdk::Texture>,
    /// What changed since `texture` was made, in pixels of the sheet.
    damage: Vec<Rect>,
    /// Counts textures.
    change: u64,
    /// What each of the last textures changed, the newest last.
    history: VecDeque<Vec<Rect>>,
    pool: Pool,
}

/// The part of `a` that lies in `b`.
pub(super) fn intersection(a: &Rect, b: &Rect) -> Option<Rect> {
    let (x, y) = (a.x.max(b.x), a.y.max(b.y));
    let right = a.x.saturating_add(a.width).min(b.x.saturating_add(b.width));
    let bottom = a.y.saturating_add(a.height).min(b.y.saturating_add(b.height));
    (x < right && y < bottom).then(|| Rect { x, y, width: right - x, height: bottom - y })
}

impl Sheet {
    /// The sheet of `area`, which lies in the picture and is not empty. It will be drawn by a
    /// filter in which a pixel can be seen `bleed` pixels beyond itself, which GTK does not take
    /// into account when it redraws what a texture changed.
    pub(super) fn new(area: Rect, bleed: u32) -> Self {
        Self {
            area,
            bleed,
            texture: None,
            damage: Vec::new(),
            change: 0,
            history: VecDeque::new(),
            pool: Pool::default(),
        }
    }

    /// Where it is in the picture.
    pub(super) fn area(&self) -> Rect {
        self.area
    }

    fn whole(&self) -> Rect {
        Rect { x: 0, y: 0, width: self.area.width, height: self.area.height }
    }

    /// Takes note that a rectangle of the picture has changed.
    pub(super) fn damage(&mut self, rect: &Rect) {
        let Some(part) = intersection(rect, &self.area) else { return };
        let local = Rect { x: part.x - self.area.x, y: part.y - self.area.y, ..part };
        if self.damage.len() < MAX_RECTS {
            self.damage.push(local);
        } else {
            self.damage = vec![self.whole()];
        }
    }

    /// The texture for what `frame`, which holds the sheet's area, shows now.
    pub(super) fn texture(&mut self, frame: &Frame) -> gdk::Texture {
        if let Some(texture) = &self.texture
            && self.damage.is_empty()
        {
            return texture.clone();
        }
        let damage = std::mem::take(&mut self.damage);
        let region = self.texture.is_some().then(|| self.redrawn(&damage));
        self.change += 1;
        self.history.push_back(damage);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        let buffer = self.filled_buffer(frame);
        let bytes = glib::Bytes::from_owned(Lease { buffer, pool: self.pool.clone() });
        let texture = gdk::MemoryTextureBuilder::new()
            .set_bytes(Some(&bytes))
            .set_format(gdk::MemoryFormat::B8g8r8a8Premultiplied)
            .set_width(self.area.width as i32)
            .set_height(self.area.height as i32)
            .set_stride(self.area.width as usize * PIXEL)
            .set_update_texture(self.texture.as_ref())
            .set_update_region(region.as_ref())
            .build();
        self.texture = Some(texture.clone());
        texture
    }

    /// A buffer that shows what `frame` does.
    fn filled_buffer(&self, frame: &Frame) -> Buffer {
        let spare = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let missing = spare.as_ref().map_or(u64::MAX, |buffer| self.change - buffer.change);
        let size = self.area.width as usize * self.area.height as usize * PIXEL;
        let mut pixels = spare.map_or_else(|| vec![0; size], |buffer| buffer.pixels);
        match usize::try_from(missing) {
            Ok(missing) if missing <= self.history.len() => {
                let recent = self.history.iter().rev().take(missing);
                recent.flatten().for_each(|rect| self.copy(frame, rect, &mut pixels));
            }
            _ => self.copy(frame, &self.whole(), &mut pixels),
        }
        Buffer { pixels, change: self.change }
    }

    /// Copies a rectangle of the sheet.
    fn copy(&self, frame: &Frame, rect: &Rect, pixels: &mut [u8]) {
        let row = rect.width as usize * PIXEL;
        let from_stride = frame.width as usize * PIXEL;
        let to_stride = self.area.width as usize * PIXEL;
        let from =
            (self.area.y + rect.y) as usize * from_stride + (self.area.x + rect.x) as usize * PIXEL;
        let to = rect.y as usize * to_stride + rect.x as usize * PIXEL;
        for line in 0..rect.height as usize {
            let (from, to) = (from + line * from_stride, to + line * to_stride);
            pixels[to..to + row].copy_from_slice(&frame.pixels[from..from + row]);
        }
    }

    /// Where changes of the sheet are seen.
    fn redrawn(&self, damage: &[Rect]) -> Region {
        let seen = damage.iter().filter_map(|rect| {
            let (x, y) = (rect.x.saturating_sub(self.bleed), rect.y.saturating_sub(self.bleed));
            let width = rect.x + rect.width + self.bleed - x;
            let height = rect.y + rect.height + self.bleed - y;
            intersection(&Rect { x, y, width, height }, &self.whole())
        });
        let rects: Vec<_> = seen
            .map(|r| RectangleInt::new(r.x as i32, r.y as i32, r.width as i32, r.height as i32))
            .collect();
        Region::create_rectangles(&rects)
    }
}
