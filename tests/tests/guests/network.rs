//! The network, as a guest has it through passt. All traffic stays on this machine: the host's end
//! is its loopback address.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use berth_tests::{Debian, overlay};
use rustix::process::{Pid, Signal, kill_process};

/// Bytes that are transferred, each way.
const BYTES: usize = 32 << 20;

/// How often these are sent for a transfer that is far longer than all buffers on the way: 1 GiB.
const TIMES: usize = 32;

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

/// That of `bytes`, so many times over; by the program, which every Linux has.
fn md5(bytes: &[u8], times: usize) -> String {
    let mut program = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("md5sum starts");
    let mut input = program.stdin.take().expect("its input");
    for _ in 0..times {
        input.write_all(bytes).expect("md5sum reads");
    }
    drop(input);
    let output = program.wait_with_output().expect("md5sum ends");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until the guest has an address and a way out; answers with its gateway.
pub(crate) fn gateway(debian: &mut Debian) -> String {
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

/// Sends `bytes` so many times to whoever connects to the port. Answers with how many of them the
/// other end, or what is between, has taken.
fn serve(bytes: &[u8], times: usize) -> (u16, JoinHandle<usize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let bytes = bytes.to_vec();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest connects");
        (0..times).take_while(|_| stream.write_all(&bytes).is_ok()).count()
    });
    (port, server)
}

/// Serves `bytes`, so many times over, to the guest, which fetches them from its gateway.
fn fetch(debian: &mut Debian, gateway: &str, bytes: &[u8], times: usize) -> String {
    let (port, server) = serve(bytes, times);
    // By the shell: programs that close their own direction first lose the end to passt.
    let sum = debian.run(&format!("md5sum </dev/tcp/{gateway}/{port}"));
    assert_eq!(server.join().expect("the server ends"), times);
    sum.split(' ').next().unwrap_or_default().to_owned()
}

/// Kills passt while the guest fetches, and waits for the next one.
fn kill_passt(debian: &mut Debian, gateway: &str, forwarded: u16, bytes: &[u8]) {
    let (port, server) = serve(bytes, usize::MAX);
    debian.run(&format!(
        "(cat </dev/tcp/{gateway}/{port} >/dev/null & echo $! >/tmp/reader); \
         for i in $(seq 60); do grep -q 'rchar: ........' /proc/$(cat /tmp/reader)/io && break; \
         sleep 1; done; grep 'rchar: ........' /proc/$(cat /tmp/reader)/io"
    ));
    let before = passts(forwarded);
    assert_eq!(before.len(), 1, "one passt for a machine: {before:?}");
    kill_process(Pid::from_raw(before[0]).expect("a process id"), Signal::KILL)
        .expect("passt is there to be killed");
    // Its end of the connection is gone, so that this does not go on for ever.
    server.join().expect("the server ends");
    let start = Instant::now();
    while passts(forwarded).iter().all(|pid| before.contains(pid)) {
        assert!(start.elapsed() < PATIENCE, "passt does not come back");
        thread::sleep(Duration::from_millis(100));
    }
    debian.run("kill $(cat /tmp/reader)");
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
fn both_ways_with_checksums_and_after_passt_was_killed_at_work() {
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
    let sum = md5(&bytes, 1);
    let start = Instant::now();
    assert_eq!(fetch(&mut debian, &gateway, &bytes, TIMES), md5(&bytes, TIMES));
    println!("{} MiB in {:?}, both sums included", (BYTES * TIMES) >> 20, start.elapsed());

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
    kill_passt(&mut debian, &gateway, port, &bytes);
    debian.run(&format!(
        "for i in $(seq 60); do grep -q 1 /sys/class/net/{interface}/carrier && break; sleep 1; \
         done; cat /sys/class/net/{interface}/carrier"
    ));
    let again = self::gateway(&mut debian);
    assert_eq!(fetch(&mut debian, &again, &bytes, 1), sum);
    debian.power_off().expect_success();
    let start = Instant::now();
    while !passts(port).is_empty() {
        assert!(start.elapsed() < PATIENCE, "passt outlives the machine");
        thread::sleep(Duration::from_millis(100));
    }
}
