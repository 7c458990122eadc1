//! SMBIOS tables (DMTF DSP0134): what the machine calls itself, and its stable identity.
//!
//! What lives here: the structures and their 32-bit entry point, version 2.8, which SeaBIOS and
//! OVMF both take ([`firmware_files`]), and the same placed at an address for kernels booted
//! without firmware ([`linked_at`]).

mod structure;
mod system;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::units::Bytes;
use structure::Table;

/// What the tables describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmbiosInputs {
    /// The machine's identity, for its whole life.
    pub uuid: Uuid,
    /// Size of its RAM.
    pub memory: Bytes,
    /// End of the RAM below 4 GiB; the rest begins at 4 GiB.
    pub low_ram_end: u32,
    /// Processor packages, each with `cores` cores of `threads` threads; none is zero.
    pub sockets: u8,
    /// Cores in a package.
    pub cores: u8,
    /// Threads in a core.
    pub threads: u8,
    /// Name of the processor's manufacturer, such as CPUID leaf 0 gives.
    pub cpu_vendor: String,
    /// Name of the processor, such as CPUID leaves 0x80000002 to 4 give.
    pub cpu_name: String,
}

/// The two files that firmware reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmbiosFiles {
    /// `etc/smbios/smbios-anchor`: the entry point, whose table address firmware fills in.
    pub anchor: Vec<u8>,
    /// `etc/smbios/smbios-tables`.
    pub tables: Vec<u8>,
}

/// Size of the entry point (DSP0134 §5.2.1).
const ENTRY_POINT_SIZE: usize = 31;
/// Where the part with the second checksum begins.
const INTERMEDIATE: usize = 16;

/// The tables for firmware. They leave the BIOS's own entry out: SeaBIOS and OVMF know better who
/// they are, and add it.
pub fn firmware_files(inputs: &SmbiosInputs) -> SmbiosFiles {
    let table = system::describe(inputs, None);
    SmbiosFiles { anchor: entry_point(&table, 0).to_vec(), tables: table.bytes }
}

/// Entry point and tables as they have to be at physical `base`, a multiple of 16.
pub fn linked_at(inputs: &SmbiosInputs, base: u32) -> Vec<u8> {
    let at = ENTRY_POINT_SIZE.next_multiple_of(16);
    let table = system::describe(inputs, Some(env!("CARGO_PKG_VERSION")));
    let mut bytes = entry_point(&table, base.wrapping_add(at as u32)).to_vec();
    bytes.resize(at, 0);
    bytes.extend(table.bytes);
    bytes
}

/// The 32-bit entry point (DSP0134 §5.2.1) for structures at `address`.
fn entry_point(table: &Table, address: u32) -> [u8; ENTRY_POINT_SIZE] {
    const MAJOR: u8 = 2;
    const MINOR: u8 = 8;
    let mut entry = [0; ENTRY_POINT_SIZE];
    entry[..4].copy_from_slice(b"_SM_");
    entry[5] = ENTRY_POINT_SIZE as u8;
    entry[6] = MAJOR;
    entry[7] = MINOR;
    // The largest structure; the table stays far below 64 KiB (see `system::DIMMS_MAX`).
    entry[8..10].copy_from_slice(&(table.largest as u16).to_le_bytes());
    entry[16..21].copy_from_slice(b"_DMI_");
    entry[22..24].copy_from_slice(&(table.bytes.len() as u16).to_le_bytes());
    entry[24..28].copy_from_slice(&address.to_le_bytes());
    entry[28..30].copy_from_slice(&table.count.to_le_bytes());
    entry[30] = MAJOR << 4 | MINOR;
    entry[21] = checksum(&entry[INTERMEDIATE..]);
    entry[4] = checksum(&entry);
    entry
}

/// What has to be added to make the sum zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_sub(*byte))
}
