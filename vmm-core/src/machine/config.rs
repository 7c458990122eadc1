//! What a machine is made of.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use uuid::Uuid;

use super::error::MachineError;
use crate::net::{MAX_FORWARDS, MacAddress, PortForward, TapName};
use crate::text;
use crate::units::Bytes;

/// Least RAM: what stock firmware and a small system need.
pub const MIN_MEMORY: Bytes = Bytes::mib(64);
/// Most vCPUs.
pub const MAX_CPUS: u32 = 64;
/// Most drives, on whatever bus: the SATA ports of an ICH9.
pub const MAX_DRIVES: usize = crate::devices::ahci::PORTS;

/// Everything needed to build a machine. Checked by `Machine::new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineConfig {
    /// Shown in thread names, SMBIOS and messages.
    pub name: String,
    /// The machine's identity to the guest (SMBIOS type 1).
    pub uuid: Uuid,
    /// Guest RAM: 64 MiB to the host's memory, a multiple of 1 MiB.
    pub memory: Bytes,
    /// Number of vCPUs: 1 to 64.
    pub cpus: u32,
    /// What runs first.
    pub boot: Boot,
    /// Drives, at most 6; each has the SATA port, or the PCI slot, of its index. The firmware tries
    /// them in this order too, but for `boot_first`.
    pub drives: Vec<DriveConfig>,
    /// Index of the drive the firmware tries first.
    pub boot_first: Option<usize>,
    /// The network card, if there is one.
    pub network: Option<NetworkConfig>,
    /// Where programs reach the guest's agent: a Unix socket, made for as long as the machine is
    /// there. One that cannot be made is only warned of.
    pub agent: Option<PathBuf>,
    /// File that the firmware's debug output and the machine's own messages are appended to.
    pub log: Option<PathBuf>,
}

impl MachineConfig {
    /// Checks what can be checked without touching anything.
    pub(super) fn check(&self) -> Result<(), MachineError> {
        let whole_mib = self.memory.0.is_multiple_of(Bytes::mib(1).0);
        if self.memory < MIN_MEMORY || !whole_mib {
            return Err(MachineError::Memory(self.memory));
        }
        if !(1..=MAX_CPUS).contains(&self.cpus) {
            return Err(MachineError::Cpus(self.cpus));
        }
        if self.drives.len() > MAX_DRIVES {
            return Err(MachineError::Drives(self.drives.len()));
        }
        if let Some(network) = &self.network {
            network.check()?;
        }
        match self.boot_first {
            Some(drive) if drive >= self.drives.len() => Err(MachineError::BootDrive(drive)),
            _ => Ok(()),
        }
    }
}

/// A network card and the way from it to the host's network, which passt is, or a TAP device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// The card's address.
    pub mac: MacAddress,
    /// Ports of the host that lead into the guest, at most 64, no two of them the same.
    pub forwards: Vec<PortForward>,
    /// Whether the guest reaches what listens on the host's loopback address, by the address of
    /// its gateway.
    pub reach_host: bool,
    /// The TAP device that is the way instead; forwards and the host's loopback address are none of
    /// its business.
    pub tap: Option<TapName>,
}

impl NetworkConfig {
    /// A card with an address of its own, and the host out of the guest's reach.
    pub fn new() -> Self {
        Self { mac: MacAddress::random(), forwards: Vec::new(), reach_host: false, tap: None }
    }

    fn check(&self) -> Result<(), MachineError> {
        if self.forwards.len() > MAX_FORWARDS {
            return Err(MachineError::Forwards(self.forwards.len()));
        }
        match PortForward::clash(&self.forwards) {
            Some(index) => Err(MachineError::ForwardTwice(self.forwards[index])),
            None => Ok(()),
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What runs first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi {
        /// The file that keeps the firmware's variables; made from the distribution's template
        /// when it does not exist. `None` forgets them at the end.
        variables: Option<PathBuf>,
    },
    /// A kernel, without firmware.
    Kernel {
        /// A bzImage, or an ELF image with a PVH entry point.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        command_line: String,
    },
}

/// What a hard disk is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DiskBus {
    /// A port of the AHCI controller, which every system has a driver for.
    #[default]
    Sata,
    /// A virtio function of its own: faster, for guests that have the driver.
    Virtio,
}

impl DiskBus {
    /// The name it has in definitions and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sata => "sata",
            Self::Virtio => "virtio",
        }
    }
}

impl fmt::Display for DiskBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", text!("“{text}” is not a bus for disks; use sata or virtio", text = .0))]
pub struct ParseDiskBusError(String);

impl FromStr for DiskBus {
    type Err = ParseDiskBusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sata" => Ok(Self::Sata),
            "virtio" => Ok(Self::Virtio),
            _ => Err(ParseDiskBusError(text.chars().take(40).collect())),
        }
    }
}

/// A drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriveConfig {
    /// A hard disk.
    Disk {
        /// The image.
        path: PathBuf,
        /// How the image is laid out; `None` looks at its contents, which is only safe for images
        /// that no guest has written.
        format: Option<crate::block::Format>,
        /// Whether the guest's writes fail.
        read_only: bool,
        /// What it is connected to.
        bus: DiskBus,
    },
    /// A CD/DVD drive, on SATA.
    Optical {
        /// The ISO image in it.
        medium: Option<PathBuf>,
    },
}
