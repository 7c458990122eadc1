//! Guest RAM from a memory file.

use std::fs::File;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, madvise};
use thiserror::Error;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryBackend, GuestRegionMmap};

use super::{GuestRam, HIGH_RAM_BASE, MemoryLayout};
use crate::units::Bytes;

/// Why guest RAM cannot be had.
#[derive(Debug, Error)]
pub enum RamError {
    /// More than the host has.
    #[error("{wanted} of memory is more than this computer has ({available}); choose less")]
    TooMuch {
        /// What was asked for.
        wanted: Bytes,
        /// What the host has in all.
        available: Bytes,
    },
    /// The system refused.
    #[error("the system has no room for {wanted} of guest memory")]
    Refused {
        /// What was asked for.
        wanted: Bytes,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// The RAM of one guest. Nothing is taken from the host until the guest touches it.
pub struct RamAllocation {
    /// How it lies in the guest-physical address space.
    pub layout: MemoryLayout,
    /// Its contents.
    pub ram: Arc<GuestRam>,
    file: Arc<File>,
}

impl RamAllocation {
    /// Reserves `memory` bytes, a multiple of 4 KiB.
    ///
    /// # Errors
    /// When the host has less, or refuses.
    pub fn new(memory: Bytes) -> Result<Self, RamError> {
        let available = Bytes(host_memory());
        if memory > available {
            // Rounded down to a unit that people read.
            let available = Bytes::mib(available.0 >> 20);
            return Err(RamError::TooMuch { wanted: memory, available });
        }
        Self::reserve(memory).map_err(|source| RamError::Refused { wanted: memory, source })
    }

    fn reserve(memory: Bytes) -> std::io::Result<Self> {
        let layout = MemoryLayout::new(memory);
        let fd = memfd_create("berth-ram", MemfdFlags::CLOEXEC)?;
        ftruncate(&fd, memory.0)?;
        let file = Arc::new(File::from(fd));
        let mut regions = vec![region(&file, 0, 0, layout.low)?];
        if layout.high > 0 {
            regions.push(region(&file, layout.low, HIGH_RAM_BASE, layout.high)?);
        }
        let ram = GuestRam::from_regions(regions).map_err(std::io::Error::other)?;
        Ok(Self { layout, ram: Arc::new(ram), file })
    }

    /// Host memory that the guest's RAM occupies at the moment, in bytes.
    pub fn resident(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        self.file.metadata().map_or(0, |m| m.blocks() * 512)
    }

    /// The host address of `len` bytes at guest-physical `start`.
    ///
    /// # Panics
    /// When the range is not RAM, which for ranges taken from [`MemoryLayout`] cannot be.
    pub(crate) fn host(&self, start: u64, len: u64) -> *mut u8 {
        let len = usize::try_from(len).expect("guest RAM fits the host's address space");
        self.ram
            .get_slice(GuestAddress(start), len)
            .expect("the range lies in one RAM region")
            .ptr_guard_mut()
            .as_ptr()
    }
}

fn region(
    file: &Arc<File>,
    offset: u64,
    guest: u64,
    len: u64,
) -> std::io::Result<GuestRegionMmap<()>> {
    let size = usize::try_from(len).map_err(std::io::Error::other)?;
    let mapping = MmapRegionBuilder::new(size)
        .with_file_offset(FileOffset::from_arc(file.clone(), offset))
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_SHARED | libc::MAP_NORESERVE)
        .build()
        .map_err(std::io::Error::other)?;
    // SAFETY: the advice covers exactly the mapping just made, and changes no contents.
    let advised = unsafe { madvise(mapping.as_ptr().cast(), size, Advice::LinuxHugepage) };
    if let Err(error) = advised {
        tracing::debug!("no transparent huge pages for guest RAM: {error}");
    }
    GuestRegionMmap::new(mapping, GuestAddress(guest))
        .ok_or_else(|| std::io::Error::other("guest RAM wraps the address space"))
}

fn host_memory() -> u64 {
    let info = rustix::system::sysinfo();
    // The fields' types differ between architectures.
    #[allow(clippy::useless_conversion)]
    let total = u64::from(info.totalram);
    total * u64::from(info.mem_unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::Bytes as _;

    #[test]
    fn untouched_ram_costs_nothing() {
        let allocation = RamAllocation::new(Bytes::mib(64)).unwrap();
        assert_eq!(allocation.resident(), 0);
        allocation.ram.write_obj(1u8, GuestAddress(0x10_0000)).unwrap();
        assert!(allocation.resident() > 0);
    }

    #[test]
    fn more_than_the_host_has_is_refused() {
        let error = RamAllocation::new(Bytes::gib(1 << 20)).err().unwrap();
        assert!(error.to_string().starts_with("1024T of memory is more than"), "{error}");
    }
}
