//! Transfers that the kernel carries out by itself, many at a time (io_uring(7)).
//!
//! What waits for the host's storage would keep a thread waiting each; a ring has one, which hears
//! of what has ended. A disk has it from the first request that is worth it.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use io_uring::{IoUring, opcode, types};
use parking_lot::Mutex;

use crate::block::image::Place;
use crate::block::{Operation, Request};
use crate::thread;

/// Most transfers at a time: as many as NVMe drives serve at once with ease.
const ENTRIES: u16 = 128;
/// What ends the thread.
const END: u64 = u64::MAX;

/// A read or a write of a place in a file.
pub(super) struct Transfer {
    pub(super) request: Request,
    pub(super) place: Place,
    pub(super) memory: Memory,
}

/// The host's addresses of a request's memory.
pub(super) struct Memory {
    vectors: Vec<libc::iovec>,
    len: u64,
}

// SAFETY: the vectors are addresses that only the kernel uses; they belong to no thread.
unsafe impl Send for Memory {}

impl Memory {
    pub(super) fn new(vectors: Vec<libc::iovec>) -> Self {
        let len = vectors.iter().map(|vector| vector.iov_len as u64).sum();
        Self { vectors, len }
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Pieces it is in.
    pub(super) fn count(&self) -> usize {
        self.vectors.len()
    }
}

/// Hears what a transfer came to: the bytes it has moved.
type Finish = dyn Fn(Transfer, io::Result<u64>) + Send + Sync;

/// Transfers under way.
pub(super) struct Ring {
    core: Arc<Core>,
    thread: JoinHandle<()>,
}

struct Core {
    uring: IoUring,
    /// Held by who submits.
    slots: Mutex<Slots>,
    finish: Box<Finish>,
}

/// The transfers under way, by their number.
struct Slots {
    transfers: Vec<Option<Transfer>>,
    free: Vec<u16>,
}

impl Ring {
    /// A ring whose thread calls `finish` for each transfer.
    ///
    /// # Errors
    /// When the kernel has no io_uring, or it is not for this process.
    pub(super) fn start(
        finish: impl Fn(Transfer, io::Result<u64>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let uring = IoUring::new(ENTRIES.into())?;
        // Whoever forbids only its use is to be known before anything relies on it.
        push(&uring, &opcode::Nop::new().build())?;
        uring.submit_and_wait(1)?;
        // SAFETY: nobody else knows the ring.
        unsafe { uring.completion_shared() }.next();
        let slots =
            Slots { transfers: (0..ENTRIES).map(|_| None).collect(), free: (0..ENTRIES).collect() };
        let core = Arc::new(Core { uring, slots: Mutex::new(slots), finish: Box::new(finish) });
        let shared = Arc::clone(&core);
        // `finish` sees to panics.
        let thread = thread::spawn("disk-ring", move || shared.run(), |_| ())?;
        Ok(Self { core, thread })
    }

    /// Starts a transfer of the file `fd`, or gives it back when too many are under way.
    ///
    /// # Safety
    /// The file stays open and the transfer's memory mapped until [`Self::end`] has returned.
    pub(super) unsafe fn submit(&self, fd: RawFd, transfer: Transfer) -> Result<(), Transfer> {
        let mut slots = self.core.slots.lock();
        let Some(number) = slots.free.pop() else { return Err(transfer) };
        let entry = {
            let (file, vectors) = (types::Fd(fd), &transfer.memory.vectors);
            let (pointer, count, at) =
                (vectors.as_ptr(), vectors.len() as u32, transfer.place.offset);
            match transfer.request.operation {
                Operation::Write => opcode::Writev::new(file, pointer, count).offset(at).build(),
                _ => opcode::Readv::new(file, pointer, count).offset(at).build(),
            }
        };
        if push(&self.core.uring, &entry.user_data(number.into())).is_err() {
            slots.free.push(number);
            return Err(transfer);
        }
        slots.transfers[usize::from(number)] = Some(transfer);
        self.core.submit();
        Ok(())
    }

    /// Waits until all transfers have ended and been heard of. No other may be started.
    pub(super) fn end(self) {
        if self.thread.thread().id() == std::thread::current().id() {
            // Called by `finish`.
            self.core.run_until(|_, slots| slots.is_empty());
            self.core.stop();
        } else {
            self.core.stop();
            // `finish` sees to panics.
            let _ = self.thread.join();
        }
    }
}

impl Core {
    fn run(&self) {
        let mut stopped = false;
        self.run_until(|number, slots| {
            stopped |= number == Some(END);
            stopped && slots.is_empty()
        });
    }

    /// Hears of what ends until `enough`, which is told the number of what has ended last.
    fn run_until(&self, mut enough: impl FnMut(Option<u64>, &Slots) -> bool) {
        let mut last = None;
        while !enough(last, &self.slots.lock()) {
            let (number, result) = self.wait();
            last = Some(number);
            let transfer =
                usize::try_from(number).ok().and_then(|number| self.slots.lock().take(number));
            if let Some(transfer) = transfer {
                let moved =
                    u64::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
                (self.finish)(transfer, moved);
            }
        }
    }

    /// Waits for the next that ends: its number and the call's result.
    fn wait(&self) -> (u64, i32) {
        loop {
            // SAFETY: the thread of the ring alone gets here, or `start` before there is one.
            if let Some(entry) = unsafe { self.uring.completion_shared() }.next() {
                return (entry.user_data(), entry.result());
            }
            if let Err(error) = self.uring.submit_and_wait(1) {
                pause_after(&error);
            }
        }
    }

    /// Makes the kernel take what has been pushed.
    fn submit(&self) {
        while let Err(error) = self.uring.submit() {
            pause_after(&error);
        }
    }

    fn stop(&self) {
        let slots = self.slots.lock();
        while push(&self.uring, &opcode::Nop::new().build().user_data(END)).is_err() {
            self.submit();
        }
        self.submit();
        drop(slots);
    }
}

/// Called with the slots locked, or before anybody else knows the ring.
fn push(uring: &IoUring, entry: &io_uring::squeue::Entry) -> io::Result<()> {
    // SAFETY: nobody else uses the queue meanwhile, and what the entry refers to is kept in the
    // slots until it has ended.
    unsafe { uring.submission_shared().push(entry) }.map_err(|_| io::ErrorKind::WouldBlock.into())
}

/// The kernel was interrupted, or has no memory just now.
fn pause_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::Interrupted {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

impl Slots {
    fn is_empty(&self) -> bool {
        self.free.len() == self.transfers.len()
    }

    fn take(&mut self, number: usize) -> Option<Transfer> {
        let transfer = self.transfers.get_mut(number)?.take()?;
        self.free.push(number as u16);
        Some(transfer)
    }
}
