//! Network card (VIRTIO 1.2 §5.1), at the end of a [`Cable`].
//!
//! One queue for each direction. Frames come and go whole. passt at the other end takes packets as
//! long as the guest may make them ([`crate::net::MTU`]), so there is nothing to cut, and what it
//! sends never left this machine, so there are no checksums to look at. Where the other end does
//! such work instead (a TAP device), headers go through as they are. The link is up while the
//! driver is at work and the cable is connected.

mod port;

use std::io;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::port::Port;
use super::device::{Activation, Assignment, Kind, VirtioDevice, config_bytes};
use super::signals::ConfigNotifier;
use crate::net::{Cable, MacAddress, NetBackend, Offloads};
use crate::state::{Persist, RestoreError};

/// Feature bits (§5.1.3).
mod feature {
    use crate::net::Offloads;

    /// The driver may send packets with a partial checksum.
    pub(super) const CSUM: u64 = 1 << 0;
    /// The driver takes packets that are said to have a valid checksum at their word.
    pub(super) const GUEST_CSUM: u64 = 1 << 1;
    /// The driver takes TCP segments over IPv4, or IPv6, that are yet to be cut.
    pub(super) const GUEST_TSO4: u64 = 1 << 7;
    pub(super) const GUEST_TSO6: u64 = 1 << 8;
    /// The driver may send such.
    pub(super) const HOST_TSO4: u64 = 1 << 11;
    pub(super) const HOST_TSO6: u64 = 1 << 12;
    /// The largest packet is in the configuration.
    pub(super) const MTU: u64 = 1 << 3;
    /// The address is in the configuration.
    pub(super) const MAC: u64 = 1 << 5;
    /// A received packet may fill several buffers.
    pub(super) const MRG_RXBUF: u64 = 1 << 15;
    /// The state of the link is in the configuration.
    pub(super) const STATUS: u64 = 1 << 16;

    /// What is offered where the other end deals with it.
    pub(super) const OFFLOADS: u64 =
        CSUM | GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | HOST_TSO4 | HOST_TSO6;

    /// What a driver that accepted `features` does not need to have done.
    pub(super) fn offloads(features: u64) -> Offloads {
        let pairs = [
            (GUEST_CSUM, Offloads::CHECKSUM),
            (GUEST_TSO4, Offloads::TCP4),
            (GUEST_TSO6, Offloads::TCP6),
        ];
        pairs
            .into_iter()
            .filter(|(bit, _)| features & bit != 0)
            .map(|(_, offload)| offload)
            .collect()
    }
}

/// Queues: received frames, and frames to send (§5.1.2).
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const RECEIVE_SIZE: u16 = 512;
const TRANSMIT_SIZE: u16 = 256;

/// Bit of the status field (§5.1.4).
const LINK_UP: u16 = 1;

/// What the driver knows of the link.
#[derive(Default)]
struct Link {
    state: Mutex<LinkState>,
    notifier: OnceLock<ConfigNotifier>,
}

#[derive(Default)]
struct LinkState {
    /// Whether the driver is at work.
    active: bool,
    up: bool,
}

impl Link {
    /// The cable says whether it is connected.
    fn set(&self, up: bool) {
        let mut state = self.state.lock();
        if !state.active || state.up == up {
            return;
        }
        state.up = up;
        drop(state);
        if let Some(notifier) = self.notifier.get() {
            notifier.changed();
        }
    }

    fn up(&self) -> bool {
        self.state.lock().up
    }
}

/// A network card.
pub struct NetCard {
    mac: MacAddress,
    cable: Arc<Cable>,
    backend: Arc<dyn NetBackend>,
    /// The largest packet.
    mtu: u16,
    link: Arc<Link>,
}

impl NetCard {
    /// A card with this address, whose cable `backend` connects.
    ///
    /// # Errors
    /// When the system refuses a descriptor.
    pub fn new(mac: MacAddress, backend: Arc<dyn NetBackend>) -> io::Result<Self> {
        let (cable, link) = (Cable::new()?, Arc::new(Link::default()));
        let listener = link.clone();
        cable.listen(move |up| listener.set(up));
        let mtu = backend.mtu();
        Ok(Self { mac, cable, backend, mtu, link })
    }

    /// Its cable.
    pub fn cable(&self) -> &Arc<Cable> {
        &self.cable
    }

    /// Device configuration (§5.1.4).
    fn config(&self) -> [u8; 12] {
        let mut config = [0; 12];
        config[..6].copy_from_slice(&self.mac.bytes());
        let status = if self.link.up() { LINK_UP } else { 0 };
        config[6..8].copy_from_slice(&status.to_le_bytes());
        // Pairs of queues: one.
        config[8..10].copy_from_slice(&1u16.to_le_bytes());
        config[10..].copy_from_slice(&self.mtu.to_le_bytes());
        config
    }
}

impl VirtioDevice for NetCard {
    fn kind(&self) -> Kind {
        Kind::NET
    }

    fn features(&self) -> u64 {
        let offloads = if self.backend.has_offloads() { feature::OFFLOADS } else { 0 };
        offloads
            | feature::GUEST_CSUM
            | feature::MTU
            | feature::MAC
            | feature::MRG_RXBUF
            | feature::STATUS
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![RECEIVE_SIZE, TRANSMIT_SIZE]
    }

    fn attach(&self, config: ConfigNotifier) {
        // Called once.
        let _ = self.link.notifier.set(config);
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        config_bytes(&self.config(), offset, data);
    }

    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        // From here on the cable is heard; whether it was connected before is not.
        self.link.state.lock().active = true;
        let connected = self.cable.is_connected();
        if connected {
            // The driver looks at the status after this, or has it from before a restore.
            self.link.state.lock().up = true;
        }
        let offloads = match self.backend.has_offloads() {
            true => feature::offloads(activation.features),
            false => Offloads::empty(),
        };
        if !connected || self.backend.has_offloads() {
            self.backend.connect(&self.cable, offloads);
        }
        let (link, backend) = (self.link.clone(), self.backend.clone());
        let port = Port::new(&activation, self.cable.clone(), move |cable| {
            link.set(false);
            backend.connect(cable, offloads);
        });
        Ok(activation.all_to(port))
    }

    fn reset(&self) {
        *self.link.state.lock() = LinkState::default();
    }
}

/// What the guest can tell of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetState {
    mac: [u8; 6],
    link_up: bool,
}

impl Persist for NetCard {
    type State = NetState;

    fn save(&self) -> NetState {
        NetState { mac: self.mac.bytes(), link_up: self.link.up() }
    }

    fn restore(&self, state: NetState) -> Result<(), RestoreError> {
        if state.mac != self.mac.bytes() {
            let reason = "it has another address".into();
            return Err(RestoreError { device: "network card", reason });
        }
        // Until it is active again, and knows better.
        *self.link.state.lock() = LinkState { active: false, up: state.link_up };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
