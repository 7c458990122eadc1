//! The sleep button. (The power button is fixed hardware, which the FADT describes.)

use acpi_tables::aml::{Device, EISAName, Method, Name, Notify, Path, Scope};

use super::{Raw, encode};
use crate::acpi::SLEEP_BUTTON_GPE;

/// A control-method button and the event that says it was pressed (ACPI §4.8.2.2.2.2).
pub(super) fn sleep_button() -> Raw {
    const PRESSED: u8 = 0x80;
    let event = format!("_L{SLEEP_BUTTON_GPE:02X}");
    encode(&[
        &Scope::new(
            "_SB_".into(),
            vec![&Device::new(
                "SLPB".into(),
                vec![&Name::new("_HID".into(), &EISAName::new("PNP0C0E"))],
            )],
        ),
        &Scope::new(
            "\\_GPE".into(),
            vec![&Method::new(
                Path::new(&event),
                0,
                false,
                vec![&Notify::new(&Path::new("\\_SB_.SLPB"), &PRESSED)],
            )],
        ),
    ])
}
