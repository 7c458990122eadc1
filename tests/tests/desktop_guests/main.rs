//! The window with real systems in its machines, which need a `/dev/kvm` that runs ordinary guests.

mod debian;
mod installer;
