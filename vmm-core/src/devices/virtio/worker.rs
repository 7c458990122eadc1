//! The threads that serve queues: each sleeps until a queue is rung, a file descriptor is ready,
//! or it is to end.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{Timespec, epoll};
use vmm_sys_util::eventfd::EventFd;

use super::device::Assignment;
use super::queue::VirtQueue;
use crate::thread;

/// Tokens of the loop's own descriptors; a worker's are below.
const QUEUE: u64 = 1 << 63;
/// With [`QUEUE`]: the guest has not rung.
const OFFER: u64 = QUEUE | 1 << 62;
const WAKE: u64 = u64::MAX;
/// How often queues are looked into for each look at the events, which is a system call.
const LOOKS: u32 = 8;
/// Events taken at a time.
const BATCH: usize = 32;

/// What serves some queues of an active device, on a thread of its own.
///
/// The methods are called one at a time. None should wait but [`Self::drain`] and [`Self::stop`].
pub trait Worker: Send {
    /// Called first: the worker says what else it waits for.
    ///
    /// # Errors
    /// When the host lacks what it needs; the driver is told that the device needs a reset.
    fn start(&mut self, _events: &Events) -> io::Result<()> {
        Ok(())
    }

    /// The guest rang queue `index`, or may have: there may be something in it or not.
    fn queue_rung(&mut self, index: usize, events: &Events);

    /// Whether all that the guest offers in the queues is taken at once. Then the thread may look
    /// into them by itself for a moment, in which the guest need not ring.
    fn takes_all(&self) -> bool {
        false
    }

    /// The descriptor watched as `token` is ready, or has an error to read from it.
    fn ready(&mut self, _token: u64, _events: &Events) {}

    /// Waits until no request is in flight, as far as that can be waited for. Called while no vCPU
    /// runs, before the state is saved; the worker goes on afterwards.
    fn drain(&mut self) {}

    /// Called last: waits until nothing touches guest memory on behalf of the queues any more.
    /// May complete what it has.
    fn stop(&mut self) {}
}

/// What to wait for on a file descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Something can be read, or the other end is gone.
    pub read: bool,
    /// Something can be written.
    pub write: bool,
}

impl Interest {
    /// Wait for something to read.
    pub const READ: Self = Self { read: true, write: false };
    /// Wait for room to write.
    pub const WRITE: Self = Self { read: false, write: true };
    /// Wait for both.
    pub const BOTH: Self = Self { read: true, write: true };
    /// Wait for neither; errors are told all the same.
    pub const NONE: Self = Self { read: false, write: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN | epoll::EventFlags::RDHUP, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

/// The file descriptors that a worker's thread waits for. Level-triggered: a descriptor that
/// stays ready is told again and again.
pub struct Events {
    epoll: std::os::fd::OwnedFd,
}

impl Events {
    fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Watches `fd`, which is called `token` (below 2⁶³) in [`Worker::ready`].
    ///
    /// # Errors
    /// When the system refuses, as for a descriptor that is watched already.
    pub fn watch(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        assert!(token < QUEUE, "a token of the loop's own");
        self.add(fd, token, interest)
    }

    fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, fd, data, interest.flags())?)
    }

    /// Watches `fd` for something else.
    ///
    /// # Errors
    /// When it is not watched.
    pub fn change(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        assert!(token < QUEUE, "a token of the loop's own");
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::modify(&self.epoll, fd, data, interest.flags())?)
    }

    /// Watches `fd` no longer; to be called before it is closed.
    ///
    /// # Errors
    /// When it is not watched.
    pub fn forget(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something happens, at most for `timeout`.
    fn wait(&self, tokens: &mut Vec<u64>, timeout: Option<&Timespec>) -> io::Result<()> {
        let mut events = Vec::with_capacity(BATCH);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        tokens.clear();
        tokens.extend(events.iter().map(|event| event.data.u64()));
        Ok(())
    }
}

/// How long a thread looks whether something has happened before it goes to sleep.
///
/// To be woken takes longer than most of what there is to do, and a guest that waits for an answer
/// before it asks again has that with each question. As the next one mostly comes as soon as the
/// last, a thread that was woken early learns to look for longer, and one that slept long not to
/// look at all: who is idle costs nothing.
#[derive(Default)]
struct Patience(Duration);

impl Patience {
    const FIRST: Duration = Duration::from_micros(4);
    const MOST: Duration = Duration::from_micros(32);

    /// Waits for `events`, and for offers in `queues`, which is told by their tokens as well.
    fn wait(
        &mut self,
        events: &Events,
        queues: &[Arc<VirtQueue>],
        tokens: &mut Vec<u64>,
    ) -> io::Result<()> {
        let start = Instant::now();
        tokens.clear();
        if !self.0.is_zero() {
            self.look(events, queues, tokens)?;
        }
        if tokens.is_empty() {
            events.wait(tokens, None)?;
            self.learn(start.elapsed());
        }
        Ok(())
    }

    fn look(
        &self,
        events: &Events,
        queues: &[Arc<VirtQueue>],
        tokens: &mut Vec<u64>,
    ) -> io::Result<()> {
        let start = Instant::now();
        queues.iter().for_each(|queue| queue.silence());
        let offered = || queues.iter().any(|queue| queue.has_offers());
        while start.elapsed() < self.0 && !(0..LOOKS).any(|_| offered()) {
            events.wait(tokens, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
            if !tokens.is_empty() {
                break;
            }
        }
        // One that is broken or dead may seem to offer something for ever.
        let offers = |queue: &&Arc<VirtQueue>| queue.enable_notifications() && queue.is_usable();
        let offering = queues.iter().filter(offers);
        tokens.extend(offering.map(|queue| OFFER | queue.index() as u64));
        Ok(())
    }

    /// It had to wait so long.
    fn learn(&mut self, waited: Duration) {
        self.0 = match waited {
            _ if waited > Self::MOST => Duration::ZERO,
            _ if waited > self.0 => (self.0 * 2).clamp(Self::FIRST, Self::MOST),
            _ => self.0,
        };
    }
}

#[derive(Default)]
struct Progress {
    stop: bool,
    done: bool,
}

struct Shared {
    progress: Mutex<Progress>,
    ended: Condvar,
    wake: EventFd,
    /// Locked while the worker works.
    worker: Mutex<Box<dyn Worker>>,
    queues: Vec<Arc<VirtQueue>>,
}

/// Marks its thread's work as done, however it ends.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        for queue in &self.0.queues {
            queue.close();
        }
        self.0.progress.lock().done = true;
        self.0.ended.notify_all();
    }
}

/// A worker with its thread.
pub(super) struct WorkerThread {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
}

impl WorkerThread {
    /// Starts the thread. `on_panic` hears of the worker's panic.
    ///
    /// # Errors
    /// When the system refuses another thread or descriptor.
    pub(super) fn start(
        name: &'static str,
        assignment: Assignment,
        on_panic: impl FnOnce(String) + Send + 'static,
    ) -> io::Result<Self> {
        let events = Events::new()?;
        let shared = Arc::new(Shared {
            progress: Mutex::default(),
            ended: Condvar::new(),
            wake: EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?,
            worker: Mutex::new(assignment.worker),
            queues: assignment.queues,
        });
        events.add(borrow(&shared.wake), WAKE, Interest::READ)?;
        for queue in &shared.queues {
            events.add(
                borrow(queue.kick_source()),
                QUEUE | queue.index() as u64,
                Interest::READ,
            )?;
        }
        let thread = shared.clone();
        let body = move || {
            let _done = Done(&thread);
            if let Err(error) = run(&thread, &events)
                && let Some(queue) = thread.queues.first()
            {
                queue.fail(&error.to_string());
            }
            thread.worker.lock().stop();
        };
        let handle = thread::spawn(name, body, on_panic)?;
        Ok(Self { shared, handle: Some(handle) })
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        self.shared.progress.lock().stop = true;
        // Fails only when the counter is at its end, which one write cannot bring about.
        let _ = self.shared.wake.write(1);
    }

    /// Waits until the worker has stopped, or `timeout` has passed. `true` when it has.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut progress = self.shared.progress.lock();
        let condition = |progress: &mut Progress| !progress.done;
        match timeout {
            None => self.shared.ended.wait_while(&mut progress, condition),
            Some(timeout) => {
                self.shared.ended.wait_while_for(&mut progress, condition, timeout);
            }
        }
        progress.done
    }

    /// Stands between two pieces of work with nothing in flight until the guard is dropped.
    pub(super) fn quiesce(&self) -> MutexGuard<'_, Box<dyn Worker>> {
        let mut worker = self.shared.worker.lock();
        if !self.shared.progress.lock().done {
            worker.drain();
        }
        worker
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        self.stop();
        if let Some(handle) = self.handle.take() {
            // A panic was reported through `on_panic`.
            let _ = handle.join();
        }
    }
}

fn run(shared: &Shared, events: &Events) -> io::Result<()> {
    {
        let mut worker = shared.worker.lock();
        worker.start(events)?;
        // What was offered before anybody listened.
        for queue in &shared.queues {
            worker.queue_rung(queue.index(), events);
        }
    }
    let looked_into = match shared.worker.lock().takes_all() {
        true => &shared.queues[..],
        false => &[],
    };
    let mut tokens = Vec::with_capacity(BATCH);
    let mut patience = Patience::default();
    loop {
        patience.wait(events, looked_into, &mut tokens)?;
        if shared.progress.lock().stop {
            return Ok(());
        }
        let mut worker = shared.worker.lock();
        for token in &tokens {
            if *token & QUEUE == 0 {
                worker.ready(*token, events);
                continue;
            }
            let index = (*token & !OFFER) as usize;
            if let Some(queue) = shared.queues.iter().find(|queue| queue.index() == index)
                // Whoever else may have read it serves the queue.
                && (*token & OFFER == OFFER || queue.kick_source().read().is_ok())
            {
                worker.queue_rung(index, events);
            }
        }
    }
}

fn borrow(event: &EventFd) -> std::os::fd::BorrowedFd<'_> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open as long as the event that is borrowed.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(event.as_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_what_comes_soon_and_ends_with_what_does_not() {
        let micros = Duration::from_micros;
        let mut patience = Patience::default();
        for (waited, looks_for) in [
            (500, 0),
            (20, 4),
            (3, 4),
            (20, 8),
            (20, 16),
            (20, 32),
            (32, 32),
            (33, 0),
            (0, 0),
            (1, 4),
        ] {
            patience.learn(micros(waited));
            assert_eq!(patience.0, micros(looks_for), "after {waited} µs");
        }
    }
}
