//! Names and IPv6, as a guest has them through passt that was told nothing. All traffic stays on
//! the lab's machine: what the guest asks and connects to has addresses of its loopback device.

use std::fs;
use std::io::Write;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;

use berth_tests::{Debian, overlay};

use crate::network::gateway;

/// Where the host's resolver listens: its loopback device, as that of systemd does, which the guest
/// does not reach by itself.
const RESOLVER: &str = "127.0.0.53";
/// A name that exists nowhere else (RFC 2606), and what it stands for (RFC 5737).
const NAME: &str = "berth.test";
const ADDRESS: [u8; 4] = [192, 0, 2, 7];

/// A prefix of our own (RFC 4193): a network with the host in it, and a place beyond.
const HOST: &str = "fd42:6265:7274:1::2/64";
const ROUTER: &str = "fd42:6265:7274:1::1";
const BEYOND: &str = "fd42:6265:7274:2::7";

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().expect("ip starts");
    assert!(status.success(), "ip {words}");
}

/// Answers a question for [`NAME`]'s IPv4 address, and that there is nothing to any other (RFC 1035
/// §4.1).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name: Vec<u8> = NAME
        .split('.')
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .chain([0])
        .collect();
    let end = query.get(HEADER..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(HEADER..HEADER + end + 4)?;
    let (asked, kind) = question.split_at(end);
    // Type A, class IN.
    let known = asked.eq_ignore_ascii_case(&name) && kind == [0, 1, 0, 1];
    let mut answer = query[..2].to_vec();
    // A response to a recursive query, without error; one question, the answer if there is one.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(known), 0, 0, 0, 0]);
    answer.extend(question);
    if known {
        // The name as in the question, for a minute.
        answer.extend([0xc0, HEADER as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ADDRESS);
    }
    Some(answer)
}

/// The host's resolver, as long as the test's process.
fn resolver() {
    let socket = UdpSocket::bind((RESOLVER, 53)).expect("nobody else is the resolver");
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..len]) {
                // Who does not wait for it asks again.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    fs::write("/etc/resolv.conf", format!("nameserver {RESOLVER}\n")).expect("the lab's own file");
}

#[test]
fn names_are_resolved_and_ipv6_gets_out() {
    if std::env::var_os("LAB").is_none() {
        println!("not tested: only the lab's machine may have its resolver and routes changed");
        return;
    }
    resolver();
    ip("link add berth-ipv6 type dummy");
    ip("link set berth-ipv6 up");
    ip(&format!("-6 address add {HOST} dev berth-ipv6 nodad"));
    ip(&format!("-6 route add default via {ROUTER} dev berth-ipv6 metric 1"));
    ip(&format!("-6 address add {BEYOND}/128 dev lo nodad"));

    let scratch = tempfile::tempdir().expect("a folder for the disk");
    let disk = overlay("disk.qcow2", scratch.path());
    let boot = Debian::boot("network_names", &disk).args(["--net", "user"]);
    let mut debian = Debian::login(boot.start());
    gateway(&mut debian);

    // By DHCP the guest learns whom to ask, who is not the host's loopback address.
    let server = debian.run("sed -n 's/^DNS=//p' /run/systemd/netif/leases/* | cut -d' ' -f1");
    assert!(!server.is_empty() && !server.starts_with("127."), "{server}");
    debian.run(&format!("echo nameserver {server} >/etc/resolv.conf"));
    let found = debian.run(&format!("getent ahostsv4 {NAME} | head -1"));
    assert_eq!(found.split_whitespace().next(), Some("192.0.2.7"));
    debian.run("! getent ahostsv4 other.test");

    // The network's prefix comes by router advertisement, and so does the way out.
    debian.run(
        "for i in $(seq 60); do ip -6 address show scope global -tentative | grep -q inet6 && \
         ip -6 route show default | grep -q via && break; sleep 1; done",
    );
    // Without a terminal, so without colours.
    let addresses = debian.run("ip -6 address show scope global | cat");
    assert!(addresses.contains("fd42:6265:7274:1:"), "{addresses}");
    let way = debian.run("ip -6 route show default | cat");
    assert!(way.contains("proto ra"), "{way}");
    let neighbour = way.split_whitespace().skip_while(|word| *word != "via").nth(1);
    let neighbour = neighbour.expect("a router").to_owned();
    let interface = debian.run("ls /sys/class/net | grep -v lo");
    debian.run(&format!("busybox ping -6 -c 1 -W 5 {neighbour}%{interface} || true"));
    let entry = debian.run(&format!("ip -6 neighbour show {neighbour} | cat"));
    assert!(entry.contains("lladdr"), "the router does not answer for itself: {entry}");

    let beyond: Ipv6Addr = BEYOND.parse().expect("an address");
    let listener = TcpListener::bind((beyond, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the guest connects");
        stream.write_all(b"from beyond\n").expect("the guest reads");
    });
    assert_eq!(debian.run(&format!("cat </dev/tcp/{BEYOND}/{port}")), "from beyond");
    server.join().expect("the server ends");
    debian.power_off().expect_success();
}
