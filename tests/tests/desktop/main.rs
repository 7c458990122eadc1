//! The window with machines that need no system in them, so that it runs wherever there is any
//! `/dev/kvm` at all. What needs a system is in `tests/tests/desktop_guests`.

mod empty;
