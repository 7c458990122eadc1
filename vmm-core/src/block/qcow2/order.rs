//! The order in which a qcow2 image's metadata reaches the disk.
//!
//! At every moment, whatever an entry in the file points to must be counted in the file's
//! refcounts: a process that is killed then leaves, at worst, clusters counted that nobody points
//! to (`qemu-img check` calls them leaks). And since the kernel may bring written pages to the
//! disk in any order, the same must hold for what a power failure leaves.
//!
//! The driver writes refcount blocks and L2 tables back from its caches in the right order, but
//! it links new L2 tables into the L1 table, and new refcount blocks into the refcount table, at
//! once, while the counts of the clusters these occupy are still in its cache. So this type looks
//! at every metadata write on its way to the file:
//!
//! - Before an L1 entry, a refcount table entry or a header goes out, each cluster it points to
//!   is counted in the file, if it is not yet. The driver's own count follows later; until
//!   then the cluster is *pinned*, and a refcount block the driver wrote from an older copy has
//!   the count put into it on its way.
//! - Between refcount blocks and L2 tables, and before entries that link something new, the file
//!   is synced, so a power failure cannot reorder them.
//! - An entry that could not be written (the disk is full, and the file system writes every change
//!   to a new place) is kept and written before anything else: the driver takes it for written.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use super::header::{Header, Tables, entry_offset};
use crate::block::host_file::HostFile;
use crate::text;

/// What a metadata cluster outside the top-level tables is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Refblock,
    L2,
}

/// What part of the image a write goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Header,
    L1,
    Reftable,
    Cluster(Kind),
    Data,
}

/// Where metadata is, as the file has it.
#[derive(Debug)]
struct Map {
    header: Header,
    /// Offsets of the refcount blocks by index; 0 for none.
    refblocks: Vec<u64>,
    /// Refcount blocks and L2 tables by offset.
    clusters: HashMap<u64, Kind>,
}

/// What must happen before the next write.
#[derive(Debug, Default)]
struct Pending {
    /// Refcount blocks were written since the last sync.
    refblocks: bool,
    /// L2 tables were written since the last sync.
    l2: bool,
    /// Entries of the header, the L1 or the refcount table were written since the last sync.
    links: bool,
    /// Clusters counted in the file, by index, that the driver has not yet written as counted.
    pinned: Vec<u64>,
    /// Entries that could not be written, by offset.
    unwritten: BTreeMap<u64, (Target, Vec<u8>)>,
}

/// See the module's description.
#[derive(Debug)]
pub(in crate::block) struct MetadataOrder {
    /// Taken before `map`, for the whole of each metadata write, never during data writes.
    pending: Mutex<Pending>,
    map: RwLock<Map>,
    /// Set when the driver has opened the image, from when on it writes single entries only.
    running: AtomicBool,
}

/// Length of an L1 or refcount table entry.
const ENTRY_LEN: usize = 8;
/// Length of the header's part that the driver rewrites when a table moves.
const HEADER_LEN: usize = 72;

impl MetadataOrder {
    /// For an image with this header and these tables, checked.
    pub(in crate::block) fn new(header: Header, tables: Tables) -> Self {
        let refblocks = tables.refblocks.iter().map(|offset| (*offset, Kind::Refblock));
        let l2 = tables.l2.iter().map(|offset| (*offset, Kind::L2));
        let clusters = refblocks.chain(l2).filter(|(offset, _)| *offset != 0).collect();
        let map = Map { header, refblocks: tables.refblocks, clusters };
        Self { pending: Mutex::default(), map: RwLock::new(map), running: false.into() }
    }

    /// The driver has opened the image.
    pub(in crate::block) fn start(&self) {
        self.running.store(true, Ordering::Release);
    }

    /// Whether a write must go through [`Self::write`].
    pub(in crate::block) fn concerns(&self, offset: u64, len: u64) -> bool {
        self.map.read().target(offset, len) != Target::Data
    }

    /// Writes `data` to `offset`, and before it what must come before.
    pub(in crate::block) fn write(
        &self,
        file: &HostFile,
        data: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        let mut pending = self.pending.lock();
        self.write_unwritten(&mut pending, file)?;
        let target = self.map.read().target(offset, data.len() as u64);
        let expected = match target {
            Target::Header => HEADER_LEN,
            Target::L1 | Target::Reftable => ENTRY_LEN,
            _ => data.len(),
        };
        if data.len() != expected && self.running.load(Ordering::Acquire) {
            // Only a damaged image has the guest's data where its tables are.
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                text!("the image's data overlaps its metadata"),
            ));
        }
        match target {
            Target::Data => file.write_at(data, offset),
            Target::Cluster(Kind::L2) => {
                if pending.refblocks {
                    pending.barrier(file)?;
                }
                pending.l2 = true;
                file.write_at(data, offset)
            }
            Target::Cluster(Kind::Refblock) => {
                if pending.l2 {
                    pending.barrier(file)?;
                }
                pending.refblocks = true;
                let mut data = data.to_vec();
                self.map.read().apply_pins(&mut pending.pinned, &mut data, offset);
                file.write_at(&data, offset)
            }
            Target::Header | Target::L1 | Target::Reftable => {
                // The driver takes the entry for written even if it is not.
                self.link(&mut pending, file, target, data, offset).inspect_err(|_| {
                    pending.unwritten.insert(offset, (target, data.to_vec()));
                })
            }
        }
    }

    /// Brings all that was written to stable storage.
    pub(in crate::block) fn sync(&self, file: &HostFile) -> io::Result<()> {
        let mut pending = self.pending.lock();
        self.write_unwritten(&mut pending, file)?;
        pending.barrier(file)
    }

    /// Brings entries of the header, the L1 and the refcount table to stable storage.
    pub(in crate::block) fn sync_links(&self, file: &HostFile) -> io::Result<()> {
        let mut pending = self.pending.lock();
        self.write_unwritten(&mut pending, file)?;
        if pending.links { pending.barrier(file) } else { Ok(()) }
    }

    fn write_unwritten(&self, pending: &mut Pending, file: &HostFile) -> io::Result<()> {
        while let Some((offset, (target, data))) = pending.unwritten.pop_first() {
            if let Err(error) = self.link(pending, file, target, &data, offset) {
                pending.unwritten.insert(offset, (target, data));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes entries that make the image refer to clusters it may not have referred to before.
    fn link(
        &self,
        pending: &mut Pending,
        file: &HostFile,
        target: Target,
        data: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        let mut map = self.map.write();
        // From here on the map describes the image as the driver sees it, also if this fails:
        // nothing else goes out before it has succeeded.
        let referred = match target {
            Target::Header => map.take_header(file, data, offset)?,
            Target::L1 => map.take_entries(data, offset, Kind::L2),
            _ => map.take_entries(data, offset, Kind::Refblock),
        };
        for cluster in referred {
            if map.count_in_file(file, cluster)? {
                pending.pinned.push(cluster);
            }
        }
        drop(map);
        pending.barrier(file)?;
        pending.links = true;
        file.write_at(data, offset)
    }
}

impl Pending {
    fn barrier(&mut self, file: &HostFile) -> io::Result<()> {
        file.sync()?;
        (self.refblocks, self.l2, self.links) = (false, false, false);
        Ok(())
    }
}

impl Map {
    fn target(&self, offset: u64, len: u64) -> Target {
        let end = offset.saturating_add(len);
        let meets = |range: std::ops::Range<u64>| offset < range.end && range.start < end;
        let cluster_size = self.header.cluster_size();
        if offset < cluster_size {
            Target::Header
        } else if len == cluster_size && offset.is_multiple_of(cluster_size) {
            // Second-level tables are written as a whole. So is most data, and a top-level table
            // of one cluster.
            match self.clusters.get(&offset) {
                Some(kind) => Target::Cluster(*kind),
                None if meets(self.header.l1_range()) => Target::L1,
                None if meets(self.header.reftable_range()) => Target::Reftable,
                None => Target::Data,
            }
        } else if meets(self.header.l1_range()) {
            Target::L1
        } else if meets(self.header.reftable_range()) {
            Target::Reftable
        } else {
            Target::Data
        }
    }

    /// Notes the entries in `data`, to be written at `offset`, and gives the clusters they point
    /// to by index.
    fn take_entries(&mut self, data: &[u8], offset: u64, kind: Kind) -> Vec<u64> {
        let range = match kind {
            Kind::L2 => self.header.l1_range(),
            Kind::Refblock => self.header.reftable_range(),
        };
        let mut referred = Vec::new();
        for (i, entry) in entries(data).enumerate() {
            let at = offset + i as u64 * 8;
            let pointed = entry_offset(entry);
            if !range.contains(&at) {
                continue;
            }
            if kind == Kind::Refblock {
                let index = ((at - range.start) / 8) as usize;
                if self.refblocks.len() <= index {
                    self.refblocks.resize(index + 1, 0);
                }
                self.refblocks[index] = pointed;
            }
            if pointed != 0 {
                self.clusters.insert(pointed, kind);
                referred.push(pointed >> self.header.cluster_bits);
            }
        }
        referred
    }

    /// Notes where the header in `data` says the top-level tables are, whose contents are in
    /// the file already, and gives their clusters by index.
    fn take_header(&mut self, file: &HostFile, data: &[u8], offset: u64) -> io::Result<Vec<u64>> {
        // The fields from the L1 table's size at 36 to the refcount table's at 56.
        let Some(data) = data.get(..60).filter(|_| offset == 0) else {
            return Ok(Vec::new());
        };
        let u32_at = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| data[at + i]));
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        if !Header::tables_are_sane(u64_at(40), u32_at(36), u64_at(48), u32_at(56)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                text!("the new header is damaged"),
            ));
        }
        self.header.l1_entries = u32_at(36);
        self.header.l1_offset = u64_at(40);
        self.header.reftable_offset = u64_at(48);
        self.header.reftable_clusters = u32_at(56);

        let mut referred = Vec::new();
        for (range, kind) in
            [(self.header.reftable_range(), Kind::Refblock), (self.header.l1_range(), Kind::L2)]
        {
            let mut table = vec![0; (range.end - range.start) as usize];
            file.read_at(&mut table, range.start)?;
            // What the entries point to is counted: they were copied from the old table, or, for
            // refcount blocks, the driver wrote those before.
            self.take_entries(&table, range.start, kind);
            let bits = self.header.cluster_bits;
            referred.extend(range.start >> bits..range.end.div_ceil(1 << bits));
        }
        Ok(referred)
    }

    /// Where in the file the refcount of the cluster with this index is.
    fn refcount_place(&self, cluster: u64) -> io::Result<Place> {
        let bits = self.header.refblock_bits();
        let block = usize::try_from(cluster >> bits)
            .ok()
            .and_then(|index| self.refblocks.get(index))
            .filter(|offset| **offset != 0)
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    text!("a cluster in use has no refcount"),
                )
            })?;
        Ok(Place::new(*block, cluster & ((1 << bits) - 1), self.header.refcount_order))
    }

    /// Makes the file count the cluster with this index and tells whether it did not.
    fn count_in_file(&self, file: &HostFile, cluster: u64) -> io::Result<bool> {
        let place = self.refcount_place(cluster)?;
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..place.len];
        file.read_at(bytes, place.block + place.at as u64)?;
        if !place.is_zero(bytes) {
            return Ok(false);
        }
        place.set_one(bytes);
        file.write_at(bytes, place.block + place.at as u64)?;
        Ok(true)
    }

    /// Puts the counts of pinned clusters into the refcount block that is about to be written,
    /// and lets go of those that it counts.
    fn apply_pins(&self, pinned: &mut Vec<u64>, block: &mut [u8], offset: u64) {
        pinned.retain(|cluster| {
            let Ok(place) = self.refcount_place(*cluster) else { return false };
            if place.block != offset {
                return true;
            }
            let bytes = &mut block[place.at..place.at + place.len];
            let stale = place.is_zero(bytes);
            if stale {
                place.set_one(bytes);
            }
            stale
        });
    }
}

/// Where a refcount is: the bytes that hold it, and its bits in them.
#[derive(Debug)]
struct Place {
    /// Offset of the refcount block.
    block: u64,
    /// Offset in the block.
    at: usize,
    /// Number of bytes, 1 to 8.
    len: usize,
    /// Lowest bit in the last byte.
    shift: u32,
    /// Number of bits, 1 to 64.
    bits: u32,
}

impl Place {
    /// Refcounts are big-endian; those smaller than a byte fill it from its lowest bit.
    fn new(block: u64, index: u64, order: u32) -> Self {
        let bit = index << order;
        let bits = 1 << order;
        Self {
            block,
            at: (bit / 8) as usize,
            len: (bits as usize).div_ceil(8),
            shift: (bit % 8) as u32,
            bits,
        }
    }

    fn is_zero(&self, bytes: &[u8]) -> bool {
        let mask = if self.bits < 8 { ((1u8 << self.bits) - 1) << self.shift } else { 0xff };
        bytes.iter().all(|byte| byte & mask == 0)
    }

    /// Sets a refcount of zero to one.
    fn set_one(&self, bytes: &mut [u8]) {
        if let Some(last) = bytes.last_mut() {
            *last |= 1 << self.shift;
        }
    }
}

fn entries(data: &[u8]) -> impl Iterator<Item = u64> + '_ {
    data.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_of_every_width_are_found() {
        // order, index, then the byte and mask that change.
        for (order, index, at, len, mask) in [
            (0, 9, 1, 1, 0x02),
            (1, 5, 1, 1, 0x04),
            (2, 3, 1, 1, 0x10),
            (3, 3, 3, 1, 0x01),
            (4, 3, 6, 2, 0x01),
            (5, 3, 12, 4, 0x01),
            (6, 3, 24, 8, 0x01),
        ] {
            let place = Place::new(0, index, order);
            assert_eq!((place.at, place.len), (at, len), "order {order}");
            let mut bytes = vec![0; len];
            assert!(place.is_zero(&bytes));
            place.set_one(&mut bytes);
            assert_eq!(*bytes.last().unwrap(), mask, "order {order}");
            assert!(!place.is_zero(&bytes));
        }
    }

    #[test]
    fn neighbours_in_a_byte_do_not_count() {
        let place = Place::new(0, 1, 2);
        assert!(place.is_zero(&[0x0f]));
        assert!(!place.is_zero(&[0x10]));
    }
}
