//! The viewers' side: what changed since each of them looked, and drawing it.
//!
//! The device keeps no picture. It counts generations: each time somebody looks and something
//! has changed the count goes up, and what changed is stamped with it. A frame remembers the
//! generation it shows, so any number of viewers get what they have not seen yet, drawn from
//! video memory into their own frames.

use super::aperture::Aperture;
use super::canvas::Canvas;
use super::damage::DamageList;
use super::pages::Stamps;
use super::scanout::{Picture, Scanout};
use super::text::{Change, Phase, TextScreen};
use super::vram::Vram;
use crate::display::{Damage, Frame};

/// When what changed.
#[derive(Default)]
pub(super) struct Screen {
    generation: u64,
    /// When the whole picture last changed.
    all: u64,
    scanout: Option<Scanout>,
    phase: Phase,
    pages: Stamps,
    text: TextScreen,
}

impl Screen {
    /// Everything may look different from now on.
    pub(super) fn invalidate(&mut self) {
        self.scanout = None;
    }

    /// Takes note of what changed since the last call.
    pub(super) fn advance(&mut self, scanout: Scanout, phase: Phase, aperture: &Aperture) {
        let next = self.generation + 1;
        let dirty = aperture.take_dirty();
        let known = self.scanout.as_ref();
        let same_surface = known.is_some_and(|known| known.same_surface(&scanout));
        let same = dirty.is_empty() && known == Some(&scanout);
        let mut changed = !same_surface;
        if !same_surface {
            self.all = next;
        }
        match &scanout.picture {
            Picture::Blank => {}
            Picture::Text(layout) => {
                if !same || phase != self.phase {
                    let change = self.text.update(layout, aperture.vram(), phase, next);
                    changed |= change != Change::None;
                    if change == Change::All {
                        self.all = next;
                    }
                }
            }
            Picture::Raster(_) | Picture::Linear(_) => {
                self.pages.stamp(&dirty, next);
                changed |= !dirty.is_empty();
            }
        }
        if changed {
            self.generation = next;
        }
        self.phase = phase;
        self.scanout = Some(scanout);
    }

    /// Brings `frame` up to the current generation.
    pub(super) fn draw(&self, vram: &Vram, frame: &mut Frame) -> Damage {
        let Some(scanout) = &self.scanout else { return Damage::None };
        let (width, height) = (scanout.width, scanout.height);
        let len = width as usize * height as usize * 4;
        let fits = (frame.width, frame.height, frame.pixels.len()) == (width, height, len);
        let seen = std::mem::replace(&mut frame.generation, self.generation);
        // A generation yet to come is that of another display.
        let all = !fits || seen < self.all || seen > self.generation;
        if !all && seen == self.generation {
            return Damage::None;
        }
        if !fits {
            (frame.width, frame.height) = (width, height);
            // Nothing of the old picture is worth copying into a larger allocation.
            frame.pixels = vec![0; len];
        }
        let since = (!all).then_some(seen);
        let mut damage = DamageList::default();
        let mut canvas = Canvas::new(width, &mut frame.pixels);
        match &scanout.picture {
            Picture::Blank => canvas.blank(),
            Picture::Text(layout) => {
                self.text.draw(&layout.geometry, &mut canvas, since, &mut damage);
            }
            Picture::Raster(raster) => {
                raster.draw(vram, &mut canvas, &self.pages, since, &mut damage);
            }
            Picture::Linear(linear) => {
                linear.draw(vram, &mut canvas, &self.pages, since, &mut damage);
            }
        }
        if all { Damage::All } else { damage.finish() }
    }
}
