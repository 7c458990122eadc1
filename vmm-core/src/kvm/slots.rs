//! KVM's memory slots.

use std::collections::BTreeMap;
use std::io;

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use parking_lot::Mutex;

use crate::memory::{Access, MapError, SlotId};

struct Slot {
    guest: u64,
    len: u64,
}

/// Which slots are in use. Slot numbers are reused, lowest first.
pub(super) struct Slots {
    limit: u32,
    used: Mutex<BTreeMap<u32, Slot>>,
}

impl Slots {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, used: Mutex::default() }
    }

    /// # Safety
    /// As for [`crate::memory::MemoryMapper::map`].
    pub(super) unsafe fn map(
        &self,
        vm: &VmFd,
        guest: u64,
        host: *mut u8,
        len: u64,
        access: Access,
    ) -> Result<SlotId, MapError> {
        let mut used = self.used.lock();
        let id = (0..self.limit).find(|id| !used.contains_key(id)).ok_or(MapError::NoSlot)?;
        let region = kvm_userspace_memory_region {
            slot: id,
            flags: match access {
                Access::ReadOnly => KVM_MEM_READONLY,
                Access::ReadWrite => 0,
                Access::ReadWriteLogged => KVM_MEM_LOG_DIRTY_PAGES,
            },
            guest_phys_addr: guest,
            memory_size: len,
            userspace_addr: host as u64,
        };
        // SAFETY: the caller keeps the host memory valid until the slot is unmapped; KVM itself
        // refuses overlaps and unaligned ranges.
        unsafe { vm.set_user_memory_region(region) }
            .map_err(|e| MapError::Kvm { guest, source: e.into() })?;
        used.insert(id, Slot { guest, len });
        Ok(SlotId(id))
    }

    pub(super) fn unmap(&self, vm: &VmFd, id: SlotId) {
        let mut used = self.used.lock();
        let Some(slot) = used.remove(&id.0) else { return };
        let region = kvm_userspace_memory_region {
            slot: id.0,
            guest_phys_addr: slot.guest,
            ..Default::default()
        };
        // SAFETY: a length of zero only takes a mapping away.
        let deleted = unsafe { vm.set_user_memory_region(region) };
        // Deleting an existing slot has no way to fail but a bug in this table.
        deleted.expect("KVM deletes a slot that exists");
    }

    pub(super) fn take_dirty(
        &self,
        vm: &VmFd,
        id: SlotId,
        bitmap: &mut [u64],
    ) -> Result<(), MapError> {
        // Held for as long as KVM changes a mapping: until no vCPU looks at the old one.
        let used = self.used.try_lock().ok_or(MapError::Busy)?;
        let Some(slot) = used.get(&id.0) else {
            bitmap.fill(0);
            return Ok(());
        };
        let len = usize::try_from(slot.len)
            .map_err(|e| MapError::Kvm { guest: slot.guest, source: io::Error::other(e) })?;
        let log = vm
            .get_dirty_log(id.0, len)
            .map_err(|e| MapError::Kvm { guest: slot.guest, source: e.into() })?;
        for (to, from) in bitmap.iter_mut().zip(log) {
            *to = from;
        }
        Ok(())
    }
}
