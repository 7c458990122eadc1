//! Tests of the flash as firmware drives it, and of its file.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::bus::BusDevice;
use crate::memory::{Access, MapError, MemoryMapper, SlotId};
use crate::state::{Persist, Reset, conformance};

const SIZE: usize = 4 * BLOCK_SIZE;
const BASE: u64 = 0xffc0_0000;

/// Remembers what is mapped, and how often.
#[derive(Default)]
struct Mapper {
    mapped: Mutex<Option<(u64, usize)>>,
    changes: AtomicU32,
    refuse: bool,
}

impl MemoryMapper for Mapper {
    unsafe fn map(
        &self,
        guest: u64,
        host: *mut u8,
        len: u64,
        access: Access,
    ) -> Result<SlotId, MapError> {
        if self.refuse {
            return Err(MapError::NoSlot);
        }
        assert_eq!(access, Access::ReadOnly);
        assert_eq!((host as usize % 4096, len), (0, SIZE as u64));
        self.changes.fetch_add(1, Ordering::Relaxed);
        assert!(self.mapped.lock().replace((guest, host as usize)).is_none());
        Ok(SlotId(7))
    }

    fn unmap(&self, slot: SlotId) {
        assert_eq!(slot, SlotId(7));
        assert!(self.mapped.lock().take().is_some());
    }

    fn take_dirty(&self, _: SlotId, _: &mut [u64]) -> Result<(), MapError> {
        unreachable!("the flash is read-only")
    }
}

struct Rig {
    directory: tempfile::TempDir,
    mapper: Arc<Mapper>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            mapper: Arc::default(),
            failures: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("VARS.fd")
    }

    fn try_flash(&self) -> Result<Flash, FlashError> {
        let template: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
        let failures = self.failures.clone();
        let on_failure: OnFailure = Box::new(move |error| failures.lock().push(error.to_string()));
        let file = VarsFile::new(self.path());
        Flash::new(BASE, file, &template, self.mapper.clone(), on_failure, |panic| {
            panic!("{panic}")
        })
    }

    fn flash(&self) -> Flash {
        self.try_flash().unwrap()
    }

    fn saved(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }
}

fn read(flash: &Flash, offset: u64) -> u8 {
    let mut byte = [0xee];
    flash.read(offset, &mut byte);
    byte[0]
}

/// Writes bytes as edk2's `QemuFlashWrite` does.
fn program(flash: &Flash, offset: u64, data: &[u8]) {
    for (at, byte) in (offset..).zip(data) {
        flash.write(at, &[0x10]);
        flash.write(at, &[*byte]);
    }
    flash.write(offset + data.len() as u64 - 1, &[0xff]);
}

#[test]
fn firmware_recognises_it_as_flash() {
    let rig = Rig::new();
    let flash = rig.flash();
    // As edk2's `QemuFlashDetected`: neither RAM, which would take the byte, nor ROM.
    let original = read(&flash, 16);
    flash.write(16, &[0x50]);
    assert_eq!(read(&flash, 16), original);
    assert!(rig.mapper.mapped.lock().is_some());
    flash.write(16, &[0x70]);
    assert!(rig.mapper.mapped.lock().is_none());
    assert_eq!(read(&flash, 16), 0);
    flash.write(16, &[0xff]);
    assert_eq!(read(&flash, 16), original);
    assert_eq!(rig.mapper.mapped.lock().unwrap().0, BASE);
}

#[test]
fn programs_and_erases() {
    let rig = Rig::new();
    let flash = rig.flash();
    program(&flash, 0x1010, b"variable");
    assert_eq!(read(&flash, 0x1013), b'i');
    flash.write(0x1fff, &[0x20]);
    flash.write(0x1fff, &[0xd0]);
    assert_eq!(read(&flash, 0), 0x80, "ready, no error");
    flash.write(0, &[0xff]);
    assert_eq!((read(&flash, 0x1000), read(&flash, 0x1fff)), (0xff, 0xff));
    assert_eq!((read(&flash, 0xfff), read(&flash, 0x2000)), (79, 160));
    // An erase that is not confirmed does nothing but say so.
    flash.write(0x2000, &[0x20]);
    flash.write(0x2000, &[0xff]);
    assert_eq!(read(&flash, 0), 0xb0);
    flash.write(0, &[0x50]);
    assert_eq!(read(&flash, 0x2000), 160);
}

#[test]
fn programs_through_its_buffer() {
    let rig = Rig::new();
    let flash = rig.flash();
    let start = |offset: u64, count: u8| {
        flash.write(offset, &[0xe8]);
        assert_eq!(read(&flash, offset) & 0x80, 0x80);
        flash.write(offset, &[count - 1]);
    };
    start(0x40, 6);
    flash.write(0x40, b"ab");
    flash.write(0x42, b"cdef");
    flash.write(0x40, &[0xd0]);
    assert_eq!(read(&flash, 0), 0x80);
    flash.write(0, &[0xff]);
    let mut data = [0; 6];
    flash.read(0x40, &mut data);
    assert_eq!(&data, b"abcdef");
    // Data for another block, or too much of it.
    start(0x40, 4);
    flash.write(0x1000, b"x");
    assert_eq!(read(&flash, 0), 0xb0);
    start(0x40, 1);
    flash.write(0x40, b"xy");
    assert_eq!(read(&flash, 0), 0xb0);
    flash.write(0, &[0xff]);
    assert_eq!(read(&flash, 0x40), b'a');
}

#[test]
fn tells_what_it_is() {
    let rig = Rig::new();
    let flash = rig.flash();
    flash.write(0, &[0x90]);
    assert_eq!((read(&flash, 0), read(&flash, 1), read(&flash, 2)), (0x89, 0x18, 0));
    flash.write(0, &[0x98]);
    assert_eq!([0x10, 0x11, 0x12].map(|at| read(&flash, at)), *b"QRY");
    assert_eq!([0x2d, 0x2e, 0x2f, 0x30].map(|at| read(&flash, at)), [3, 0, 16, 0]);
}

#[test]
fn a_run_of_writes_remaps_once() {
    let rig = Rig::new();
    let flash = rig.flash();
    for n in 0..100 {
        program(&flash, n * 8, b"12345678");
    }
    assert_eq!(read(&flash, 0), b'1');
    read(&flash, 1);
    assert_eq!(rig.mapper.changes.load(Ordering::Relaxed), 2);
    let (_, host) = rig.mapper.mapped.lock().unwrap();
    assert_ne!(host, 0);
    drop(flash);
    assert!(rig.mapper.mapped.lock().is_none());
}

#[test]
fn works_without_a_mapping() {
    let rig = Rig { mapper: Arc::new(Mapper { refuse: true, ..Mapper::default() }), ..Rig::new() };
    let flash = rig.flash();
    assert_eq!(read(&flash, 5), 5);
    program(&flash, 5, b"x");
    assert_eq!(read(&flash, 5), b'x');
}

#[test]
fn contents_survive_the_device() {
    let rig = Rig::new();
    let flash = rig.flash();
    assert_eq!(rig.saved()[100], 100);
    program(&flash, 100, b"kept");
    drop(flash);
    assert_eq!(&rig.saved()[100..104], b"kept");
    assert_eq!(std::fs::metadata(rig.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&rig.flash(), 101), b'e');
    assert!(rig.failures.lock().is_empty());
    let files = std::fs::read_dir(rig.directory.path()).unwrap().count();
    assert_eq!(files, 1, "nothing is left beside it");
}

#[test]
fn contents_are_saved_when_the_guest_pauses() {
    let rig = Rig::new();
    let flash = rig.flash();
    program(&flash, 0, b"soon");
    assert_ne!(&rig.saved()[..4], b"soon");
    let start = Instant::now();
    while &rig.saved()[..4] != b"soon" {
        assert!(start.elapsed() < Duration::from_secs(20), "not saved");
        std::thread::sleep(Duration::from_millis(10));
    }
    program(&flash, 0, b"now!");
    flash.flush().unwrap();
    assert_eq!(&rig.saved()[..4], b"now!");
}

#[test]
fn a_failure_is_reported_and_loses_nothing() {
    let rig = Rig::new();
    let flash = rig.flash();
    // A directory in its place: replacing it fails for root too.
    std::fs::remove_file(rig.path()).unwrap();
    std::fs::create_dir_all(rig.path().join("in the way")).unwrap();
    program(&flash, 0, b"data");
    assert!(flash.flush().is_err());
    let start = Instant::now();
    while rig.failures.lock().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "not reported");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(rig.failures.lock()[0].contains("VARS.fd cannot be saved"));
    std::fs::remove_dir_all(rig.path()).unwrap();
    flash.flush().unwrap();
    assert_eq!(&rig.saved()[..4], b"data");
    assert_eq!(rig.failures.lock().len(), 1);
}

#[test]
fn foreign_files_are_refused_and_kept() {
    let rig = Rig::new();
    std::fs::write(rig.path(), b"something else").unwrap();
    assert!(matches!(rig.try_flash().err(), Some(FlashError::Size { actual: 14, .. })));
    assert_eq!(rig.saved(), b"something else");
    let file = VarsFile::new(rig.path());
    assert!(matches!(file.load(&[0; 100]), Err(FlashError::Geometry(100))));
    assert!(matches!(file.load(&[]), Err(FlashError::Geometry(0))));
}

#[test]
fn state_survives() {
    let rigs: Mutex<Vec<Rig>> = Mutex::default();
    let make = || {
        let rig = Rig::new();
        let flash = rig.flash();
        rigs.lock().push(rig);
        flash
    };
    let exercise = |flash: &Flash| {
        flash.write(0x40, &[0x20]);
        flash.write(0x40, &[0x00]);
        flash.write(0x40, &[0xe8]);
        flash.write(0x40, &[3]);
        flash.write(0x40, b"ab");
    };
    conformance::check(make, exercise, |flash| {
        let status = read(flash, 0);
        flash.write(0x42, b"cd");
        flash.write(0x42, &[0xd0]);
        flash.write(0, &[0xff]);
        let mut data = [0; 8];
        flash.read(0x3e, &mut data);
        [&[status], &data[..]].concat()
    });
}

#[test]
fn impossible_states_are_refused() {
    let rig = Rig::new();
    let flash = rig.flash();
    flash.write(SIZE as u64 - 1, &[0xe8]);
    let mut state = serde_json::to_value(flash.save()).unwrap();
    state["expect"]["BufferCount"]["block"] = SIZE.into();
    assert!(flash.restore(serde_json::from_value(state).unwrap()).is_err());
}

proptest! {
    #![proptest_config(crate::fuzz::cases(32))]

    #[test]
    fn any_access_is_answered(
        accesses in prop::collection::vec(
            (any::<bool>(), 0..SIZE as u64 + 8, prop::collection::vec(
                prop_oneof![prop::sample::select(vec![0x10u8, 0x20, 0x50, 0x60, 0x70, 0x90, 0x98, 0xd0, 0xe8, 0xff]), any::<u8>()], 1..9)),
            0..200,
        ),
    ) {
        let rig = Rig::new();
        let flash = rig.flash();
        for (write, offset, mut data) in accesses {
            if write {
                flash.write(offset, &data);
            } else {
                flash.read(offset, &mut data);
            }
        }
        let state = flash.save();
        flash.restore(state).unwrap();
        flash.reset();
        prop_assert!(rig.mapper.mapped.lock().is_some());
    }
}
