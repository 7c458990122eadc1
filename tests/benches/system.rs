//! An installed Debian, started from its qcow2 disk by SeaBIOS: the time to its login on the serial
//! port, and the memory that the process then takes beyond its guest's.

use std::thread;
use std::time::Duration;

use berth_tests::{
    Bench, Berth, Better, Debian, Qemu, Row, Running, Side, beyond_guest_ram, overlay,
};

const LIMIT: Duration = Duration::from_secs(900);

/// The guest's memory.
const RAM: u64 = 512 << 20;

/// What is still going on at the prompt may settle so long.
const SETTLE: Duration = Duration::from_secs(3);

fn main() {
    let bench = Bench::from_environment("system");
    let mut login = Row::new("start to login on serial, from disk, BIOS", "s", 1.0, Better::Lower);
    let mut memory =
        Row::new("memory beyond guest RAM (PSS), at login", "MiB", 0.35, Better::Lower);
    if !bench.wants("start to login on serial, memory") {
        return;
    }
    for side in bench.turns() {
        let scratch = tempfile::tempdir().expect("a folder for the disk");
        let disk = overlay("disk.qcow2", scratch.path());
        let mut running: Running = match side {
            Side::Berth => Berth::boot_unlogged("system-berth", LIMIT)
                .arg("--disk")
                .arg(format!("{},format=qcow2", disk.display()))
                .args(["--memory", "512M"])
                .start(),
            Side::Peer => {
                Qemu::q35("system-peer", LIMIT).args(["-m", "512"]).disk(&disk, "qcow2").start()
            }
        };
        running.expect(Debian::PROMPT);
        login.add(side, running.elapsed().as_secs_f64());
        thread::sleep(SETTLE);
        memory.add(side, beyond_guest_ram(running.id(), RAM));
    }
    bench.finish(&[login, memory]);
}
