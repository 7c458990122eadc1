//! PCI: configuration space, the root bus, and how a function interrupts.
//!
//! A device model owns a [`PciFunction`] (its configuration space and interrupt) and implements
//! [`PciDevice`]; the [`RootBus`] decodes configuration cycles and maps BARs.

mod bus;
mod config;
mod function;
mod msix;

pub use bus::{ConfigMechanism1, EcamWindow, RootBus};
pub use config::{Bar, BarKind, ClassCode, ConfigSpace, ConfigState, Identity, reg};
#[cfg(test)]
pub(crate) use function::test_rig;
pub use function::{Intx, IntxRouter, PciFunction};
pub use msix::{MsixState, MsixTable};

use std::fmt;

/// Where a function sits on bus 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl Slot {
    /// The slot of `device`.`function`.
    pub const fn new(device: u8, function: u8) -> Self {
        assert!(device < 32 && function < 8, "no such PCI slot");
        Self { device, function }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00:{:02x}.{}", self.device, self.function)
    }
}

/// A PCI function's model.
pub trait PciDevice: Send + Sync {
    /// The function's configuration space and interrupt.
    fn function(&self) -> &PciFunction;

    /// Reads `data.len()` bytes at `offset` in BAR `bar`; `data` arrives filled with ones.
    fn read_bar(&self, bar: usize, offset: u64, data: &mut [u8]);

    /// Writes `data` at `offset` in BAR `bar`.
    fn write_bar(&self, bar: usize, offset: u64, data: &[u8]);

    /// The guest is about to read `len` bytes of configuration space at `offset`.
    fn config_reading(&self, _offset: u16, _len: usize) {}

    /// The guest has just written `len` bytes of configuration space at `offset`.
    fn config_written(&self, _offset: u16, _len: usize) {}

    /// Memory BAR `bar` now answers at `address`, or nowhere. A BAR of [`BarKind::Ram`] is for
    /// the device to map; the others are mapped already.
    fn bar_moved(&self, _bar: usize, _address: Option<u64>) {}
}
