//! What a machine is made of.

use std::path::PathBuf;

use uuid::Uuid;

use crate::units::Bytes;

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
    /// Drives in the order of their SATA ports, at most 6. The firmware tries them in this order
    /// too, but for `boot_first`.
    pub drives: Vec<DriveConfig>,
    /// Index of the drive the firmware tries first.
    pub boot_first: Option<usize>,
    /// File that the firmware's debug output and the machine's own messages are appended to.
    pub log: Option<PathBuf>,
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

/// A drive on a SATA port.
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
    },
    /// A CD/DVD drive.
    Optical {
        /// The ISO image in it.
        medium: Option<PathBuf>,
    },
}
