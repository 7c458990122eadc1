//! The network, as a guest has it through passt. All traffic stays on this machine: the host's end
//! is its loopback address.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use berth_tests::{Debian, overlay};
use rustix::process::{Pid, Signal, kill_process};

/// Bytes that are transferred, each way.
const BYTES: usize = 32 << 20;

/// How long a transfer or a restart may take in the lab.
const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes that look like no others.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// By the program, which every Linux has.
fn md5(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bytes");
    fs::write(&path, bytes).expect("a file");
    let output = std::process::Command::new("md5sum").arg(&path).output().expect("md5sum starts");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until the guest has an address and a way out; answers with its gateway.
fn gateway(debian: &mut Debian) -> String {
    debian.run(
        "mkdir -p /run/systemd/network && printf '[Match]\\nName=en* eth*\\n[Network]\\nDHCP=yes\\n' \
         >/run/systemd/network/50-all.network && systemctl restart systemd-networkd",
    );
    debian.run(
        "for i in $(seq 120); do ip -4 route show default | grep -q via && break; sleep 1; done; \
         ip -4 route show default | grep via",
    );
    debian.run("ip -4 route show default | sed 's/.*via \\([^ ]*\\).*/\\1/' | head -1")
}

/// Serves `bytes` to the guest, which fetches them from its gateway.
fn fetch(debian: &mut Debian, gateway: &str, bytes: &[u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let bytes = bytes.to_vec();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest connects");
        // A guest that goes away fails the comparison.
        let _ = stream.write_all(&bytes);
    });
    // By the shell: programs that close their own direction first lose the end to passt.
    let sum = debian.run(&format!("md5sum </dev/tcp/{gateway}/{port}"));
    server.join().expect("the server ends");
    sum.split(' ').next().unwrap_or_default().to_owned()
}

/// The passt processes that forward `port`.
fn passts(port: u16) -> Vec<i32> {
    let mark = format!("127.0.0.1/{port}:7");
    let entries = fs::read_dir("/proc").expect("there is /proc");
    let pid = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).split('\0').any(|word| word == mark).then_some(pid)
    };
    entries.filter_map(pid).collect()
}

#[test]
fn both_ways_with_checksums_and_after_passt_was_killed() {
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let port = free_port();
    let net = format!("user,host,forward={port}:7");
    let mut debian = Debian::login(Debian::boot("network", &disk).args(["--net", &net]).start());
    let gateway = gateway(&mut debian);
    let interface = debian.run("ls /sys/class/net | grep -v lo");
    assert_eq!(debian.run(&format!("cat /sys/class/net/{interface}/mtu")), "65520");
    debian.run(&format!("busybox ping -c 2 {gateway}"));

    // From the host.
    let bytes = noise(BYTES);
    let sum = md5(&bytes);
    assert_eq!(fetch(&mut debian, &gateway, &bytes), sum);

    // To the guest's port, and back from there.
    debian.run("mkfifo /tmp/open; (busybox nc -l -p 7 <>/tmp/open >/tmp/bytes &); sleep 2");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port leads to the guest");
    stream.write_all(&bytes).expect("the guest reads");
    drop(stream);
    let got = debian.run(&format!(
        "for i in $(seq 300); do [ $(stat -c %s /tmp/bytes) = {BYTES} ] && break; sleep 1; done; \
         md5sum </tmp/bytes"
    ));
    assert_eq!(got.split(' ').next(), Some(&*sum));
    debian.run("(busybox nc -l -p 7 </tmp/bytes &); sleep 2");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port leads to the guest");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("the guest sends");
    assert!(back == bytes, "other bytes came back");

    // Killed, it comes back, and so does the link.
    let before = passts(port);
    assert_eq!(before.len(), 1, "one passt for a machine: {before:?}");
    kill_process(Pid::from_raw(before[0]).expect("a process id"), Signal::KILL)
        .expect("passt is there to be killed");
    let start = Instant::now();
    while passts(port).iter().all(|pid| before.contains(pid)) {
        assert!(start.elapsed() < PATIENCE, "passt does not come back");
        thread::sleep(Duration::from_millis(100));
    }
    debian.run(&format!(
        "for i in $(seq 60); do grep -q 1 /sys/class/net/{interface}/carrier && break; sleep 1; \
         done; cat /sys/class/net/{interface}/carrier"
    ));
    let again = self::gateway(&mut debian);
    assert_eq!(fetch(&mut debian, &again, &bytes), sum);
    debian.power_off().expect_success();
    let start = Instant::now();
    while !passts(port).is_empty() {
        assert!(start.elapsed() < PATIENCE, "passt outlives the machine");
        thread::sleep(Duration::from_millis(100));
    }
}
