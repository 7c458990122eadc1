//! What happens when the host fails.

use std::time::Duration;

use super::*;
use crate::block::create::{self, Preallocation};
use crate::block::engine::Engine;
use crate::block::host_file::HostFile;
use crate::block::image::Image;
use crate::block::{FaultKind, ImageError};
use crate::units::Bytes;

const SIZE: u64 = 64 << 20;

/// An engine whose file fails as told.
struct Rig {
    engine: Engine,
    faults: mpsc::Receiver<DiskFault>,
    ram: Arc<GuestRam>,
    path: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new(format: Format) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let none = Preallocation::None;
        match format {
            Format::Raw => create::create_raw(&path, Bytes(SIZE), none, &mut patient()),
            Format::Qcow2 => create::create_qcow2(&path, Bytes(SIZE), none, None, &mut patient()),
        }
        .unwrap();
        let image = Image::open(&path, &options(format)).unwrap();
        let (sender, faults) = mpsc::channel();
        let sender = Mutex::new(sender);
        let on_fault = Arc::new(move |fault| sender.lock().send(fault).unwrap());
        let ram = testing::ram();
        let engine = Engine::new(image, Arc::clone(&ram), on_fault);
        Self { engine, faults, ram, path, _dir: dir }
    }

    fn file(&self) -> &HostFile {
        self.engine.image().file()
    }

    fn fail_writes(&self, fail: impl FnMut(u64, u64) -> Option<i32> + Send + 'static) {
        *self.file().probe.fail_writes.lock() = Some(Box::new(fail));
    }

    fn start(&self, operation: Operation, offset: u64) -> mpsc::Receiver<io::Result<()>> {
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap_or(()));
        let memory = Segment { address: GuestAddress(0), len: 65536 };
        let segments = match operation {
            Operation::Read | Operation::Write => vec![memory],
            _ => Vec::new(),
        };
        self.engine.submit(Request { operation, offset, segments, done });
        receiver
    }

    fn fill(&self, byte: u8) {
        self.ram.write_slice(&[byte; 65536], GuestAddress(0)).unwrap();
    }
}

fn fault(rig: &Rig) -> DiskFault {
    rig.faults.recv_timeout(Duration::from_secs(10)).expect("a fault is reported")
}

#[test]
fn a_full_disk_holds_writes_until_there_is_space() {
    for format in [Format::Raw, Format::Qcow2] {
        for errno in [libc::ENOSPC, libc::EDQUOT] {
            let rig = Rig::new(format);
            rig.fill(0x5a);
            rig.fail_writes(move |_, _| Some(errno));
            let first = rig.start(Operation::Write, 0);
            let told = fault(&rig);
            assert_eq!(told.kind, FaultKind::NoSpace);
            assert!(told.to_string().contains("file system is full; make space"), "{told}");
            let more: Vec<_> = (1..9).map(|i| rig.start(Operation::Write, i * 65536 * 3)).collect();
            let flush = rig.start(Operation::Flush, 0);
            // What is parked is not waited for.
            rig.engine.drain();
            assert_eq!(rig.engine.fault(), Some(told));
            assert!(first.try_recv().is_err() && flush.try_recv().is_err());
            // Reading goes on.
            rig.start(Operation::Read, 32 << 20).recv().unwrap().unwrap();
            rig.fill(0x5a);

            // Still full: told again.
            rig.engine.retry();
            assert_eq!(fault(&rig).kind, FaultKind::NoSpace);
            rig.engine.drain();

            *rig.file().probe.fail_writes.lock() = None;
            rig.engine.retry();
            for request in more.iter().chain([&first, &flush]) {
                request.recv().unwrap().unwrap();
            }
            assert_eq!(rig.engine.fault(), None);
            assert!(rig.faults.try_recv().is_err(), "told once a stop");
            drop(rig.engine);
            if format == Format::Qcow2 {
                testing::assert_checked(&rig.path, false);
            }
            let guest = Guest::open(&rig.path, &options(format)).unwrap();
            for i in 0..9 {
                assert_eq!(guest.read(i * 65536 * 3, 65536).unwrap(), [0x5a; 65536]);
            }
        }
    }
}

/// Where nobody but the guest's own thread has run requests yet.
#[test]
fn what_was_held_up_where_it_came_from_goes_on() {
    let rig = Rig::new(Format::Raw);
    rig.fail_writes(|_, _| Some(libc::ENOSPC));
    let (sender, ended) = mpsc::channel();
    let done = Box::new(move |result| sender.send(result).unwrap_or(()));
    let segments = vec![Segment { address: GuestAddress(0), len: 512 }];
    rig.engine.pretend_to_wait(false);
    rig.engine.run_or_submit(Request { operation: Operation::Write, offset: 0, segments, done });
    assert_eq!(fault(&rig).kind, FaultKind::NoSpace);
    assert!(ended.try_recv().is_err());
    *rig.file().probe.fail_writes.lock() = None;
    rig.engine.retry();
    ended.recv_timeout(Duration::from_secs(20)).expect("it is run again").unwrap();
}

/// Whatever single write of the driver fails, trying again leaves a whole image with all data.
#[test]
fn each_metadata_write_may_fail_once() {
    for failing in 0..40 {
        let rig = Rig::new(Format::Qcow2);
        rig.fill(0xa5);
        let mut count = 0;
        rig.fail_writes(move |_, _| {
            count += 1;
            (count == failing + 1).then_some(libc::ENOSPC)
        });
        let mut ended = Vec::new();
        for i in 0..12 {
            ended.push(rig.start(Operation::Write, i * 5 * 65536 + 4096));
            ended.push(rig.start(Operation::Flush, 0));
            rig.engine.drain();
            if rig.engine.fault().is_some() {
                rig.engine.retry();
                rig.engine.drain();
            }
        }
        for request in ended {
            request.recv().unwrap().unwrap();
        }
        drop(rig.engine);
        testing::assert_checked(&rig.path, true);
        let guest = Guest::open(&rig.path, &options(Format::Qcow2)).unwrap();
        for i in 0..12 {
            assert_eq!(guest.read(i * 5 * 65536 + 4096, 65536).unwrap(), [0xa5; 65536], "{i}");
        }
    }
}

#[test]
fn reads_fail_in_the_guest_and_writes_stop_the_disk() {
    for format in [Format::Raw, Format::Qcow2] {
        let rig = Rig::new(format);
        rig.start(Operation::Write, 0).recv().unwrap().unwrap();
        *rig.file().probe.fail_reads.lock() = Some(libc::EIO);
        let error = rig.start(Operation::Read, 0).recv().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(rig.engine.fault(), None);
        *rig.file().probe.fail_reads.lock() = None;

        for (errno, kind) in [
            (libc::EIO, FaultKind::Io),
            (libc::ESTALE, FaultKind::Vanished),
            (libc::ENODEV, FaultKind::Vanished),
            (libc::EFBIG, FaultKind::FileTooLarge),
        ] {
            rig.fail_writes(move |_, _| Some(errno));
            let write = rig.start(Operation::Write, 0);
            assert_eq!(fault(&rig).kind, kind);
            *rig.file().probe.fail_writes.lock() = None;
            rig.engine.retry();
            write.recv().unwrap().unwrap();
        }
    }
}

/// After a failed sync the kernel drops what it could not write and the next sync succeeds;
/// believing that one would tell the guest a lie.
#[test]
fn a_failed_sync_is_not_forgotten() {
    let rig = Rig::new(Format::Raw);
    rig.start(Operation::Write, 0).recv().unwrap().unwrap();
    *rig.file().probe.fail_syncs.lock() = Some(libc::EIO);
    let flush = rig.start(Operation::Flush, 0);
    let told = fault(&rig);
    assert_eq!(told.kind, FaultKind::Lost);
    assert!(!told.kind.can_retry());
    *rig.file().probe.fail_syncs.lock() = None;
    rig.engine.retry();
    assert!(flush.recv().unwrap().is_err());
    let _later = rig.start(Operation::Flush, 0);
    assert_eq!(fault(&rig).kind, FaultKind::Lost);
}

#[test]
fn dropping_a_stopped_disk_ends_everything() {
    let rig = Rig::new(Format::Qcow2);
    rig.fail_writes(|_, _| Some(libc::ENOSPC));
    let requests: Vec<_> = (0..20).map(|i| rig.start(Operation::Write, i * 65536)).collect();
    let told = fault(&rig);
    assert_eq!(told.kind, FaultKind::NoSpace);
    drop(rig.engine);
    for request in requests {
        assert!(request.recv().expect("each request is answered").is_err());
    }
    // The lock is gone as well.
    Guest::open(&rig.path, &options(Format::Qcow2)).unwrap();
}

#[test]
fn dropping_a_busy_disk_ends_everything_first() {
    let rig = Rig::new(Format::Qcow2);
    let requests: Vec<_> = (0..200).map(|i| rig.start(Operation::Write, i * 65536)).collect();
    drop(rig.engine);
    for request in requests {
        request.recv().unwrap().unwrap();
    }
    testing::assert_checked(&rig.path, false);
}

#[test]
fn a_panic_ends_the_disk_alone() {
    for (operation, here) in [(Operation::Flush, false), (Operation::Read, true)] {
        let rig = Rig::new(Format::Raw);
        let done = Box::new(|_| panic!("a device's mistake"));
        let request = Request { operation, offset: 0, segments: Vec::new(), done };
        if here {
            rig.engine.run_or_submit(request)
        } else {
            rig.engine.submit(request)
        }
        let told = fault(&rig);
        assert_eq!(told.kind, FaultKind::Panic);
        assert!(told.detail.contains("a device's mistake"), "{told}");
        assert!(rig.start(Operation::Read, 0).recv().unwrap().is_err());
        rig.engine.drain();
    }
}

/// The last reference to a disk may go away in a completion, on the disk's own thread.
#[test]
fn a_disk_may_be_dropped_by_its_own_thread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    create::create_raw(&path, Bytes(SIZE), Preallocation::None, &mut patient()).unwrap();
    let guest = Guest::open(&path, &options(Format::Raw)).unwrap();
    let (sender, ended) = mpsc::channel();
    let disk = Arc::clone(&guest.disk);
    let done = Box::new(move |result: io::Result<()>| {
        // Wait for the test to let go of its own reference.
        while Arc::strong_count(&disk) > 1 {
            std::thread::yield_now();
        }
        drop(disk);
        sender.send(result).unwrap();
    });
    let request = Request { operation: Operation::Flush, offset: 0, segments: Vec::new(), done };
    guest.disk.submit(request);
    drop(guest);
    ended.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
}

#[test]
fn an_image_is_used_once() {
    let dir = tempfile::tempdir().unwrap();
    let (base, path) = (dir.path().join("base"), dir.path().join("d"));
    create::create_raw(&base, Bytes(SIZE), Preallocation::None, &mut patient()).unwrap();
    let backing = create::Backing { path: "base".into(), format: Format::Raw };
    let none = Preallocation::None;
    create::create_qcow2(&path, Bytes(SIZE), none, Some(&backing), &mut patient()).unwrap();

    let open = |path: &std::path::Path, options| Guest::open(path, &options);
    let running = open(&path, options(Format::Qcow2)).unwrap();
    let in_use = |result: Result<Guest, ImageError>| {
        let error = result.err().expect("it is in use");
        assert!(error.chain().contains("in use by another program"), "{}", error.chain());
    };
    in_use(open(&path, options(Format::Qcow2)));
    in_use(open(&path, read_only(Format::Qcow2)));
    // What lies beneath may be read by others but not written.
    in_use(open(&base, options(Format::Raw)));
    drop(open(&base, read_only(Format::Raw)).unwrap());

    // QEMU, too, finds it in use, and we what QEMU uses.
    let name = path.to_str().unwrap();
    if let Some((good, text)) = testing::qemu_img(&["resize", "-f", "qcow2", name, "+1M"]) {
        assert!(!good && text.contains("lock"), "{text}");
        let read = testing::qemu_img(&["check", "-f", "qcow2", name]);
        assert!(!read.unwrap().0);
    }
    drop(running);
    open(&path, options(Format::Qcow2)).unwrap();
}

#[test]
fn what_is_held_up_or_has_not_begun_can_be_given_up() {
    let rig = Rig::new(Format::Raw);
    rig.fail_writes(|_, _| Some(libc::ENOSPC));
    let parked = rig.start(Operation::Write, 0);
    fault(&rig);
    // Those who hear of it ask for more, and more than there are threads wait.
    let (reached, gate) = mpsc::channel();
    let (open, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    rig.fail_writes(move |_, _| {
        reached.send(()).unwrap_or(());
        let _ = wait.lock().recv();
        None
    });
    rig.engine.retry();
    gate.recv_timeout(Duration::from_secs(10)).unwrap();
    let more: Vec<_> = (1..40).map(|i| rig.start(Operation::Write, i * 65536)).collect();
    std::thread::scope(|scope| {
        let given_up = scope.spawn(|| rig.engine.give_up());
        // What has not begun ends although what has begun does not.
        let ended = || more.iter().filter(|one| matches!(one.try_recv(), Ok(Err(_)))).count();
        let (start, mut count) = (std::time::Instant::now(), 0);
        while count < 30 && start.elapsed() < Duration::from_secs(10) {
            count += ended();
        }
        assert!(count >= 30, "{count} of 39 requests were given up");
        assert!(!given_up.is_finished(), "what is being done is waited for");
        drop(open);
        given_up.join().unwrap();
    });
    assert!(parked.recv().unwrap().is_ok());
    rig.start(Operation::Read, 0).recv().unwrap().unwrap();
}
