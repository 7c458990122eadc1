//! The card, its driver, and a network in which everything comes back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::devices::virtio::tests::conformance::{self, Subject};
use crate::devices::virtio::tests::hostile;
use crate::devices::virtio::tests::rig::{DATA, Rig, WRITE, wait_for};
use crate::net::testing::{Echo, PacketEcho};
use crate::net::{MAX_FRAME, Traffic};

const RX: u16 = 0;
const TX: u16 = 1;
/// Where frames to send and received ones are.
const OUT: u64 = DATA + 0x1000;
const IN: u64 = DATA + 0x2_0000;

fn mac() -> MacAddress {
    "02:00:00:00:00:01".parse().unwrap()
}

fn card(backend: Arc<dyn NetBackend>) -> NetCard {
    NetCard::new(mac(), backend).unwrap()
}

/// A frame that differs from all others.
fn unique(len: usize) -> Vec<u8> {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let mut frame: Vec<u8> = (0..len).map(|at| at as u8).collect();
    frame[..4].copy_from_slice(&NUMBER.fetch_add(1, SeqCst).to_le_bytes());
    frame[4..14].copy_from_slice(b"to oneself");
    frame
}

fn send(rig: &Rig<NetCard>, frame: &[u8]) {
    rig.ram.write_slice(&[0; 12], GuestAddress(OUT)).unwrap();
    rig.ram.write_slice(frame, GuestAddress(OUT + 12)).unwrap();
    assert_eq!(rig.exchange(TX, &[(OUT, 12, 0), (OUT + 12, frame.len() as u32, 0)]), 0);
}

/// What the next frame says in its header, and the frame, from buffers of `len` bytes.
fn receive(rig: &Rig<NetCard>, len: u32) -> ([u8; 12], Vec<u8>) {
    let mut data = Vec::new();
    let mut buffers = 1;
    while buffers > 0 {
        let got = rig.exchange(RX, &[(IN, len, WRITE)]);
        let mut part = vec![0; got as usize];
        rig.ram.read_slice(&mut part, GuestAddress(IN)).unwrap();
        if data.is_empty() {
            buffers = u16::from_le_bytes([part[10], part[11]]);
        }
        data.extend(part);
        buffers -= 1;
    }
    (data[..12].try_into().unwrap(), data[12..].to_vec())
}

fn link_up(rig: &Rig<NetCard>) -> bool {
    rig.read(4, 6, 2) == 1
}

/// Sends a frame to the echo and waits for it, behind whatever else comes.
fn works(rig: &Rig<NetCard>) {
    wait_for("the link", || link_up(rig));
    let frame = unique(600);
    send(rig, &frame);
    while receive(rig, 70_000).1 != frame {}
}

const SUBJECT: Subject<NetCard> =
    Subject { make: |_| card(Arc::new(Echo::default())), works, eager: &[TX] };

#[test]
fn it_conforms() {
    conformance::check(&SUBJECT);
}

#[test]
fn hostile_drivers() {
    hostile::check(&SUBJECT);
}

const OFFLOADING: Subject<NetCard> =
    Subject { make: |_| card(Arc::new(PacketEcho::default())), works, eager: &[TX] };

#[test]
fn it_conforms_with_offloads() {
    conformance::check(&OFFLOADING);
}

#[test]
fn hostile_drivers_with_offloads() {
    hostile::check(&OFFLOADING);
}

#[test]
fn headers_go_through_and_the_other_end_hears_what_the_driver_takes() {
    let network = Arc::new(PacketEcho::default());
    let rig = Rig::cold(card(network.clone()), crate::devices::virtio::tests::rig::ram());
    for (features, offloads) in [
        (!0, Offloads::all()),
        (!feature::GUEST_TSO6, Offloads::CHECKSUM | Offloads::TCP4),
        (0, Offloads::empty()),
    ] {
        rig.start(features, 1024);
        assert_eq!(*network.offloads.lock(), Some(offloads));
        wait_for("the link", || link_up(&rig));
        // A partial checksum, of TCP segments to be cut at 1000 bytes; the buffers are the card's to
        // count.
        let header = [1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0, 9, 9];
        rig.ram.write_slice(&header, GuestAddress(OUT)).unwrap();
        rig.ram.write_slice(&[5; 3000], GuestAddress(OUT + 12)).unwrap();
        assert_eq!(rig.exchange(TX, &[(OUT, 3012, 0)]), 0);
        let (back, frame) = receive(&rig, 4000);
        assert_eq!(back[..10], header[..10]);
        assert_eq!((back[10], back[11], frame), (1, 0, vec![5; 3000]));
    }
    let traffic = rig.pci.device().cable().traffic();
    assert_eq!((traffic.sent_bytes, traffic.received_bytes), (9000, 9000));
}

#[test]
fn the_configuration_says_what_it_is() {
    let rig = Rig::hot(card(Arc::new(Echo::default())));
    wait_for("the link", || link_up(&rig));
    let bytes: Vec<u8> = (0..12).map(|at| rig.read(4, at, 1) as u8).collect();
    assert_eq!(bytes, [2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0xf0, 0xff]);
}

/// A network that is played by hand.
#[derive(Default)]
struct Hand {
    asked: AtomicU32,
}

impl NetBackend for Hand {
    fn connect(&self, _cable: &Arc<Cable>, _: Offloads) {
        self.asked.fetch_add(1, SeqCst);
    }
}

fn plug(rig: &Rig<NetCard>) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    rig.pci.device().cable().plug(ours).unwrap();
    theirs.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    theirs
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
}

/// Buffers for received frames, offered one beside the other; what came into them, and in how
/// many.
fn receive_merged(rig: &Rig<NetCard>, count: u16, len: u32) -> (u16, Vec<u8>) {
    let address = |index: u16| IN + u64::from(index) * u64::from(len);
    let heads: Vec<u16> =
        (0..count).map(|index| rig.send(RX, &[(address(index), len, WRITE)])).collect();
    let mut data = Vec::new();
    let mut used = 0;
    let mut buffers = 1;
    while used < buffers {
        let (head, got) = rig.wait_used(RX);
        assert_eq!(head, u32::from(heads[usize::from(used)]));
        let mut part = vec![0; got as usize];
        rig.ram.read_slice(&mut part, GuestAddress(address(used))).unwrap();
        data.extend(part);
        buffers = u16::from_le_bytes([data[10], data[11]]);
        used += 1;
    }
    (buffers, data[12..].to_vec())
}

#[test]
fn long_frames_fill_several_buffers_and_wait_for_them() {
    let rig = Rig::hot(card(Arc::new(Hand::default())));
    let mut network = plug(&rig);
    let frame = unique(MAX_FRAME);
    network.write_all(&framed(&frame)).unwrap();
    // Not enough: the frame waits.
    for index in 0..10 {
        rig.send(RX, &[(IN + index * 1500, 1500, WRITE)]);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(rig.used(RX), None);
    // Enough.
    for index in 10..44 {
        rig.send(RX, &[(IN + index * 1500, 1500, WRITE)]);
    }
    let mut data = Vec::new();
    for index in 0..44u64 {
        let (_, got) = rig.wait_used(RX);
        assert_eq!(got, if index < 43 { 1500 } else { (12 + MAX_FRAME - 43 * 1500) as u32 });
        let mut part = vec![0; got as usize];
        rig.ram.read_slice(&mut part, GuestAddress(IN + index * 1500)).unwrap();
        data.extend(part);
    }
    // DATA_VALID, and 44 buffers.
    assert_eq!(data[..12], [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 44, 0]);
    assert!(data[12..] == frame);
}

#[test]
fn the_buffers_of_a_frame_come_at_once() {
    let rig = Rig::hot(card(Arc::new(Hand::default())));
    let mut network = plug(&rig);
    let index = GuestAddress(Rig::<NetCard>::ring_addresses(RX)[2] + 2);
    let frame = framed(&unique(MAX_FRAME));
    for round in 0..20u16 {
        for buffer in 0..44 {
            rig.send(RX, &[(IN + buffer * 1500, 1500, WRITE)]);
        }
        network.write_all(&frame).unwrap();
        // Without a break: a driver on another CPU may look at any moment.
        let now = loop {
            let now: u16 = rig.ram.load(index, SeqCst).unwrap();
            if now != 44 * round {
                break now;
            }
            std::hint::spin_loop();
        };
        assert_eq!(now, 44 * (round + 1));
        for _ in 0..44 {
            rig.wait_used(RX);
        }
    }
}

#[test]
fn frames_that_no_buffers_can_hold_are_dropped() {
    let rig = Rig::cold(card(Arc::new(Hand::default())), crate::devices::virtio::tests::rig::ram());
    // A queue too small, and a driver that takes one buffer for a frame.
    for (features, size) in [(!0, 4), (!feature::MRG_RXBUF, 1024)] {
        rig.start(features, size);
        let mut network = plug(&rig);
        network.write_all(&[framed(&unique(9000)), framed(&[7; 60])].concat()).unwrap();
        let (buffers, frame) = receive_merged(&rig, 4, 1500);
        assert_eq!((buffers, frame), (1, vec![7; 60]));
    }
}

#[test]
fn what_a_driver_without_features_gets() {
    let rig = Rig::cold(card(Arc::new(Hand::default())), crate::devices::virtio::tests::rig::ram());
    rig.start(0, 1024);
    let mut network = plug(&rig);
    network.write_all(&framed(&[9; 14])).unwrap();
    let (header, frame) = receive(&rig, 2000);
    assert_eq!(header, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(frame, [9; 14]);
}

#[test]
fn bad_frames_of_the_guest_go_nowhere() {
    let rig = Rig::hot(card(Arc::new(Hand::default())));
    let mut network = plug(&rig);
    wait_for("the link", || link_up(&rig));
    let long = MAX_FRAME as u32 + 1 + 12;
    let bad: [&[(u64, u32, u16)]; 5] =
        [&[(OUT, 5, 0)], &[(OUT, 12, 0)], &[(OUT, 25, 0)], &[(OUT, long, 0)], &[(OUT, 64, WRITE)]];
    for parts in bad {
        assert_eq!(rig.exchange(TX, parts), 0);
    }
    let frame = unique(14);
    send(&rig, &frame);
    let mut arrived = [0; 18];
    network.read_exact(&mut arrived).unwrap();
    assert_eq!(arrived[..], framed(&frame));
    let traffic = rig.pci.device().cable().traffic();
    assert_eq!(traffic, Traffic { sent_bytes: 14, sent_packets: 1, ..Traffic::default() });
}

#[test]
fn a_lost_connection_takes_the_link_down_until_there_is_another() {
    let backend = Arc::new(Hand::default());
    let rig = Rig::hot(card(backend.clone()));
    rig.enable_msix();
    rig.start(!0, 1024);
    assert!(!link_up(&rig));
    let asked = backend.asked.load(SeqCst);
    for round in 1..=3u32 {
        let mut network = plug(&rig);
        wait_for("the link", || link_up(&rig));
        let frame = unique(100);
        send(&rig, &frame);
        let mut arrived = [0; 104];
        network.read_exact(&mut arrived).unwrap();
        match round {
            1 => drop(network),
            // A frame that cannot be.
            2 => network.write_all(&[0xff; 8]).unwrap(),
            // Gone while a frame waits for buffers.
            _ => {
                network.write_all(&framed(&[1; 1000])).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(10));
                drop(network);
            }
        }
        wait_for("the end of the link", || !link_up(&rig));
        wait_for("the card to ask again", || backend.asked.load(SeqCst) == asked + round);
        // Without a link, what the guest sends is taken all the same.
        send(&rig, &unique(100));
    }
}

#[test]
fn a_network_that_does_not_read_holds_the_guest_up() {
    let rig = Rig::hot(card(Arc::new(Hand::default())));
    let mut network = plug(&rig);
    wait_for("the link", || link_up(&rig));
    let frame = unique(4000);
    rig.ram.write_slice(&frame, GuestAddress(OUT + 12)).unwrap();
    let mut offered = 0;
    let mut used = 0;
    while offered - used < 200 {
        rig.send(TX, &[(OUT, 12 + frame.len() as u32, 0)]);
        offered += 1;
        assert!(offered < 5000, "the card takes everything");
        while rig.used(TX).is_some() {
            used += 1;
        }
    }
    let mut arrived = vec![0; 4004];
    for _ in 0..offered {
        network.read_exact(&mut arrived).unwrap();
        assert!(arrived == framed(&frame));
    }
    while used < offered {
        rig.wait_used(TX);
        used += 1;
    }
}

#[test]
fn a_state_with_another_address_is_refused() {
    let one = card(Arc::new(Hand::default()));
    let other = NetCard::new(MacAddress::random(), Arc::new(Hand::default())).unwrap();
    assert!(one.restore(other.save()).is_err());
    assert!(one.restore(NetState { link_up: true, ..one.save() }).is_ok());
    assert!(one.save().link_up);
}
