//! Interrupt lines and messages, as devices see them.
//!
//! The machine implements [`InterruptController`] on KVM's in-kernel PIC, I/O APIC and local
//! APICs; tests implement it with a recorder.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
