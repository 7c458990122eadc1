//! The two chips that make the machine a Q35: the host bridge (MCH) and the LPC bridge (ICH9).

mod host_bridge;
mod lpc_bridge;

pub use host_bridge::{HostBridge, HostBridgeState};
pub use lpc_bridge::{LpcBridge, LpcBridgeState, PirqRouter, PirqState};

/// The host bridge's slot.
pub const HOST_BRIDGE: crate::pci::Slot = crate::pci::Slot::new(0, 0);
/// The display controller's slot.
pub const DISPLAY: crate::pci::Slot = crate::pci::Slot::new(1, 0);
/// The entropy source's slot.
pub const ENTROPY: crate::pci::Slot = crate::pci::Slot::new(2, 0);
/// The network card's slot.
pub const NETWORK: crate::pci::Slot = crate::pci::Slot::new(3, 0);
/// The tablet's slot.
pub const TABLET: crate::pci::Slot = crate::pci::Slot::new(4, 0);
/// The memory balloon's slot.
pub const BALLOON: crate::pci::Slot = crate::pci::Slot::new(5, 0);
/// The slot of the console, which has the channel to the guest's agent.
pub const CONSOLE: crate::pci::Slot = crate::pci::Slot::new(6, 0);
/// The slot of the keyboard that guests with a driver use in place of the PS/2 one.
pub const KEYBOARD: crate::pci::Slot = crate::pci::Slot::new(7, 0);
/// The slot of the first drive that is a virtio disk; the others follow by their indices.
const FIRST_VIRTIO_DISK: u8 = 0x10;
/// The slot of drive `index` of the machine, below [`MAX_DRIVES`](crate::machine::MAX_DRIVES),
/// when that is a virtio disk: the same whatever other drives there are.
pub fn virtio_disk(index: usize) -> crate::pci::Slot {
    debug_assert!(index < crate::machine::MAX_DRIVES);
    crate::pci::Slot::new(FIRST_VIRTIO_DISK + index as u8, 0)
}
/// The LPC bridge's slot.
pub const LPC_BRIDGE: crate::pci::Slot = crate::pci::Slot::new(0x1f, 0);
/// The AHCI controller's slot.
pub const AHCI: crate::pci::Slot = crate::pci::Slot::new(0x1f, 2);
