//! The structures of this machine.

use super::SmbiosInputs;
use super::structure::{Structure, Table};

const MANUFACTURER: &str = "Berth";
const PRODUCT: &str = "Virtual PC";

/// Most memory devices that memory is split over, which bounds the table.
const DIMMS_MAX: u64 = 64;
/// Their usual size in MiB.
const DIMM_MIB: u64 = 16 << 10;

const MEMORY_ARRAY: u16 = 0x1000;
const NO_HANDLE: u16 = 0xffff;

/// Values that many enumerations share.
const OTHER: u8 = 1;
const UNKNOWN: u8 = 2;

/// All structures. `bios_version` adds one for the BIOS.
pub(super) fn describe(inputs: &SmbiosInputs, bios_version: Option<&str>) -> Table {
    let mut table = Table::default();
    if let Some(version) = bios_version {
        table.push(bios(version));
    }
    table.push(system(inputs));
    table.push(chassis());
    for socket in 0..inputs.sockets {
        table.push(processor(inputs, socket));
    }
    memory(inputs, &mut table);
    // Boot information (§7.33): six reserved bytes, no error.
    table.push(Structure::new(32, 0x2000).bytes(&[0; 6]).u8(0));
    // The end (§7.46).
    table.push(Structure::new(127, 0x7f00));
    table
}

/// BIOS information (§7.1), for machines without one.
fn bios(version: &str) -> Structure {
    /// BIOS characteristics are not supported; it is a virtual machine's.
    const NOT_SUPPORTED: u64 = 1 << 3;
    const VIRTUAL_MACHINE: u8 = 1 << 4;
    const SEGMENT: u16 = 0xe000;
    Structure::new(0, 0x0000)
        .string(MANUFACTURER)
        .string(version)
        .u16(SEGMENT)
        .string("01/01/2024")
        .u8(0)
        .u64(NOT_SUPPORTED)
        .bytes(&[0, VIRTUAL_MACHINE])
        // Major and minor release of BIOS and embedded controller: none.
        .bytes(&[0, 0, 0xff, 0xff])
}

/// System information (§7.2).
fn system(inputs: &SmbiosInputs) -> Structure {
    const POWER_SWITCH: u8 = 6;
    Structure::new(1, 0x0100)
        .string(MANUFACTURER)
        .string(PRODUCT)
        // The version of the hardware, which guests tie licences to: not ours.
        .string("1")
        .string(&inputs.uuid.hyphenated().to_string())
        // The first three fields are little-endian (§7.2.1).
        .bytes(&inputs.uuid.to_bytes_le())
        .u8(POWER_SWITCH)
        .u8(0)
        .u8(0)
}

/// Chassis (§7.4).
fn chassis() -> Structure {
    const SAFE: u8 = 3;
    Structure::new(3, 0x0300)
        .string(MANUFACTURER)
        .u8(OTHER)
        .u8(0)
        .u8(0)
        .u8(0)
        // Boot-up, power supply and thermal states; security status.
        .bytes(&[SAFE, SAFE, SAFE, UNKNOWN])
        // OEM defined; height, power cords, contained elements and their size: unspecified.
        .u32(0)
        .bytes(&[0, 0, 0, 0])
        .u8(0)
}

/// A processor package (§7.5).
fn processor(inputs: &SmbiosInputs, socket: u8) -> Structure {
    const CENTRAL: u8 = 3;
    const POPULATED_ENABLED: u8 = 0x41;
    const CAPABLE_64_BIT: u16 = 1 << 2;
    const MULTI_CORE: u16 = 1 << 3;
    const HARDWARE_THREAD: u16 = 1 << 4;
    let mut features = CAPABLE_64_BIT;
    if inputs.cores > 1 {
        features |= MULTI_CORE;
    }
    if inputs.threads > 1 {
        features |= HARDWARE_THREAD;
    }
    // 0xFF means "see the 16-bit fields" that version 3.0 added.
    let threads = (u16::from(inputs.cores) * u16::from(inputs.threads)).min(0xfe) as u8;
    Structure::new(4, 0x0400 + u16::from(socket))
        .string(&format!("CPU {socket}"))
        .u8(CENTRAL)
        .u8(OTHER)
        .string(&inputs.cpu_vendor)
        // CPUID leaf 1 is for the guest to read itself.
        .u64(0)
        .string(&inputs.cpu_name)
        // Voltage, clock and speeds: unknown.
        .u8(0)
        .u16(0)
        .u16(0)
        .u16(0)
        .u8(POPULATED_ENABLED)
        .u8(OTHER)
        // Caches.
        .u16(NO_HANDLE)
        .u16(NO_HANDLE)
        .u16(NO_HANDLE)
        // Serial number, asset tag, part number.
        .bytes(&[0, 0, 0])
        .u8(inputs.cores)
        .u8(inputs.cores)
        .u8(threads)
        .u16(features)
        // The family again, for those beyond 255.
        .u16(OTHER.into())
}

/// The memory array, its devices, and where it is mapped (§7.17, §7.18, §7.20).
fn memory(inputs: &SmbiosInputs, table: &mut Table) {
    let total_mib = inputs.memory.0 >> 20;
    let dimm_mib = DIMM_MIB.max(total_mib.div_ceil(DIMMS_MAX));
    let dimms = total_mib.div_ceil(dimm_mib).clamp(1, DIMMS_MAX) as u16;
    table.push(array(inputs.memory.0 >> 10, dimms));
    let mut left = total_mib;
    for index in 0..dimms {
        let size = left.min(dimm_mib);
        left -= size;
        table.push(dimm(index, size));
    }
    let low = inputs.memory.0.min(inputs.low_ram_end.into());
    let high = inputs.memory.0 - low;
    const FOUR_GIB: u64 = 1 << 32;
    table.push(mapping(0, 0, low));
    if high > 0 {
        table.push(mapping(1, FOUR_GIB, high));
    }
}

fn array(kib: u64, devices: u16) -> Structure {
    const SYSTEM_BOARD: u8 = 3;
    const SYSTEM_MEMORY: u8 = 3;
    const NO_CORRECTION: u8 = 3;
    const NO_ERROR_INFORMATION: u16 = 0xfffe;
    /// "See the extended field."
    const EXTENDED: u32 = 0x8000_0000;
    let narrow = u32::try_from(kib).ok().filter(|kib| *kib < EXTENDED);
    let structure = Structure::new(16, MEMORY_ARRAY)
        .bytes(&[SYSTEM_BOARD, SYSTEM_MEMORY, NO_CORRECTION])
        .u32(narrow.unwrap_or(EXTENDED))
        .u16(NO_ERROR_INFORMATION)
        .u16(devices);
    structure.u64(if narrow.is_some() { 0 } else { kib << 10 })
}

fn dimm(index: u16, mib: u64) -> Structure {
    const NO_ERROR_INFORMATION: u16 = 0xfffe;
    const WIDTH_UNKNOWN: u16 = 0xffff;
    const FORM_DIMM: u8 = 9;
    const TYPE_RAM: u8 = 7;
    const DETAIL_OTHER: u16 = 1 << 1;
    /// "See the extended field."
    const EXTENDED: u16 = 0x7fff;
    let narrow = u16::try_from(mib).ok().filter(|mib| *mib < EXTENDED);
    let wide = if narrow.is_some() { 0 } else { u32::try_from(mib).unwrap_or(0x7fff_ffff) };
    Structure::new(17, 0x1100 + index)
        .u16(MEMORY_ARRAY)
        .u16(NO_ERROR_INFORMATION)
        .u16(WIDTH_UNKNOWN)
        .u16(WIDTH_UNKNOWN)
        .u16(narrow.unwrap_or(EXTENDED))
        .u8(FORM_DIMM)
        // Device set: none.
        .u8(0)
        .string(&format!("DIMM {index}"))
        .u8(0)
        .u8(TYPE_RAM)
        .u16(DETAIL_OTHER)
        .u16(0)
        .string(MANUFACTURER)
        // Serial number, asset tag, part number; ranks.
        .bytes(&[0, 0, 0, 0])
        .u32(wide)
        // Configured speed and voltages: unknown.
        .u16(0)
        .u16(0)
        .u16(0)
        .u16(0)
}

fn mapping(index: u16, start: u64, len: u64) -> Structure {
    const PARTITION_WIDTH: u8 = 1;
    /// "See the extended fields."
    const EXTENDED: u32 = u32::MAX;
    let last = start + len.saturating_sub(1);
    let kib = |address: u64| u32::try_from(address >> 10).ok().filter(|kib| *kib != EXTENDED);
    let structure = Structure::new(19, 0x1300 + index);
    match kib(start).zip(kib(last)) {
        Some((start, last)) => {
            structure.u32(start).u32(last).u16(MEMORY_ARRAY).u8(PARTITION_WIDTH).u64(0).u64(0)
        }
        None => structure
            .u32(EXTENDED)
            .u32(EXTENDED)
            .u16(MEMORY_ARRAY)
            .u8(PARTITION_WIDTH)
            .u64(start)
            .u64(last),
    }
}
