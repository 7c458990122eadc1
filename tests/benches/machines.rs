//! Ten machines, each with a small Linux, a virtio disk and a network card: what they take of memory
//! beyond their guests' own, each. Berth's are in one process; QEMU has one for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use berth_tests::{
    Bench, Better, Qemu, Row, Running, Side, beyond_guest_ram, beyond_guests_ram, image, overlay,
};
use vmm_core::block::Format;
use vmm_core::machine::{
    Boot, Command, DiskBus, DriveConfig, Machine, MachineConfig, NetworkConfig, SerialStart,
};
use vmm_core::units::Bytes;

/// How many machines there are.
const MACHINES: u64 = 10;
/// Each guest's memory.
const RAM: Bytes = Bytes::mib(160);
/// How long things get to come to rest before memory is looked at.
const SETTLE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(600);
const WORDS: &str = "console=ttyS0 quiet berth.sleep";
const UP: &str = "BERTH-USERLAND up ";

fn main() {
    let bench = Bench::from_environment("machines");
    let name = "memory beyond guest RAM (PSS), each of ten";
    if !bench.wants(name) {
        return;
    }
    let mut row = Row::bounded(name, "MiB", 6.0, Better::Lower);
    for side in bench.turns() {
        let scratch = tempfile::tempdir().expect("a folder for the disks");
        let all = match side {
            Side::Berth => berth(scratch.path()),
            Side::Peer => qemu(scratch.path()),
        };
        row.add(side, all / MACHINES as f64);
    }
    bench.finish(&[row]);
}

fn berth(scratch: &Path) -> f64 {
    let machines: Vec<_> = (0..MACHINES).map(|number| start(number, scratch)).collect();
    machines.iter().for_each(wait_for_user_space);
    thread::sleep(SETTLE);
    beyond_guests_ram(process::id(), RAM.0, MACHINES)
}

fn qemu(scratch: &Path) -> f64 {
    let start = |number: u64| {
        Qemu::q35(&format!("machines-{number}"), LIMIT)
            .args(["-m", "160", "-append", WORDS, "-kernel"])
            .arg(image("vmlinuz"))
            .arg("-initrd")
            .arg(image("initrd"))
            .virtio_disk(&disk(number, scratch), "qcow2")
            .start()
    };
    let mut machines: Vec<Running> = (0..MACHINES).map(start).collect();
    machines.iter_mut().for_each(|machine| drop(machine.expect(UP)));
    thread::sleep(SETTLE);
    machines.iter().map(|machine| beyond_guest_ram(machine.id(), RAM.0)).sum()
}

fn disk(number: u64, scratch: &Path) -> PathBuf {
    let folder = scratch.join(number.to_string());
    fs::create_dir(&folder).expect("a folder for the disk");
    overlay("disk.qcow2", &folder)
}

fn start(number: u64, scratch: &Path) -> Machine {
    let drive = DriveConfig::Disk {
        path: disk(number, scratch),
        format: Some(Format::Qcow2),
        bus: DiskBus::Virtio,
        read_only: false,
    };
    let machine = Machine::new(&MachineConfig {
        name: format!("machine {number}"),
        uuid: uuid::Uuid::nil(),
        memory: RAM,
        cpus: 1,
        boot: Boot::Kernel {
            kernel: image("vmlinuz"),
            initrd: Some(image("initrd")),
            command_line: WORDS.into(),
        },
        drives: vec![drive],
        boot_first: None,
        network: Some(NetworkConfig::new()),
        agent: None,
        log: None,
    })
    .expect("a machine");
    machine.commands().try_send(Command::Start).expect("the machine listens");
    machine
}

fn wait_for_user_space(machine: &Machine) {
    let mut text = String::new();
    let serial = machine.serial(SerialStart::Scrollback);
    while !text.contains(UP) {
        let bytes = serial.output.recv_blocking().unwrap_or_else(|| panic!("ended: {text}"));
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
}
