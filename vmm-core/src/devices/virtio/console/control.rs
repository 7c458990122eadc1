//! What device and driver tell each other about ports (VIRTIO 1.2 §5.3.6.2).

use serde::{Deserialize, Serialize};

use crate::state::RestoreError;

/// Length of a message without the name that may follow it.
pub(super) const MESSAGE_LEN: usize = 8;

/// Events (`VIRTIO_CONSOLE_…`).
mod event {
    pub(super) const DEVICE_READY: u16 = 0;
    pub(super) const DEVICE_ADD: u16 = 1;
    pub(super) const PORT_READY: u16 = 3;
    pub(super) const PORT_OPEN: u16 = 6;
    pub(super) const PORT_NAME: u16 = 7;
}

/// Where a port is in its set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Port {
    /// The driver was told that it exists.
    added: bool,
    /// The driver has set it up.
    ready: bool,
    /// The driver was told its name.
    named: bool,
    /// The driver was told that somebody is connected to it.
    told_open: bool,
    /// Somebody in the guest has opened it.
    guest_open: bool,
}

/// What the driver was told and has told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlState {
    /// The driver takes messages.
    ready: bool,
    ports: Vec<Port>,
}

/// The dialogue about ports. What is still to be said follows from what was said: nothing piles up
/// for a driver that does not listen.
#[derive(Debug)]
pub(super) struct Control(ControlState);

impl Control {
    pub(super) fn new(ports: usize) -> Self {
        Self(ControlState { ready: false, ports: vec![Port::default(); ports] })
    }

    /// The driver says something. What makes no sense is nothing.
    pub(super) fn hear(&mut self, message: [u8; MESSAGE_LEN]) {
        let [a, b, c, d, e, f, g, h] = message;
        let (id, event) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        let yes = u16::from_le_bytes([g, h]) == 1;
        if event == event::DEVICE_READY {
            self.0.ready |= yes;
            return;
        }
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let Some(port) = index.and_then(|index| self.0.ports.get_mut(index)) else { return };
        match event {
            event::PORT_READY => port.ready |= yes && port.added,
            event::PORT_OPEN => port.guest_open = yes,
            _ => {}
        }
    }

    /// What to tell the driver next, who of the host is connected given. Counts as told.
    pub(super) fn next(&mut self, names: &[String], connected: &[bool]) -> Option<Vec<u8>> {
        if !self.0.ready {
            return None;
        }
        let each = self.0.ports.iter_mut().zip(names).zip(connected);
        for (id, ((port, name), connected)) in (1u32..).zip(each) {
            let message = |event: u16, value: u16| {
                let mut bytes = id.to_le_bytes().to_vec();
                bytes.extend(event.to_le_bytes());
                bytes.extend(value.to_le_bytes());
                bytes
            };
            if !port.added {
                port.added = true;
                return Some(message(event::DEVICE_ADD, 1));
            }
            if port.ready && !port.named {
                port.named = true;
                let mut bytes = message(event::PORT_NAME, 1);
                bytes.extend(name.as_bytes());
                return Some(bytes);
            }
            if port.named && port.told_open != *connected {
                port.told_open = *connected;
                return Some(message(event::PORT_OPEN, u16::from(*connected)));
            }
        }
        None
    }

    /// Whether there is something to tell the driver.
    pub(super) fn has_more(&self, connected: &[bool]) -> bool {
        let more = |(port, connected): (&Port, &bool)| {
            !port.added
                || (port.ready && !port.named)
                || (port.named && port.told_open != *connected)
        };
        self.0.ready && self.0.ports.iter().zip(connected).any(more)
    }

    /// Whether the driver believes that somebody of the host is connected to port `index` (counted
    /// without port 0).
    pub(super) fn told_open(&self, index: usize) -> bool {
        self.0.ports.get(index).is_some_and(|port| port.told_open)
    }

    /// Whether somebody in the guest has opened port `index` (counted without port 0).
    pub(super) fn guest_open(&self, index: usize) -> bool {
        self.0.ports.get(index).is_some_and(|port| port.guest_open)
    }

    pub(super) fn save(&self) -> ControlState {
        self.0.clone()
    }

    pub(super) fn restore(&mut self, state: ControlState) -> Result<(), RestoreError> {
        let order = |port: &Port| port.ready <= port.added && port.named <= port.ready;
        if state.ports.len() != self.0.ports.len() || !state.ports.iter().all(order) {
            return Err(RestoreError { device: "console", reason: "ports that cannot be".into() });
        }
        self.0 = state;
        Ok(())
    }
}
