//! Guest RAM in its place in the guest's address space.

use std::ops::Deref;
use std::sync::Arc;

use super::{
    Access, HIGH_RAM_BASE, LEGACY_VGA, MapError, MemoryMapper, RamAllocation, SHADOW, ShadowRam,
    SlotId,
};

/// RAM that the guest sees, all but the shadow RAM. Taken away from the guest before it is freed.
pub struct MappedRam {
    allocation: RamAllocation,
    mapper: Arc<dyn MemoryMapper>,
    slots: Vec<SlotId>,
}

impl MappedRam {
    /// Maps `allocation` where its layout says.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn new(allocation: RamAllocation, mapper: Arc<dyn MemoryMapper>) -> Result<Self, MapError> {
        let layout = allocation.layout;
        let ranges = [
            (0, LEGACY_VGA.start),
            (SHADOW.end, layout.low - SHADOW.end),
            (HIGH_RAM_BASE, layout.high),
        ];
        let mut ram = Self { allocation, mapper, slots: Vec::new() };
        for (start, len) in ranges.into_iter().filter(|(_, len)| *len > 0) {
            let host = ram.allocation.host(start, len);
            // SAFETY: the memory is freed with `allocation`, after `drop` has unmapped it.
            let slot = unsafe { ram.mapper.map(start, host, len, Access::ReadWrite)? };
            ram.slots.push(slot);
        }
        Ok(ram)
    }

    /// The shadow RAM of this RAM.
    ///
    /// # Errors
    /// When KVM refuses.
    ///
    /// # Safety
    /// The shadow RAM is dropped before `self`.
    pub unsafe fn shadow(&self) -> Result<ShadowRam, MapError> {
        let host = self.allocation.host(SHADOW.start, SHADOW.end - SHADOW.start);
        // SAFETY: the caller's promise.
        unsafe { ShadowRam::new(self.mapper.clone(), host) }
    }
}

impl Deref for MappedRam {
    type Target = RamAllocation;

    fn deref(&self) -> &RamAllocation {
        &self.allocation
    }
}

impl Drop for MappedRam {
    fn drop(&mut self) {
        for slot in self.slots.drain(..) {
            self.mapper.unmap(slot);
        }
    }
}
