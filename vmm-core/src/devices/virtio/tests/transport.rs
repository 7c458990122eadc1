//! The transport by itself, under a device that holds on to what it is given.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::conformance::{self, Subject};
use super::rig::{DATA, INDIRECT, Part, RAM, Rig, WRITE, common, ram, wait_for};
use crate::devices::virtio::{
    Activation, Assignment, Chain, ConfigNotifier, Events, Interest, Kind, VirtQueue, VirtioDevice,
    Worker, config_bytes, feature,
};
use crate::pci::PciDevice;
use crate::state::{Persist, RestoreError, Resume};

/// Answers each chain with what it read, in capitals. While `hold` is set, keeps chains.
#[derive(Default)]
struct Echo {
    shared: Arc<Mutex<Shared>>,
    config: Mutex<Option<ConfigNotifier>>,
}

#[derive(Default)]
struct Shared {
    hold: bool,
    held: Vec<Chain>,
    queue: Option<Arc<VirtQueue>>,
    value: u8,
    features: u64,
    /// How often a worker began, and ended, to serve a queue.
    turns: (u32, u32),
}

struct EchoWorker(Arc<Mutex<Shared>>, Arc<VirtQueue>);

fn answer(queue: &VirtQueue, mut chain: Chain) {
    let mut data = [0; 64];
    let len = chain.read(queue.ram(), &mut data);
    data.make_ascii_uppercase();
    chain.write(queue.ram(), &data[..len]);
    queue.complete(chain);
}

impl Worker for EchoWorker {
    fn queue_rung(&mut self, _: usize, _: &Events) {
        let queue = &self.1;
        self.0.lock().turns.0 += 1;
        queue.serve(|chain| {
            let mut shared = self.0.lock();
            if shared.hold { shared.held.push(chain) } else { answer(queue, chain) }
        });
        self.0.lock().turns.1 += 1;
    }
    fn takes_all(&self) -> bool {
        true
    }
    fn drain(&mut self) {}
    fn stop(&mut self) {
        self.0.lock().held.clear();
    }
}

impl VirtioDevice for Echo {
    fn kind(&self) -> Kind {
        Kind::ENTROPY
    }
    fn features(&self) -> u64 {
        1
    }
    fn queue_sizes(&self) -> Vec<u16> {
        vec![256, 16]
    }
    fn attach(&self, config: ConfigNotifier) {
        *self.config.lock() = Some(config);
    }
    fn read_config(&self, offset: u64, data: &mut [u8]) {
        config_bytes(&[self.shared.lock().value], offset, data);
    }
    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        self.shared.lock().queue = activation.queue(0);
        self.shared.lock().features = activation.features;
        let assignment = |queue: &Arc<VirtQueue>| Assignment {
            queues: vec![queue.clone()],
            worker: Box::new(EchoWorker(self.shared.clone(), queue.clone())),
        };
        Ok(activation.queues.iter().flatten().map(assignment).collect())
    }
    fn reset(&self) {
        self.shared.lock().queue = None;
    }
}

impl Persist for Echo {
    type State = u8;
    fn save(&self) -> u8 {
        self.shared.lock().value
    }
    fn restore(&self, state: u8) -> Result<(), RestoreError> {
        self.shared.lock().value = state;
        Ok(())
    }
}

const HELLO: [Part; 2] = [(DATA, 5, 0), (DATA + 0x100, 16, WRITE)];

fn say_hello(rig: &Rig<Echo>) {
    rig.ram.write_slice(b"hello", GuestAddress(DATA)).unwrap();
    rig.ram.write_slice(&[0; 16], GuestAddress(DATA + 0x100)).unwrap();
    for queue in 0..2 {
        assert_eq!(rig.exchange(queue, &HELLO), 5);
        let mut answer = [0; 5];
        rig.ram.read_slice(&mut answer, GuestAddress(DATA + 0x100)).unwrap();
        assert_eq!(&answer, b"HELLO");
    }
}

pub(super) fn echo() -> Subject<impl VirtioDevice> {
    Subject { make: |_| Echo::default(), works: say_hello, eager: &[0, 1] }
}

#[test]
fn the_transport_conforms() {
    conformance::check(&echo());
}

#[test]
fn chains_in_flight_move_to_the_restored_machine() {
    let rig = Rig::hot(Echo::default());
    say_hello(&rig);
    rig.pci.device().shared.lock().hold = true;
    let heads = [rig.send(0, &HELLO), rig.send(0, &HELLO)];
    wait_for("both to be held", || rig.pci.device().shared.lock().held.len() == 2);
    let state = serde_json::to_string(&rig.pci.save()).unwrap();
    let copy = Rig::cold(Echo::default(), ram());
    copy.adopt(&rig);
    copy.pci.restore(serde_json::from_str(&state).unwrap()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(copy.used(0), None, "worked before the machine ran");
    copy.pci.resume();
    let mut used = [copy.wait_used(0), copy.wait_used(0)];
    used.sort();
    assert_eq!(used, heads.map(|head| (u32::from(head), 5)));
    say_hello(&copy);
}

#[test]
fn what_comes_too_late_is_dropped() {
    let rig = Rig::hot(Echo::default());
    let shared = rig.pci.device().shared.clone();
    shared.lock().hold = true;
    rig.send(0, &HELLO);
    wait_for("it to be held", || !shared.lock().held.is_empty());
    let (queue, chain) = {
        let mut shared = shared.lock();
        (shared.queue.clone().unwrap(), shared.held.pop().unwrap())
    };
    rig.reset();
    shared.lock().hold = false;
    rig.start(!0, 1024);
    answer(&queue, chain);
    queue.notify();
    assert!(queue.pop().is_none());
    assert_eq!(rig.used(0), None);
    say_hello(&rig);
}

#[test]
fn the_pin_follows_the_isr_and_drivers_can_suppress_it() {
    let rig = Rig::cold(Echo::default(), ram());
    rig.start(!feature::EVENT_IDX, 1024);
    rig.send(0, &HELLO);
    wait_for("the pin", || rig.pin());
    assert_eq!(rig.read(3, 0, 1), 1);
    assert!(!rig.pin());
    assert_eq!(rig.read(3, 0, 1), 0);
    rig.wait_used(0);
    // VIRTQ_AVAIL_F_NO_INTERRUPT
    rig.ram.write_obj(1u16, GuestAddress(Rig::<Echo>::ring_addresses(0)[1])).unwrap();
    rig.exchange(0, &HELLO);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert!(!rig.pin());
}

#[test]
fn the_event_index_is_followed() {
    let rig = Rig::cold(Echo::default(), ram());
    rig.enable_msix();
    rig.start(!0, 1024);
    let event = GuestAddress(Rig::<Echo>::ring_addresses(0)[1] + 4 + 2 * 256);
    rig.messages();
    let used_index = GuestAddress(Rig::<Echo>::ring_addresses(0)[2] + 2);
    let wait_index = |index: u16| {
        wait_for("chains to be used", || rig.ram.read_obj::<u16>(used_index).unwrap() == index);
    };
    // Interrupt when the fourth is used.
    rig.ram.write_obj(3u16, event).unwrap();
    for n in 1..=3 {
        rig.send(0, &HELLO);
        wait_index(n);
    }
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(rig.messages(), [0u32; 0]);
    rig.send(0, &HELLO);
    wait_index(4);
    wait_for("the interrupt", || rig.messages() == [0x41]);
    // What the device asks for: to be rung for the next.
    let avail_event = GuestAddress(Rig::<Echo>::ring_addresses(0)[2] + 4 + 8 * 256);
    wait_for("the device's index", || rig.ram.read_obj::<u16>(avail_event).unwrap() == 4);
}

/// Whether the driver is to ring for what it has offered, which is one chain (§2.7.10, §2.7.8).
fn wants_ring(rig: &Rig<Echo>, event_index: bool) -> bool {
    fence(Ordering::SeqCst);
    let [_, available, used] = Rig::<Echo>::ring_addresses(0);
    let read = |at| rig.ram.read_obj::<u16>(GuestAddress(at)).unwrap();
    if event_index {
        read(used + 4 + 8 * 256).wrapping_add(1) == read(available + 2)
    } else {
        read(used) == 0
    }
}

#[test]
fn drivers_need_not_ring_where_the_device_looks_by_itself() {
    for (features, event_index) in [(!0, true), (!feature::EVENT_IDX, false)] {
        let rig = Rig::cold(Echo::default(), ram());
        rig.start(features, 1024);
        say_hello(&rig);
        let queue = rig.pci.device().shared.lock().queue.clone().unwrap();
        assert!(!queue.has_offers());
        // The thread may yet serve the queue, and then look into it.
        wait_for("the worker", || {
            let turns = rig.pci.device().shared.lock().turns;
            turns.0 == turns.1
        });
        std::thread::sleep(Duration::from_millis(5));
        queue.silence();
        let head = rig.chain(0, &HELLO);
        rig.offer(0, head);
        assert!(!wants_ring(&rig, event_index) && queue.has_offers());
        assert!(queue.enable_notifications());
        assert!(wants_ring(&rig, event_index));
        rig.ring(0);
        rig.wait_used(0);
        assert!(!queue.has_offers());
        rig.write_config(4, &[2, 0]);
        rig.offer(0, head);
        assert!(!queue.has_offers(), "the device may not access memory");
    }
}

#[test]
fn nothing_is_lost_between_looking_and_sleeping() {
    for (features, event_index) in [(!0, true), (!feature::EVENT_IDX, false)] {
        let rig = Rig::cold(Echo::default(), ram());
        rig.start(features, 1024);
        let mut rings = 0;
        for n in 0..20_000u64 {
            let head = rig.chain(0, &HELLO);
            rig.offer(0, head);
            if wants_ring(&rig, event_index) {
                rings += 1;
                rig.ring(0);
            }
            let start = Instant::now();
            while rig.used(0).is_none() {
                assert!(start.elapsed() < Duration::from_secs(20), "chain {n} is lost");
                std::thread::yield_now();
            }
            // From no pause to more than anybody looks for.
            let pause = Duration::from_nanos(n * 7919 % 50_000);
            while start.elapsed() < pause {}
        }
        assert!(rings > 0, "nobody ever slept");
    }
}

#[test]
fn a_changed_configuration_is_announced() {
    let rig = Rig::cold(Echo::default(), ram());
    let change = |value| {
        rig.pci.device().shared.lock().value = value;
        rig.pci.device().config.lock().as_ref().unwrap().changed();
    };
    change(1);
    assert!(!rig.pin(), "told a driver that is not there");
    assert_eq!((rig.read(4, 0, 1), rig.get(common::GENERATION, 1)), (1, 1));
    rig.start(!0, 1024);
    change(2);
    assert_eq!((rig.read(4, 0, 1), rig.get(common::GENERATION, 1)), (2, 2));
    assert_eq!(rig.read(3, 0, 1), 2);
    assert!(!rig.pin());
    rig.enable_msix();
    rig.prepare(!0, 1024);
    rig.set16(common::CONFIG_VECTOR, 0);
    rig.set16(common::CONFIG_VECTOR, 99);
    assert_eq!(rig.get(common::CONFIG_VECTOR, 2), 0xffff);
    rig.set16(common::CONFIG_VECTOR, 0);
    rig.set_status(15);
    rig.messages();
    change(3);
    assert_eq!(rig.messages(), [0x40]);
}

#[test]
fn the_window_in_configuration_space_reaches_the_bar() {
    let rig = Rig::hot(Echo::default());
    let window = rig.capability(9, |at| rig.read_config(at) >> 24 == 5).unwrap();
    let aim = |offset: u32, len: u32| {
        rig.write_config(window + 4, &[0]);
        rig.write_config(window + 8, &offset.to_le_bytes());
        rig.write_config(window + 12, &len.to_le_bytes());
    };
    let common = rig.structure(1).offset as u32;
    aim(common + common::STATUS as u32, 1);
    assert_eq!(rig.read_config(window + 16) & 0xff, 15);
    aim(common + common::QUEUE_SELECT as u32, 2);
    rig.write_config(window + 16, &1u16.to_le_bytes());
    assert_eq!(rig.get(common::QUEUE_SELECT, 2), 1);
    // Nowhere, and of an impossible length.
    for (offset, len) in [(0x7000_0000, 4), (common, 3), (common + 1, 4)] {
        aim(offset, len);
        rig.write_config(window + 16, &[0xff; 4]);
        rig.read_config(window + 16);
    }
    assert_eq!(rig.status(), 15);
    say_hello(&rig);
}

#[test]
fn capabilities_lie_within_the_bar() {
    let rig = Rig::cold(Echo::default(), ram());
    assert_eq!(rig.read_config(0), 0x1044_1af4);
    rig.write_config(0x10, &[0xff; 4]);
    let size = u64::from(!(rig.read_config(0x10) & !0xf)) + 1;
    for kind in 1..5 {
        let structure = rig.structure(kind);
        assert!(structure.offset + structure.len <= size);
        assert!(structure.len > 0);
    }
}

/// A worker that waits for an eventfd of its own, and one that panics.
struct Odd(Arc<vmm_sys_util::eventfd::EventFd>, Arc<Mutex<u32>>);

impl Worker for Odd {
    fn start(&mut self, events: &Events) -> io::Result<()> {
        use std::os::fd::{AsRawFd, BorrowedFd};
        // SAFETY: the event outlives the worker.
        let fd = unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) };
        events.watch(fd, 7, Interest::READ)
    }
    fn queue_rung(&mut self, _: usize, _: &Events) {}
    fn ready(&mut self, token: u64, _: &Events) {
        self.0.read().unwrap();
        *self.1.lock() += token as u32;
        assert!(*self.1.lock() < 14, "told to panic");
    }
}

struct OddDevice(Arc<vmm_sys_util::eventfd::EventFd>, Arc<Mutex<u32>>);

impl VirtioDevice for OddDevice {
    fn kind(&self) -> Kind {
        Kind::ENTROPY
    }
    fn features(&self) -> u64 {
        0
    }
    fn queue_sizes(&self) -> Vec<u16> {
        vec![8]
    }
    fn read_config(&self, _: u64, _: &mut [u8]) {}
    fn activate(&self, activation: Activation) -> io::Result<Vec<Assignment>> {
        Ok(activation.all_to(Odd(self.0.clone(), self.1.clone())))
    }
}

impl Persist for OddDevice {
    type State = ();
    fn save(&self) {}
    fn restore(&self, _: ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

#[test]
fn workers_watch_their_own_and_a_panic_breaks_only_the_device() {
    let event = Arc::new(vmm_sys_util::eventfd::EventFd::new(libc::EFD_NONBLOCK).unwrap());
    let count = Arc::new(Mutex::new(0));
    let rig = Rig::hot(OddDevice(event.clone(), count.clone()));
    event.write(1).unwrap();
    wait_for("the worker", || *count.lock() == 7);
    assert!(!rig.needs_reset());
    event.write(1).unwrap();
    wait_for("the panic", || rig.needs_reset());
    rig.reset();
    *count.lock() = 0;
    rig.start(!0, 8);
    event.write(1).unwrap();
    wait_for("the new worker", || *count.lock() == 7);
}

fn descriptor() -> impl Strategy<Value = (u64, u32, u16, u16)> {
    let address = prop_oneof![
        6 => 0u64..RAM as u64,
        2 => Just(DATA),
        1 => any::<u64>(),
        1 => RAM as u64 - 64..RAM as u64 + 64,
    ];
    let len =
        prop_oneof![6 => 0u32..0x2000, 2 => (0u32..20).prop_map(|n| n * 16), 1 => any::<u32>()];
    (address, len, 0u16..8, 0u16..20)
}

proptest! {
    /// Whatever the tables say, a chain that comes out lies in RAM, is in order and in bounds.
    #[test]
    fn chains_are_sound(
        direct in prop::collection::vec(descriptor(), 16),
        nested in prop::collection::vec(descriptor(), 24),
        head in 0u16..20,
        indirect in any::<bool>(),
    ) {
        let memory = ram();
        let rig = Rig::cold(Echo::default(), memory.clone());
        for (table, descriptors) in [(0x1000, &direct), (DATA, &nested)] {
            for (index, &(address, len, flags, next)) in (0..).zip(descriptors) {
                rig.write_descriptor(table, index, (address, len, flags), next);
            }
        }
        if let Ok(chain) = Chain::gather(&memory, 0x1000, 16, head, indirect) {
            prop_assert_eq!(chain.head(), head);
            let mut total = 0u64;
            for segment in chain.readable().iter().chain(chain.writable()) {
                prop_assert!(segment.len > 0);
                prop_assert!(segment.address.0 + u64::from(segment.len) <= RAM as u64);
                total += u64::from(segment.len);
            }
            prop_assert!(total <= u64::from(u32::MAX));
            prop_assert!(indirect || direct[usize::from(head)].2 & INDIRECT == 0);
        }
    }

    /// Reading, writing and splitting by any steps moves the same bytes as in one go.
    #[test]
    fn chains_are_streams(
        sizes in prop::collection::vec(0u32..40, 1..12),
        steps in prop::collection::vec(0usize..30, 0..20),
    ) {
        let memory = ram();
        let rig = Rig::cold(Echo::default(), memory.clone());
        rig.prepare(!0, 64);
        let total: u32 = sizes.iter().sum();
        let source: Vec<u8> = (0..total).map(|n| n as u8).collect();
        // The readable part, and the same again to be written, at odd distances.
        let (mut at, mut parts, mut done) = (DATA, Vec::new(), 0usize);
        for &len in &sizes {
            memory.write_slice(&source[done..][..len as usize], GuestAddress(at)).unwrap();
            parts.push((at, len, 0));
            done += len as usize;
            at += 97;
        }
        for &len in &sizes {
            parts.push((at, len, WRITE));
            at += 97;
        }
        let head = rig.chain(0, &parts);
        let table = Rig::<Echo>::ring_addresses(0)[0];
        let mut chain = Chain::gather(&memory, table, 64, head, true).unwrap();
        prop_assert_eq!((chain.readable_len(), chain.writable_len()), (total, total));
        let mut read = Vec::new();
        for step in steps.iter().copied().chain([total as usize]) {
            let mut data = vec![0; step];
            let len = if step % 3 == 2 {
                // Somebody else reads the segments.
                let mut len = 0;
                for segment in chain.take_readable(step) {
                    let part = &mut data[len..][..segment.len as usize];
                    memory.read_slice(part, segment.address).unwrap();
                    len += part.len();
                }
                len
            } else {
                chain.read(&memory, &mut data)
            };
            read.extend_from_slice(&data[..len]);
            prop_assert_eq!(chain.write(&memory, &data[..len]), len);
        }
        prop_assert_eq!(&read, &source);
        prop_assert_eq!(chain.written(), total);
        let mut copy = Vec::new();
        for &(address, len, _) in &parts[sizes.len()..] {
            let mut part = vec![0; len as usize];
            memory.read_slice(&mut part, GuestAddress(address)).unwrap();
            copy.extend(part);
        }
        prop_assert_eq!(copy, source);
        rig.pci.write_bar(0, 0, &[]);
    }
}

#[test]
fn a_worker_rests_beside_a_broken_queue() {
    let rig = Rig::hot(Echo::default());
    let turns = || rig.pci.device().shared.lock().turns;
    for queue in 0..2 {
        rig.start(!0, 16);
        // More offered than there is room for: whoever looks again finds it again.
        rig.jump(queue, 5000);
        rig.ring(queue);
        wait_for("the queue to be seen through", || rig.needs_reset());
        let rests = || {
            std::thread::sleep(Duration::from_millis(20));
            turns().0 == turns().1
        };
        let done = (0..200).any(|_| rests());
        // It may owe the turn that the ring asked for, and that is all.
        let first = turns();
        std::thread::sleep(Duration::from_millis(200));
        let later = turns();
        // Rung on, it looks once for each time, at most.
        (0..10).for_each(|_| rig.ring(queue));
        std::thread::sleep(Duration::from_millis(200));
        let last = turns();
        // One that looks for ever can end.
        rig.jump(queue, 5000u16.wrapping_neg());
        assert!(done, "the worker does not get done: {first:?}");
        assert!(later.0 <= first.0 + 1, "{first:?} turns, then {later:?}");
        assert!(last.0 <= later.0 + 10, "{later:?} turns, then {last:?}");
    }
    rig.start(!0, 16);
    say_hello(&rig);
}
