//! Memory balloon (VIRTIO 1.2 §5.5): takes memory from the guest and gives it back to the host.
//!
//! Three things in one: the guest's driver gives up pages for as long as the host wants it to
//! (inflate and deflate), it says which pages happen to be free (reporting), so that their memory
//! returns to the host without anybody asking, and it says how its memory is used (statistics).
//! Pages given up read as zeros when the guest uses them again.

mod figures;
mod keeper;

use std::io;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vmm_sys_util::eventfd::EventFd;

pub use self::figures::GuestMemory;
use self::keeper::Keeper;
use super::device::{Activation, Assignment, Kind, VirtioDevice, config_bytes};
use super::signals::ConfigNotifier;
use crate::state::{Persist, RestoreError};
use crate::units::Bytes;

/// Feature bits (§5.5.3).
mod feature {
    /// There is a queue for statistics.
    pub(super) const STATS_VQ: u64 = 1 << 1;
    /// The driver takes pages back when the guest runs out of memory.
    pub(super) const DEFLATE_ON_OOM: u64 = 1 << 2;
    /// There is a queue for free pages.
    pub(super) const PAGE_REPORTING: u64 = 1 << 5;
}

/// Queues (§5.5.2).
const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const STATISTICS: usize = 2;
/// Free pages. The specification numbers the queue of a feature that is not offered here, 3; Linux
/// numbers only queues that it uses, and takes 3 for this one. Whichever it is.
const REPORTING: [usize; 2] = [3, 4];
const QUEUE_SIZE: u16 = 128;
const QUEUES: usize = 5;

/// What the balloon counts in, whatever the guest's pages are (§5.5.6).
const PAGE: u64 = 4096;

/// Times that the driver may leave unanswered how memory is used before its last answer is old.
const PATIENCE: u32 = 5;

#[derive(Debug, Default)]
struct Inner {
    /// Pages that the driver is to give up.
    target: u32,
    /// Pages that it says it has given up.
    actual: u32,
    /// What it said last of the guest's memory.
    memory: Option<GuestMemory>,
    /// How often it was asked since.
    asked: u32,
}

impl Inner {
    /// What the balloon holds, in bytes.
    fn inflated(&self) -> u64 {
        u64::from(self.actual) * PAGE
    }
}

struct Core {
    inner: Mutex<Inner>,
    /// Somebody wants to know how memory is used.
    question: EventFd,
    notifier: OnceLock<ConfigNotifier>,
}

/// A memory balloon.
pub struct Balloon {
    core: Arc<Core>,
}

/// How much the guest has given up, and what it says of the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BalloonFigures {
    /// What the balloon holds, in bytes, by the guest's word.
    pub inflated: u64,
    /// How the guest uses its memory; `None` when it does not say.
    pub memory: Option<GuestMemory>,
}

impl Balloon {
    /// A balloon that holds nothing.
    ///
    /// # Errors
    /// When the system refuses a descriptor.
    pub fn new() -> io::Result<Self> {
        let question = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        let core = Core { inner: Mutex::default(), question, notifier: OnceLock::new() };
        Ok(Self { core: Arc::new(core) })
    }

    /// How much the driver is to give up from now on. It does what it can, in its own time. Lasts
    /// across resets of the guest.
    pub fn set_target(&self, memory: Bytes) {
        let pages = u32::try_from(memory.0 / PAGE).unwrap_or(u32::MAX);
        let before = std::mem::replace(&mut self.core.inner.lock().target, pages);
        if before != pages
            && let Some(notifier) = self.core.notifier.get()
        {
            notifier.changed();
        }
    }

    /// Asks the driver how the guest's memory is used. [`Self::figures`] has the answer as soon as
    /// it is there.
    pub fn ask(&self) {
        let mut inner = self.core.inner.lock();
        inner.asked = inner.asked.saturating_add(1);
        if inner.asked > PATIENCE {
            inner.memory = None;
        }
        drop(inner);
        // Fails only when the counter is at its end, and then it is asked anyway.
        let _ = self.core.question.write(1);
    }

    /// What is known.
    pub fn figures(&self) -> BalloonFigures {
        let inner = self.core.inner.lock();
        BalloonFigures { inflated: inner.inflated(), memory: inner.memory }
    }
}

impl VirtioDevice for Balloon {
    fn kind(&self) -> Kind {
        Kind::BALLOON
    }

    fn features(&self) -> u64 {
        feature::STATS_VQ | feature::DEFLATE_ON_OOM | feature::PAGE_REPORTING
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; QUEUES]
    }

    fn attach(&self, config: ConfigNotifier) {
        // Called once.
        let _ = self.core.notifier.set(config);
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let inner = self.core.inner.lock();
        let mut config = [0; 8];
        config[..4].copy_from_slice(&inner.target.to_le_bytes());
        config[4..].copy_from_slice(&inner.actual.to_le_bytes());
        config_bytes(&config, offset, data);
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        if offset == 4
            && let Ok(pages) = data.try_into()
        {
            self.core.inner.lock().actual = u32::from_le_bytes(pages);
        }
    }

    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        let keeper = Keeper::new(self.core.clone(), &activation);
        Ok(activation.all_to(keeper))
    }

    fn reset(&self) {
        let mut inner = self.core.inner.lock();
        *inner = Inner { target: inner.target, ..Inner::default() };
    }
}

/// What the guest can tell of a balloon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonState {
    target: u32,
    actual: u32,
}

impl Persist for Balloon {
    type State = BalloonState;

    fn save(&self) -> BalloonState {
        let inner = self.core.inner.lock();
        BalloonState { target: inner.target, actual: inner.actual }
    }

    fn restore(&self, state: BalloonState) -> Result<(), RestoreError> {
        let BalloonState { target, actual } = state;
        *self.core.inner.lock() = Inner { target, actual, ..Inner::default() };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
