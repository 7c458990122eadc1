//! Machines from the front end's side: commands in, events out, nothing left behind. The guests
//! are a few instructions behind a PVH entry point, which any KVM can run.
//!
//! One test, as it counts the threads and files of its process.

#![allow(clippy::unwrap_used, reason = "outside of #[test] functions clippy asks for more words")]

mod guest;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_channel::Receiver;
use vmm_core::block::Format;
use vmm_core::machine::{
    Boot, Command, DiskBus, DriveConfig, Event, Machine, MachineConfig, PauseReason, SerialOutput,
    SerialStart, State, StopReason, Watch,
};
use vmm_core::units::Bytes;

use guest::kernel;

/// Far more than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// mov dx, 0x3f8; mov al, 'A'; out dx, al
const SAY_A: &[u8] = &[0x66, 0xba, 0xf8, 0x03, 0xb0, b'A', 0xee];
/// jmp to itself
const LOOP: &[u8] = &[0xeb, 0xfe];
/// mov al, '.'; out dx, al; jmp back
const CHATTER: &[u8] = &[0xb0, b'.', 0xee, 0xeb, 0xfb];
/// mov dx, 0xcf9; mov al, 6; out dx, al
const RESET: &[u8] = &[0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee];
/// mov dx, 0x604; mov ax, SLP_TYP 7 with SLP_EN; out dx, ax
const POWER_OFF: &[u8] = &[0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x3c, 0x66, 0xef];
/// ud2, with no interrupt descriptors to handle it
const CRASH: &[u8] = &[0x0f, 0x0b];

fn machine(kernel: PathBuf, cpus: u32) -> Machine {
    machine_with(kernel, cpus, Vec::new())
}

fn machine_with(kernel: PathBuf, cpus: u32, drives: Vec<DriveConfig>) -> Machine {
    let boot = Boot::Kernel { kernel, initrd: None, command_line: String::new() };
    Machine::new(&MachineConfig {
        name: "test".into(),
        uuid: uuid::Uuid::nil(),
        memory: Bytes::mib(64),
        cpus,
        boot,
        drives,
        boot_first: None,
        network: None,
        agent: None,
        log: None,
    })
    .unwrap()
}

/// Waits for the first event that `wanted` takes.
fn wait<T>(events: &Receiver<Event>, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match events.try_recv() {
            Ok(event) => {
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
            Err(_) => {
                assert!(Instant::now() < deadline, "the event does not come");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn state(events: &Receiver<Event>, wanted: &State) {
    wait(events, |event| matches!(event, Event::State(state) if state == wanted).then_some(()));
}

fn stopped(events: &Receiver<Event>) -> StopReason {
    wait(events, |event| match event {
        Event::State(State::Stopped(reason)) => Some(reason.clone()),
        _ => None,
    })
}

fn hear(serial: &SerialOutput, byte: u8) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match serial.try_recv() {
            Ok(bytes) if bytes.contains(&byte) => return,
            Ok(_) => {}
            Err(_) => {
                assert!(Instant::now() < deadline, "the guest does not speak");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Names of this process's threads and targets of its open files.
fn possessions() -> (Vec<String>, Vec<PathBuf>) {
    let entries = |folder: &str| fs::read_dir(folder).unwrap().flatten().map(|e| e.path());
    let threads = entries("/proc/self/task")
        .filter_map(|task| fs::read_to_string(task.join("comm")).ok())
        .collect();
    let mut files: Vec<_> =
        entries("/proc/self/fd").filter_map(|fd| fs::read_link(fd).ok()).collect();
    files.retain(|file| !file.starts_with("/proc"));
    files.sort();
    (threads, files)
}

fn start(machine: &Machine) -> Receiver<Event> {
    let events = machine.subscribe();
    state(&events, &State::Created);
    machine.commands().send_blocking(Command::Start).unwrap();
    state(&events, &State::Running);
    events
}

fn pauses_and_resumes(folder: &Path) {
    let chatter = machine(kernel(folder, "chatter", &[SAY_A, CHATTER]), 2);
    let serial = chatter.serial(SerialStart::Scrollback).output;
    let commands = chatter.commands();
    commands.send_blocking(Command::Resume).unwrap();
    let events = start(&chatter);
    hear(&serial, b'.');

    commands.send_blocking(Command::Pause).unwrap();
    state(&events, &State::Paused(PauseReason::Requested));
    while serial.try_recv().is_ok() {}
    std::thread::sleep(Duration::from_millis(100));
    assert!(serial.try_recv().is_err(), "a paused guest speaks");
    commands.send_blocking(Command::Shutdown).unwrap();
    wait(&events, |event| matches!(event, Event::Refused(_)).then_some(()));

    commands.send_blocking(Command::Resume).unwrap();
    state(&events, &State::Running);
    hear(&serial, b'.');
    let statistics = wait(&events, |event| match event {
        Event::Statistics(statistics) => Some(statistics.clone()),
        _ => None,
    });
    assert_eq!(statistics.vcpu_time.len(), 2);
    assert!(statistics.vcpu_time[0] > Duration::ZERO, "{statistics:?}");
    assert!(statistics.exits.io > 0 && statistics.resident > 0, "{statistics:?}");

    let is_statistics = |event: &Event| matches!(event, Event::Statistics(_)).then_some(());
    commands.send_blocking(Command::Watch(Watch::Not)).unwrap();
    commands.send_blocking(Command::Start).unwrap();
    wait(&events, |event| matches!(event, Event::Refused(_)).then_some(()));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(events.try_recv().is_err(), "nobody wants to know");
    commands.send_blocking(Command::Watch(Watch::Closely)).unwrap();
    wait(&events, is_statistics);
    wait(&events, is_statistics);

    // Else there may be no room for what it says next: it does not look. All that is kept is four
    // pieces.
    for _ in 0..8 {
        let _ = serial.try_recv();
    }
    commands.send_blocking(Command::Reset).unwrap();
    wait(&events, |event| matches!(event, Event::Reset).then_some(()));
    hear(&serial, b'A');
    drop(chatter);
    assert_eq!(stopped(&events), StopReason::Requested);
    assert!(commands.send_blocking(Command::Pause).is_err());
}

fn disks_grow(folder: &Path) {
    let disk = |name: &str, bus| {
        let path = folder.join(name);
        fs::write(&path, [0; 4096]).unwrap();
        DriveConfig::Disk { path, format: Some(Format::Raw), read_only: false, bus }
    };
    let drives = vec![disk("sata", DiskBus::Sata), disk("virtio", DiskBus::Virtio)];
    let chatter = machine_with(kernel(folder, "grower", &[SAY_A, CHATTER]), 1, drives);
    let commands = chatter.commands();
    let events = start(&chatter);
    let refused = |drive, size| {
        commands.send_blocking(Command::GrowDisk { drive, size }).unwrap();
        wait(&events, |event| match event {
            Event::Refused(why) => Some(why.clone()),
            _ => None,
        })
    };
    assert!(refused(0, Bytes::mib(1)).contains("SATA"));
    assert!(refused(1, Bytes(512)).contains("cannot shrink"));
    assert!(refused(2, Bytes::mib(1)).contains("no disk"));
    commands.send_blocking(Command::GrowDisk { drive: 1, size: Bytes::mib(1) }).unwrap();
    wait(&events, |event| matches!(event, Event::DiskGrown { drive: 1 }).then_some(()));
    let length = |name| fs::metadata(folder.join(name)).unwrap().len();
    assert_eq!((length("sata"), length("virtio")), (4096, 1 << 20));
}

fn guests_turn_off_and_crash_alone(folder: &Path) {
    let bystander = machine(kernel(folder, "bystander", &[SAY_A, CHATTER]), 1);
    let serial = bystander.serial(SerialStart::Scrollback).output;
    let _events = start(&bystander);

    let polite = machine(kernel(folder, "polite", &[POWER_OFF, LOOP]), 1);
    assert_eq!(stopped(&start(&polite)), StopReason::GuestPowerOff);

    let crashing = machine(kernel(folder, "crashing", &[CRASH]), 1);
    let StopReason::Failed(reason) = stopped(&start(&crashing)) else {
        panic!("a guest that only crashes goes on")
    };
    assert!(reason.contains("triple fault"), "{reason}");

    let restarting = machine(kernel(folder, "restarting", &[SAY_A, RESET, LOOP]), 2);
    let events = start(&restarting);
    for _ in 0..3 {
        wait(&events, |event| matches!(event, Event::Reset).then_some(()));
    }

    while serial.try_recv().is_ok() {}
    hear(&serial, b'.');
}

#[test]
fn machines_live_and_leave_nothing() {
    if let Err(error) = fs::File::open("/dev/kvm") {
        eprintln!("skipped: /dev/kvm: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let before = possessions();
    pauses_and_resumes(folder.path());
    disks_grow(folder.path());
    guests_turn_off_and_crash_alone(folder.path());
    // Never started, too.
    drop(machine(kernel(folder.path(), "idle", &[LOOP]), 4));
    assert_eq!(possessions(), before);
}
