//! The TCO registers (ICH9 datasheet §13.9): they are there, and hold what is written.
//!
//! The watchdog does not run. Drivers find it disabled by `NO_REBOOT` in the chip's memory-mapped
//! configuration, which reads as ones.

use serde::{Deserialize, Serialize};

/// Number of registers.
const LEN: usize = 32;

/// TCO1_STS and TCO2_STS: cleared by writing ones; nothing sets them.
const STATUS: std::ops::RangeInclusive<usize> = 0x04..=0x07;
/// SW_IRQ_GEN and TCO_TMR after power-on.
const DEFAULTS: [(usize, u8); 2] = [(0x10, 0x03), (0x12, 0x04)];

/// The registers' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tco([u8; LEN]);

impl Default for Tco {
    fn default() -> Self {
        let mut bytes = [0; LEN];
        for (offset, value) in DEFAULTS {
            bytes[offset] = value;
        }
        Self(bytes)
    }
}

impl Tco {
    pub(super) fn read(&self, offset: usize) -> u8 {
        self.0.get(offset).copied().unwrap_or(0)
    }

    pub(super) fn write(&mut self, offset: usize, value: u8) {
        if !STATUS.contains(&offset)
            && let Some(byte) = self.0.get_mut(offset)
        {
            *byte = value;
        }
    }
}
