//! A driver and a disk for tests.

use std::sync::Arc;

use vm_memory::{Bytes, GuestAddress};

use super::super::hba::Ahci;
use super::super::registers::{cmd, ghc, px};
use super::super::{Drive, Identity};
use crate::bus::{Bus, BusDevice};
pub(super) use crate::devices::fake_disk::FakeDisk;
use crate::interrupt::Recorder;
use crate::memory::GuestRam;
use crate::pci::{EcamWindow, PciDevice, RootBus, Slot, test_rig};

pub(super) const RAM: usize = 8 << 20;
/// Where the driver has its structures for a port, and where data goes.
pub(super) const LIST: u64 = 0x1_0000;
pub(super) const FIS: u64 = 0x1_1000;
const TABLES: u64 = 0x2_0000;
const TABLE_LEN: u64 = 0x1000;
pub(super) const DATA: u64 = 0x10_0000;
/// The function's page in the ECAM window.
const CONFIG: u64 = 31 << 15 | 2 << 12;
/// INTA# of the rig.
const PIN: u32 = 100;

/// A command FIS in the making.
#[derive(Clone, Copy, Default)]
pub(super) struct Fis(pub(super) [u8; 20]);

impl Fis {
    pub(super) fn new(command: u8) -> Self {
        let mut bytes = [0; 20];
        bytes[..3].copy_from_slice(&[0x27, 0x80, command]);
        bytes[7] = 0x40;
        Self(bytes)
    }
    pub(super) fn lba(mut self, lba: u64) -> Self {
        let lba = lba.to_le_bytes();
        self.0[4..7].copy_from_slice(&lba[..3]);
        self.0[8..11].copy_from_slice(&lba[3..6]);
        self
    }
    pub(super) fn count(mut self, count: u16) -> Self {
        self.0[12..14].copy_from_slice(&count.to_le_bytes());
        self
    }
    pub(super) fn features(mut self, features: u16) -> Self {
        [self.0[3], self.0[11]] = features.to_le_bytes();
        self
    }
    pub(super) fn device(mut self, device: u8) -> Self {
        self.0[7] = device;
        self
    }
    /// A control register FIS.
    pub(super) fn control(control: u8) -> Self {
        let mut bytes = [0; 20];
        bytes[0] = 0x27;
        bytes[15] = control;
        Self(bytes)
    }
    pub(super) fn queued(write: bool, slot: u8, lba: u64, sectors: u16) -> Self {
        let fis = Self::new(if write { 0x61 } else { 0x60 }).lba(lba).features(sectors);
        fis.count(u16::from(slot) << 3)
    }
}

/// A controller, its driver and its surroundings.
pub(super) struct Rig {
    pub(super) ahci: Arc<Ahci>,
    ecam: EcamWindow,
    _bus: Arc<RootBus>,
    pub(super) ram: Arc<GuestRam>,
    pub(super) irq: Arc<Recorder>,
}

pub(super) fn ram() -> Arc<GuestRam> {
    Arc::new(GuestRam::from_ranges(&[(GuestAddress(0), RAM)]).unwrap())
}

pub(super) fn disk_drive(image: Arc<FakeDisk>) -> Drive {
    Drive::Disk { image, identity: Identity::disk("BERTH0001") }
}

impl Rig {
    /// A controller with one drive, at port 0, not yet started.
    pub(super) fn cold(ram: Arc<GuestRam>, drive: Drive) -> Self {
        let (intx, irq) = test_rig::intx(Slot::new(31, 2));
        let mut drives = [const { None }; 6];
        drives[0] = Some(drive);
        let ahci = Ahci::new(intx, ram.clone(), drives);
        let bus = RootBus::new(Arc::new(Bus::new()), Arc::new(Bus::new()));
        bus.insert(ahci.clone());
        let bus = Arc::new(bus);
        let ecam = EcamWindow::new(&bus);
        let rig = Self { ahci, ecam, _bus: bus, ram, irq };
        rig.set_bus_master(true);
        rig
    }

    /// A disk of `len` bytes on a started controller.
    pub(super) fn with_disk(len: usize) -> (Self, Arc<FakeDisk>) {
        let ram = ram();
        let disk = FakeDisk::new(&ram, len);
        let rig = Self::cold(ram, disk_drive(disk.clone()));
        rig.start();
        (rig, disk)
    }

    pub(super) fn set_bus_master(&self, on: bool) {
        self.write_config(0x04, &[if on { 7 } else { 3 }, 0]);
    }

    /// Writes the function's configuration space.
    pub(super) fn write_config(&self, offset: u64, data: &[u8]) {
        self.ecam.write(CONFIG + offset, data);
    }

    pub(super) fn read_config(&self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.ecam.read(CONFIG + offset, &mut data);
        u32::from_le_bytes(data)
    }

    pub(super) fn read(&self, offset: u64) -> u32 {
        let mut data = [0xff; 4];
        self.ahci.read_bar(5, offset, &mut data);
        u32::from_le_bytes(data)
    }
    pub(super) fn write(&self, offset: u64, value: u32) {
        self.ahci.write_bar(5, offset, &value.to_le_bytes());
    }
    pub(super) fn px(&self, register: u64) -> u32 {
        self.read(px::BASE + register)
    }
    pub(super) fn set_px(&self, register: u64, value: u32) {
        self.write(px::BASE + register, value);
    }

    /// Brings port 0 up, as an operating system does.
    pub(super) fn start(&self) {
        self.write(ghc::GHC, ghc::AE | ghc::IE);
        self.set_px(px::CLB, LIST as u32);
        self.set_px(px::FB, FIS as u32);
        self.set_px(px::CMD, cmd::FRE);
        self.set_px(px::SERR, !0);
        self.set_px(px::IS, !0);
        self.write(ghc::IS, !0);
        self.set_px(px::IE, !0);
        self.set_px(px::CMD, cmd::FRE | cmd::ST);
    }

    /// Stops and starts the command list, as after an error.
    pub(super) fn restart(&self) {
        self.set_px(px::CMD, cmd::FRE);
        self.set_px(px::SERR, !0);
        self.acknowledge();
        self.set_px(px::CMD, cmd::FRE | cmd::ST);
    }

    /// What an interrupt handler does; gives PxIS.
    pub(super) fn acknowledge(&self) -> u32 {
        let status = self.px(px::IS);
        self.set_px(px::IS, status);
        self.write(ghc::IS, 1);
        status
    }

    pub(super) fn interrupted(&self) -> bool {
        self.irq.line(PIN)
    }

    /// Writes a command into `slot`: header flags, FIS and PRD entries of address and length.
    pub(super) fn prepare(&self, slot: u8, flags: u32, fis: Fis, prdt: &[(u64, u32)]) {
        let table = TABLES + u64::from(slot) * TABLE_LEN;
        let flags = flags | 5 | (prdt.len() as u32) << 16;
        let header = LIST + u64::from(slot) * 32;
        for (at, value) in [(0, flags), (4, 0xdead), (8, table as u32), (12, 0)] {
            self.ram.write_obj(value, GuestAddress(header + at)).unwrap();
        }
        self.ram.write_slice(&fis.0, GuestAddress(table)).unwrap();
        for (index, (address, len)) in (0u64..).zip(prdt) {
            let entry = table + 0x80 + 16 * index;
            self.ram.write_obj(*address, GuestAddress(entry)).unwrap();
            self.ram.write_obj(len - 1, GuestAddress(entry + 12)).unwrap();
        }
    }

    pub(super) fn prepare_packet(&self, cdb: &[u8], by_dma: bool, prdt: &[(u64, u32)]) {
        let fis = Fis::new(0xa0).features(by_dma.into());
        self.prepare(0, 1 << 5, fis, prdt);
        let mut packet = [0; 16];
        packet[..cdb.len()].copy_from_slice(cdb);
        self.ram.write_slice(&packet, GuestAddress(TABLES + 0x40)).unwrap();
    }

    /// Runs a command in slot 0 to its end; gives PxTFD. The engine is restarted after errors.
    pub(super) fn run(&self, fis: Fis, prdt: &[(u64, u32)]) -> u32 {
        self.prepare(0, 0, fis, prdt);
        self.finish()
    }

    /// Issues slot 0.
    pub(super) fn finish(&self) -> u32 {
        self.set_px(px::CI, 1);
        let task_file = self.px(px::TFD);
        if task_file & 1 != 0 {
            assert_eq!(self.px(px::CI), 1, "a failed command stays issued");
            self.restart();
        } else {
            assert_eq!(self.px(px::CI), 0);
            self.acknowledge();
        }
        task_file
    }

    /// Runs a packet command; `Err` has key, code and qualifier of the sense data.
    pub(super) fn packet(&self, cdb: &[u8], len: u32) -> Result<Vec<u8>, (u8, u8, u8)> {
        self.fill(DATA, len as usize, 0xee);
        self.prepare_packet(cdb, true, &[(DATA, len.max(2))]);
        if self.finish() & 1 == 0 {
            let transferred = self.transferred(0) as usize;
            return Ok(self.bytes(DATA, transferred));
        }
        self.prepare_packet(&[0x03, 0, 0, 0, 18], true, &[(DATA, 18)]);
        assert_eq!(self.finish() & 1, 0, "REQUEST SENSE cannot fail");
        let sense = self.bytes(DATA, 18);
        Err((sense[2], sense[12], sense[13]))
    }

    /// PRDBC of a slot.
    pub(super) fn transferred(&self, slot: u64) -> u32 {
        self.ram.read_obj(GuestAddress(LIST + slot * 32 + 4)).unwrap()
    }

    pub(super) fn bytes(&self, address: u64, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        self.ram.read_slice(&mut data, GuestAddress(address)).unwrap();
        data
    }

    pub(super) fn fill(&self, address: u64, len: usize, value: u8) {
        self.ram.write_slice(&vec![value; len], GuestAddress(address)).unwrap();
    }
}
