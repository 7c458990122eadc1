//! How much a drive was used, whatever it is connected to.

use std::sync::atomic::{AtomicU64, Ordering};

/// Requests and bytes that a drive has served since the machine was made. Only what succeeded
/// counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Read requests.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Write requests.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Flushes, those that ended a write with forced unit access included.
    pub flushes: u64,
    /// Bytes given back by TRIM or discards.
    pub bytes_discarded: u64,
}

/// The counters behind [`DiskStats`].
#[derive(Debug, Default)]
pub(in crate::devices) struct Counters {
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    flushes: AtomicU64,
    bytes_discarded: AtomicU64,
}

impl Counters {
    pub(in crate::devices) fn read(&self, bytes: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(in crate::devices) fn wrote(&self, bytes: u64) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(in crate::devices) fn flushed(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::devices) fn discarded(&self, bytes: u64) {
        self.bytes_discarded.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(in crate::devices) fn snapshot(&self) -> DiskStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskStats {
            reads: get(&self.reads),
            bytes_read: get(&self.bytes_read),
            writes: get(&self.writes),
            bytes_written: get(&self.bytes_written),
            flushes: get(&self.flushes),
            bytes_discarded: get(&self.bytes_discarded),
        }
    }
}
