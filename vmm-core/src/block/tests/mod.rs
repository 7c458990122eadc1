//! Tests of whole disks, most of them against an independent judge: a model in memory, or QEMU's
//! image tool.

mod crash;
mod faults;
mod making;
mod model;
mod opening;
mod ring;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;

use parking_lot::Mutex;
use vm_memory::{Bytes as _, GuestAddress};

use super::testing;
use super::{
    BlockDevice, Disk, DiskFault, DiskOptions, Format, ImageError, Operation, Request, Segment,
};
use crate::memory::GuestRam;

/// A disk with a guest that waits for each request.
struct Guest {
    disk: Arc<Disk>,
    ram: Arc<GuestRam>,
    faults: Arc<Mutex<Vec<DiskFault>>>,
    /// Requests started.
    started: AtomicU32,
}

impl Guest {
    fn open(path: &Path, options: &DiskOptions) -> Result<Self, ImageError> {
        let (ram, faults) = (testing::ram(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&faults);
        let on_fault = Arc::new(move |fault| told.lock().push(fault));
        let disk = Disk::open(path, options, Arc::clone(&ram), on_fault)?;
        Ok(Self { disk, ram, faults, started: AtomicU32::new(0) })
    }

    /// Starts a request, each in another of the ways that there are.
    fn start(
        &self,
        operation: Operation,
        offset: u64,
        segments: Vec<Segment>,
    ) -> mpsc::Receiver<io::Result<()>> {
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap_or(()));
        let request = Request { operation, offset, segments, done };
        match self.started.fetch_add(1, Relaxed) % 3 {
            0 => self.disk.submit(request),
            way => {
                self.disk.pretend_to_wait(way == 1);
                self.disk.run_or_submit(request);
            }
        }
        receiver
    }

    fn run(&self, operation: Operation, offset: u64, segments: Vec<Segment>) -> io::Result<()> {
        self.start(operation, offset, segments).recv().expect("every request ends")
    }

    /// Puts `data` into guest memory in three odd pieces, one of them across two regions, and
    /// gives the segments.
    fn scatter(&self, len: usize) -> Vec<Segment> {
        let a = len / 3;
        let b = (len - a) / 2;
        [(4 << 30, a), ((1 << 20) - (b as u64 / 2), b), (0x20_0001, len - a - b)]
            .map(|(at, len)| Segment { address: GuestAddress(at), len: len as u32 })
            .to_vec()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let segments = self.scatter(data.len());
        let mut rest = data;
        for segment in &segments {
            let (part, tail) = rest.split_at(segment.len as usize);
            self.ram.write_slice(part, segment.address).unwrap();
            rest = tail;
        }
        self.run(Operation::Write, offset, segments)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let segments = self.scatter(len);
        self.run(Operation::Read, offset, segments.clone())?;
        let mut data = Vec::new();
        for segment in &segments {
            let mut part = vec![0; segment.len as usize];
            self.ram.read_slice(&mut part, segment.address).unwrap();
            data.extend(part);
        }
        Ok(data)
    }

    fn flush(&self) -> io::Result<()> {
        self.run(Operation::Flush, 0, Vec::new())
    }
}

fn options(format: Format) -> DiskOptions {
    DiskOptions { format: Some(format), ..DiskOptions::default() }
}

fn read_only(format: Format) -> DiskOptions {
    DiskOptions { read_only: true, ..options(format) }
}

/// Never cancels.
fn patient() -> impl FnMut(crate::units::Bytes, crate::units::Bytes) -> bool {
    |_, _| true
}

/// A small deterministic generator, for tests that must repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // Xorshift64 (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
