//! The PCI interrupt link devices: PIRQA to PIRQH of the LPC bridge (ICH9 §13.1.17), through
//! which the operating system chooses IRQs when it does not use the I/O APIC.

use acpi_tables::aml::{
    And, Arg, CreateDWordField, Device, EISAName, If, Method, Name, Or, Path, ResourceTemplate,
    Return, Scope, Store,
};

use super::resource::{PCI_IRQ_NUMBER, PciIrqs};
use super::{Raw, encode};

/// Bit of a routing register: not routed to the 8259s.
const DISABLED: u8 = 0x80;
const IRQ_MASK: u8 = 0x0f;
/// IRQs on which no ISA device is.
const CHOICES: [u32; 3] = [5, 10, 11];

const PRESENT_DISABLED: u8 = 0x09;
const PRESENT_ENABLED: u8 = 0x0b;

/// The letters of the eight lines.
pub(super) const LINES: [char; 8] = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'];

/// Name of the link device of line `letter`.
pub(super) fn name(letter: char) -> String {
    format!("LNK{letter}")
}

/// Name of its routing register, a field of the LPC bridge.
pub(super) fn register(letter: char) -> String {
    format!("PRQ{letter}")
}

fn device((uid, letter): (u8, char)) -> Raw {
    let register = Path::new(&format!("\\_SB_.PCI0.ISA_.{}", register(letter)));
    let name = Path::new(&name(letter));
    encode(&[&Device::new(
        name,
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0C0F")),
            &Name::new("_UID".into(), &uid),
            &Name::new("_PRS".into(), &ResourceTemplate::new(vec![&PciIrqs(&CHOICES)])),
            &Method::new(
                "_STA".into(),
                0,
                false,
                vec![
                    &If::new(
                        &And::new(&acpi_tables::aml::ZERO, &register, &DISABLED),
                        vec![&Return::new(&PRESENT_DISABLED)],
                    ),
                    &Return::new(&PRESENT_ENABLED),
                ],
            ),
            &Method::new("_DIS".into(), 0, false, vec![&Or::new(&register, &register, &DISABLED)]),
            &Method::new(
                "_CRS".into(),
                0,
                true,
                vec![
                    &Name::new("IRQB".into(), &ResourceTemplate::new(vec![&PciIrqs(&[0])])),
                    &CreateDWordField::new(&Path::new("IRQN"), &Path::new("IRQB"), &PCI_IRQ_NUMBER),
                    &If::new(
                        &acpi_tables::aml::LessThan::new(&register, &DISABLED),
                        vec![&And::new(&Path::new("IRQN"), &register, &IRQ_MASK)],
                    ),
                    &Return::new(&Path::new("IRQB")),
                ],
            ),
            &Method::new(
                "_SRS".into(),
                1,
                true,
                vec![
                    &CreateDWordField::new(&Path::new("IRQN"), &Arg(0), &PCI_IRQ_NUMBER),
                    &Store::new(&register, &Path::new("IRQN")),
                ],
            ),
        ],
    )])
}

/// All eight.
pub(super) fn devices() -> Raw {
    let mut bytes = Vec::new();
    for line in (0u8..).zip(LINES) {
        bytes.extend(device(line).0);
    }
    encode(&[&Scope::new("_SB_".into(), vec![&Raw(bytes)])])
}
