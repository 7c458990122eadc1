//! As much of a window manager as full screen needs.
//!
//! A test's X server has no window manager, so that windows stay where they are put. Who is to make
//! one as large as the screen is asked by a message to the root window, which anybody can read
//! (Extended Window Manager Hints 1.5, `_NET_WM_STATE`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConfigureWindowAux,
    ConnectionExt as _, EventMask, PropMode, Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::Desktop;

/// Between two looks at what is asked for.
const LOOK: Duration = Duration::from_millis(10);

/// Makes windows of a desktop as large as its screen when they ask for it, until it is dropped.
#[derive(Debug)]
pub struct FullScreens {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FullScreens {
    /// Listens from now on.
    ///
    /// # Panics
    /// When the X server is gone.
    #[must_use]
    pub fn start(desktop: &Desktop) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut server = Server::connect(desktop.display()).expect("the X server");
        let thread = thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Ordering::Relaxed) {
                    // It ends with the desktop.
                    if server.answer().is_err() {
                        return;
                    }
                    thread::sleep(LOOK);
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for FullScreens {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What went wrong in it is seen by what is missing.
            let _ = thread.join();
        }
    }
}

struct Server {
    connection: RustConnection,
    root: Window,
    screen: (u16, u16),
    state: Atom,
    full_screen: Atom,
    /// Where windows were before: x, y, width, height.
    before: HashMap<Window, (i16, i16, u16, u16)>,
}

impl Server {
    fn connect(display: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let (connection, number) = RustConnection::connect(Some(display))?;
        let screen = &connection.setup().roots[number];
        let (root, size) = (screen.root, (screen.width_in_pixels, screen.height_in_pixels));
        let events = ChangeWindowAttributesAux::new().event_mask(EventMask::SUBSTRUCTURE_NOTIFY);
        connection.change_window_attributes(root, &events)?.check()?;
        let atom = |name: &[u8]| -> Result<Atom, ReplyError> {
            Ok(connection.intern_atom(false, name)?.reply()?.atom)
        };
        let (state, full_screen) = (atom(b"_NET_WM_STATE")?, atom(b"_NET_WM_STATE_FULLSCREEN")?);
        Ok(Self { connection, root, screen: size, state, full_screen, before: HashMap::new() })
    }

    /// Does what was asked for since the last time.
    fn answer(&mut self) -> Result<(), ReplyError> {
        while let Some(event) = self.connection.poll_for_event()? {
            if let Event::ClientMessage(message) = event
                && message.type_ == self.state
            {
                self.change(&message)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, message: &ClientMessageEvent) -> Result<(), ReplyError> {
        let [action, first, second, ..] = message.data.as_data32();
        if ![first, second].contains(&self.full_screen) {
            return Ok(());
        }
        let window = message.window;
        let is_full = self.before.contains_key(&window);
        // 0 is off, 1 is on, 2 is the other.
        let full = action == 1 || action == 2 && !is_full;
        if full && !is_full {
            let now = self.connection.get_geometry(window)?.reply()?;
            self.before.insert(window, (now.x, now.y, now.width, now.height));
        }
        let place = match full {
            true => Some((0, 0, self.screen.0, self.screen.1)),
            false => self.before.remove(&window),
        };
        let states: &[Atom] = if full { &[self.full_screen] } else { &[] };
        self.connection.change_property32(
            PropMode::REPLACE,
            window,
            self.state,
            AtomEnum::ATOM,
            states,
        )?;
        if let Some((x, y, width, height)) = place {
            let place = ConfigureWindowAux::new()
                .x(i32::from(x))
                .y(i32::from(y))
                .width(u32::from(width))
                .height(u32::from(height));
            self.connection.configure_window(window, &place)?;
        }
        // What is asked of the server in vain is told here, for one request at least.
        self.connection.get_geometry(self.root)?.reply().map(drop)
    }
}
