//! An installed Debian that nobody uses: what its machine takes of the host's processors, and how
//! often its threads are woken. On an emulated processor most of it is the guest's own.

use std::thread;
use std::time::Duration;

use berth_tests::{
    Bench, Berth, Better, Debian, Qemu, Row, Side, overlay, sleeps, time_beside_vcpus, whole_time,
};

const LIMIT: Duration = Duration::from_secs(900);

/// What is still going on at the prompt may settle so long.
const SETTLE: Duration = Duration::from_secs(30);

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(30);

fn main() {
    let bench = Bench::from_environment("idle");
    let mut processor = Row::bounded("idle Debian, processor time", "%", 0.5, Better::Lower);
    let mut beside = Row::new("idle Debian, time beside the vCPU", "%", 1.0, Better::Lower);
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
                .args(["-name", "idle,debug-threads=on"])
                .virtio_disk(&disk, "qcow2")
                .start(),
        };
        running.expect(Debian::PROMPT);
        thread::sleep(SETTLE);
        let id = running.id();
        let figures = || (whole_time(id), time_beside_vcpus(id), sleeps(id));
        let before = figures();
        thread::sleep(WATCHED);
        let after = figures();
        let share = |time: Duration| time.as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
        processor.add(side, share(after.0 - before.0));
        beside.add(side, share(after.1.saturating_sub(before.1)));
        wakes.add(side, after.2.saturating_sub(before.2) as f64 / WATCHED.as_secs_f64());
    }
    bench.finish(&[processor, beside, wakes]);
}
