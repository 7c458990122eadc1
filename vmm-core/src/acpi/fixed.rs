//! The tables that hold no AML.

use acpi_tables::facs::FACS;
use acpi_tables::fadt::{FADT, FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::mcfg::MCFG;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;

use super::blob::{HEADER_SIZE, OEM_ID, OEM_REVISION, OEM_TABLE_ID};
use super::{
    ACPI_DISABLE, ACPI_ENABLE, AcpiInputs, Ecam, IOAPIC_ADDRESS, LAPIC_ADDRESS, LAST_BUS,
    RESET_PORT, RESET_VALUE, SCI, SMI_COMMAND_PORT, pm,
};

/// Pointers in the FADT, offset and size: FIRMWARE_CTRL, DSDT, X_DSDT (ACPI §5.2.9).
/// X_FIRMWARE_CTRL stays zero: only one of the two may be set.
pub(super) const FADT_POINTERS: [(usize, u8); 3] = [(36, 4), (40, 4), (140, 8)];

/// IAPC_BOOT_ARCH: there are ISA devices, and a keyboard controller (ACPI §5.2.9.3). Bit 2, "no
/// VGA", stays clear.
const BOOT_ARCH_LEGACY: u16 = 1 << 0;
const BOOT_ARCH_8042: u16 = 1 << 1;
/// Index of the century in CMOS.
const CMOS_CENTURY: u8 = 0x32;
/// Latencies that say there is no C2 or C3 (ACPI §5.2.9).
const NO_C2: u16 = 0xfff;
const NO_C3: u16 = 0xfff;

fn port(address: u16, width: u8, access: AccessSize) -> GAS {
    GAS::new(AddressSpace::SystemIo, width, 0, access, address.into())
}

pub(super) fn facs() -> FACS {
    FACS::new()
}

/// The Fixed ACPI Description Table, for FACS and DSDT at these offsets.
pub(super) fn fadt(inputs: &AcpiInputs, facs: u32, dsdt: u32) -> FADT {
    let base = inputs.pm_base;
    let at = |offset: u16| base.wrapping_add(offset);
    let mut fadt = FADTBuilder::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION)
        .preferred_pm_profile(PmProfile::Desktop)
        .gpe_info(at(pm::GPE0).into(), 0, pm::GPE0_LEN, 0, 0)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        // The power button is fixed hardware, the sleep button a device of the DSDT: ICH9 has no
        // status bit for one.
        .flag(Flags::SlpButton)
        // TMR_VAL_EXT stays clear: ICH9's timer has 24 bits (§13.8.3.4).
        .flag(Flags::ResetRegSup);
    fadt.firmware_ctrl = facs.into();
    fadt.dsdt = dsdt.into();
    fadt.x_dsdt = u64::from(dsdt).into();
    fadt.sci_int = u16::from(SCI).into();
    fadt.smi_cmd = u32::from(SMI_COMMAND_PORT).into();
    fadt.acpi_enable = ACPI_ENABLE;
    fadt.acpi_disable = ACPI_DISABLE;
    fadt.pm1a_evt_blk = u32::from(at(pm::EVENT)).into();
    fadt.pm1a_cnt_blk = u32::from(at(pm::CONTROL)).into();
    fadt.pm_tmr_blk = u32::from(at(pm::TIMER)).into();
    fadt.pm1_evt_len = 4;
    fadt.pm1_cnt_len = 2;
    fadt.pm_tmr_len = 4;
    fadt.p_lvl2_lat = NO_C2.into();
    fadt.p_lvl3_lat = NO_C3.into();
    fadt.century = CMOS_CENTURY;
    fadt.iapc_boot_arch = (BOOT_ARCH_LEGACY | BOOT_ARCH_8042).into();
    fadt.reset_reg = port(RESET_PORT, 8, AccessSize::ByteAccess);
    fadt.reset_value = RESET_VALUE;
    fadt.x_pm1a_evt_blk = port(at(pm::EVENT), 32, AccessSize::WordAccess);
    fadt.x_pm1a_cnt_blk = port(at(pm::CONTROL), 16, AccessSize::WordAccess);
    fadt.x_pm_tmr_blk = port(at(pm::TIMER), 32, AccessSize::DwordAccess);
    fadt.x_gpe0_blk = port(at(pm::GPE0), 8 * pm::GPE0_LEN, AccessSize::ByteAccess);
    fadt.finalize()
}

/// Interrupt source override: type 2, polarity and trigger as MPS INTI flags (ACPI §5.2.12.5).
fn source_override(irq: u8, gsi: u32, flags: u16) -> [u8; 10] {
    let mut entry = [2, 10, 0, irq, 0, 0, 0, 0, 0, 0];
    entry[4..8].copy_from_slice(&gsi.to_le_bytes());
    entry[8..].copy_from_slice(&flags.to_le_bytes());
    entry
}

/// The Multiple APIC Description Table (ACPI §5.2.12).
pub(super) fn madt(inputs: &AcpiInputs) -> Sdt {
    const LOCAL_APIC: u8 = 0;
    const IO_APIC: u8 = 1;
    const LOCAL_APIC_NMI: u8 = 4;
    /// There are 8259s too.
    const PCAT_COMPAT: u32 = 1;
    /// Local APIC flag: enabled.
    const ENABLED: u32 = 1;
    const AS_THE_BUS: u16 = 0;
    const LEVEL_HIGH: u16 = 0b1101;
    const ALL_PROCESSORS: u8 = 0xff;
    /// IRQs that PCI interrupts and the SCI arrive on when the I/O APIC is not used.
    const PCI_IRQS: [u8; 4] = [5, SCI, 10, 11];

    let mut madt = Sdt::new(*b"APIC", 44, 5, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    madt.write_u32(36, LAPIC_ADDRESS);
    madt.write_u32(40, PCAT_COMPAT);
    for (apic_id, uid) in inputs.apic_ids.iter().zip(0u8..) {
        let mut entry = [LOCAL_APIC, 8, uid, *apic_id, 0, 0, 0, 0];
        entry[4..].copy_from_slice(&ENABLED.to_le_bytes());
        madt.append_slice(&entry);
    }
    let mut ioapic = [IO_APIC, 12, inputs.ioapic_id, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ioapic[4..8].copy_from_slice(&IOAPIC_ADDRESS.to_le_bytes());
    madt.append_slice(&ioapic);
    // The 8254 is wired to input 2, where the cascade of the 8259s would be.
    madt.append_slice(&source_override(0, 2, AS_THE_BUS));
    for irq in PCI_IRQS {
        madt.append_slice(&source_override(irq, irq.into(), LEVEL_HIGH));
    }
    madt.append_slice(&[LOCAL_APIC_NMI, 6, ALL_PROCESSORS, 0, 0, 1]);
    madt
}

/// The memory-mapped configuration table (PCI Firmware 3.2 §4.1.2).
pub(super) fn mcfg(ecam: Ecam) -> MCFG {
    let mut mcfg = MCFG::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    mcfg.add_ecam(ecam.base.into(), 0, 0, LAST_BUS);
    mcfg
}

/// The Windows ACPI Emulated Devices Table: one read of the power management timer is enough,
/// which saves Windows two exits in three.
pub(super) fn waet() -> Sdt {
    const PM_TIMER_GOOD: u32 = 1 << 1;
    let mut waet = Sdt::new(*b"WAET", 40, 1, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    waet.write_u32(HEADER_SIZE, PM_TIMER_GOOD);
    waet
}

/// The root table with 32-bit pointers, for operating systems and firmware of ACPI 1.0.
pub(super) fn rsdt(tables: &[usize]) -> Sdt {
    let mut rsdt = Sdt::new(*b"RSDT", 36, 1, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    for table in tables {
        rsdt.append_slice(&(*table as u32).to_le_bytes());
    }
    rsdt
}

/// The root table with 64-bit pointers.
pub(super) fn xsdt(tables: &[usize]) -> XSDT {
    let mut xsdt = XSDT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    for table in tables {
        xsdt.add_entry(*table as u64);
    }
    xsdt
}
