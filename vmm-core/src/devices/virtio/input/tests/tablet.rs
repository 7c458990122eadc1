//! The tablet and its driver.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use proptest::prelude::*;

use super::*;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::{WRITE, ram, wait_for};

fn tablet() -> Tablet {
    Tablet::new(|_| {}).unwrap()
}

/// Points somewhere else and waits until that is told, behind whatever else.
fn works(rig: &Rig<Tablet>) {
    static PLACE: AtomicU32 = AtomicU32::new(1);
    let place = (PLACE.fetch_add(1, SeqCst) % 0x7000) as u16;
    rig.pci.device().point(place, place + 1);
    while !report(rig).contains(&(3, 1, i32::from(place) + 1)) {}
    assert_eq!(rig.exchange(1, &[(DATA, 8, 0)]), 0);
}

const SUBJECT: Subject<Tablet> = Subject { make: |_| tablet(), works, eager: &[1] };

#[test]
fn it_conforms() {
    conformance::check(&SUBJECT);
}

#[test]
fn hostile_drivers() {
    hostile::check(&SUBJECT);
}

#[test]
fn it_says_what_it_is() {
    let rig = Rig::hot(tablet());
    assert_eq!(rig.read_config(0), 0x1052_1af4);
    assert_eq!(asked(&rig, 1, 0), b"Berth tablet");
    assert_eq!(asked(&rig, 3, 0), [6, 0, 0xf4, 0x1a, 1, 0, 1, 0]);
    let keys = asked(&rig, 0x11, 1);
    assert_eq!((keys.len(), keys[34], keys.iter().filter(|b| **b != 0).count()), (35, 0x1f, 1));
    assert_eq!(asked(&rig, 0x11, 2), [0, 1]);
    assert_eq!(asked(&rig, 0x11, 3), [3]);
    for axis in 0..2 {
        let info = asked(&rig, 0x12, axis);
        assert_eq!(info[..8], [0, 0, 0, 0, 0xff, 0x7f, 0, 0]);
        assert_eq!(info[8..], [0; 12]);
    }
    // What there is not: properties, lamps, another axis, nothing selected.
    for (select, subsel) in [(0x10, 0), (0x11, 0x11), (0x12, 2), (0, 0), (0xff, 0xff)] {
        assert_eq!(asked(&rig, select, subsel), [0u8; 0]);
    }
    // Both at once, and what cannot be written.
    rig.write(4, 0, &[1, 0, 77, 77]);
    assert_eq!(rig.read(4, 0, 4), 1 | 12 << 16);
}

#[test]
fn reports_say_what_changed() {
    let rig = Rig::hot(tablet());
    let tablet = rig.pci.device();
    tablet.point(100, 200);
    assert_eq!(report(&rig), [(3, 0, 100), (3, 1, 200)]);
    tablet.point(100, u16::MAX);
    assert_eq!(report(&rig), [(3, 1, 0x7fff)]);
    tablet.press(0, 0b101);
    assert_eq!(report(&rig), [(1, 0x110, 1), (1, 0x112, 1)]);
    tablet.press(0, 0b11000);
    assert_eq!(report(&rig), [(1, 0x110, 0), (1, 0x112, 0), (1, 0x113, 1), (1, 0x114, 1)]);
    // Towards the user is down; the guest counts up.
    tablet.press(3, 0b11000);
    assert_eq!(report(&rig), [(2, 8, -3)]);
    tablet.press(i32::MIN, 0xe0);
    assert_eq!(report(&rig), [(1, 0x113, 0), (1, 0x114, 0), (2, 8, 1000)]);
    // Nothing new is no report.
    tablet.point(100, 0x7fff);
    tablet.press(0, 0);
    rig.send(0, &[(DATA, 8, WRITE)]);
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert_eq!(rig.used(0), None);
}

#[test]
fn a_slow_guest_gets_the_latest_place_and_every_click() {
    let rig = Rig::hot(tablet());
    let tablet = rig.pci.device();
    for at in 1..=1000 {
        tablet.point(at, at);
    }
    tablet.press(0, 1);
    tablet.press(0, 0);
    for at in 1..=1000 {
        tablet.point(2 * at, 7);
        tablet.press(1, 0);
    }
    assert_eq!(report(&rig), [(3, 0, 1000), (3, 1, 1000)]);
    assert_eq!(report(&rig), [(1, 0x110, 1)]);
    assert_eq!(report(&rig), [(1, 0x110, 0)]);
    assert_eq!(report(&rig), [(3, 0, 2000), (3, 1, 7), (2, 8, -1000)]);
    // More clicks than anybody makes: what is held in the end is right.
    for _ in 0..1000 {
        tablet.press(0, 1);
        tablet.press(0, 0);
    }
    tablet.press(0, 2);
    tablet.point(5, 5);
    let mut held = std::collections::BTreeSet::new();
    loop {
        let events = report(&rig);
        for event in events.iter().filter(|event| event.0 == 1) {
            let changed = if event.2 == 1 { held.insert(event.1) } else { held.remove(&event.1) };
            assert!(changed, "told what was known");
        }
        if events.contains(&(3, 0, 5)) {
            break;
        }
    }
    assert_eq!(Vec::from_iter(held), [0x111]);
}

#[test]
fn buffers_too_short_for_an_event_lose_nothing() {
    let rig = Rig::hot(tablet());
    rig.pci.device().point(3, 0);
    assert_eq!(rig.exchange(0, &[(DATA, 7, WRITE)]), 0);
    assert_eq!(rig.exchange(0, &[(DATA, 64, 0)]), 0);
    assert_eq!(report(&rig), [(3, 0, 3)]);
}

#[test]
fn it_is_used_while_a_driver_is_at_work() {
    let uses = Arc::new(Mutex::new(Vec::new()));
    let sink = uses.clone();
    let rig = Rig::cold(Tablet::new(move |used| sink.lock().push(used)).unwrap(), ram());
    let tablet = rig.pci.device();
    // To nobody.
    tablet.point(9, 9);
    rig.start(!0, 64);
    assert!(tablet.is_active());
    tablet.point(1, 2);
    assert_eq!(report(&rig), [(3, 0, 1), (3, 1, 2)]);
    rig.reset();
    wait_for("the end of its use", || !tablet.is_active());
    rig.start(!0, 64);
    // A new driver knows nothing of what the old one was told.
    tablet.point(1, 2);
    assert_eq!(report(&rig), [(3, 0, 1), (3, 1, 2)]);
    assert_eq!(*uses.lock(), [true, false, true]);
}

#[test]
fn what_was_not_told_moves_to_the_restored_machine() {
    let rig = Rig::hot(tablet());
    rig.pci.device().point(1, 2);
    assert_eq!(next(&rig), (3, 0, 1));
    rig.pci.device().press(0, 4);
    let state = serde_json::to_string(&rig.pci.save()).unwrap();
    let copy = Rig::cold(tablet(), ram());
    copy.adopt(&rig);
    copy.pci.restore(serde_json::from_str(&state).unwrap()).unwrap();
    crate::state::Resume::resume(&*copy.pci);
    assert_eq!(report(&copy), [(3, 1, 2)]);
    assert_eq!(report(&copy), [(1, 0x112, 1)]);
}

#[test]
fn states_that_cannot_be_are_refused() {
    let device = tablet();
    let step = serde_json::json!({ "to": { "x": 0, "y": 0, "buttons": 0 }, "wheel": 0 });
    for (pointer, value) in [
        ("/track/told/x", serde_json::json!(0x8000)),
        ("/track/told/buttons", serde_json::json!(0x20)),
        ("/track/steps", serde_json::Value::from(vec![step; 65])),
    ] {
        let mut state = serde_json::to_value(device.save()).unwrap();
        *state.pointer_mut(pointer).unwrap() = value;
        assert!(device.restore(serde_json::from_value(state).unwrap()).is_err(), "{pointer}");
    }
}

proptest! {
    /// Whatever the user does, what the guest is told adds up to it.
    #[test]
    fn the_guest_ends_where_the_user_is(
        steps in prop::collection::vec((0u16..=0x7fff, 0u16..=0x7fff, -3i32..4, 0u8..32, 0u8..4), 1..200),
    ) {
        let mut track = Track::default();
        let (mut here, mut there) = ((0, 0, 0u8, 0), (0, 0, 0u8, 0));
        let mut take = |track: &mut Track| {
            let Some(bytes) = track.next() else { return };
            let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let value = i32::from_le_bytes(bytes[4..].try_into().unwrap());
            match (half(0), half(2)) {
                (3, 0) => there.0 = value,
                (3, 1) => there.1 = value,
                (2, 8) => there.3 -= value,
                (1, button) => there.2 ^= 1 << (button - 0x110),
                _ => {}
            }
        };
        for (x, y, wheel, buttons, taken) in steps {
            track.point(x, y);
            track.press(wheel, buttons);
            here = (i32::from(x), i32::from(y), buttons, here.3 + wheel);
            prop_assert!(track.problem().is_none());
            (0..taken).for_each(|_| take(&mut track));
        }
        while track.has_more() {
            take(&mut track);
        }
        prop_assert_eq!(here, there);
    }
}
