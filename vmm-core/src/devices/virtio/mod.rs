//! Virtio devices (VIRTIO 1.2) on PCI, modern interface only.
//!
//! What lives here: the transport, which is the same for all, and a folder for each device. What
//! does not: what a device stands for on the host, such as [`crate::block`].
//!
//! # How to write a device
//!
//! Implement [`VirtioDevice`] (and [`Persist`](crate::state::Persist) for what of its state the
//! guest can tell) and a [`Worker`], and give the device to [`VirtioPci::new`]; the result goes
//! on the root bus and among what a machine resets and resumes (`machine/board.rs`). `rng` is the shortest example. This
//! interface is stable: devices are built on it.
//!
//! - The device answers for features and configuration space, on vCPU threads, and keeps short.
//! - When the driver is ready, [`VirtioDevice::activate`] is handed the queues and returns
//!   workers. Each runs on a thread of its own that sleeps until the guest rings one of its
//!   queues or a file descriptor that it watches is ready.
//! - A worker calls [`VirtQueue::serve`], or [`VirtQueue::pop`], [`VirtQueue::complete`] and
//!   [`VirtQueue::notify`] by themselves. Queues can be used from any thread. Every
//!   [`Chain`] handed out lies wholly in guest RAM; what the guest does wrong never gets as far as
//!   the device. What is wrong in the device's own protocol, and leaves no way to answer, the
//!   device reports by [`VirtQueue::fail`].
//! - Resets may come at any time. [`Worker::stop`] returns when nothing of the device touches guest
//!   memory any more; after that the worker is dropped and its queues are dead: calls on them do
//!   nothing. A driver that starts again gets new queues and new workers.
//! - A chain that was handed out and not completed when the state is saved is handed out again by
//!   the machine that the state is restored in; [`VirtQueue::put_back`] does the same at once.
//! - When configuration space changes by itself, call [`ConfigNotifier::changed`].
//! - Put the device into `tests::conformance`, which every device passes.
//!
//! # How it is made
//!
//! `pci` is the function with its BAR, `registers` the common configuration structure, `signals`
//! the interrupts, `worker` the threads, `queue` and `chain` what devices see of a virtqueue.

pub mod balloon;
pub mod blk;
mod chain;
pub mod console;
mod device;
pub mod input;
pub mod net;
mod pci;
mod queue;
mod registers;
pub mod rng;
mod signals;
mod state;
#[cfg(test)]
mod tests;
mod worker;

pub use self::chain::{Chain, ChainError};
pub use self::device::{Activation, Assignment, Kind, VirtioDevice, config_bytes};
pub use self::pci::{VirtioPci, Wiring};
pub use self::queue::{QueueState, VirtQueue};
pub use self::registers::RegistersState;
pub use self::signals::ConfigNotifier;
pub use self::state::VirtioState;
pub use self::worker::{Events, Interest, Worker};

/// Feature bits that the transport negotiates for every device (VIRTIO 1.2 §6).
pub mod feature {
    /// Descriptors may refer to tables of descriptors.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// Each side tells the other at which index it wants to hear of it next.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// The interface of VIRTIO 1.0 and later; a driver without it is refused.
    pub const VERSION_1: u64 = 1 << 32;

    /// What is offered for all devices.
    pub(super) const TRANSPORT: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1;
}

/// Most entries of a queue, and most descriptors of a chain, indirect ones included.
pub const MAX_QUEUE_SIZE: u16 = 1024;
