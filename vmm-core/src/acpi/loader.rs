//! Getting the tables into the guest: as files with a linker script for firmware (edk2
//! `QemuLoader.h`, SeaBIOS `romfile_loader`), or linked here.

use super::blob::{Blob, Checksum, OEM_ID, Pointer, settle};
use crate::devices::fw_cfg::file;

/// Size of the tables' file. Firmware takes sizes from the directory long before the contents
/// are made, so that these do not depend on what the tables describe.
pub const TABLES_SIZE: usize = 32 << 10;
/// Size of the script's file.
pub const LOADER_SIZE: usize = 4096;
/// Size of the root pointer's file.
pub const RSDP_SIZE: usize = 36;

/// Where the root pointer holds the other tables' addresses, and its checksums (ACPI §5.2.5.3).
const RSDP_RSDT: Pointer = Pointer { at: 16, size: 4 };
const RSDP_XSDT: Pointer = Pointer { at: 24, size: 8 };
const RSDP_CHECKSUMS: [Checksum; 2] =
    [Checksum { at: 8, start: 0, len: 20 }, Checksum { at: 32, start: 0, len: RSDP_SIZE }];

/// The three files that firmware reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcpiFiles {
    /// `etc/acpi/tables`, [`TABLES_SIZE`] bytes.
    pub tables: Vec<u8>,
    /// `etc/table-loader`, [`LOADER_SIZE`] bytes.
    pub loader: Vec<u8>,
    /// `etc/acpi/rsdp`, [`RSDP_SIZE`] bytes.
    pub rsdp: Vec<u8>,
}

impl AcpiFiles {
    /// Names and sizes, in the order of [`Self::into_files`].
    pub const FILES: [(&'static str, usize); 3] = [
        (file::ACPI_TABLES, TABLES_SIZE),
        (file::TABLE_LOADER, LOADER_SIZE),
        (file::ACPI_RSDP, RSDP_SIZE),
    ];

    /// Contents in the order of [`Self::FILES`].
    pub fn into_files(self) -> Vec<Vec<u8>> {
        vec![self.tables, self.loader, self.rsdp]
    }
}

/// Tables linked for a fixed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcpiImage {
    /// Where `bytes` must lie. The root pointer is at its start.
    pub base: u32,
    /// Root pointer and tables.
    pub bytes: Vec<u8>,
}

/// A root pointer whose pointers are offsets into the tables.
fn rsdp(blob: &Blob) -> [u8; RSDP_SIZE] {
    const REVISION: u8 = 2;
    let mut rsdp = [0; RSDP_SIZE];
    rsdp[..8].copy_from_slice(b"RSD PTR ");
    rsdp[9..15].copy_from_slice(&OEM_ID);
    rsdp[15] = REVISION;
    rsdp[16..20].copy_from_slice(&(blob.rsdt as u32).to_le_bytes());
    rsdp[20..24].copy_from_slice(&(RSDP_SIZE as u32).to_le_bytes());
    rsdp[24..32].copy_from_slice(&(blob.xsdt as u64).to_le_bytes());
    for checksum in RSDP_CHECKSUMS {
        settle(&mut rsdp, checksum);
    }
    rsdp
}

/// Commands for the firmware, 128 bytes each.
#[derive(Default)]
struct Script(Vec<u8>);

/// Zones that a file can be put into.
mod zone {
    pub(super) const HIGH: u8 = 1;
    /// The 64 KiB below 1 MiB, where operating systems look for the root pointer.
    pub(super) const FSEG: u8 = 2;
}

impl Script {
    const COMMAND_SIZE: usize = 128;
    const NAME_SIZE: usize = 56;

    fn command(&mut self, number: u32, fields: &[&[u8]]) {
        let end = self.0.len() + Self::COMMAND_SIZE;
        self.0.extend_from_slice(&number.to_le_bytes());
        for field in fields {
            self.0.extend_from_slice(field);
        }
        self.0.resize(end, 0);
    }

    fn name(name: &str) -> [u8; Self::NAME_SIZE] {
        let mut field = [0; Self::NAME_SIZE];
        field[..name.len()].copy_from_slice(name.as_bytes());
        field
    }

    /// Read `file` into memory of `zone`.
    fn allocate(&mut self, file: &str, alignment: u32, zone: u8) {
        self.command(1, &[&Self::name(file), &alignment.to_le_bytes(), &[zone]]);
    }

    /// Add the address of `target` to the pointer in `file`.
    fn add_pointer(&mut self, file: &str, target: &str, pointer: Pointer) {
        let at = (pointer.at as u32).to_le_bytes();
        self.command(2, &[&Self::name(file), &Self::name(target), &at, &[pointer.size]]);
    }

    /// Make the covered bytes of `file` add up to zero. The checksum's own byte has to be zero
    /// before: OVMF counts it into the sum it negates.
    fn add_checksum(&mut self, file: &str, checksum: Checksum) {
        let words = [checksum.at, checksum.start, checksum.len].map(|n| (n as u32).to_le_bytes());
        self.command(3, &[&Self::name(file), &words[0], &words[1], &words[2]]);
    }
}

/// The tables as files for firmware.
pub(super) fn files(blob: Blob) -> AcpiFiles {
    let mut script = Script::default();
    script.allocate(file::ACPI_TABLES, 64, zone::HIGH);
    script.allocate(file::ACPI_RSDP, 16, zone::FSEG);
    for pointer in &blob.pointers {
        script.add_pointer(file::ACPI_TABLES, file::ACPI_TABLES, *pointer);
    }
    for checksum in &blob.checksums {
        script.add_checksum(file::ACPI_TABLES, *checksum);
    }
    for pointer in [RSDP_RSDT, RSDP_XSDT] {
        script.add_pointer(file::ACPI_RSDP, file::ACPI_TABLES, pointer);
    }
    for checksum in RSDP_CHECKSUMS {
        script.add_checksum(file::ACPI_RSDP, checksum);
    }
    let mut rsdp = rsdp(&blob).to_vec();
    for checksum in RSDP_CHECKSUMS {
        rsdp[checksum.at] = 0;
    }
    let Blob { bytes: mut tables, checksums, .. } = blob;
    for checksum in checksums {
        tables[checksum.at] = 0;
    }
    let Script(mut loader) = script;
    // With 255 CPUs, the most that local APIC IDs can name, both are well within (tested).
    tables.resize(TABLES_SIZE, 0);
    loader.resize(LOADER_SIZE, 0);
    AcpiFiles { tables, loader, rsdp }
}

/// Adds `base` to the little-endian number at `pointer`.
fn relocate(bytes: &mut [u8], pointer: Pointer, base: u64) {
    let field = &mut bytes[pointer.at..pointer.at + usize::from(pointer.size)];
    let mut value = [0; 8];
    value[..field.len()].copy_from_slice(field);
    let moved = u64::from_le_bytes(value).wrapping_add(base).to_le_bytes();
    let len = field.len();
    field.copy_from_slice(&moved[..len]);
}

/// The tables as they are at `base`, the root pointer before them.
pub(super) fn linked_at(mut blob: Blob, base: u32) -> AcpiImage {
    /// Keeps the tables, which begin with the FACS, aligned to 64 bytes.
    const RSDP_SPACE: usize = 64;
    let tables = u64::from(base) + RSDP_SPACE as u64;
    let mut rsdp = rsdp(&blob);
    for pointer in std::mem::take(&mut blob.pointers) {
        relocate(&mut blob.bytes, pointer, tables);
    }
    for checksum in &blob.checksums {
        settle(&mut blob.bytes, *checksum);
    }
    for pointer in [RSDP_RSDT, RSDP_XSDT] {
        relocate(&mut rsdp, pointer, tables);
    }
    for checksum in RSDP_CHECKSUMS {
        settle(&mut rsdp, checksum);
    }
    let mut bytes = rsdp.to_vec();
    bytes.resize(RSDP_SPACE, 0);
    bytes.extend(blob.bytes);
    AcpiImage { base, bytes }
}
