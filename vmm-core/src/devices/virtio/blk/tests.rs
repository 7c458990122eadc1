//! The disk and its driver.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use vm_memory::{Bytes, GuestAddress};

use super::{Blk, feature};
use crate::block::{BlockDevice, Disk, DiskOptions, Format, Operation, Request, create};
use crate::devices::fake_disk::FakeDisk;
use crate::devices::virtio::VirtioDevice;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::{self, DATA, Part, Rig, WRITE, common, wait_for};
use crate::memory::GuestRam;
use crate::units;

/// Where a request's header, its status and its data are.
const HEADER: u64 = DATA + 0x1_0000;
const STATUS: u64 = DATA + 0x1_1000;
const BUFFER: u64 = DATA + 0x2_0000;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// A disk of 128 sectors, each of which tells its number, with two queues.
fn fake(ram: Arc<GuestRam>) -> Blk {
    Blk::new(FakeDisk::new(&ram, 64 << 10), "berth-0", 2)
}

/// Puts the header and a status that nobody gives in their places; `parts` come between.
fn parts(rig: &Rig<Blk>, kind: u32, sector: u64, data: &[Part]) -> Vec<Part> {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&sector.to_le_bytes());
    rig.ram.write_slice(&header, GuestAddress(HEADER)).unwrap();
    rig.ram.write_obj(0x77u8, GuestAddress(STATUS)).unwrap();
    let mut parts = vec![(HEADER, 16, 0)];
    parts.extend(data);
    parts.push((STATUS, 1, WRITE));
    parts
}

fn status(rig: &Rig<Blk>) -> u8 {
    rig.ram.read_obj(GuestAddress(STATUS)).unwrap()
}

/// Has a request done; gives its status and the length that the device tells.
fn ask(rig: &Rig<Blk>, queue: u16, kind: u32, sector: u64, data: &[Part]) -> (u8, u32) {
    let len = rig.exchange(queue, &parts(rig, kind, sector, data));
    (status(rig), len)
}

fn put(rig: &Rig<Blk>, data: &[u8]) {
    rig.ram.write_slice(data, GuestAddress(BUFFER)).unwrap();
}

fn get(rig: &Rig<Blk>, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    rig.ram.read_slice(&mut data, GuestAddress(BUFFER)).unwrap();
    data
}

fn range(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
}

/// Writes, reads back and flushes through each queue. Fits in a queue of four entries.
fn works(rig: &Rig<Blk>) {
    for queue in 0..rig.queues() {
        put(rig, &[0x30 + queue as u8; 1024]);
        assert_eq!(ask(rig, queue, OUT, 40, &[(BUFFER, 1024, 0)]), (OK, 1));
        put(rig, &[0; 2048]);
        let data = [(BUFFER, 600, WRITE), (BUFFER + 600, 936, WRITE)];
        assert_eq!(ask(rig, queue, IN, 40, &data), (OK, 1537));
        assert_eq!(get(rig, 1024), [0x30 + queue as u8; 1024]);
        assert_eq!(ask(rig, queue, FLUSH, 0, &[]), (OK, 1));
    }
}

const SUBJECT: Subject<Blk> = Subject { make: fake, works, eager: &[0, 1] };

#[test]
fn it_conforms() {
    conformance::check(&SUBJECT);
}

#[test]
fn hostile_drivers() {
    hostile::check(&SUBJECT);
}

/// A started device on `disk`.
fn on(disk: Arc<dyn BlockDevice>, ram: Arc<GuestRam>) -> Rig<Blk> {
    let rig = Rig::cold(Blk::new(disk, "a serial number that is too long", 1), ram);
    rig.start(!0, 256);
    rig
}

fn rig(len: usize) -> (Rig<Blk>, Arc<FakeDisk>) {
    let ram = rig::ram();
    let disk = FakeDisk::new(&ram, len);
    (on(disk.clone(), ram), disk)
}

#[test]
fn requests_that_make_no_sense_are_answered() {
    let (rig, disk) = rig(64 << 10);
    let read = |sector, len| ask(&rig, 0, IN, sector, &[(BUFFER, len, WRITE)]);
    assert_eq!(read(127, 512), (OK, 513));
    // Past the end, no whole sector, where numbers end. Nothing counts as written then.
    for (sector, len) in [(127, 1024), (128, 512), (0, 511), (1 << 55, 512), (u64::MAX, 512)] {
        assert_eq!(read(sector, len), (IO_ERROR, 0), "{len} bytes from {sector}");
    }
    for kind in [2, 3, 5, 10, 14, u32::MAX] {
        assert_eq!(ask(&rig, 0, kind, 0, &[]), (UNSUPPORTED, 1));
    }
    // Half a header.
    rig.ram.write_obj(0x77u8, GuestAddress(STATUS)).unwrap();
    rig.exchange(0, &[(HEADER, 8, 0), (STATUS, 1, WRITE)]);
    assert_eq!(status(&rig), IO_ERROR);
    // The header in pieces, the status at the end of the data.
    let all = parts(&rig, IN, 3, &[]);
    assert_eq!(all.len(), 2);
    let pieces = [(HEADER, 5, 0), (HEADER + 5, 11, 0), (BUFFER, 513, WRITE)];
    assert_eq!(rig.exchange(0, &pieces), 513);
    assert_eq!(get(&rig, 513)[512], OK);
    assert_eq!(get(&rig, 512), disk.data.lock()[3 * 512..4 * 512]);
    assert!(!rig.needs_reset());
    // No status at all: no answer, either.
    rig.send(0, &[(HEADER, 16, 0), (BUFFER, 512, 0)]);
    wait_for("the device to refuse", || rig.needs_reset());
    rig.start(!0, 256);
    assert_eq!(read(0, 512), (OK, 513));
}

#[test]
fn failures_of_the_image_are_told() {
    let (rig, disk) = rig(64 << 10);
    disk.broken.store(true, SeqCst);
    assert_eq!(ask(&rig, 0, IN, 0, &[(BUFFER, 512, WRITE)]), (IO_ERROR, 0));
    assert_eq!(ask(&rig, 0, OUT, 0, &[(BUFFER, 512, 0)]).0, IO_ERROR);
    assert_eq!(ask(&rig, 0, FLUSH, 0, &[]).0, IO_ERROR);
    put(&rig, &range(0, 8, 0));
    assert_eq!(ask(&rig, 0, DISCARD, 0, &[(BUFFER, 16, 0)]).0, IO_ERROR);
    let stats = rig.pci.device().stats();
    assert_eq!((stats.reads, stats.writes, stats.flushes), (0, 0, 0));
    disk.broken.store(false, SeqCst);
    works(&rig);
    let stats = rig.pci.device().stats();
    assert_eq!((stats.bytes_read, stats.bytes_written, stats.flushes), (1536, 1024, 1));
}

#[test]
fn ranges_are_discarded_and_zeroed() {
    let (rig, disk) = rig(64 << 10);
    let ask = |kind, data: &[u8]| {
        put(&rig, data);
        ask(&rig, 0, kind, 0, &[(BUFFER, data.len() as u32, 0)]).0
    };
    let two = [range(2, 3, 0), range(100, 28, 0)].concat();
    for (kind, operations) in [
        (DISCARD, [Operation::Discard { len: 3 << 9 }, Operation::Discard { len: 28 << 9 }]),
        (
            WRITE_ZEROES,
            [Operation::WriteZeroes { len: 3 << 9 }, Operation::WriteZeroes { len: 28 << 9 }],
        ),
    ] {
        assert_eq!(ask(kind, &two), OK);
        let mut log = std::mem::take(&mut *disk.log.lock());
        log.sort_by_key(|(_, offset)| *offset);
        assert_eq!(log, [(operations[0], 1024), (operations[1], 51200)]);
    }
    assert_eq!(ask(WRITE_ZEROES, &range(0, 8, 1)), OK);
    disk.log.lock().clear();
    // One that cannot be means that none is.
    for (kind, bad, status) in [
        (DISCARD, range(100, 29, 0), IO_ERROR),
        (DISCARD, range(u64::MAX, 1, 0), IO_ERROR),
        (DISCARD, range(0, u32::MAX, 0), IO_ERROR),
        (DISCARD, range(0, 1, 1), UNSUPPORTED),
        (WRITE_ZEROES, range(0, 1, 2), UNSUPPORTED),
        (WRITE_ZEROES, range(128, 1, 0), IO_ERROR),
        (DISCARD, vec![0; 15], IO_ERROR),
        (DISCARD, vec![0; 33 * 16], IO_ERROR),
    ] {
        assert_eq!(ask(kind, &[range(0, 1, 0), bad.clone()].concat()), status, "{kind} {bad:x?}");
    }
    assert_eq!(ask(DISCARD, &[]), IO_ERROR);
    assert_eq!(disk.log.lock().len(), 0);
    assert_eq!(rig.pci.device().stats().bytes_discarded, 31 * 512);
}

#[test]
fn the_serial_number_is_cut_and_padded() {
    let (long, _disk) = rig(64 << 10);
    put(&long, &[0xee; 32]);
    // What is left of the buffer stays as it is.
    assert_eq!(ask(&long, 0, GET_ID, 0, &[(BUFFER, 32, WRITE)]), (OK, 20));
    assert_eq!(get(&long, 21), [&b"a serial number that"[..], &[0xee]].concat());
    let ram = rig::ram();
    let short = Rig::cold(fake(ram.clone()), ram);
    short.start(!0, 16);
    assert_eq!(ask(&short, 1, GET_ID, 0, &[(BUFFER, 20, WRITE)]), (OK, 21));
    assert_eq!(get(&short, 20), [&b"berth-0"[..], &[0; 13]].concat());
    assert_eq!(ask(&short, 1, GET_ID, 0, &[(BUFFER, 5, WRITE)]), (OK, 6));
}

#[test]
fn a_read_only_disk_is_not_written() {
    let ram = rig::ram();
    let disk = Arc::new(FakeDisk::build(&ram, 64 << 10, true));
    let rig = on(disk.clone(), ram);
    let features = rig.pci.device().features();
    assert_eq!(features & feature::RO, feature::RO);
    assert_eq!(features & (feature::DISCARD | feature::WRITE_ZEROES), 0);
    assert_eq!(ask(&rig, 0, OUT, 0, &[(BUFFER, 512, 0)]), (IO_ERROR, 1));
    put(&rig, &range(0, 8, 0));
    assert_eq!(ask(&rig, 0, DISCARD, 0, &[(BUFFER, 16, 0)]), (UNSUPPORTED, 1));
    assert_eq!(ask(&rig, 0, WRITE_ZEROES, 0, &[(BUFFER, 16, 0)]), (UNSUPPORTED, 1));
    assert_eq!(ask(&rig, 0, IN, 1, &[(BUFFER, 512, WRITE)]), (OK, 513));
    assert_eq!(ask(&rig, 0, FLUSH, 0, &[]), (OK, 1));
    let log: Vec<_> = disk.log.lock().iter().map(|(operation, _)| *operation).collect();
    assert_eq!(log, [Operation::Read, Operation::Flush]);
}

/// A driver that cannot flush, such as a boot loader's, has its writes on the disk when it hears
/// of them.
#[test]
fn without_flushes_there_is_no_cache() {
    let (rig, disk) = rig(64 << 10);
    rig.start(!feature::FLUSH, 256);
    assert_eq!(ask(&rig, 0, OUT, 5, &[(BUFFER, 512, 0)]), (OK, 1));
    assert_eq!(*disk.log.lock(), [(Operation::Write, 5 * 512), (Operation::Flush, 0)]);
    rig.start(!0, 256);
    disk.log.lock().clear();
    assert_eq!(ask(&rig, 0, OUT, 5, &[(BUFFER, 512, 0)]), (OK, 1));
    assert_eq!(*disk.log.lock(), [(Operation::Write, 5 * 512)]);
}

#[test]
fn requests_run_at_once_and_end_in_any_order() {
    let (rig, disk) = rig(64 << 10);
    disk.hold.store(true, SeqCst);
    let mut heads = Vec::new();
    for at in 0..4u64 {
        let mut header = [0; 16];
        header[8] = at as u8;
        let place = HEADER + 16 * at;
        rig.ram.write_slice(&header, GuestAddress(place)).unwrap();
        let data = (BUFFER + at * 512, 512, WRITE);
        heads.push(rig.send(0, &[(place, 16, 0), data, (STATUS + at, 1, WRITE)]));
    }
    wait_for("all requests", || disk.held() == 4);
    assert_eq!(rig.used(0), None);
    disk.release(2);
    assert_eq!(rig.wait_used(0), (heads[2].into(), 513));
    // A reset ends the others.
    let image = |sector: usize| disk.data.lock()[sector * 512..][..512].to_vec();
    assert_eq!(get(&rig, 2048)[1024..1536], image(2));
    rig.reset();
    assert_eq!(disk.held(), 0);
    disk.hold.store(false, SeqCst);
    rig.start(!0, 256);
    works(&rig);
}

/// Only tells its length.
struct Growing(AtomicU64);

impl BlockDevice for Growing {
    fn len(&self) -> u64 {
        self.0.load(SeqCst)
    }
    fn read_only(&self) -> bool {
        false
    }
    fn submit(&self, request: Request) {
        (request.done)(Err(io::ErrorKind::Unsupported.into()));
    }
    fn drain(&self) {}
}

#[test]
fn the_driver_is_told_of_its_place_and_of_a_new_length() {
    let disk = Arc::new(Growing((1 << 40).into()));
    let rig = on(disk.clone(), rig::ram());
    let config = |offset, len| rig.read(4, offset, len);
    assert_eq!(config(0, 8), 1 << 31);
    assert_eq!(config(0x14, 4), 512);
    assert_eq!(config(0x18, 1), 3);
    assert_eq!(config(0x22, 2), 1);
    assert_eq!((config(0x24, 4), config(0x28, 4), config(0x2c, 4)), (1 << 21, 32, 8));
    assert_eq!((config(0x30, 4), config(0x34, 4), config(0x38, 1)), (1 << 17, 32, 1));
    rig.enable_msix();
    rig.prepare(!0, 256);
    rig.set16(common::CONFIG_VECTOR, 0);
    rig.set_status(15);
    rig.messages();
    let generation = rig.get(common::GENERATION, 1);
    disk.0.store(1 << 41, SeqCst);
    rig.pci.device().capacity_changed();
    assert_eq!(rig.messages(), [0x40]);
    assert_ne!(rig.get(common::GENERATION, 1), generation);
    assert_eq!(config(0, 8), 1 << 32);
}

#[test]
fn there_are_as_many_queues_as_vcpus_up_to_a_limit() {
    for (cpus, queues) in [(0, 1), (1, 1), (3, 3), (16, 16), (64, 16)] {
        let blk = Blk::new(FakeDisk::new(&rig::ram(), 4096), "", cpus);
        assert_eq!(blk.queue_sizes(), vec![256; queues]);
        assert_eq!(blk.features() & feature::MQ != 0, queues > 1);
    }
}

#[test]
fn it_drives_a_real_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.qcow2");
    let (size, none) = (units::Bytes::mib(64), create::Preallocation::None);
    create::create_qcow2(&path, size, none, None, &mut |_, _| true).unwrap();
    let ram = rig::ram();
    let options = DiskOptions { format: Some(Format::Qcow2), ..DiskOptions::default() };
    let disk = Disk::open(&path, &options, ram.clone(), Arc::new(|_| ())).unwrap();
    let rig = Rig::cold(Blk::new(disk, "x", 2), ram);
    rig.start(!0, 256);
    works(&rig);
    let allocated = || {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(&path).unwrap().blocks() * 512
    };
    rig.ram.write_slice(&vec![0x5a; 1 << 20], GuestAddress(BUFFER)).unwrap();
    for sector in (0..16).map(|at| at << 11) {
        assert_eq!(ask(&rig, 1, OUT, sector, &[(BUFFER, 1 << 20, 0)]), (OK, 1));
    }
    assert_eq!(ask(&rig, 0, FLUSH, 0, &[]), (OK, 1));
    let full = allocated();
    put(&rig, &range(0, 16 << 11, 0));
    assert_eq!(ask(&rig, 0, DISCARD, 0, &[(BUFFER, 16, 0)]), (OK, 1));
    assert_eq!(ask(&rig, 0, FLUSH, 0, &[]), (OK, 1));
    assert!(allocated() + (15 << 20) < full, "{full} bytes became {}", allocated());
    put(&rig, &[1; 512]);
    assert_eq!(ask(&rig, 0, IN, 77, &[(BUFFER, 512, WRITE)]), (OK, 513));
    assert_eq!(get(&rig, 512), [0; 512]);
}
