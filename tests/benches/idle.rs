//! An installed Debian that nobody uses: what its machine takes of the host's processors, and how
//! often its threads are woken.

use std::thread;
use std::time::Duration;

use berth_tests::{Bench, Berth, Better, Debian, Qemu, Row, Side, overlay, sleeps, whole_time};

const LIMIT: Duration = Duration::from_secs(900);

/// What is still going on at the prompt may settle so long.
const SETTLE: Duration = Duration::from_secs(30);

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(30);

fn main() {
    let bench = Bench::from_environment("idle");
    let mut processor = Row::bounded("idle Debian, processor time", "%", 0.5, Better::Lower);
    let mut wakes = Row::new("idle Debian, threads woken", "a second", 1.0, Better::Lower);
    if !bench.wants("idle Debian") {
        return;
    }
    for side in bench.turns() {
        let scratch = tempfile::tempdir().expect("a folder for the disk");
        let disk = overlay("disk.qcow2", scratch.path());
        let mut running = match side {
            Side::Berth => Berth::boot_unlogged("idle-berth", LIMIT)
                .arg("--disk")
                .arg(format!("{},format=qcow2,bus=virtio", disk.display()))
                .args(["--memory", "512M"])
                .start(),
            Side::Peer => Qemu::q35("idle-peer", LIMIT)
                .args(["-m", "512", "-device", "virtio-balloon-pci", "-device", "virtio-rng-pci"])
                .args(["-device", "virtio-tablet-pci", "-device", "virtio-keyboard-pci"])
                .virtio_disk(&disk, "qcow2")
                .start(),
        };
        running.expect(Debian::PROMPT);
        thread::sleep(SETTLE);
        let id = running.id();
        let (before, slept) = (whole_time(id), sleeps(id));
        thread::sleep(WATCHED);
        let seconds = WATCHED.as_secs_f64();
        processor.add(side, (whole_time(id) - before).as_secs_f64() / seconds * 100.0);
        wakes.add(side, sleeps(id).saturating_sub(slept) as f64 / seconds);
    }
    bench.finish(&[processor, wakes]);
}
