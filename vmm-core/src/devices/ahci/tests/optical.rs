//! Packet commands, the tray and media.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::registers::{irq, px};
use super::super::{Drive, Identity, MediumLocked, OpticalDrive};
use super::rig::{DATA, FIS, FakeDisk, Fis, Rig, ram};

const DISC: usize = 1 << 20;

struct Optical {
    rig: Rig,
    drive: OpticalDrive,
    tray: Arc<Mutex<Vec<bool>>>,
}

/// A started drive that has told of its reset.
fn optical(loaded: bool) -> Optical {
    let ram = ram();
    let disc = loaded.then(|| FakeDisk::new(&ram, DISC) as _);
    let tray = Arc::new(Mutex::new(Vec::new()));
    let seen = tray.clone();
    let drive = Drive::Optical {
        medium: disc,
        identity: Identity::optical("BERTHCD1"),
        on_tray: Arc::new(move |open| seen.lock().push(open)),
    };
    let rig = Rig::cold(ram, drive);
    rig.start();
    assert_eq!(rig.packet(&[0], 0), Err((6, 0x29, 0)), "tells that it was reset");
    let drive = rig.ahci.optical(0).expect("port 0 has one");
    Optical { rig, drive, tray }
}

fn disc(rig: &Rig, len: usize) -> Option<Arc<dyn crate::block::BlockDevice>> {
    Some(FakeDisk::new(&rig.ram, len))
}

/// The media event: code and status.
fn event(rig: &Rig) -> (u8, u8) {
    let answer = rig.packet(&[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], 8).unwrap();
    assert_eq!(answer[..4], [0, 6, 4, 0x10]);
    (answer[4], answer[5])
}

#[test]
fn a_driver_can_tell_it_from_a_disk() {
    let Optical { rig, .. } = optical(true);
    assert_eq!(rig.px(px::SIG), 0xeb14_0101);
    assert_eq!(rig.run(Fis::new(0xec), &[(DATA, 512)]), 0x0451);
    assert_eq!(rig.bytes(FIS + 0x45, 2), [0x14, 0xeb]);
    assert_eq!(rig.run(Fis::new(0xa1), &[(DATA, 512)]), 0x50);
    assert_eq!(rig.bytes(DATA, 2), [0xc0, 0x85]);
    assert!(rig.ahci.optical(1).is_none() && rig.ahci.optical(99).is_none());
}

#[test]
fn inquiry_names_it_by_dma_and_by_pio() {
    let Optical { rig, .. } = optical(true);
    let data = rig.packet(&[0x12, 0, 0, 0, 96], 96).unwrap();
    assert_eq!(data.len(), 36);
    assert_eq!(&data[..2], &[5, 0x80]);
    assert_eq!(&data[8..32], b"Berth   DVD-ROM         ");

    rig.prepare_packet(&[0x12, 0, 0, 0, 5], false, &[(DATA, 36)]);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.acknowledge(), irq::PSS | irq::DHRS);
    assert_eq!(rig.transferred(0), 5);
    assert_eq!(rig.packet(&[0x12, 1, 0, 0, 96], 96), Err((5, 0x24, 0)));
}

#[test]
fn reads_find_the_blocks() {
    let Optical { rig, .. } = optical(true);
    let capacity = rig.packet(&[0x25], 8).unwrap();
    assert_eq!(capacity, [0, 0, 1, 0xff, 0, 0, 8, 0]);
    let expected: Vec<u8> =
        (3 * 2048..5 * 2048).map(|at| ((at / 512) as u8).wrapping_add((at % 512) as u8)).collect();
    for cdb in [
        &[0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0][..],
        &[0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 2],
        &[0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0x10],
    ] {
        assert_eq!(rig.packet(cdb, 4096).unwrap(), expected, "{cdb:x?}");
    }
    assert_eq!(rig.ahci.stats(0).bytes_read, 3 * 4096);
    assert_eq!(rig.packet(&[0x28, 0, 0, 0, 2, 0, 0, 0, 1], 2048), Err((5, 0x21, 0)));
    assert_eq!(
        rig.packet(&[0xa8, 0, 255, 255, 255, 255, 255, 255, 255, 255], 2),
        Err((5, 0x21, 0))
    );
    assert_eq!(rig.packet(&[0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0xf8], 4704), Err((5, 0x24, 0)));
    assert_eq!(rig.packet(&[0xff], 2), Err((5, 0x20, 0)));
}

#[test]
fn a_read_error_is_told_in_sense_data() {
    let ram = ram();
    let disc = FakeDisk::new(&ram, DISC);
    let medium: Arc<dyn crate::block::BlockDevice> = disc.clone();
    let identity = Identity::optical("");
    let drive = Drive::Optical { medium: Some(medium), identity, on_tray: Arc::new(|_| {}) };
    let rig = Rig::cold(ram, drive);
    rig.start();
    assert!(rig.packet(&[0], 0).is_err());
    disc.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(rig.packet(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1], 2048), Err((3, 0x11, 0)));
}

#[test]
fn the_guest_ejects_and_loads() {
    let Optical { rig, drive, tray } = optical(true);
    assert_eq!(rig.packet(&[0], 0), Ok(vec![]));
    assert_eq!(event(&rig), (0, 2));
    assert_eq!(rig.packet(&[0x1b, 0, 0, 0, 2], 0), Ok(vec![]));
    assert_eq!(*tray.lock(), [true]);
    assert!(drive.tray_open() && drive.medium_present());
    assert_eq!(event(&rig), (3, 1));
    assert_eq!(event(&rig), (0, 1));
    assert_eq!(rig.packet(&[0], 0), Err((2, 0x3a, 2)));
    assert_eq!(rig.packet(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1], 2048), Err((2, 0x3a, 2)));

    assert_eq!(rig.packet(&[0x1b, 0, 0, 0, 3], 0), Ok(vec![]));
    assert_eq!(*tray.lock(), [true, false]);
    assert_eq!(rig.packet(&[0], 0), Err((6, 0x28, 0)));
    assert_eq!(rig.packet(&[0], 0), Ok(vec![]));
    assert_eq!(event(&rig), (2, 2));

    // Ejected and taken away.
    rig.packet(&[0x1b, 0, 0, 0, 2], 0).unwrap();
    drive.change_medium(None).unwrap();
    assert!(!drive.tray_open() && !drive.medium_present());
    assert_eq!(rig.packet(&[0], 0), Err((2, 0x3a, 1)));
}

#[test]
fn a_machine_may_take_the_medium_as_soon_as_it_is_ejected() {
    use std::sync::OnceLock;
    let ram = ram();
    let handle: Arc<OnceLock<OpticalDrive>> = Arc::default();
    let later = handle.clone();
    let drive = Drive::Optical {
        medium: Some(FakeDisk::new(&ram, DISC)),
        identity: Identity::optical(""),
        on_tray: Arc::new(move |_| later.get().unwrap().change_medium(None).unwrap()),
    };
    let rig = Rig::cold(ram, drive);
    handle.set(rig.ahci.optical(0).unwrap()).ok().unwrap();
    rig.start();
    assert!(rig.packet(&[0], 0).is_err());
    rig.packet(&[0x1b, 0, 0, 0, 2], 0).unwrap();
    assert!(!handle.get().unwrap().medium_present());
}

#[test]
fn a_link_reset_does_not_hide_a_new_medium() {
    let Optical { rig, drive, .. } = optical(false);
    drive.change_medium(disc(&rig, 4096)).unwrap();
    rig.set_px(px::SCTL, 1);
    rig.set_px(px::SCTL, 0);
    rig.restart();
    assert_eq!(rig.packet(&[0], 0), Err((6, 0x29, 0)));
    assert_eq!(rig.packet(&[0], 0), Err((6, 0x28, 0)));
    assert_eq!(event(&rig), (2, 2));
}

#[test]
fn a_new_medium_is_announced() {
    let Optical { rig, drive, tray } = optical(false);
    assert_eq!(rig.packet(&[0], 0), Err((2, 0x3a, 1)));
    assert_eq!(event(&rig), (0, 0));
    drive.change_medium(disc(&rig, 4096)).unwrap();
    assert_eq!(event(&rig), (2, 2));
    assert_eq!(rig.packet(&[0x25], 8), Err((6, 0x28, 0)));
    assert_eq!(rig.packet(&[0x25], 8).unwrap()[..4], [0, 0, 0, 1]);
    // Exchanged: first that the old one went, then that there is a new one.
    drive.change_medium(disc(&rig, 8192)).unwrap();
    assert_eq!(event(&rig), (3, 2));
    assert_eq!(event(&rig), (2, 2));
    assert_eq!(event(&rig), (0, 2));
    assert!(tray.lock().is_empty(), "the guest moved nothing");
}

#[test]
fn a_locked_tray_asks_the_guest() {
    let Optical { rig, drive, .. } = optical(true);
    rig.packet(&[0x1e, 0, 0, 0, 1], 0).unwrap();
    assert!(drive.locked());
    assert_eq!(rig.packet(&[0x1b, 0, 0, 0, 2], 0), Err((5, 0x53, 2)));
    assert_eq!(drive.change_medium(None), Err(MediumLocked));
    assert!(drive.medium_present());
    assert_eq!(event(&rig), (1, 2), "eject request");
    rig.packet(&[0x1e, 0, 0, 0, 0], 0).unwrap();
    assert_eq!(drive.change_medium(None), Ok(()));

    drive.change_medium(disc(&rig, 4096)).unwrap();
    assert!(rig.packet(&[0], 0).is_err());
    rig.packet(&[0x1e, 0, 0, 0, 1], 0).unwrap();
    drive.force_medium(None);
    assert!(!drive.medium_present() && !drive.locked());
}

#[test]
fn descriptive_commands_answer() {
    let Optical { rig, .. } = optical(true);
    for cdb in [
        &[0x43, 0, 0, 0, 0, 0, 0, 0, 12][..],
        &[0x43, 2, 2, 0, 0, 0, 0, 0, 255],
        &[0x46, 0, 0, 0, 0, 0, 0, 0, 255],
        &[0x51, 0, 0, 0, 0, 0, 0, 0, 34],
        &[0x52, 1, 0, 0, 0, 1, 0, 0, 36],
        &[0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 30],
        &[0x1a, 0, 0x3f, 0, 255],
        &[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8],
        &[0x42, 2, 0x40, 1, 0, 0, 0, 0, 16],
    ] {
        let data = rig.packet(cdb, 256).unwrap();
        assert!(!data.is_empty() && data.len() <= 256, "{cdb:x?}");
    }
    // A CD has no DVD structures.
    let structure = [0xad, 0, 0, 0, 0, 0, 0, 0, 8, 4];
    assert_eq!(rig.packet(&structure, 2052), Err((5, 0x30, 2)));
    assert_eq!(rig.packet(&[0x5a, 0, 0xea, 0, 0, 0, 0, 0, 30], 30), Err((5, 0x39, 0)));
    assert_eq!(rig.packet(&[0x5a, 0, 0x05, 0, 0, 0, 0, 0, 30], 30), Err((5, 0x24, 0)));
}

#[test]
fn an_empty_allocation_answers_nothing() {
    let Optical { rig, .. } = optical(true);
    for op in [0x12, 0x03, 0x46, 0x43, 0x51] {
        assert_eq!(rig.packet(&[op], 0), Ok(vec![]), "{op:#x}");
    }
}
