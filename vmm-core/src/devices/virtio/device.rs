//! What a device is to the transport.

use std::io;
use std::sync::Arc;

use super::queue::VirtQueue;
use super::signals::ConfigNotifier;
use super::worker::Worker;
use crate::memory::GuestRam;
use crate::pci::ClassCode;
use crate::state::Persist;

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Device ID (VIRTIO 1.2 §5).
    pub id: u16,
    /// Name of its thread and in messages; the kernel shows 15 bytes.
    pub name: &'static str,
    /// What the PCI function says it is.
    pub class: ClassCode,
}

impl Kind {
    /// Network card (§5.1).
    pub const NET: Self = Self { id: 1, name: "virtio-net", class: ClassCode(0x02, 0x00, 0) };
    /// Disk (§5.2).
    pub const BLOCK: Self = Self { id: 2, name: "virtio-blk", class: ClassCode(0x01, 0x00, 0) };
    /// Console (§5.3).
    pub const CONSOLE: Self =
        Self { id: 3, name: "virtio-console", class: ClassCode(0x07, 0x80, 0) };
    /// Entropy source (§5.4).
    pub const ENTROPY: Self = Self { id: 4, name: "virtio-rng", class: ClassCode(0xff, 0x00, 0) };
    /// Traditional memory balloon (§5.5).
    pub const BALLOON: Self =
        Self { id: 5, name: "virtio-balloon", class: ClassCode(0xff, 0x00, 0) };
    /// Keyboard (§5.8).
    pub const KEYBOARD: Self =
        Self { id: 18, name: "virtio-keyboard", class: ClassCode(0x09, 0x00, 0) };
    /// Tablet (§5.8).
    pub const TABLET: Self =
        Self { id: 18, name: "virtio-tablet", class: ClassCode(0x09, 0x80, 0) };
    /// Socket (§5.10).
    pub const VSOCK: Self = Self { id: 19, name: "virtio-vsock", class: ClassCode(0x02, 0x80, 0) };
}

/// A virtio device behind the transport.
///
/// All methods but [`Self::activate`] are called on vCPU threads, and several at once. Offsets and
/// data of the configuration space are chosen by the guest.
pub trait VirtioDevice: Persist + Send + Sync + 'static {
    /// What it is. The same at all times.
    fn kind(&self) -> Kind;

    /// The device's own feature bits; the transport adds its own ([`super::feature`]). The same
    /// at all times.
    fn features(&self) -> u64;

    /// The most entries of each queue, powers of two up to [`super::MAX_QUEUE_SIZE`]. The driver
    /// chooses sizes up to these, and need not enable all queues. The same at all times.
    fn queue_sizes(&self) -> Vec<u16>;

    /// Called once, before the guest runs: whom to tell when configuration space changes.
    fn attach(&self, _config: ConfigNotifier) {}

    /// Reads `data.len()` bytes of device configuration space at `offset`; `data` arrives zeroed.
    /// See [`config_bytes`].
    fn read_config(&self, offset: u64, data: &mut [u8]);

    /// Writes device configuration space.
    fn write_config(&self, _offset: u64, _data: &[u8]) {}

    /// The driver is ready, or the state of such a moment was restored: makes what serves the
    /// queues. Must not wait. Queues that no worker is assigned are not watched.
    ///
    /// # Errors
    /// When the host lacks what the device needs; the driver is told that the device needs a
    /// reset.
    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>>;

    /// The driver or the machine has reset the device; its workers are gone. What lies outside
    /// the machine stays.
    fn reset(&self) {}
}

/// What a device is activated with.
pub struct Activation {
    /// Feature bits that the driver accepted, the transport's own included.
    pub features: u64,
    /// The queues, by their number; `None` for those the driver did not enable.
    pub queues: Vec<Option<Arc<VirtQueue>>>,
    /// Guest memory.
    pub ram: Arc<GuestRam>,
}

impl Activation {
    /// Queue `index`, if the driver enabled it.
    pub fn queue(&self, index: usize) -> Option<Arc<VirtQueue>> {
        self.queues.get(index)?.clone()
    }

    /// Whether the driver accepted all feature bits of `bits`.
    pub fn has(&self, bits: u64) -> bool {
        self.features & bits == bits
    }

    /// One worker for all queues that the driver enabled.
    pub fn all_to(self, worker: impl Worker + 'static) -> Vec<Assignment> {
        vec![Assignment {
            queues: self.queues.into_iter().flatten().collect(),
            worker: Box::new(worker),
        }]
    }
}

/// A worker and the queues whose notifications it takes. It gets a thread of its own.
pub struct Assignment {
    /// The queues.
    pub queues: Vec<Arc<VirtQueue>>,
    /// What serves them.
    pub worker: Box<dyn Worker>,
}

/// Reads configuration space that is `config` from its start, and zero beyond.
pub fn config_bytes(config: &[u8], offset: u64, data: &mut [u8]) {
    let rest = usize::try_from(offset).ok().and_then(|offset| config.get(offset..));
    for (to, from) in data.iter_mut().zip(rest.unwrap_or_default()) {
        *to = *from;
    }
}
