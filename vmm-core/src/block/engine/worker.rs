//! What runs requests, one after the other.

use std::io;
use std::sync::Arc;

use parking_lot::MutexGuard;

use super::flight::Flight;
use super::{Queue, Shared};
use crate::block::fault::{DiskFault, FaultKind};
use crate::block::guest::GuestBuffers;
use crate::block::{Operation, Request};

/// What a request came to.
enum Outcome {
    Done(io::Result<()>),
    Park(DiskFault),
}

/// One thread's part.
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Arc<Shared>,
    /// Whether the thread is one of the disk's.
    pub(super) pooled: bool,
}

impl Worker<'_> {
    pub(super) fn run(&self) {
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
    pub(super) fn run_one(&self, request: Request) {
        let mut flight =
            Flight { shared: self.shared, pooled: self.pooled, request: Some(request) };
        let Some(request) = &flight.request else { return };
        // Bringing data to the disk always waits, which tells nothing of other requests.
        let outcome = match request.operation {
            Operation::Read | Operation::Write => self.shared.pace.watch(|| self.attempt(request)),
            _ => self.attempt(request),
        };
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
