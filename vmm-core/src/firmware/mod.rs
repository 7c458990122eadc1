//! Firmware images: finding the distribution's, reading and checking them.
//!
//! What lives here: where SeaBIOS and OVMF are on each distribution, the firmware descriptors
//! (`firmware.json`), and the boot order as firmware takes it. What does not: mapping images into
//! the machine ([`crate::machine`]) and keeping UEFI variables ([`crate::devices::flash`]).

mod boot_order;
mod descriptor;
mod error;
mod package;
mod search;
#[cfg(test)]
mod tests;

pub use boot_order::{BootDevice, PciBootKind, boot_order};
pub use error::FirmwareError;
pub use search::{Firmware, FirmwareKind, SearchPath};
