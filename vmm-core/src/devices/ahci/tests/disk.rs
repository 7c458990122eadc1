//! Commands of a hard disk.

use std::sync::atomic::Ordering::SeqCst;

use vm_memory::{Bytes, GuestAddress};

use super::super::registers::{irq, px};
use super::rig::{DATA, FIS, FakeDisk, Fis, Rig, disk_drive, ram};
use crate::block::{BlockDevice, Operation};

const OK: u32 = 0x50;
const LEN: usize = 1 << 20;
const ABORTED: u32 = 0x0451;
const NOT_FOUND: u32 = 0x1051;

fn words(page: &[u8]) -> Vec<u16> {
    page.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn identify(rig: &Rig) -> Vec<u16> {
    assert_eq!(rig.run(Fis::new(0xec), &[(DATA, 512)]), OK);
    words(&rig.bytes(DATA, 512))
}

#[test]
fn identify_tells_size_and_names() {
    let (rig, _) = Rig::with_disk(LEN);
    rig.prepare(0, 0, Fis::new(0xec), &[(DATA, 512)]);
    rig.set_px(px::CI, 1);
    // PIO to the host ends with a PIO setup FIS, whose last status is at byte 15.
    assert_eq!(rig.acknowledge(), irq::PSS);
    assert_eq!(rig.transferred(0), 512);
    let fis = rig.bytes(FIS + 0x20, 20);
    assert_eq!((fis[0], fis[1], fis[2], fis[15], fis[17]), (0x5f, 0x60, 0x58, 0x50, 2));

    let page = rig.bytes(DATA, 512);
    assert_eq!(page.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    let words = words(&page);
    assert_eq!((words[100], words[101], words[60]), (2048, 0, 2048));
    assert_eq!((words[75], words[76] & 0x100), (31, 0x100));
    let text: Vec<u8> = words[27..47].iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(String::from_utf8(text).unwrap().trim(), "Berth disk");
    let serial: Vec<u8> = words[10..20].iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(serial, b"BERTH0001           ");
}

#[test]
fn every_read_command_reads() {
    let (rig, disk) = Rig::with_disk(LEN);
    for code in [0x20, 0x21, 0x24, 0x25, 0x29, 0xc4, 0xc8, 0xc9] {
        rig.fill(DATA, 4096, 0);
        let prdt = [(DATA, 512), (DATA + 2048, 512)];
        assert_eq!(rig.run(Fis::new(code).lba(5).count(2), &prdt), OK, "{code:#x}");
        assert_eq!(rig.transferred(0), 1024);
        let data = disk.data.lock();
        assert_eq!(rig.bytes(DATA, 512), data[5 * 512..6 * 512], "{code:#x}");
        assert_eq!(rig.bytes(DATA + 2048, 512), data[6 * 512..7 * 512], "{code:#x}");
    }
    assert_eq!(rig.ahci.stats(0).bytes_read, 8 * 1024);
}

#[test]
fn every_write_command_writes() {
    let (rig, disk) = Rig::with_disk(LEN);
    for (value, code) in (1u8..).zip([0x30, 0x31, 0x34, 0x35, 0x39, 0xc5, 0xca, 0xcb]) {
        rig.fill(DATA, 1024, value);
        rig.prepare(0, 1 << 6, Fis::new(code).lba(7).count(2), &[(DATA, 1024)]);
        rig.set_px(px::CI, 1);
        assert_eq!(rig.acknowledge(), irq::DHRS, "{code:#x}");
        assert_eq!(rig.px(px::CI), 0);
        assert_eq!(disk.data.lock()[7 * 512..9 * 512], [value; 1024], "{code:#x}");
    }
    let stats = rig.ahci.stats(0);
    assert_eq!((stats.writes, stats.bytes_written, stats.flushes), (8, 8192, 0));
}

#[test]
fn geometry_and_28_bit_addresses_reach_the_same_sectors() {
    let (rig, disk) = Rig::with_disk(LEN);
    // Cylinder 1, head 0, sector 1 of 16 heads with 63 sectors.
    let chs = Fis::new(0xc8).lba(1 << 8 | 1).count(1).device(0);
    assert_eq!(rig.run(chs, &[(DATA, 512)]), OK);
    let first = 16 * 63 * 512;
    assert_eq!(rig.bytes(DATA, 512), disk.data.lock()[first..first + 512]);
    assert_eq!(rig.run(chs.lba(1 << 8), &[(DATA, 512)]), NOT_FOUND, "there is no sector 0");
    // 28-bit addresses end in the device register; a count of zero is 256 sectors.
    let high = Fis::new(0xc8).lba(0).count(1).device(0x41);
    assert_eq!(rig.run(high, &[(DATA, 512)]), NOT_FOUND);
    assert_eq!(rig.run(Fis::new(0xc8).count(0), &[(DATA, 256 * 512)]), OK);
    assert_eq!(rig.transferred(0), 256 * 512);
    assert_eq!(rig.run(Fis::new(0xf8), &[]), OK);
    assert_eq!(rig.bytes(FIS + 0x44, 3), [0xff, 7, 0]);
}

#[test]
fn queued_commands_end_in_any_order() {
    let (rig, disk) = Rig::with_disk(LEN);
    disk.hold.store(true, SeqCst);
    for slot in 0..32u8 {
        let at = DATA + u64::from(slot) * 0x1000;
        rig.prepare(slot, 0, Fis::queued(false, slot, u64::from(slot) * 8, 8), &[(at, 0x1000)]);
    }
    rig.set_px(px::SACT, !0);
    rig.set_px(px::CI, !0);
    assert_eq!(rig.px(px::CI), 0, "the disk takes all of them at once");
    assert_eq!((rig.px(px::SACT), rig.px(px::TFD)), (!0, OK));
    assert_eq!(disk.held(), 32);
    assert!(!rig.interrupted());

    disk.release(31);
    disk.release(7);
    assert_eq!(rig.px(px::SACT).count_zeros(), 2);
    assert!(rig.interrupted());
    assert_eq!(rig.acknowledge(), irq::SDBS);
    assert!(!rig.interrupted());
    // The last set device bits FIS.
    assert_eq!(rig.bytes(FIS + 0x58, 2), [0xa1, 0x40]);

    disk.hold.store(false, SeqCst);
    disk.drain();
    assert_eq!(rig.px(px::SACT), 0);
    let data = disk.data.lock();
    assert_eq!(rig.bytes(DATA, 32 * 0x1000), data[..32 * 0x1000]);
}

#[test]
fn other_commands_wait_for_the_queue() {
    let (rig, disk) = Rig::with_disk(LEN);
    disk.hold.store(true, SeqCst);
    rig.prepare(3, 0, Fis::queued(false, 3, 0, 1), &[(DATA, 512)]);
    rig.prepare(4, 0, Fis::new(0x25).count(1), &[(DATA, 512)]);
    rig.prepare(5, 0, Fis::queued(false, 5, 0, 1), &[(DATA, 512)]);
    rig.set_px(px::SACT, 1 << 3 | 1 << 5);
    rig.set_px(px::CI, 0x38);
    assert_eq!((disk.held(), rig.px(px::CI)), (1, 0x30));
    disk.release(0);
    assert_eq!((disk.held(), rig.px(px::CI)), (1, 0x30), "now alone");
    assert_eq!(rig.px(px::TFD) & 0x80, 0x80);
    disk.release(0);
    assert_eq!((disk.held(), rig.px(px::CI)), (1, 0));
    disk.release(0);
    assert_eq!(rig.px(px::SACT), 0);
}

#[test]
fn a_failed_queued_command_is_in_the_log() {
    let (rig, disk) = Rig::with_disk(LEN);
    disk.hold.store(true, SeqCst);
    for slot in [2, 9] {
        rig.prepare(slot, 0, Fis::queued(false, slot, 0x123, 1), &[(DATA, 512)]);
    }
    rig.set_px(px::SACT, 1 << 2 | 1 << 9);
    rig.set_px(px::CI, 1 << 2 | 1 << 9);
    disk.broken.store(true, SeqCst);
    // Slot 2 comes after slot 0, where the engine begins; 9 fails first.
    disk.release(1);
    assert_eq!(rig.px(px::IS), irq::SDBS | irq::TFES);
    assert_eq!(rig.px(px::TFD), 0x4051, "UNC");
    assert_eq!(rig.px(px::SACT), 1 << 2 | 1 << 9, "nothing ended");
    disk.broken.store(false, SeqCst);
    disk.release(0);
    assert_eq!(rig.px(px::SACT), 1 << 2 | 1 << 9, "the queue was dropped");

    disk.hold.store(false, SeqCst);
    rig.restart();
    assert_eq!(rig.run(Fis::new(0x2f).lba(0x10).count(1), &[(DATA, 512)]), OK);
    let log = rig.bytes(DATA, 512);
    assert_eq!(log[0], 9);
    assert_eq!(log[2..7], [0x51, 0x40, 0x23, 0x01, 0]);
    assert_eq!(log.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
}

#[test]
fn queued_commands_with_bad_fields_fail() {
    let (rig, disk) = Rig::with_disk(LEN);
    let beyond = Fis::queued(true, 0, 2047, 2);
    let other_tag = Fis::queued(false, 0, 0, 1).count(5 << 3);
    for (fis, error) in [(beyond, NOT_FOUND), (other_tag, ABORTED)] {
        rig.prepare(0, 0, fis, &[(DATA, 1024)]);
        rig.set_px(px::SACT, 1);
        rig.set_px(px::CI, 1);
        assert_eq!(rig.px(px::TFD), error);
        assert_eq!(rig.px(px::IS) & irq::TFES, irq::TFES);
        rig.restart();
    }
    assert!(disk.log.lock().is_empty());
}

#[test]
fn errors_and_refusals_reach_the_task_file() {
    let (rig, disk) = Rig::with_disk(LEN);
    disk.broken.store(true, SeqCst);
    assert_eq!(rig.run(Fis::new(0x25).count(1), &[(DATA, 512)]), 0x4051);
    assert_eq!(rig.run(Fis::new(0x35).count(1), &[(DATA, 512)]), ABORTED);
    assert_eq!(rig.run(Fis::new(0xe7), &[]), ABORTED);
    disk.broken.store(false, SeqCst);
    for code in [0xa1, 0xa0, 0x00, 0x08, 0xff] {
        assert_eq!(rig.run(Fis::new(code), &[(DATA, 512)]), ABORTED, "{code:#x}");
    }
    assert_eq!(rig.run(Fis::new(0x25).lba(2048).count(1), &[(DATA, 512)]), NOT_FOUND);
    assert_eq!(rig.run(Fis::new(0x25).lba(0xffff_ffff_ffff).count(0), &[]), NOT_FOUND);
    assert_eq!(rig.run(Fis::new(0x42).lba(2047).count(1), &[]), OK);
    assert_eq!(rig.run(Fis::new(0x42).lba(2047).count(2), &[]), NOT_FOUND);
    assert_eq!(rig.ahci.stats(0), Default::default());
}

#[test]
fn forced_unit_access_flushes_before_the_end() {
    let (rig, disk) = Rig::with_disk(LEN);
    disk.hold.store(true, SeqCst);
    rig.prepare(0, 0, Fis::new(0x3d).count(1), &[(DATA, 512)]);
    rig.set_px(px::CI, 1);
    disk.release(0);
    assert_eq!((rig.px(px::CI), disk.held()), (1, 1), "written, not flushed");
    disk.release(0);
    assert_eq!(rig.px(px::CI), 0);
    disk.hold.store(false, SeqCst);

    let queued = Fis::queued(true, 0, 0, 1);
    rig.run(queued.device(0x40), &[(DATA, 512)]);
    rig.run(queued.device(0xc0), &[(DATA, 512)]);
    // Without a write cache every write is on the disk when it ends.
    assert_eq!(rig.run(Fis::new(0xef).features(0x82), &[]), OK);
    assert_eq!(identify(&rig)[85] & 1 << 5, 0);
    rig.run(Fis::new(0xca).count(1), &[(DATA, 512)]);
    let log: Vec<_> = disk.log.lock().iter().map(|(operation, _)| *operation).collect();
    use Operation::{Flush, Write};
    assert_eq!(log, [Write, Flush, Write, Write, Flush, Write, Flush]);
    assert_eq!(rig.ahci.stats(0).flushes, 3);
}

#[test]
fn trim_gives_back_ranges_in_order() {
    let (rig, disk) = Rig::with_disk(LEN);
    let ranges: [(u64, u64); 4] = [(100, 4), (104, 4), (0, 0), (8, 1)];
    let list: Vec<u8> =
        ranges.iter().flat_map(|(first, count)| (first | count << 48).to_le_bytes()).collect();
    rig.fill(DATA, 512, 0);
    rig.ram.write_slice(&list, GuestAddress(DATA)).unwrap();
    let trim = Fis::new(0x06).features(1).count(1);
    assert_eq!(rig.run(trim, &[(DATA, 512)]), OK);
    let discard = |len| Operation::Discard { len };
    assert_eq!(*disk.log.lock(), [(discard(8 * 512), 100 * 512), (discard(512), 8 * 512)]);
    assert_eq!(disk.data.lock()[100 * 512..108 * 512], [0; 8 * 512]);
    assert_eq!(rig.ahci.stats(0).bytes_discarded, 9 * 512);

    // One bad range and nothing is given back.
    rig.ram.write_obj(2047u64 | 2 << 48, GuestAddress(DATA + 8)).unwrap();
    assert_eq!(rig.run(trim, &[(DATA, 512)]), NOT_FOUND);
    assert_eq!(rig.run(trim.count(9), &[(DATA, 9 * 512)]), ABORTED);
    assert_eq!(rig.run(trim.count(0), &[(DATA, 512)]), ABORTED);
    assert_eq!(rig.run(trim.features(0), &[(DATA, 512)]), ABORTED);
    assert_eq!(disk.log.lock().len(), 2);
}

#[test]
fn a_read_only_image_refuses_writes() {
    let ram = ram();
    let disk = std::sync::Arc::new(FakeDisk::build(&ram, LEN, true));
    let rig = Rig::cold(ram, disk_drive(disk.clone()));
    rig.start();
    for fis in [Fis::new(0x35).count(1), Fis::new(0x06).features(1).count(1)] {
        assert_eq!(rig.run(fis, &[(DATA, 512)]), ABORTED);
    }
    assert_eq!(rig.run(Fis::new(0xea), &[]), OK);
    assert_eq!(identify(&rig)[169], 0);
    assert!(disk.log.lock().is_empty());
}

#[test]
fn settings_power_and_health() {
    let (rig, _) = Rig::with_disk(LEN);
    assert_eq!(identify(&rig)[88] >> 8, 1 << 6);
    assert_eq!(rig.run(Fis::new(0xef).features(3).count(0x42), &[]), OK);
    assert_eq!(identify(&rig)[88] >> 8, 1 << 2);
    assert_eq!(rig.run(Fis::new(0xef).features(3).count(0x47), &[]), ABORTED);
    assert_eq!(rig.run(Fis::new(0xef).features(0x10), &[]), ABORTED);

    assert_eq!(rig.run(Fis::new(0xc6).count(8), &[]), OK);
    assert_eq!(identify(&rig)[59], 0x108);
    assert_eq!(rig.run(Fis::new(0xc6).count(3), &[]), ABORTED);
    assert_eq!(rig.run(Fis::new(0xc6).count(0), &[]), OK);
    assert_eq!(rig.run(Fis::new(0xc4).count(1), &[(DATA, 512)]), ABORTED);
    assert_eq!(rig.run(Fis::new(0x91).count(32).device(7), &[]), OK);
    assert_eq!(identify(&rig)[55..57], [8, 32]);
    assert_eq!(rig.run(Fis::new(0x91).count(0).device(7), &[]), ABORTED);

    let mode = || {
        assert_eq!(rig.run(Fis::new(0xe5), &[]), OK);
        rig.bytes(FIS + 0x4c, 1)[0]
    };
    assert_eq!(mode(), 0xff);
    assert_eq!(rig.run(Fis::new(0xe0), &[]), OK);
    assert_eq!(mode(), 0);
    assert_eq!(rig.run(Fis::new(0x25).count(1), &[(DATA, 512)]), OK);
    assert_eq!(mode(), 0xff);

    let smart = |feature| Fis::new(0xb0).lba(0xc2_4f00).features(feature).count(1);
    assert_eq!(rig.run(smart(0xda), &[]), OK);
    assert_eq!(rig.bytes(FIS + 0x45, 2), [0x4f, 0xc2]);
    assert_eq!(rig.run(smart(0xd0), &[(DATA, 512)]), OK);
    assert_eq!(rig.run(smart(0xda).lba(0), &[]), ABORTED);
    assert_eq!(rig.run(smart(0xd9), &[]), OK);
    assert_eq!(rig.run(smart(0xda), &[]), ABORTED);
    assert_eq!(rig.run(smart(0xd8), &[]), OK);
    assert_eq!(rig.run(Fis::new(0x2f).lba(0).count(1), &[(DATA, 512)]), OK);
    assert_eq!(rig.bytes(DATA + 0x20, 2), [1, 0]);
    assert_eq!(rig.run(Fis::new(0x2f).lba(0x30).count(1), &[(DATA, 512)]), ABORTED);
    assert_eq!(rig.run(Fis::new(0x90), &[]), 0x150);
}
