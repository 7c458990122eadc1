//! Controller, keyboard and mouse as a guest and a front end see them together.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::interrupt::Recorder;
use crate::state::conformance;

struct Rig {
    recorder: Arc<Recorder>,
    requests: Arc<Mutex<Vec<GuestRequest>>>,
    timers: Timers,
    device: I8042,
}

fn device(
    recorder: &Arc<Recorder>,
    timers: &Timers,
    requests: &Arc<Mutex<Vec<GuestRequest>>>,
) -> I8042 {
    let line = |gsi| IrqLine::new(recorder.clone(), gsi);
    let requests = requests.clone();
    let sink: RequestSink = Arc::new(move |request| requests.lock().push(request));
    I8042::new(line(KEYBOARD_IRQ), line(MOUSE_IRQ), timers, sink)
}

impl Rig {
    fn new() -> Self {
        let recorder = Arc::new(Recorder::default());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let timers = Timers::new(|_| {}).unwrap();
        let device = device(&recorder, &timers, &requests);
        Self { recorder, requests, timers, device }
    }

    fn fresh(&self) -> I8042 {
        device(&self.recorder, &self.timers, &self.requests)
    }

    fn irq(&self) -> (bool, bool) {
        (self.recorder.line(KEYBOARD_IRQ), self.recorder.line(MOUSE_IRQ))
    }
}

fn get(port: &Arc<dyn BusDevice>) -> u8 {
    let mut data = [0xff];
    port.read(0, &mut data);
    data[0]
}

fn command(device: &I8042, value: u8) {
    device.command_port().write(0, &[value]);
}

fn data(device: &I8042, value: u8) {
    device.data_port().write(0, &[value]);
}

fn status(device: &I8042) -> u8 {
    get(&device.command_port())
}

/// Reads bytes as long as there are any.
fn drain(device: &I8042) -> Vec<u8> {
    std::iter::from_fn(|| (status(device) & 1 != 0).then(|| get(&device.data_port()))).collect()
}

fn mouse(device: &I8042, bytes: &[u8]) {
    for byte in bytes {
        command(device, 0xd4);
        data(device, *byte);
        drain(device);
    }
}

#[test]
fn answers_what_firmware_asks() {
    let rig = Rig::new();
    let device = &rig.device;
    assert_eq!(status(device), 0x10);
    command(device, 0xaa);
    assert_eq!(status(device), 0x1d);
    assert_eq!(drain(device), [0x55]);
    for (value, answer) in
        [(0xab, &[0x00][..]), (0xa9, &[0x00]), (0xc0, &[0xa0]), (0xd0, &[0xc3]), (0xa4, &[0xf1])]
    {
        command(device, value);
        assert_eq!(drain(device), answer, "{value:x}");
    }
    command(device, 0x60);
    data(device, 0xf7);
    command(device, 0x20);
    assert_eq!(drain(device), [0x77]);
    command(device, 0x65);
    data(device, 0x99);
    command(device, 0x25);
    assert_eq!(drain(device), [0x99]);
    command(device, 0xac);
    assert_eq!(drain(device)[..6], [0x77, 0, 0, 0, 0, 0x99]);
    // The keyboard's answers, translated: AB 83 becomes AB 41.
    data(device, 0xf2);
    assert_eq!(drain(device), [0xfa, 0xab, 0x41]);
    data(device, 0xff);
    assert_eq!(drain(device), [0xfa, 0xaa]);
    command(device, 0xd2);
    data(device, 0x1c);
    assert_eq!(drain(device), [0x1c], "not translated");
    assert_eq!(get(&device.data_port()), 0x1c, "the last byte stays readable");
}

#[test]
fn keys_interrupt_once_each() {
    let rig = Rig::new();
    let device = &rig.device;
    command(device, 0x60);
    data(device, 0x41);
    device.press(KeyCode::A);
    device.release(KeyCode::A);
    assert_eq!(rig.irq(), (true, false));
    assert_eq!(rig.recorder.edge_count(KEYBOARD_IRQ), 1);
    assert_eq!(get(&device.data_port()), 0x1e);
    assert_eq!(rig.recorder.edge_count(KEYBOARD_IRQ), 2);
    assert_eq!(get(&device.data_port()), 0x9e);
    assert_eq!(rig.irq(), (false, false));
    // Switched off, the keyboard waits with what it has to say.
    command(device, 0xad);
    device.press(KeyCode::UP);
    assert_eq!(status(device) & 1, 0);
    command(device, 0xae);
    assert_eq!(drain(device), [0xe0, 0x48]);
}

#[test]
fn the_mouse_has_its_own_interrupt() {
    let rig = Rig::new();
    let device = &rig.device;
    command(device, 0x60);
    data(device, 0x43);
    command(device, 0xa8);
    command(device, 0xd4);
    data(device, 0xf4);
    assert_eq!(rig.irq(), (false, true));
    assert_eq!(status(device) & 0x21, 0x21);
    assert_eq!(drain(device), [0xfa]);
    device.pointer(1, 2, 0, Buttons::LEFT);
    assert_eq!(drain(device), [0x29, 1, 0xfe]);
    mouse(device, &[0xf3, 200, 0xf3, 100, 0xf3, 80]);
    device.pointer(0, 0, 1, Buttons::LEFT);
    assert_eq!(drain(device), [0x09, 0, 0, 0xff]);
    command(device, 0xa7);
    device.pointer(0, 0, 0, Buttons::empty());
    assert!(drain(device).is_empty());
    command(device, 0xa8);
    assert_eq!(drain(device), [0x08, 0, 0, 0]);
    command(device, 0xd3);
    data(device, 0x42);
    assert_eq!(status(device) & 0x21, 0x21);
}

#[test]
fn resets_and_address_line_20() {
    let rig = Rig::new();
    let port = rig.device.system_control_port();
    assert_eq!(get(&port), 0x02);
    port.write(0, &[0xc0]);
    assert_eq!(get(&port), 0xc0);
    command(&rig.device, 0xd0);
    assert_eq!(drain(&rig.device), [0xc1]);
    command(&rig.device, 0xd1);
    data(&rig.device, 0x03);
    assert_eq!(get(&port), 0xc2);
    command(&rig.device, 0xff);
    assert!(rig.requests.lock().is_empty());
    command(&rig.device, 0xfe);
    port.write(0, &[0x03]);
    command(&rig.device, 0xd1);
    data(&rig.device, 0x02);
    assert_eq!(*rig.requests.lock(), [GuestRequest::Reset; 3]);
}

#[test]
fn a_held_key_repeats_by_the_timer() {
    let rig = Rig::new();
    let device = &rig.device;
    for byte in [0xf3, 0x00] {
        data(device, byte);
        drain(device);
    }
    device.press(KeyCode::A);
    let before = Instant::now();
    let mut seen = 0;
    while seen < 4 {
        seen += drain(device).iter().filter(|byte| **byte == 0x1e).count();
        assert!(before.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(before.elapsed() >= Duration::from_millis(250 + 2 * 33));
    device.release(KeyCode::A);
    drain(device);
    std::thread::sleep(Duration::from_millis(100));
    assert!(drain(device).is_empty());
}

#[test]
fn front_ends_hear_of_lamps_and_of_room() {
    let rig = Rig::new();
    let device = &rig.device;
    let (leds, idle) = (device.watch_leds(), device.watch_idle());
    assert!(device.is_idle());
    device.press(KeyCode::A);
    device.release(KeyCode::A);
    assert!(!device.is_idle());
    assert!(idle.try_recv().is_err());
    drain(device);
    assert!(device.is_idle());
    idle.try_recv().unwrap();
    for byte in [0xed, 0x01, 0xed, 0x06] {
        data(device, byte);
    }
    assert_eq!(leds.try_recv(), Ok(Leds::NUM_LOCK | Leds::CAPS_LOCK));
    assert_eq!(device.leds(), Leds::NUM_LOCK | Leds::CAPS_LOCK);
    drop((leds, idle));
    device.reset();
    assert_eq!(device.leds(), Leds::empty());
    assert!(device.core.inner.lock().led_watchers.is_empty());
}

#[test]
fn conforms() {
    let rig = Rig::new();
    conformance::check(
        || rig.fresh(),
        |device| {
            command(device, 0xaa);
            drain(device);
            command(device, 0x60);
            data(device, 0x03);
            command(device, 0x6a);
            data(device, 0x5a);
            for byte in [0xed, 0x02, 0xf0, 0x01, 0xf3, 0x11] {
                data(device, byte);
                drain(device);
            }
            mouse(device, &[0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf4, 0xe8, 1]);
            device.system_control_port().write(0, &[0x40]);
            device.press(KeyCode::LEFT_ALT);
            device.press(KeyCode::SYSRQ);
            for number in 2..20 {
                device.press(KeyCode(number));
                device.release(KeyCode(number));
            }
            device.pointer(1000, -1000, 20, Buttons::EXTRA);
            device.pointer(1, 1, 1, Buttons::LEFT);
            command(device, 0xd1);
        },
        |device| {
            let mut seen = vec![status(device), get(&device.system_control_port())];
            data(device, 0x01);
            device.release(KeyCode::SYSRQ);
            seen.extend(drain(device));
            seen.push(device.leds().bits());
            command(device, 0xac);
            seen.extend(drain(device));
            for byte in [0xf2, 0xe9] {
                command(device, 0xd4);
                data(device, byte);
                seen.extend(drain(device));
            }
            for byte in [0xf0, 0x00, 0xfe] {
                data(device, byte);
                seen.extend(drain(device));
            }
            seen
        },
    );
}

#[test]
fn impossible_states_are_refused() {
    let rig = Rig::new();
    let good = serde_json::to_value(rig.device.save()).unwrap();
    for (path, value) in [
        ("/ram/0", serde_json::json!(0x80)),
        ("/port_a", serde_json::json!(1)),
        ("/keyboard/set", serde_json::json!(3)),
        ("/keyboard/queue", serde_json::json!(vec![0; 17])),
        ("/keyboard/held", serde_json::json!([60_000])),
        ("/mouse/id", serde_json::json!(9)),
        ("/mouse/replies", serde_json::json!(vec![0; 100])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert!(rig.device.restore(serde_json::from_value(bad).unwrap()).is_err(), "{path}");
    }
    rig.device.restore(serde_json::from_value(good).unwrap()).unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    Read,
    Data(u8),
    Command(u8),
    Port92(u8),
    Press(u16),
    Release(u16),
    Pointer(i32, i32, i32, u8),
    Repeat,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Read),
        4 => any::<u8>().prop_map(Step::Data),
        2 => any::<u8>().prop_map(Step::Command),
        2 => Just(Step::Command(0xd4)),
        1 => any::<u8>().prop_map(Step::Port92),
        2 => (0u16..250).prop_map(Step::Press),
        2 => (0u16..250).prop_map(Step::Release),
        2 => any::<(i32, i32, i32, u8)>().prop_map(|(x, y, z, b)| Step::Pointer(x, y, z, b)),
        1 => Just(Step::Repeat),
    ]
}

proptest! {
    #[test]
    fn nothing_panics_and_every_state_restores(steps in prop::collection::vec(step(), 0..300)) {
        let rig = Rig::new();
        let device = &rig.device;
        for step in steps {
            match step {
                Step::Read => drop(get(&device.data_port())),
                Step::Data(value) => data(device, value),
                Step::Command(value) => command(device, value),
                Step::Port92(value) => device.system_control_port().write(0, &[value]),
                Step::Press(key) => drop(device.press(KeyCode(key))),
                Step::Release(key) => device.release(KeyCode(key)),
                Step::Pointer(x, y, z, buttons) => {
                    device.pointer(x, y, z, Buttons::from_bits_truncate(buttons));
                }
                Step::Repeat => device.core.with(|controller| controller.keyboard.repeat()),
            }
        }
        let state = device.save();
        let copy = rig.fresh();
        copy.restore(state.clone()).unwrap();
        prop_assert_eq!(copy.save(), state);
    }
}
