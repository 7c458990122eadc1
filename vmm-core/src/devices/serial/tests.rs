//! The port as a guest and a console see it together.

use std::sync::Arc;
use std::time::Duration;

use async_channel::TryRecvError;
use proptest::prelude::*;

use super::stream::LOG_BYTES;
use super::*;
use crate::interrupt::Recorder;
use crate::state::conformance;

fn port() -> (Arc<Recorder>, Serial) {
    let recorder = Arc::new(Recorder::default());
    let serial = Serial::new(IrqLine::new(recorder.clone(), COM1_IRQ));
    (recorder, serial)
}

fn get(serial: &Serial, register: u64) -> u8 {
    let mut data = [0xff];
    serial.read(register, &mut data);
    data[0]
}

fn put(serial: &Serial, register: u64, value: u8) {
    serial.write(register, &[value]);
}

const LSR: u64 = 5;
const THRE: u8 = 0x20;

#[test]
fn late_consoles_get_the_scrollback_and_then_every_byte() {
    let (_, serial) = port();
    for byte in b"early" {
        put(&serial, 0, *byte);
    }
    let all = serial.attach(Start::Scrollback);
    let new = serial.attach(Start::Now);
    assert_eq!(all.output.try_recv(), Ok(b"early".to_vec()));
    assert_eq!(new.output.try_recv(), Err(TryRecvError::Empty));
    put(&serial, 0, b'!');
    assert_eq!(all.output.recv_blocking(), Some(b"!".to_vec()));
    drop(serial);
    assert_eq!(new.output.recv_blocking(), Some(b"!".to_vec()), "the last words are not lost");
    assert_eq!(new.output.recv_blocking(), None);
    assert_eq!(new.input.try_send(b"x"), Err(Closed));
    assert_eq!(new.input.send_break(), Err(Closed));
}

#[test]
fn without_a_console_the_guest_never_waits() {
    let (_, serial) = port();
    for n in 0..LOG_BYTES + 10 {
        assert_eq!(get(&serial, LSR) & THRE, THRE);
        put(&serial, 0, n as u8);
    }
    assert_eq!(serial.log().len(), LOG_BYTES);
    assert_eq!(serial.log()[0], 10);
}

#[test]
fn a_console_that_does_not_read_holds_the_guest_up() {
    let (recorder, serial) = port();
    put(&serial, 4, 0x08);
    put(&serial, 1, 0x02);
    let console = serial.attach(Start::Now);
    let mut sent = 0;
    while get(&serial, LSR) & THRE != 0 {
        for _ in 0..16 {
            put(&serial, 0, (sent % 251) as u8);
            sent += 1;
        }
        get(&serial, 2);
    }
    assert_eq!(sent, LOG_BYTES);
    assert!(!recorder.line(COM1_IRQ));
    let edges = recorder.edge_count(COM1_IRQ);

    let mut heard = console.output.try_recv().unwrap();
    assert!(recorder.line(COM1_IRQ), "room: the guest is told");
    assert_eq!(recorder.edge_count(COM1_IRQ), edges + 1);
    while let Ok(chunk) = console.output.try_recv() {
        heard.extend(chunk);
    }
    assert_eq!(heard.len(), sent);
    assert!(heard.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));

    while get(&serial, LSR) & THRE != 0 {
        put(&serial, 0, 0);
    }
    drop(console);
    assert_eq!(get(&serial, LSR) & THRE, THRE, "a console that leaves lets the guest go");
}

#[test]
fn each_byte_sent_makes_an_edge() {
    let (recorder, serial) = port();
    put(&serial, 4, 0x08);
    put(&serial, 1, 0x02);
    assert_eq!(recorder.edge_count(COM1_IRQ), 1);
    put(&serial, 0, b'a');
    put(&serial, 0, b'b');
    assert_eq!(recorder.edge_count(COM1_IRQ), 3);
    assert_eq!(get(&serial, 2), 0x02);
    assert!(!recorder.line(COM1_IRQ));
}

#[test]
fn input_waits_for_the_guest() {
    let (recorder, serial) = port();
    put(&serial, 2, 0xc1);
    put(&serial, 4, 0x08);
    put(&serial, 1, 0x01);
    let console = serial.attach(Start::Now);
    let text: Vec<u8> = (0..100_000u32).map(|n| (n % 253) as u8).collect();
    let sender = std::thread::spawn({
        let text = text.clone();
        move || console.input.send_blocking(&text)
    });
    let mut heard = Vec::new();
    while heard.len() < text.len() {
        if get(&serial, LSR) & 1 != 0 {
            assert!(recorder.line(COM1_IRQ));
            heard.push(get(&serial, 0));
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(get(&serial, LSR) & 0x02, 0, "overrun");
    }
    assert_eq!(heard, text);
    assert_eq!(sender.join().unwrap(), Ok(()));
    assert!(!recorder.line(COM1_IRQ));
}

#[test]
fn a_waiting_sender_and_listener_hear_of_the_end() {
    let (_, serial) = port();
    let a = serial.attach(Start::Now);
    let b = serial.attach(Start::Now);
    let sender = std::thread::spawn(move || b.input.send_blocking(&[0; 1 << 20]));
    let listener = std::thread::spawn(move || a.output.recv_blocking());
    std::thread::sleep(Duration::from_millis(20));
    drop(serial);
    assert_eq!(sender.join().unwrap(), Err(Closed));
    assert_eq!(listener.join().unwrap(), None);
}

#[test]
fn a_break_reaches_the_guest() {
    let (_, serial) = port();
    let console = serial.attach(Start::Now);
    console.input.send_break().unwrap();
    console.input.try_send(b"h").unwrap();
    assert_eq!(get(&serial, LSR) & 0x11, 0x11);
    assert_eq!(get(&serial, 0), 0);
    assert_eq!(get(&serial, 0), b'h');
}

#[test]
fn wide_accesses_reach_registers_side_by_side() {
    let (_, serial) = port();
    serial.write(6, &[0, 0x5a]);
    let mut data = [0xff; 4];
    serial.read(6, &mut data);
    assert_eq!(data, [0xb0, 0x5a, 0xff, 0xff]);
    serial.read(u64::MAX, &mut data);
    serial.write(u64::MAX, &data);
}

#[test]
fn conforms() {
    conformance::check(
        || port().1,
        |serial| {
            put(serial, 3, 0x83);
            put(serial, 0, 1);
            put(serial, 3, 0x03);
            put(serial, 2, 0x81);
            put(serial, 4, 0x1b);
            put(serial, 7, 0xa5);
            for byte in 0..20 {
                put(serial, 0, byte);
            }
            put(serial, 4, 0x0b);
            put(serial, 1, 0x0f);
        },
        |serial| {
            let mut seen: Vec<u8> = [1, 3, 4, 7, 2, 5, 2, 6, 2].map(|r| get(serial, r)).to_vec();
            seen.extend((0..17).map(|_| get(serial, 0)));
            put(serial, 3, 0x80);
            seen.extend([get(serial, 0), get(serial, 1)]);
            seen
        },
    );
}

#[test]
fn a_guest_saved_while_held_up_goes_on() {
    let (_, serial) = port();
    put(&serial, 4, 0x08);
    let _console = serial.attach(Start::Now);
    while get(&serial, LSR) & THRE != 0 {
        put(&serial, 0, 0);
    }
    put(&serial, 1, 0x02);
    let (recorder, copy) = port();
    copy.restore(serial.save()).unwrap();
    assert!(recorder.line(COM1_IRQ), "the new machine's transmitter is empty: the guest is told");
}

#[test]
fn a_console_keeps_nothing_of_the_machine() {
    let (recorder, serial) = port();
    let _console = serial.attach(Start::Now);
    drop(serial);
    assert_eq!(Arc::strong_count(&recorder), 1);
}

#[test]
fn restoring_drives_the_line() {
    let (_, serial) = port();
    put(&serial, 4, 0x08);
    put(&serial, 1, 0x02);
    let (recorder, copy) = port();
    copy.restore(serial.save()).unwrap();
    assert!(recorder.line(COM1_IRQ));
    copy.reset();
    assert!(!recorder.line(COM1_IRQ));
}

proptest! {
    #[test]
    fn no_access_panics_and_every_state_restores(
        accesses in prop::collection::vec((any::<bool>(), 0u64..9, any::<[u8; 4]>(), 1usize..5), 0..200)
    ) {
        let (_, serial) = port();
        let console = serial.attach(Start::Now);
        for (write, offset, mut data, len) in accesses {
            let _ = console.input.try_send(&data[..len - 1]);
            if write {
                serial.write(offset, &data[..len]);
            } else {
                serial.read(offset, &mut data[..len]);
            }
        }
        let state = serial.save();
        let (_, copy) = port();
        copy.restore(state.clone()).unwrap();
        prop_assert_eq!(copy.save(), state);
    }
}
