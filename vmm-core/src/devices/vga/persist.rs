//! Saving and restoring: registers, and the pages of video memory that are not all zeroes.

use serde::{Deserialize, Serialize};

use super::chip::Chip;
use super::device::Vga;
use super::pages::{PAGE, PAGES};
use crate::pci::{ConfigState, PciDevice};
use crate::state::{Persist, RestoreError};

/// All that the guest can see of a VGA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VgaState {
    config: ConfigState,
    registers: Chip,
    /// In ascending order; pages not listed are zeroes.
    memory: Vec<Page>,
}

/// One page of video memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    index: usize,
    bytes: Vec<u8>,
}

impl VgaState {
    fn check(&self) -> Result<(), &'static str> {
        if !self.registers.is_valid() {
            return Err("a register holds what the device cannot");
        }
        if self.memory.iter().any(|page| page.index >= PAGES || page.bytes.len() != PAGE) {
            return Err("a page lies outside video memory");
        }
        if self.memory.windows(2).any(|pair| pair[0].index >= pair[1].index) {
            return Err("pages of video memory are out of order");
        }
        Ok(())
    }
}

impl Persist for Vga {
    type State = VgaState;

    fn save(&self) -> VgaState {
        self.flush_writes();
        VgaState {
            config: self.function().save(),
            registers: self.chip.lock().clone(),
            memory: self
                .aperture
                .vram()
                .used_pages()
                .map(|(index, bytes)| Page { index, bytes })
                .collect(),
        }
    }

    fn restore(&self, state: VgaState) -> Result<(), RestoreError> {
        state.check().map_err(|reason| RestoreError { device: "VGA", reason: reason.into() })?;
        // Last of what can fail: a refused state changes nothing.
        self.function().restore(&state.config)?;
        self.flush_writes();
        *self.chip.lock() = state.registers;
        let vram = self.aperture.vram();
        vram.discard();
        for page in &state.memory {
            vram.copy_from(page.index * PAGE, &page.bytes);
        }
        self.invalidate();
        Ok(())
    }
}
