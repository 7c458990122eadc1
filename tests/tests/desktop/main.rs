//! The window, with machines that need no system in them: these tests run wherever there is any
//! `/dev/kvm` at all. What needs a system is in `tests/tests/desktop_guests`.

mod bad_input;
mod crash;
mod dialogs;
mod download;
mod drop;
mod empty;
mod ending;
mod full_screen;
mod guest;
mod keyboard;
mod languages;
mod machines;
mod no_space;
mod own;
mod shell;
mod watchdog;
mod wizard;
