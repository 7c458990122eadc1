//! Scripted stand-ins for what `vmm-core` provides, so that the window's parts are tested, and
//! measured, without a machine. Built for tests and with the feature `fake` alone.

mod display;

pub use self::display::FakeDisplay;
