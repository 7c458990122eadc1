//! A screen that shows what a test draws.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vmm_core::display::{Damage, Display, Frame, Mode, Rect};

/// Changes remembered; a viewer further behind gets the whole picture.
const HISTORY: usize = 64;
/// A text mode's character cell, in pixels.
const CELL: (u32, u32) = (9, 16);

struct Screen {
    mode: Mode,
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    text: String,
    generation: u64,
    /// Changes with the generation each led to, the newest last.
    history: VecDeque<(u64, Rect)>,
    /// The generation in which the whole picture last changed.
    all: u64,
    looks: u64,
}

/// A [`Display`] to draw on from any thread. Like the real one it counts generations, so that
/// any number of viewers, each with a frame of its own, get what they have not seen.
///
/// ```
/// use ui::fake::FakeDisplay;
/// use vmm_core::display::{Damage, Display, Frame, Rect};
///
/// let display = FakeDisplay::new(640, 480);
/// let mut frame = Frame::new();
/// assert_eq!(display.refresh(&mut frame), Damage::All);
/// let rect = Rect { x: 10, y: 20, width: 30, height: 40 };
/// display.fill(rect, [0, 0, 255]);
/// assert_eq!(display.refresh(&mut frame), Damage::Rects(vec![rect]));
/// ```
pub struct FakeDisplay {
    screen: Mutex<Screen>,
}

impl FakeDisplay {
    /// A display in a graphics mode, showing [`FakeDisplay::pattern`].
    pub fn new(width: u32, height: u32) -> Self {
        let screen = Screen {
            mode: Mode::Blank,
            width: 0,
            height: 0,
            pixels: Vec::new(),
            text: String::new(),
            generation: 0,
            history: VecDeque::new(),
            all: 0,
            looks: 0,
        };
        let display = Self { screen: Mutex::new(screen) };
        display.set_mode(width, height);
        display
    }

    fn lock(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pixel of the test pattern at a point, as blue, green, red, 255. Every pixel differs
    /// from its neighbours, so that one shifted or blurred is seen.
    pub fn pattern(x: u32, y: u32) -> [u8; 4] {
        let checks = if (x + y).is_multiple_of(2) { 0xc0 } else { 0 };
        [(x * 3) as u8, (y * 5) as u8, checks | ((x / 16 + y / 16) % 64) as u8, 255]
    }

    /// Changes to a graphics mode, showing the pattern.
    pub fn set_mode(&self, width: u32, height: u32) {
        let mut screen = self.lock();
        screen.resize(Mode::Graphics { width, height }, width, height);
        for y in 0..height {
            for x in 0..width {
                screen.set(x, y, Self::pattern(x, y));
            }
        }
    }

    /// Changes to a text mode that shows `text`, a letter being a box whose colour tells which.
    pub fn show_text(&self, columns: u32, rows: u32, text: &str) {
        let mut screen = self.lock();
        screen.resize(Mode::Text { columns, rows }, columns * CELL.0, rows * CELL.1);
        text.clone_into(&mut screen.text);
        for (row, line) in (0..rows).zip(text.lines()) {
            for (column, letter) in (0..columns).zip(line.chars()).filter(|(_, c)| *c != ' ') {
                let colour = u32::from(letter).wrapping_mul(0x9e37_79b1).to_le_bytes();
                for y in 2..CELL.1 - 2 {
                    for x in 1..CELL.0 - 1 {
                        let at = (column * CELL.0 + x, row * CELL.1 + y);
                        screen.set(at.0, at.1, [colour[0], colour[1], colour[2] | 0x80, 255]);
                    }
                }
            }
        }
    }

    /// Turns the display off, as a guest does: black, of the same size.
    pub fn blank(&self) {
        let mut screen = self.lock();
        let (width, height) = (screen.width, screen.height);
        screen.resize(Mode::Blank, width, height);
    }

    /// Fills a rectangle, cut to the screen, with a colour: blue, green, red.
    pub fn fill(&self, rect: Rect, colour: [u8; 3]) {
        let mut screen = self.lock();
        let right = rect.x.saturating_add(rect.width).min(screen.width);
        let bottom = rect.y.saturating_add(rect.height).min(screen.height);
        if rect.x >= right || rect.y >= bottom {
            return;
        }
        let pixel = [colour[0], colour[1], colour[2], 255];
        let row = pixel.repeat((right - rect.x) as usize);
        for y in rect.y..bottom {
            let at = (y as usize * screen.width as usize + rect.x as usize) * 4;
            screen.pixels[at..at + row.len()].copy_from_slice(&row);
        }
        let rect = Rect { width: right - rect.x, height: bottom - rect.y, ..rect };
        screen.generation += 1;
        let generation = screen.generation;
        screen.history.push_back((generation, rect));
        if screen.history.len() > HISTORY {
            screen.history.pop_front();
        }
    }

    /// What is on the screen at a point: blue, green, red, 255.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let screen = self.lock();
        let at = (y as usize * screen.width as usize + x as usize) * 4;
        [0, 1, 2, 3].map(|channel| screen.pixels[at + channel])
    }

    /// How often viewers have looked.
    pub fn looks(&self) -> u64 {
        self.lock().looks
    }
}

impl Screen {
    fn resize(&mut self, mode: Mode, width: u32, height: u32) {
        self.mode = mode;
        (self.width, self.height) = (width, height);
        self.pixels = [0, 0, 0, 255].repeat(width as usize * height as usize);
        self.text.clear();
        self.history.clear();
        self.generation += 1;
        self.all = self.generation;
    }

    fn set(&mut self, x: u32, y: u32, pixel: [u8; 4]) {
        let at = (y as usize * self.width as usize + x as usize) * 4;
        self.pixels[at..at + 4].copy_from_slice(&pixel);
    }

    /// What has changed since a generation; `None` when that cannot be told.
    fn since(&self, generation: u64) -> Option<Vec<Rect>> {
        let oldest = self.history.front().map_or(self.generation + 1, |(first, _)| *first);
        let known = generation >= self.all && generation + 1 >= oldest;
        known.then(|| {
            let new = self.history.iter().filter(|(at, _)| *at > generation);
            new.fold(Vec::new(), |rects, (_, rect)| add(rects, *rect))
        })
    }
}

/// Adds a rectangle to disjoint ones, joined with those it touches.
fn add(mut rects: Vec<Rect>, mut rect: Rect) -> Vec<Rect> {
    let overlaps = |a: &Rect, b: &Rect| {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    };
    while let Some(at) = rects.iter().position(|other| overlaps(other, &rect)) {
        let other = rects.swap_remove(at);
        let (x, y) = (rect.x.min(other.x), rect.y.min(other.y));
        let right = (rect.x + rect.width).max(other.x + other.width);
        let bottom = (rect.y + rect.height).max(other.y + other.height);
        rect = Rect { x, y, width: right - x, height: bottom - y };
    }
    rects.push(rect);
    rects
}

impl Display for FakeDisplay {
    fn mode(&self) -> Mode {
        self.lock().mode
    }

    fn refresh(&self, frame: &mut Frame) -> Damage {
        let mut screen = self.lock();
        screen.looks += 1;
        let fits = (frame.width, frame.height) == (screen.width, screen.height);
        let seen = std::mem::replace(&mut frame.generation, screen.generation);
        match screen.since(seen).filter(|_| fits) {
            Some(rects) if rects.is_empty() => Damage::None,
            Some(rects) => {
                for rect in &rects {
                    let row = rect.width as usize * 4;
                    for y in rect.y..rect.y + rect.height {
                        let at = (y as usize * screen.width as usize + rect.x as usize) * 4;
                        frame.pixels[at..at + row].copy_from_slice(&screen.pixels[at..at + row]);
                    }
                }
                Damage::Rects(rects)
            }
            None => {
                (frame.width, frame.height) = (screen.width, screen.height);
                frame.pixels.clone_from(&screen.pixels);
                Damage::All
            }
        }
    }

    fn text(&self) -> Option<String> {
        let screen = self.lock();
        matches!(screen.mode, Mode::Text { .. }).then(|| screen.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_get_what_they_have_not_seen() {
        let display = FakeDisplay::new(64, 48);
        let (mut one, mut other) = (Frame::new(), Frame::new());
        assert_eq!(display.refresh(&mut one), Damage::All);
        let rect = Rect { x: 60, y: 40, width: 10, height: 10 };
        display.fill(rect, [1, 2, 3]);
        let cut = Rect { width: 4, height: 8, ..rect };
        assert_eq!(display.refresh(&mut one), Damage::Rects(vec![cut]));
        assert_eq!(display.refresh(&mut other), Damage::All);
        assert_eq!(one, other);
        assert_eq!(display.refresh(&mut one), Damage::None);
        for _ in 0..HISTORY + 1 {
            display.fill(rect, [9, 9, 9]);
        }
        assert_eq!(display.refresh(&mut one), Damage::All, "too far behind to tell");
        display.show_text(80, 25, "login:");
        assert_eq!(display.text().as_deref(), Some("login:"));
        assert_eq!(display.refresh(&mut one), Damage::All);
        assert_eq!((one.width, one.height), (720, 400));
    }
}
