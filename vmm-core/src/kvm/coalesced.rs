//! The ring in which KVM gathers writes to ports and addresses where only the order matters
//! (Linux `Documentation/virt/kvm/api.rst`, KVM_REGISTER_COALESCED_MMIO).
//!
//! A boot menu makes tens of thousands of writes to text memory; gathered, they cost one exit a
//! hundred and more.

use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kvm_bindings::{KVM_COALESCED_MMIO_PAGE_OFFSET, kvm_coalesced_mmio, kvm_coalesced_mmio_ring};
use parking_lot::Mutex;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::bus::Bus;

const PAGE: usize = 4096;
/// Entries a ring page holds.
const ENTRIES: u32 =
    ((PAGE - size_of::<kvm_coalesced_mmio_ring>()) / size_of::<kvm_coalesced_mmio>()) as u32;

/// The gathered writes of one VM.
pub struct CoalescedRing {
    /// Held while draining, so that writes reach the devices in order.
    page: Mutex<*mut kvm_coalesced_mmio_ring>,
    ports: Arc<Bus>,
    mmio: Arc<Bus>,
}

// SAFETY: the page is only touched through the lock.
unsafe impl Send for CoalescedRing {}
// SAFETY: as above.
unsafe impl Sync for CoalescedRing {}

impl CoalescedRing {
    /// Maps the ring, which every vCPU of a VM shows, through the vCPU `vcpu`.
    ///
    /// # Errors
    /// When the system refuses the mapping.
    pub(super) fn new(
        vcpu: BorrowedFd<'_>,
        ports: Arc<Bus>,
        mmio: Arc<Bus>,
    ) -> std::io::Result<Self> {
        let offset = u64::from(KVM_COALESCED_MMIO_PAGE_OFFSET) * PAGE as u64;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new shared mapping at an address of the kernel's choice.
        let page =
            unsafe { mmap(ptr::null_mut(), PAGE, protection, MapFlags::SHARED, vcpu, offset)? };
        Ok(Self { page: Mutex::new(page.cast()), ports, mmio })
    }

    /// Hands all gathered writes to their devices. Cheap when there are none.
    pub fn drain(&self) {
        let guard = self.page.lock();
        let page: *mut kvm_coalesced_mmio_ring = *guard;
        // SAFETY: the page stays mapped as long as `self`; the kernel only appends entries and
        // moves `last`, which is read as an atomic.
        unsafe {
            let last = AtomicU32::from_ptr(&raw mut (*page).last);
            let first = AtomicU32::from_ptr(&raw mut (*page).first);
            let entries = (&raw const (*page).coalesced_mmio).cast::<kvm_coalesced_mmio>();
            let mut at = first.load(Ordering::Relaxed) % ENTRIES;
            while at != last.load(Ordering::Acquire) % ENTRIES {
                let entry = ptr::read_volatile(entries.add(at as usize));
                let len = (entry.len as usize).min(entry.data.len());
                let bus = if entry.__bindgen_anon_1.pio != 0 { &self.ports } else { &self.mmio };
                bus.write(entry.phys_addr, &entry.data[..len]);
                at = (at + 1) % ENTRIES;
                first.store(at, Ordering::Release);
            }
        }
    }
}

impl Drop for CoalescedRing {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new` and nothing refers to it any more.
        let _ = unsafe { munmap((*self.page.get_mut()).cast(), PAGE) };
    }
}
