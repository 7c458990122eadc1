//! Where the guest's picture goes in the widget, and which guest pixel is where.
//!
//! Three kinds of length meet here. *Guest pixels* are what the guest draws. *Device pixels* are
//! those of the monitor. *Logical pixels* are what GTK counts in: a device pixel is
//! `1 / device_scale` of them, and the scale need not be whole. No GTK in here.

use gtk::glib;

/// How the guest's picture is fitted into the space there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "BerthScaling")]
pub enum Scaling {
    /// As large as fits, the aspect kept.
    #[default]
    Fit,
    /// A guest pixel is a device pixel, or as many as a logical pixel holds whole ones on a dense
    /// monitor. The widget is to be scrolled if that is larger than the space.
    Actual,
}

/// A fitted picture this little larger than a whole multiple is shown at that multiple: sharp
/// with a thin border is better than soft to the edge.
const SNAP: f64 = 0.04;
/// Scales closer to a whole number than this differ from it by less than a pixel in 16,384.
const EPSILON: f64 = 1.0 / 16384.0;
/// Where an absolute pointing device's axes end; they begin at 0.
pub const ABSOLUTE_MAX: u16 = 32767;

/// Where the picture is, in logical pixels of the widget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Left edge; negative when the picture is wider than the widget.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// Device pixels to a guest pixel.
    pub scale: f64,
    /// The guest's picture, in guest pixels.
    guest: (u32, u32),
    device_scale: f64,
}

/// The space the widget has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Space {
    /// Width of the widget, in logical pixels.
    pub width: f64,
    /// Height of the widget, in logical pixels.
    pub height: f64,
    /// The widget's upper left corner on its surface, in logical pixels.
    pub origin: (f64, f64),
    /// Device pixels to a logical pixel.
    pub device_scale: f64,
}

impl Scaling {
    /// Device pixels to a guest pixel for a picture of `guest` pixels, neither of them 0.
    fn scale(self, guest: (u32, u32), space: &Space) -> f64 {
        match self {
            Self::Actual => actual_scale(space.device_scale),
            Self::Fit => {
                let across = space.width * space.device_scale / f64::from(guest.0);
                let down = space.height * space.device_scale / f64::from(guest.1);
                let scale = across.min(down);
                let whole = (scale + EPSILON).floor();
                if whole >= 1.0 && scale - whole < SNAP { whole } else { scale }
            }
        }
    }
}

/// Device pixels to a guest pixel at [`Scaling::Actual`].
fn actual_scale(device_scale: f64) -> f64 {
    (device_scale + EPSILON).floor().max(1.0)
}

/// The space that a picture of `guest` pixels takes at [`Scaling::Actual`], in logical pixels
/// rounded up.
pub(super) fn actual_size(guest: (u32, u32), device_scale: f64) -> (i32, i32) {
    let scale = actual_scale(device_scale) / device_scale;
    let logical = |pixels: u32| (f64::from(pixels) * scale - EPSILON).ceil() as i32;
    (logical(guest.0), logical(guest.1))
}

impl Placement {
    /// Places a picture of `guest` pixels in the middle of `space`, on whole device pixels.
    /// `None` when there is no picture or no space.
    pub fn new(scaling: Scaling, guest: (u32, u32), space: &Space) -> Option<Self> {
        let positive = |length: f64| length.is_finite() && length > 0.0;
        if guest.0 == 0
            || guest.1 == 0
            || ![space.width, space.height, space.device_scale].into_iter().all(positive)
        {
            return None;
        }
        let device_scale = space.device_scale;
        let scale = scaling.scale(guest, space);
        let place = |pixels: u32, room: f64, origin: f64| {
            // Whole device pixels, or the far edges would be blurred.
            let length = (f64::from(pixels) * scale).round().max(1.0);
            // A picture too large starts at the widget's edge: its upper left part is seen.
            let margin = ((room * device_scale - length) / 2.0).max(0.0);
            let at = (origin * device_scale + margin).round();
            (at / device_scale - origin, length / device_scale)
        };
        let (x, width) = place(guest.0, space.width, space.origin.0);
        let (y, height) = place(guest.1, space.height, space.origin.1);
        Some(Self { x, y, width, height, scale, guest, device_scale })
    }

    /// Whether every guest pixel covers as many device pixels as every other.
    pub fn is_integer(&self) -> bool {
        self.scale >= 1.0 - EPSILON && (self.scale - self.scale.round()).abs() < EPSILON
    }

    /// Logical pixels to a guest pixel.
    pub fn logical_scale(&self) -> f64 {
        self.scale / self.device_scale
    }

    /// The rectangle of the widget, in logical pixels, that a rectangle of the picture takes, both
    /// as left, upper, right and lower edge. The edges need not be on device pixels.
    pub fn exact(&self, edges: [u32; 4]) -> [f64; 4] {
        let [left, top, right, bottom] = edges.map(f64::from);
        let across = self.width / f64::from(self.guest.0);
        let down = self.height / f64::from(self.guest.1);
        [
            self.x + left * across,
            self.y + top * down,
            self.x + right * across,
            self.y + bottom * down,
        ]
    }

    /// The same with every edge moved to the nearest device pixel. What meets in the picture
    /// meets in the widget.
    pub fn aligned(&self, edges: [u32; 4]) -> [f64; 4] {
        let [left, top, right, bottom] = self.exact(edges);
        let align = |at: f64, start: f64| {
            ((at - start) * self.device_scale).round() / self.device_scale + start
        };
        [align(left, self.x), align(top, self.y), align(right, self.x), align(bottom, self.y)]
    }

    /// The guest pixel at a point of the widget, with fraction; `None` outside the picture.
    pub fn guest_point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let guest = ((x - self.x) / self.logical_scale(), (y - self.y) / self.logical_scale());
        let inside = |at: f64, end: u32| at >= 0.0 && at < f64::from(end);
        (inside(guest.0, self.guest.0) && inside(guest.1, self.guest.1)).then_some(guest)
    }

    /// A point of the widget on the axes of an absolute pointing device, each 0 to
    /// [`ABSOLUTE_MAX`]; points outside the picture count as its nearest edge.
    pub fn absolute_point(&self, x: f64, y: f64) -> (u16, u16) {
        let axis = |at: f64, pixels: u32| {
            // The device reports the middle of a pixel's share of the axis.
            let pixel = (at / self.logical_scale()).floor().clamp(0.0, f64::from(pixels - 1));
            let share = (pixel + 0.5) / f64::from(pixels);
            (share * f64::from(ABSOLUTE_MAX)).round() as u16
        };
        (axis(x - self.x, self.guest.0), axis(y - self.y, self.guest.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(width: f64, height: f64, device_scale: f64) -> Space {
        Space { width, height, origin: (0.0, 0.0), device_scale }
    }

    fn place(scaling: Scaling, guest: (u32, u32), space: Space) -> Placement {
        Placement::new(scaling, guest, &space).unwrap()
    }

    #[test]
    fn fit_keeps_the_aspect_and_centres() {
        let wide = place(Scaling::Fit, (640, 480), space(2000.0, 720.0, 1.0));
        assert_eq!((wide.x, wide.y, wide.width, wide.height), (520.0, 0.0, 960.0, 720.0));
        assert!(!wide.is_integer());
        let tall = place(Scaling::Fit, (1024, 768), space(512.0, 1000.0, 1.0));
        assert_eq!((tall.x, tall.y, tall.width, tall.height), (0.0, 308.0, 512.0, 384.0));
        assert!(!tall.is_integer(), "half size drops pixels, which is no sharp scale");
    }

    #[test]
    fn fit_is_sharp_where_it_nearly_is() {
        let exact = place(Scaling::Fit, (640, 480), space(1280.0, 960.0, 1.0));
        assert!(exact.is_integer());
        let nearly = place(Scaling::Fit, (640, 480), space(1290.0, 970.0, 1.0));
        assert_eq!((nearly.scale, nearly.x, nearly.y), (2.0, 5.0, 5.0));
        let smaller = place(Scaling::Fit, (640, 480), space(639.0, 480.0, 1.0));
        assert!(smaller.scale < 1.0 && !smaller.is_integer());
    }

    #[test]
    fn fractional_device_scale_counts_device_pixels() {
        // 800 logical are 1000 device pixels.
        let exact = place(Scaling::Fit, (1000, 750), space(800.0, 600.0, 1.25));
        assert!(exact.is_integer());
        assert_eq!((exact.width, exact.height), (800.0, 600.0));
        let actual = place(Scaling::Actual, (1000, 750), space(900.0, 900.0, 1.5));
        assert!(actual.is_integer());
        assert_eq!(actual.scale, 1.0);
        assert_eq!(actual.width, 1000.0 / 1.5);
        let dense = place(Scaling::Actual, (100, 100), space(900.0, 900.0, 2.0));
        assert_eq!((dense.scale, dense.width), (2.0, 100.0));
    }

    #[test]
    fn the_picture_sits_on_device_pixels() {
        let space = Space { width: 333.0, height: 333.0, origin: (7.0, 13.0), device_scale: 1.25 };
        let at = place(Scaling::Actual, (101, 51), space);
        for edge in [(7.0 + at.x) * 1.25, (13.0 + at.y) * 1.25] {
            assert!((edge - edge.round()).abs() < 1e-9, "{edge}");
        }
    }

    #[test]
    fn a_picture_too_large_starts_at_the_edge() {
        let at = place(Scaling::Actual, (1920, 1080), space(800.0, 600.0, 1.0));
        assert_eq!((at.x, at.y, at.width), (0.0, 0.0, 1920.0));
        assert_eq!(actual_size((1920, 1080), 1.0), (1920, 1080));
        assert_eq!(actual_size((1920, 1080), 2.0), (1920, 1080));
        assert_eq!(actual_size((1000, 751), 1.25), (800, 601));
    }

    #[test]
    fn neighbours_meet_on_device_pixels() {
        let space = Space { width: 777.0, height: 555.0, origin: (3.0, 9.0), device_scale: 1.25 };
        let at = place(Scaling::Fit, (640, 480), space);
        let [.., right, bottom] = at.aligned([0, 0, 128, 256]);
        let [left, top, ..] = at.aligned([128, 256, 640, 480]);
        assert_eq!((left, top), (right, bottom));
        for edge in [(3.0 + left) * 1.25, (9.0 + top) * 1.25] {
            assert!((edge - edge.round()).abs() < 1e-9, "{edge}");
        }
        let ends = [at.x, at.y, at.x + at.width, at.y + at.height];
        assert_eq!(at.exact([0, 0, 640, 480]), ends);
        let aligned = at.aligned([0, 0, 640, 480]);
        assert!(ends.iter().zip(aligned).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn points_are_found_again() {
        let at = place(Scaling::Fit, (640, 480), space(1300.0, 960.0, 1.0));
        assert_eq!(at.guest_point(at.x, 0.0), Some((0.0, 0.0)));
        assert_eq!(at.guest_point(at.x + 1279.0, 958.0), Some((639.5, 479.0)));
        assert_eq!(at.guest_point(at.x - 1.0, 0.0), None);
        assert_eq!(at.guest_point(at.x + 1280.0, 0.0), None);
    }

    #[test]
    fn absolute_axes_reach_both_ends_and_name_every_pixel() {
        let at = place(Scaling::Actual, (1920, 1080), space(1920.0, 1080.0, 1.0));
        assert_eq!(at.absolute_point(-5.0, -5.0), (9, 15));
        assert_eq!(at.absolute_point(5000.0, 5000.0), (32758, 32752));
        for pixel in 0..1920_u32 {
            let (x, _) = at.absolute_point(f64::from(pixel), 0.0);
            // What a guest makes of it.
            assert_eq!(u32::from(x) * 1920 / 32768, pixel);
        }
    }

    #[test]
    fn nothing_to_show_or_nowhere_to_show_it() {
        assert_eq!(Placement::new(Scaling::Fit, (0, 480), &space(10.0, 10.0, 1.0)), None);
        assert_eq!(Placement::new(Scaling::Fit, (640, 480), &space(0.0, 10.0, 1.0)), None);
        assert_eq!(Placement::new(Scaling::Fit, (640, 480), &space(10.0, 10.0, 0.0)), None);
    }
}
