//! Configuration space, register access, interrupts, and state.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::super::registers::{ghc, irq, px};
use super::super::{Ahci, AhciState, Drive, Identity};
use super::rig::{DATA, FakeDisk, Fis, Rig, disk_drive, ram};
use crate::pci::PciDevice;
use crate::state::{Persist, Reset, RestoreError, conformance};

#[test]
fn firmware_finds_an_ich9_in_ahci_mode() {
    let (rig, _) = Rig::with_disk(4096);
    assert_eq!(rig.read_config(0x00), 0x2922_8086);
    assert_eq!(rig.read_config(0x08), 0x0106_0102);
    assert_eq!(rig.read_config(0x3c) >> 8 & 0xff, 1, "INTA#");
    assert_eq!(rig.read_config(0x90) & 0xc0, 0x40);
    assert_eq!(rig.read_config(0x90) >> 16 & 0x3f3f, 0x0101, "enabled and present");
    rig.write_config(0x20, &[0xff; 4]);
    assert_eq!(rig.read_config(0x20), !0x1f | 1);
    rig.write_config(0x24, &[0xff; 4]);
    assert_eq!(rig.read_config(0x24), !0xfff);
}

#[test]
fn the_index_data_pair_reaches_the_registers() {
    let (rig, _) = Rig::with_disk(4096);
    let set = |offset, value: u32| rig.ahci.write_bar(4, offset, &value.to_le_bytes());
    set(0x10, ghc::VS as u32 | 0xff00_0003);
    let mut data = [0; 4];
    rig.ahci.read_bar(4, 0x10, &mut data);
    assert_eq!(u32::from_le_bytes(data), ghc::VS as u32);
    rig.ahci.read_bar(4, 0x14, &mut data);
    assert_eq!(u32::from_le_bytes(data), 0x0001_0301);
    set(0x10, (px::BASE + px::IE) as u32);
    set(0x14, 1);
    assert_eq!(rig.px(px::IE), 1);
}

#[test]
fn accesses_of_other_widths() {
    let (rig, _) = Rig::with_disk(4096);
    let mut wide = [0; 8];
    rig.ahci.read_bar(5, ghc::CAP, &mut wide);
    assert_eq!(u32::from_le_bytes([wide[4], wide[5], wide[6], wide[7]]), rig.read(ghc::GHC));
    rig.ahci.write_bar(5, px::BASE + px::CLB, &0x1_2345_6789u64.to_le_bytes());
    assert_eq!((rig.px(px::CLB), rig.px(px::CLBU)), (0x2345_6400, 1));
    rig.ahci.write_bar(5, px::BASE + px::CLB + 3, &[0x99]);
    assert_eq!(rig.px(px::CLB), 0x9945_6400);
    let mut byte = [0];
    rig.ahci.read_bar(5, px::BASE + px::CLB + 2, &mut byte);
    assert_eq!(byte, [0x45]);
    // A byte of a register where ones act leaves the others alone.
    rig.set_px(px::SACT, 0x0101);
    rig.ahci.write_bar(5, px::BASE + px::SACT, &[2]);
    assert_eq!(rig.px(px::SACT), 0x0103);
}

#[test]
fn the_pin_follows_until_the_guest_has_served_everything() {
    let (rig, disk) = Rig::with_disk(1 << 20);
    disk.hold.store(true, SeqCst);
    for slot in [0, 1] {
        rig.prepare(slot, 0, Fis::queued(false, slot, 0, 1), &[(DATA, 512)]);
    }
    rig.set_px(px::SACT, 3);
    rig.set_px(px::CI, 3);
    disk.release(0);
    assert!(rig.interrupted());
    assert_eq!(rig.read(ghc::IS), 1);
    rig.set_px(px::IS, !0);
    assert!(rig.interrupted(), "latched in IS");
    // Another command ends between clearing PxIS and IS.
    disk.release(0);
    rig.write(ghc::IS, 1);
    assert!(rig.interrupted(), "not lost");
    rig.acknowledge();
    assert!(!rig.interrupted());
    assert_eq!(rig.irq.edge_count(100), 1);

    disk.hold.store(false, SeqCst);
    rig.write(ghc::GHC, 0);
    rig.prepare(0, 0, Fis::new(0xe5), &[]);
    rig.set_px(px::CI, 1);
    assert!(!rig.interrupted());
    rig.write(ghc::GHC, ghc::IE);
    assert!(rig.interrupted());
    rig.acknowledge();
    rig.set_px(px::IE, irq::TFES);
    rig.set_px(px::CI, 1);
    assert!(!rig.interrupted(), "not enabled in PxIE");
}

#[test]
fn a_message_for_every_latch() {
    let (rig, disk) = Rig::with_disk(1 << 20);
    let capability = u64::from(rig.read_config(0x34) & 0xff);
    rig.write_config(capability + 4, &0xfee0_0000u32.to_le_bytes());
    rig.write_config(capability + 12, &[0x41, 0]);
    rig.write_config(capability + 2, &[1, 0]);
    let messages = || rig.irq.messages.lock().len();
    disk.hold.store(true, SeqCst);
    for slot in 0..4 {
        rig.prepare(slot, 0, Fis::queued(false, slot, 0, 1), &[(DATA, 512)]);
    }
    rig.set_px(px::SACT, 15);
    rig.set_px(px::CI, 15);
    disk.release(0);
    disk.release(0);
    assert_eq!(messages(), 1, "the second needs no further one");
    rig.set_px(px::IS, !0);
    disk.release(0);
    assert_eq!(messages(), 1);
    rig.write(ghc::IS, 1);
    assert_eq!(messages(), 2, "what came in between is announced");
    rig.acknowledge();
    assert_eq!(messages(), 2);
    disk.release(0);
    assert_eq!(messages(), 3);
    assert!(!rig.interrupted(), "the pin is not used");
}

#[test]
fn commands_wait_for_bus_master_enable() {
    let (rig, _) = Rig::with_disk(1 << 20);
    rig.set_bus_master(false);
    rig.prepare(0, 0, Fis::new(0xec), &[(DATA, 512)]);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.px(px::CI), 1);
    rig.set_bus_master(true);
    assert_eq!(rig.px(px::CI), 0);
}

/// A rig as the conformance test wants its device.
struct Whole(Rig);

impl std::ops::Deref for Whole {
    type Target = Ahci;
    fn deref(&self) -> &Ahci {
        &self.0.ahci
    }
}
impl Persist for Whole {
    type State = AhciState;
    fn save(&self) -> AhciState {
        self.0.ahci.save()
    }
    fn restore(&self, state: AhciState) -> Result<(), RestoreError> {
        self.0.ahci.restore(state)
    }
}
impl Reset for Whole {
    fn reset(&self) {
        self.0.ahci.reset();
    }
}

fn observe(device: &Whole) -> Vec<u8> {
    let rig = &device.0;
    let config = (0..64).map(|at| rig.read_config(at * 4));
    let abar = (0..0x180 / 4).map(|at| rig.read(at * 4));
    let mut seen: Vec<u8> = config.chain(abar).flat_map(u32::to_le_bytes).collect();
    seen.push(rig.interrupted().into());
    // The guest's memory is not the device's: what it does next is tried in fresh structures.
    rig.restart();
    rig.fill(DATA, 512, 0);
    seen.extend(rig.run(Fis::new(0xec), &[(DATA, 512)]).to_le_bytes());
    seen.extend(rig.bytes(DATA, 512));
    seen.extend(rig.run(Fis::new(0x2f).lba(0x10).count(1), &[(DATA, 512)]).to_le_bytes());
    seen.extend(rig.bytes(DATA, 512));
    seen
}

#[test]
fn a_disk_conforms() {
    let make = || {
        let ram = ram();
        let disk = FakeDisk::new(&ram, 1 << 20);
        Whole(Rig::cold(ram, disk_drive(disk)))
    };
    conformance::check(
        make,
        |device| {
            let rig = &device.0;
            rig.start();
            rig.run(Fis::new(0xef).features(0x82), &[]);
            rig.run(Fis::new(0xc6).count(4), &[]);
            // A failed queued command, not yet served.
            rig.prepare(3, 0, Fis::queued(false, 3, 1 << 40, 1), &[(DATA, 512)]);
            rig.set_px(px::SACT, 8);
            rig.set_px(px::CI, 8);
            rig.ahci.write_bar(4, 0x10, &[0x10, 0, 0, 0]);
        },
        observe,
    );
}

fn optical_drive() -> Whole {
    let ram = ram();
    let medium: Option<Arc<dyn crate::block::BlockDevice>> = Some(FakeDisk::new(&ram, 1 << 20));
    let identity = Identity::optical("BERTHCD1");
    Whole(Rig::cold(ram, Drive::Optical { medium, identity, on_tray: Arc::new(|_| {}) }))
}

#[test]
fn an_optical_drive_conforms() {
    conformance::check(
        optical_drive,
        |device| {
            let rig = &device.0;
            rig.start();
            let _ = rig.packet(&[0], 0);
            rig.packet(&[0x1e, 0, 0, 0, 1], 0).unwrap();
            // Sense data waits to be asked for.
            rig.prepare_packet(&[0xff], true, &[]);
            rig.set_px(px::CI, 1);
        },
        |device| {
            let rig = &device.0;
            let mut seen = observe(device);
            seen.extend(rig.packet(&[0x03, 0, 0, 0, 18], 18).unwrap());
            seen.extend(rig.packet(&[0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 30], 30).unwrap());
            seen
        },
    );
}

#[test]
fn an_open_tray_is_restored() {
    let original = optical_drive();
    original.0.start();
    let _ = original.0.packet(&[0], 0);
    original.0.packet(&[0x1b, 0, 0, 0, 2], 0).unwrap();
    let copy = optical_drive();
    copy.restore(original.save()).unwrap();
    assert!(copy.optical(0).unwrap().tray_open());
}

#[test]
fn a_state_of_another_machine_is_refused() {
    let optical = optical_drive();
    let (disk, _) = Rig::with_disk(4096);
    let before = serde_json::to_value(disk.ahci.save()).unwrap();
    let error = disk.ahci.restore(optical.save()).unwrap_err();
    assert!(error.to_string().contains("port 0"), "{error}");
    let mut bad = before.clone();
    bad["ports"][0]["device"]["Disk"]["sectors"] = 0.into();
    assert!(disk.ahci.restore(serde_json::from_value(bad).unwrap()).is_err());
    let mut bad = before.clone();
    bad["ports"][1]["link"] = "Up".into();
    assert!(disk.ahci.restore(serde_json::from_value(bad).unwrap()).is_err());
    assert_eq!(serde_json::to_value(disk.ahci.save()).unwrap(), before, "unchanged");
}
