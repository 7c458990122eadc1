//! ACPI tables (ACPI 6.5).
//!
//! What lives here: FADT, FACS, MADT, MCFG, WAET and the DSDT of this machine, as one blob that
//! either firmware places and links ([`firmware_files`]), or that is linked for a fixed address
//! when a kernel is booted without firmware ([`linked_at`]). What does not: the registers the
//! tables describe, which are the LPC bridge's.
//!
//! The tables depend on what firmware chose (ECAM and power management bases): the machine
//! builds them when the guest reads them.

mod blob;
mod dsdt;
mod fixed;
mod loader;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

pub use loader::{AcpiFiles, AcpiImage, LOADER_SIZE, RSDP_SIZE, TABLES_SIZE};

/// The system control interrupt: IRQ and GSI 9 (ICH9 §13.8.1.8, after reset).
pub const SCI: u8 = 9;
/// Port through which operating systems ask for ACPI mode (ICH9 §13.7.1).
pub const SMI_COMMAND_PORT: u16 = 0xb2;
/// Written to [`SMI_COMMAND_PORT`] it sets SCI_EN.
pub const ACPI_ENABLE: u8 = 2;
/// Written to [`SMI_COMMAND_PORT`] it clears SCI_EN.
pub const ACPI_DISABLE: u8 = 3;
/// The reset control register and the value for a full reset (ICH9 §13.7.5).
pub const RESET_PORT: u16 = 0xcf9;
/// Written to [`RESET_PORT`] it resets the machine.
pub const RESET_VALUE: u8 = 0x06;
/// SLP_TYP of S5, as `\_S5` gives it (ICH9 §13.8.3.3).
pub const SLP_TYP_S5: u8 = 7;
/// SLP_TYP of S3. Reserved: the DSDT offers no S3.
pub const SLP_TYP_S3: u8 = 5;
/// The general-purpose event that the sleep button raises: GPI 0 of ICH9, bit 16 of GPE0.
pub const SLEEP_BUTTON_GPE: u8 = 0x10;

/// Offsets from the power management base (ICH9 §13.8.3).
pub mod pm {
    /// PM1 status and enable, 4 bytes.
    pub const EVENT: u16 = 0x00;
    /// PM1 control, 2 bytes.
    pub const CONTROL: u16 = 0x04;
    /// The timer, 4 bytes.
    pub const TIMER: u16 = 0x08;
    /// GPE0 status and enable, 8 bytes each.
    pub const GPE0: u16 = 0x20;
    /// Length of GPE0 status and enable together.
    pub const GPE0_LEN: u8 = 16;
    /// Length of the whole block.
    pub const LEN: u8 = 0x80;
}

/// Where KVM's I/O APIC sits.
pub const IOAPIC_ADDRESS: u32 = 0xfec0_0000;
/// Where the local APICs sit.
pub const LAPIC_ADDRESS: u32 = 0xfee0_0000;

/// The last PCI bus: there are no bridges to others. Linux looks for devices on all buses that it
/// is told of, one exit for each half of a question, which for 256 buses are more than all other
/// exits of its start together.
const LAST_BUS: u8 = 0;

/// The memory-mapped configuration window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ecam {
    /// Where it begins; a multiple of its size.
    pub base: u32,
    /// Buses it covers, from 0: 64, 128 or 256, of 1 MiB each.
    pub buses: u16,
}

impl Ecam {
    /// Length in bytes.
    pub fn len(self) -> u64 {
        u64::from(self.buses) << 20
    }

    /// Whether it covers no bus.
    pub fn is_empty(self) -> bool {
        self.buses == 0
    }

    fn end(self) -> u64 {
        u64::from(self.base) + self.len()
    }
}

/// What the tables describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcpiInputs {
    /// Base of the power management block, as PMBASE says.
    pub pm_base: u16,
    /// The configuration window as PCIEXBAR says; `None` while it is off.
    pub ecam: Option<Ecam>,
    /// End of RAM below 4 GiB, where the PCI hole begins.
    pub low_ram_end: u32,
    /// Local APIC ID of each vCPU, in order; at most 255.
    pub apic_ids: Vec<u8>,
    /// The I/O APIC's ID.
    pub ioapic_id: u8,
    /// Addresses above RAM for 64-bit BARs, if any.
    pub high_window: Option<RangeInclusive<u64>>,
}

impl AcpiInputs {
    fn ecam(&self) -> Option<Ecam> {
        self.ecam.filter(|ecam| !ecam.is_empty())
    }

    /// The PCI windows below 4 GiB: from the end of RAM to the I/O APIC, without the
    /// configuration window.
    pub fn low_windows(&self) -> Vec<RangeInclusive<u32>> {
        let (start, end) = (u64::from(self.low_ram_end), u64::from(IOAPIC_ADDRESS));
        let (hole_start, hole_end) = match self.ecam() {
            Some(ecam) => (u64::from(ecam.base).clamp(start, end), ecam.end().clamp(start, end)),
            None => (end, end),
        };
        [(start, hole_start), (hole_end, end)]
            .into_iter()
            .filter(|(start, end)| start < end)
            // Both ends are at most the I/O APIC's address.
            .map(|(start, end)| start as u32..=(end - 1) as u32)
            .collect()
    }
}

/// The files through which firmware takes the tables. Their sizes are constant:
/// [`TABLES_SIZE`], [`LOADER_SIZE`] and [`RSDP_SIZE`].
pub fn firmware_files(inputs: &AcpiInputs) -> AcpiFiles {
    loader::files(blob::build(inputs))
}

/// The tables linked to lie at physical `base`, a multiple of 64 below 4 GiB, with the root
/// pointer first. For a kernel booted without firmware.
pub fn linked_at(inputs: &AcpiInputs, base: u32) -> AcpiImage {
    loader::linked_at(blob::build(inputs), base)
}
