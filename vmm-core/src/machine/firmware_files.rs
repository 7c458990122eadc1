//! What the machine tells its firmware, through fw_cfg.

use std::sync::Arc;

use super::config::{DiskBus, DriveConfig, MachineConfig};
use crate::acpi::{self, AcpiFiles, AcpiInputs, Ecam};
use crate::chipset::{self, HostBridge, LpcBridge};
use crate::devices::fw_cfg::{FwCfg, FwCfgBuilder, FwCfgError, file};
use crate::firmware::{BootDevice, PciBootKind, boot_order};
use crate::kvm::Processor;
use crate::memory::{HIGH_RAM_BASE, MemoryLayout, RamAllocation};
use crate::smbios::{self, SmbiosInputs};

/// E820 type of ordinary RAM (ACPI 6.5 §15.1).
const E820_RAM: u32 = 1;
/// SeaBIOS runs the ROMs it finds in this folder (`src/optionroms.c`). Read by DMA, where an
/// expansion ROM would take 10,000 exits to copy.
const VGA_ROM: &str = "vgaroms/vgabios-stdvga.bin";
/// SeaBIOS waits this many milliseconds for a key when nothing boots, and tries again: for ever,
/// so that the message stays.
const BOOT_FAIL_WAIT: u32 = u32::MAX;

/// The bridges, whose registers say where the firmware has put things.
#[derive(Clone)]
pub(super) struct Bridges {
    pub(super) host: Arc<HostBridge>,
    pub(super) lpc: Arc<LpcBridge>,
}

/// What the ACPI tables have to describe at this moment.
pub(super) fn acpi_inputs(bridges: &Bridges, layout: MemoryLayout, cpus: u32) -> AcpiInputs {
    AcpiInputs {
        pm_base: bridges.lpc.power_base().unwrap_or_default(),
        ecam: bridges.host.ecam().and_then(|(base, len)| {
            let buses = u16::try_from(len >> 20).ok()?;
            Some(Ecam { base: u32::try_from(base).ok()?, buses })
        }),
        low_ram_end: u32::try_from(layout.low).unwrap_or(u32::MAX),
        // At most 64 vCPUs.
        apic_ids: (0..cpus as u8).collect(),
        ioapic_id: 0,
        high_window: None,
    }
}

/// RAM as E820 entries: address, length and type, 20 bytes each.
fn e820(layout: MemoryLayout) -> Vec<u8> {
    let mut entries = Vec::new();
    for (base, len) in [(0, layout.low), (HIGH_RAM_BASE, layout.high)] {
        if len > 0 {
            entries.extend(base.to_le_bytes());
            entries.extend(len.to_le_bytes());
            entries.extend(E820_RAM.to_le_bytes());
        }
    }
    entries
}

/// The order in which the firmware tries the drives.
fn drive_order(config: &MachineConfig) -> Vec<BootDevice> {
    let first = config.boot_first;
    let mut drives: Vec<_> = config.drives.iter().enumerate().collect();
    drives.sort_by_key(|(index, _)| Some(*index) != first);
    drives
        .into_iter()
        .map(|(index, drive)| match drive {
            DriveConfig::Disk { bus: DiskBus::Virtio, .. } => {
                let kind = PciBootKind::VirtioBlock;
                BootDevice::Pci { slot: chipset::virtio_disk(index), kind }
            }
            // At most 6.
            _ => BootDevice::Ahci { controller: chipset::AHCI, port: index as u8 },
        })
        .collect()
}

/// What the SMBIOS tables say.
pub(super) fn smbios_inputs(
    config: &MachineConfig,
    layout: MemoryLayout,
    processor: Processor,
) -> SmbiosInputs {
    SmbiosInputs {
        uuid: config.uuid,
        memory: config.memory,
        low_ram_end: u32::try_from(layout.low).unwrap_or(u32::MAX),
        sockets: 1,
        // At most 64.
        cores: config.cpus as u8,
        threads: 1,
        cpu_vendor: processor.vendor,
        cpu_name: processor.name,
    }
}

/// The fw_cfg device of a machine started by firmware.
pub(super) fn fw_cfg(
    config: &MachineConfig,
    smbios: &SmbiosInputs,
    ram: &RamAllocation,
    bridges: Bridges,
    vga_rom: Option<Vec<u8>>,
) -> Result<FwCfg, FwCfgError> {
    let (layout, cpus) = (ram.layout, config.cpus);
    let tables = move || acpi::firmware_files(&acpi_inputs(&bridges, layout, cpus)).into_files();
    let smbios = smbios::firmware_files(smbios);
    let mut builder = FwCfgBuilder::new();
    if let Some(rom) = vga_rom {
        builder = builder.file(VGA_ROM, rom);
    }
    builder
        // At most 64.
        .cpus(cpus as u16)
        .file(file::E820, e820(layout))
        .computed(&AcpiFiles::FILES, Box::new(tables))
        .file(file::SMBIOS_ANCHOR, smbios.anchor)
        .file(file::SMBIOS_TABLES, smbios.tables)
        .file(file::BOOT_ORDER, boot_order(&drive_order(config)))
        .file(file::BOOT_FAIL_WAIT, BOOT_FAIL_WAIT.to_le_bytes())
        .system_states(false)
        .build((*ram.ram).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Boot;
    use crate::units::Bytes;

    #[test]
    fn drives_are_tried_in_their_order_whatever_their_bus() {
        let disk =
            |bus| DriveConfig::Disk { path: "/disk".into(), format: None, read_only: false, bus };
        let mut config = MachineConfig {
            name: "test".into(),
            uuid: uuid::Uuid::nil(),
            memory: Bytes::mib(64),
            cpus: 1,
            boot: Boot::Bios,
            drives: vec![
                disk(DiskBus::Sata),
                disk(DiskBus::Virtio),
                DriveConfig::Optical { medium: None },
            ],
            boot_first: None,
            network: None,
            agent: None,
            log: None,
        };
        let order = |config: &_| String::from_utf8(boot_order(&drive_order(config))).unwrap();
        let (sata, virtio, optical) = (
            "/pci@i0cf8/pci8086,2922@1f,2/drive@0/disk@0",
            "/pci@i0cf8/scsi@11/disk@0,0",
            "/pci@i0cf8/pci8086,2922@1f,2/drive@2/disk@0",
        );
        assert_eq!(order(&config), format!("{sata}\n{virtio}\n{optical}\0"));
        config.boot_first = Some(1);
        assert_eq!(order(&config), format!("{virtio}\n{sata}\n{optical}\0"));
    }
}
