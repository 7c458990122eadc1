//! The link to the device, and resets.
//!
//! A reset must not let an earlier request write guest memory afterwards, and must not hold a
//! vCPU until the block layer has ended it. So a reset voids what is in flight at once, by
//! starting a new epoch, but only completes when the last void request has ended: until then
//! the guest sees the intermediate state that hardware has too (PxCMD.CR set, link not up, BSY,
//! GHC.HR set) and polls, as every driver does. [`Port::settle`] completes it, on the thread of
//! the last completion.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde::{Deserialize, Serialize};

use super::super::registers::{NO_DEVICE_STATUS, NO_SIGNATURE, cmd, irq, sctl, serr, ssts};
use super::super::task::status;
use super::{Inner, Port};

/// What PxSSTS.DET tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Link {
    /// No device, or COMRESET is held.
    Down,
    /// COMRESET was released; waits for requests of before.
    Connecting,
    /// Up.
    Up,
    /// Disabled by software.
    Offline,
}

impl Link {
    pub(super) fn status(self) -> u32 {
        match self {
            Self::Down => ssts::NONE,
            Self::Connecting => ssts::PRESENT,
            Self::Up => ssts::UP,
            Self::Offline => ssts::OFFLINE,
        }
    }
}

impl Inner {
    /// Forgets all commands. Requests that the block layer has are void from now on.
    pub(super) fn abort(&mut self) {
        self.epoch += 1;
        let unsent = self.outbox.len() as u32;
        self.stale += self.in_flight - unsent;
        self.in_flight = 0;
        self.outbox.clear();
        self.running = Default::default();
    }
}

impl Port {
    /// The guest writes PxSCTL.
    pub(super) fn write_control(&self, inner: &mut Inner, value: u32) {
        let before = inner.sctl & sctl::DET;
        inner.sctl = value;
        let link = match value & sctl::DET {
            det if det == before => return,
            0 => return self.connect(inner),
            sctl::DET_COMRESET => Link::Down,
            sctl::DET_OFFLINE => Link::Offline,
            _ => return,
        };
        inner.abort();
        inner.ci = 0;
        inner.sact = 0;
        inner.link = link;
        inner.signature_due = false;
        inner.soft_reset = false;
        inner.signature = NO_SIGNATURE;
        inner.status = NO_DEVICE_STATUS;
        inner.error = 0;
    }

    /// Brings the link up, from power-on, HBA reset or COMRESET.
    pub(super) fn connect(&self, inner: &mut Inner) {
        inner.soft_reset = false;
        inner.signature_due = false;
        inner.signature = NO_SIGNATURE;
        inner.error = 0;
        if inner.device.is_empty() {
            inner.link = Link::Down;
            inner.status = NO_DEVICE_STATUS;
            return;
        }
        inner.device.hard_reset();
        inner.link = Link::Connecting;
        inner.status = status::BSY;
        self.settle(inner);
    }

    /// Completes what waited for void requests to end or for the guest to receive FISes.
    pub(super) fn settle(&self, inner: &mut Inner) {
        if inner.stale > 0 {
            return;
        }
        if inner.link == Link::Connecting {
            inner.link = Link::Up;
            inner.signature_due = true;
            inner.serr |= serr::EXCHANGED | serr::PHY_READY;
            self.set_interrupts(irq::PCS | irq::PRCS);
        }
        if inner.signature_due {
            if inner.cmd & cmd::FRE != 0 {
                self.send_signature(inner);
            }
        } else if inner.link == Link::Up && !inner.soft_reset && inner.in_flight == 0 {
            // A command that software gave up by clearing PxCMD.ST ends in the device now.
            if inner.status & status::BSY != 0 {
                inner.status = status::READY;
            }
        }
    }

    /// The D2H register FIS after a reset (AHCI 1.3.1 §10.4).
    fn send_signature(&self, inner: &mut Inner) {
        let task_file = inner.device.signature();
        inner.signature_due = false;
        inner.signature = (task_file.lba as u32 & 0xff_ffff) << 8 | u32::from(task_file.count);
        inner.status = task_file.status;
        inner.error = task_file.error;
        self.post_register(inner, &task_file, false);
    }

    /// HBA reset: all but the two base addresses (AHCI 1.3.1 §10.4.3).
    pub(in super::super) fn reset_hba(self: &Arc<Self>) {
        let mut inner = self.inner.lock();
        inner.abort();
        inner.cmd = 0;
        inner.sctl = 0;
        inner.serr = 0;
        inner.sact = 0;
        inner.ci = 0;
        inner.current_slot = 0;
        inner.halted = false;
        let interrupt = &self.host.ports[self.index];
        interrupt.enable.store(0, SeqCst);
        interrupt.status.store(0, SeqCst);
        self.connect(&mut inner);
    }

    /// Power-on reset: waits for requests in flight, since the memory they write to is about to
    /// be the firmware's. Called while no vCPU runs.
    pub(in super::super) fn reset(self: &Arc<Self>) {
        let mut inner = self.inner.lock();
        inner.abort();
        inner.cmd = 0;
        self.wait_quiet_locked(&mut inner);
        inner.clb = 0;
        inner.fb = 0;
        inner.device.power_on();
        drop(inner);
        self.reset_hba();
    }
}
