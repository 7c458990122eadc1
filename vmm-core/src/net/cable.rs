//! What lies between a network card and what it is connected to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use vmm_sys_util::eventfd::EventFd;

use super::frames::Connection;
use super::wire::Wire;

/// What a card has moved, as the guest sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of frames that the guest received.
    pub received_bytes: u64,
    /// Frames that the guest received.
    pub received_packets: u64,
    /// Bytes of frames that the guest sent.
    pub sent_bytes: u64,
    /// Frames that the guest sent.
    pub sent_packets: u64,
}

#[derive(Default)]
struct Counters {
    received_bytes: AtomicU64,
    received_packets: AtomicU64,
    sent_bytes: AtomicU64,
    sent_packets: AtomicU64,
}

type Listener = Box<dyn Fn(bool) + Send + Sync>;

/// A cable: the card's end serves the connection, the other end makes it.
pub struct Cable {
    /// What frames go over, in use by the card.
    connection: Mutex<Option<Connection>>,
    /// What the card is to use from now on.
    next: Mutex<Option<Wire>>,
    /// Wakes the card for that.
    news: EventFd,
    listener: OnceLock<Listener>,
    counters: Counters,
}

impl Cable {
    /// A cable that is plugged in at the card alone.
    ///
    /// # Errors
    /// When the system refuses a descriptor.
    pub fn new() -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            connection: Mutex::default(),
            next: Mutex::default(),
            news: EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?,
            listener: OnceLock::new(),
            counters: Counters::default(),
        }))
    }

    /// Who hears, from any thread, whether the link is up. Can be said once.
    pub(crate) fn listen(&self, listener: impl Fn(bool) + Send + Sync + 'static) {
        // A second listener is a defect of the card's, and harmless.
        let _ = self.listener.set(Box::new(listener));
    }

    fn tell(&self, up: bool) {
        if let Some(listener) = self.listener.get() {
            listener(up);
        }
    }

    /// Connects the other end to `wire`, in place of what was there: the link is up.
    ///
    /// # Errors
    /// When the system refuses to make it non-blocking.
    pub fn plug(&self, wire: impl Into<Wire>) -> std::io::Result<()> {
        let wire = wire.into();
        wire.set_nonblocking()?;
        *self.next.lock() = Some(wire);
        self.tell(true);
        // Fails only when the counter is at its end, and then it is rung anyway.
        let _ = self.news.write(1);
        Ok(())
    }

    /// There is no connection and will not be one soon: the link is down.
    pub fn unplug(&self) {
        self.tell(false);
    }

    /// Whether there is a connection, as far as is known.
    pub(crate) fn is_connected(&self) -> bool {
        self.next.lock().is_some() || self.connection.lock().is_some()
    }

    /// What is readable when there may be a new connection.
    pub(crate) fn news(&self) -> &EventFd {
        &self.news
    }

    /// The connection plugged in since the last time.
    pub(crate) fn take_next(&self) -> Option<Wire> {
        // Nothing to read when nobody rang.
        let _ = self.news.read();
        self.next.lock().take()
    }

    /// The connection, for as long as the guard is held. The card's alone.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock()
    }

    /// The guest received a frame of `bytes`.
    pub(crate) fn count_received(&self, bytes: usize) {
        self.counters.received_bytes.fetch_add(bytes as u64, Relaxed);
        self.counters.received_packets.fetch_add(1, Relaxed);
    }

    /// The guest sent a frame of `bytes`.
    pub(crate) fn count_sent(&self, bytes: usize) {
        self.counters.sent_bytes.fetch_add(bytes as u64, Relaxed);
        self.counters.sent_packets.fetch_add(1, Relaxed);
    }

    /// What has gone over it since it was made.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            received_bytes: self.counters.received_bytes.load(Relaxed),
            received_packets: self.counters.received_packets.load(Relaxed),
            sent_bytes: self.counters.sent_bytes.load(Relaxed),
            sent_packets: self.counters.sent_packets.load(Relaxed),
        }
    }
}
