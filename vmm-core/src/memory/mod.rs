//! Guest-physical memory: where RAM lies, how it is allocated, and what maps host memory into it.

mod discard;
mod layout;
mod mapped;
mod ram;
mod rom;
mod shadow;

use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::text;
pub use discard::discard;
pub use layout::{FIRMWARE_END, HIGH_RAM_BASE, LEGACY_VGA, MemoryLayout, SHADOW};
pub use mapped::MappedRam;
pub use ram::{RamAllocation, RamError};
pub use rom::FirmwareRom;
pub use shadow::{ShadowRam, ShadowState};

/// The guest's RAM, shared by all who access it. Every access is bounds-checked by `vm-memory`;
/// an address outside RAM gives an error, never a panic.
pub type GuestRam = GuestMemoryMmap<()>;

/// A stretch of guest memory that data is read from or written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts.
    pub address: GuestAddress,
    /// Its length in bytes.
    pub len: u32,
}

/// What maps host memory into the guest-physical address space outside RAM: frame buffer and
/// flash. Implemented by KVM's memory slots; tests implement it with a recorder.
pub trait MemoryMapper: Send + Sync {
    /// Maps `len` bytes of host memory at `host` to guest-physical `guest`, and gives a handle.
    ///
    /// `len`, `guest` and `host` are multiples of 4096.
    ///
    /// # Errors
    /// When the range overlaps another or KVM refuses.
    ///
    /// # Safety
    /// The host memory stays valid and mapped until [`Self::unmap`] returns.
    unsafe fn map(
        &self,
        guest: u64,
        host: *mut u8,
        len: u64,
        access: Access,
    ) -> Result<SlotId, MapError>;

    /// Takes the mapping away; when this returns no vCPU uses it any more.
    fn unmap(&self, slot: SlotId);

    /// Moves the slot's log of written pages into `bitmap`, one bit a 4 KiB page from the
    /// slot's start, lowest bit first, and starts a new log. Only for [`Access::ReadWriteLogged`].
    /// Does not wait: who looks at a screen must not stand still while the guest's firmware moves
    /// its memory about.
    ///
    /// # Errors
    /// When KVM refuses; [`MapError::Busy`] while mappings change, which leaves the log as it is.
    fn take_dirty(&self, slot: SlotId, bitmap: &mut [u64]) -> Result<(), MapError>;
}

/// How the guest may use a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads hit memory, writes exit to the MMIO bus.
    ReadOnly,
    /// Reads and writes hit memory.
    ReadWrite,
    /// Likewise, and KVM logs which pages are written.
    ReadWriteLogged,
}

/// One mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// Why memory cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// All of KVM's slots are in use.
    #[error("{}", text!("no memory slot is free"))]
    NoSlot,
    /// Mappings are changing at the moment.
    #[error("{}", text!("memory mappings are changing"))]
    Busy,
    /// KVM refused.
    #[error("{}", text!(
        "KVM refused a memory mapping at {guest}",
        guest = format_args!("{:#x}", .guest)
    ))]
    Kvm {
        /// Where it was to go.
        guest: u64,
        /// KVM's reason.
        #[source]
        source: std::io::Error,
    },
}
