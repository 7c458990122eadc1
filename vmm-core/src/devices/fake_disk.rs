//! A disk in memory, for tests of the devices that drives are connected to.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;
use vm_memory::Bytes;

use crate::block::{BlockDevice, Operation, Request};
use crate::memory::GuestRam;

/// A disk in memory.
pub(in crate::devices) struct FakeDisk {
    pub(in crate::devices) data: Mutex<Vec<u8>>,
    pub(in crate::devices) read_only: bool,
    ram: Arc<GuestRam>,
    /// Requests wait until [`Self::release`].
    pub(in crate::devices) hold: AtomicBool,
    held: Mutex<VecDeque<Request>>,
    /// Requests fail.
    pub(in crate::devices) broken: AtomicBool,
    /// What was asked, in order of completion.
    pub(in crate::devices) log: Mutex<Vec<(Operation, u64)>>,
}

impl FakeDisk {
    pub(in crate::devices) fn new(ram: &Arc<GuestRam>, len: usize) -> Arc<Self> {
        Arc::new(Self::build(ram, len, false))
    }

    pub(in crate::devices) fn build(ram: &Arc<GuestRam>, len: usize, read_only: bool) -> Self {
        // Every sector tells its number.
        let data = (0..len).map(|at| ((at / 512) as u8).wrapping_add((at % 512) as u8)).collect();
        Self {
            data: Mutex::new(data),
            read_only,
            ram: ram.clone(),
            hold: AtomicBool::new(false),
            held: Mutex::default(),
            broken: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }

    pub(in crate::devices) fn held(&self) -> usize {
        self.held.lock().len()
    }

    /// Ends held request `index`, counted from the oldest.
    pub(in crate::devices) fn release(&self, index: usize) {
        let request = self.held.lock().remove(index).expect("that many are held");
        self.run(request);
    }

    fn run(&self, request: Request) {
        let result = self.transfer(&request);
        self.log.lock().push((request.operation, request.offset));
        (request.done)(result);
    }

    fn transfer(&self, request: &Request) -> io::Result<()> {
        if self.broken.load(SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        let mut data = self.data.lock();
        let mut at = request.offset as usize;
        for segment in &request.segments {
            let end = at.checked_add(segment.len as usize).ok_or(io::ErrorKind::InvalidInput)?;
            let part = data.get_mut(at..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            match request.operation {
                Operation::Read => self.ram.write_slice(part, segment.address),
                _ => self.ram.read_slice(part, segment.address),
            }
            .map_err(io::Error::other)?;
            at = end;
        }
        if let Operation::Discard { len } | Operation::WriteZeroes { len } = request.operation {
            let end = at.checked_add(len as usize).ok_or(io::ErrorKind::InvalidInput)?;
            data.get_mut(at..end).ok_or(io::ErrorKind::InvalidInput)?.fill(0);
        }
        Ok(())
    }
}

impl BlockDevice for FakeDisk {
    fn len(&self) -> u64 {
        self.data.lock().len() as u64
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn submit(&self, request: Request) {
        if self.hold.load(SeqCst) {
            self.held.lock().push_back(request);
        } else {
            self.run(request);
        }
    }
    fn drain(&self) {
        loop {
            let Some(request) = self.held.lock().pop_front() else { return };
            self.run(request);
        }
    }
}
