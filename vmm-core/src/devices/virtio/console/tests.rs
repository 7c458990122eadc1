//! The console, its driver, and programs at the other end.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::{DATA, Rig, WRITE, ram};
use crate::state::Resume;

const NAME: &str = "org.qemu.guest_agent.0";
/// Queues of the one port.
const IN: u16 = 4;
const OUT: u16 = 5;
/// Where messages of the device go, and data.
const MESSAGES: u64 = DATA + 0x1_0000;
const BYTES: u64 = DATA + 0x2_0000;

/// A socket, and its address, which has no file.
fn listen() -> (UnixListener, SocketAddr) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, SeqCst);
    let name = format!("berth-test-{}-{number}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    (UnixListener::bind_addr(&address).unwrap(), address)
}

/// A device with one channel, and where it is reached.
fn reachable() -> (Console, SocketAddr) {
    let (socket, address) = listen();
    (Console::new(vec![Channel { name: NAME.into(), socket }]).unwrap(), address)
}

fn connect(address: &SocketAddr) -> UnixStream {
    let client = UnixStream::connect_addr(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client
}

/// The driver says something about port `id`.
fn say(rig: &Rig<Console>, id: u32, event: u16, value: u16) {
    let bytes = u64::from(id) | u64::from(event) << 32 | u64::from(value) << 48;
    rig.ram.write_slice(&bytes.to_le_bytes(), GuestAddress(DATA)).unwrap();
    assert_eq!(rig.exchange(3, &[(DATA, 8, 0)]), 0);
}

/// What the device says next, into a buffer as short as FreeBSD's: port, event, value, and what
/// follows.
fn hear(rig: &Rig<Console>) -> (u32, u16, u16, Vec<u8>) {
    let len = rig.exchange(2, &[(MESSAGES, 128, WRITE)]) as usize;
    let mut bytes = vec![0; len];
    rig.ram.read_slice(&mut bytes, GuestAddress(MESSAGES)).unwrap();
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    (u32::from(half(0)), half(4), half(6), bytes[8..].to_vec())
}

/// Sets everything up.
fn begin(rig: &Rig<Console>) {
    say(rig, 0, 0, 1);
    assert_eq!(hear(rig), (1, 1, 1, vec![]));
    say(rig, 1, 3, 1);
    assert_eq!(hear(rig), (1, 7, 1, NAME.into()));
}

fn send(rig: &Rig<Console>, bytes: &[u8]) {
    rig.ram.write_slice(bytes, GuestAddress(BYTES)).unwrap();
    assert_eq!(rig.exchange(OUT, &[(BYTES, bytes.len() as u32, 0)]), 0);
}

fn receive(rig: &Rig<Console>, room: u32) -> Vec<u8> {
    let len = rig.exchange(IN, &[(BYTES, room, WRITE)]);
    let mut bytes = vec![0; len as usize];
    rig.ram.read_slice(&mut bytes, GuestAddress(BYTES)).unwrap();
    bytes
}

/// Takes what a guest without a listener sends, whatever came before.
fn works(rig: &Rig<Console>) {
    assert_eq!(rig.exchange(1, &[(DATA, 8, 0)]), 0);
    say(rig, 0, 0, 1);
    say(rig, 1, 6, 1);
    send(rig, b"to nobody");
    assert_eq!(rig.read(4, 4, 4), 2, "as many ports as there are");
}

const SUBJECT: Subject<Console> = Subject { make: |_| reachable().0, works, eager: &[1, 3, 5] };

#[test]
fn it_conforms() {
    conformance::check(&SUBJECT);
}

#[test]
fn hostile_drivers() {
    hostile::check(&SUBJECT);
}

#[test]
fn both_ends_talk() {
    let (console, address) = reachable();
    let rig = Rig::hot(console);
    begin(&rig);
    // Nobody is there: what the guest says is lost.
    send(&rig, b"hello?");
    let mut client = connect(&address);
    client.write_all(b"anybody?").unwrap();
    assert_eq!(hear(&rig), (1, 6, 1, vec![]));
    // It waits until the guest opens the port and has room.
    rig.send(IN, &[(BYTES, 64, WRITE)]);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(rig.used(IN), None, "the guest has not opened it");
    say(&rig, 1, 6, 1);
    assert_eq!(rig.wait_used(IN).1, 8);
    client.write_all(b"a longer question").unwrap();
    let mut question = receive(&rig, 5);
    while question.len() < 17 {
        question.extend(receive(&rig, 5));
    }
    assert_eq!(question, b"a longer question");
    send(&rig, b"an answer");
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"an answer");
    // The next one waits its turn.
    let mut next = connect(&address);
    next.write_all(b"next").unwrap();
    drop(client);
    // However long the guest takes, it hears of both.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(hear(&rig), (1, 6, 0, vec![]));
    assert_eq!(hear(&rig), (1, 6, 1, vec![]));
    assert_eq!(receive(&rig, 64), b"next");
}

#[test]
fn a_client_that_does_not_read_holds_the_guest_up_and_nothing_else() {
    let (console, address) = reachable();
    let rig = Rig::hot(console);
    begin(&rig);
    let mut client = connect(&address);
    assert_eq!(hear(&rig), (1, 6, 1, vec![]));
    let block: Vec<u8> = (0..40_000u32).map(|n| (n / 7) as u8).collect();
    rig.ram.write_slice(&block, GuestAddress(BYTES)).unwrap();
    let (mut sent, mut used) = (0, 0);
    while sent - used < 40 {
        rig.send(OUT, &[(BYTES, block.len() as u32, 0)]);
        sent += 1;
        assert!(sent < 1000, "all is taken");
        std::thread::sleep(Duration::from_millis(1));
        while rig.used(OUT).is_some() {
            used += 1;
        }
    }
    // The other direction and the rest of the device go on.
    say(&rig, 1, 6, 1);
    client.write_all(b"still here").unwrap();
    assert_eq!(receive_at(&rig, DATA, 64), b"still here");
    let mut got = vec![0; block.len()];
    for _ in 0..sent {
        client.read_exact(&mut got).unwrap();
        assert!(got == block);
    }
    while used < sent {
        rig.wait_used(OUT);
        used += 1;
    }
    // A client that goes while the guest sends: the rest goes nowhere.
    for _ in 0..40 {
        rig.send(OUT, &[(BYTES, block.len() as u32, 0)]);
    }
    drop(client);
    for _ in 0..40 {
        rig.wait_used(OUT);
    }
    assert_eq!(hear(&rig), (1, 6, 0, vec![]));
}

fn receive_at(rig: &Rig<Console>, address: u64, room: u32) -> Vec<u8> {
    let len = rig.exchange(IN, &[(address, room, WRITE)]);
    let mut bytes = vec![0; len as usize];
    rig.ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
    bytes
}

#[test]
fn a_client_that_goes_while_nobody_listens_is_noticed() {
    let (console, address) = reachable();
    let rig = Rig::hot(console);
    begin(&rig);
    for _ in 0..3 {
        let mut client = connect(&address);
        assert_eq!(hear(&rig), (1, 6, 1, vec![]));
        client.write_all(b"lost").unwrap();
        drop(client);
        assert_eq!(hear(&rig), (1, 6, 0, vec![]));
    }
    // And while the guest has no room.
    say(&rig, 1, 6, 1);
    let mut client = connect(&address);
    assert_eq!(hear(&rig), (1, 6, 1, vec![]));
    client.write_all(&[7; 100]).unwrap();
    assert_eq!(receive(&rig, 60).len(), 60);
    drop(client);
    assert_eq!(hear(&rig), (1, 6, 0, vec![]));
}

#[test]
fn nonsense_about_ports_is_ignored() {
    let rig = Rig::hot(reachable().0);
    // Before the device was told that the driver is ready, and of ports that are not.
    for (id, event, value) in [(1, 3, 1), (0, 6, 1), (2, 6, 1), (u32::MAX, 3, 1), (1, 99, 1)] {
        say(&rig, id, event, value);
    }
    begin(&rig);
    assert_eq!(rig.exchange(3, &[(DATA, 7, 0)]), 0);
    assert_eq!(rig.exchange(3, &[(DATA, 8, WRITE)]), 0);
    // Said twice, it is told once; a buffer too short is of no use.
    say(&rig, 0, 0, 1);
    say(&rig, 1, 3, 1);
    rig.send(2, &[(MESSAGES, 512, WRITE)]);
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(rig.used(2), None);
    rig.start(!0, 64);
    say(&rig, 0, 0, 1);
    assert_eq!(rig.exchange(2, &[(MESSAGES, 8, WRITE)]), 0);
    assert_eq!(hear(&rig), (1, 1, 1, vec![]));
}

#[test]
fn a_restored_guest_hears_that_its_client_is_gone() {
    let (console, address) = reachable();
    let rig = Rig::hot(console);
    begin(&rig);
    let _client = connect(&address);
    assert_eq!(hear(&rig), (1, 6, 1, vec![]));
    let state = serde_json::to_string(&rig.pci.save()).unwrap();
    let (console, address) = reachable();
    let copy = Rig::cold(console, ram());
    copy.adopt(&rig);
    copy.pci.restore(serde_json::from_str(&state).unwrap()).unwrap();
    copy.pci.resume();
    assert_eq!(hear(&copy), (1, 6, 0, vec![]));
    let _client = connect(&address);
    assert_eq!(hear(&copy), (1, 6, 1, vec![]));
    // Another number of ports.
    let bundle = Rig::cold(Console::new(Vec::new()).unwrap(), ram());
    assert!(bundle.pci.restore(serde_json::from_str(&state).unwrap()).is_err());
}

#[test]
fn names_and_numbers_have_limits() {
    let channel = |name: String| Channel { name, socket: listen().0 };
    assert!(Console::new(vec![channel("x".repeat(200))]).is_ok());
    assert!(Console::new(vec![channel("x".repeat(201))]).is_err());
    assert!(Console::new((0..31).map(|_| channel("x".into())).collect()).is_err());
}
