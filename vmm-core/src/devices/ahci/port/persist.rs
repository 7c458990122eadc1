//! A port's state, saved and restored.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde::{Deserialize, Serialize};

use super::super::device::Device;
use super::super::disk::DiskState;
use super::super::optical::OpticalState;
use super::super::registers::{SLOTS, cmd, irq, sctl, serr};
use super::link::Link;
use super::{Inner, Port};

/// What a guest sees of a port, between commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    clb: u64,
    fb: u64,
    is: u32,
    ie: u32,
    cmd: u32,
    status: u8,
    error: u8,
    signature: u32,
    sctl: u32,
    serr: u32,
    sact: u32,
    ci: u32,
    current_slot: u8,
    link: Link,
    signature_due: bool,
    soft_reset: bool,
    halted: bool,
    device: DeviceState,
}

/// What a guest sees of the device behind a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceState {
    /// There is none.
    Empty,
    /// A hard disk.
    Disk(DiskState),
    /// An optical drive.
    Optical(OpticalState),
}

impl Port {
    /// Takes the state out, once what is in flight has ended.
    pub(in super::super) fn save(self: &Arc<Self>) -> PortState {
        self.drain();
        let inner = self.inner.lock();
        let interrupt = &self.host.ports[self.index];
        PortState {
            clb: inner.clb,
            fb: inner.fb,
            is: interrupt.status.load(SeqCst),
            ie: interrupt.enable.load(SeqCst),
            cmd: inner.cmd,
            status: inner.status,
            error: inner.error,
            signature: inner.signature,
            sctl: inner.sctl,
            serr: inner.serr,
            sact: inner.sact,
            ci: inner.ci,
            current_slot: inner.current_slot,
            link: inner.link,
            signature_due: inner.signature_due,
            soft_reset: inner.soft_reset,
            halted: inner.halted,
            device: match &inner.device {
                Device::Empty => DeviceState::Empty,
                Device::Disk(disk) => DeviceState::Disk(disk.save()),
                Device::Optical(drive) => DeviceState::Optical(drive.save()),
            },
        }
    }

    /// Says what is wrong with `state`, if anything.
    pub(in super::super) fn check(&self, state: &PortState) -> Result<(), String> {
        let inner = self.inner.lock();
        let problem = match (&inner.device, &state.device) {
            (Device::Empty, DeviceState::Empty) => None,
            (Device::Disk(_), DeviceState::Disk(disk)) => disk.problem(),
            // Every combination can happen: a medium may be forced out of a locked drive.
            (Device::Optical(_), DeviceState::Optical(_)) => None,
            _ => Some("another kind of device"),
        };
        let problem = problem.or_else(|| {
            let connected = matches!(state.link, Link::Up | Link::Connecting);
            (connected && inner.device.is_empty()).then_some("a link to no device")
        });
        problem.map_or(Ok(()), |problem| Err(format!("port {}: {problem}", self.index)))
    }

    /// Puts a state in that passed [`Self::check`].
    pub(in super::super) fn restore(&self, state: PortState) {
        let mut inner = self.inner.lock();
        inner.abort();
        let interrupt = &self.host.ports[self.index];
        interrupt.status.store(state.is, SeqCst);
        interrupt.enable.store(state.ie & irq::ALL, SeqCst);
        match (&mut inner.device, state.device) {
            (Device::Disk(disk), DeviceState::Disk(state)) => disk.restore(state),
            (Device::Optical(drive), DeviceState::Optical(state)) => drive.restore(state),
            _ => {}
        }
        let Inner { clb, fb, cmd, status, error, signature, .. } = &mut *inner;
        (*clb, *fb) = (state.clb & !0x3ff, state.fb & !0xff);
        (*cmd, *status, *error) = (state.cmd & cmd::WRITABLE, state.status, state.error);
        *signature = state.signature;
        inner.sctl = state.sctl & sctl::WRITABLE;
        inner.serr = state.serr & serr::ALL;
        inner.sact = state.sact;
        inner.ci = state.ci;
        inner.current_slot = state.current_slot % SLOTS as u8;
        inner.link = state.link;
        inner.signature_due = state.signature_due;
        inner.soft_reset = state.soft_reset;
        inner.halted = state.halted;
    }
}
