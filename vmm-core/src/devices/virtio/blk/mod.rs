//! Disk (VIRTIO 1.2 §5.2): the driver's requests become those of [`crate::block`].
//!
//! One worker takes the requests from all queues. The image settles where each is run: there, on
//! the image's own threads, or in the kernel; whoever runs a request completes it. `config` is what
//! the driver reads of the device, `request` the way of a request.

mod config;
mod request;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::config::Config;
use self::request::Target;
use super::VirtQueue;
use super::device::{Activation, Assignment, Kind, VirtioDevice, config_bytes};
use super::signals::ConfigNotifier;
use super::worker::{Events, Worker};
use crate::block::BlockDevice;
use crate::devices::DiskStats;
use crate::state::{Persist, RestoreError};

/// Entries of each queue, as many as other hypervisors have.
const QUEUE_SIZE: u16 = 256;
/// Most queues. More serve nobody: the image has fewer threads than that.
pub const MAX_QUEUES: u16 = 16;
/// Length of a sector, the unit of all offsets (§5.2.2).
const SECTOR: u64 = 512;

/// Feature bits (§5.2.3).
mod feature {
    /// The most segments of a request are in the configuration space.
    pub(super) const SEG_MAX: u64 = 1 << 2;
    /// Writes fail.
    pub(super) const RO: u64 = 1 << 5;
    /// The length of a block is in the configuration space.
    pub(super) const BLK_SIZE: u64 = 1 << 6;
    /// There is a cache of completed writes, and a request that empties it.
    pub(super) const FLUSH: u64 = 1 << 9;
    /// What is best aligned how is in the configuration space.
    pub(super) const TOPOLOGY: u64 = 1 << 10;
    /// There are several queues.
    pub(super) const MQ: u64 = 1 << 12;
    /// Sectors can be given back.
    pub(super) const DISCARD: u64 = 1 << 13;
    /// Sectors can be zeroed.
    pub(super) const WRITE_ZEROES: u64 = 1 << 14;
}

/// A disk.
pub struct Blk {
    target: Arc<Target>,
    queues: u16,
    config: Mutex<Option<ConfigNotifier>>,
}

impl Blk {
    /// A disk with what is on `image`. `serial` is what guests know it by; its first 20 bytes
    /// count. One queue for each of `cpus` is enough, and more than [`MAX_QUEUES`] are not made.
    pub fn new(image: Arc<dyn BlockDevice>, serial: &str, cpus: u32) -> Self {
        let most = u32::from(MAX_QUEUES);
        Self {
            target: Arc::new(Target::new(image, serial)),
            queues: cpus.clamp(1, most) as u16,
            config: Mutex::default(),
        }
    }

    /// Tells the guest that the image has another length than before.
    pub fn capacity_changed(&self) {
        let config = self.config.lock().clone();
        if let Some(config) = config {
            config.changed();
        }
    }

    /// What the guest has done with it.
    pub fn stats(&self) -> DiskStats {
        self.target.stats()
    }
}

/// It has no state of its own: what the driver negotiated is the transport's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlkState {}

impl VirtioDevice for Blk {
    fn kind(&self) -> Kind {
        Kind::BLOCK
    }

    fn features(&self) -> u64 {
        let always = feature::SEG_MAX | feature::BLK_SIZE | feature::FLUSH | feature::TOPOLOGY;
        let queues = if self.queues > 1 { feature::MQ } else { 0 };
        let writing = if self.target.image().read_only() {
            feature::RO
        } else {
            feature::DISCARD | feature::WRITE_ZEROES
        };
        always | queues | writing
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; self.queues.into()]
    }

    fn attach(&self, config: ConfigNotifier) {
        *self.config.lock() = Some(config);
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let config = Config {
            sectors: self.target.image().len() / SECTOR,
            queues: self.queues,
            writable: !self.target.image().read_only(),
        };
        config_bytes(&config.bytes(), offset, data);
    }

    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        // Without a way to empty the cache there must be none (§5.2.6.2).
        let write_back = activation.has(feature::FLUSH);
        let queues: Vec<_> = activation.queues.iter().flatten().cloned().collect();
        let worker = Requests { target: self.target.clone(), queues, write_back };
        Ok(activation.all_to(worker))
    }
}

impl Persist for Blk {
    type State = BlkState;

    fn save(&self) -> BlkState {
        BlkState {}
    }

    fn restore(&self, _state: BlkState) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// Takes requests from the queues.
struct Requests {
    target: Arc<Target>,
    queues: Vec<Arc<VirtQueue>>,
    write_back: bool,
}

impl Worker for Requests {
    fn queue_rung(&mut self, index: usize, _events: &Events) {
        let Some(queue) = self.queues.iter().find(|queue| queue.index() == index) else { return };
        queue.serve(|chain| self.target.start(queue, chain, self.write_back));
    }

    fn takes_all(&self) -> bool {
        true
    }

    /// What a full disk holds up stays in flight, and is begun anew after a restore.
    fn drain(&mut self) {
        self.target.image().drain();
    }

    fn stop(&mut self) {
        self.target.image().give_up();
    }
}

#[cfg(test)]
mod tests;
