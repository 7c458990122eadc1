//! The `bootorder` file: OpenFirmware device paths.
//!
//! SeaBIOS (`src/boot.c`) and OVMF (`QemuBootOrderLib`) both match these literally, so a path
//! must satisfy both: the driver names are what OVMF insists on, and all numbers are hexadecimal.

use crate::pci::Slot;

/// Something to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootDevice {
    /// A drive, disk or CD-ROM, on `port` of the ICH9 AHCI controller in `controller`.
    Ahci {
        /// Where the controller sits.
        controller: Slot,
        /// Its port, from 0.
        port: u8,
    },
    /// A function that boots as a whole: a virtio disk or a network card.
    Pci {
        /// Where it sits.
        slot: Slot,
        /// What it is.
        kind: PciBootKind,
    },
}

/// Functions that boot as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PciBootKind {
    /// A virtio block device.
    VirtioBlock,
    /// A network card.
    Network,
}

/// `@device` or `@device,function`: OpenFirmware leaves function 0 out.
fn unit(slot: Slot) -> String {
    match slot.function {
        0 => format!("@{:x}", slot.device),
        function => format!("@{:x},{function:x}", slot.device),
    }
}

impl BootDevice {
    fn path(self) -> String {
        match self {
            Self::Ahci { controller, port } => {
                format!("/pci@i0cf8/pci8086,2922{}/drive@{port:x}/disk@0", unit(controller))
            }
            Self::Pci { slot, kind: PciBootKind::VirtioBlock } => {
                format!("/pci@i0cf8/scsi{}/disk@0,0", unit(slot))
            }
            Self::Pci { slot, kind: PciBootKind::Network } => {
                format!("/pci@i0cf8/ethernet{}/ethernet-phy@0", unit(slot))
            }
        }
    }
}

/// The contents of `bootorder`: a path a line, the first to boot first. Ends in a NUL, without
/// which OVMF takes the file to be damaged; an empty order is an empty file.
pub fn boot_order(devices: &[BootDevice]) -> Vec<u8> {
    if devices.is_empty() {
        return Vec::new();
    }
    let lines: Vec<String> = devices.iter().map(|device| device.path()).collect();
    let mut file = lines.join("\n").into_bytes();
    file.push(0);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_both_firmwares_match() {
        let controller = Slot::new(0x1f, 2);
        let order = boot_order(&[
            BootDevice::Ahci { controller, port: 1 },
            BootDevice::Ahci { controller, port: 10 },
            BootDevice::Pci { slot: Slot::new(3, 0), kind: PciBootKind::VirtioBlock },
        ]);
        let text = std::str::from_utf8(&order).unwrap();
        assert_eq!(
            text,
            "/pci@i0cf8/pci8086,2922@1f,2/drive@1/disk@0\n\
             /pci@i0cf8/pci8086,2922@1f,2/drive@a/disk@0\n\
             /pci@i0cf8/scsi@3/disk@0,0\0"
        );
        assert!(boot_order(&[]).is_empty());
    }
}
