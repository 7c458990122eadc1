//! What a machine takes for the things drivers do all the time, told by a guest without a system (see
//! `tests/metal`): to answer for a port and for a register of a device, to hear that there is
//! something in a queue, and to read from a disk whose contents are in the host's memory.
//!
//! The guest spends its time in ring 3, so that any `/dev/kvm` will do.

use std::time::{Duration, Instant};

use berth_tests::{Bench, Berth, Better, Qemu, Row, Side, image, metal_disk};

const LIMIT: Duration = Duration::from_secs(120);

/// What the guest does, in its order: its word for it, what a row calls it, and the row's target.
/// Nearly all of the first ones is KVM's own.
const DEEDS: [(&str, &str, f64); 4] = [
    ("port", "an access to a port", 1.05),
    ("register", "an access to a device's register", 1.05),
    ("notification", "a queue's notification", 1.05),
    ("read", "a read of 4 KiB, virtio disk", 1.0),
];

fn main() {
    let bench = Bench::from_environment("devices");
    if !DEEDS.iter().any(|(_, name, _)| bench.wants(name)) {
        return;
    }
    let mut rows = DEEDS.map(|(_, name, target)| Row::new(name, "µs", target, Better::Lower));
    for side in bench.turns() {
        for (row, micros) in rows.iter_mut().zip(run(side)) {
            row.add(side, micros);
        }
    }
    bench.finish(&rows);
}

/// Microseconds for each of the [`DEEDS`].
fn run(side: Side) -> [f64; DEEDS.len()] {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = metal_disk(scratch.path());
    let name = format!("devices-{}", side.name());
    let mut running = match side {
        Side::Berth => Berth::boot_unlogged(&name, LIMIT)
            .arg("--kernel")
            .arg(image("metal"))
            .arg("--disk")
            .arg(format!("{},format=raw,bus=virtio", disk.display()))
            .start(),
        // KVM without hardware support offers a register that it does not have.
        Side::Peer => Qemu::q35(&name, LIMIT)
            .args(["-cpu", "host,arch-capabilities=off", "-m", "512", "-kernel"])
            .arg(image("metal"))
            .virtio_disk(&disk, "raw")
            .start(),
    };
    DEEDS.map(|(deed, ..)| {
        let times = running.expect(&format!("{deed}, ([0-9]+) times\n"));
        let start = Instant::now();
        running.expect(&format!("{deed}, done\n"));
        let times: f64 = times.parse().expect("a number");
        start.elapsed().as_secs_f64() * 1e6 / times
    })
}
