//! A device for each processor, which the MADT's entries name by `_UID` (ACPI §8.4).

use acpi_tables::aml::{Device, Name, Path, Scope};

use super::{Raw, encode};

fn device(uid: u32) -> Raw {
    encode(&[&Device::new(
        Path::new(&format!("C{uid:03X}")),
        vec![&Name::new("_HID".into(), &"ACPI0007"), &Name::new("_UID".into(), &uid)],
    )])
}

/// `count` processors; at most 4096.
pub(super) fn devices(count: usize) -> Raw {
    let devices = (0u32..).take(count).flat_map(|uid| device(uid).0).collect();
    encode(&[&Scope::new("_SB_".into(), vec![&Raw(devices)])])
}
