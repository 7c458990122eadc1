//! The memory map (ACPI §15).

use std::ops::Range;

use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

use super::layout::{ACPI_BASE, CONVENTIONAL_END, EBDA, KERNEL_BASE};
use crate::memory::GuestRam;

const FOUR_GIB: u64 = 1 << 32;

/// What a range of physical addresses is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum E820Kind {
    /// RAM that the operating system may use.
    Ram = 1,
    /// Not RAM, or RAM that must be left alone.
    Reserved = 2,
}

/// One range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct E820Entry {
    /// The addresses.
    pub range: Range<u64>,
    /// What they are.
    pub kind: E820Kind,
}

impl E820Entry {
    fn new(range: Range<u64>, kind: E820Kind) -> Self {
        Self { range, kind }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Regions of RAM in order, those that touch joined.
fn ram_ranges(ram: &GuestRam) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = ram
        .iter()
        .map(|region| {
            let start = region.start_addr().raw_value();
            start..start.saturating_add(region.len())
        })
        .collect();
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let joined = next.start == range.end;
        if joined {
            range.end = next.end;
        }
        joined
    });
    ranges
}

/// Where RAM that begins at 0 ends, below 4 GiB.
pub fn low_ram_end(ram: &GuestRam) -> u64 {
    let first = ram_ranges(ram).into_iter().next().filter(|range| range.start == 0);
    first.map_or(0, |range| range.end.min(FOUR_GIB))
}

fn entries(ranges: &[Range<u64>], kind: E820Kind) -> impl Iterator<Item = E820Entry> {
    ranges.iter().map(move |range| E820Entry::new(range.clone(), kind))
}

/// The map that firmware is given in `etc/e820`: RAM as it is, holes for legacy areas to be made
/// by the firmware itself; and `reserved`, which it must pass on.
pub fn firmware_map(ram: &GuestRam, reserved: &[Range<u64>]) -> Vec<E820Entry> {
    entries(&ram_ranges(ram), E820Kind::Ram).chain(entries(reserved, E820Kind::Reserved)).collect()
}

/// The map that a directly booted kernel is given.
pub fn kernel_map(ram: &GuestRam, reserved: &[Range<u64>]) -> Vec<E820Entry> {
    let mut map = vec![
        E820Entry::new(0..EBDA, E820Kind::Ram),
        E820Entry::new(EBDA..CONVENTIONAL_END, E820Kind::Reserved),
        E820Entry::new(ACPI_BASE.into()..KERNEL_BASE, E820Kind::Reserved),
    ];
    let above = ram_ranges(ram).into_iter().map(|range| range.start.max(KERNEL_BASE)..range.end);
    map.extend(
        above.filter(|range| range.start < range.end).map(|r| E820Entry::new(r, E820Kind::Ram)),
    );
    map.extend(entries(reserved, E820Kind::Reserved));
    map.sort_by_key(|entry| entry.range.start);
    map
}

/// The map as `etc/e820` holds it: 64-bit start and length and 32-bit kind, little-endian.
pub fn encode(map: &[E820Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(map.len() * 20);
    for entry in map {
        bytes.extend_from_slice(&entry.range.start.to_le_bytes());
        bytes.extend_from_slice(&entry.len().to_le_bytes());
        bytes.extend_from_slice(&(entry.kind as u32).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use vm_memory::GuestAddress;

    use super::*;

    #[test]
    fn maps_cover_ram_and_nothing_twice() {
        let ram = GuestRam::from_ranges(&[
            (GuestAddress(0), 0xa_0000),
            (GuestAddress(0xa_0000), 0x76_0000),
            (GuestAddress(FOUR_GIB), 0x10_0000),
        ])
        .unwrap();
        assert_eq!(low_ram_end(&ram), 0x80_0000);
        let ecam = 0xb000_0000..0xc000_0000;
        let map = kernel_map(&ram, std::slice::from_ref(&ecam));
        assert!(map.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        let ram_bytes: u64 =
            map.iter().filter(|e| e.kind == E820Kind::Ram).map(E820Entry::len).sum();
        assert_eq!(ram_bytes, 0x9_fc00 + 0x70_0000 + 0x10_0000);
        let firmware = firmware_map(&ram, &[ecam]);
        assert_eq!(firmware.len(), 3);
        let bytes = encode(&firmware);
        assert_eq!(bytes.len(), 60);
        assert_eq!(bytes[8..12], 0x80_0000u32.to_le_bytes());
        assert_eq!(bytes[56..], [2, 0, 0, 0]);
    }
}
