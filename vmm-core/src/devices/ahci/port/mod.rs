//! One port: its registers here, its command engine in [`engine`], its link in [`link`].
//!
//! A port has one lock. Nobody holds it while submitting to the block layer, calling out of the
//! device, or telling the interrupt controller something: completions may come back during
//! `submit`, from any thread.

mod engine;
mod link;
mod persist;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use parking_lot::{Condvar, Mutex, MutexGuard};

use self::engine::{Outgoing, Running};
use self::link::Link;
pub use self::persist::{DeviceState, PortState};
use super::device::Device;
use super::host::Host;
use super::registers::{NO_DEVICE_STATUS, NO_SIGNATURE, SLOTS, cmd, irq, px, sctl, serr};
use super::task::status;
use crate::devices::disk_stats::{Counters, DiskStats};

/// What the port's lock protects.
pub(super) struct Inner {
    /// PxCLB and PxFB, both halves.
    clb: u64,
    fb: u64,
    /// The bits of PxCMD that software sets.
    cmd: u32,
    /// PxTFD.
    status: u8,
    error: u8,
    signature: u32,
    sctl: u32,
    serr: u32,
    sact: u32,
    ci: u32,
    /// PxCMD.CCS.
    current_slot: u8,
    link: Link,
    /// The device has its signature FIS still to send.
    signature_due: bool,
    /// SRST is set in the device's control register.
    soft_reset: bool,
    /// An error stopped the engine until software clears PxCMD.ST.
    halted: bool,
    pub(super) device: Device,

    /// Commands begun and not ended.
    running: [Option<Running>; SLOTS],
    /// Counts the times all commands were forgotten; requests of an earlier epoch are void.
    epoch: u64,
    /// Requests of this epoch that have not ended, those in the outbox included.
    in_flight: u32,
    /// Requests of earlier epochs that the block layer has not ended yet.
    stale: u32,
    /// Requests to submit.
    outbox: VecDeque<Outgoing>,
    /// A thread is in [`Port::pump`].
    pumping: bool,
    /// That thread is handing a request to the block layer.
    submitting: bool,
}

/// A port with what is behind it.
pub(super) struct Port {
    index: usize,
    host: Arc<Host>,
    counters: Counters,
    inner: Mutex<Inner>,
    /// Notified when the port may have become quiet.
    quiet: Condvar,
}

impl Port {
    /// Port `index` in power-on state.
    pub(super) fn new(index: usize, host: Arc<Host>, device: Device) -> Arc<Self> {
        let inner = Inner {
            clb: 0,
            fb: 0,
            cmd: 0,
            status: NO_DEVICE_STATUS,
            error: 0,
            signature: NO_SIGNATURE,
            sctl: 0,
            serr: 0,
            sact: 0,
            ci: 0,
            current_slot: 0,
            link: Link::Down,
            signature_due: false,
            soft_reset: false,
            halted: false,
            device,
            running: Default::default(),
            epoch: 0,
            in_flight: 0,
            stale: 0,
            outbox: VecDeque::new(),
            pumping: false,
            submitting: false,
        };
        let port = Self {
            index,
            host,
            counters: Counters::default(),
            inner: Mutex::new(inner),
            quiet: Condvar::new(),
        };
        port.connect(&mut port.inner.lock());
        Arc::new(port)
    }

    /// Looks at or changes the port, then does what became possible by it.
    pub(super) fn with<R>(self: &Arc<Self>, change: impl FnOnce(&mut Inner) -> R) -> R {
        let result = change(&mut self.inner.lock());
        self.pump();
        result
    }

    /// How much the device was used.
    pub(super) fn stats(&self) -> DiskStats {
        self.counters.snapshot()
    }

    fn set_interrupts(&self, bits: u32) {
        self.host.ports[self.index].status.fetch_or(bits, SeqCst);
    }

    /// Reads the register at `offset` in the port's block.
    pub(super) fn read(&self, offset: u64) -> u32 {
        let interrupt = &self.host.ports[self.index];
        match offset {
            px::IS => return interrupt.status.load(SeqCst),
            px::IE => return interrupt.enable.load(SeqCst),
            _ => {}
        }
        let inner = self.inner.lock();
        match offset {
            px::CLB => inner.clb as u32,
            px::CLBU => (inner.clb >> 32) as u32,
            px::FB => inner.fb as u32,
            px::FBU => (inner.fb >> 32) as u32,
            px::CMD => inner.command_register(),
            px::TFD => u32::from(inner.status) | u32::from(inner.error) << 8,
            px::SIG => inner.signature,
            px::SSTS => inner.link.status(),
            px::SCTL => inner.sctl,
            px::SERR => inner.serr,
            px::SACT => inner.sact,
            px::CI => inner.ci,
            _ => 0,
        }
    }

    /// Writes the register at `offset` in the port's block.
    pub(super) fn write(self: &Arc<Self>, offset: u64, value: u32) {
        let interrupt = &self.host.ports[self.index];
        match offset {
            px::IS => {
                interrupt.status.fetch_and(!(value & !irq::FOLLOWERS), SeqCst);
                return;
            }
            px::IE => {
                interrupt.enable.store(value & irq::ALL, SeqCst);
                self.host.port_event(self.index);
                return;
            }
            _ => {}
        }
        let mut inner = self.inner.lock();
        match offset {
            px::CLB => inner.clb = inner.clb >> 32 << 32 | u64::from(value & !0x3ff),
            px::CLBU => inner.clb = inner.clb & 0xffff_ffff | u64::from(value) << 32,
            px::FB => inner.fb = inner.fb >> 32 << 32 | u64::from(value & !0xff),
            px::FBU => inner.fb = inner.fb & 0xffff_ffff | u64::from(value) << 32,
            px::CMD => self.write_command(&mut inner, value),
            px::SCTL => self.write_control(&mut inner, value & sctl::WRITABLE),
            px::SERR => {
                inner.serr &= !value;
                let mut gone = if inner.serr & serr::EXCHANGED == 0 { irq::PCS } else { 0 };
                gone |= if inner.serr & serr::PHY_READY == 0 { irq::PRCS } else { 0 };
                interrupt.status.fetch_and(!gone, SeqCst);
            }
            px::SACT if inner.cmd & cmd::ST != 0 => inner.sact |= value,
            px::CI if inner.cmd & cmd::ST != 0 => inner.ci |= value,
            _ => return,
        }
        drop(inner);
        self.pump();
    }

    fn write_command(&self, inner: &mut Inner, value: u32) {
        if value & cmd::CLO != 0 && inner.cmd & cmd::ST == 0 {
            inner.status &= !(status::BSY | status::DRQ);
        }
        let stops = inner.cmd & !value & cmd::ST != 0;
        inner.cmd = value & cmd::WRITABLE;
        if stops {
            inner.abort();
            inner.ci = 0;
            inner.sact = 0;
            inner.current_slot = 0;
            inner.halted = false;
        }
        self.settle(inner);
    }

    /// Waits until nothing is in flight and nothing can be begun.
    pub(super) fn drain(self: &Arc<Self>) {
        self.pump();
        let mut inner = self.inner.lock();
        while !inner.is_quiet() || (inner.may_fetch() && self.host.bus_master()) {
            self.quiet.wait(&mut inner);
        }
    }

    /// Waits until nothing is in flight; the guest may have more.
    pub(super) fn wait_quiet(&self) {
        self.wait_quiet_locked(&mut self.inner.lock());
    }

    fn wait_quiet_locked(&self, inner: &mut MutexGuard<'_, Inner>) {
        while !inner.is_quiet() {
            self.quiet.wait(inner);
        }
    }

    /// Whether no request of before the last reset is in flight.
    pub(super) fn is_settled(&self) -> bool {
        self.inner.lock().stale == 0
    }
}

impl Inner {
    fn command_register(&self) -> u32 {
        let mut value = self.cmd | cmd::SUD_POD | u32::from(self.current_slot) << cmd::CCS_SHIFT;
        if self.cmd & cmd::FRE != 0 {
            value |= cmd::FR;
        }
        // After ST is cleared the list keeps running until memory is no longer written.
        if self.cmd & cmd::ST != 0 || self.stale > 0 {
            value |= cmd::CR;
        }
        value
    }

    /// Whether a command may be taken from the list.
    fn may_fetch(&self) -> bool {
        self.ci != 0
            && self.cmd & cmd::ST != 0
            && !self.halted
            && self.stale == 0
            && self.link == Link::Up
            && !self.signature_due
            && self.status & (status::BSY | status::DRQ) == 0
    }

    /// Whether the block layer has nothing of this port's, nor is given anything right now.
    fn is_quiet(&self) -> bool {
        self.in_flight == 0 && self.stale == 0 && !self.submitting
    }
}
