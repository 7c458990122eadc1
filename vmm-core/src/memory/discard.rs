//! Giving guest RAM back to the host.

use rustix::mm::{Advice, madvise};
use vm_memory::{Address, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::{GuestRam, Segment};

/// Gives the host back what the whole pages of `segment` take up; they read as zeros from then on.
/// What of it is no RAM is left out.
pub fn discard(ram: &GuestRam, segment: Segment) {
    let page = rustix::param::page_size() as u64;
    let end = segment.address.raw_value().saturating_add(segment.len.into());
    let mut at = segment.address.raw_value();
    while at < end {
        let Some(region) = ram.find_region(GuestAddress(at)) else { return };
        let base = region.start_addr().raw_value();
        let stop = end.min(base + region.len());
        let (first, last) = ((at - base).next_multiple_of(page), (stop - base) / page * page);
        at = stop;
        if first >= last {
            continue;
        }
        let (offset, len) = (first as usize, (last - first) as usize);
        // SAFETY: the range lies in the region's mapping, which is ours and stays. Its contents are
        // the guest's, which may change them at any moment: nobody holds references into them.
        let discarded =
            unsafe { madvise(region.as_ptr().add(offset).cast(), len, Advice::LinuxDontNeed) };
        if let Err(error) = discarded {
            // Locked pages, at most. The guest does not mind.
            tracing::debug!("guest RAM at {first:#x} cannot be given back: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::Bytes;

    #[test]
    fn only_whole_pages_that_are_there_go() {
        let regions = [(GuestAddress(0), 0x4000), (GuestAddress(0x4000), 0x4000)];
        let ram = GuestRam::from_ranges(&regions).unwrap();
        let fill = || ram.write_slice(&[7; 0x8000], GuestAddress(0)).unwrap();
        let zeros = || {
            let mut bytes = vec![0; 0x8000];
            ram.read_slice(&mut bytes, GuestAddress(0)).unwrap();
            let first = bytes.iter().position(|byte| *byte == 0);
            let count = bytes.iter().filter(|byte| **byte == 0).count();
            first.map(|first| (first, count))
        };
        for (address, len, gone) in [
            (0x1000, 0x1000, Some((0x1000, 0x1000))),
            (0x0fff, 0x2002, Some((0x1000, 0x2000))),
            (0x1001, 0x1fff, Some((0x2000, 0x1000))),
            (0x1001, 0x1ffe, None),
            (0x1000, 0, None),
            // Across two regions, and off the end.
            (0x3000, 0x2000, Some((0x3000, 0x2000))),
            (0x7000, u32::MAX, Some((0x7000, 0x1000))),
            (u64::MAX - 5, u32::MAX, None),
        ] {
            fill();
            discard(&ram, Segment { address: GuestAddress(address), len });
            assert_eq!(zeros(), gone, "{len:#x} at {address:#x}");
        }
    }
}
