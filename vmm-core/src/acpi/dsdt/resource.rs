//! Resource descriptors that `acpi_tables` lacks (ACPI §6.4).

use acpi_tables::aml::IO;
use acpi_tables::{Aml, AmlSink};

/// One ISA interrupt: edge-triggered, active high, exclusive (ACPI §6.4.2.1, without flags).
pub(super) struct IsaIrq(pub(super) u8);

impl Aml for IsaIrq {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        const IRQ_NO_FLAGS: u8 = 0x22;
        sink.byte(IRQ_NO_FLAGS);
        sink.word(1 << self.0);
    }
}

/// A choice of level-triggered, shared interrupts (ACPI §6.4.3.6).
pub(super) struct PciIrqs<'a>(pub(super) &'a [u32]);

/// Where in a [`PciIrqs`] the first number is.
pub(super) const PCI_IRQ_NUMBER: u8 = 5;

impl Aml for PciIrqs<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        const EXTENDED_INTERRUPT: u8 = 0x89;
        /// Bit 0 consumer, bit 3 shared; level-triggered and active high, as the MADT says of
        /// these interrupts.
        const FLAGS: u8 = 0b1001;
        sink.byte(EXTENDED_INTERRUPT);
        sink.word(2 + 4 * self.0.len() as u16);
        sink.byte(FLAGS);
        sink.byte(self.0.len() as u8);
        for number in self.0 {
            sink.dword(*number);
        }
    }
}

/// `len` ports from `base` on.
pub(super) fn ports(base: u16, len: u8) -> IO {
    IO::new(base, base, 1, len)
}
