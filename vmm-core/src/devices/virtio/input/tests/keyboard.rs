//! The keyboard.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use proptest::prelude::*;

use super::*;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::ram;

fn keyboard() -> Keyboard {
    Keyboard::new(|_| {}).unwrap()
}

/// Presses and releases a key and waits until that is told, behind whatever else.
fn works(rig: &Rig<Keyboard>) {
    static KEY: AtomicU32 = AtomicU32::new(0);
    let key = 1 + (KEY.fetch_add(1, SeqCst) % 200) as u16;
    rig.pci.device().press_key(key);
    rig.pci.device().release_key(key);
    while report(rig) != [(1, key, 0)] {}
    assert_eq!(rig.exchange(1, &[(DATA, 8, 0)]), 0);
}

const SUBJECT: Subject<Keyboard> = Subject { make: |_| keyboard(), works, eager: &[1] };

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
    let rig = Rig::hot(keyboard());
    assert_eq!(rig.read_config(0), 0x1052_1af4);
    assert_eq!(asked(&rig, 1, 0), b"Berth keyboard");
    assert_eq!(asked(&rig, 3, 0), [6, 0, 0xf4, 0x1a, 2, 0, 1, 0]);
    // The keys of every keyboard, and no button of a mouse.
    let keys = asked(&rig, 0x11, 1);
    assert_eq!((keys.len(), keys[0], keys[1], keys[31]), (32, 0xfe, 0xff, 1));
    // The guest repeats.
    assert_eq!(asked(&rig, 0x11, 20), [0]);
    for (select, subsel) in [(0x11, 2), (0x11, 3), (0x11, 17), (0x12, 0)] {
        assert_eq!(asked(&rig, select, subsel), [0u8; 0]);
    }
}

#[test]
fn keys_go_down_and_up_in_order_and_once() {
    let rig = Rig::hot(keyboard());
    let keyboard = rig.pci.device();
    keyboard.press_key(42);
    keyboard.press_key(30);
    // The window system repeats, too.
    keyboard.press_key(30);
    keyboard.release_key(30);
    keyboard.release_key(42);
    // Not down, and no keys.
    keyboard.release_key(42);
    keyboard.press_key(0);
    keyboard.press_key(0x110);
    assert!(!keyboard.is_idle());
    for expected in [(42, 1), (30, 1), (30, 0), (42, 0)] {
        assert_eq!(report(&rig), [(1, expected.0, expected.1)]);
    }
    assert!(keyboard.is_idle());
}

#[test]
fn a_guest_that_does_not_listen_keeps_no_key_down() {
    let rig = Rig::hot(keyboard());
    let keyboard = rig.pci.device();
    for _ in 0..1000 {
        for key in 1..=248 {
            keyboard.press_key(key);
        }
        for key in 1..=248 {
            keyboard.release_key(key);
        }
    }
    let mut down = std::collections::BTreeSet::new();
    while !keyboard.is_idle() {
        for (_, key, value) in report(&rig) {
            assert!(if value == 1 { down.insert(key) } else { down.remove(&key) });
        }
    }
    assert!(down.is_empty(), "{down:?}");
}

#[test]
fn what_was_not_told_moves_to_the_restored_machine() {
    let rig = Rig::hot(keyboard());
    rig.pci.device().press_key(16);
    assert_eq!(next(&rig), (1, 16, 1));
    rig.pci.device().release_key(16);
    let state = serde_json::to_string(&rig.pci.save()).unwrap();
    let copy = Rig::cold(keyboard(), ram());
    copy.adopt(&rig);
    copy.pci.restore(serde_json::from_str(&state).unwrap()).unwrap();
    crate::state::Resume::resume(&*copy.pci);
    assert_eq!(next(&copy), SYN);
    assert_eq!(report(&copy), [(1, 16, 0)]);
}

#[test]
fn states_that_cannot_be_are_refused() {
    let device = keyboard();
    for (pointer, value) in [
        ("/track/down", serde_json::json!([0])),
        ("/track/changes", serde_json::json!([[249, true]])),
        ("/track/changes", serde_json::Value::from(vec![serde_json::json!([1, true]); 400])),
    ] {
        let mut state = serde_json::to_value(device.save()).unwrap();
        *state.pointer_mut(pointer).unwrap() = value;
        assert!(device.restore(serde_json::from_value(state).unwrap()).is_err(), "{pointer}");
    }
}

proptest! {
    /// Whatever is typed, the guest ends with what is down.
    #[test]
    fn the_guest_ends_with_the_keys_that_are_down(
        steps in prop::collection::vec((0u16..300, any::<bool>(), 0u8..4), 1..400),
    ) {
        let mut keys = Keys::default();
        let mut there = std::collections::BTreeSet::new();
        let mut take = |keys: &mut Keys| {
            let Some(bytes) = keys.next() else { return };
            let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            match (half(0), bytes[4]) {
                (1, 1) => assert!(there.insert(half(2))),
                (1, _) => assert!(there.remove(&half(2))),
                _ => {}
            }
        };
        for (key, down, taken) in steps {
            if down { keys.press(key) } else { keys.release(key) }
            prop_assert!(keys.problem().is_none());
            (0..taken).for_each(|_| take(&mut keys));
        }
        while keys.has_more() {
            take(&mut keys);
        }
        let mut down = keys.down.clone();
        down.sort_unstable();
        prop_assert_eq!(Vec::from_iter(there), down);
    }
}
