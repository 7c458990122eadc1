//! Input devices and their drivers.

mod keyboard;
mod tablet;

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::devices::virtio::tests::rig::{DATA, Rig, WRITE};

type Event = (u16, u16, i32);

const SYN: Event = (0, 0, 0);

fn next<M: Model>(rig: &Rig<Input<M>>) -> Event {
    assert_eq!(rig.exchange(0, &[(DATA, 8, WRITE)]), 8);
    let mut bytes = [0; 8];
    rig.ram.read_slice(&mut bytes, GuestAddress(DATA)).unwrap();
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    (half(0), half(2), i32::from_le_bytes(bytes[4..].try_into().unwrap()))
}

fn report<M: Model>(rig: &Rig<Input<M>>) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match next(rig) {
            SYN => return events,
            event => events.push(event),
        }
    }
}

/// What the configuration holds when this is selected.
fn asked<M: Model>(rig: &Rig<Input<M>>, select: u8, subsel: u8) -> Vec<u8> {
    rig.write(4, 0, &[select]);
    rig.write(4, 1, &[subsel]);
    assert_eq!(rig.read(4, 0, 2), u64::from(select) | u64::from(subsel) << 8);
    (0..rig.read(4, 2, 1)).map(|at| rig.read(4, 8 + at, 1) as u8).collect()
}
