//! The flash that keeps UEFI variables: Intel command set (CFI, JEDEC JESD68.01 and Intel
//! StrataFlash J3 datasheet §8) in blocks of 4 KiB, as edk2's `QemuFlash.c` drives it.
//!
//! What lives here: the command state machine, the memory the guest sees, and keeping it in a
//! file. What does not: the read-only code next to it, which is plain ROM, and the template that
//! a new machine's variables start as ([`crate::firmware`]).
//!
//! While the flash reads as memory it is mapped into the guest, and only writes exit. The first
//! command takes the mapping away; it comes back with the first read after the guest is done with
//! commands. A write of n bytes is 2n + 1 exits, and remapping takes KVM milliseconds: so a run
//! of writes costs one remapping, not one each.

mod command;
mod device;
mod memory;
mod store;
#[cfg(test)]
mod tests;

pub use command::FlashState;
pub use device::Flash;
pub use store::{FlashError, OnFailure, VarsFile};

/// Size of an erase block.
pub const BLOCK_SIZE: usize = 4096;
/// The largest flash there can be.
pub const MAX_SIZE: usize = 16 << 20;
