//! From GDK's pointer to the guest's: movement in whole counts, buttons as bits, wheel clicks.
//!
//! GTK 4 cannot move or confine the pointer, so a captured pointer is hidden and followed as far
//! as it goes. The guest's pointer, which starts elsewhere, could then not reach every corner:
//! at an edge of the widget it is pushed on (see [`Pointer::push`]). No GTK in here.

use gtk::glib;
use vmm_core::machine::PointerEvent;

/// How the guest follows the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "BerthPointerMode")]
pub enum PointerMode {
    /// By movement, as a mouse: the pointer is captured by a click and hidden.
    #[default]
    Relative,
    /// By position, as a tablet: the pointer is where the user's is, and nothing is captured.
    Absolute,
}

/// From an edge, in logical pixels: there the guest's pointer is pushed on.
const EDGE: f64 = 2.0;
/// How far, in logical pixels at every frame: across a screen in about a second.
pub(super) const PUSH: f64 = 24.0;
/// Pixels of smooth scrolling to a wheel click.
const SCROLL_PIXELS: f64 = 40.0;
/// Beyond this many wheel clicks at once, more are no use to anybody.
const MAX_CLICKS: f64 = 32.0;

/// Bits of [`PointerEvent::buttons`] by GDK's button numbers, in which 4 to 7 are wheels.
fn button_bit(button: u32) -> Option<u8> {
    match button {
        1 => Some(1 << 0),
        3 => Some(1 << 1),
        2 => Some(1 << 2),
        8 => Some(1 << 3),
        9 => Some(1 << 4),
        _ => None,
    }
}

/// What a wheel counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScrollUnit {
    /// Clicks, or fractions of them.
    Clicks,
    /// Logical pixels.
    Pixels,
}

/// The part of the widget that is seen, in its logical pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// The guest's pointing device, as the guest has been told of it.
#[derive(Debug, Default)]
pub(super) struct Pointer {
    buttons: u8,
    /// Where the user's pointer was last, in logical pixels of the widget.
    last: Option<(f64, f64)>,
    /// Movement that was less than a count.
    rest: (f64, f64),
    wheel_rest: f64,
}

impl Pointer {
    /// The user's pointer is at a point of the widget, in which a guest pixel is `scale` logical
    /// pixels large.
    pub(super) fn motion(&mut self, x: f64, y: f64, scale: f64) -> Option<PointerEvent> {
        let (last_x, last_y) = self.last.replace((x, y))?;
        self.moved(x - last_x, y - last_y, scale)
    }

    /// The user's pointer rests where it is: at an edge of what is seen of the widget it pushes
    /// the guest's pointer on. To be called once a frame.
    pub(super) fn push(&mut self, seen: &Seen, scale: f64) -> Option<PointerEvent> {
        let (x, y) = self.edge(seen)?;
        self.moved(x * PUSH, y * PUSH, scale)
    }

    /// In which direction the edge lies that the pointer is at: -1, 0 or 1 across and down.
    pub(super) fn edge(&self, seen: &Seen) -> Option<(f64, f64)> {
        let (x, y) = self.last?;
        let side = |at: f64, start: f64, end: f64| {
            if at < start + EDGE {
                -1.0
            } else if at >= end - EDGE {
                1.0
            } else {
                0.0
            }
        };
        let direction = (side(x, seen.left, seen.right), side(y, seen.top, seen.bottom));
        (direction != (0.0, 0.0)).then_some(direction)
    }

    fn moved(&mut self, dx: f64, dy: f64, scale: f64) -> Option<PointerEvent> {
        if !(scale.is_finite() && scale > 0.0) {
            return None;
        }
        let take = |rest: &mut f64, by: f64| {
            let exact = *rest + by / scale;
            let whole = exact.trunc();
            *rest = exact - whole;
            whole as i32
        };
        let dx = take(&mut self.rest.0, dx);
        let dy = take(&mut self.rest.1, dy);
        ((dx, dy) != (0, 0)).then_some(PointerEvent { dx, dy, wheel: 0, buttons: self.buttons })
    }

    /// The user's pointer is at a point of the widget, which is nothing to the guest.
    pub(super) fn seek(&mut self, x: f64, y: f64) {
        self.last = Some((x, y));
        self.rest = (0.0, 0.0);
    }

    /// The widget was scrolled beneath the user's pointer.
    pub(super) fn scrolled(&mut self, dx: f64, dy: f64) {
        self.last = self.last.map(|(x, y)| (x + dx, y + dy));
    }

    /// The user's pointer has gone, and will be back elsewhere.
    pub(super) fn left(&mut self) {
        self.last = None;
        self.rest = (0.0, 0.0);
    }

    /// A button goes down.
    pub(super) fn press(&mut self, button: u32) -> Option<PointerEvent> {
        self.set_buttons(self.buttons | button_bit(button)?)
    }

    /// A button goes up.
    pub(super) fn release(&mut self, button: u32) -> Option<PointerEvent> {
        self.set_buttons(self.buttons & !button_bit(button)?)
    }

    /// Lets go of every button.
    pub(super) fn release_all(&mut self) -> Option<PointerEvent> {
        self.wheel_rest = 0.0;
        self.set_buttons(0)
    }

    fn set_buttons(&mut self, buttons: u8) -> Option<PointerEvent> {
        let old = std::mem::replace(&mut self.buttons, buttons);
        (old != buttons).then_some(PointerEvent { buttons, ..PointerEvent::default() })
    }

    /// The wheel turns, or fingers scroll; positive towards the user.
    pub(super) fn scroll(&mut self, by: f64, unit: ScrollUnit) -> Option<PointerEvent> {
        let clicks = match unit {
            ScrollUnit::Clicks => by,
            ScrollUnit::Pixels => by / SCROLL_PIXELS,
        };
        if !clicks.is_finite() {
            return None;
        }
        // A change of direction is felt at once.
        if clicks * self.wheel_rest < 0.0 {
            self.wheel_rest = 0.0;
        }
        let exact = (self.wheel_rest + clicks).clamp(-MAX_CLICKS, MAX_CLICKS);
        let whole = exact.trunc();
        self.wheel_rest = exact - whole;
        (whole != 0.0).then(|| PointerEvent {
            wheel: whole as i32,
            buttons: self.buttons,
            ..PointerEvent::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movement_is_scaled_and_nothing_of_it_lost() {
        let mut pointer = Pointer::default();
        assert_eq!(pointer.motion(100.0, 100.0, 3.0), None, "where it enters is no movement");
        let mut sum = (0, 0);
        for step in 1..=30 {
            let moved = pointer.motion(100.0 + f64::from(step), 100.0 - f64::from(step), 3.0);
            if let Some(event) = moved {
                sum = (sum.0 + event.dx, sum.1 + event.dy);
            }
        }
        assert_eq!(sum, (10, -10));
        pointer.left();
        assert_eq!(pointer.motion(500.0, 500.0, 3.0), None, "it came back elsewhere");
        pointer.seek(200.0, 200.0);
        assert_eq!(pointer.motion(230.0, 200.0, 3.0).map(|event| event.dx), Some(10));
    }

    #[test]
    fn edges_push_outwards_only() {
        let seen = Seen { left: 100.0, top: 0.0, right: 640.0, bottom: 480.0 };
        let mut pointer = Pointer::default();
        assert_eq!(pointer.push(&seen, 1.0), None);
        pointer.motion(320.0, 240.0, 1.0);
        assert_eq!(pointer.push(&seen, 1.0), None);
        pointer.motion(639.0, 240.0, 1.0);
        let pushed = pointer.push(&seen, 1.0).unwrap();
        assert!(pushed.dx > 0 && pushed.dy == 0);
        pointer.motion(100.0, 0.0, 1.0);
        let pushed = pointer.push(&seen, 1.0).unwrap();
        assert!(pushed.dx < 0 && pushed.dy < 0);
    }

    #[test]
    fn buttons_have_their_bits() {
        let mut pointer = Pointer::default();
        let mut buttons = |button| pointer.press(button).map(|event| event.buttons);
        assert_eq!(buttons(1), Some(0b00001));
        assert_eq!(buttons(3), Some(0b00011));
        assert_eq!(buttons(2), Some(0b00111));
        assert_eq!(buttons(8), Some(0b01111));
        assert_eq!(buttons(9), Some(0b11111));
        assert_eq!(buttons(4), None);
        assert_eq!(pointer.release(1).map(|event| event.buttons), Some(0b11110));
        assert_eq!(pointer.release(1), None);
        assert_eq!(pointer.release_all().map(|event| event.buttons), Some(0));
        assert_eq!(pointer.release_all(), None);
    }

    #[test]
    fn smooth_scrolling_adds_up_to_clicks() {
        let mut pointer = Pointer::default();
        assert_eq!(pointer.scroll(1.0, ScrollUnit::Clicks).map(|e| e.wheel), Some(1));
        assert_eq!(pointer.scroll(-2.0, ScrollUnit::Clicks).map(|e| e.wheel), Some(-2));
        assert_eq!(pointer.scroll(0.5, ScrollUnit::Clicks), None);
        assert_eq!(pointer.scroll(0.5, ScrollUnit::Clicks).map(|e| e.wheel), Some(1));
        let clicks: i32 =
            (0..8).filter_map(|_| pointer.scroll(10.0, ScrollUnit::Pixels)).map(|e| e.wheel).sum();
        assert_eq!(clicks, 2);
        assert_eq!(pointer.scroll(30.0, ScrollUnit::Pixels), None);
        assert_eq!(pointer.scroll(-30.0, ScrollUnit::Pixels), None);
        assert_eq!(pointer.scroll(-10.0, ScrollUnit::Pixels).map(|e| e.wheel), Some(-1));
        assert_eq!(pointer.scroll(f64::NAN, ScrollUnit::Clicks), None);
    }
}
