//! Interrupt lines and messages, as devices see them, and doorbells that guests ring.
//!
//! The machine implements [`InterruptController`] on KVM's in-kernel PIC, I/O APIC and local
//! APICs; tests implement it with a recorder.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vmm_sys_util::eventfd::EventFd;

/// A message-signalled interrupt: a 32-bit write to an address in the local APIC's window
/// (Intel SDM vol. 3, "Message Signalled Interrupts").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsiMessage {
    /// Where the message is written.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// What delivers interrupts to the vCPUs. Callable from any thread.
pub trait InterruptController: Send + Sync {
    /// Drives global system interrupt `gsi` (0 to 23) high or low.
    fn set_line(&self, gsi: u32, level: bool);
    /// Delivers `message` once.
    fn signal_msi(&self, message: MsiMessage);

    /// Reserves a route by which an eventfd sends a message; `None` when there is none to be
    /// had, and messages have to be signalled one by one.
    fn add_route(&self) -> Option<RouteId> {
        None
    }

    /// From now on every write to `event` sends `message` by `route`, replacing what the route
    /// sent before. A write made earlier that nobody has read sends it as well.
    ///
    /// # Errors
    /// When the message is none that can be delivered; the route then sends nothing.
    fn connect(&self, _route: RouteId, _event: &EventFd, _message: MsiMessage) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Writes to `event` no longer send anything.
    fn disconnect(&self, _route: RouteId, _event: &EventFd) {}

    /// Gives a disconnected route back.
    fn remove_route(&self, _route: RouteId) {}
}

/// One route for messages, see [`InterruptController::add_route`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// What turns guest writes to an address into writes to an eventfd without a vCPU having to
/// leave the kernel. Implemented by KVM; where there is none, the write reaches the device model.
pub trait Doorbells: Send + Sync {
    /// Writes of any length and value to guest-physical `address` now go to `event` alone.
    ///
    /// # Errors
    /// When the system has no room for another doorbell; writes then reach the MMIO bus.
    fn install(&self, address: u64, event: &EventFd) -> io::Result<()>;

    /// Ends what [`Self::install`] began with the same arguments.
    fn remove(&self, address: u64, event: &EventFd);
}

/// One wire to the interrupt controller.
#[derive(Clone)]
pub struct IrqLine {
    controller: Arc<dyn InterruptController>,
    gsi: u32,
}

impl IrqLine {
    /// The wire of global system interrupt `gsi`. ISA IRQ n is GSI n.
    pub fn new(controller: Arc<dyn InterruptController>, gsi: u32) -> Self {
        Self { controller, gsi }
    }

    /// Drives the wire.
    pub fn set(&self, level: bool) {
        self.controller.set_line(self.gsi, level);
    }

    /// Raises and lowers the wire: one edge for an edge-triggered input.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

/// A controller that remembers what it was told, for tests of devices.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Recorder {
    /// Level of each GSI.
    pub(crate) lines: parking_lot::Mutex<std::collections::BTreeMap<u32, bool>>,
    /// Rising edges seen on each GSI.
    pub(crate) edges: parking_lot::Mutex<std::collections::BTreeMap<u32, u32>>,
    /// Messages in order.
    pub(crate) messages: parking_lot::Mutex<Vec<MsiMessage>>,
}

#[cfg(test)]
impl Recorder {
    pub(crate) fn line(&self, gsi: u32) -> bool {
        self.lines.lock().get(&gsi).copied().unwrap_or(false)
    }
    pub(crate) fn edge_count(&self, gsi: u32) -> u32 {
        self.edges.lock().get(&gsi).copied().unwrap_or(0)
    }
}

#[cfg(test)]
impl InterruptController for Recorder {
    fn set_line(&self, gsi: u32, level: bool) {
        let before = self.lines.lock().insert(gsi, level).unwrap_or(false);
        if level && !before {
            *self.edges.lock().entry(gsi).or_default() += 1;
        }
    }
    fn signal_msi(&self, message: MsiMessage) {
        self.messages.lock().push(message);
    }
}
