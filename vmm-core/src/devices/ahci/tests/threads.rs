//! A block layer with threads, against a guest that resets whenever it likes.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::registers::{cmd, ghc, px};
use super::super::{Drive, Identity};
use super::rig::{DATA, FakeDisk, Fis, Rig, ram};
use crate::block::{BlockDevice, Request};

/// A disk that ends requests on three threads, after a while that differs.
struct Threaded {
    disk: Arc<FakeDisk>,
    queue: mpsc::Sender<Request>,
}

impl Threaded {
    fn new(disk: Arc<FakeDisk>) -> (Self, Vec<thread::JoinHandle<()>>) {
        let (queue, requests) = mpsc::channel::<Request>();
        let requests = Arc::new(Mutex::new(requests));
        let worker = |nap: u64| {
            let (disk, requests) = (disk.clone(), requests.clone());
            thread::spawn(move || {
                loop {
                    let request = requests.lock().recv();
                    let Ok(request) = request else { return };
                    thread::sleep(Duration::from_micros(nap));
                    disk.submit(request);
                }
            })
        };
        let workers = [10, 200, 700].map(worker).into();
        (Self { disk, queue }, workers)
    }
}

impl BlockDevice for Threaded {
    fn len(&self) -> u64 {
        self.disk.len()
    }
    fn read_only(&self) -> bool {
        false
    }
    fn submit(&self, request: Request) {
        self.queue.send(request).expect("workers live as long as the disk");
    }
    fn drain(&self) {}
}

/// Polls as a driver does, within a driver's patience.
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        thread::yield_now();
    }
}

#[test]
fn resets_at_any_moment_leave_memory_alone() {
    const SECTORS: u16 = 8;
    const BYTES: usize = 4096;
    let ram = ram();
    let (image, workers) = Threaded::new(FakeDisk::new(&ram, 1 << 20));
    let drive = Drive::Disk { image: Arc::new(image), identity: Identity::disk("X") };
    let rig = Rig::cold(ram, drive);
    rig.start();
    for round in 0..60u32 {
        for slot in 0..32u8 {
            let address = DATA + u64::from(slot) * BYTES as u64;
            let first = u64::from(slot) * u64::from(SECTORS);
            rig.prepare(
                slot,
                0,
                Fis::queued(false, slot, first, SECTORS),
                &[(address, BYTES as u32)],
            );
        }
        rig.set_px(px::SACT, !0);
        rig.set_px(px::CI, !0);
        if round % 2 == 0 {
            wait("all commands", || rig.px(px::SACT) == 0);
            let bytes = rig.bytes(DATA, 32 * BYTES);
            let expected = |at: usize| ((at / 512) as u8).wrapping_add((at % 512) as u8);
            assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == expected(at)));
            rig.acknowledge();
        } else {
            wait("a few commands", || rig.px(px::SACT).count_zeros() >= round % 7);
            match round % 3 {
                0 => {
                    rig.set_px(px::CMD, cmd::FRE);
                    wait("the list to stop", || rig.px(px::CMD) & cmd::CR == 0);
                }
                1 => {
                    rig.set_px(px::CMD, cmd::FRE);
                    rig.set_px(px::SCTL, 1);
                    rig.set_px(px::SCTL, 0);
                    wait("the link", || rig.px(px::SSTS) == 0x123);
                }
                _ => {
                    rig.write(ghc::GHC, ghc::HR);
                    wait("the HBA", || rig.read(ghc::GHC) & ghc::HR == 0);
                }
            }
            rig.fill(DATA, 32 * BYTES, 0xcc);
            thread::sleep(Duration::from_millis(1));
            assert_eq!(rig.bytes(DATA, 32 * BYTES), vec![0xcc; 32 * BYTES], "round {round}");
            rig.start();
        }
        assert_eq!(rig.px(px::TFD) & 0x89, 0);
    }
    rig.ahci.drain();
    drop(rig);
    for worker in workers {
        worker.join().unwrap();
    }
}

#[test]
fn vcpus_and_completions_do_not_lose_commands() {
    let ram = ram();
    let (image, _) = Threaded::new(FakeDisk::new(&ram, 1 << 20));
    let drive = Drive::Disk { image: Arc::new(image), identity: Identity::disk("X") };
    let rig = Rig::cold(ram, drive);
    rig.start();
    thread::scope(|scope| {
        for vcpu in 0..4u8 {
            let rig = &rig;
            scope.spawn(move || {
                for round in 0..100u64 {
                    let slot = vcpu * 8 + (round % 8) as u8;
                    let address = DATA + u64::from(slot) * 512;
                    let write = round % 3 == 0;
                    rig.prepare(slot, 0, Fis::queued(write, slot, round, 1), &[(address, 512)]);
                    rig.set_px(px::SACT, 1 << slot);
                    rig.set_px(px::CI, 1 << slot);
                    wait("a command", || rig.px(px::SACT) >> slot & 1 == 0);
                }
            });
        }
    });
    let stats = rig.ahci.stats(0);
    assert_eq!((stats.reads, stats.writes), (4 * 66, 4 * 34));
    assert!(rig.interrupted());
    rig.acknowledge();
    assert!(!rig.interrupted());
}
