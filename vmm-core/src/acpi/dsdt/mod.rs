//! The Differentiated System Description Table: what cannot be probed, in AML.
//!
//! SeaBIOS has a small AML parser of its own (`src/fw/dsdt_parser.c`) through which it learns
//! whether there are a keyboard and serial ports. It understands plain declarations alone, no
//! statements outside methods and no 64-bit integers, which is all that this table has there.

mod buttons;
mod cpus;
mod isa;
mod link;
mod pci;
mod resource;

use acpi_tables::aml::{Arg, Method, Name, Package, Path, Store, ZERO};
use acpi_tables::sdt::Sdt;
use acpi_tables::{Aml, AmlSink};

use super::blob::{HEADER_SIZE, OEM_ID, OEM_REVISION, OEM_TABLE_ID};
use super::{AcpiInputs, SLP_TYP_S5};

/// AML already encoded.
struct Raw(Vec<u8>);

impl Aml for Raw {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

/// Encodes terms one after the other.
fn encode(terms: &[&dyn Aml]) -> Raw {
    let mut bytes = Vec::new();
    for term in terms {
        term.to_aml_bytes(&mut bytes);
    }
    Raw(bytes)
}

/// Set by `\_PIC`: not zero when the operating system uses the I/O APIC.
const PIC_MODE: &str = "PICF";

/// The table, complete.
pub(super) fn build(inputs: &AcpiInputs) -> Sdt {
    /// From 2 on, integers have 64 bits.
    const REVISION: u8 = 2;
    let body = encode(&[
        &Name::new(PIC_MODE.into(), &ZERO),
        &Method::new("_PIC".into(), 1, false, vec![&Store::new(&Path::new(PIC_MODE), &Arg(0))]),
        // PM1a and PM1b control values, two reserved (ACPI §7.4.2).
        &Name::new("_S5_".into(), &Package::new(vec![&SLP_TYP_S5, &SLP_TYP_S5, &ZERO, &ZERO])),
        &pci::host_bridge(inputs),
        &link::devices(),
        &isa::motherboard(inputs),
        &cpus::devices(inputs.apic_ids.len()),
        &buttons::sleep_button(),
    ]);
    let mut dsdt =
        Sdt::new(*b"DSDT", HEADER_SIZE as u32, REVISION, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    dsdt.append_slice(&body.0);
    dsdt
}
