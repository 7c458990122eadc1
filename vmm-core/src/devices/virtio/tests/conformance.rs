//! What every device passes, whatever it does.

use vm_memory::{Bytes, GuestAddress};

use super::rig::{DATA, INDIRECT, NEXT, Part, Rig, WRITE, common, ram, wait_for};
use crate::devices::virtio::registers::status;
use crate::devices::virtio::{VirtioDevice, feature};
use crate::state::{Persist, Reset, Resume};

/// A device to test.
pub(in super::super) struct Subject<D: VirtioDevice> {
    /// Makes the device in its power-on state.
    pub(in super::super) make: fn(std::sync::Arc<crate::memory::GuestRam>) -> D,
    /// Uses a started device for what it is there for and panics when it does not work. Works with
    /// queues of any size from 4.
    pub(in super::super) works: fn(&Rig<D>),
    /// Queues from which the device takes chains as soon as they are offered.
    pub(in super::super) eager: &'static [u16],
}

/// Puts the device through everything.
pub(in super::super) fn check<D: VirtioDevice>(subject: &Subject<D>) {
    negotiation(subject);
    queue_sizes(subject);
    indirect_and_without_event_index(subject);
    broken_rules(subject);
    resets_in_flight(subject);
    bus_master(subject);
    state(subject);
}

fn cold<D: VirtioDevice>(subject: &Subject<D>) -> Rig<D> {
    let ram = ram();
    Rig::cold((subject.make)(ram.clone()), ram)
}

fn negotiation<D: VirtioDevice>(subject: &Subject<D>) {
    let rig = cold(subject);
    let offered = rig.offered();
    assert_eq!(offered & feature::TRANSPORT, feature::TRANSPORT);
    assert_eq!(offered, rig.pci.device().features() | feature::TRANSPORT);
    assert!(!rig.negotiate(offered & !feature::VERSION_1), "accepted a legacy driver");
    rig.reset();
    let foreign = (0..64).map(|bit| 1 << bit).find(|bit| offered & bit == 0).unwrap();
    assert!(!rig.negotiate(offered | foreign), "accepted a feature that was not offered");
    rig.set_status(15);
    assert!(rig.needs_reset(), "started without having agreed on features");
    rig.reset();
    assert!(rig.negotiate(offered), "refused its own features");
    // Too late to change.
    rig.set32(common::DRIVER_FEATURE, 0);
    assert_eq!(rig.get(common::DRIVER_FEATURE, 4), offered >> 32);
    for features in [feature::VERSION_1, offered] {
        rig.start(features, 1024);
        assert_eq!(rig.status(), 15);
        (subject.works)(&rig);
    }
}

fn queue_sizes<D: VirtioDevice>(subject: &Subject<D>) {
    let rig = cold(subject);
    let sizes = rig.pci.device().queue_sizes();
    assert_eq!(usize::from(rig.queues()), sizes.len());
    for (queue, max) in (0..).zip(&sizes) {
        rig.set16(common::QUEUE_SELECT, queue);
        assert_eq!(rig.get(common::QUEUE_SIZE, 2), u64::from(*max));
        assert_eq!(rig.get(common::QUEUE_ENABLE, 2), 0);
    }
    rig.set16(common::QUEUE_SELECT, rig.queues());
    assert_eq!(rig.get(common::QUEUE_SIZE, 2), 0, "a queue that does not exist");
    for size in [4, 8] {
        rig.start(!0, size);
        (subject.works)(&rig);
    }
    for size in [0, 3, sizes[0] * 2] {
        rig.reset();
        assert!(rig.negotiate(rig.offered()));
        rig.set16(common::QUEUE_SELECT, 0);
        rig.set16(common::QUEUE_SIZE, size);
        rig.set16(common::QUEUE_ENABLE, 1);
        assert!(rig.needs_reset(), "a queue of {size} entries");
    }
    // Rings outside memory, and misplaced ones.
    for (register, address) in [
        (common::QUEUE_DESCRIPTORS, 1u64 << 40),
        (common::QUEUE_DRIVER, u64::MAX - 1),
        (common::QUEUE_DEVICE, super::rig::RAM as u64 - 4),
        (common::QUEUE_DESCRIPTORS, 0x1_0008),
    ] {
        rig.prepare(!0, 1024);
        rig.reset();
        assert!(rig.negotiate(rig.offered()));
        rig.set16(common::QUEUE_SELECT, 0);
        rig.set32(common::QUEUE_DESCRIPTORS, 0x1_0000);
        rig.set32(common::QUEUE_DRIVER, 0x2_0000);
        rig.set32(common::QUEUE_DEVICE, 0x3_0000);
        rig.write(1, register, &address.to_le_bytes());
        rig.set16(common::QUEUE_ENABLE, 1);
        rig.set_status(15);
        assert!(rig.needs_reset(), "a ring at {address:#x}");
    }
    rig.start(!0, 1024);
    (subject.works)(&rig);
}

fn indirect_and_without_event_index<D: VirtioDevice>(subject: &Subject<D>) {
    let rig = cold(subject);
    rig.enable_msix();
    for without in [feature::EVENT_IDX, feature::INDIRECT_DESC, 0] {
        rig.start(!without, 1024);
        rig.messages();
        (subject.works)(&rig);
        let queues = 0x41..=0x40 + u32::from(rig.queues());
        assert!(rig.messages().iter().all(|data| queues.contains(data)));
        assert!(!rig.pin(), "the pin beside messages");
    }
}

/// Ways to offer nonsense in a queue.
fn nonsense<D: VirtioDevice>(rig: &Rig<D>, queue: u16, which: usize) -> bool {
    let table = Rig::<D>::ring_addresses(queue)[0];
    let descriptor = |index, part: Part, next| rig.write_descriptor(table, index, part, next);
    let head = match which {
        // A head that is no descriptor.
        0 => u16::MAX,
        // A loop.
        1 => {
            descriptor(0, (DATA, 16, NEXT), 1);
            descriptor(1, (DATA, 16, NEXT), 0);
            0
        }
        // A link to nowhere.
        2 => {
            descriptor(0, (DATA, 16, NEXT), 5000);
            0
        }
        // Memory that is not there, that ends too early, that wraps.
        3 => {
            descriptor(0, (1 << 50, 16, WRITE), 0);
            0
        }
        4 => {
            descriptor(0, (DATA, u32::MAX, WRITE), 0);
            0
        }
        5 => {
            descriptor(0, (u64::MAX - 3, 16, WRITE), 0);
            0
        }
        // Something to read after something to write.
        6 => {
            descriptor(0, (DATA, 16, WRITE | NEXT), 1);
            descriptor(1, (DATA, 16, 0), 0);
            0
        }
        // Tables: of odd length, empty, outside memory, nested, that go on.
        7 => {
            descriptor(0, (DATA, 24, INDIRECT), 0);
            0
        }
        8 => {
            descriptor(0, (DATA, 0, INDIRECT), 0);
            0
        }
        9 => {
            descriptor(0, (1 << 44, 32, INDIRECT), 0);
            0
        }
        10 => {
            rig.write_descriptor(DATA, 0, (DATA + 64, 16, INDIRECT), 0);
            rig.write_descriptor(DATA + 64, 0, (DATA + 128, 16, 0), 0);
            descriptor(0, (DATA, 16, INDIRECT), 0);
            0
        }
        11 => {
            rig.write_descriptor(DATA, 0, (DATA + 64, 16, 0), 0);
            descriptor(0, (DATA, 16, INDIRECT | NEXT), 1);
            descriptor(1, (DATA + 64, 16, 0), 0);
            0
        }
        // More than 4 GiB by saying the same many times.
        12 => {
            for index in 0..1000u16 {
                let part = (DATA, 4 << 20 | 1 << 19, NEXT);
                rig.write_descriptor(DATA + 0x10_0000, index, part, index + 1);
            }
            rig.write_descriptor(DATA + 0x10_0000, 1000, (DATA, 16, 0), 0);
            descriptor(0, (DATA + 0x10_0000, 16 * 1001, INDIRECT), 0);
            0
        }
        // A table with a loop.
        13 => {
            for index in 0..1000u16 {
                let part = (DATA, 1, NEXT);
                rig.write_descriptor(DATA, index, part, (index + 1) % 1000);
            }
            descriptor(0, (DATA, 16 * 1000, INDIRECT), 0);
            0
        }
        // An index far ahead.
        14 => {
            rig.jump(queue, 5000);
            rig.ring(queue);
            return true;
        }
        _ => return false,
    };
    rig.offer(queue, head);
    rig.ring(queue);
    true
}

fn broken_rules<D: VirtioDevice>(subject: &Subject<D>) {
    let rig = cold(subject);
    rig.enable_msix();
    for queue in 0..rig.queues() {
        for which in 0.. {
            rig.prepare(!0, 1024);
            rig.set16(common::CONFIG_VECTOR, 0);
            rig.set_status(15);
            rig.messages();
            if !nonsense(&rig, queue, which) {
                break;
            }
            if subject.eager.contains(&queue) {
                wait_for(&format!("queue {queue} to see through {which}"), || rig.needs_reset());
                let told = || rig.irq.messages.lock().iter().any(|message| message.data == 0x40);
                wait_for("the interrupt that tells of it", told);
            }
            // Ringing on does not matter.
            (0..rig.queues()).for_each(|queue| rig.ring(queue));
        }
    }
    rig.reset();
    rig.start(!feature::INDIRECT_DESC, 1024);
    if let Some(queue) = subject.eager.first() {
        rig.write_descriptor(DATA, 0, (DATA + 64, 16, 0), 0);
        rig.send(*queue, &[(DATA, 16, INDIRECT)]);
        wait_for("the table to be refused", || rig.needs_reset());
    }
    rig.start(!0, 1024);
    (subject.works)(&rig);
}

fn resets_in_flight<D: VirtioDevice>(subject: &Subject<D>) {
    let rig = cold(subject);
    let canary = [0xa5; 4096];
    let at = GuestAddress(DATA + 0x20_0000);
    for round in 0..40u16 {
        rig.start(!0, 1024);
        for queue in 0..rig.queues() {
            for _ in 0..round % 4 + 1 {
                rig.send(queue, &[(at.0, 64, 0), (at.0, 4000, WRITE)]);
            }
        }
        for _ in 0..round * 50 {
            std::hint::spin_loop();
        }
        rig.reset();
        // From here on the memory is the driver's.
        rig.ram.write_slice(&canary, at).unwrap();
        let rings: Vec<u8> = used_rings(&rig);
        if round % 8 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let mut now = [0; 4096];
        rig.ram.read_slice(&mut now, at).unwrap();
        assert_eq!(now, canary, "the device wrote to memory after its reset");
        assert_eq!(used_rings(&rig), rings, "the device used a ring after its reset");
        assert!(!rig.pin(), "the pin stays asserted");
    }
    rig.start(!0, 1024);
    (subject.works)(&rig);
}

fn used_rings<D: VirtioDevice>(rig: &Rig<D>) -> Vec<u8> {
    let ring = |queue| {
        let mut ring = vec![0; 0x2000];
        rig.ram.read_slice(&mut ring, GuestAddress(Rig::<D>::ring_addresses(queue)[2])).unwrap();
        ring
    };
    (0..rig.queues()).flat_map(ring).collect()
}

fn bus_master<D: VirtioDevice>(subject: &Subject<D>) {
    let Some(&queue) = subject.eager.first() else { return };
    let rig = cold(subject);
    rig.start(!0, 1024);
    rig.write_config(4, &[2, 0]);
    rig.send(queue, &[(DATA, 64, 0), (DATA, 64, WRITE)]);
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert_eq!(rig.used(queue), None, "memory access without permission");
    rig.write_config(4, &[6, 0]);
    wait_for("an answer or a refusal", || rig.used(queue).is_some() || rig.needs_reset());
}

fn state<D: VirtioDevice>(subject: &Subject<D>) {
    let rig = cold(subject);
    rig.enable_msix();
    rig.prepare(!0, 8);
    rig.set16(common::CONFIG_VECTOR, 0);
    rig.set_status(15);
    for _ in 0..3 {
        (subject.works)(&rig);
    }
    let saved = serde_json::to_value(rig.pci.save()).unwrap();
    // The original goes on.
    (subject.works)(&rig);
    let saved_again = serde_json::to_value(rig.pci.save()).unwrap();

    let copy = cold(subject);
    copy.pci.restore(serde_json::from_value(saved.clone()).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(copy.pci.save()).unwrap(), saved);
    copy.pci.restore(serde_json::from_value(saved_again.clone()).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(copy.pci.save()).unwrap(), saved_again);
    copy.adopt(&rig);
    for offset in 0..0x40 {
        assert_eq!(copy.get(offset, 1), rig.get(offset, 1), "common configuration at {offset:#x}");
    }
    let config =
        |rig: &Rig<D>| -> Vec<u64> { (0..0x40).map(|at| rig.read(4, at * 4, 4)).collect() };
    assert_eq!(config(&copy), config(&rig));
    copy.pci.resume();
    copy.pci.resume();
    (subject.works)(&copy);
    assert!(copy.messages().iter().any(|data| *data > 0x40), "no interrupt after a restore");

    // States that cannot be are refused and change nothing.
    let before = serde_json::to_value(copy.pci.save()).unwrap();
    for (pointer, value) in [
        ("/registers/status", serde_json::json!(status::DRIVER_OK)),
        ("/registers/queues", serde_json::json!([])),
        ("/registers/driver_features", serde_json::json!(u64::MAX)),
        ("/registers/config_vector", serde_json::json!(77)),
        ("/registers/queues/0/size", serde_json::json!(7)),
        ("/queues/0/in_flight", serde_json::json!([1, 1])),
        ("/queues/0/in_flight", serde_json::json!([9])),
        ("/msix/entries", serde_json::json!([])),
    ] {
        let mut bad = saved.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let bad = serde_json::from_value(bad).unwrap();
        assert!(copy.pci.restore(bad).is_err(), "took a bad {pointer}");
    }
    assert_eq!(serde_json::to_value(copy.pci.save()).unwrap(), before);
    (subject.works)(&copy);

    copy.pci.reset();
    let fresh = cold(subject);
    fresh.pci.reset();
    let state = |rig: &Rig<D>| serde_json::to_value(rig.pci.save()).unwrap();
    assert_eq!(state(&copy), state(&fresh), "reset leaves something behind");
}
