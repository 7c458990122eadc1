//! All tables in one blob, with what has to be known to move it: where pointers are, and which
//! bytes each checksum covers.

use acpi_tables::Aml;

use super::{AcpiInputs, dsdt, fixed};

/// Identity in every header. Eight bytes of table ID follow the six of the OEM.
pub(super) const OEM_ID: [u8; 6] = *b"BERTH ";
pub(super) const OEM_TABLE_ID: [u8; 8] = *b"BERTHPC ";
pub(super) const OEM_REVISION: u32 = 1;

/// Where a table's checksum is (ACPI §5.2.6).
pub(super) const CHECKSUM_OFFSET: usize = 9;
/// Size of a table's header.
pub(super) const HEADER_SIZE: usize = 36;

/// A pointer in the blob to another place in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Where it is.
    pub(super) at: usize,
    /// Its size: 4 or 8 bytes.
    pub(super) size: u8,
}

/// A checksum byte that makes the bytes from `start` on add up to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) at: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// The tables; pointers are offsets from its start, and checksums are right for base 0.
#[derive(Default)]
pub(super) struct Blob {
    pub(super) bytes: Vec<u8>,
    pub(super) pointers: Vec<Pointer>,
    pub(super) checksums: Vec<Checksum>,
    pub(super) rsdt: usize,
    pub(super) xsdt: usize,
}

/// Makes the bytes from `start` on add up to zero.
pub(super) fn settle(bytes: &mut [u8], checksum: Checksum) {
    bytes[checksum.at] = 0;
    let covered = &bytes[checksum.start..checksum.start + checksum.len];
    bytes[checksum.at] = covered.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
}

impl Blob {
    /// Appends `table`, and notes its checksum; returns where it begins.
    fn push(&mut self, table: &dyn Aml) -> usize {
        let at = self.push_plain(table, 16);
        let checksum = Checksum { at: at + CHECKSUM_OFFSET, start: at, len: self.bytes.len() - at };
        settle(&mut self.bytes, checksum);
        self.checksums.push(checksum);
        at
    }

    fn push_plain(&mut self, table: &dyn Aml, alignment: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(alignment);
        self.bytes.resize(at, 0);
        table.to_aml_bytes(&mut self.bytes);
        at
    }

    fn point(&mut self, at: usize, size: u8) {
        self.pointers.push(Pointer { at, size });
    }
}

/// Builds all tables.
pub(super) fn build(inputs: &AcpiInputs) -> Blob {
    let mut blob = Blob::default();
    // The FACS must be aligned to 64 bytes (ACPI §5.2.10): first, it is.
    let facs = blob.push_plain(&fixed::facs(), 64);
    let dsdt = blob.push(&dsdt::build(inputs));

    let mut tables = Vec::new();
    let fadt = blob.push(&fixed::fadt(inputs, facs as u32, dsdt as u32));
    for (offset, size) in fixed::FADT_POINTERS {
        blob.point(fadt + offset, size);
    }
    tables.push(fadt);
    tables.push(blob.push(&fixed::madt(inputs)));
    if let Some(ecam) = inputs.ecam() {
        tables.push(blob.push(&fixed::mcfg(ecam)));
    }
    tables.push(blob.push(&fixed::waet()));

    blob.rsdt = blob.push(&fixed::rsdt(&tables));
    blob.xsdt = blob.push(&fixed::xsdt(&tables));
    for index in 0..tables.len() {
        blob.point(blob.rsdt + HEADER_SIZE + 4 * index, 4);
        blob.point(blob.xsdt + HEADER_SIZE + 8 * index, 8);
    }
    blob
}
