//! What a guest asks of the machine it runs in.

use std::sync::Arc;

/// A wish of the guest that only the machine as a whole can grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestRequest {
    /// Reset the machine, as by port 0xCF9, port 0x92, the keyboard controller or ACPI.
    Reset,
    /// Turn the machine off (ACPI S5).
    PowerOff,
}

/// Where devices send [`GuestRequest`]s. Returns at once; the machine acts on its own thread.
pub type RequestSink = Arc<dyn Fn(GuestRequest) + Send + Sync>;
