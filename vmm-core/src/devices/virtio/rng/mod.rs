//! Entropy source (VIRTIO 1.2 §5.4): fills buffers with the host kernel's random bytes.

use std::io;

use serde::{Deserialize, Serialize};

use super::device::{Activation, Assignment, Kind, VirtioDevice};
use super::worker::{Events, Worker};
use super::{Chain, VirtQueue};
use crate::memory::GuestRam;
use crate::state::{Persist, RestoreError};

/// Entries of the request queue.
const QUEUE_SIZE: u16 = 64;
/// Most bytes for one request; the rest of its buffer stays as it is (§5.4.6.2 asks for one at
/// least). Guests ask for a few dozen.
const MAX_REQUEST: usize = 64 << 10;

/// The entropy source.
#[derive(Debug, Default)]
pub struct Entropy;

/// It has no state of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntropyState {}

impl VirtioDevice for Entropy {
    fn kind(&self) -> Kind {
        Kind::ENTROPY
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        let Some(queue) = activation.queue(0) else { return Ok(Vec::new()) };
        Ok(activation.all_to(Source { queue }))
    }
}

impl Persist for Entropy {
    type State = EntropyState;

    fn save(&self) -> EntropyState {
        EntropyState {}
    }

    fn restore(&self, _state: EntropyState) -> Result<(), RestoreError> {
        Ok(())
    }
}

struct Source {
    queue: std::sync::Arc<VirtQueue>,
}

impl Worker for Source {
    fn queue_rung(&mut self, _index: usize, _events: &Events) {
        let queue = &self.queue;
        queue.serve(|mut chain| {
            fill(queue.ram(), &mut chain);
            queue.complete(chain);
        });
    }
}

fn fill(ram: &GuestRam, chain: &mut Chain) {
    let mut block = [0; 256];
    let mut left = MAX_REQUEST;
    while left > 0 && !chain.writable().is_empty() {
        // Blocks only until the host has gathered entropy once after its start.
        let flags = rustix::rand::GetRandomFlags::empty();
        let Ok(len) = rustix::rand::getrandom(&mut block[..left.min(256)], flags) else { return };
        left -= chain.write(ram, &block[..len]);
    }
}

#[cfg(test)]
mod tests;
