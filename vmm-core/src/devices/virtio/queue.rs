//! A virtqueue as devices see it: chains come out, completed ones go back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::chain::{Chain, ChainError};
use super::feature;
use super::registers::QueueRegisters;
use super::signals::Signals;
use crate::memory::GuestRam;

/// The driver wants no interrupts (VIRTIO 1.2 §2.7.6, `VIRTQ_AVAIL_F_NO_INTERRUPT`).
const NO_INTERRUPT: u16 = 1;

/// Where a queue stands, besides what the driver has set up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueState {
    /// Index of the next entry of the available ring.
    next_avail: u16,
    /// Index of the next entry of the used ring.
    next_used: u16,
    /// Heads of chains that were taken from the ring and are not completed.
    in_flight: Vec<u16>,
}

impl QueueState {
    /// Says what is wrong with the state of a queue with `size` entries, if anything.
    pub(super) fn problem(&self, size: u16) -> Option<&'static str> {
        let heads: BTreeSet<u16> = self.in_flight.iter().copied().collect();
        if heads.len() != self.in_flight.len() || heads.iter().any(|head| *head >= size) {
            return Some("chains in flight that cannot be");
        }
        None
    }
}

/// Chains served before the driver is told of those that are completed: an interrupt costs more than
/// most of what is done for a chain.
const SERVED_TOGETHER: u32 = 16;

struct Ring {
    queue: Queue,
    /// Whether the device may still use it.
    open: bool,
    /// Heads of chains handed out and not completed.
    in_flight: BTreeSet<u16>,
    /// Heads to hand out before what is in the ring.
    again: VecDeque<u16>,
    /// Whether something was completed since the driver was last told.
    news: bool,
    /// More is likely to be completed in a moment: the driver is told of all together.
    serving: bool,
    /// Index of the used ring up to which the driver was told, or did not want to be.
    told: u16,
}

impl Ring {
    /// Puts chains into the used ring, each with its head and the bytes written to it, so that the
    /// driver, which goes by the ring's index, sees all of them or none.
    fn add_all_used(
        &mut self,
        ram: &GuestRam,
        used: &[(u16, u32)],
    ) -> Result<(), virtio_queue::Error> {
        let Some((last, before)) = used.split_last() else { return Ok(()) };
        let (ring, size) = (self.queue.used_ring(), self.queue.size());
        let mut next = self.queue.next_used();
        for (head, written) in before {
            // An element is the head and the length, each in 32 bits (§2.7.8).
            let element = u64::from(*written) << 32 | u64::from(*head);
            let at = GuestAddress(ring + 4 + 8 * u64::from(next % size));
            ram.write_slice(&element.to_le_bytes(), at)
                .map_err(virtio_queue::Error::GuestMemory)?;
            next = next.wrapping_add(1);
        }
        self.queue.set_next_used(next);
        // This one moves the index.
        self.queue.add_used(ram, last.0, last.1)
    }

    /// Whether the driver, which says after which index it wants to be told, wants it now (§2.7.7.2).
    fn event_wanted(&mut self, ram: &GuestRam) -> Result<bool, vm_memory::GuestMemoryError> {
        // What was completed is visible before the driver's wish is read.
        fence(Ordering::SeqCst);
        let used = self.queue.next_used();
        let told = std::mem::replace(&mut self.told, used);
        let at = self.queue.avail_ring() + 4 + 2 * u64::from(self.queue.size());
        let event = u16::from_le(ram.load(GuestAddress(at), Ordering::Relaxed)?);
        Ok(used.wrapping_sub(event).wrapping_sub(1) < used.wrapping_sub(told))
    }
}

/// One queue of an active device. Usable from any thread; dead once the device is reset.
pub struct VirtQueue {
    index: u16,
    /// Whether tables of descriptors were negotiated.
    indirect: bool,
    ring: Mutex<Ring>,
    /// What the guest rings.
    kick: Arc<EventFd>,
    ram: Arc<GuestRam>,
    signals: Arc<Signals>,
}

impl VirtQueue {
    /// Queue `index` as the driver set it up, going on where `state` says.
    ///
    /// # Errors
    /// What is wrong with the set-up.
    pub(super) fn new(
        index: u16,
        registers: &QueueRegisters,
        features: u64,
        state: &QueueState,
        kick: Arc<EventFd>,
        ram: Arc<GuestRam>,
        signals: Arc<Signals>,
    ) -> Result<Self, virtio_queue::Error> {
        let queue = Queue::try_from(virtio_queue::QueueState {
            max_size: registers.max_size,
            next_avail: state.next_avail,
            next_used: state.next_used,
            event_idx_enabled: features & feature::EVENT_IDX != 0,
            size: registers.size,
            ready: true,
            desc_table: registers.descriptors,
            avail_ring: registers.driver,
            used_ring: registers.device,
        })?;
        if !queue.is_valid(&*ram) {
            return Err(virtio_queue::Error::FindMemoryRegion);
        }
        let ring = Ring {
            queue,
            open: true,
            in_flight: BTreeSet::new(),
            again: state.in_flight.iter().copied().collect(),
            news: false,
            serving: false,
            told: state.next_used,
        };
        let indirect = features & feature::INDIRECT_DESC != 0;
        Ok(Self { index, indirect, ring: Mutex::new(ring), kick, ram, signals })
    }

    /// Its number.
    pub fn index(&self) -> usize {
        usize::from(self.index)
    }

    /// Number of entries that the driver chose.
    pub fn size(&self) -> u16 {
        self.ring.lock().queue.size()
    }

    /// Guest memory.
    pub fn ram(&self) -> &Arc<GuestRam> {
        &self.ram
    }

    /// The next chain that the driver offers. `None` when there is none at the moment, and
    /// for good when the device was reset or the driver broke the rules.
    pub fn pop(&self) -> Option<Chain> {
        let mut ring = self.ring.lock();
        match self.try_pop(&mut ring) {
            Ok(chain) => chain,
            Err(problem) => {
                drop(ring);
                self.fail(&problem);
                None
            }
        }
    }

    fn try_pop(&self, ring: &mut Ring) -> Result<Option<Chain>, String> {
        if !ring.open || !self.signals.may_access_memory() {
            return Ok(None);
        }
        let head = match ring.again.pop_front() {
            Some(head) => head,
            None => {
                let mut heads = ring.queue.iter(&*self.ram).map_err(|error| error.to_string())?;
                let Some(chain) = heads.next() else { return Ok(None) };
                chain.head_index()
            }
        };
        let (table, size) = (ring.queue.desc_table(), ring.queue.size());
        let chain = Chain::gather(&self.ram, table, size, head, self.indirect)
            .map_err(|error| error.to_string())?;
        // The driver owns no entry twice, so a queue never has more in flight than entries.
        if !ring.in_flight.insert(head) {
            return Err(ChainError::Twice.to_string());
        }
        Ok(Some(chain))
    }

    /// Hands `chain` out again at the next [`Self::pop`], from its beginning.
    pub fn put_back(&self, chain: Chain) {
        let mut ring = self.ring.lock();
        if ring.open && ring.in_flight.remove(&chain.head()) {
            ring.again.push_front(chain.head());
        }
    }

    /// Gives `chain` back to the driver, saying that [`Chain::written`] bytes of it were written.
    /// The driver hears of it by [`Self::notify`].
    pub fn complete(&self, chain: Chain) {
        let mut ring = self.ring.lock();
        if !ring.open || !ring.in_flight.remove(&chain.head()) {
            return;
        }
        // Fails only for rings outside RAM, and this one was checked.
        match ring.queue.add_used(&*self.ram, chain.head(), chain.written()) {
            Ok(()) => ring.news = true,
            Err(error) => {
                drop(ring);
                self.fail(&error.to_string());
            }
        }
    }

    /// As [`Self::complete`] for several chains, of which the driver sees all or none, as it must of
    /// those that make one packet (§5.1.6.4.1).
    pub fn complete_all(&self, chains: Vec<Chain>) {
        let mut ring = self.ring.lock();
        if !ring.open {
            return;
        }
        let used: Vec<_> = chains
            .into_iter()
            .filter(|chain| ring.in_flight.remove(&chain.head()))
            .map(|chain| (chain.head(), chain.written()))
            .collect();
        // Fails only for rings outside RAM, and this one was checked.
        match ring.add_all_used(&self.ram, &used) {
            Ok(()) => ring.news |= !used.is_empty(),
            Err(error) => {
                drop(ring);
                self.fail(&error.to_string());
            }
        }
    }

    /// Interrupts the guest, if something was completed since and the driver wants to know.
    pub fn notify(&self) {
        let mut ring = self.ring.lock();
        if !ring.open || ring.serving || !std::mem::take(&mut ring.news) {
            return;
        }
        let wanted = self.interrupt_wanted(&mut ring);
        drop(ring);
        if wanted {
            self.signals.queue_used(self.index);
        }
    }

    fn interrupt_wanted(&self, ring: &mut Ring) -> bool {
        if ring.queue.event_idx_enabled() {
            return ring.event_wanted(&self.ram).unwrap_or(true);
        }
        // What was completed is visible before the flags are read.
        fence(Ordering::SeqCst);
        let flags = self.ram.load::<u16>(GuestAddress(ring.queue.avail_ring()), Ordering::Relaxed);
        flags.is_ok_and(|flags| u16::from_le(flags) & NO_INTERRUPT == 0)
    }

    /// Asks the guest not to ring, as the device looks by itself.
    pub fn disable_notifications(&self) {
        let mut ring = self.ring.lock();
        if ring.open {
            // Only a hint: guests may ring at any time.
            let _ = ring.queue.disable_notification(&*self.ram);
        }
    }

    /// Asks the guest to ring for what it offers from now on. `true` when it has offered
    /// something in the meantime, for which it will not ring.
    #[must_use = "what was offered in the meantime is not announced"]
    pub fn enable_notifications(&self) -> bool {
        let mut ring = self.ring.lock();
        ring.open && ring.queue.enable_notification(&*self.ram).unwrap_or(false)
    }

    /// Asks the guest not to ring for anything until notifications are enabled again:
    /// [`Self::disable_notifications`] leaves the ring that was asked for.
    pub(super) fn silence(&self) {
        let mut ring = self.ring.lock();
        if !ring.open {
            return;
        }
        if ring.queue.event_idx_enabled() {
            // The guest rings when it passes this index, which it has done already (§2.7.10).
            let passed = ring.queue.next_avail().wrapping_sub(1);
            let at = ring.queue.used_ring() + 4 + 8 * u64::from(ring.queue.size());
            let _ = self.ram.store(passed.to_le(), GuestAddress(at), Ordering::Relaxed);
        } else {
            let _ = ring.queue.disable_notification(&*self.ram);
        }
    }

    /// Whether something is offered that [`Self::pop`] would give.
    pub(super) fn has_offers(&self) -> bool {
        if !self.signals.may_access_memory() {
            return false;
        }
        let ring = self.ring.lock();
        let offered = ring.queue.avail_idx(&*self.ram, Ordering::Acquire);
        ring.open && offered.is_ok_and(|index| index.0 != ring.queue.next_avail())
    }

    /// As [`Self::pop`]; when there is none, the guest was asked to ring for the next.
    pub fn pop_or_listen(&self) -> Option<Chain> {
        // What was offered in the meantime can be there only once: a queue that gives nothing
        // although there is something is broken or dead.
        self.pop().or_else(|| if self.enable_notifications() { self.pop() } else { None })
    }

    /// Hands `each` all chains that the driver offers, notifies the driver of what is completed
    /// meanwhile, several at a time, and asks it to ring again. Stops early when the guest offers more and more, so
    /// that others get their turn, and sees to it that the queue is served again.
    pub fn serve(&self, mut each: impl FnMut(Chain)) {
        let mut left = 2 * u32::from(self.size());
        loop {
            self.disable_notifications();
            self.ring.lock().serving = true;
            while let Some(chain) = self.pop() {
                each(chain);
                left = left.saturating_sub(1);
                if left == 0 {
                    self.notify_served();
                    self.kick();
                    return;
                }
                if left.is_multiple_of(SERVED_TOGETHER) {
                    self.notify_served();
                    self.ring.lock().serving = true;
                }
            }
            self.notify_served();
            // A queue that gives nothing although there is something is broken or dead.
            if !self.enable_notifications() || !self.is_usable() {
                return;
            }
        }
    }

    fn notify_served(&self) {
        self.ring.lock().serving = false;
        self.notify();
    }

    /// Has the queue served as if the guest had rung.
    pub fn kick(&self) {
        // Fails only when the counter is at its end, and then it is rung anyway.
        let _ = self.kick.write(1);
    }

    /// The driver broke the device's rules in a way that leaves no answer: the device stops until
    /// the driver resets it (VIRTIO 1.2 §2.1.2, DEVICE_NEEDS_RESET).
    pub fn fail(&self, problem: &str) {
        self.signals.fail(problem);
    }

    pub(super) fn kick_source(&self) -> &EventFd {
        &self.kick
    }

    /// Whether chains can come out of it at all: it is not dead, not broken, and the driver lets the
    /// device access memory.
    pub fn is_usable(&self) -> bool {
        self.signals.may_access_memory() && self.ring.lock().open
    }

    /// Ends the device's use of the queue.
    pub(super) fn close(&self) {
        self.ring.lock().open = false;
    }

    /// Where the queue stands.
    pub(super) fn save(&self) -> QueueState {
        let ring = self.ring.lock();
        QueueState {
            next_avail: ring.queue.next_avail(),
            next_used: ring.queue.next_used(),
            in_flight: ring.again.iter().chain(&ring.in_flight).copied().collect(),
        }
    }
}
