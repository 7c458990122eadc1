//! All that the guest programs: VGA and DISPI registers.

use serde::{Deserialize, Serialize};

use super::dispi::Dispi;
use super::registers::Registers;
use super::vram::Vram;

/// The guest-visible registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chip {
    pub(super) vga: Registers,
    pub(super) dispi: Dispi,
}

impl Chip {
    /// Whether a restored state keeps the invariants.
    pub(super) fn is_valid(&self) -> bool {
        self.vga.is_valid() && self.dispi.is_valid()
    }

    /// Writes a DISPI register.
    pub(super) fn write_dispi(&mut self, vram: &Vram, index: u16, value: u16) {
        let effect = self.dispi.write(index, value);
        if effect.clear > 0 {
            vram.clear(effect.clear);
        }
        if let Some(wide) = effect.wide_dac {
            self.vga.dac.wide = wide;
        }
    }
}
