//! A request (VIRTIO 1.2 §5.2.6): from the chain that the driver offers to the status that it reads.
//!
//! A chain is a header, data one way or the other, and a byte for the status at the very end.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use vm_memory::Bytes;

use super::SECTOR;
use super::config::{MAX_DISCARD, MAX_RANGES, MAX_ZEROES};
use crate::block::{BlockDevice, Completion, Operation, Request, Segment};
use crate::devices::DiskStats;
use crate::devices::disk_stats::Counters;
use crate::devices::virtio::{Chain, VirtQueue};

/// Length of the header: type, priority, sector.
const HEADER: usize = 16;
/// Length of a range to discard or to zero: sector, number of sectors, flags.
const RANGE: usize = 16;
/// The range may be given back, not only zeroed.
const UNMAP: u32 = 1 << 0;
/// Length of the serial number, which ends early with a NUL.
const ID: usize = 20;

/// Types of requests.
mod kind {
    pub(super) const IN: u32 = 0;
    pub(super) const OUT: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
    pub(super) const GET_ID: u32 = 8;
    pub(super) const DISCARD: u32 = 11;
    pub(super) const WRITE_ZEROES: u32 = 13;
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

impl From<io::Result<()>> for Status {
    fn from(result: io::Result<()>) -> Self {
        if result.is_ok() { Self::Ok } else { Self::IoError }
    }
}

/// What requests are done to.
pub(super) struct Target {
    image: Arc<dyn BlockDevice>,
    id: [u8; ID],
    counters: Counters,
}

impl Target {
    pub(super) fn new(image: Arc<dyn BlockDevice>, serial: &str) -> Self {
        let mut id = [0; ID];
        for (to, from) in id.iter_mut().zip(serial.bytes()) {
            *to = from;
        }
        Self { image, id, counters: Counters::default() }
    }

    pub(super) fn image(&self) -> &dyn BlockDevice {
        &*self.image
    }

    pub(super) fn stats(&self) -> DiskStats {
        self.counters.snapshot()
    }

    /// Starts what `chain` asks for. Unless `write_back`, what is written is on stable storage when
    /// the driver hears of it.
    pub(super) fn start(self: &Arc<Self>, queue: &Arc<VirtQueue>, chain: Chain, write_back: bool) {
        let Some(mut waiting) = Waiting::new(queue, chain) else {
            queue.fail("a request without room for its status");
            return;
        };
        let mut header = [0; HEADER];
        if !waiting.chain.read_exact(queue.ram(), &mut header) {
            return waiting.end(Status::IoError);
        }
        let [kind, _priority, low, high] = words(&header);
        let sector = u64::from(high) << 32 | u64::from(low);
        let writable = !self.image.read_only();
        match kind {
            kind::IN => self.read(waiting, sector),
            kind::OUT if writable => self.write(waiting, sector, write_back),
            kind::OUT => waiting.end(Status::IoError),
            kind::FLUSH => self.flush(waiting),
            kind::GET_ID => {
                let room = waiting.room.min(ID as u32) as usize;
                waiting.chain.write(queue.ram(), &self.id[..room]);
                waiting.end(Status::Ok);
            }
            kind::DISCARD if writable => self.ranges(waiting, false),
            kind::WRITE_ZEROES if writable => self.ranges(waiting, true),
            _ => waiting.end(Status::Unsupported),
        }
    }

    fn submit(
        &self,
        operation: Operation,
        offset: u64,
        segments: Vec<Segment>,
        done: impl FnOnce(io::Result<()>) + Send + 'static,
    ) {
        let done: Completion = Box::new(done);
        self.image.run_or_submit(Request { operation, offset, segments, done });
    }

    fn read(self: &Arc<Self>, mut waiting: Waiting, sector: u64) {
        let len = waiting.room;
        let segments = waiting.chain.take_writable(len as usize);
        let Some(offset) = offset(sector, len) else { return waiting.end(Status::IoError) };
        let target = self.clone();
        self.submit(Operation::Read, offset, segments, move |result| {
            if result.is_ok() {
                waiting.chain.add_written(len);
                target.counters.read(len.into());
            }
            waiting.end(result.into());
        });
    }

    fn write(self: &Arc<Self>, mut waiting: Waiting, sector: u64, write_back: bool) {
        let len = waiting.chain.readable_len();
        let segments = waiting.chain.take_readable(len as usize);
        let Some(offset) = offset(sector, len) else { return waiting.end(Status::IoError) };
        let target = self.clone();
        self.submit(Operation::Write, offset, segments, move |result| {
            if result.is_ok() {
                target.counters.wrote(len.into());
                if !write_back {
                    return target.flush(waiting);
                }
            }
            waiting.end(result.into());
        });
    }

    fn flush(self: &Arc<Self>, waiting: Waiting) {
        let target = self.clone();
        self.submit(Operation::Flush, 0, Vec::new(), move |result| {
            if result.is_ok() {
                target.counters.flushed();
            }
            waiting.end(result.into());
        });
    }

    /// Discards or zeroes ranges, all or, when one of them cannot be, none.
    fn ranges(self: &Arc<Self>, mut waiting: Waiting, zero: bool) {
        let ranges = match self.take_ranges(&mut waiting, zero) {
            Ok(ranges) => ranges,
            Err(status) => return waiting.end(status),
        };
        let all =
            Arc::new(Mutex::new(All { left: ranges.len(), worst: Status::Ok, waiting: None }));
        all.lock().waiting = Some(waiting);
        for (offset, len) in ranges {
            let operation =
                if zero { Operation::WriteZeroes { len } } else { Operation::Discard { len } };
            let (all, target) = (all.clone(), self.clone());
            self.submit(operation, offset, Vec::new(), move |result| {
                if result.is_ok() && !zero {
                    target.counters.discarded(len);
                }
                All::one_ended(&all, result.into());
            });
        }
    }

    /// The ranges as offset and length in bytes; at least one.
    fn take_ranges(&self, waiting: &mut Waiting, zero: bool) -> Result<Vec<(u64, u64)>, Status> {
        let len = waiting.chain.readable_len() as usize;
        if len == 0 || !len.is_multiple_of(RANGE) || len > MAX_RANGES as usize * RANGE {
            return Err(Status::IoError);
        }
        let mut ranges = Vec::with_capacity(len / RANGE);
        let (max, known) = if zero { (MAX_ZEROES, UNMAP) } else { (MAX_DISCARD, 0) };
        let mut range = [0; RANGE];
        while waiting.chain.read_exact(waiting.queue.ram(), &mut range) {
            let [low, high, sectors, flags] = words(&range);
            if flags & !known != 0 {
                return Err(Status::Unsupported);
            }
            let start = (u64::from(high) << 32 | u64::from(low)).checked_mul(SECTOR);
            let (start, len) = (start.ok_or(Status::IoError)?, u64::from(sectors) * SECTOR);
            let fits = start.checked_add(len).is_some_and(|end| end <= self.image.len());
            if sectors > max || !fits {
                return Err(Status::IoError);
            }
            ranges.push((start, len));
        }
        Ok(ranges)
    }
}

/// Where `len` bytes from `sector` begin; `None` when these are no whole sectors.
fn offset(sector: u64, len: u32) -> Option<u64> {
    let whole = u64::from(len).is_multiple_of(SECTOR);
    sector.checked_mul(SECTOR).filter(|_| whole)
}

fn words(bytes: &[u8; 16]) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// A request whose driver waits.
struct Waiting {
    queue: Arc<VirtQueue>,
    chain: Chain,
    /// Bytes to write to in front of the status.
    room: u32,
}

impl Waiting {
    /// `None` when there is no room for a status.
    fn new(queue: &Arc<VirtQueue>, chain: Chain) -> Option<Self> {
        let room = chain.writable_len().checked_sub(1)?;
        Some(Self { queue: queue.clone(), chain, room })
    }

    /// Tells the driver.
    fn end(mut self, status: Status) {
        let rest = self.chain.writable_len().saturating_sub(1);
        self.chain.take_writable(rest as usize);
        for place in self.chain.take_writable(1) {
            // All of the chain is RAM.
            let _ = self.queue.ram().write_obj(status as u8, place.address);
        }
        // The driver is told of what was written without a gap.
        if self.chain.written() == self.room {
            self.chain.add_written(1);
        }
        self.queue.complete(self.chain);
        self.queue.notify();
    }
}

/// Several requests to the image that are one to the driver.
struct All {
    left: usize,
    worst: Status,
    waiting: Option<Waiting>,
}

impl All {
    fn one_ended(all: &Mutex<Self>, status: Status) {
        let mut all = all.lock();
        all.left -= 1;
        if status != Status::Ok {
            all.worst = status;
        }
        let status = all.worst;
        let ended = if all.left == 0 { all.waiting.take() } else { None };
        drop(all);
        if let Some(waiting) = ended {
            waiting.end(status);
        }
    }
}
