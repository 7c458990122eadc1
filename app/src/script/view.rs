//! Looking at the screen for conditions.

use std::time::{Duration, Instant};

use vmm_core::display::{Damage, Display, Frame, Mode};

use super::Color;

/// How far each of red, green and blue may be off.
const TOLERANCE: u8 = 6;

/// What has been seen of the screen. A look costs what changed since the one before.
#[derive(Debug)]
pub(super) struct View {
    frame: Frame,
    /// When the frame was last seen to change, or the screen to be off.
    changed: Instant,
    /// The share of a colour in the current frame, once counted.
    share: Option<([u8; 3], f64)>,
}

impl View {
    pub(super) fn new(now: Instant) -> Self {
        Self { frame: Frame::new(), changed: now, share: None }
    }

    fn look(&mut self, display: &dyn Display, now: Instant) {
        let blank = display.mode() == Mode::Blank;
        if display.refresh(&mut self.frame) != Damage::None {
            self.share = None;
            self.changed = now;
        }
        if blank {
            self.changed = now;
        }
    }

    /// Whether the screen has changed since the first look.
    pub(super) fn has_changed(&mut self, display: &dyn Display, now: Instant) -> bool {
        let first = self.frame.pixels.is_empty();
        let damage = display.refresh(&mut self.frame);
        if damage != Damage::None {
            self.share = None;
            self.changed = now;
        }
        !first && damage != Damage::None
    }

    /// Whether the screen shows something and has not changed for `time`.
    pub(super) fn is_still(&mut self, display: &dyn Display, now: Instant, time: Duration) -> bool {
        self.look(display, now);
        now.duration_since(self.changed) >= time
    }

    /// Whether enough of the screen has the colour.
    pub(super) fn has_color(&mut self, display: &dyn Display, now: Instant, color: Color) -> bool {
        self.look(display, now);
        let share = match self.share {
            Some((rgb, share)) if rgb == color.rgb => share,
            _ => percent(&self.frame, color.rgb),
        };
        self.share = Some((color.rgb, share));
        !self.frame.pixels.is_empty() && share >= color.percent
    }
}

/// How many of a hundred pixels have the colour.
fn percent(frame: &Frame, [red, green, blue]: [u8; 3]) -> f64 {
    let wanted = [blue, green, red];
    let matches = |pixel: &&[u8]| pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= TOLERANCE);
    let pixels = frame.pixels.chunks_exact(4);
    let all = pixels.len().max(1);
    // Counts of pixels are far below 2^53, where f64 is exact.
    pixels.filter(matches).count() as f64 * 100.0 / all as f64
}
