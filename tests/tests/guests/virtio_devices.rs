//! The small virtio devices of every machine with the drivers of an installed Debian: the tablet,
//! the keyboard, the memory balloon and the channel to an agent.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use berth_tests::{Debian, overlay};

const MIB: u64 = 1 << 20;

/// What the guest allocates and frees.
const ALLOCATED: u64 = 1024 * MIB;

/// How long the host may wait for memory that the guest has freed.
const RETURN: Duration = Duration::from_secs(10);

/// How long the balloon may take in the lab.
const PATIENCE: Duration = Duration::from_secs(120);

/// Memory that process `id` takes, in bytes.
fn resident(id: u32) -> u64 {
    let path = format!("/proc/{id}/status");
    let status = fs::read_to_string(&path).expect("the machine runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.expect("the kernel says how much memory a process has") * 1024
}

#[test]
fn pointer_and_keys_arrive_the_agent_answers_and_freed_memory_returns() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let agent_socket = scratch.path().join("agent.sock");
    let mut debian = Debian::login(
        Debian::boot_by("virtio-devices", &disk, "virtio")
            // Some of it above 4 GiB: Linux gives free memory back zone by zone.
            .args(["--memory", "3G", "--until-serial", "ready to point"])
            .args(["--point", "25,75", "--click"])
            .args(["--until-serial", "ready to type", "--type", "aB"])
            .args(["--until-serial", "ready to give", "--balloon", "32M"])
            .args(["--until-serial", "ready to take", "--balloon", "0", "--until-off"])
            .arg("--agent")
            .arg(&agent_socket)
            .start(),
    );
    tablet(&mut debian);
    keyboard(&mut debian);
    agent(&mut debian, &agent_socket);
    memory(&mut debian);
    balloon(&mut debian);
    debian.power_off().expect_success();
    assert!(!agent_socket.exists(), "the socket is left behind");
}

/// What the guest's input device `name` reports while something is done that `ready` asks for:
/// type, code and value's halves of each of `count` events.
fn events(debian: &mut Debian, name: &str, ready: &str, count: usize) -> Vec<[u16; 4]> {
    let device = debian.run(&format!("grep -A4 'Name=\"{name}\"' /proc/bus/input/devices"));
    let handlers = device.lines().find(|line| line.contains("Handlers="));
    let handlers = handlers.expect("somebody handles its events");
    let event = handlers.split([' ', '=']).find(|word| word.starts_with("event"));
    let event = event.expect("it is an event device");
    // Events of 24 bytes, each with its time first.
    let len = 24 * count;
    let events = debian.run(&format!(
        "(sleep 3; echo ready to $(echo {ready})) & timeout 120 head -c {len} /dev/input/{event} | od -An -v -tu2 -w24"
    ));
    events
        .lines()
        .map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
        .filter_map(|words: Vec<u16>| words.get(8..)?.try_into().ok())
        .collect()
}

const REPORT: [u16; 4] = [0, 0, 0, 0];

fn tablet(debian: &mut Debian) {
    let events = events(debian, "Berth tablet", "point", 7);
    // Both axes, then the button down and up, each with the report's end.
    let expected =
        [[3, 0, 8192, 0], [3, 1, 24575, 0], REPORT, [1, 272, 1, 0], REPORT, [1, 272, 0, 0], REPORT];
    assert_eq!(events, expected);
}

fn keyboard(debian: &mut Debian) {
    let events = events(debian, "Berth keyboard", "type", 12);
    // A, then B with the left Shift key.
    let keys = [(30, 1), (30, 0), (42, 1), (48, 1), (48, 0), (42, 0)];
    let expected: Vec<_> =
        keys.iter().flat_map(|(key, down)| [[1, *key, *down, 0], REPORT]).collect();
    assert_eq!(events, expected);
}

fn agent(debian: &mut Debian, socket: &Path) {
    for round in 0..2 {
        let mut client = UnixStream::connect(socket).expect("the socket takes connections");
        writeln!(client, "question {round}").expect("the channel takes a line");
        let heard = debian.run(
            "exec 3<>/dev/virtio-ports/org.qemu.guest_agent.0; read -r line <&3; echo answer to $line >&3; \
             exec 3>&-; echo $line",
        );
        assert_eq!(heard, format!("question {round}"));
        let expected = format!("answer to question {round}\n");
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).expect("the guest answers");
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
}

fn memory(debian: &mut Debian) {
    let id = debian.process().id();
    debian.run("mount -o remount,size=90% /dev/shm");
    let mib = ALLOCATED / MIB;
    debian.run(&format!("dd if=/dev/zero of=/dev/shm/much bs=1M count={mib} status=none"));
    let full = resident(id);
    assert!(full > ALLOCATED, "only {} MiB are resident", full / MIB);
    debian.run("rm /dev/shm/much");
    let start = Instant::now();
    let goal = full - ALLOCATED * 7 / 8;
    loop {
        let now = resident(id);
        if now <= goal {
            break;
        }
        let waited = start.elapsed();
        assert!(waited < RETURN, "after {waited:?}, {} MiB are resident", now / MIB);
        sleep(Duration::from_millis(200));
    }
    println!("{} MiB came back in {:?}", ALLOCATED / MIB, start.elapsed());
}

fn balloon(debian: &mut Debian) {
    // Its driver counts what it has given up, in pages.
    let inflated = |debian: &mut Debian| {
        let count = |name: &str| format!("$(awk '/^balloon_{name} / {{ print $2 }}' /proc/vmstat)");
        let pages = debian.run(&format!("echo $(({} - {}))", count("inflate"), count("deflate")));
        pages.parse::<u64>().expect("a number of pages") * 4096
    };
    for (order, goal) in [("give", 32 * MIB), ("take", 0)] {
        debian.run(&format!("echo ready to $(echo {order})"));
        let start = Instant::now();
        while inflated(debian) != goal {
            assert!(start.elapsed() < PATIENCE, "the balloon is not done");
            debian.run("sleep 1");
        }
    }
}
