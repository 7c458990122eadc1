//! The host bridge: its windows, what the operating system may control, and how interrupt pins
//! are wired.

use std::ops::RangeInclusive;

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Arg, CreateDWordField, Device, EISAName, Else, Equal,
    If, Local, Method, Name, NotEqual, Or, Package, PackageBuilder, Path, ResourceTemplate, Return,
    Scope, Store, Uuid, ZERO,
};

use super::resource::ports;
use super::{PIC_MODE, Raw, encode, isa, link};
use crate::acpi::{AcpiInputs, LAST_BUS};

/// `\_SB.PCI0` with all that hangs from it.
pub(super) fn host_bridge(inputs: &AcpiInputs) -> Raw {
    let pci_express = EISAName::new("PNP0A08");
    let pci = EISAName::new("PNP0A03");
    encode(&[&Scope::new(
        "_SB_".into(),
        vec![&Device::new(
            "PCI0".into(),
            vec![
                &Name::new("_HID".into(), &pci_express),
                &Name::new("_CID".into(), &pci),
                &Name::new("_UID".into(), &ZERO),
                &Name::new("_SEG".into(), &ZERO),
                &Name::new("_BBN".into(), &ZERO),
                &windows(inputs),
                &control(),
                &routing(),
                &isa::lpc_bridge(),
                &isa::fw_cfg(),
            ],
        )],
    )])
}

fn memory32(window: &RangeInclusive<u32>) -> AddressSpace<u32> {
    let cacheable = AddressSpaceCacheable::NotCacheable;
    AddressSpace::new_memory(cacheable, true, *window.start(), *window.end(), None)
}

/// `_CRS`: what the host bridge forwards.
fn windows(inputs: &AcpiInputs) -> Raw {
    let low: Vec<_> = inputs.low_windows().iter().map(memory32).collect();
    let high = inputs.high_window.as_ref().map(|window| {
        let cacheable = AddressSpaceCacheable::NotCacheable;
        AddressSpace::new_memory(cacheable, true, *window.start(), *window.end(), None)
    });
    let buses = AddressSpace::new_bus_number(0u16, LAST_BUS.into());
    let config = ports(0xcf8, 8);
    let io_below = AddressSpace::new_io(0u16, 0xcf7, None);
    let io_above = AddressSpace::new_io(0xd00u16, 0xffff, None);
    let vga = memory32(&(0xa_0000..=0xb_ffff));
    let mut resources: Vec<&dyn Aml> = vec![&buses, &config, &io_below, &io_above, &vga];
    resources.extend(low.iter().map(|window| window as &dyn Aml));
    resources.extend(high.iter().map(|window: &AddressSpace<u64>| window as &dyn Aml));
    encode(&[&Name::new("_CRS".into(), &ResourceTemplate::new(resources))])
}

/// `_OSC`: the operating system may control what it asks for, but for the standard hot-plug
/// controller, which there is none of (PCI Firmware 3.2 §4.5.1).
fn control() -> Raw {
    const HOST_BRIDGE: &str = "33db4d5b-1ff7-401c-9657-7441c03dd766";
    const REVISION: u8 = 1;
    const GRANTED: u8 = 0b1_1101;
    /// Bits of the status the first double word returns.
    const UNKNOWN_UUID: u8 = 1 << 2;
    const UNKNOWN_REVISION: u8 = 1 << 3;
    const MASKED: u8 = 1 << 4;
    let (status, wanted) = (Path::new("CDW1"), Path::new("CDW3"));
    let set = |bit: &'static u8| Or::new(&status, &status, bit);
    encode(&[&Method::new(
        "_OSC".into(),
        4,
        true,
        vec![
            &CreateDWordField::new(&status, &Arg(3), &0u8),
            &If::new(
                &Equal::new(&Arg(0), &Uuid::new(HOST_BRIDGE)),
                vec![
                    &CreateDWordField::new(&wanted, &Arg(3), &8u8),
                    &And::new(&Local(0), &wanted, &GRANTED),
                    &If::new(&NotEqual::new(&Arg(1), &REVISION), vec![&set(&UNKNOWN_REVISION)]),
                    &If::new(&NotEqual::new(&wanted, &Local(0)), vec![&set(&MASKED)]),
                    &Store::new(&wanted, &Local(0)),
                ],
            ),
            &Else::new(vec![&set(&UNKNOWN_UUID)]),
            &Return::new(&Arg(3)),
        ],
    )])
}

/// The interrupt line (0 for PIRQA) of pin `pin` (0 for INTA#) of device `device` on bus 0:
/// slots rotate through the first four lines, the chipset's own devices do not.
pub(super) fn line(device: u8, pin: u8) -> u8 {
    match device {
        0..=24 => (device + pin) & 3,
        _ => pin & 3,
    }
}

/// One `_PRT` table: what pin `pin` of each device is wired to, as `wire` encodes its line.
fn table(wire: impl Fn(u8) -> (Raw, u8)) -> PackageBuilder {
    /// Stands for all functions of a device.
    const ANY_FUNCTION: u32 = 0xffff;
    let mut table = PackageBuilder::new();
    for device in 0..32u8 {
        for pin in 0..4u8 {
            let address = u32::from(device) << 16 | ANY_FUNCTION;
            let (source, index) = wire(line(device, pin));
            table.add_element(&Package::new(vec![&address, &pin, &source, &index]));
        }
    }
    table
}

/// `_PRT` (ACPI §6.2.13): through the link devices, or straight to the I/O APIC.
fn routing() -> Raw {
    /// The I/O APIC's input for PIRQA; the others follow.
    const FIRST_GSI: u8 = 16;
    let pic = table(|line| {
        let device = Path::new(&link::name(link::LINES[usize::from(line)]));
        (encode(&[&device]), 0)
    });
    let apic = table(|line| (encode(&[&ZERO]), FIRST_GSI + line));
    let (by_link, by_gsi) = (Path::new("PRTP"), Path::new("PRTA"));
    encode(&[
        &Name::new("PRTP".into(), &pic),
        &Name::new("PRTA".into(), &apic),
        &Method::new(
            "_PRT".into(),
            0,
            false,
            vec![
                &If::new(&Path::new(PIC_MODE), vec![&Return::new(&by_gsi)]),
                &Return::new(&by_link),
            ],
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn pins_are_swizzled_as_firmware_assumes() {
        assert_eq!([line(0, 0), line(1, 0), line(2, 3), line(24, 1)], [0, 1, 1, 1]);
        assert_eq!([line(25, 0), line(31, 1), line(31, 3)], [0, 1, 3]);
    }
}
