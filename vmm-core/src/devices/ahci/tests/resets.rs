//! Resets, with and without commands in flight.

use std::sync::atomic::Ordering::SeqCst;

use super::super::registers::{cmd, ghc, irq, px};
use super::rig::{DATA, FIS, FakeDisk, Fis, LIST, Rig, disk_drive, ram};
use crate::block::BlockDevice;

/// A command is in flight; its 512 bytes go to `DATA`.
fn busy() -> (Rig, std::sync::Arc<FakeDisk>) {
    let (rig, disk) = Rig::with_disk(1 << 20);
    disk.hold.store(true, SeqCst);
    rig.prepare(0, 0, Fis::new(0x25).count(1), &[(DATA, 512)]);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.px(px::TFD) & 0x80, 0x80);
    (rig, disk)
}

#[test]
fn power_on_state() {
    let ram = ram();
    let disk = FakeDisk::new(&ram, 4096);
    let rig = Rig::cold(ram, disk_drive(disk));
    assert_eq!(rig.read(ghc::PI), 1);
    assert_eq!(rig.read(ghc::GHC), 0x8000_0000);
    assert_eq!(rig.read(ghc::VS), 0x0001_0301);
    assert_eq!(rig.px(px::CMD), 6);
    assert_eq!(rig.px(px::SSTS), 0x123);
    assert_eq!(rig.px(px::SIG), !0, "no FIS can be received yet");
    assert_eq!(rig.px(px::TFD), 0x80);
    assert_eq!(rig.px(px::SERR), 1 << 26 | 1 << 16);
    assert_eq!(rig.px(px::IS), irq::PCS | irq::PRCS);
    rig.set_px(px::IS, !0);
    assert_eq!(rig.px(px::IS), irq::PCS | irq::PRCS, "these follow PxSERR");
    rig.set_px(px::SERR, 1 << 26);
    assert_eq!(rig.px(px::IS), irq::PRCS);

    rig.set_px(px::FB, FIS as u32 | 0xff);
    assert_eq!(rig.px(px::FB), FIS as u32);
    rig.set_px(px::CMD, cmd::FRE);
    assert_eq!((rig.px(px::SIG), rig.px(px::TFD)), (0x101, 0x150));
    assert_eq!(rig.bytes(FIS + 0x40, 4), [0x34, 0, 0x50, 1]);
    assert_eq!(rig.px(px::CMD), 6 | cmd::FRE | cmd::FR);
    // Unimplemented ports read as zero.
    assert_eq!(rig.read(px::BASE + px::LEN + px::CMD), 0);
    rig.write(px::BASE + px::LEN + px::CI, !0);
}

#[test]
fn stopping_the_list_drops_what_is_in_flight() {
    let (rig, disk) = busy();
    rig.set_px(px::CMD, cmd::FRE);
    assert_eq!(rig.px(px::CI), 0);
    assert_eq!(rig.px(px::CMD) & cmd::CR, cmd::CR, "runs until memory is left alone");
    // Software that does not wait gains nothing.
    rig.set_px(px::CMD, cmd::FRE | cmd::ST);
    rig.prepare(1, 0, Fis::new(0xe5), &[]);
    rig.set_px(px::CI, 2);
    assert_eq!(rig.px(px::CI), 2);
    assert_eq!(rig.px(px::IS), 0);
    disk.release(0);
    assert_eq!(rig.px(px::CI), 0, "then the new command runs");
    assert_eq!(rig.px(px::TFD), 0x50);
    assert_eq!(rig.px(px::IS), irq::DHRS);
    assert_eq!(rig.ahci.stats(0).reads, 0);
}

#[test]
fn comreset_completes_when_nothing_is_in_flight() {
    let (rig, disk) = busy();
    rig.set_px(px::CMD, cmd::FRE);
    rig.set_px(px::SCTL, 0x301);
    assert_eq!((rig.px(px::SSTS), rig.px(px::TFD)), (0, 0x7f));
    rig.set_px(px::SCTL, 0x300);
    assert_eq!((rig.px(px::SSTS), rig.px(px::TFD) & 0x80), (1, 0x80));
    disk.release(0);
    assert_eq!((rig.px(px::SSTS), rig.px(px::TFD), rig.px(px::SIG)), (0x123, 0x150, 0x101));
    assert_eq!(rig.px(px::CMD) & cmd::CR, 0);
    disk.hold.store(false, SeqCst);
    rig.restart();
    assert_eq!(rig.run(Fis::new(0x25).count(1), &[(DATA, 512)]), 0x50);
}

#[test]
fn hba_reset_keeps_only_the_base_addresses() {
    let (rig, disk) = busy();
    assert!(!rig.interrupted());
    rig.write(ghc::GHC, ghc::HR);
    assert_eq!(rig.read(ghc::GHC), ghc::AE | ghc::HR);
    assert_eq!((rig.px(px::CLB), rig.px(px::FB)), (LIST as u32, FIS as u32));
    assert_eq!((rig.px(px::IE), rig.px(px::CI), rig.px(px::CMD)), (0, 0, 6 | cmd::CR));
    disk.release(0);
    assert_eq!(rig.read(ghc::GHC), ghc::AE);
    assert_eq!((rig.px(px::CMD), rig.px(px::SSTS)), (6, 0x123));
    disk.hold.store(false, SeqCst);
    rig.start();
    assert_eq!(rig.run(Fis::new(0xec), &[(DATA, 512)]), 0x50);
}

#[test]
fn software_reset_sends_the_signature() {
    let (rig, disk) = Rig::with_disk(1 << 20);
    disk.hold.store(true, SeqCst);
    rig.prepare(4, 0, Fis::queued(false, 4, 0, 1), &[(DATA, 512)]);
    rig.set_px(px::SACT, 16);
    rig.set_px(px::CI, 16);
    // SRST set, with "clear busy on acceptance", then clear.
    rig.prepare(0, 1 << 10 | 1 << 8, Fis::control(4), &[]);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.px(px::CI), 0);
    rig.prepare(0, 0, Fis::control(0), &[]);
    rig.set_px(px::CI, 1);
    assert_eq!(rig.px(px::CI), 1, "an old request is in flight");
    disk.release(0);
    assert_eq!(rig.px(px::CI), 0);
    assert_eq!(rig.px(px::TFD), 0x150);
    assert_eq!(rig.bytes(FIS + 0x40, 4), [0x34, 0, 0x50, 1]);
    assert_eq!(rig.px(px::SACT), 16, "never ended");
}

#[test]
fn command_list_override_clears_busy() {
    let (rig, disk) = busy();
    rig.set_px(px::CMD, cmd::FRE);
    assert_eq!(rig.px(px::TFD) & 0x80, 0x80);
    rig.set_px(px::CMD, cmd::FRE | cmd::CLO);
    assert_eq!(rig.px(px::TFD) & 0x88, 0);
    assert_eq!(rig.px(px::CMD) & cmd::CLO, 0);
    disk.release(0);
    assert_eq!(rig.px(px::CMD) & cmd::CR, 0);
}

#[test]
fn machine_reset_waits_for_the_block_layer() {
    use crate::state::Reset;
    let (rig, disk) = busy();
    let ahci = rig.ahci.clone();
    let reset = std::thread::spawn(move || ahci.reset());
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!reset.is_finished());
    disk.drain();
    reset.join().unwrap();
    assert_eq!(rig.px(px::CLB), 0);
    assert_eq!(rig.px(px::SSTS), 0x123);
}

#[test]
fn drain_ends_everything_issued() {
    let (rig, disk) = Rig::with_disk(1 << 20);
    disk.hold.store(true, SeqCst);
    for slot in 0..4 {
        rig.prepare(slot, 0, Fis::new(0x3d).count(1), &[(DATA, 512)]);
    }
    rig.set_px(px::CI, 15);
    let ahci = rig.ahci.clone();
    let drain = std::thread::spawn(move || ahci.drain());
    while !drain.is_finished() {
        disk.drain();
        std::thread::yield_now();
    }
    drain.join().unwrap();
    assert_eq!(rig.px(px::CI), 0);
    assert_eq!(rig.ahci.stats(0).writes, 4);
}

#[test]
fn a_request_that_never_ends_keeps_nothing_alive() {
    let (rig, disk) = busy();
    let (port, image) = (std::sync::Arc::downgrade(&rig.ahci.ports[0]), disk.clone());
    drop(rig);
    assert!(port.upgrade().is_none());
    assert_eq!(std::sync::Arc::strong_count(&image), 2, "this test's own");
    disk.release(0);
}
