//! A guest at the end of a TAP device. It needs the right to make one, which there is in the lab.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use berth_tests::{Debian, overlay};

/// Addresses for examples (RFC 5737), which nobody else has.
const HOST: &str = "192.0.2.1";
const GUEST: &str = "192.0.2.2";

/// Bytes that are transferred, each way.
const BYTES: usize = 32 << 20;

/// A TAP device, for as long as this is there.
struct Tap(&'static str);

impl Tap {
    fn new(name: &'static str) -> Self {
        ip(&["tuntap", "add", name, "mode", "tap"]);
        let tap = Self(name);
        ip(&["address", "add", &format!("{HOST}/24"), "dev", name]);
        ip(&["link", "set", name, "up"]);
        tap
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Gone with the lab at the latest.
        let _ = Command::new("ip").args(["link", "delete", self.0]).status();
    }
}

fn ip(words: &[&str]) {
    let status = Command::new("ip").args(words).status().expect("ip starts");
    assert!(status.success(), "ip {}", words.join(" "));
}

#[test]
fn both_ways_with_offloads() {
    if !Path::new("/dev/net/tun").exists() || !rustix::process::geteuid().is_root() {
        println!("not tested: only root makes TAP devices");
        return;
    }
    let tap = Tap::new("berth-test");
    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let net = format!("tap={}", tap.0);
    let mut debian = Debian::login(Debian::boot("tap", &disk).args(["--net", &net]).start());
    let interface = debian.run("ls /sys/class/net | grep -v lo");
    assert_eq!(debian.run(&format!("cat /sys/class/net/{interface}/mtu")), "1500");
    debian.run(&format!("ip address add {GUEST}/24 dev {interface}; ip link set {interface} up"));
    debian.run(&format!("busybox ping -c 2 {HOST}"));

    let listener = TcpListener::bind((HOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let bytes: Vec<u8> = (0..BYTES).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    let sent = bytes.clone();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest connects");
        stream.write_all(&sent).expect("the guest reads");
        drop(stream);
        let (mut stream, _) = listener.accept().expect("the guest connects again");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("the guest sends");
        back
    });
    debian.run(&format!("cat </dev/tcp/{HOST}/{port} >/tmp/bytes"));
    debian.run(&format!("cat /tmp/bytes >/dev/tcp/{HOST}/{port}"));
    assert!(peer.join().expect("the peer ends") == bytes, "other bytes came back");

    // Segments came whole: far fewer packets than of 1500 bytes.
    let statistic = |debian: &mut Debian, name: &str| -> u64 {
        let file = format!("cat /sys/class/net/{interface}/statistics/{name}");
        debian.run(&file).trim().parse().expect("a number")
    };
    for direction in ["rx", "tx"] {
        let packets = statistic(&mut debian, &format!("{direction}_packets"));
        let carried = statistic(&mut debian, &format!("{direction}_bytes"));
        assert!(
            carried as usize > BYTES && packets * 3000 < carried,
            "{direction}: {packets} packets"
        );
    }
    debian.power_off().expect_success();
}
