//! The root bus: configuration cycles and BAR mapping.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::config::{BARS, BarKind};
use super::{PciDevice, Slot};
use crate::bus::{Bus, BusDevice};
use crate::state::{Persist, Reset, RestoreError};

/// Where each BAR of a function is mapped at the moment.
type Mapped = [Option<u64>; BARS];

struct Entry {
    device: Arc<dyn PciDevice>,
    mapped: Mapped,
}

/// Bus 0 with its functions. Maps their BARs onto the port and memory buses as the guest moves
/// them.
pub struct RootBus {
    ports: Arc<Bus>,
    mmio: Arc<Bus>,
    functions: Mutex<BTreeMap<Slot, Entry>>,
}

struct BarWindow {
    device: Weak<dyn PciDevice>,
    bar: usize,
}

impl BusDevice for BarWindow {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if let Some(device) = self.device.upgrade() {
            device.read_bar(self.bar, offset, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if let Some(device) = self.device.upgrade() {
            device.write_bar(self.bar, offset, data);
        }
    }
}

impl RootBus {
    /// An empty bus whose functions' BARs appear on `ports` and `mmio`.
    pub fn new(ports: Arc<Bus>, mmio: Arc<Bus>) -> Self {
        Self { ports, mmio, functions: Mutex::default() }
    }

    /// Puts a function into the slot it was wired for.
    pub fn insert(&self, device: Arc<dyn PciDevice>) {
        let slot = device.function().slot();
        let entry = Entry { device, mapped: [None; BARS] };
        let earlier = self.functions.lock().insert(slot, entry);
        assert!(earlier.is_none(), "two functions in slot {slot}");
    }

    fn device(&self, slot: Slot) -> Option<Arc<dyn PciDevice>> {
        self.functions.lock().get(&slot).map(|entry| entry.device.clone())
    }

    /// A configuration read; an empty slot gives ones.
    fn read_config(&self, slot: Slot, offset: u16, data: &mut [u8]) {
        data.fill(0xff);
        if let Some(device) = self.device(slot) {
            device.config_reading(offset, data.len());
            device.function().read_config(offset, data);
        }
    }

    fn write_config(&self, slot: Slot, offset: u16, data: &[u8]) {
        let Some(device) = self.device(slot) else { return };
        device.function().write_config(offset, data);
        device.config_written(offset, data.len());
        self.remap(slot);
    }

    /// Moves the BARs of `slot` to where its configuration space says.
    fn remap(&self, slot: Slot) {
        let mut functions = self.functions.lock();
        let Some(entry) = functions.get_mut(&slot) else { return };
        for bar in 0..BARS {
            let (window, address) =
                entry.device.function().with_config(|c| (c.bar(bar), c.bar_address(bar)));
            let Some(window) = window else { continue };
            if entry.mapped[bar] == address {
                continue;
            }
            if window.kind == BarKind::Ram {
                entry.device.bar_moved(bar, address);
                entry.mapped[bar] = address;
                continue;
            }
            let bus = if window.kind == BarKind::Io { &self.ports } else { &self.mmio };
            if let Some(old) = entry.mapped[bar].take() {
                bus.remove(old);
            }
            if let Some(base) = address {
                let device = Arc::downgrade(&entry.device);
                match bus.insert(base, u64::from(window.size), Arc::new(BarWindow { device, bar }))
                {
                    Ok(()) => entry.mapped[bar] = Some(base),
                    // The guest put two windows in one place; as on hardware, that is its own
                    // doing. The one that was there first keeps answering.
                    Err(error) => tracing::debug!("{slot} BAR {bar}: {error}"),
                }
            }
            if window.kind == BarKind::Mmio {
                entry.device.bar_moved(bar, entry.mapped[bar]);
            }
        }
    }

    fn remap_all(&self) {
        let slots: Vec<Slot> = self.functions.lock().keys().copied().collect();
        for slot in slots {
            self.remap(slot);
        }
    }

    /// Follows configuration spaces that were reset or restored behind the bus's back.
    pub fn refresh(&self) {
        self.remap_all();
    }
}

/// Configuration mechanism #1: ports 0xCF8 to 0xCFF (PCI 3.0 §3.2.2.3.2). Only a double word at
/// 0xCF8 reaches the address latch; a byte at 0xCF9 is the chipset's reset control register.
pub struct ConfigMechanism1 {
    root: Arc<RootBus>,
    reset_control: Arc<dyn BusDevice>,
    address: Mutex<u32>,
}

/// The address latch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMechanism1State {
    address: u32,
}

impl ConfigMechanism1 {
    /// First port.
    pub const BASE: u64 = 0xcf8;
    /// Number of ports.
    pub const LEN: u64 = 8;

    /// Ports for `root`, with the register at 0xCF9.
    pub fn new(root: Arc<RootBus>, reset_control: Arc<dyn BusDevice>) -> Self {
        Self { root, reset_control, address: Mutex::new(0) }
    }

    /// The selected function and register, when the latch is enabled and names bus 0.
    fn target(&self, port: u64) -> Option<(Slot, u16)> {
        let address = *self.address.lock();
        let bus = address >> 16 & 0xff;
        if address >> 31 == 0 || bus != 0 {
            return None;
        }
        let slot = Slot::new((address >> 11 & 0x1f) as u8, (address >> 8 & 7) as u8);
        Some((slot, (address & 0xfc) as u16 + (port & 3) as u16))
    }
}

impl BusDevice for ConfigMechanism1 {
    fn read(&self, offset: u64, data: &mut [u8]) {
        match offset {
            0 if data.len() == 4 => data.copy_from_slice(&self.address.lock().to_le_bytes()),
            1 if data.len() == 1 => self.reset_control.read(0, data),
            4..8 => {
                let Some((slot, register)) = self.target(offset) else { return };
                let room = data.len().min(8 - offset as usize);
                self.root.read_config(slot, register, &mut data[..room]);
            }
            _ => {}
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        match (offset, <[u8; 4]>::try_from(data)) {
            (0, Ok(bytes)) => *self.address.lock() = u32::from_le_bytes(bytes) & 0x80ff_fffc,
            (1, _) if data.len() == 1 => self.reset_control.write(0, data),
            (4..8, _) => {
                let Some((slot, register)) = self.target(offset) else { return };
                let room = data.len().min(8 - offset as usize);
                self.root.write_config(slot, register, &data[..room]);
            }
            _ => {}
        }
    }
}

impl Persist for ConfigMechanism1 {
    type State = ConfigMechanism1State;

    fn save(&self) -> Self::State {
        ConfigMechanism1State { address: *self.address.lock() }
    }

    fn restore(&self, state: Self::State) -> Result<(), RestoreError> {
        *self.address.lock() = state.address & 0x80ff_fffc;
        Ok(())
    }
}

impl Reset for ConfigMechanism1 {
    fn reset(&self) {
        *self.address.lock() = 0;
    }
}

/// The memory-mapped configuration window (PCI Express Base 3.0 §7.2.2): 4 KiB a function,
/// 1 MiB a bus, from wherever the host bridge's PCIEXBAR puts it.
pub struct EcamWindow {
    /// The host bridge, which is on this bus, owns the window.
    root: Weak<RootBus>,
}

impl EcamWindow {
    /// A window onto `root`.
    pub fn new(root: &Arc<RootBus>) -> Self {
        Self { root: Arc::downgrade(root) }
    }

    fn target(offset: u64) -> Option<(Slot, u16)> {
        let slot = Slot::new((offset >> 15 & 0x1f) as u8, (offset >> 12 & 7) as u8);
        (offset >> 20 == 0).then_some((slot, (offset & 0xfff) as u16))
    }
}

impl BusDevice for EcamWindow {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if let (Some((slot, register)), Some(root)) = (Self::target(offset), self.root.upgrade()) {
            root.read_config(slot, register, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if let (Some((slot, register)), Some(root)) = (Self::target(offset), self.root.upgrade()) {
            root.write_config(slot, register, data);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pci::{Bar, ClassCode, ConfigSpace, Identity, PciFunction, reg, test_rig};
    use crate::state::conformance;

    /// A function with one port BAR and one memory BAR, whose bytes read as the BAR's number.
    struct Model(PciFunction);

    impl PciDevice for Model {
        fn function(&self) -> &PciFunction {
            &self.0
        }
        fn read_bar(&self, bar: usize, _: u64, data: &mut [u8]) {
            data.fill(bar as u8);
        }
        fn write_bar(&self, _: usize, _: u64, _: &[u8]) {}
    }

    struct ResetByte(Mutex<u8>);
    impl BusDevice for ResetByte {
        fn read(&self, _: u64, data: &mut [u8]) {
            data.fill(*self.0.lock());
        }
        fn write(&self, _: u64, data: &[u8]) {
            *self.0.lock() = data[0];
        }
    }

    struct Rig {
        ports: Arc<Bus>,
        mmio: Arc<Bus>,
        mechanism: ConfigMechanism1,
        reset: Arc<ResetByte>,
        _root: Arc<RootBus>,
    }

    const SLOT: Slot = Slot::new(3, 0);

    fn rig() -> Rig {
        let (ports, mmio) = (Arc::new(Bus::new()), Arc::new(Bus::new()));
        let root = Arc::new(RootBus::new(ports.clone(), mmio.clone()));
        let identity = Identity {
            vendor: 0x1234,
            device: 0x5678,
            revision: 1,
            class: ClassCode(1, 6, 1),
            subsystem: (0, 0),
        };
        let config = ConfigSpace::new(identity, 1)
            .with_bar(0, Bar { kind: BarKind::Io, size: 32, prefetchable: false })
            .with_bar(1, Bar { kind: BarKind::Mmio, size: 4096, prefetchable: false })
            .with_msi();
        root.insert(Arc::new(Model(PciFunction::new(config, test_rig::intx(SLOT).0))));
        let reset = Arc::new(ResetByte(Mutex::new(0)));
        let mechanism = ConfigMechanism1::new(root.clone(), reset.clone());
        Rig { ports, mmio, mechanism, reset, _root: root }
    }

    impl Rig {
        fn select(&self, register: u16) {
            let address = 0x8000_0000 | u32::from(SLOT.device) << 11 | u32::from(register & 0xfc);
            self.mechanism.write(0, &address.to_le_bytes());
        }
        fn read(&self, register: u16) -> u32 {
            self.select(register);
            let mut data = [0; 4];
            self.mechanism.read(4, &mut data);
            u32::from_le_bytes(data)
        }
        fn write(&self, register: u16, value: u32) {
            self.select(register);
            self.mechanism.write(4, &value.to_le_bytes());
        }
        fn byte(bus: &Bus, at: u64) -> u8 {
            let mut data = [0];
            bus.read(at, &mut data);
            data[0]
        }
    }

    #[test]
    fn bars_are_sized_and_moved_as_firmware_does() {
        let rig = rig();
        assert_eq!(rig.read(reg::VENDOR_ID), 0x5678_1234);
        rig.write(reg::COMMAND, 3);
        rig.write(reg::BAR0, !0);
        rig.write(reg::BAR0 + 4, !0);
        assert_eq!(rig.read(reg::BAR0), !31 | 1);
        assert_eq!(rig.read(reg::BAR0 + 4), !4095);
        rig.write(reg::BAR0, 0xc001);
        rig.write(reg::BAR0 + 4, 0xfebf_0000);
        assert_eq!(Rig::byte(&rig.ports, 0xc01f), 0);
        assert_eq!(Rig::byte(&rig.mmio, 0xfebf_0fff), 1);
        rig.write(reg::BAR0 + 4, 0xfebe_0000);
        assert_eq!(Rig::byte(&rig.mmio, 0xfebf_0000), 0xff);
        assert_eq!(Rig::byte(&rig.mmio, 0xfebe_0000), 1);
        rig.write(reg::COMMAND, 1);
        assert_eq!(Rig::byte(&rig.mmio, 0xfebe_0000), 0xff);
        assert_eq!(Rig::byte(&rig.ports, 0xc000), 0);
    }

    #[test]
    fn a_byte_at_cf9_is_the_reset_control_register() {
        let rig = rig();
        rig.select(0x40);
        rig.mechanism.write(1, &[6]);
        assert_eq!(*rig.reset.0.lock(), 6);
        assert_eq!(rig.mechanism.save().address & 0xff, 0x40);
    }

    #[test]
    fn the_latch_conforms() {
        conformance::check(
            || rig().mechanism,
            |mechanism| mechanism.write(0, &0x8000_1840u32.to_le_bytes()),
            |mechanism| {
                let mut data = vec![0; 4];
                mechanism.read(0, &mut data);
                data
            },
        );
    }

    proptest! {
        #[test]
        fn no_access_panics(accesses in prop::collection::vec((0u64..8, any::<u32>(), 1usize..5), 0..200)) {
            let rig = rig();
            for (port, value, len) in accesses {
                rig.mechanism.write(port, &value.to_le_bytes()[..len]);
                let mut data = [0; 4];
                rig.mechanism.read(port, &mut data[..len]);
                rig.ports.write(u64::from(value & 0xffff), &[1]);
                rig.mmio.read(u64::from(value), &mut data);
            }
        }
    }
}
