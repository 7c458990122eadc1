//! Tablet (VIRTIO 1.2 §5.8): a pointing device that says where the pointer is, not how far it
//! moved, with five buttons and a wheel.
//!
//! The machine says what the user does; a guest slow to take it gets the latest place and every
//! click. `config` is what the driver can ask of the device, `track` what the guest is still to
//! be told.

mod config;
mod track;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vmm_sys_util::eventfd::EventFd;

pub use self::config::AXIS_END;
use self::config::Selection;
use self::track::{EVENT_LEN, Track};
use super::VirtQueue;
use super::device::{Activation, Assignment, Kind, VirtioDevice, config_bytes};
use super::worker::{Events, Interest, Worker};
use crate::state::{Persist, RestoreError};

/// Queues: events to the driver, and what it says of lamps and the like (§5.8.2).
const EVENTS: usize = 0;
const STATUS: usize = 1;
const QUEUE_SIZE: u16 = 64;

/// Token of the eventfd.
const NEWS: u64 = 0;

#[derive(Debug, Default)]
struct Inner {
    selection: Selection,
    track: Track,
    /// Whether the driver is at work.
    active: bool,
}

struct Core {
    inner: Mutex<Inner>,
    /// Wakes the worker.
    news: EventFd,
}

impl Core {
    fn change(&self, change: impl FnOnce(&mut Track)) {
        let mut inner = self.inner.lock();
        if !inner.active {
            return;
        }
        change(&mut inner.track);
        drop(inner);
        // Fails only when the counter is at its end, and then the worker is awake.
        let _ = self.news.write(1);
    }
}

/// Hears whether a driver is at work; must not wait.
type UseSink = Box<dyn Fn(bool) + Send + Sync>;

/// A tablet.
pub struct Tablet {
    core: Arc<Core>,
    on_use: UseSink,
}

impl Tablet {
    /// A tablet. `on_use` hears each time a driver begins or ceases to listen to it; called on a
    /// vCPU's thread or the machine's, and must not wait.
    ///
    /// # Errors
    /// When the system refuses a descriptor.
    pub fn new(on_use: impl Fn(bool) + Send + Sync + 'static) -> io::Result<Self> {
        let news = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        let core = Arc::new(Core { inner: Mutex::default(), news });
        Ok(Self { core, on_use: Box::new(on_use) })
    }

    /// Whether the guest has a driver that listens. What happens while there is none is lost.
    pub fn is_active(&self) -> bool {
        self.core.inner.lock().active
    }

    /// The pointer is at this place of the screen, each axis from 0 to [`AXIS_END`].
    pub fn point(&self, x: u16, y: u16) {
        self.core.change(|track| track.point(x.min(AXIS_END), y.min(AXIS_END)));
    }

    /// The wheel turns by so many clicks towards the user, and these buttons are held: bit 0 left,
    /// 1 right, 2 middle, 3 and 4 the side buttons.
    pub fn press(&self, wheel: i32, buttons: u8) {
        self.core.change(|track| track.press(wheel, buttons));
    }

    fn set_active(&self, active: bool) {
        let before = std::mem::replace(&mut self.core.inner.lock().active, active);
        if before != active {
            (self.on_use)(active);
        }
    }
}

impl VirtioDevice for Tablet {
    fn kind(&self) -> Kind {
        Kind::TABLET
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE, QUEUE_SIZE]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let selection = self.core.inner.lock().selection;
        config_bytes(&selection.bytes(), offset, data);
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        self.core.inner.lock().selection.write(offset, data);
    }

    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        let reporter = Reporter {
            core: self.core.clone(),
            events: activation.queue(EVENTS),
            status: activation.queue(STATUS),
        };
        self.set_active(true);
        Ok(activation.all_to(reporter))
    }

    fn reset(&self) {
        self.set_active(false);
        *self.core.inner.lock() = Inner::default();
    }
}

/// What the guest can tell of a tablet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletState {
    selection: Selection,
    track: Track,
}

impl Persist for Tablet {
    type State = TabletState;

    fn save(&self) -> TabletState {
        let inner = self.core.inner.lock();
        TabletState { selection: inner.selection, track: inner.track.clone() }
    }

    fn restore(&self, state: TabletState) -> Result<(), RestoreError> {
        if let Some(reason) = state.track.problem() {
            return Err(RestoreError { device: "tablet", reason: reason.into() });
        }
        // Until it is active again.
        self.set_active(false);
        let TabletState { selection, track } = state;
        *self.core.inner.lock() = Inner { selection, track, active: false };
        Ok(())
    }
}

/// Tells the guest what happened, one event a buffer.
struct Reporter {
    core: Arc<Core>,
    events: Option<Arc<VirtQueue>>,
    status: Option<Arc<VirtQueue>>,
}

impl Reporter {
    fn report(&self) {
        let Some(queue) = &self.events else { return };
        // A driver that offers useless buffers without end gets no more than a turn.
        let mut left = 2 * u32::from(queue.size());
        // It need not ring for buffers that nothing waits for.
        queue.disable_notifications();
        while self.core.inner.lock().track.has_more() {
            if left == 0 {
                queue.kick();
                break;
            }
            left -= 1;
            let Some(mut chain) = queue.pop_or_listen() else { break };
            if chain.writable_len() as usize >= EVENT_LEN
                && let Some(event) = self.core.inner.lock().track.next()
            {
                chain.write(queue.ram(), &event);
            }
            queue.complete(chain);
        }
        queue.notify();
    }
}

impl Worker for Reporter {
    fn start(&mut self, events: &Events) -> io::Result<()> {
        // SAFETY: the event stays open as long as the core, which outlives the worker's thread.
        let news = unsafe { BorrowedFd::borrow_raw(self.core.news.as_raw_fd()) };
        events.watch(news, NEWS, Interest::READ)
    }

    fn queue_rung(&mut self, index: usize, _events: &Events) {
        match (index, &self.status) {
            // There are no lamps.
            (STATUS, Some(queue)) => queue.serve(|chain| queue.complete(chain)),
            _ => self.report(),
        }
    }

    fn ready(&mut self, _token: u64, _events: &Events) {
        // Whoever else may have read it has reported.
        let _ = self.core.news.read();
        self.report();
    }
}

#[cfg(test)]
mod tests;
