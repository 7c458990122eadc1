//! Device timers: callbacks at a moment, on one thread per machine.
//!
//! The thread sleeps until the earliest deadline and for ever when there is none: an idle machine
//! costs no wake-ups.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::thread;

type Callback = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Queue {
    /// Ordered by deadline; the serial number tells equal deadlines apart.
    pending: BTreeMap<(Instant, u64), Callback>,
    serial: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The timers of one machine. Dropping it ends the thread; timers still armed never fire.
pub struct Timers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Timers {
    /// Starts the timer thread. `on_panic` hears of a callback that panicked; no timer fires
    /// afterwards.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn new(on_panic: impl FnOnce(String) + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = shared.clone();
        let thread = thread::spawn("timers", move || run(&worker), on_panic)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A timer that calls `callback` on the timer thread when it fires. Callbacks should be short
    /// and hold only weak references to the device that owns the timer.
    pub fn timer(&self, callback: impl Fn() + Send + Sync + 'static) -> Timer {
        Timer {
            shared: Arc::downgrade(&self.shared),
            callback: Arc::new(callback),
            armed: Mutex::new(None),
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread's own panic was reported through `on_panic`.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    let mut queue = shared.queue.lock();
    while !queue.closed {
        let Some((&(deadline, serial), _)) = queue.pending.first_key_value() else {
            shared.changed.wait(&mut queue);
            continue;
        };
        if deadline > Instant::now() {
            shared.changed.wait_until(&mut queue, deadline);
            continue;
        }
        if let Some(callback) = queue.pending.remove(&(deadline, serial)) {
            parking_lot::MutexGuard::unlocked(&mut queue, || callback());
        }
    }
}

/// One timer: armed or not, with at most one deadline.
pub struct Timer {
    shared: Weak<Shared>,
    callback: Callback,
    armed: Mutex<Option<(Instant, u64)>>,
}

impl Timer {
    /// Fires once, `delay` from now; replaces an earlier deadline.
    pub fn arm(&self, delay: Duration) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut armed = self.armed.lock();
        let mut queue = shared.queue.lock();
        if let Some(key) = armed.take() {
            queue.pending.remove(&key);
        }
        queue.serial += 1;
        // A guest may ask for any delay: one beyond the host's clock is as good as never.
        let Some(deadline) = Instant::now().checked_add(delay) else { return };
        let key = (deadline, queue.serial);
        queue.pending.insert(key, self.callback.clone());
        *armed = Some(key);
        if queue.pending.first_key_value().is_some_and(|(first, _)| *first == key) {
            shared.changed.notify_one();
        }
    }

    /// Forgets the deadline. A callback already running is not waited for.
    pub fn disarm(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        if let Some(key) = self.armed.lock().take() {
            shared.queue.lock().pending.remove(&key);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_and_not_after_disarm() {
        let timers = Timers::new(|_| {}).unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        let make = |n: u32| {
            let tx = tx.clone();
            timers.timer(move || tx.send(n).unwrap())
        };
        let (late, early, never) = (make(2), make(1), make(0));
        late.arm(Duration::from_millis(40));
        early.arm(Duration::from_millis(10));
        never.arm(Duration::from_millis(20));
        never.disarm();
        assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Ok(1));
        assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Ok(2));
        late.arm(Duration::MAX);
        drop(timers);
        late.arm(Duration::ZERO);
        assert!(rx.try_recv().is_err());
    }
}
