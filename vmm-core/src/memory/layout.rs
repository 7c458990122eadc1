//! Where things lie in the guest-physical address space of a Q35.

use std::ops::Range;

use crate::units::Bytes;

/// The legacy VGA window: not RAM (Q35 datasheet §5.1.1).
pub const LEGACY_VGA: Range<u64> = 0xa_0000..0xc_0000;
/// RAM whose write protection the PAM registers control (Q35 datasheet §5.1.4). After a reset it
/// holds a copy of the firmware's end.
pub const SHADOW: Range<u64> = 0xc_0000..0x10_0000;
/// Firmware ends here, so that the reset vector is its last 16 bytes.
pub const FIRMWARE_END: u64 = 1 << 32;
/// RAM that does not fit below the PCI hole goes on from here.
pub const HIGH_RAM_BASE: u64 = 1 << 32;

/// Stock firmware puts the ECAM window at 0xB0000000 or above, so no more RAM than this lies
/// below 4 GiB, …
const LOW_RAM_LIMIT: u64 = 0xb000_0000;
/// … and machines with at least that much keep to 2 GiB, which leaves a wide PCI hole.
const LOW_RAM_OF_LARGE: u64 = 0x8000_0000;

/// How much RAM lies below and above the PCI hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLayout {
    /// Bytes of RAM from address 0.
    pub low: u64,
    /// Bytes of RAM from [`HIGH_RAM_BASE`].
    pub high: u64,
}

impl MemoryLayout {
    /// The layout of a machine with `memory` of RAM.
    pub fn new(memory: Bytes) -> Self {
        let low = if memory.0 >= LOW_RAM_LIMIT { LOW_RAM_OF_LARGE } else { memory.0 };
        Self { low, high: memory.0 - low }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_machines_leave_a_wide_hole() {
        let layout = |mib| MemoryLayout::new(Bytes::mib(mib));
        assert_eq!(layout(64), MemoryLayout { low: 64 << 20, high: 0 });
        assert_eq!(layout(2815), MemoryLayout { low: 2815 << 20, high: 0 });
        assert_eq!(layout(2816), MemoryLayout { low: 2 << 30, high: 768 << 20 });
    }
}
