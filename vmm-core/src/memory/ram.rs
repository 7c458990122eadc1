//! Guest RAM: private, anonymous memory of this process.
//!
//! Not a memory file, which most systems give no huge pages (`shmem_enabled` is `never`): the
//! guest's accesses go through two levels of page tables, and are much dearer in small pages.

use std::sync::Arc;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use thiserror::Error;
use vm_memory::mmap::{MmapRegion, MmapRegionBuilder};
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestRegionMmap};

use super::{GuestRam, HIGH_RAM_BASE, MemoryLayout};
use crate::text;
use crate::units::Bytes;

/// Why guest RAM cannot be had.
#[derive(Debug, Error)]
pub enum RamError {
    /// More than the host has.
    #[error("{}", text!(
        "{wanted} of memory is more than this computer has ({available}); choose less",
        wanted, available
    ))]
    TooMuch {
        /// What was asked for.
        wanted: Bytes,
        /// What the host has in all.
        available: Bytes,
    },
    /// The system refused.
    #[error("{}", text!("the system has no room for {wanted} of guest memory", wanted))]
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
}

/// Size of a huge page. KVM uses one where guest and host addresses agree modulo this.
const HUGE_PAGE: usize = 2 << 20;
/// How much [`RamAllocation::resident`] looks at a time.
const STEP: usize = 256 << 20;

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
        let mut regions = vec![region(0, layout.low)?];
        if layout.high > 0 {
            regions.push(region(HIGH_RAM_BASE, layout.high)?);
        }
        let ram = GuestRam::from_regions(regions).map_err(std::io::Error::other)?;
        Ok(Self { layout, ram: Arc::new(ram) })
    }

    /// How much there is, in bytes.
    pub fn size(&self) -> u64 {
        self.layout.low + self.layout.high
    }

    /// Host memory that the guest's RAM occupies at the moment, in bytes.
    pub fn resident(&self) -> u64 {
        let page = rustix::param::page_size();
        let mut pages = vec![0u8; STEP / page];
        let mut resident = 0;
        for region in self.ram.iter() {
            let (start, len) = (region.as_ptr(), region.size());
            for offset in (0..len).step_by(STEP) {
                let len = STEP.min(len - offset);
                // SAFETY: the range lies in a mapping of ours, and `pages` has a byte for each of
                // its pages.
                let failed = unsafe {
                    libc::mincore(start.add(offset).cast(), len, pages.as_mut_ptr()) != 0
                };
                if !failed {
                    resident += pages[..len.div_ceil(page)].iter().filter(|p| **p & 1 != 0).count();
                }
            }
        }
        (resident * page) as u64
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

fn region(guest: u64, len: u64) -> std::io::Result<GuestRegionMmap<()>> {
    let size = usize::try_from(len).map_err(std::io::Error::other)?;
    let mapping = aligned(size)?;
    // SAFETY: the advice covers exactly the mapping just made, and changes no contents.
    let advised = unsafe { madvise(mapping.as_ptr().cast(), size, Advice::LinuxHugepage) };
    if let Err(error) = advised {
        tracing::debug!("no transparent huge pages for guest RAM: {error}");
    }
    GuestRegionMmap::new(mapping, GuestAddress(guest))
        .ok_or_else(|| std::io::Error::other("guest RAM wraps the address space"))
}

/// A mapping that begins with a huge page, as far as the system can be brought to it.
fn aligned(size: usize) -> std::io::Result<MmapRegion> {
    let mapping = map(size)?;
    if (mapping.as_ptr() as usize).is_multiple_of(HUGE_PAGE) {
        return Ok(mapping);
    }
    // Linux before 6.7, or a size that is no multiple. The system fills the highest gap that is
    // wide enough: make one in the right place, by a hole in a wider mapping.
    drop(mapping);
    let wide = size + HUGE_PAGE;
    // SAFETY: a new mapping of no use but to be in the way.
    let spacer = unsafe {
        mmap_anonymous(std::ptr::null_mut(), wide, ProtFlags::empty(), MapFlags::PRIVATE)?
    };
    let hole = (spacer as usize).next_multiple_of(HUGE_PAGE) - spacer as usize;
    // SAFETY: the ranges lie in the spacer, which nothing refers to.
    unsafe {
        munmap(spacer.byte_add(hole), size)?;
        let mapping = map(size);
        if hole > 0 {
            munmap(spacer, hole)?;
        }
        munmap(spacer.byte_add(hole + size), HUGE_PAGE - hole)?;
        mapping
    }
}

fn map(size: usize) -> std::io::Result<MmapRegion> {
    MmapRegionBuilder::new(size)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | libc::MAP_NORESERVE)
        .build()
        .map_err(std::io::Error::other)
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
        let allocation = RamAllocation::new(Bytes::mib(4096)).unwrap();
        assert_eq!(allocation.resident(), 0);
        for (index, address) in [0x10_0000, HIGH_RAM_BASE + 0x7fff_ffff].into_iter().enumerate() {
            allocation.ram.write_obj(1u8, GuestAddress(address)).unwrap();
            // Pages of 4 KiB or of 2 MiB each.
            let touched = index as u64 + 1;
            let resident = allocation.resident();
            assert!((touched * 4096..=touched << 21).contains(&resident), "{resident}");
        }
    }

    #[test]
    fn ram_begins_with_a_huge_page() {
        let allocation = RamAllocation::new(Bytes::mib(4096 + 3)).unwrap();
        for region in allocation.ram.iter() {
            assert_eq!(region.as_ptr() as usize % HUGE_PAGE, 0);
        }
    }

    #[test]
    fn more_than_the_host_has_is_refused() {
        let error = RamAllocation::new(Bytes::gib(1 << 20)).err().unwrap();
        assert!(error.to_string().starts_with("1024T of memory is more than"), "{error}");
    }
}
