//! What runs requests on an image.
//!
//! A request takes one of three ways. A short one runs on the thread that brings it, as long as
//! such requests do not wait for the host's storage, as when the host's page cache has the data.
//! While they do wait, a read or write of one place in the file goes to a [`Ring`], where the
//! kernel has that. All else, and what went wrong on the ring, runs on the disk's own few threads,
//! started as requests come and ended with the disk.
//!
//! A request whose failure the guest should not see is *parked*, and with it every later one that
//! changes the image, until [`Engine::retry`]; parked requests are not in flight, so draining does
//! not wait for them.

mod flight;
mod pace;
mod ring;
mod worker;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use self::flight::Flight;
use self::pace::Pace;
use self::ring::{Memory, Ring, Transfer};
use self::worker::Worker;
use super::fault::{DiskFault, FaultKind};
use super::guest::GuestBuffers;
use super::host_file::MAX_VECTORS;
use super::image::Image;
use super::{Operation, Request};
use crate::memory::GuestRam;
use crate::{text, thread};

/// Most threads of one disk. The host's page cache serves a few requests at a time as fast as
/// many; the rest queue here rather than in the kernel.
const MAX_THREADS: usize = 4;

/// Most bytes of a request that is run by who submits it. Longer ones are worth a thread: several
/// copy at a time.
const SHORT: u64 = 16 << 10;

/// Told about a disk that has stopped. Called on a thread of the disk or on one that brings it
/// requests, once each time it stops; must not wait for the disk.
pub type FaultSink = Arc<dyn Fn(DiskFault) + Send + Sync>;

/// Runs requests on an image.
pub(super) struct Engine {
    shared: Arc<Shared>,
    /// Made when it is first wanted; `None` inside where the kernel has none for us.
    ring: OnceLock<Option<Ring>>,
}

struct Shared {
    image: Image,
    ram: Arc<GuestRam>,
    on_fault: FaultSink,
    pace: Pace,
    threads: Mutex<Vec<JoinHandle<()>>>,
    queue: Mutex<Queue>,
    /// There is work, or the end.
    work: Condvar,
    /// Nothing is queued or running.
    idle: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Request>,
    parked: VecDeque<Request>,
    /// Why requests are parked.
    fault: Option<DiskFault>,
    /// Requests being run.
    running: usize,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    /// One of them has been woken and has not begun. Until then nobody else is: who begins wakes
    /// the next if there is more than one takes, so that a queue of requests which need not wait
    /// for anything costs few wake-ups.
    waking: bool,
    closing: bool,
    /// A thread panicked: the image's state in memory cannot be trusted any more.
    broken: bool,
}

impl Engine {
    pub(super) fn new(image: Image, ram: Arc<GuestRam>, on_fault: FaultSink) -> Self {
        let shared = Shared {
            image,
            ram,
            on_fault,
            pace: Pace::default(),
            threads: Mutex::default(),
            queue: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
        };
        Self { shared: Arc::new(shared), ring: OnceLock::new() }
    }

    pub(super) fn image(&self) -> &Image {
        &self.shared.image
    }

    /// Starts a request.
    pub(super) fn submit(&self, request: Request) {
        self.shared.submit(request);
    }

    /// Starts a request, for a thread that has nothing else to do: it runs here if it is short and
    /// such requests do not wait for anything at present, and in the kernel while they do.
    pub(super) fn run_or_submit(&self, request: Request) {
        if !matches!(request.operation, Operation::Read | Operation::Write) {
            return self.submit(request);
        }
        let len: u64 = request.segments.iter().map(|segment| u64::from(segment.len)).sum();
        let rest = match self.shared.pace.is_quick() {
            true if len <= SHORT => self.run(request),
            true => Err(request),
            false => self.transfer(request),
        };
        if let Err(request) = rest {
            self.submit(request);
        }
    }

    #[cfg(test)]
    pub(super) fn pretend_to_wait(&self, waiting: bool) {
        self.shared.pace.pretend(waiting);
    }

    /// Runs a request, or gives it back when it should wait for its turn.
    fn run(&self, request: Request) -> Result<(), Request> {
        let request = self.shared.begin(request)?;
        let worker = Worker { shared: &self.shared, pooled: false };
        self.shared.caught(|| worker.run_one(request));
        Ok(())
    }

    /// Has the kernel carry out a request, or gives it back when it takes more than that.
    fn transfer(&self, request: Request) -> Result<(), Request> {
        let (shared, image) = (&self.shared, self.image());
        let Some(ring) = self.ring.get_or_init(|| self.start_ring()) else { return Err(request) };
        let Ok(buffers) = GuestBuffers::new(&shared.ram, &request.segments) else {
            return Err(request);
        };
        let memory = Memory::new(buffers.vectors());
        if memory.len() == 0 || memory.count() > MAX_VECTORS {
            return Err(request);
        }
        let Some(place) = image.place(request.operation, request.offset, memory.len()) else {
            return Err(request);
        };
        let request = shared.begin(request)?;
        // SAFETY: the ring's `finish` and this engine, which ends the ring, have the file and the
        // RAM in `shared`.
        let started =
            unsafe { ring.submit(image.file().descriptor(), Transfer { request, place, memory }) };
        started.map_err(|transfer| {
            shared.queue.lock().end_one(&shared.idle);
            transfer.request
        })
    }

    fn start_ring(&self) -> Option<Ring> {
        let shared = Arc::clone(&self.shared);
        let ring = Ring::start(move |transfer, moved| {
            shared.caught(|| shared.finish(transfer, moved));
        });
        ring.inspect_err(|error| tracing::info!(%error, "there is no io_uring")).ok()
    }

    /// Waits until nothing is queued or running.
    pub(super) fn drain(&self) {
        let mut queue = self.shared.queue.lock();
        while !queue.is_idle() {
            self.shared.idle.wait(&mut queue);
        }
    }

    /// Why requests are parked, if any are.
    pub(super) fn fault(&self) -> Option<DiskFault> {
        self.shared.queue.lock().fault.clone()
    }

    /// Waits until nothing is in flight, failing what is parked or has not begun instead of waiting
    /// for it: what a guest can queue may take hours.
    pub(super) fn give_up(&self) {
        loop {
            let mut queue = self.shared.queue.lock();
            let mut given_up = std::mem::take(&mut queue.waiting);
            given_up.append(&mut queue.parked);
            // They are in flight until whoever asked has heard of it.
            queue.running += 1;
            drop(queue);
            for request in given_up {
                (request.done)(Err(io::Error::from_raw_os_error(libc::EIO)));
            }
            let mut queue = self.shared.queue.lock();
            queue.running -= 1;
            if queue.is_idle() {
                self.shared.idle.notify_all();
            }
            while queue.running > 0 {
                self.shared.idle.wait(&mut queue);
            }
            // Whoever heard of it may have submitted more, which is why this is a loop.
            if queue.waiting.is_empty() && queue.parked.is_empty() {
                return;
            }
        }
    }

    /// Runs the parked requests again, in the order in which they were submitted.
    pub(super) fn retry(&self) {
        let mut queue = self.shared.queue.lock();
        queue.fault = None;
        let parked = std::mem::take(&mut queue.parked);
        // They fail for good now: trying again would only pretend that all is well.
        if self.shared.image.file().lost_writes() {
            drop(queue);
            for request in parked {
                (request.done)(Err(io::Error::from_raw_os_error(libc::EIO)));
            }
            return;
        }
        for request in parked.into_iter().rev() {
            queue.waiting.push_front(request);
        }
        // Whoever brought what is parked may have run it, so that there is no thread yet.
        let first = queue.threads == 0 && !queue.waiting.is_empty();
        queue.threads += usize::from(first);
        drop(queue);
        if first {
            self.shared.start_thread();
        }
        self.shared.work.notify_all();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(Some(ring)) = self.ring.take() {
            ring.end();
        }
        let parked = {
            let mut queue = self.shared.queue.lock();
            queue.closing = true;
            std::mem::take(&mut queue.parked)
        };
        self.shared.work.notify_all();
        for request in parked {
            (request.done)(Err(io::Error::from_raw_os_error(libc::EIO)));
        }
        let this = std::thread::current().id();
        let threads = std::mem::take(&mut *self.shared.threads.lock());
        for handle in threads {
            // A completion may hold the last reference to the disk. Its thread then ends alone.
            if handle.thread().id() != this {
                // `thread::spawn` has caught and reported panics.
                let _ = handle.join();
            }
        }
        // After a panic the driver's caches may contradict each other.
        if !self.shared.queue.lock().broken
            && let Err(error) = self.shared.image.flush()
        {
            let path = self.shared.image.file().path().display().to_string();
            tracing::error!(path, %error, "a disk image could not be flushed at its end");
        }
    }
}

impl Shared {
    fn submit(self: &Arc<Self>, request: Request) {
        let mut queue = self.queue.lock();
        if queue.broken {
            drop(queue);
            (request.done)(Err(broken()));
            return;
        }
        queue.waiting.push_back(request);
        if queue.idle < queue.waiting.len() && queue.threads < MAX_THREADS {
            queue.threads += 1;
            drop(queue);
            self.start_thread();
        } else if self.should_wake(&mut queue) {
            drop(queue);
            self.work.notify_one();
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let (shared, on_fault) = (Arc::clone(self), Arc::clone(&self.on_fault));
        let fault = self.panicked(String::new());
        let started = thread::spawn(
            "disk",
            move || Worker { shared: &shared, pooled: true }.run(),
            move |detail| on_fault(DiskFault { detail, ..fault }),
        );
        match started {
            Ok(handle) => self.threads.lock().push(handle),
            Err(error) => {
                tracing::warn!(%error, "a disk's thread could not be started");
                let mut queue = self.queue.lock();
                queue.threads -= 1;
                if queue.threads == 0 {
                    let stranded = std::mem::take(&mut queue.waiting);
                    drop(queue);
                    for request in stranded {
                        (request.done)(Err(io::ErrorKind::ResourceBusy.into()));
                    }
                }
            }
        }
    }

    /// Counts a request as being run, or gives it back when it is to wait or to fail.
    fn begin(&self, request: Request) -> Result<Request, Request> {
        let mut queue = self.queue.lock();
        if queue.broken || queue.fault.is_some() {
            return Err(request);
        }
        queue.running += 1;
        Ok(request)
    }

    /// Runs what must not end a thread that is not one of the disk's.
    fn caught(&self, body: impl FnOnce()) {
        if let Err(detail) = thread::catch(body) {
            (self.on_fault)(self.panicked(detail));
        }
    }

    fn panicked(&self, detail: String) -> DiskFault {
        let path = self.image.file().path().to_path_buf();
        DiskFault { path, kind: FaultKind::Panic, detail }
    }

    /// Ends a transfer. One that did not move all is done again by the threads, which know more
    /// ways and what to do about errors.
    fn finish(self: &Arc<Self>, transfer: Transfer, moved: io::Result<u64>) {
        let Transfer { request, place, memory } = transfer;
        let whole = moved.as_ref().is_ok_and(|moved| *moved == memory.len());
        if request.operation == Operation::Write {
            self.image.file().wrote(place.offset, moved.unwrap_or(0));
        }
        // Before others hear of it, who may wait for this.
        drop(place);
        let mut flight = Flight { shared: self, pooled: false, request: Some(request) };
        if whole { flight.end(Ok(())) } else { flight.again() }
    }

    /// Whether a thread is to be woken now.
    fn should_wake(&self, queue: &mut Queue) -> bool {
        let wake = !queue.waking && queue.idle > 0 && !queue.waiting.is_empty();
        queue.waking |= wake;
        wake
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running == 0
    }

    /// A request is not being run any more.
    fn end_one(&mut self, idle: &Condvar) {
        self.running -= 1;
        if self.is_idle() {
            idle.notify_all();
        }
    }
}

fn broken() -> io::Error {
    io::Error::other(text!("the disk stopped because of a fault in this program"))
}
