//! The window, tested as a person uses it: a display of its own, an accessibility bus, real keys
//! and a real pointer.
//!
//! What lives here: a [`Desktop`] for one test, which is an X server without a screen, a session
//! bus and an accessibility bus, with folders of its own for everything that is kept; an [`App`]
//! that runs on it, seen through its accessibility tree as a screen reader sees it; [`FullScreens`],
//! for windows that want to fill the screen; [`unnamed`],
//! which finds controls that a screen reader could not name; and a [`Watchdog`] over the thread
//! that draws. What does not: what the tests do with them (`tests/tests/desktop*`).
//!
//! Nothing in the program knows of the tests. Everything goes the way that it goes for a person:
//! keys and clicks by the X server, names and states by AT-SPI over D-Bus.

mod accessible;
mod app;
mod drag;
mod full_screen;
mod names;
mod session;
mod watchdog;
mod wizard;
mod x11;

pub use accessible::{Accessible, Node, State};
pub use app::{App, new_machine, new_machines, store};
pub use full_screen::FullScreens;
pub use names::unnamed;
pub use session::{Desktop, connect};
pub use watchdog::{Stall, Watchdog};
pub use wizard::Wizard;
pub use x11::X11;

use std::env;
use std::thread;
use std::time::{Duration, Instant};

/// How long something in the window may take before a test gives up on it. Far more than a person
/// would wait: the machine may be busy, and the lab is an emulator.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(25);

/// [`PATIENCE`], longer in the lab.
#[must_use]
pub fn patience() -> Duration {
    if in_lab() { PATIENCE * 6 } else { PATIENCE }
}

/// Whether this runs in the lab, where everything is emulated and slow.
#[must_use]
pub fn in_lab() -> bool {
    env::var_os("LAB").is_some()
}

/// Waits until `look` finds something, for `limit` at most.
pub fn wait<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        // Once more when time is out: this thread may not have run for long.
        let late = Instant::now() >= deadline;
        if let Some(found) = look() {
            return Some(found);
        }
        if late {
            return None;
        }
        thread::sleep(LOOK);
    }
}
