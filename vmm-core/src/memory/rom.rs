//! Host memory that the guest only reads: a firmware image.

use std::ptr;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::{Access, FIRMWARE_END, MapError, MemoryMapper, SlotId};

const PAGE: usize = 4096;

/// A firmware image that ends at 4 GiB.
pub struct FirmwareRom {
    host: *mut u8,
    len: usize,
    mapper: Arc<dyn MemoryMapper>,
    slot: Option<SlotId>,
}

// SAFETY: after `new` the memory is only read, by the guest.
unsafe impl Send for FirmwareRom {}
// SAFETY: as above.
unsafe impl Sync for FirmwareRom {}

impl FirmwareRom {
    /// Maps a copy of `image`, whose length is a multiple of 4 KiB, so that its last byte is the
    /// last below 4 GiB.
    ///
    /// # Errors
    /// When there is no memory for it or KVM refuses.
    pub fn new(mapper: Arc<dyn MemoryMapper>, image: &[u8]) -> Result<Self, MapError> {
        let guest = FIRMWARE_END - image.len() as u64;
        let refused = |source| MapError::Kvm { guest, source };
        let len = image.len();
        if len == 0 || !len.is_multiple_of(PAGE) {
            return Err(refused(std::io::Error::other("the image is not made of whole pages")));
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let host = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, MapFlags::PRIVATE) }
            .map_err(|error| refused(error.into()))?;
        let mut rom = Self { host: host.cast(), len, mapper, slot: None };
        // SAFETY: the mapping is `len` bytes long and nobody else knows of it.
        unsafe { ptr::copy_nonoverlapping(image.as_ptr(), rom.host, len) };
        // SAFETY: the memory lives until `drop`, which takes the slot away first.
        let slot = unsafe { rom.mapper.map(guest, rom.host, len as u64, Access::ReadOnly)? };
        rom.slot = Some(slot);
        Ok(rom)
    }
}

impl Drop for FirmwareRom {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.mapper.unmap(slot);
        }
        // SAFETY: mapped in `new`, and neither KVM nor anybody here uses it any more.
        let _ = unsafe { munmap(self.host.cast(), self.len) };
    }
}
