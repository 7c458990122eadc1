//! Input devices (VIRTIO 1.2 §5.8): a keyboard, and a tablet, a pointing device that says where
//! the pointer is, not how far it moved, with five buttons and a wheel.
//!
//! The machine says what the user does; a guest slow to take it gets the latest place and every
//! click. `config` is what the driver can ask of a device, `track` and `keys` what the guest is
//! still to be told.

mod config;
mod keys;
mod track;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vmm_sys_util::eventfd::EventFd;

use self::config::{EVENT_LEN, Selection};
pub use self::keys::Keys;
pub use self::track::{AXIS_END, Track};
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

/// What a device is, and what its guest is still to be told.
pub trait Model: Default + Clone + Serialize + DeserializeOwned + Send + 'static {
    /// Its kind.
    const KIND: Kind;
    /// Its name.
    const NAME: &'static str;
    /// Its number among this program's devices.
    const PRODUCT: u16;

    /// What it can do: a piece of information (§5.8.4), empty when there is no such thing.
    fn ability(select: u8, subsel: u16) -> Vec<u8>;

    /// Whether there is something to tell.
    fn has_more(&self) -> bool;

    /// The next event, which the guest is told by that.
    fn next(&mut self) -> Option<[u8; EVENT_LEN]>;

    /// Says what is wrong with a restored one, if anything.
    fn problem(&self) -> Option<&'static str>;
}

#[derive(Debug, Default)]
struct Inner<M> {
    selection: Selection,
    track: M,
    /// Whether the driver is at work.
    active: bool,
}

struct Core<M> {
    inner: Mutex<Inner<M>>,
    /// Wakes the worker.
    news: EventFd,
}

impl<M> Core<M> {
    fn change(&self, change: impl FnOnce(&mut M)) {
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

/// An input device.
pub struct Input<M: Model> {
    core: Arc<Core<M>>,
    on_use: UseSink,
}

/// A tablet.
pub type Tablet = Input<Track>;
/// A keyboard.
pub type Keyboard = Input<Keys>;

impl<M: Model> Input<M> {
    /// A device. `on_use` hears each time a driver begins or ceases to listen to it; called on a
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

    /// Whether the guest has taken all that happened.
    pub fn is_idle(&self) -> bool {
        !self.core.inner.lock().track.has_more()
    }

    fn set_active(&self, active: bool) {
        let before = std::mem::replace(&mut self.core.inner.lock().active, active);
        if before != active {
            (self.on_use)(active);
        }
    }
}

impl Input<Track> {
    /// The pointer is at this place of the screen, each axis from 0 to [`AXIS_END`].
    pub fn point(&self, x: u16, y: u16) {
        self.core.change(|track| track.point(x.min(AXIS_END), y.min(AXIS_END)));
    }

    /// The wheel turns by so many clicks towards the user, and these buttons are held: bit 0 left,
    /// 1 right, 2 middle, 3 and 4 the side buttons.
    pub fn press(&self, wheel: i32, buttons: u8) {
        self.core.change(|track| track.press(wheel, buttons));
    }
}

impl Input<Keys> {
    /// A key goes down, by its number in Linux's `input-event-codes.h`. One that is down does
    /// nothing.
    pub fn press_key(&self, key: u16) {
        self.core.change(|keys| keys.press(key));
    }

    /// A key goes up.
    pub fn release_key(&self, key: u16) {
        self.core.change(|keys| keys.release(key));
    }
}

impl<M: Model> VirtioDevice for Input<M> {
    fn kind(&self) -> Kind {
        M::KIND
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE, QUEUE_SIZE]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let selection = self.core.inner.lock().selection;
        config_bytes(&selection.bytes::<M>(), offset, data);
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

/// What the guest can tell of an input device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputState<M> {
    selection: Selection,
    track: M,
}

impl<M: Model> Persist for Input<M> {
    type State = InputState<M>;

    fn save(&self) -> InputState<M> {
        let inner = self.core.inner.lock();
        InputState { selection: inner.selection, track: inner.track.clone() }
    }

    fn restore(&self, state: InputState<M>) -> Result<(), RestoreError> {
        if let Some(reason) = state.track.problem() {
            return Err(RestoreError { device: M::NAME, reason: reason.into() });
        }
        // Until it is active again.
        self.set_active(false);
        let InputState { selection, track } = state;
        *self.core.inner.lock() = Inner { selection, track, active: false };
        Ok(())
    }
}

/// Tells the guest what happened, one event a buffer.
struct Reporter<M> {
    core: Arc<Core<M>>,
    events: Option<Arc<VirtQueue>>,
    status: Option<Arc<VirtQueue>>,
}

impl<M: Model> Reporter<M> {
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

impl<M: Model> Worker for Reporter<M> {
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
