//! The balloon and its driver.

use vm_memory::{Bytes as _, GuestAddress};

use super::*;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::{DATA, RAM, Rig, WRITE, common, wait_for};
use crate::state::Resume;

/// Pages to give up.
const PAGES: u64 = DATA + 0x10_0000;

fn balloon() -> Balloon {
    Balloon::new().unwrap()
}

fn fill(rig: &Rig<Balloon>, address: u64, len: usize) {
    rig.ram.write_slice(&vec![0x5a; len], GuestAddress(address)).unwrap();
}

/// How many bytes of `len` at `address` are zero.
fn zeros(rig: &Rig<Balloon>, address: u64, len: usize) -> usize {
    let mut bytes = vec![1; len];
    rig.ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
    bytes.iter().filter(|byte| **byte == 0).count()
}

/// Gives up the pages with these numbers.
fn inflate(rig: &Rig<Balloon>, numbers: &[u32]) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    rig.ram.write_slice(&bytes, GuestAddress(DATA)).unwrap();
    assert_eq!(rig.exchange(0, &[(DATA, bytes.len() as u32, 0)]), 0);
}

fn number(address: u64) -> u32 {
    (address / PAGE) as u32
}

fn works(rig: &Rig<Balloon>) {
    fill(rig, PAGES, 0x4000);
    inflate(rig, &[number(PAGES + 0x1000), number(PAGES + 0x2000)]);
    assert_eq!(zeros(rig, PAGES, 0x4000), 0x2000);
    assert_eq!(zeros(rig, PAGES + 0x1000, 0x2000), 0x2000);
    assert_eq!(rig.exchange(1, &[(DATA, 8, 0)]), 0);
}

const SUBJECT: Subject<Balloon> = Subject { make: |_| balloon(), works, eager: &[0, 1, 2, 3, 4] };

#[test]
fn it_conforms() {
    conformance::check(&SUBJECT);
}

#[test]
fn hostile_drivers() {
    hostile::check(&SUBJECT);
}

#[test]
fn any_numbers_are_taken_and_only_pages_of_ram_go() {
    let rig = Rig::hot(balloon());
    fill(&rig, PAGES, 0x10_000);
    // Twice, backwards, the last one, and what does not exist.
    let page = number(PAGES);
    let last = number(RAM as u64) - 1;
    inflate(&rig, &[page + 2, page + 1, page + 1, last, last + 1, u32::MAX, u32::MAX, page + 9]);
    assert_eq!(zeros(&rig, PAGES, 0x10_000), 0x3000);
    // No whole number, none at all, nothing but room to write.
    for parts in [&[(DATA, 7, 0)][..], &[(DATA, 3, 0)], &[(PAGES, 0x4000, WRITE)]] {
        assert_eq!(rig.exchange(0, parts), 0);
    }
    assert_eq!(zeros(&rig, PAGES, 0x10_000), 0x3000);
    // More than anybody gives at a time.
    let many: Vec<u32> = vec![page + 4; 5000];
    inflate(&rig, &many);
    assert!(!rig.needs_reset());
}

#[test]
fn free_pages_go_on_either_queue() {
    let rig = Rig::hot(balloon());
    for queue in [3, 4] {
        fill(&rig, PAGES, 0x10_000);
        // One that is no whole page, and one that is read only.
        let parts = [
            (PAGES + 0x8000, 0x1000, 0),
            (PAGES + 0x800, 0x1800, WRITE),
            (PAGES + 0x4000, 0x2000, WRITE),
        ];
        assert_eq!(rig.exchange(queue, &parts), 0);
        assert_eq!(zeros(&rig, PAGES, 0x10_000), 0x3000);
        assert_eq!(zeros(&rig, PAGES + 0x1000, 0x1000), 0x1000);
        assert_eq!(zeros(&rig, PAGES + 0x4000, 0x2000), 0x2000);
    }
    // A driver that did not agree to it keeps its pages.
    rig.start(!feature::PAGE_REPORTING, 1024);
    fill(&rig, PAGES, 0x1000);
    assert_eq!(rig.exchange(4, &[(PAGES, 0x1000, WRITE)]), 0);
    assert_eq!(zeros(&rig, PAGES, 0x1000), 0);
}

fn figures(values: &[(u16, u64)]) -> Vec<u8> {
    let figure =
        |(tag, value): &(u16, u64)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
    values.iter().flat_map(figure).collect()
}

/// The driver says how memory is used.
fn tell(rig: &Rig<Balloon>, values: &[(u16, u64)]) -> u16 {
    let bytes = figures(values);
    rig.ram.write_slice(&bytes, GuestAddress(DATA)).unwrap();
    rig.send(2, &[(DATA, bytes.len() as u32, 0)])
}

fn memory(rig: &Rig<Balloon>) -> Option<GuestMemory> {
    rig.pci.device().figures().memory
}

#[test]
fn the_guest_says_how_it_uses_memory_when_asked() {
    let rig = Rig::hot(balloon());
    let balloon = rig.pci.device();
    assert_eq!(memory(&rig), None);
    let mut head = tell(&rig, &[(5, 1000), (77, 1), (4, 300), (6, 600)]);
    for round in 0..3 {
        let said = GuestMemory { total: 1000, free: 300 + round, available: 600 };
        wait_for("the figures", || memory(&rig) == Some(said));
        assert_eq!(said.used(), 400);
        assert_eq!(rig.used(2), None, "asked although nobody wants to know");
        balloon.ask();
        assert_eq!(rig.wait_used(2), (u32::from(head), 0));
        head = tell(&rig, &[(4, 301 + round), (5, 1000), (6, 600)]);
    }
    // A second buffer: the first goes back.
    tell(&rig, &[(4, 7), (5, 8)]);
    assert_eq!(rig.wait_used(2), (u32::from(head), 0));
    wait_for("it", || memory(&rig) == Some(GuestMemory { total: 8, free: 7, available: 7 }));
    // Too little to go by.
    tell(&rig, &[(6, 1)]);
    wait_for("nothing", || memory(&rig).is_none());
}

#[test]
fn what_the_balloon_holds_is_not_used() {
    let rig = Rig::hot(balloon());
    // Of 1000 pages it holds 300, and programs 100. Linux counts the balloon's or not.
    for (features, total) in [(!0, 1000), (!feature::DEFLATE_ON_OOM, 700)] {
        rig.start(features, 1024);
        rig.write(4, 4, &300u32.to_le_bytes());
        tell(&rig, &[(5, total * PAGE), (4, 600 * PAGE), (6, 600 * PAGE)]);
        wait_for("the figures", || memory(&rig).is_some());
        assert_eq!(memory(&rig).unwrap().used(), 100 * PAGE);
    }
    // More than there is.
    rig.start(!0, 1024);
    rig.write(4, 4, &u32::MAX.to_le_bytes());
    tell(&rig, &[(5, 1000), (4, 600)]);
    wait_for("the figures", || memory(&rig).is_some());
    assert_eq!(memory(&rig).unwrap().used(), 0);
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let rig = Rig::hot(balloon());
    tell(&rig, &[(4, 7), (5, 8)]);
    wait_for("the figures", || memory(&rig).is_some());
    for _ in 0..PATIENCE {
        rig.pci.device().ask();
        assert!(memory(&rig).is_some());
    }
    rig.pci.device().ask();
    assert_eq!(memory(&rig), None);
}

#[test]
fn the_target_is_the_hosts_and_outlasts_the_guest() {
    let rig = Rig::hot(balloon());
    rig.enable_msix();
    rig.prepare(!0, 1024);
    rig.set16(common::CONFIG_VECTOR, 0);
    rig.set_status(15);
    rig.messages();
    rig.pci.device().set_target(Bytes::mib(3));
    assert_eq!(rig.messages(), [0x40]);
    rig.pci.device().set_target(Bytes::mib(3));
    assert_eq!(rig.messages(), [0u32; 0], "told what it knows");
    assert_eq!(rig.read(4, 0, 4), 768);
    // It cannot be written; what was given up can.
    rig.write(4, 0, &5u32.to_le_bytes());
    rig.write(4, 4, &700u32.to_le_bytes());
    rig.write(4, 5, &[9]);
    assert_eq!(rig.read(4, 0, 8), 700 << 32 | 768);
    assert_eq!(rig.pci.device().figures().inflated, 700 * 4096);
    rig.reset();
    assert_eq!(rig.read(4, 0, 8), 768);
    rig.pci.device().set_target(Bytes(u64::MAX));
    assert_eq!(rig.read(4, 0, 4), u64::from(u32::MAX));
}

#[test]
fn the_buffer_for_statistics_moves_to_the_restored_machine() {
    let rig = Rig::hot(balloon());
    let head = tell(&rig, &[(4, 7), (5, 8)]);
    wait_for("the figures", || memory(&rig).is_some());
    let state = serde_json::to_string(&rig.pci.save()).unwrap();
    let copy = Rig::cold(balloon(), crate::devices::virtio::tests::rig::ram());
    copy.adopt(&rig);
    copy.pci.restore(serde_json::from_str(&state).unwrap()).unwrap();
    copy.pci.resume();
    wait_for("the figures", || memory(&copy).is_some());
    copy.pci.device().ask();
    assert_eq!(copy.wait_used(2), (u32::from(head), 0));
}
