//! A qcow2 image in use: blocking I/O on it, with what the driver needs kept out of its way.
//!
//! Reads, and writes to places that have a cluster of their own or none at all, run at once. All
//! that may take clusters away from the image runs alone: a read must not be left with a cluster
//! that has become somebody else's, the driver zeroes whole clusters whose rest it has found to be
//! zero a moment before, and what is freed must not be used again before the file has stopped to
//! refer to it ([`Settling`]).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imago::format::PreallocateMode;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::{FormatAccess, ShallowMapping};
use parking_lot::{ArcRwLockReadGuard, RawRwLock, RwLock};

use super::{Header, MetadataOrder};
use crate::block::host_file::HostFile;
use crate::block::image::{Place, chunks, or_unsupported, write_zero_buffers};
use crate::block::storage::{ImageStorage, Settle, Settling};

/// How much of a disk is discarded at a time, so that a discard of all of it does not keep other
/// requests waiting.
const DISCARD_CHUNK: u64 = 512 << 20;

/// An open qcow2 image.
#[derive(Debug)]
pub(in crate::block) struct Volume {
    file: Arc<HostFile>,
    access: Arc<FormatAccess<ImageStorage>>,
    settling: Arc<Settling>,
    /// There for images that are written.
    order: Option<Arc<MetadataOrder>>,
    /// Taken for writing by what may take clusters away.
    mappings: Arc<RwLock<()>>,
    /// Discards have freed clusters that the file may still refer to.
    unsettled: AtomicBool,
    /// There are internal snapshots, so even a discard may allocate.
    snapshots: bool,
}

/// No cluster is taken away from the image as long as this lives.
pub(in crate::block) type Mapped = ArcRwLockReadGuard<RawRwLock, ()>;

/// Where a stretch of the disk's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Nowhere: it reads as zeroes or from the backing file.
    Unallocated,
    /// Marked as zero; may have a cluster all the same.
    Zero,
    Compressed,
    Data {
        /// Offset in the file.
        host: u64,
        /// Nobody else, such as a snapshot, has the data, too.
        sole: bool,
    },
}

impl Volume {
    pub(in crate::block) fn new(
        file: Arc<HostFile>,
        access: FormatAccess<ImageStorage>,
        settling: Arc<Settling>,
        order: Option<Arc<MetadataOrder>>,
        header: &Header,
    ) -> Self {
        let access = Arc::new(access);
        settling.attach(&access);
        Self {
            file,
            access,
            settling,
            order,
            mappings: Arc::default(),
            unsettled: false.into(),
            snapshots: header.snapshots != 0,
        }
    }

    /// Size of the disk in bytes.
    pub(in crate::block) fn len(&self) -> u64 {
        self.access.size()
    }

    /// Fills `buffers` from `offset`.
    pub(in crate::block) fn read(&self, buffers: IoVectorMut<'_>, offset: u64) -> io::Result<()> {
        let _shared = self.mappings.read();
        self.access.readv(buffers, offset)
    }

    /// Writes `buffers` to `offset`.
    pub(in crate::block) fn write(&self, buffers: IoVector<'_>, offset: u64) -> io::Result<()> {
        {
            let _shared = self.mappings.read();
            let settled = !self.unsettled.load(Ordering::Acquire);
            let harmless = |run: &Run| match run {
                Run::Data { sole, .. } => *sole,
                Run::Unallocated => settled,
                Run::Zero | Run::Compressed => false,
            };
            // Other writes may give these places clusters meanwhile, but nobody takes any away.
            if self.runs(offset, buffers.len())?.iter().all(|(_, _, run)| harmless(run)) {
                return self.access.writev(buffers, offset);
            }
        }
        let _exclusive = self.mappings.write();
        self.settle()?;
        self.settling.with(Settle::Tables, || self.access.writev(buffers, offset))
    }

    /// Where in the file the `len` bytes at `offset` are, if they are in one piece there, and a
    /// write would change nothing else.
    pub(in crate::block) fn place(&self, offset: u64, len: u64, write: bool) -> Option<Place> {
        let mapped = RwLock::try_read_arc(&self.mappings)?;
        let (mapping, found) = self.access.get_shallow_mapping(offset, len).ok()?;
        let ShallowMapping::Raw { offset, writable, .. } = mapping else { return None };
        let harmless = || {
            let order = self.order.as_ref();
            writable
                && self.file.may_reach(offset.saturating_add(len))
                && order.is_some_and(|order| !order.concerns(offset, len))
        };
        let usable = found >= len && (!write || harmless());
        usable.then_some(Place { offset, _mapped: Some(mapped) })
    }

    /// Brings all completed writes to stable storage.
    pub(in crate::block) fn flush(&self) -> io::Result<()> {
        let _shared = self.mappings.read();
        self.bring_to_disk()
    }

    /// Gives back the space of the clusters that lie wholly within the range.
    pub(in crate::block) fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let Some(cluster) = self.access.inner().zero_granularity() else {
            // Version 2 cannot free clusters without showing the backing file again.
            return Ok(());
        };
        let start = offset.next_multiple_of(cluster);
        let end = offset + len;
        // The last cluster may be cut off by the end of the disk.
        let end = if end == self.len() { end } else { end - end % cluster };
        for (start, len) in chunks(start, end.saturating_sub(start), DISCARD_CHUNK) {
            let _exclusive = self.mappings.write();
            self.discard_clusters(start, len)?;
        }
        Ok(())
    }

    fn discard_clusters(&self, offset: u64, len: u64) -> io::Result<()> {
        for (start, len, run) in self.runs(offset, len)? {
            // What is zero or comes from a backing file takes no space here.
            let host = match run {
                Run::Unallocated | Run::Zero => continue,
                Run::Compressed => None,
                Run::Data { host, sole } => sole.then_some(host),
            };
            if self.snapshots {
                self.settle()?;
            }
            self.unsettled.store(true, Ordering::Release);
            let free = || {
                // SAFETY: mappings are looked up and used under `mappings` alone, which nobody
                // else holds.
                unsafe { self.access.discard_to_any_unsafe(start, len) }
            };
            self.settling.with(Settle::Later, free)?;
            // Nobody can have been given these clusters anew, for the same reason. Should the
            // process be killed before the mapping is written, it shows zeroes, which is allowed.
            if let Some(host) = host {
                or_unsupported(self.file.punch(host, len))?;
            }
        }
        Ok(())
    }

    /// Makes `len` bytes from `offset` read as zeroes.
    pub(in crate::block) fn write_zeroes(&self, offset: u64, len: u64) -> io::Result<()> {
        for (start, len) in chunks(offset, len, DISCARD_CHUNK) {
            let _exclusive = self.mappings.write();
            self.settle()?;
            for (start, len, run) in self.runs(start, len)? {
                if run == Run::Zero {
                    continue;
                }
                self.settling.with(Settle::Tables, || self.zero(start, len))?;
            }
        }
        Ok(())
    }

    /// The caller holds `mappings` for writing and has settled what is to be.
    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        match self.access.write_zeroes(offset, len) {
            // Version 2 has no zero clusters.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                write_zero_buffers(offset, len, |zeroes, at| self.access.write(zeroes, at))
            }
            result => result,
        }
    }

    /// Whether there are internal snapshots, which remember a size of the disk.
    pub(in crate::block) fn has_snapshots(&self) -> bool {
        self.snapshots
    }

    /// Makes the disk, which is `from` bytes long, larger.
    pub(in crate::block) fn grow(&self, from: u64, len: u64) -> io::Result<()> {
        // The top-level table moves, and its old place becomes free.
        let _exclusive = self.mappings.write();
        self.settle()?;
        let more = len.saturating_sub(self.len());
        self.file.raise_limit(more.saturating_add(more / 4));
        self.settling.with(Settle::Tables, || {
            self.access.resize_grow(len, PreallocateMode::None)?;
            self.hide_backing(from, len)
        })
    }

    /// Makes the range read as zeroes where a backing file that is longer than this disk was would
    /// show through. The caller holds `mappings` for writing.
    fn hide_backing(&self, mut start: u64, end: u64) -> io::Result<()> {
        while start < end {
            let (mapping, len) = self.access.get_shallow_mapping(start, end - start)?;
            if len == 0 {
                break;
            }
            if let ShallowMapping::Indirect { layer, offset, .. } = mapping {
                let shown = len.min(layer.size().saturating_sub(offset));
                if shown > 0 {
                    self.zero(start, shown)?;
                }
            }
            start += len;
        }
        Ok(())
    }

    /// Makes the file stop to refer to what discards have freed. The caller holds `mappings` for
    /// writing.
    fn settle(&self) -> io::Result<()> {
        if self.unsettled.load(Ordering::Acquire) {
            self.bring_to_disk()?;
        }
        Ok(())
    }

    /// The caller holds `mappings`, so no discard runs meanwhile.
    fn bring_to_disk(&self) -> io::Result<()> {
        self.access.flush()?;
        self.access.sync()?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Looks up where the range's data is: offset and length of each stretch, in order.
    fn runs(&self, mut offset: u64, len: u64) -> io::Result<Vec<(u64, u64, Run)>> {
        let end = offset + len;
        let mut runs = Vec::new();
        while offset < end {
            let (mapping, len) = self.access.get_shallow_mapping(offset, end - offset)?;
            if len == 0 {
                break;
            }
            let run = match mapping {
                ShallowMapping::Raw { offset, writable, .. } => {
                    Run::Data { host: offset, sole: writable }
                }
                ShallowMapping::Indirect { .. } | ShallowMapping::Zero { explicit: false, .. } => {
                    Run::Unallocated
                }
                ShallowMapping::Zero { .. } | ShallowMapping::Eof { .. } => Run::Zero,
                _ => Run::Compressed,
            };
            runs.push((offset, len, run));
            offset += len;
        }
        Ok(runs)
    }
}
