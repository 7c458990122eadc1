//! Drivers that do anything at any time, to every device.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use serde::{Deserialize, Serialize};
use vm_memory::{Bytes, GuestAddress};

use super::conformance::Subject;
use super::rig::{DATA, RAM, Rig, ram};
use crate::devices::virtio::VirtioDevice;
use crate::pci::PciDevice;
use crate::state::{Persist, Reset, Resume};

/// Something a driver does.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Move {
    /// Writes to the BAR.
    Bar {
        offset: u64,
        value: u64,
        len: usize,
    },
    /// Reads from the BAR.
    Peek {
        offset: u64,
        len: usize,
    },
    /// Writes to configuration space.
    Config {
        offset: u64,
        value: u32,
        len: usize,
    },
    /// Writes a descriptor and offers it.
    Offer {
        queue: u16,
        index: u16,
        address: u64,
        len: u32,
        flags: u16,
        next: u16,
    },
    /// Offers a head that it may have offered before.
    Again {
        queue: u16,
        head: u16,
    },
    /// Writes anywhere in its queues or buffers.
    Poke {
        at: u64,
        value: u64,
    },
    /// Moves the available index.
    Jump {
        queue: u16,
        by: u16,
    },
    /// Sets everything up as it should be.
    Start {
        features: u64,
        size: u16,
    },
    Reset,
    MachineReset,
    Save,
}

fn one() -> impl Strategy<Value = Move> {
    let len = prop_oneof![Just(1usize), Just(2), Just(4), Just(8)];
    let address = prop_oneof![
        8 => (0..0x1000u64).prop_map(|at| DATA + at),
        1 => 0..RAM as u64 + 0x1000,
        1 => any::<u64>(),
    ];
    let size = prop_oneof![8 => 0u32..0x1000, 1 => any::<u32>()];
    prop_oneof![
        4 => (0..0x40u64, any::<u64>(), len.clone())
            .prop_map(|(offset, value, len)| Move::Bar { offset, value: value & 0xff, len }),
        2 => (0..0x8000u64, any::<u64>(), len.clone())
            .prop_map(|(offset, value, len)| Move::Bar { offset, value, len }),
        2 => (0x2000..0x2100u64, any::<u64>(), len.clone())
            .prop_map(|(offset, value, len)| Move::Bar { offset, value, len }),
        2 => (0..0x8000u64, len).prop_map(|(offset, len)| Move::Peek { offset, len }),
        1 => (0..0x100u64, any::<u32>(), 1usize..5)
            .prop_map(|(offset, value, len)| Move::Config { offset, value, len }),
        20 => (0..4u16, 0..16u16, address, size, 0..8u16, 0..20u16).prop_map(
            |(queue, index, address, len, flags, next)| {
                Move::Offer { queue, index, address, len, flags, next }
            }
        ),
        4 => (0..4u16, 0..20u16).prop_map(|(queue, head)| Move::Again { queue, head }),
        8 => (0..0x1000u64, any::<u64>()).prop_map(|(at, value)| Move::Poke { at, value }),
        1 => (0..4u16, any::<u16>()).prop_map(|(queue, by)| Move::Jump { queue, by }),
        2 => (any::<u64>(), 0u32..7)
            .prop_map(|(features, size)| Move::Start { features, size: 1 << size }),
        1 => Just(Move::Reset),
        1 => Just(Move::MachineReset),
        1 => Just(Move::Save),
    ]
}

/// A sequence of moves of its own, or a seed with something else in its midst.
fn moves(seeds: Vec<Vec<Move>>) -> impl Strategy<Value = Vec<Move>> {
    let own = prop::collection::vec(one(), 1..80);
    let seeded = (
        prop::sample::select(seeds),
        any::<prop::sample::Index>(),
        prop::collection::vec(one(), 1..20),
    )
        .prop_map(|(mut seed, at, inserted)| {
            let at = at.index(seed.len() + 1);
            seed.splice(at..at, inserted);
            seed
        });
    prop_oneof![3 => own, 1 => seeded]
}

/// The moves worth trying on every device: known tricks, and what once broke one. A file each.
fn corpus() -> Vec<Vec<Move>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/devices/virtio/tests/corpus");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(read).collect()
}

/// Lets hostile drivers loose on a device: those of the corpus, then others.
pub(in super::super) fn check<D: VirtioDevice>(subject: &Subject<D>) {
    let seeds = corpus();
    for seed in &seeds {
        play(subject, seed.clone());
    }
    let config = Config { failure_persistence: None, ..crate::fuzz::cases(64) };
    let result = TestRunner::new(config).run(&moves(seeds), |moves| {
        play(subject, moves);
        Ok(())
    });
    if let Err(TestError::Fail(reason, moves)) = result {
        let moves = serde_json::to_string(&moves).unwrap();
        panic!("{reason}\nas a file of its own in tests/corpus, for ever after:\n{moves}");
    }
    result.unwrap();
}

/// Does `moves` to a started device, which has to work again after a reset.
fn play<D: VirtioDevice>(subject: &Subject<D>, moves: Vec<Move>) {
    let ram = ram();
    let rig = Rig::cold((subject.make)(ram.clone()), ram);
    rig.start(!0, 16);
    for one in moves {
        let queues = rig.queues();
        match one {
            Move::Bar { offset, value, len } => {
                rig.pci.write_bar(0, offset, &value.to_le_bytes()[..len]);
            }
            Move::Peek { offset, len } => rig.pci.read_bar(0, offset, &mut [0xff; 8][..len]),
            Move::Config { offset, value, len } => {
                rig.write_config(offset, &value.to_le_bytes()[..len]);
                rig.write_config(4, &[6, 0]);
            }
            Move::Offer { queue, index, address, len, flags, next } => {
                let queue = queue % queues;
                let table = Rig::<D>::ring_addresses(queue)[0];
                rig.write_descriptor(table, index, (address, len, flags), next);
                rig.offer(queue, index);
                rig.ring(queue);
            }
            Move::Again { queue, head } => {
                rig.offer(queue % queues, head);
                rig.ring(queue % queues);
            }
            Move::Poke { at, value } => {
                let at = if value & 1 == 0 { DATA + at } else { 0x10_0000 + at * 16 };
                rig.ram.write_obj(value, GuestAddress(at)).unwrap();
            }
            Move::Jump { queue, by } => {
                rig.jump(queue % queues, by);
                rig.ring(queue % queues);
            }
            Move::Start { features, size } => rig.start(features, size),
            Move::Reset => rig.start(!0, 16),
            Move::MachineReset => {
                rig.pci.reset();
                rig.write_config(4, &[6, 0]);
                rig.start(!0, 16);
            }
            Move::Save => {
                let state = rig.pci.save();
                let state = serde_json::from_value(serde_json::to_value(state).unwrap()).unwrap();
                // What a device saves it also takes, however it got there.
                rig.pci.restore(state).unwrap();
                rig.pci.resume();
            }
        }
    }
    rig.pci.reset();
    rig.write_config(4, &[6, 0]);
    rig.start(!0, 16);
    (subject.works)(&rig);
}

#[test]
fn hostile_drivers_of_the_transport() {
    check(&super::transport::echo());
}
