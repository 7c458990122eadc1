//! The AHCI controller of an ICH9 (Intel ICH9 §14, AHCI 1.3.1) and the drives behind it: hard
//! disks (ATA8-ACS, native command queuing) and optical drives (ATAPI, MMC-6).
//!
//! What lives here: everything between the guest's registers and [`crate::block`]. What does
//! not: images, and the threads that read and write them.
//!
//! - `hba` is the PCI function, `host` its interrupts and memory access.
//! - `port` is one port: registers, command engine, link and resets.
//! - `fis`, `prdt` and `task` are what a port and a device say to the host and each other.
//! - `disk` and `optical` are the devices.
//!
//! vCPU threads come in through the BARs and, writing PxCI, take commands from the list and queue
//! requests; data moves between image and guest memory on the block layer's threads, whose
//! completions put FISes into guest memory and raise the interrupt. Resets never wait on a vCPU:
//! see `port/link.rs`.

mod device;
mod disk;
mod fis;
mod hba;
mod host;
mod identity;
mod optical;
mod port;
mod prdt;
mod registers;
mod state;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::disk::DiskState;
pub use self::hba::Ahci;
pub use self::identity::Identity;
pub use self::optical::{MediumLocked, OpticalDrive, OpticalState, TrayCallback};
pub use self::port::{DeviceState, PortState};
pub use self::registers::PORTS;
pub use self::state::AhciState;
use crate::block::BlockDevice;

/// What is connected to a port.
pub enum Drive {
    /// A hard disk.
    Disk {
        /// What is on it; a multiple of 512 bytes.
        image: Arc<dyn BlockDevice>,
        /// What it calls itself.
        identity: Identity,
    },
    /// An optical drive.
    Optical {
        /// The medium in it; a multiple of 2048 bytes.
        medium: Option<Arc<dyn BlockDevice>>,
        /// What it calls itself.
        identity: Identity,
        /// Told when the guest moves the tray.
        on_tray: TrayCallback,
    },
}
