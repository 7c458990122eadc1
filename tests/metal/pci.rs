//! Functions of bus 0, by configuration mechanism 1 (PCI Local Bus 3.0 §3.2.2.3.2).

use crate::ports;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

const COMMAND: u8 = 0x04;
const CAPABILITIES: u8 = 0x34;
const BARS: u8 = 0x10;
/// Bits of the command register: memory decoding, bus mastering.
const MEMORY: u32 = 1 << 1;
const MASTER: u32 = 1 << 2;
/// Bit of a BAR: its upper half is the next one.
const WIDE: u32 = 1 << 2;

/// Where BARs are put, each this far from the one before. Nothing else is there in either machine.
const WINDOW: u32 = 0xfc00_0000;
const STRIDE: u32 = 0x10_0000;

/// A function of bus 0.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    device: u32,
}

impl Function {
    /// The first one for which `wanted` says so of its vendor and device.
    pub(crate) fn find(wanted: impl Fn(u16, u16) -> bool) -> Option<Self> {
        (0..32).map(|device| Self { device }).find(|function| {
            let id = function.read(0);
            wanted(id as u16, (id >> 16) as u16)
        })
    }

    pub(crate) fn read(self, offset: u8) -> u32 {
        ports::write(ADDRESS, 1 << 31 | self.device << 11 | u32::from(offset & !3));
        ports::read(DATA)
    }

    fn write(self, offset: u8, value: u32) {
        ports::write(ADDRESS, 1 << 31 | self.device << 11 | u32::from(offset & !3));
        ports::write(DATA, value);
    }

    /// The offsets of its vendor's capabilities.
    pub(crate) fn vendor_capabilities(self) -> impl Iterator<Item = u8> {
        const VENDOR: u8 = 9;
        let mut next = self.read(CAPABILITIES) as u8;
        core::iter::from_fn(move || {
            let at = (next != 0).then_some(next)?;
            next = (self.read(at) >> 8) as u8;
            Some(at)
        })
        .filter(move |at| self.read(*at) as u8 == VENDOR)
    }

    /// Puts memory BAR `index` somewhere and turns it on; gives its address.
    pub(crate) fn map(self, index: u8) -> usize {
        let address = WINDOW + u32::from(index) * STRIDE;
        let bar = BARS + 4 * index;
        self.write(COMMAND, 0);
        let wide = self.read(bar) & WIDE != 0;
        self.write(bar, address);
        if wide {
            self.write(bar + 4, 0);
        }
        self.write(COMMAND, MEMORY | MASTER);
        address as usize
    }
}
