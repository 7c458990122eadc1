//! The threads that run requests on an image.
//!
//! Each disk has its own few threads, started as requests come and ended with the disk; short
//! requests may run on the thread that brings them. A request whose failure the guest should not
//! see is *parked*, and with it every later one that changes the image, until [`Engine::retry`];
//! parked requests are not in flight, so draining does not wait for them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::fault::{DiskFault, FaultKind};
use super::guest::GuestBuffers;
use super::image::Image;
use super::pace::Pace;
use super::{Operation, Request};
use crate::memory::GuestRam;
use crate::thread;

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
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    image: Image,
    ram: Arc<GuestRam>,
    on_fault: FaultSink,
    pace: Pace,
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
            queue: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
        };
        Self { shared: Arc::new(shared), threads: Mutex::default() }
    }

    pub(super) fn image(&self) -> &Image {
        &self.shared.image
    }

    /// Starts a request.
    pub(super) fn submit(&self, request: Request) {
        let mut queue = self.shared.queue.lock();
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
        } else if self.shared.should_wake(&mut queue) {
            drop(queue);
            self.shared.work.notify_one();
        }
    }

    /// Runs a short request on this thread if such requests do not wait for anything at present,
    /// or starts it.
    pub(super) fn run_or_submit(&self, request: Request) {
        let len: u64 = request.segments.iter().map(|segment| u64::from(segment.len)).sum();
        let moves = matches!(request.operation, Operation::Read | Operation::Write);
        if !moves || len > SHORT || !self.shared.pace.is_quick() {
            return self.submit(request);
        }
        let mut queue = self.shared.queue.lock();
        if queue.broken || queue.fault.is_some() {
            drop(queue);
            return self.submit(request);
        }
        queue.running += 1;
        drop(queue);
        let worker = Worker { shared: &self.shared, pooled: false };
        let run = || self.shared.pace.watch(|| worker.run_one(request));
        // The caller's thread is not to end for it, as one of the disk's would.
        if let Err(detail) = thread::catch(run) {
            (self.shared.on_fault)(self.panicked(detail));
        }
    }

    fn start_thread(&self) {
        let (shared, on_fault) = (Arc::clone(&self.shared), Arc::clone(&self.shared.on_fault));
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
                let mut queue = self.shared.queue.lock();
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

    fn panicked(&self, detail: String) -> DiskFault {
        let path = self.image().file().path().to_path_buf();
        DiskFault { path, kind: FaultKind::Panic, detail }
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
        // Whoever faulted has started a thread, and threads stay.
        drop(queue);
        self.shared.work.notify_all();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
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
        for handle in self.threads.get_mut().drain(..) {
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
}

/// What a request came to.
enum Outcome {
    Done(io::Result<()>),
    Park(DiskFault),
}

/// One thread's part.
struct Worker<'a> {
    shared: &'a Shared,
    /// Whether the thread is one of the disk's.
    pooled: bool,
}

impl Worker<'_> {
    fn run(&self) {
        let mut queue = self.shared.queue.lock();
        loop {
            if let Some(request) = queue.waiting.pop_front() {
                if self.shared.should_wake(&mut queue) {
                    self.shared.work.notify_one();
                }
                if queue.fault.is_some() && !queue.closing && changes_image(&request.operation) {
                    queue.parked.push_back(request);
                    self.tell_idle(&queue);
                    continue;
                }
                queue.running += 1;
                MutexGuard::unlocked(&mut queue, || self.run_one(request));
            } else if queue.closing || queue.broken {
                queue.threads -= 1;
                return;
            } else {
                queue.idle += 1;
                self.shared.work.wait(&mut queue);
                queue.idle -= 1;
                queue.waking = false;
            }
        }
    }

    /// Runs a request and ends or parks it.
    fn run_one(&self, request: Request) {
        let mut flight =
            Flight { shared: self.shared, pooled: self.pooled, request: Some(request) };
        let Some(request) = &flight.request else { return };
        let outcome = self.attempt(request);
        match outcome {
            Outcome::Done(result) => flight.end(result),
            Outcome::Park(fault) => flight.park(fault),
        }
    }

    fn attempt(&self, request: &Request) -> Outcome {
        let image = &self.shared.image;
        let offset = request.offset;
        let result = match request.operation {
            Operation::Read => {
                return Outcome::Done(
                    GuestBuffers::new(&self.shared.ram, &request.segments)
                        .and_then(|buffers| buffers.fill(|memory| image.read(memory, offset))),
                );
            }
            Operation::Write => GuestBuffers::new(&self.shared.ram, &request.segments)
                .and_then(|buffers| buffers.take(|memory| image.write(memory, offset))),
            Operation::Flush => image.flush(),
            Operation::Discard { len } => image.discard(offset, len),
            Operation::WriteZeroes { len } => image.write_zeroes(offset, len),
        };
        match result {
            Err(error) if !is_guests_fault(&error) => {
                let kind = if image.file().lost_writes() {
                    FaultKind::Lost
                } else {
                    FaultKind::of(&error)
                };
                let path = image.file().path().to_path_buf();
                Outcome::Park(DiskFault { path, kind, detail: error.to_string() })
            }
            result => Outcome::Done(result),
        }
    }

    fn tell_idle(&self, queue: &Queue) {
        if queue.is_idle() {
            self.shared.idle.notify_all();
        }
    }
}

/// A request being run. Whatever happens to the thread, the request ends or is parked.
struct Flight<'a> {
    shared: &'a Shared,
    pooled: bool,
    request: Option<Request>,
}

impl Flight<'_> {
    fn end(&mut self, result: io::Result<()>) {
        if let Some(request) = self.request.take() {
            // Before it counts as ended, so that whoever drains sees what it does.
            (request.done)(result);
        }
    }

    fn park(&mut self, fault: DiskFault) {
        let Some(request) = self.request.take() else { return };
        let mut queue = self.shared.queue.lock();
        if queue.closing {
            drop(queue);
            (request.done)(Err(io::Error::from_raw_os_error(libc::EIO)));
            return;
        }
        queue.parked.push_back(request);
        let first = queue.fault.is_none();
        if first {
            queue.fault = Some(fault.clone());
        }
        drop(queue);
        if first {
            (self.shared.on_fault)(fault);
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let panicking = std::thread::panicking();
        if let Some(request) = self.request.take() {
            (request.done)(Err(broken()));
        }
        let mut queue = self.shared.queue.lock();
        queue.running -= 1;
        let mut stranded = VecDeque::new();
        if panicking {
            queue.broken = true;
            queue.threads -= usize::from(self.pooled);
            stranded.append(&mut queue.waiting);
            stranded.append(&mut queue.parked);
            self.shared.work.notify_all();
        }
        let idle = queue.is_idle();
        drop(queue);
        for request in stranded {
            (request.done)(Err(broken()));
        }
        if idle {
            self.shared.idle.notify_all();
        }
    }
}

fn changes_image(operation: &Operation) -> bool {
    !matches!(operation, Operation::Read)
}

/// Whether the guest asked for what cannot be, rather than the host failing.
fn is_guests_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::UnexpectedEof
    )
}

fn broken() -> io::Error {
    io::Error::other("the disk stopped because of a fault in this program")
}
