//! The qcow2 header and tables, checked before the driver sees the image.
//!
//! The format is described in QEMU's `docs/interop/qcow2.rst`; the limits on table sizes are
//! those of QEMU's driver. After [`Header::read`] and [`Header::check_tables`], everything the
//! driver loads at open is known to be of bounded size and within the file, and every table it
//! loads later starts at a cluster boundary within the file.

use std::collections::HashSet;

use super::super::host_file::HostFile;
use super::Qcow2Error;
use crate::gettext_noop;

/// The first four bytes of every qcow2 image: “QFI” and 0xfb.
pub(in crate::block) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// Length of the version 2 header.
const V2_LENGTH: u32 = 72;
/// Least length of the version 3 header.
const V3_LENGTH: u32 = 104;
/// Longest name of a backing file.
const MAX_BACKING_NAME: u32 = 1023;
/// Most L1 entries (`QCOW_MAX_L1_SIZE`, 32 MiB).
const MAX_L1_ENTRIES: u32 = 4 << 20;
/// Largest refcount table in bytes (`QCOW_MAX_REFTABLE_SIZE`).
const MAX_REFTABLE_BYTES: u64 = 8 << 20;
/// Most internal snapshots (`QCOW_MAX_SNAPSHOTS`).
const MAX_SNAPSHOTS: u32 = 65536;
/// Bits of L1, L2 and refcount table entries that hold an offset.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// Bits of L1 entries that must be zero: 0 to 8 and 56 to 62.
const L1_RESERVED: u64 = 0x7f00_0000_0000_01ff;
/// Bits of refcount table entries that must be zero.
const REFTABLE_RESERVED: u64 = 0x1ff;

/// Incompatible features, bits 0 to 4.
mod feature {
    pub(super) const DIRTY: u64 = 1 << 0;
    pub(super) const CORRUPT: u64 = 1 << 1;
    pub(super) const EXTERNAL_DATA: u64 = 1 << 2;
    pub(super) const COMPRESSION: u64 = 1 << 3;
    pub(super) const EXTENDED_L2: u64 = 1 << 4;
    pub(super) const KNOWN: u64 = (1 << 5) - 1;
}

/// Header extension types.
mod extension {
    pub(super) const END: u32 = 0;
    pub(super) const BACKING_FORMAT: u32 = 0xe279_2aca;
    pub(super) const FEATURE_NAMES: u32 = 0x6803_f857;
    /// Length of one entry of the feature name table.
    pub(super) const FEATURE_NAME_LEN: u32 = 48;
}

/// A checked header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::block) struct Header {
    pub(in crate::block) version: u32,
    pub(in crate::block) cluster_bits: u32,
    /// log2 of the bits of a refcount.
    pub(in crate::block) refcount_order: u32,
    /// Size of the guest's disk in bytes, a multiple of 512.
    pub(in crate::block) size: u64,
    pub(in crate::block) l1_offset: u64,
    pub(in crate::block) l1_entries: u32,
    pub(in crate::block) reftable_offset: u64,
    pub(in crate::block) reftable_clusters: u32,
    pub(in crate::block) snapshots: u32,
    /// Name of the backing file, as the header has it.
    pub(in crate::block) backing: Option<String>,
    /// Format of the backing file, as the header has it.
    pub(in crate::block) backing_format: Option<String>,
}

impl Header {
    /// Reads and checks the header of `file`, whose magic number the caller has seen.
    pub(in crate::block) fn read(file: &HostFile) -> Result<Self, Qcow2Error> {
        let mut fixed = [0; V3_LENGTH as usize + 8];
        file.read_at(&mut fixed, 0)?;
        Self::parse(&fixed, file)
    }

    fn parse(fixed: &[u8; V3_LENGTH as usize + 8], file: &HostFile) -> Result<Self, Qcow2Error> {
        let u32_at = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| fixed[at + i]));
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));

        if file.len() < u64::from(V2_LENGTH) {
            return Err(Qcow2Error::Truncated);
        }
        let version = u32_at(4);
        if !(2..=3).contains(&version) {
            return Err(Qcow2Error::Version(version));
        }
        if version == 3 && file.len() < u64::from(V3_LENGTH) {
            return Err(Qcow2Error::Truncated);
        }
        let cluster_bits = u32_at(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(Qcow2Error::ClusterSize(cluster_bits));
        }
        let cluster_size = 1u64 << cluster_bits;
        let (refcount_order, header_length) =
            if version == 2 { (4, V2_LENGTH) } else { (u32_at(96), u32_at(100)) };
        if refcount_order > 6 {
            return Err(Qcow2Error::RefcountWidth(refcount_order));
        }
        if version == 3 {
            check_features(u64_at(72), header_length, fixed[V3_LENGTH as usize])?;
            if header_length < V3_LENGTH
                || header_length % 8 != 0
                || u64::from(header_length) > cluster_size
            {
                return Err(Qcow2Error::Header(gettext_noop!("its length is impossible")));
            }
        }
        if u32_at(32) != 0 {
            return Err(Qcow2Error::Encrypted);
        }
        let size = u64_at(24);
        if size == 0 {
            return Err(Qcow2Error::NoSize);
        }
        if size % 512 != 0 {
            return Err(Qcow2Error::UnevenSize(size));
        }
        let snapshots = u32_at(60);
        if snapshots > MAX_SNAPSHOTS {
            return Err(Qcow2Error::Header(gettext_noop!("it counts too many snapshots")));
        }
        let backing = read_backing_name(file, u64_at(8), u32_at(16), cluster_size)?;
        let backing_format = read_backing_format(file, header_length, cluster_size, version)?;
        let header = Self {
            version,
            cluster_bits,
            refcount_order,
            size,
            l1_offset: u64_at(40),
            l1_entries: u32_at(36),
            reftable_offset: u64_at(48),
            reftable_clusters: u32_at(56),
            snapshots,
            backing,
            backing_format,
        };
        header.check_placement(file.len())?;
        Ok(header)
    }

    pub(in crate::block) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// log2 of the number of refcounts in a block.
    pub(in crate::block) fn refblock_bits(&self) -> u32 {
        self.cluster_bits + 3 - self.refcount_order
    }

    /// Where the L1 table is.
    pub(in crate::block) fn l1_range(&self) -> std::ops::Range<u64> {
        self.l1_offset..self.l1_offset + u64::from(self.l1_entries) * 8
    }

    /// Where the refcount table is.
    pub(in crate::block) fn reftable_range(&self) -> std::ops::Range<u64> {
        let len = u64::from(self.reftable_clusters) << self.cluster_bits;
        self.reftable_offset..self.reftable_offset + len
    }

    /// How large the file can sensibly become: everything the guest can write, its metadata
    /// (less than a quarter of the data even with 512-byte clusters and 64-bit refcounts), what
    /// is there already, and some room for tables that move as they grow.
    pub(in crate::block) fn length_limit(&self, current: u64) -> u64 {
        const ROOM: u64 = 256 << 20;
        current.saturating_add(self.size).saturating_add(self.size / 4).saturating_add(ROOM)
    }

    /// Whether tables of these places and sizes can be in a file at all. Cluster sizes are not
    /// looked at: even the largest keep these numbers far from overflow.
    pub(super) fn tables_are_sane(
        l1_offset: u64,
        l1_entries: u32,
        reftable_offset: u64,
        reftable_clusters: u32,
    ) -> bool {
        l1_entries <= MAX_L1_ENTRIES
            && u64::from(reftable_clusters) <= MAX_REFTABLE_BYTES >> 9
            && l1_offset <= OFFSET_MASK
            && reftable_offset <= OFFSET_MASK
    }

    /// Checks that the L1 and refcount tables lie within the file and apart.
    fn check_placement(&self, file_len: u64) -> Result<(), Qcow2Error> {
        let l1 = |what| Qcow2Error::Table { table: gettext_noop!("L1 table"), what };
        let reftable = |what| Qcow2Error::Table { table: gettext_noop!("refcount table"), what };
        let aligned = |offset: u64| offset != 0 && offset.is_multiple_of(self.cluster_size());

        if self.l1_entries > MAX_L1_ENTRIES {
            return Err(l1(gettext_noop!("it is too large")));
        }
        // An L2 table has an entry of 8 bytes for each cluster it maps.
        let bits_per_l1_entry = 2 * self.cluster_bits - 3;
        let last_entry = (self.size - 1) >> bits_per_l1_entry;
        if last_entry >= u64::from(self.l1_entries) {
            return Err(l1(gettext_noop!("it is too small for the disk")));
        }
        if !aligned(self.l1_offset) {
            return Err(l1(gettext_noop!("its place is impossible")));
        }
        let within =
            |offset: u64, len: u64| offset.checked_add(len).is_some_and(|end| end <= file_len);
        if !within(self.l1_offset, u64::from(self.l1_entries) * 8) {
            return Err(l1(gettext_noop!("it lies beyond the end of the file")));
        }
        let reftable_len = u64::from(self.reftable_clusters) << self.cluster_bits;
        if reftable_len == 0 {
            return Err(reftable(gettext_noop!("it is missing")));
        }
        if reftable_len > MAX_REFTABLE_BYTES {
            return Err(reftable(gettext_noop!("it is too large")));
        }
        if !aligned(self.reftable_offset) {
            return Err(reftable(gettext_noop!("its place is impossible")));
        }
        if !within(self.reftable_offset, reftable_len) {
            return Err(reftable(gettext_noop!("it lies beyond the end of the file")));
        }
        let (a, b) = (self.l1_range(), self.reftable_range());
        if a.start < b.end && b.start < a.end {
            return Err(reftable(gettext_noop!("it overlaps the L1 table")));
        }
        Ok(())
    }

    /// Reads the L1 and refcount tables and checks each entry: its place must be within the
    /// file, in no other table, and nobody else's.
    ///
    /// That also bounds the driver's search for free clusters, which would take hours if a small
    /// image named one full refcount block a million times.
    pub(in crate::block) fn check_tables(&self, file: &HostFile) -> Result<Tables, Qcow2Error> {
        let l1 = read_table(file, self.l1_offset, self.l1_entries as usize)?;
        let entries = (self.reftable_range().end - self.reftable_offset) / 8;
        let reftable = read_table(file, self.reftable_offset, entries as usize)?;

        let mut taken = HashSet::new();
        let tables = [
            (gettext_noop!("refcount table"), &reftable, REFTABLE_RESERVED),
            (gettext_noop!("L1 table"), &l1, L1_RESERVED),
        ];
        for (table, entries, reserved) in tables {
            let damaged = |what| Qcow2Error::Table { table, what };
            for entry in entries {
                let offset = entry & OFFSET_MASK;
                if entry & reserved != 0 {
                    return Err(damaged(gettext_noop!("an entry has reserved bits set")));
                }
                if offset == 0 {
                    continue;
                }
                if !offset.is_multiple_of(self.cluster_size()) {
                    return Err(damaged(gettext_noop!("an entry is not aligned")));
                }
                // The last cluster of a file need not be complete.
                if offset >= file.len() {
                    return Err(damaged(gettext_noop!(
                        "an entry points beyond the end of the file"
                    )));
                }
                let end = offset + self.cluster_size();
                let overlaps = [self.l1_range(), self.reftable_range()]
                    .iter()
                    .any(|range| offset < range.end && range.start < end);
                if overlaps {
                    return Err(damaged(gettext_noop!("an entry points into another table")));
                }
                if !taken.insert(offset) {
                    return Err(damaged(gettext_noop!("two entries point to one place")));
                }
            }
        }
        let offsets = |entries: Vec<u64>| entries.iter().map(|e| e & OFFSET_MASK).collect();
        Ok(Tables { l2: offsets(l1), refblocks: offsets(reftable) })
    }
}

/// Where the second-level tables are; 0 where there is none.
#[derive(Debug, Default)]
pub(in crate::block) struct Tables {
    pub(in crate::block) l2: Vec<u64>,
    pub(in crate::block) refblocks: Vec<u64>,
}

/// The offset in an L1 or refcount table entry, 0 for none.
pub(super) fn entry_offset(entry: u64) -> u64 {
    entry & OFFSET_MASK
}

fn read_table(file: &HostFile, offset: u64, entries: usize) -> Result<Vec<u64>, Qcow2Error> {
    let mut bytes = vec![0; entries * 8];
    file.read_at(&mut bytes, offset)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| u64::from_be_bytes(*word)).collect())
}

fn check_features(features: u64, header_length: u32, compression: u8) -> Result<(), Qcow2Error> {
    if features & feature::CORRUPT != 0 {
        return Err(Qcow2Error::Corrupt);
    }
    if features & feature::DIRTY != 0 {
        return Err(Qcow2Error::Dirty);
    }
    if features & feature::EXTERNAL_DATA != 0 {
        return Err(Qcow2Error::ExternalData);
    }
    if features & feature::EXTENDED_L2 != 0 {
        return Err(Qcow2Error::ExtendedL2);
    }
    if features & feature::COMPRESSION != 0 {
        let zstd = header_length > V3_LENGTH && compression == 1;
        return Err(Qcow2Error::Compression(if zstd {
            "zstd"
        } else {
            gettext_noop!("an unknown method")
        }));
    }
    match features & !feature::KNOWN {
        0 => Ok(()),
        unknown => Err(Qcow2Error::UnknownFeatures(unknown)),
    }
}

fn read_backing_name(
    file: &HostFile,
    offset: u64,
    len: u32,
    cluster_size: u64,
) -> Result<Option<String>, Qcow2Error> {
    if offset == 0 {
        return Ok(None);
    }
    let fits = offset.checked_add(u64::from(len)).is_some_and(|end| end < cluster_size);
    if len == 0 || len > MAX_BACKING_NAME || !fits {
        return Err(Qcow2Error::Header(gettext_noop!("the backing file's name is misplaced")));
    }
    let mut name = vec![0; len as usize];
    file.read_at(&mut name, offset)?;
    match String::from_utf8(name) {
        Ok(name) if !name.contains('\0') => Ok(Some(name)),
        _ => Err(Qcow2Error::Header(gettext_noop!("the backing file's name is no text"))),
    }
}

/// Walks the header extensions, all of which the driver will read, too.
fn read_backing_format(
    file: &HostFile,
    header_length: u32,
    cluster_size: u64,
    version: u32,
) -> Result<Option<String>, Qcow2Error> {
    let mut format = None;
    let mut offset = u64::from(header_length);
    loop {
        if offset + 8 > cluster_size {
            // A version 2 header without extensions may fill its cluster with anything, but the
            // driver does not look for extensions there either.
            return match version {
                2 => Ok(format),
                _ => Err(Qcow2Error::Header(gettext_noop!("its extensions have no end"))),
            };
        }
        let mut head = [0; 8];
        file.read_at(&mut head, offset)?;
        let [a, b, c, d, e, f, g, h] = head;
        let (kind, len) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        offset += 8;
        if kind == extension::END {
            // The driver checks this one's length, too.
            return if version == 2 || offset + u64::from(len) <= cluster_size {
                Ok(format)
            } else {
                Err(Qcow2Error::Header(gettext_noop!("its extensions have no end")))
            };
        }
        if offset + u64::from(len) > cluster_size {
            return Err(Qcow2Error::Header(gettext_noop!("an extension is too long")));
        }
        // The driver panics at an incomplete entry.
        if kind == extension::FEATURE_NAMES && len % extension::FEATURE_NAME_LEN != 0 {
            return Err(Qcow2Error::Header(gettext_noop!(
                "its table of feature names is incomplete"
            )));
        }
        if kind == extension::BACKING_FORMAT {
            let mut name = vec![0; len as usize];
            file.read_at(&mut name, offset)?;
            let name = String::from_utf8(name).map_err(|_| {
                Qcow2Error::Header(gettext_noop!("the backing file's format is no text"))
            })?;
            if format.is_some() {
                return Err(Qcow2Error::Header(gettext_noop!("it names two backing formats")));
            }
            format = Some(name);
        }
        offset += u64::from(len).next_multiple_of(8);
    }
}
