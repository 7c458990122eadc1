//! A guest that means harm.

use std::sync::Arc;

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::super::registers::{cmd, ghc, irq, px};
use super::super::{Drive, Identity};
use super::rig::{DATA, FIS, FakeDisk, Fis, LIST, RAM, Rig, ram};
use crate::pci::PciDevice;
use crate::state::Persist;

/// Issues slot 0 and gives PxIS of what must be a fatal error, after which a restart helps.
fn fatal(rig: &Rig) -> u32 {
    rig.set_px(px::CI, 1);
    let status = rig.px(px::IS);
    rig.set_px(px::CI, 2);
    assert_eq!(rig.px(px::CI) & 2, 2, "halted");
    rig.set_px(px::CLB, LIST as u32);
    rig.set_px(px::CLBU, 0);
    rig.set_px(px::FB, FIS as u32);
    rig.restart();
    assert_eq!(rig.run(Fis::new(0xe5), &[]), 0x50, "works again");
    status
}

#[test]
fn structures_outside_ram() {
    let (rig, disk) = Rig::with_disk(1 << 20);
    for (low, high) in [(RAM as u32, 0), (0, 1), (!0, !0)] {
        rig.set_px(px::CLB, low);
        rig.set_px(px::CLBU, high);
        assert_eq!(fatal(&rig), irq::HBFS);
    }
    let table = GuestAddress(LIST + 8);
    for address in [RAM as u64 - 0x40, u64::MAX, 1 << 40] {
        rig.prepare(0, 0, Fis::new(0x25).count(1), &[(DATA, 512)]);
        rig.ram.write_obj(address, table).unwrap();
        assert!(matches!(fatal(&rig), irq::HBFS | irq::IFS), "{address:#x}");
    }
    for address in [RAM as u64 - 256, u64::MAX - 1, 1 << 63] {
        rig.prepare(0, 0, Fis::new(0x25).count(1), &[(address, 512)]);
        assert_eq!(fatal(&rig), irq::HBFS);
    }
    assert!(disk.log.lock().is_empty());
    rig.prepare(0, 0, Fis::new(0x25).count(1), &[(DATA, 512)]);
    rig.set_px(px::FB, RAM as u32);
    assert_eq!(fatal(&rig) & irq::HBFS, irq::HBFS);
}

#[test]
fn broken_commands() {
    let (rig, _) = Rig::with_disk(1 << 20);
    // No register FIS, one that is too short, one that is too long.
    for (first, header) in [(0x34u8, 5u32), (0x27, 1), (0x27, 31)] {
        rig.prepare(0, 0, Fis::new(0xe5), &[]);
        let flags = GuestAddress(LIST);
        rig.ram.write_obj(header, flags).unwrap();
        let table: u32 = rig.ram.read_obj(GuestAddress(LIST + 8)).unwrap();
        rig.ram.write_obj(first, GuestAddress(table.into())).unwrap();
        assert_eq!(fatal(&rig), irq::IFS, "{first:#x} {header}");
    }
    // A PRD table with less than the command needs.
    for prdt in [&[][..], &[(DATA, 510)], &[(DATA, 256), (DATA, 254)]] {
        rig.prepare(0, 0, Fis::new(0x25).count(1), prdt);
        assert_eq!(fatal(&rig), irq::DHRS | irq::TFES | irq::OFS);
    }
    // The tag of a command that has not ended.
    let (rig, disk) = Rig::with_disk(1 << 20);
    disk.hold.store(true, std::sync::atomic::Ordering::SeqCst);
    rig.prepare(0, 0, Fis::queued(false, 0, 0, 1), &[(DATA, 512)]);
    rig.set_px(px::CI, 1);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.px(px::IS), irq::IFS);
    disk.release(0);
    assert_eq!(rig.px(px::IS), irq::IFS);
}

#[test]
fn pages_shorter_than_their_buffer_and_longer() {
    let (rig, _) = Rig::with_disk(1 << 20);
    rig.fill(DATA, 1024, 0xee);
    rig.prepare(0, 0, Fis::new(0xec), &[(DATA, 100)]);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.acknowledge(), irq::PSS | irq::OFS);
    assert_eq!((rig.transferred(0), rig.bytes(DATA + 100, 1)[0]), (100, 0xee));
    rig.run(Fis::new(0xec), &[(DATA, 1024)]);
    assert_eq!((rig.transferred(0), rig.bytes(DATA + 512, 1)[0]), (512, 0xee));
}

/// Something a guest does.
#[derive(Debug, Clone)]
enum Act {
    Mmio { offset: u64, value: u32, len: usize },
    Idp { offset: u64, value: u32 },
    Config { offset: u64, value: u8 },
    Memory { offset: u64, bytes: Vec<u8> },
    Command { slot: u8, flags: u32, code: u8, lba: u64, count: u16, features: u16, len: u32 },
    Packet { cdb: [u8; 12], dma: bool, len: u32 },
    Start,
    Medium { loaded: bool, force: bool },
}

fn act() -> impl Strategy<Value = Act> {
    let register = prop_oneof![
        0u64..0x14,
        (0u64..0x48).prop_map(|at| px::BASE + at),
        (0u64..0x48).prop_map(|at| px::BASE + px::LEN + at),
        0u64..0x1000,
    ];
    let value = prop_oneof![any::<u32>(), (0u32..32).prop_map(|bit| 1 << bit), 0u32..0x20];
    let code = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0x25, 0x35, 0x3d, 0x60, 0x61, 0x06, 0xec, 0xea, 0x2f, 0xef]),
    ];
    let lba = prop_oneof![0u64..2048, any::<u64>()];
    let len = prop_oneof![1u32..0x2000, 0x20_0000u32..0x40_0000];
    prop_oneof![
        4 => (register, value.clone(), prop::sample::select(vec![1usize, 2, 4, 8]))
            .prop_map(|(offset, value, len)| Act::Mmio { offset, value, len }),
        1 => (0u64..32, value).prop_map(|(offset, value)| Act::Idp { offset, value }),
        1 => (4u64..6, any::<u8>()).prop_map(|(offset, value)| Act::Config { offset, value }),
        2 => (0u64..0x3000, prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(offset, bytes)| Act::Memory { offset, bytes }),
        6 => (0u8..32, any::<u32>(), code, lba, any::<u16>(), any::<u16>(), len.clone()).prop_map(
            |(slot, flags, code, lba, count, features, len)| {
                let count = if flags & 1 << 12 != 0 { u16::from(slot) << 3 } else { count % 64 };
                let features = if flags & 1 << 13 != 0 { features } else { features % 16 };
                Act::Command { slot, flags: flags & 0x7e0, code, lba, count, features, len }
            }
        ),
        3 => (any::<[u8; 12]>(), any::<bool>(), len)
            .prop_map(|(cdb, dma, len)| Act::Packet { cdb, dma, len }),
        3 => Just(Act::Start),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(loaded, force)| Act::Medium { loaded, force }),
    ]
}

fn perform(rig: &Rig, act: Act) {
    match act {
        Act::Mmio { offset, value, len } => {
            let mut data = [0; 8];
            data[..4].copy_from_slice(&value.to_le_bytes());
            data[4..].copy_from_slice(&value.to_le_bytes());
            rig.ahci.write_bar(5, offset, &data[..len]);
            rig.ahci.read_bar(5, offset, &mut data[..len]);
        }
        Act::Idp { offset, value } => {
            rig.ahci.write_bar(4, offset, &value.to_le_bytes());
            rig.ahci.read_bar(4, offset, &mut [0; 4]);
        }
        Act::Config { offset, value } => rig.write_config(offset, &[value]),
        Act::Memory { offset, bytes } => {
            rig.ram.write_slice(&bytes, GuestAddress(LIST + offset)).unwrap();
        }
        Act::Command { slot, flags, code, lba, count, features, len } => {
            let fis = Fis::new(code).lba(lba).count(count).features(features);
            rig.prepare(slot, flags, fis, &[(DATA, len), (DATA + 0x1000, len)]);
            rig.set_px(px::SACT, 1 << slot);
            rig.set_px(px::CI, 1 << slot);
        }
        Act::Packet { cdb, dma, len } => {
            rig.prepare_packet(&cdb, dma, &[(DATA, len)]);
            rig.set_px(px::CI, 1);
        }
        Act::Start => {
            rig.set_bus_master(true);
            rig.set_px(px::SCTL, 0);
            rig.set_px(px::CLBU, 0);
            rig.set_px(px::FBU, 0);
            rig.set_px(px::CMD, 0);
            rig.start();
        }
        Act::Medium { loaded, force } => {
            let Some(drive) = rig.ahci.optical(0) else { return };
            let medium = loaded.then(|| FakeDisk::new(&rig.ram, 1 << 16) as _);
            match force {
                true => drive.force_medium(medium),
                false => drop(drive.change_medium(medium)),
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::fuzz::cases(256))]

    #[test]
    fn no_guest_breaks_it(
        optical: bool,
        acts in prop::collection::vec(act(), 1..64),
    ) {
        let make = || {
            let ram = ram();
            let image = FakeDisk::new(&ram, 1 << 20);
            Rig::cold(ram, match optical {
                true => Drive::Optical {
                    medium: Some(image),
                    identity: Identity::optical("X"),
                    on_tray: Arc::new(|_| {}),
                },
                false => Drive::Disk { image, identity: Identity::disk("X") },
            })
        };
        let rig = make();
        let other_medium = acts.iter().any(|act| matches!(act, Act::Medium { .. }));
        for act in acts {
            perform(&rig, act);
        }
        let saved = rig.ahci.save();
        let copy = make();
        copy.ahci.restore(saved.clone()).unwrap();
        prop_assert!(other_medium || copy.ahci.save() == saved);
        // Whatever state it is in, a driver gets it to work.
        perform(&rig, Act::Start);
        rig.write(ghc::GHC, ghc::HR);
        prop_assert_eq!(rig.read(ghc::GHC) & ghc::HR, 0);
        perform(&rig, Act::Start);
        rig.set_px(px::CMD, cmd::FRE | cmd::ST);
        prop_assert_eq!(rig.run(Fis::new(if optical { 0xa1 } else { 0xec }), &[(DATA, 512)]), 0x50);
    }
}
