//! The LPC bridge with its legacy devices, and what else occupies ports and addresses.

use acpi_tables::Aml;
use acpi_tables::aml::{
    Device, EISAName, Field, FieldAccessType, FieldEntry, FieldLockRule, FieldUpdateRule,
    Memory32Fixed, Name, OpRegion, OpRegionSpace, ResourceTemplate, Scope, ZERO,
};

use super::resource::{IsaIrq, ports};
use super::{Raw, encode, link};
use crate::acpi::{AcpiInputs, SMI_COMMAND_PORT, pm};
use crate::devices::fw_cfg::FwCfg;

/// `_STA`: present, enabled, shown, working (ACPI §6.3.7); and the same, but not shown.
const WORKING: u8 = 0x0f;
const WORKING_HIDDEN: u8 = 0x0b;

/// A legacy device: its name, EISA ID and resources.
fn legacy(name: &str, id: &str, resources: Vec<&dyn Aml>) -> Raw {
    encode(&[&Device::new(
        name.into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new(id)),
            &Name::new("_STA".into(), &WORKING),
            &Name::new("_CRS".into(), &ResourceTemplate::new(resources)),
        ],
    )])
}

/// 00:1f.0 with the interrupt routing registers and the devices behind it.
pub(super) fn lpc_bridge() -> Raw {
    const ADDRESS: u32 = 0x1f << 16;
    const ROUTING: &str = "PIRQ";
    /// PIRQA to PIRQD are at 0x60, PIRQE to PIRQH at 0x68 (ICH9 §13.1.17).
    const ROUTING_BASE: u8 = 0x60;
    const ROUTING_LEN: u8 = 0x0c;
    let field = |letter: &char| {
        let mut name = [0; 4];
        name.copy_from_slice(link::register(*letter).as_bytes());
        FieldEntry::Named(name, 8)
    };
    let (first, second) = link::LINES.split_at(4);
    let mut fields: Vec<FieldEntry> = first.iter().map(field).collect();
    fields.push(FieldEntry::Reserved(32));
    fields.extend(second.iter().map(field));
    let space = OpRegionSpace::PCIConfig;
    encode(&[&Device::new(
        "ISA_".into(),
        vec![
            &Name::new("_ADR".into(), &ADDRESS),
            &OpRegion::new(ROUTING.into(), space, &ROUTING_BASE, &ROUTING_LEN),
            &Field::new(
                ROUTING.into(),
                FieldAccessType::Byte,
                FieldLockRule::NoLock,
                FieldUpdateRule::Preserve,
                fields,
            ),
            &legacy("PIC_", "PNP0000", vec![&ports(0x20, 2), &ports(0xa0, 2), &IsaIrq(2)]),
            &legacy("TIMR", "PNP0100", vec![&ports(0x40, 4), &IsaIrq(0)]),
            &legacy("SPKR", "PNP0800", vec![&ports(0x61, 1)]),
            &legacy("RTC_", "PNP0B00", vec![&ports(0x70, 2), &IsaIrq(8)]),
            &legacy("KBD_", "PNP0303", vec![&ports(0x60, 1), &ports(0x64, 1), &IsaIrq(1)]),
            &legacy("MOU_", "PNP0F13", vec![&IsaIrq(12)]),
            &legacy("COM1", "PNP0501", vec![&ports(0x3f8, 8), &IsaIrq(4)]),
        ],
    )])
}

/// The firmware configuration device, under the name Linux's driver binds to.
pub(super) fn fw_cfg() -> Raw {
    let resources = ports(FwCfg::BASE as u16, FwCfg::LEN as u8);
    encode(&[&Device::new(
        "FWCF".into(),
        vec![
            &Name::new("_HID".into(), &"QEMU0002"),
            &Name::new("_STA".into(), &WORKING_HIDDEN),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&resources])),
        ],
    )])
}

/// Ports and addresses that no other device claims and no BAR may be put over. Linux uses the
/// configuration window only when it is reserved here or in the memory map.
pub(super) fn motherboard(inputs: &AcpiInputs) -> Raw {
    /// The chipset configuration registers, where firmware puts RCBA (ICH9 §10.1).
    const RCBA: u32 = 0xfed1_c000;
    const RCBA_LEN: u32 = 0x4000;
    let fixed = [
        ports(0x80, 1),
        ports(0x92, 1),
        ports(SMI_COMMAND_PORT, 2),
        ports(0x4d0, 2),
        ports(inputs.pm_base, pm::LEN),
    ];
    let rcba = Memory32Fixed::new(true, RCBA, RCBA_LEN);
    let ecam = inputs.ecam().map(|ecam| {
        let len = u32::try_from(ecam.len()).unwrap_or(u32::MAX);
        Memory32Fixed::new(true, ecam.base, len)
    });
    let mut resources: Vec<&dyn Aml> = fixed.iter().map(|ports| ports as &dyn Aml).collect();
    resources.push(&rcba);
    resources.extend(ecam.iter().map(|window| window as &dyn Aml));
    encode(&[&Scope::new(
        "_SB_".into(),
        vec![&Device::new(
            "MBRD".into(),
            vec![
                &Name::new("_HID".into(), &EISAName::new("PNP0C02")),
                &Name::new("_UID".into(), &ZERO),
                &Name::new("_CRS".into(), &ResourceTemplate::new(resources)),
            ],
        )],
    )])
}
