//! The X display of a test: keys and pointer as a person's hands, pictures as their eyes.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, ImageFormat, InputFocus,
    KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, MapState, Window, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use crate::Picture;

/// Between the events of one stroke: quick, but not so quick that it is no human's.
const STROKE: Duration = Duration::from_millis(8);

/// Keys by their name, with their keysym (X11's `keysymdef.h`). A character is its own name.
const NAMED: [(&str, u32); 24] = [
    ("BackSpace", 0xff08),
    ("Tab", 0xff09),
    ("Return", 0xff0d),
    ("Escape", 0xff1b),
    ("Home", 0xff50),
    ("Left", 0xff51),
    ("Up", 0xff52),
    ("Right", 0xff53),
    ("Down", 0xff54),
    ("Page_Up", 0xff55),
    ("Page_Down", 0xff56),
    ("End", 0xff57),
    ("Insert", 0xff63),
    ("Menu", 0xff67),
    ("shift", SHIFT),
    ("ctrl", 0xffe3),
    ("alt", 0xffe9),
    ("super", 0xffeb),
    ("Delete", 0xffff),
    ("space", 0x20),
    ("plus", 0x2b),
    ("minus", 0x2d),
    ("comma", 0x2c),
    ("question", 0x3f),
];

const SHIFT: u32 = 0xffe1;

/// A connection to the X server of a test.
#[derive(Debug)]
pub struct X11 {
    pub(super) connection: RustConnection,
    pub(super) root: Window,
    pub(super) size: (u16, u16),
    /// Key code, and whether it takes Shift, of a keysym.
    keys: HashMap<u32, (u8, bool)>,
}

impl X11 {
    /// Connects to `display`, such as `:7`.
    ///
    /// # Panics
    /// When there is no such display.
    #[must_use]
    pub fn connect(display: &str) -> Self {
        let (connection, number) = RustConnection::connect(Some(display)).expect("the X server");
        let setup = connection.setup();
        let screen = &setup.roots[number];
        let (root, size) = (screen.root, (screen.width_in_pixels, screen.height_in_pixels));
        let first = setup.min_keycode;
        let mapping = connection
            .get_keyboard_mapping(first, setup.max_keycode - first + 1)
            .expect("the X server")
            .reply()
            .expect("a keyboard");
        let width = usize::from(mapping.keysyms_per_keycode).max(1);
        let mut keys = HashMap::new();
        for (code, symbols) in (first..=setup.max_keycode).zip(mapping.keysyms.chunks(width)) {
            // The first two columns are those of the first layout, plain and with Shift.
            for (symbol, shifted) in symbols.iter().zip([false, true]) {
                keys.entry(*symbol).or_insert((code, shifted));
            }
        }
        Self { connection, root, size, keys }
    }

    /// Presses keys at once, such as `ctrl+n` or `Return`, and lets them go.
    ///
    /// # Panics
    /// When there is no such key.
    pub fn key(&self, chord: &str) {
        self.look_after_focus();
        let mut codes: Vec<u8> = Vec::new();
        for name in chord.split('+') {
            let (code, shifted) = self.code(symbol(name));
            if shifted {
                codes.push(self.code(SHIFT).0);
            }
            codes.push(code);
        }
        codes.iter().for_each(|code| self.fake(KEY_PRESS_EVENT, *code, (0, 0)));
        codes.iter().rev().for_each(|code| self.fake(KEY_RELEASE_EVENT, *code, (0, 0)));
    }

    /// Types a text of ASCII characters.
    ///
    /// # Panics
    /// When there is no key for one.
    pub fn type_text(&self, text: &str) {
        for character in text.chars() {
            match character {
                '\n' => self.key("Return"),
                '+' => self.key("plus"),
                character => self.key(&character.to_string()),
            }
        }
    }

    /// Moves the pointer.
    ///
    /// # Panics
    /// When the X server is gone.
    pub fn point(&self, x: i32, y: i32) {
        let at =
            (i16::try_from(x).expect("on the screen"), i16::try_from(y).expect("on the screen"));
        self.fake(MOTION_NOTIFY_EVENT, 0, at);
    }

    /// Clicks with a button: 1 is the left, 3 the right one; 4 and 5 turn the wheel.
    ///
    /// # Panics
    /// When the X server is gone.
    pub fn click(&self, button: u8) {
        self.look_after_focus();
        self.fake(BUTTON_PRESS_EVENT, button, (0, 0));
        self.fake(BUTTON_RELEASE_EVENT, button, (0, 0));
    }

    /// What is on the screen.
    ///
    /// # Panics
    /// When the X server is gone.
    #[must_use]
    pub fn picture(&self) -> Picture {
        let (width, height) = self.size;
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, u32::MAX)
            .expect("the X server")
            .reply()
            .expect("a picture of the screen");
        // 24 bits in words of 32, blue first.
        let pixels = image.data.chunks_exact(4).map(|p| [p[2], p[1], p[0]]).collect();
        Picture::new(u32::from(width), pixels)
    }

    /// How many windows a person sees.
    ///
    /// # Panics
    /// When the X server is gone.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.visible().len()
    }

    /// Without a window manager the keyboard is nobody's when a window with it closes: it goes to
    /// the one on top then.
    fn look_after_focus(&self) {
        let focus = self.connection.get_input_focus().expect("the X server").reply();
        let focus = focus.expect("the X server").focus;
        // 0 is none, 1 is where the pointer is.
        if focus > 1 && focus != self.root {
            return;
        }
        if let Some(top) = self.visible().last() {
            self.connection
                .set_input_focus(InputFocus::POINTER_ROOT, *top, x11rb::CURRENT_TIME)
                .expect("the X server");
            self.sync();
            thread::sleep(STROKE * 5);
        }
    }

    /// The windows of programs, the topmost last; no menus and tips.
    pub(super) fn visible(&self) -> Vec<Window> {
        let tree = self.connection.query_tree(self.root).expect("the X server").reply();
        let is_seen = |window: &Window| {
            let attributes = self.connection.get_window_attributes(*window).ok()?.reply().ok()?;
            let size = self.connection.get_geometry(*window).ok()?.reply().ok()?;
            let shown = attributes.map_state == MapState::VIEWABLE
                && !attributes.override_redirect
                && attributes.class == WindowClass::INPUT_OUTPUT;
            Some(shown && size.width > 10 && size.height > 10)
        };
        let windows = tree.expect("the X server").children;
        windows.into_iter().filter(|window| is_seen(window) == Some(true)).collect()
    }

    fn code(&self, symbol: u32) -> (u8, bool) {
        *self.keys.get(&symbol).unwrap_or_else(|| panic!("no key for keysym {symbol:#x}"))
    }

    pub(super) fn fake(&self, kind: u8, detail: u8, (x, y): (i16, i16)) {
        self.connection
            .xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, self.root, x, y, 0)
            .expect("the X server");
        self.sync();
        thread::sleep(STROKE);
    }

    /// As `XSync` of Xlib: what was asked for has been done when this returns.
    pub(super) fn sync(&self) {
        let asked = self.connection.get_input_focus().expect("the X server");
        asked.reply().expect("the X server");
    }
}

fn symbol(name: &str) -> u32 {
    if let Some((_, symbol)) = NAMED.iter().find(|(known, _)| *known == name) {
        return *symbol;
    }
    let mut characters = name.chars();
    match (characters.next(), characters.as_str()) {
        (Some(character @ ' '..='~'), "") => u32::from(character),
        (Some('F'), number) => match number.parse() {
            Ok(number @ 1..=12) => 0xffbd + number,
            _ => panic!("no key is called {name}"),
        },
        _ => panic!("no key is called {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_names_of_x11() {
        assert_eq!(symbol("Return"), 0xff0d);
        assert_eq!(symbol("a"), 0x61);
        assert_eq!(symbol("F"), 0x46);
        assert_eq!(symbol("F1"), 0xffbe);
        assert_eq!(symbol("F12"), 0xffc9);
    }
}
