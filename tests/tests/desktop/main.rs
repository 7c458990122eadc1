//! The window, with machines that need no system in them: these tests run wherever there is any
//! `/dev/kvm` at all. What needs a system is in `tests/tests/desktop_guests`.

mod bad_input;
mod crash;
mod dialogs;
mod empty;
mod guest;
mod machines;
mod shell;
mod wizard;
