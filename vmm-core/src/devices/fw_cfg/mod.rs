//! The firmware configuration device (QEMU `docs/specs/fw_cfg.rst`).
//!
//! What lives here: the selector, data and DMA registers, the file directory, and the items a
//! machine offers its firmware. What does not: what the items say; ACPI and SMBIOS tables, boot
//! order and memory map are made elsewhere and handed to [`FwCfgBuilder`].

mod device;
mod dma;
mod item;
#[cfg(test)]
mod tests;

pub use device::{FwCfg, FwCfgState};
pub use item::{Compute, FwCfgBuilder, FwCfgError, OnWrite};

/// Numbers of the items that have no name (fw_cfg.rst, "Firmware Configuration Items"; the
/// values are little-endian).
pub mod key {
    /// `QEMU`: how a guest recognises the device.
    pub const SIGNATURE: u16 = 0x00;
    /// Interface bits: 0 the traditional registers, 1 DMA.
    pub const ID: u16 = 0x01;
    /// Machine UUID, 16 bytes.
    pub const UUID: u16 = 0x02;
    /// RAM size in bytes, 64 bits.
    pub const RAM_SIZE: u16 = 0x03;
    /// 16 bits, not zero when the machine has no display.
    pub const NOGRAPHIC: u16 = 0x04;
    /// CPUs present at boot, 16 bits.
    pub const NB_CPUS: u16 = 0x05;
    /// Size of a kernel passed for direct boot, 32 bits; zero when there is none.
    pub const KERNEL_SIZE: u16 = 0x08;
    /// Size of its initial RAM disk, 32 bits.
    pub const INITRD_SIZE: u16 = 0x0b;
    /// NUMA description: numbers of nodes and CPUs as 64-bit values; zero for none.
    pub const NUMA: u16 = 0x0d;
    /// 16 bits, not zero to show the firmware's boot menu.
    pub const BOOT_MENU: u16 = 0x0e;
    /// Largest number of CPUs, 16 bits.
    pub const MAX_CPUS: u16 = 0x0f;
    /// Size of its command line, 32 bits.
    pub const CMDLINE_SIZE: u16 = 0x14;
    /// Size of its setup block, 32 bits.
    pub const SETUP_SIZE: u16 = 0x17;
    /// The file directory.
    pub const FILE_DIR: u16 = 0x19;
    /// The first file.
    pub const FILE_FIRST: u16 = 0x20;
    /// x86: ACPI tables that the firmware should add to its own; superseded by files.
    pub const ACPI_TABLES: u16 = 0x8000;
    /// x86: SMBIOS entries; superseded by files.
    pub const SMBIOS_ENTRIES: u16 = 0x8001;
    /// x86: whether IRQ 0 is on GSI 2.
    pub const IRQ0_OVERRIDE: u16 = 0x8002;
}

/// Names of the files that stock firmware asks for.
pub mod file {
    /// The ACPI tables, all in one blob.
    pub const ACPI_TABLES: &str = "etc/acpi/tables";
    /// The ACPI root pointer.
    pub const ACPI_RSDP: &str = "etc/acpi/rsdp";
    /// The script that places and links both.
    pub const TABLE_LOADER: &str = "etc/table-loader";
    /// The SMBIOS entry point.
    pub const SMBIOS_ANCHOR: &str = "etc/smbios/smbios-anchor";
    /// The SMBIOS structures.
    pub const SMBIOS_TABLES: &str = "etc/smbios/smbios-tables";
    /// RAM and reserved ranges: 20 bytes each, as E820 gives them.
    pub const E820: &str = "etc/e820";
    /// OpenFirmware paths of the devices to boot from, first one first.
    pub const BOOT_ORDER: &str = "bootorder";
    /// Six bytes that say which sleep states there are; bit 7 of byte n is Sn.
    pub const SYSTEM_STATES: &str = "etc/system-states";
    /// Milliseconds for which SeaBIOS offers its boot menu, 16 bits.
    pub const BOOT_MENU_WAIT: &str = "etc/boot-menu-wait";
    /// Milliseconds after which SeaBIOS tries again to boot, 32 bits; all ones for never.
    pub const BOOT_FAIL_WAIT: &str = "etc/boot-fail-wait";
}
