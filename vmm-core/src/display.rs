//! What a front end sees of the machine's screen.
//!
//! The VGA model implements [`Display`]; windows, screenshots and tests use it. Looking costs
//! what changed since the last look, not what is on the screen.

/// A rectangle of pixels, `x` and `y` from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// What changed in a [`Frame`] since the look before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// These rectangles: disjoint, at least one, at most a few dozen.
    Rects(Vec<Rect>),
    /// Everything, the size included.
    All,
}

/// A picture: rows of `width` pixels from top to bottom without gaps, each pixel four bytes
/// blue, green, red, 255 (which is GDK's premultiplied BGRA).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height * 4` bytes.
    pub pixels: Vec<u8>,
    /// What the display had drawn when this frame was last brought up to date; 0 for a new frame.
    /// It is the display's to read and write: viewers leave it alone.
    pub generation: u64,
}

impl Frame {
    /// A frame without pixels: the first look at a display fills it.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What the screen shows at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The guest has the display off (blanked, or not set up yet); the frame is black.
    Blank,
    /// Characters.
    Text {
        /// Characters a row.
        columns: u32,
        /// Rows.
        rows: u32,
    },
    /// Pixels.
    Graphics {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// A screen. Callable from any thread, by any number of viewers, each with a [`Frame`] of its own.
pub trait Display: Send + Sync {
    /// What kind of picture is shown.
    fn mode(&self) -> Mode;

    /// Brings `frame` up to date and says what changed in it. The picture is consistent: one
    /// mode, one palette, rows drawn by the guest before this call.
    fn refresh(&self, frame: &mut Frame) -> Damage;

    /// The characters of a text mode, rows separated by line feeds, trailing blanks cut;
    /// `None` in graphics modes.
    fn text(&self) -> Option<String>;
}
