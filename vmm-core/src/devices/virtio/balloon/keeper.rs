//! The worker of a balloon: takes pages, and answers to statistics.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use vm_memory::GuestAddress;

use super::figures::{GuestMemory, MAX_LEN};
use super::{Core, DEFLATE, INFLATE, PAGE, REPORTING, STATISTICS, feature};
use crate::devices::virtio::{Activation, Chain, Events, Interest, VirtQueue, Worker};
use crate::memory::{GuestRam, Segment, discard};

/// Token of the eventfd.
const QUESTION: u64 = 0;

/// Length of a page's number.
const NUMBER_LEN: usize = 4;
/// Page numbers taken of a chain. Drivers give 256 at a time; pages beyond merely keep their memory.
const MAX_NUMBERS: usize = 1024;

pub(super) struct Keeper {
    core: Arc<Core>,
    ram: Arc<GuestRam>,
    queues: Vec<Option<Arc<VirtQueue>>>,
    statistics: bool,
    /// Whether pages given up are still the guest's, which takes them back when it needs them. Linux
    /// then counts them as used; else they are no part of its memory.
    deflate_on_oom: bool,
    reporting: bool,
    /// The buffer for statistics, which goes back when somebody wants to know.
    answer: Option<Chain>,
}

impl Keeper {
    pub(super) fn new(core: Arc<Core>, activation: &Activation) -> Self {
        Self {
            core,
            ram: activation.ram.clone(),
            queues: activation.queues.clone(),
            statistics: activation.has(feature::STATS_VQ),
            deflate_on_oom: activation.has(feature::DEFLATE_ON_OOM),
            reporting: activation.has(feature::PAGE_REPORTING),
            answer: None,
        }
    }

    /// The driver gives pages up, by their numbers.
    fn inflate(&self, chain: &mut Chain) {
        let mut bytes = [0; NUMBER_LEN * MAX_NUMBERS];
        let len = chain.read(&self.ram, &mut bytes);
        let number =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
        // Linux gives them in falling order: one call for each stretch, not for each page, of which
        // every one would make all vCPUs forget what they know of memory.
        let mut numbers: Vec<u64> = bytes[..len].chunks_exact(NUMBER_LEN).map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for stretch in numbers.chunk_by(|before, after| before + 1 == *after) {
            // At most `MAX_NUMBERS` pages.
            let len = stretch.len() as u32 * PAGE as u32;
            discard(&self.ram, Segment { address: GuestAddress(stretch[0] * PAGE), len });
        }
    }

    /// The driver says that pages are free.
    fn report(&self, chain: &Chain) {
        if self.reporting {
            chain.writable().iter().for_each(|pages| discard(&self.ram, *pages));
        }
    }

    /// The driver says how memory is used, and waits for the next question.
    fn take_figures(&mut self, queue: &VirtQueue) {
        queue.serve(|mut chain| {
            let mut bytes = [0; MAX_LEN];
            let len = chain.read(&self.ram, &mut bytes);
            if !self.statistics {
                return queue.complete(chain);
            }
            let mut inner = self.core.inner.lock();
            let counted = if self.deflate_on_oom { inner.inflated() } else { 0 };
            inner.memory = GuestMemory::parse(&bytes[..len]).map(|memory| memory.without(counted));
            inner.asked = 0;
            drop(inner);
            // There is one buffer for it; a driver that has more gets the older one back.
            if let Some(older) = self.answer.replace(chain) {
                queue.complete(older);
            }
        });
    }

    fn queue(&self, index: usize) -> Option<Arc<VirtQueue>> {
        self.queues.get(index)?.clone()
    }
}

impl Worker for Keeper {
    fn start(&mut self, events: &Events) -> io::Result<()> {
        // SAFETY: the event stays open as long as the core, which outlives the worker's thread.
        let question = unsafe { BorrowedFd::borrow_raw(self.core.question.as_raw_fd()) };
        events.watch(question, QUESTION, Interest::READ)
    }

    fn queue_rung(&mut self, index: usize, _events: &Events) {
        let Some(queue) = self.queue(index) else { return };
        match index {
            STATISTICS => self.take_figures(&queue),
            INFLATE => queue.serve(|mut chain| {
                self.inflate(&mut chain);
                queue.complete(chain);
            }),
            // Memory comes back by itself where it is touched.
            DEFLATE => queue.serve(|chain| queue.complete(chain)),
            _ => {
                debug_assert!(REPORTING.contains(&index));
                queue.serve(|chain| {
                    self.report(&chain);
                    queue.complete(chain);
                });
            }
        }
    }

    fn ready(&mut self, _token: u64, _events: &Events) {
        // Whoever else may have read it has asked.
        let _ = self.core.question.read();
        if let (Some(queue), Some(chain)) = (self.queue(STATISTICS), self.answer.take()) {
            queue.complete(chain);
            queue.notify();
        }
    }
}
