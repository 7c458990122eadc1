//! A pretended Berth, for tests of the window and for looking at it without KVM.
//!
//! What lives here: a [`Backend`](crate::backend::Backend) whose machines are scripts in memory,
//! with the screen and the serial port of one. What does not: anything that the program uses.

mod backend;
mod display;
mod machine;
mod serial;

pub use self::backend::FakeBackend;
pub use self::display::FakeDisplay;
pub use self::machine::{FakeMachine, definition};
pub use self::serial::FakeSerial;
