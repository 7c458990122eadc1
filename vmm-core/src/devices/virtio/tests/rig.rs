//! A driver for tests: it finds the device's structures through configuration space, sets up
//! queues in guest memory and offers chains, rightly or wrongly.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use crate::bus::{Bus, BusDevice};
use crate::devices::virtio::registers::status;
use crate::devices::virtio::{VirtioDevice, VirtioPci, Wiring, feature};
use crate::interrupt::{Doorbells, Recorder};
use crate::memory::GuestRam;
use crate::pci::{EcamWindow, PciDevice, RootBus, Slot, test_rig};

pub(in super::super) const RAM: usize = 16 << 20;
/// Where the driver has its queues, and where buffers may go.
const QUEUES: u64 = 0x10_0000;
const QUEUE_SPACE: u64 = 0x1_0000;
pub(in super::super) const DATA: u64 = 0x80_0000;
/// The function's page in the ECAM window.
const CONFIG: u64 = 3 << 15;
/// INTA# of the rig.
const PIN: u32 = 100;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(in super::super) const NEXT: u16 = 1;
pub(in super::super) const WRITE: u16 = 2;
pub(in super::super) const INDIRECT: u16 = 4;

/// Offsets of the common configuration structure.
pub(in super::super) mod common {
    pub(in super::super::super) const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub(in super::super::super) const DEVICE_FEATURE: u64 = 0x04;
    pub(in super::super::super) const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub(in super::super::super) const DRIVER_FEATURE: u64 = 0x0c;
    pub(in super::super::super) const CONFIG_VECTOR: u64 = 0x10;
    pub(in super::super::super) const NUM_QUEUES: u64 = 0x12;
    pub(in super::super::super) const STATUS: u64 = 0x14;
    pub(in super::super::super) const GENERATION: u64 = 0x15;
    pub(in super::super::super) const QUEUE_SELECT: u64 = 0x16;
    pub(in super::super::super) const QUEUE_SIZE: u64 = 0x18;
    pub(in super::super::super) const QUEUE_VECTOR: u64 = 0x1a;
    pub(in super::super::super) const QUEUE_ENABLE: u64 = 0x1c;
    pub(in super::super::super) const QUEUE_DESCRIPTORS: u64 = 0x20;
    pub(in super::super::super) const QUEUE_DRIVER: u64 = 0x28;
    pub(in super::super::super) const QUEUE_DEVICE: u64 = 0x30;
}

struct NoDoorbells;

impl Doorbells for NoDoorbells {
    fn install(&self, _: u64, _: &EventFd) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn remove(&self, _: u64, _: &EventFd) {}
}

/// A structure in the BAR.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Structure {
    pub(in super::super) offset: u64,
    pub(in super::super) len: u64,
    /// Of the notification structure.
    stride: u64,
}

/// A descriptor in the making: address, length, flags without NEXT.
pub(in super::super) type Part = (u64, u32, u16);

#[derive(Default, Clone)]
struct Ring {
    size: u16,
    /// Descriptors given out so far.
    descriptors: u16,
    available: u16,
    seen: u16,
}

/// A device with its surroundings and its driver.
pub(in super::super) struct Rig<D: VirtioDevice> {
    pub(in super::super) pci: Arc<VirtioPci<D>>,
    pub(in super::super) ram: Arc<GuestRam>,
    pub(in super::super) irq: Arc<Recorder>,
    ecam: EcamWindow,
    _root: Arc<RootBus>,
    rings: RefCell<Vec<Ring>>,
}

pub(in super::super) fn ram() -> Arc<GuestRam> {
    Arc::new(GuestRam::from_ranges(&[(GuestAddress(0), RAM)]).unwrap())
}

impl<D: VirtioDevice> Rig<D> {
    /// A device in power-on state that may access `ram`.
    pub(in super::super) fn cold(device: D, ram: Arc<GuestRam>) -> Self {
        let (intx, irq) = test_rig::intx(Slot::new(3, 0));
        let wiring = Wiring {
            intx,
            ram: ram.clone(),
            doorbells: Arc::new(NoDoorbells),
            on_panic: Arc::new(|message| eprintln!("a worker panicked: {message}")),
        };
        let pci = VirtioPci::new(device, wiring).unwrap();
        let root = RootBus::new(Arc::new(Bus::new()), Arc::new(Bus::new()));
        root.insert(pci.clone());
        let root = Arc::new(root);
        let ecam = EcamWindow::new(&root);
        let rig = Self { pci, ram, irq, ecam, _root: root, rings: RefCell::default() };
        rig.write_config(4, &[6, 0]);
        rig
    }

    /// A device whose driver accepted all features and enabled all queues at full size.
    pub(in super::super) fn hot(device: D) -> Self {
        let rig = Self::cold(device, ram());
        rig.start(!0, 1024);
        rig
    }

    pub(in super::super) fn write_config(&self, offset: u64, data: &[u8]) {
        self.ecam.write(CONFIG + offset, data);
    }

    pub(in super::super) fn read_config(&self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.ecam.read(CONFIG + offset, &mut data);
        u32::from_le_bytes(data)
    }

    /// Offset of the capability `id` that `which` likes.
    pub(in super::super) fn capability(&self, id: u32, which: impl Fn(u64) -> bool) -> Option<u64> {
        let mut at = u64::from(self.read_config(0x34) & 0xff);
        for _ in 0..48 {
            if at == 0 {
                break;
            }
            let head = self.read_config(at);
            if head & 0xff == id && which(at) {
                return Some(at);
            }
            at = u64::from(head >> 8 & 0xff);
        }
        None
    }

    /// The structure of `kind` (1 common, 2 notify, 3 ISR, 4 device).
    pub(in super::super) fn structure(&self, kind: u32) -> Structure {
        let at = self.capability(9, |at| self.read_config(at) >> 24 == kind).unwrap();
        assert_eq!(self.read_config(at + 4) & 0xff, 0, "all is in BAR 0");
        Structure {
            offset: self.read_config(at + 8).into(),
            len: self.read_config(at + 12).into(),
            stride: if kind == 2 { self.read_config(at + 16).into() } else { 0 },
        }
    }

    pub(in super::super) fn read(&self, kind: u32, offset: u64, len: usize) -> u64 {
        let mut data = [0; 8];
        self.pci.read_bar(0, self.structure(kind).offset + offset, &mut data[..len]);
        u64::from_le_bytes(data)
    }

    pub(in super::super) fn write(&self, kind: u32, offset: u64, data: &[u8]) {
        self.pci.write_bar(0, self.structure(kind).offset + offset, data);
    }

    pub(in super::super) fn get(&self, register: u64, len: usize) -> u64 {
        self.read(1, register, len)
    }

    pub(in super::super) fn set16(&self, register: u64, value: u16) {
        self.write(1, register, &value.to_le_bytes());
    }

    pub(in super::super) fn set32(&self, register: u64, value: u32) {
        self.write(1, register, &value.to_le_bytes());
    }

    pub(in super::super) fn status(&self) -> u8 {
        self.get(common::STATUS, 1) as u8
    }

    pub(in super::super) fn set_status(&self, value: u8) {
        self.write(1, common::STATUS, &[value]);
    }

    pub(in super::super) fn needs_reset(&self) -> bool {
        self.status() & status::NEEDS_RESET != 0
    }

    /// Resets the device and waits as drivers have to.
    pub(in super::super) fn reset(&self) {
        self.set_status(0);
        wait_for("the reset", || self.status() == 0);
        self.rings.borrow_mut().clear();
    }

    pub(in super::super) fn offered(&self) -> u64 {
        let half = |select| {
            self.set32(common::DEVICE_FEATURE_SELECT, select);
            self.get(common::DEVICE_FEATURE, 4)
        };
        half(0) | half(1) << 32
    }

    /// Accepts `features`; `true` when the device agrees.
    pub(in super::super) fn negotiate(&self, features: u64) -> bool {
        self.set_status(1);
        self.set_status(3);
        for (select, bits) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.set32(common::DRIVER_FEATURE_SELECT, select);
            self.set32(common::DRIVER_FEATURE, bits);
        }
        self.set_status(11);
        self.status() & status::FEATURES_OK != 0
    }

    pub(in super::super) fn queues(&self) -> u16 {
        self.get(common::NUM_QUEUES, 2) as u16
    }

    fn base(queue: u16) -> u64 {
        QUEUES + u64::from(queue) * QUEUE_SPACE
    }

    /// Addresses of descriptors, available ring and used ring.
    pub(in super::super) fn ring_addresses(queue: u16) -> [u64; 3] {
        let base = Self::base(queue);
        [base, base + 0x4000, base + 0x8000]
    }

    /// Sets up and enables `queue` with at most `size` entries; returns how many it has.
    pub(in super::super) fn enable(&self, queue: u16, size: u16) -> u16 {
        let [descriptors, driver, device] = Self::ring_addresses(queue);
        self.set16(common::QUEUE_SELECT, queue);
        let size = size.min(self.get(common::QUEUE_SIZE, 2) as u16);
        self.set16(common::QUEUE_SIZE, size);
        self.set16(common::QUEUE_VECTOR, queue + 1);
        for (register, address) in [
            (common::QUEUE_DESCRIPTORS, descriptors),
            (common::QUEUE_DRIVER, driver),
            (common::QUEUE_DEVICE, device),
        ] {
            self.set32(register, address as u32);
            self.set32(register + 4, (address >> 32) as u32);
        }
        let blank = [0; QUEUE_SPACE as usize];
        self.ram.write_slice(&blank, GuestAddress(Self::base(queue))).unwrap();
        self.set16(common::QUEUE_ENABLE, 1);
        let mut rings = self.rings.borrow_mut();
        let count = rings.len().max(usize::from(queue) + 1);
        rings.resize(count, Ring::default());
        rings[usize::from(queue)] = Ring { size, ..Ring::default() };
        size
    }

    /// Resets the device, accepts those of `features` that it offers, and enables all queues with
    /// at most `size` entries.
    pub(in super::super) fn start(&self, features: u64, size: u16) {
        self.prepare(features, size);
        self.set_status(15);
    }

    /// The same but for telling the device that the driver is ready.
    pub(in super::super) fn prepare(&self, features: u64, size: u16) {
        self.reset();
        assert!(self.negotiate(self.offered() & features | feature::VERSION_1));
        for queue in 0..self.queues() {
            self.enable(queue, size);
        }
    }

    /// Enables MSI-X with message data 0x40 for configuration changes and 0x41 on for queues.
    pub(in super::super) fn enable_msix(&self) {
        for vector in 0..=u64::from(self.queues()) {
            let at = 0x4000 + 16 * vector;
            self.pci.write_bar(0, at, &0xfee0_0000u64.to_le_bytes());
            self.pci.write_bar(0, at + 8, &(0x40 + vector as u32).to_le_bytes());
            self.pci.write_bar(0, at + 12, &0u32.to_le_bytes());
        }
        let at = self.capability(0x11, |_| true).unwrap();
        self.write_config(at + 2, &0x8000u16.to_le_bytes());
    }

    /// Writes descriptor `index` of the table at `table`.
    pub(in super::super) fn write_descriptor(&self, table: u64, index: u16, part: Part, next: u16) {
        let (address, len, flags) = part;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        // Bad tables may lie outside RAM.
        let _ = self.ram.write_slice(&bytes, GuestAddress(table + 16 * u64::from(index)));
    }

    /// Writes a chain of `parts` and returns its head, without offering it.
    pub(in super::super) fn chain(&self, queue: u16, parts: &[Part]) -> u16 {
        let (head, size) = {
            let mut rings = self.rings.borrow_mut();
            let ring = &mut rings[usize::from(queue)];
            let head = ring.descriptors % ring.size;
            ring.descriptors = ring.descriptors.wrapping_add(parts.len() as u16);
            (head, ring.size)
        };
        assert!(parts.len() <= usize::from(size), "the chain does not fit");
        for (at, part) in parts.iter().enumerate() {
            let index = (head + at as u16) % size;
            let more = if at + 1 < parts.len() { NEXT } else { 0 };
            let part = (part.0, part.1, part.2 | more);
            self.write_descriptor(Self::base(queue), index, part, (index + 1) % size);
        }
        head
    }

    /// Puts `head` into the available ring.
    pub(in super::super) fn offer(&self, queue: u16, head: u16) {
        let available = Self::ring_addresses(queue)[1];
        let mut rings = self.rings.borrow_mut();
        let ring = &mut rings[usize::from(queue)];
        let slot = available + 4 + 2 * u64::from(ring.available % ring.size);
        self.ram.write_obj(head, GuestAddress(slot)).unwrap();
        ring.available = ring.available.wrapping_add(1);
        let index = GuestAddress(available + 2);
        self.ram.store(ring.available, index, std::sync::atomic::Ordering::SeqCst).unwrap();
    }

    /// Moves the available index by `by` without offering anything.
    pub(in super::super) fn jump(&self, queue: u16, by: u16) {
        let index = GuestAddress(Self::ring_addresses(queue)[1] + 2);
        let now: u16 = self.ram.read_obj(index).unwrap();
        self.ram.write_obj(now.wrapping_add(by), index).unwrap();
    }

    /// Rings `queue`.
    pub(in super::super) fn ring(&self, queue: u16) {
        let notify = self.structure(2);
        let at = notify.offset + notify.stride * u64::from(queue);
        self.pci.write_bar(0, at, &queue.to_le_bytes());
    }

    /// Offers a chain and rings.
    pub(in super::super) fn send(&self, queue: u16, parts: &[Part]) -> u16 {
        let head = self.chain(queue, parts);
        self.offer(queue, head);
        self.ring(queue);
        head
    }

    /// The next used chain, if there is one: head and length.
    pub(in super::super) fn used(&self, queue: u16) -> Option<(u32, u32)> {
        let used = Self::ring_addresses(queue)[2];
        let mut rings = self.rings.borrow_mut();
        let ring = &mut rings[usize::from(queue)];
        let index = GuestAddress(used + 2);
        let now: u16 = self.ram.load(index, std::sync::atomic::Ordering::SeqCst).unwrap();
        if now == ring.seen {
            return None;
        }
        let at = used + 4 + 8 * u64::from(ring.seen % ring.size);
        ring.seen = ring.seen.wrapping_add(1);
        let head = self.ram.read_obj(GuestAddress(at)).unwrap();
        let len = self.ram.read_obj(GuestAddress(at + 4)).unwrap();
        // Interrupt for the one after, with EVENT_IDX.
        let event = Self::ring_addresses(queue)[1] + 4 + 2 * u64::from(ring.size);
        self.ram.write_obj(ring.seen, GuestAddress(event)).unwrap();
        Some((head, len))
    }

    /// Waits for the next used chain.
    pub(in super::super) fn wait_used(&self, queue: u16) -> (u32, u32) {
        let mut used = None;
        wait_for("a used chain", || {
            used = self.used(queue);
            used.is_some()
        });
        used.unwrap()
    }

    /// Offers a chain and waits until it is used; returns the length.
    pub(in super::super) fn exchange(&self, queue: u16, parts: &[Part]) -> u32 {
        let head = self.send(queue, parts);
        let (used, len) = self.wait_used(queue);
        assert_eq!(used, u32::from(head), "another chain came back");
        len
    }

    /// The driver's memory of its queues, for another rig with the same RAM contents.
    pub(in super::super) fn adopt(&self, other: &Self) {
        let mut copy = vec![0; RAM];
        other.ram.read_slice(&mut copy, GuestAddress(0)).unwrap();
        self.ram.write_slice(&copy, GuestAddress(0)).unwrap();
        self.rings.replace(other.rings.borrow().clone());
    }

    /// Whether INTA# is asserted.
    pub(in super::super) fn pin(&self) -> bool {
        self.irq.line(PIN)
    }

    /// Message data sent since the last time.
    pub(in super::super) fn messages(&self) -> Vec<u32> {
        std::mem::take(&mut *self.irq.messages.lock()).iter().map(|m| m.data).collect()
    }
}

/// Waits until `condition` holds; panics when it takes too long.
pub(in super::super) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
