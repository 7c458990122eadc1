//! Tests of the device as a guest drives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::bus::BusDevice;
use crate::memory::GuestRam;
use crate::state::{Persist, Reset, conformance};

const RAM: usize = 0x10000;

fn ram() -> GuestRam {
    GuestRam::from_ranges(&[(GuestAddress(0), RAM)]).unwrap()
}

fn device() -> (FwCfg, GuestRam) {
    let ram = ram();
    let calls = AtomicU32::new(0);
    let device = FwCfgBuilder::new()
        .cpus(2)
        .file("bootorder", *b"disk\0")
        .system_states(false)
        .computed(&[("etc/a", 8), ("etc/b", 4)], move || {
            let n = calls.fetch_add(1, Ordering::Relaxed) as u8;
            vec![vec![n + 1; 6], vec![n + 0x10; 4]]
        })
        .writable("etc/w", vec![0; 4], None)
        .build(ram.clone())
        .unwrap();
    (device, ram)
}

fn select(device: &FwCfg, key: u16) {
    device.write(0, &key.to_le_bytes());
}

fn read_bytes(device: &FwCfg, len: usize) -> Vec<u8> {
    (0..len)
        .map(|_| {
            let mut byte = [0xff];
            device.read(1, &mut byte);
            byte[0]
        })
        .collect()
}

/// Finds a file in the directory: its key and size.
fn find(device: &FwCfg, name: &str) -> (u16, u32) {
    select(device, key::FILE_DIR);
    let count = u32::from_be_bytes(read_bytes(device, 4).try_into().unwrap());
    let entries: Vec<_> = (0..count).map(|_| read_bytes(device, 64)).collect();
    let names: Vec<_> = entries.iter().map(|e| e[8..].to_vec()).collect();
    assert!(names.is_sorted());
    let entry = entries
        .iter()
        .find(|e| e[8..].strip_prefix(name.as_bytes()).is_some_and(|rest| rest[0] == 0))
        .unwrap();
    let size = u32::from_be_bytes(entry[..4].try_into().unwrap());
    (u16::from_be_bytes([entry[4], entry[5]]), size)
}

/// Runs a DMA descriptor placed at 0x100 and returns the control word afterwards.
fn dma(device: &FwCfg, ram: &GuestRam, control: u32, length: u32, address: u64) -> u32 {
    let mut descriptor = control.to_be_bytes().to_vec();
    descriptor.extend(length.to_be_bytes());
    descriptor.extend(address.to_be_bytes());
    ram.write_slice(&descriptor, GuestAddress(0x100)).unwrap();
    device.write(4, &0u32.to_be_bytes());
    device.write(8, &0x100u32.to_be_bytes());
    u32::from_be_bytes(ram.read_obj(GuestAddress(0x100)).unwrap())
}

#[test]
fn signature_id_and_absent_items() {
    let (device, _) = device();
    select(&device, key::SIGNATURE);
    assert_eq!(read_bytes(&device, 6), b"QEMU\0\0");
    select(&device, key::ID);
    assert_eq!(read_bytes(&device, 4), [3, 0, 0, 0]);
    select(&device, key::NB_CPUS);
    assert_eq!(read_bytes(&device, 2), [2, 0]);
    select(&device, 0x3fff);
    assert_eq!(read_bytes(&device, 2), [0, 0]);
    let mut register = [0; 4];
    device.read(4, &mut register);
    assert_eq!(&register, b"QEMU");
    device.read(8, &mut register);
    assert_eq!(&register, b" CFG");
}

#[test]
fn computed_files_are_made_once_and_again_after_reset() {
    let (device, _) = device();
    let (a, size) = find(&device, "etc/a");
    assert_eq!(size, 8);
    let (b, _) = find(&device, "etc/b");
    select(&device, a);
    assert_eq!(read_bytes(&device, 9), [1, 1, 1, 1, 1, 1, 0, 0, 0]);
    select(&device, b);
    assert_eq!(read_bytes(&device, 4), [0x10; 4]);
    device.reset();
    select(&device, b);
    assert_eq!(read_bytes(&device, 4), [0x11; 4]);
    select(&device, a);
    assert_eq!(read_bytes(&device, 1), [2]);
}

#[test]
fn dma_selects_reads_and_skips() {
    let (device, ram) = device();
    let (order, size) = find(&device, "bootorder");
    assert_eq!(size, 5);
    // Select and skip two, then read past the end: the rest is zero.
    assert_eq!(dma(&device, &ram, u32::from(order) << 16 | 0xc, 2, 0), 0);
    ram.write_slice(&[0xee; 8], GuestAddress(0x200)).unwrap();
    assert_eq!(dma(&device, &ram, 2, 5, 0x200), 0);
    let mut data = [0; 6];
    ram.read_slice(&mut data, GuestAddress(0x200)).unwrap();
    assert_eq!(&data, b"sk\0\0\0\xee");
}

#[test]
fn dma_writes_only_where_it_may() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = heard.clone();
    let ram = ram();
    let on_write: OnWrite = Box::new(move |bytes| *sink.lock() = bytes.to_vec());
    let device = FwCfgBuilder::new()
        .writable("etc/w", vec![0; 4], Some(on_write))
        .file("etc/ro", [1])
        .build(ram.clone())
        .unwrap();
    let (w, _) = find(&device, "etc/w");
    let (ro, _) = find(&device, "etc/ro");
    ram.write_slice(b"abcdef", GuestAddress(0x300)).unwrap();
    assert_eq!(dma(&device, &ram, u32::from(w) << 16 | 0x18, 2, 0x300), 0);
    assert_eq!(*heard.lock(), b"ab\0\0");
    assert_eq!(dma(&device, &ram, 0x10, 3, 0x300), 1, "past the end");
    assert_eq!(dma(&device, &ram, u32::from(ro) << 16 | 0x18, 1, 0x300), 1, "read-only");
    assert_eq!(dma(&device, &ram, u32::from(w) << 16 | 0x18, 4, RAM as u64), 1, "outside RAM");
    select(&device, w);
    assert_eq!(read_bytes(&device, 4), b"ab\0\0");
}

#[test]
fn dma_outside_ram_fails_and_ends() {
    let (device, ram) = device();
    assert_eq!(dma(&device, &ram, 2, u32::MAX, 0x1000), 1);
    assert_eq!(dma(&device, &ram, 2, 0x100, u64::MAX - 4), 1);
    // Neither the descriptor itself.
    device.write(4, &u32::MAX.to_be_bytes());
    device.write(8, &u32::MAX.to_be_bytes());
}

#[test]
fn bad_names_are_refused() {
    let build = |name: &str| FwCfgBuilder::new().file(name, [0]).build(ram()).err();
    assert!(matches!(build(""), Some(FwCfgError::Name(_))));
    assert!(matches!(build(&"x".repeat(56)), Some(FwCfgError::Name(_))));
    assert!(build(&"x".repeat(55)).is_none());
    let twice = FwCfgBuilder::new().file("a", [0]).file("a", [1]).build(ram());
    assert_eq!(twice.err(), Some(FwCfgError::Duplicate("a".into())));
}

#[test]
fn state_survives() {
    let observe = |device: &FwCfg| read_bytes(device, 8);
    conformance::check(
        || device().0,
        |device| {
            let (a, _) = find(device, "etc/a");
            select(device, a);
            device.reset();
            select(device, a);
            read_bytes(device, 2);
            device.write(4, &[1, 2, 3, 4]);
        },
        observe,
    );
}

#[test]
fn foreign_state_is_refused() {
    let (device, ram) = device();
    let other = FwCfgBuilder::new().build(ram).unwrap();
    assert!(device.restore(other.save()).is_err());
    assert!(other.restore(device.save()).is_err());
}

proptest! {
    #[test]
    fn any_access_is_answered(
        accesses in prop::collection::vec((any::<bool>(), 0u64..12, prop::collection::vec(any::<u8>(), 1..9)), 0..64),
        memory in prop::collection::vec(any::<u8>(), 4096),
    ) {
        let (device, ram) = device();
        ram.write_slice(&memory, GuestAddress(0)).unwrap();
        for (write, offset, mut data) in accesses {
            if write {
                device.write(offset, &data);
            } else {
                device.read(offset, &mut data);
            }
        }
        let state = device.save();
        device.restore(state).unwrap();
    }
}
