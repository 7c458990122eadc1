//! A request under way.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::{Shared, broken};
use crate::block::Request;
use crate::block::fault::DiskFault;

/// A request being run. Whatever happens to the thread, the request ends or is parked.
pub(super) struct Flight<'a> {
    pub(super) shared: &'a Arc<Shared>,
    /// Whether the thread is one of the disk's.
    pub(super) pooled: bool,
    pub(super) request: Option<Request>,
}

impl Flight<'_> {
    pub(super) fn end(&mut self, result: io::Result<()>) {
        if let Some(request) = self.request.take() {
            // Before it counts as ended, so that whoever drains sees what it does.
            (request.done)(result);
        }
    }

    /// Has the disk's threads run it.
    pub(super) fn again(&mut self) {
        if let Some(request) = self.request.take() {
            self.shared.submit(request);
        }
    }

    pub(super) fn park(&mut self, fault: DiskFault) {
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
