//! Address decoding: which device answers a port or a memory address.
//!
//! One [`Bus`] serves the 64 KiB port space, another the physical addresses that are not RAM.
//! Called by vCPU threads for every exit, so looking up takes a shared lock only.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use thiserror::Error;

/// A device that answers reads and writes in a range of ports or addresses.
///
/// Called from any vCPU thread, and several at once: implementations lock what they must.
/// Every value in `offset` and `data` is chosen by the guest.
pub trait BusDevice: Send + Sync {
    /// Reads `data.len()` bytes (1 to 8) at `offset` bytes from the start of the range.
    /// `data` arrives filled with ones, which is what an undriven bus reads as.
    fn read(&self, offset: u64, data: &mut [u8]);

    /// Writes `data` (1 to 8 bytes) at `offset` bytes from the start of the range.
    fn write(&self, offset: u64, data: &[u8]);
}

/// Why a range cannot be put on a bus.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BusError {
    /// The range is empty or passes the end of the address space.
    #[error("the range {base:#x}+{len:#x} is empty or wraps")]
    Invalid {
        /// First address.
        base: u64,
        /// Length in addresses.
        len: u64,
    },
    /// The range overlaps one that is taken.
    #[error("the range {base:#x}+{len:#x} overlaps another device")]
    Overlap {
        /// First address.
        base: u64,
        /// Length in addresses.
        len: u64,
    },
}

struct Slot {
    len: u64,
    device: Arc<dyn BusDevice>,
}

/// A map from disjoint address ranges to devices.
#[derive(Default)]
pub struct Bus {
    ranges: RwLock<BTreeMap<u64, Slot>>,
}

impl Bus {
    /// An empty bus: reads give all ones, writes go nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `device` at `base..base + len`.
    ///
    /// # Errors
    /// When the range is empty, wraps, or overlaps another.
    pub fn insert(&self, base: u64, len: u64, device: Arc<dyn BusDevice>) -> Result<(), BusError> {
        let end =
            base.checked_add(len).filter(|_| len > 0).ok_or(BusError::Invalid { base, len })?;
        let mut ranges = self.ranges.write();
        let overlaps =
            ranges.range(..end).next_back().is_some_and(|(start, slot)| start + slot.len > base);
        if overlaps {
            return Err(BusError::Overlap { base, len });
        }
        ranges.insert(base, Slot { len, device });
        Ok(())
    }

    /// Takes away the range that starts at `base`; nothing happens when there is none.
    pub fn remove(&self, base: u64) {
        self.ranges.write().remove(&base);
    }

    /// Takes all ranges away.
    pub fn clear(&self) {
        // Dropped after the lock is released: a device's end may reach this bus.
        let _ranges = std::mem::take(&mut *self.ranges.write());
    }

    fn find(&self, address: u64) -> Option<(u64, u64, Arc<dyn BusDevice>)> {
        let ranges = self.ranges.read();
        let (base, slot) = ranges.range(..=address).next_back()?;
        let offset = address - base;
        // The lock is released before the device runs: a device may remap itself or others.
        (offset < slot.len).then(|| (offset, slot.len - offset, slot.device.clone()))
    }

    /// Reads `data.len()` bytes at `address`; bytes that no device drives read as ones.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        if let Some((offset, room, device)) = self.find(address) {
            let len = data.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            device.read(offset, &mut data[..len]);
        }
    }

    /// Writes `data` at `address`; bytes past the end of the device's range are dropped.
    pub fn write(&self, address: u64, data: &[u8]) {
        if let Some((offset, room, device)) = self.find(address) {
            let len = data.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            device.write(offset, &data[..len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;
    impl BusDevice for Echo {
        fn read(&self, offset: u64, data: &mut [u8]) {
            data.fill(offset as u8);
        }
        fn write(&self, _: u64, _: &[u8]) {}
    }

    #[test]
    fn ranges_do_not_overlap() {
        let bus = Bus::new();
        bus.insert(0x10, 0x10, Arc::new(Echo)).unwrap();
        assert!(bus.insert(0x1f, 1, Arc::new(Echo)).is_err());
        assert!(bus.insert(0x0, 0x11, Arc::new(Echo)).is_err());
        assert!(bus.insert(u64::MAX, 2, Arc::new(Echo)).is_err());
        bus.insert(0x20, 1, Arc::new(Echo)).unwrap();
        bus.remove(0x10);
        bus.insert(0x1f, 1, Arc::new(Echo)).unwrap();
    }

    #[test]
    fn undriven_addresses_read_as_ones() {
        let bus = Bus::new();
        bus.insert(0x10, 2, Arc::new(Echo)).unwrap();
        let mut data = [0; 4];
        bus.read(0x11, &mut data);
        assert_eq!(data, [1, 0xff, 0xff, 0xff]);
        bus.read(0x12, &mut data);
        assert_eq!(data, [0xff; 4]);
    }
}
