//! Requests that the kernel carries out ([`crate::block::engine`]), many at a time.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::*;
use crate::block::FaultKind;
use crate::block::create::{self, Preallocation};
use crate::block::engine::Engine;
use crate::block::image::Image;
use crate::units::Bytes;

const SIZE: u64 = 64 << 20;
const LEN: u64 = 4096;
/// More than a ring takes at a time.
const MANY: u64 = 500;

type Ended = mpsc::Receiver<io::Result<()>>;

struct Rig {
    engine: Engine,
    ram: Arc<GuestRam>,
    faults: mpsc::Receiver<DiskFault>,
}

impl Rig {
    fn new(path: &Path, format: Format) -> Self {
        let image = Image::open(path, &options(format)).unwrap();
        let (sender, faults) = mpsc::channel();
        let sender = Mutex::new(sender);
        let on_fault = Arc::new(move |fault| sender.lock().send(fault).unwrap_or(()));
        let ram = testing::ram();
        Self { engine: Engine::new(image, Arc::clone(&ram), on_fault), ram, faults }
    }

    /// Starts one on the ring. The request's number says where its data is in memory.
    fn start(&self, operation: Operation, number: u64, offset: u64) -> Ended {
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap_or(()));
        let segments = vec![Segment { address: GuestAddress(number * LEN), len: LEN as u32 }];
        self.engine.pretend_to_wait(true);
        self.engine.run_or_submit(Request { operation, offset, segments, done });
        receiver
    }
}

/// An image of [`SIZE`], every byte of it with a place of its own.
fn image(path: &Path, format: Format) {
    let full = Preallocation::Full;
    match format {
        Format::Raw => create::create_raw(path, Bytes(SIZE), full, &mut patient()),
        Format::Qcow2 => create::create_qcow2(path, Bytes(SIZE), full, None, &mut patient()),
    }
    .unwrap();
    // Preallocated clusters may be marked as zero: they are written once.
    let guest = Guest::open(path, &options(format)).unwrap();
    for offset in (0..SIZE).step_by(1 << 20) {
        guest.write(offset, &[1; 1 << 20]).unwrap();
    }
}

fn wait(ended: &Ended) -> io::Result<()> {
    ended.recv_timeout(Duration::from_secs(20)).expect("every request ends")
}

#[test]
fn many_at_a_time_and_discards_between() {
    for format in [Format::Raw, Format::Qcow2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        image(&path, format);
        let rig = Rig::new(&path, format);
        wait(&rig.start(Operation::Read, 0, 0)).unwrap();
        if io_uring::IoUring::new(1).is_ok() {
            // Reads by threads fail for a while.
            let fail_reads = &rig.engine.image().file().probe.fail_reads;
            *fail_reads.lock() = Some(libc::EIO);
            wait(&rig.start(Operation::Read, 0, 0)).expect("the ring is used");
            *fail_reads.lock() = None;
        } else {
            eprintln!("SKIPPED: the kernel has no io_uring for us; the threads are used");
        }

        let place = |number: u64| number * 7 * LEN;
        for number in 0..MANY {
            rig.ram.write_slice(&[number as u8; LEN as usize], GuestAddress(number * LEN)).unwrap();
        }
        let mut ended = Vec::new();
        for number in 0..MANY {
            ended.push(rig.start(Operation::Write, number, place(number)));
            let (sender, discarded) = mpsc::channel();
            let done = Box::new(move |result| sender.send(result).unwrap_or(()));
            let operation = Operation::Discard { len: 65536 };
            let offset = 48 << 20 | number << 12;
            rig.engine.submit(Request { operation, offset, segments: Vec::new(), done });
            ended.push(discarded);
        }
        ended.iter().for_each(|one| wait(one).unwrap());
        rig.ram.write_slice(&vec![0; (MANY * LEN) as usize], GuestAddress(0)).unwrap();
        let ended: Vec<_> =
            (0..MANY).map(|number| rig.start(Operation::Read, number, place(number))).collect();
        ended.iter().for_each(|one| wait(one).unwrap());
        for number in 0..MANY {
            let mut data = [0; LEN as usize];
            rig.ram.read_slice(&mut data, GuestAddress(number * LEN)).unwrap();
            assert_eq!(data, [number as u8; LEN as usize], "{number}");
        }
        rig.engine.drain();
        drop(rig);
        if format == Format::Qcow2 {
            testing::assert_checked(&path, false);
        }
    }
}

#[test]
fn a_flush_covers_what_the_ring_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    image(&path, Format::Raw);
    let rig = Rig::new(&path, Format::Raw);
    let probe = &rig.engine.image().file().probe;
    let flush = || {
        *probe.record.lock() = Some(Vec::new());
        rig.engine.image().flush().unwrap();
        probe.record.lock().take().unwrap().len()
    };
    assert_eq!(flush(), 0, "nothing has changed yet");
    wait(&rig.start(Operation::Write, 0, 0)).unwrap();
    assert_eq!(flush(), 1);
}

#[test]
fn what_the_kernel_cannot_do_whole_the_threads_try_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    image(&path, Format::Raw);
    let rig = Rig::new(&path, Format::Raw);
    // Somebody cuts the file.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(SIZE / 2 + 512).unwrap();
    wait(&rig.start(Operation::Read, 0, 0)).unwrap();
    let error = wait(&rig.start(Operation::Read, 0, SIZE / 2)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_write_that_fails_holds_up_those_that_follow() {
    let file = rustix::fs::memfd_create("disk", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&file, SIZE).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let rig = Rig::new(Path::new(&path), Format::Raw);
    wait(&rig.start(Operation::Write, 0, 4096)).unwrap();
    // The ring fails by the seal and the thread that tries again by the probe.
    rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::WRITE).unwrap();
    let fail = |_, _| Some(libc::ENOSPC);
    *rig.engine.image().file().probe.fail_writes.lock() = Some(Box::new(fail));
    let first = rig.start(Operation::Write, 0, 4096);
    let told = rig.faults.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(told.kind, FaultKind::NoSpace);
    let later: Vec<_> = (0..9).map(|one| rig.start(Operation::Write, one, one * LEN)).collect();
    wait(&rig.start(Operation::Read, 0, 0)).unwrap();
    rig.engine.drain();
    assert!(later.iter().chain([&first]).all(|one| one.try_recv().is_err()));
    drop(rig);
    assert!(later.iter().chain([&first]).all(|one| wait(one).is_err()));
}

#[test]
fn the_end_waits_for_what_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    image(&path, Format::Qcow2);
    let rig = Rig::new(&path, Format::Qcow2);
    let ended: Vec<_> =
        (0..MANY).map(|one| rig.start(Operation::Write, one, one * 2 * LEN)).collect();
    drop(rig);
    ended.iter().for_each(|one| one.try_recv().unwrap().unwrap());
    testing::assert_checked(&path, false);
}

#[test]
fn the_last_to_know_the_disk_may_be_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    image(&path, Format::Raw);
    let Rig { engine, ram, faults: _faults } = Rig::new(&path, Format::Raw);
    let engine = Arc::new(engine);
    let (sender, dropped) = mpsc::channel();
    let own = Arc::clone(&engine);
    let done = Box::new(move |result: io::Result<()>| {
        while Arc::strong_count(&own) > 1 {
            std::thread::yield_now();
        }
        drop(own);
        sender.send(result).unwrap();
    });
    let segment = || vec![Segment { address: GuestAddress(0), len: LEN as u32 }];
    let request =
        |done| Request { operation: Operation::Read, offset: 0, segments: segment(), done };
    engine.pretend_to_wait(true);
    engine.run_or_submit(request(done));
    let mut ended = Vec::new();
    for _ in 0..20 {
        let (sender, receiver) = mpsc::channel();
        engine.pretend_to_wait(true);
        engine.run_or_submit(request(Box::new(move |result| sender.send(result).unwrap())));
        ended.push(receiver);
    }
    drop(engine);
    dropped.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    ended.iter().for_each(|one| wait(one).unwrap());
    drop(ram);
    // The thread ends, and with it the lock.
    let start = Instant::now();
    while Guest::open(&path, &options(Format::Raw)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "the image stays locked");
        std::thread::yield_now();
    }
}

#[test]
fn a_panic_ends_the_disk_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    image(&path, Format::Raw);
    let rig = Rig::new(&path, Format::Raw);
    let done = Box::new(|_| panic!("a device's mistake"));
    let segments = vec![Segment { address: GuestAddress(0), len: LEN as u32 }];
    rig.engine.pretend_to_wait(true);
    rig.engine.run_or_submit(Request { operation: Operation::Read, offset: 0, segments, done });
    let told = rig.faults.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(told.kind, FaultKind::Panic);
    assert!(wait(&rig.start(Operation::Read, 0, 0)).is_err());
    rig.engine.drain();
}
