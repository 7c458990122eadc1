//! The HBA's side towards the machine: interrupts and memory.
//!
//! Interrupts are a tree (AHCI 1.3.1 §10.7): PxIS and PxIE of each port, latched into IS, gated
//! by GHC.IE. All levels are readable without a lock, because a guest's interrupt handler reads
//! each of them. The latch is only changed under its mutex, which also orders what the
//! interrupt controller is told; ports may hold their own lock when they come here, never the
//! other way round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use parking_lot::Mutex;
use vm_memory::{Bytes, GuestAddress};

use super::registers::PORTS;
use crate::memory::GuestRam;
use crate::pci::PciFunction;

/// PxIS and PxIE of one port.
#[derive(Default)]
pub(super) struct PortInterrupt {
    pub(super) status: AtomicU32,
    pub(super) enable: AtomicU32,
}

impl PortInterrupt {
    fn asserted(&self) -> bool {
        self.status.load(SeqCst) & self.enable.load(SeqCst) != 0
    }
}

#[derive(Default)]
struct Latch {
    /// GHC.IE.
    enabled: bool,
    /// What the function was last told.
    level: bool,
}

/// What the ports share.
pub(super) struct Host {
    pub(super) function: PciFunction,
    pub(super) ram: Arc<GuestRam>,
    pub(super) ports: [PortInterrupt; PORTS],
    /// Bus master enable, kept here so that a command need not lock the configuration space.
    bus_master: AtomicBool,
    /// IS.
    status: AtomicU32,
    latch: Mutex<Latch>,
}

impl Host {
    pub(super) fn new(function: PciFunction, ram: Arc<GuestRam>) -> Self {
        Self {
            function,
            ram,
            ports: Default::default(),
            bus_master: AtomicBool::new(false),
            status: AtomicU32::new(0),
            latch: Mutex::default(),
        }
    }

    /// Looks again whether the guest lets the function access memory.
    pub(super) fn config_changed(&self) {
        self.bus_master.store(self.function.bus_master(), SeqCst);
    }

    pub(super) fn bus_master(&self) -> bool {
        self.bus_master.load(SeqCst)
    }

    /// Writes for a port; `false` when `address` is outside RAM. Without bus master enable
    /// nothing is written.
    pub(super) fn dma_write(&self, address: GuestAddress, data: &[u8]) -> bool {
        !self.bus_master() || self.ram.write_slice(data, address).is_ok()
    }

    /// IS.
    pub(super) fn interrupt_status(&self) -> u32 {
        self.status.load(SeqCst)
    }

    /// Port `port` has changed PxIS or PxIE: latches it when it wants an interrupt.
    ///
    /// One interrupt is enough until the guest has cleared the latch, however many commands end
    /// meanwhile: [`Self::clear_status`] looks at the port again.
    pub(super) fn port_event(&self, port: usize) {
        let bit = 1 << port;
        if !self.ports[port].asserted() || self.status.load(SeqCst) & bit != 0 {
            return;
        }
        let mut latch = self.latch.lock();
        // The guest may have served the port since.
        if self.ports[port].asserted() && self.status.fetch_or(bit, SeqCst) & bit == 0 {
            self.drive(&mut latch, true);
        }
    }

    /// The guest writes IS: clears the latched bits in `mask` whose ports have nothing more.
    pub(super) fn clear_status(&self, mask: u32) {
        let mut latch = self.latch.lock();
        self.status.fetch_and(!mask, SeqCst);
        for (index, port) in self.ports.iter().enumerate() {
            if mask >> index & 1 != 0 && port.asserted() {
                self.status.fetch_or(1 << index, SeqCst);
            }
        }
        // What remains is announced once more (§10.7.2.1): a message has no level.
        self.drive(&mut latch, true);
    }

    /// GHC.IE.
    pub(super) fn enabled(&self) -> bool {
        self.latch.lock().enabled
    }

    /// Sets GHC.IE.
    pub(super) fn set_enabled(&self, enabled: bool) {
        let mut latch = self.latch.lock();
        let news = enabled && !latch.enabled;
        latch.enabled = enabled;
        self.drive(&mut latch, news);
    }

    fn drive(&self, latch: &mut Latch, news: bool) {
        let level = latch.enabled && self.status.load(SeqCst) != 0;
        if level != latch.level {
            latch.level = level;
            self.function.set_interrupt(level);
        } else if level && news {
            self.function.repeat_interrupt();
        }
    }

    /// Forgets all interrupts (HBA reset).
    pub(super) fn reset_interrupts(&self) {
        let mut latch = self.latch.lock();
        for port in &self.ports {
            port.status.store(0, SeqCst);
            port.enable.store(0, SeqCst);
        }
        self.status.store(0, SeqCst);
        latch.enabled = false;
        self.drive(&mut latch, false);
    }

    /// Puts IS and GHC.IE back, without announcing anything.
    pub(super) fn restore_interrupts(&self, status: u32, enabled: bool) {
        let mut latch = self.latch.lock();
        self.status.store(status, SeqCst);
        latch.enabled = enabled;
        latch.level = enabled && status != 0;
        self.function.restore_interrupt(latch.level);
    }
}
