//! The clock as a guest sees it, with the host's clocks in the tests' hands.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::interrupt::Recorder;
use crate::state::conformance;
use crate::units::Bytes;

/// 2025-11-23 18:03:30 UTC, a Sunday.
const NOON: u64 = 1_763_921_010;
const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

struct Rig {
    /// Nanoseconds on the host's clock and, less `NOON` seconds, on the machine's.
    now: Arc<AtomicU64>,
    recorder: Arc<Recorder>,
    rtc: Rtc,
    timers: Timers,
}

fn layout() -> CmosLayout {
    CmosLayout {
        ram_below_4g: Bytes::mib(512),
        ram_above_4g: Bytes(0),
        cpus: 2,
        boot_order: vec![BootDevice::Disk],
    }
}

fn rtc(now: &Arc<AtomicU64>, recorder: &Arc<Recorder>, timers: &Timers) -> Rtc {
    let (wall, uptime) = (now.clone(), now.clone());
    let clocks = Clocks {
        wall: Box::new(move || Duration::from_nanos(wall.load(Ordering::Relaxed))),
        uptime: Box::new(move || {
            Duration::from_nanos(uptime.load(Ordering::Relaxed).saturating_sub(NOON * S))
        }),
    };
    Rtc::with_clocks(IrqLine::new(recorder.clone(), RTC_IRQ), timers, clocks, layout())
}

impl Rig {
    fn new() -> Self {
        let now = Arc::new(AtomicU64::new(NOON * S));
        let recorder = Arc::new(Recorder::default());
        let timers = Timers::new(|_| {}).unwrap();
        let rtc = rtc(&now, &recorder, &timers);
        Self { now, recorder, rtc, timers }
    }

    fn pass(&self, nanos: u64) {
        self.now.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What the timer would do.
    fn fire(&self) {
        self.rtc.core.with(Chip::catch_up);
    }
}

fn get(rtc: &Rtc, index: u8) -> u8 {
    let mut data = [0xff];
    rtc.write(0, &[index]);
    rtc.read(1, &mut data);
    data[0]
}

fn put(rtc: &Rtc, index: u8, value: u8) {
    rtc.write(0, &[index]);
    rtc.write(1, &[value]);
}

fn time(rtc: &Rtc) -> [u8; 8] {
    [0x32, 9, 8, 7, 6, 4, 2, 0].map(|index| get(rtc, index))
}

#[test]
fn shows_the_hosts_time_in_the_format_asked_for() {
    let rig = Rig::new();
    assert_eq!(time(&rig.rtc), [0x20, 0x25, 0x11, 0x23, 1, 0x18, 0x03, 0x30]);
    put(&rig.rtc, 0x0b, 0x04);
    assert_eq!(time(&rig.rtc), [20, 25, 11, 23, 1, 0x86, 3, 30]);
    rig.pass(6 * 3600 * S);
    put(&rig.rtc, 0x0b, 0x02);
    assert_eq!(time(&rig.rtc), [0x20, 0x25, 0x11, 0x24, 2, 0x00, 0x03, 0x30]);
    assert_eq!(get(&rig.rtc, 0x0d), 0x80);
}

#[test]
fn can_be_set_and_keeps_the_offset_over_a_reset() {
    let rig = Rig::new();
    rig.pass(300 * MS);
    put(&rig.rtc, 0x0b, 0x82);
    rig.pass(5 * S);
    assert_eq!(get(&rig.rtc, 0), 0x30, "stands still while it is set");
    for (index, value) in [(0x32, 0x19), (9, 0x99), (8, 0x12), (7, 0x31), (4, 0x23), (2, 0x59)] {
        put(&rig.rtc, index, value);
    }
    put(&rig.rtc, 0, 0x59);
    put(&rig.rtc, 0x0b, 0x02);
    assert_eq!(time(&rig.rtc), [0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59]);
    rig.pass(600 * MS);
    assert_eq!(get(&rig.rtc, 0), 0x59, "the second goes on where it was");
    rig.pass(100 * MS);
    assert_eq!(time(&rig.rtc), [0x20, 0, 1, 1, 7, 0, 0, 0]);
    rig.rtc.reset();
    assert_eq!(time(&rig.rtc), [0x20, 0, 1, 1, 7, 0, 0, 0]);
    let copy = rtc(&rig.now, &rig.recorder, &rig.timers);
    copy.restore(rig.rtc.save()).unwrap();
    assert_eq!(time(&copy), [0x20, 0, 1, 1, 7, 0, 0, 0]);
    copy.set_time_offset_seconds(0);
    assert_eq!(get(&copy, 9), 0x25);
    copy.set_time_offset_seconds(-7200);
    assert_eq!(copy.time_offset_seconds(), -7200);
    copy.set_time_offset_seconds(i64::MIN);
    time(&copy);
}

#[test]
fn starts_half_a_second_after_its_divider() {
    let rig = Rig::new();
    put(&rig.rtc, 0x0a, 0x76);
    put(&rig.rtc, 0, 0x10);
    rig.pass(3 * S);
    assert_eq!(get(&rig.rtc, 0), 0x10);
    put(&rig.rtc, 0x0a, 0x26);
    rig.pass(499 * MS);
    assert_eq!(get(&rig.rtc, 0), 0x10);
    rig.pass(MS);
    assert_eq!(get(&rig.rtc, 0), 0x11);
}

#[test]
fn one_field_can_be_written_while_running() {
    let rig = Rig::new();
    put(&rig.rtc, 2, 0x45);
    assert_eq!(time(&rig.rtc), [0x20, 0x25, 0x11, 0x23, 1, 0x18, 0x45, 0x30]);
}

#[test]
fn announces_updates() {
    let rig = Rig::new();
    assert_eq!(get(&rig.rtc, 0x0a), 0x26);
    rig.pass(998 * MS);
    assert_eq!(get(&rig.rtc, 0x0a), 0xa6);
    assert_eq!(get(&rig.rtc, 0), 0x30);
    rig.pass(2 * MS);
    assert_eq!(get(&rig.rtc, 0x0a), 0x26);
    assert_eq!(get(&rig.rtc, 0), 0x31);
    rig.pass(999 * MS);
    put(&rig.rtc, 0x0b, 0x82);
    assert_eq!(get(&rig.rtc, 0x0a), 0x26, "no update while the clock is set");
}

#[test]
fn flags_can_be_polled_without_interrupts() {
    let rig = Rig::new();
    assert_eq!(get(&rig.rtc, 0x0c), 0);
    rig.pass(2 * MS);
    assert_eq!(get(&rig.rtc, 0x0c), 0x40);
    assert_eq!(get(&rig.rtc, 0x0c), 0);
    rig.pass(S);
    assert_eq!(get(&rig.rtc, 0x0c), 0x50);
    assert_eq!(rig.recorder.edge_count(RTC_IRQ), 0);
}

#[test]
fn a_slow_guest_loses_ticks() {
    let rig = Rig::new();
    let next = || {
        let now = rig.rtc.core.clocks.now();
        rig.rtc.core.inner.lock().chip.next_event(now)
    };
    assert_eq!(next(), None);
    put(&rig.rtc, 0x0a, 0x26);
    put(&rig.rtc, 0x0b, 0x42);
    assert_eq!(next(), Some(Duration::from_nanos(976_563)));
    rig.pass(10 * S);
    rig.fire();
    assert!(rig.recorder.line(RTC_IRQ));
    assert_eq!(next(), None, "not before the last is acknowledged");
    assert_eq!(get(&rig.rtc, 0x0c), 0xd0);
    assert!(!rig.recorder.line(RTC_IRQ));
    assert_eq!(rig.recorder.edge_count(RTC_IRQ), 1);
    assert!(next().is_some_and(|delay| delay <= Duration::from_nanos(976_563)));
}

#[test]
fn the_alarm_goes_off() {
    let rig = Rig::new();
    // Any hour, 04:10.
    for (index, value) in [(5, 0xc0), (3, 0x04), (1, 0x10), (0x0b, 0x22)] {
        put(&rig.rtc, index, value);
    }
    rig.pass(39 * S);
    rig.fire();
    assert!(!rig.recorder.line(RTC_IRQ));
    rig.pass(S);
    rig.fire();
    assert!(rig.recorder.line(RTC_IRQ));
    assert_eq!(get(&rig.rtc, 0x0c), 0xf0);
    rig.pass(3599 * S);
    rig.fire();
    assert!(!rig.recorder.line(RTC_IRQ));
    rig.pass(S);
    rig.fire();
    assert!(rig.recorder.line(RTC_IRQ), "an hour later again");
    get(&rig.rtc, 0x0c);
    put(&rig.rtc, 5, 0x25);
    rig.pass(100_000 * S);
    assert_eq!(get(&rig.rtc, 0x0c), 0x50, "there is no hour 25");
}

#[test]
fn a_host_clock_that_is_set_back_does_no_harm() {
    let rig = Rig::new();
    put(&rig.rtc, 0x0b, 0x12);
    rig.now.fetch_sub(1000 * S, Ordering::Relaxed);
    rig.fire();
    assert!(!rig.recorder.line(RTC_IRQ));
    rig.pass(S);
    rig.fire();
    assert!(rig.recorder.line(RTC_IRQ));
}

#[test]
fn interrupts_come_from_the_real_timer() {
    let timers = Timers::new(|_| {}).unwrap();
    let recorder = Arc::new(Recorder::default());
    let irq = IrqLine::new(recorder.clone(), RTC_IRQ);
    let rtc = Rtc::new(irq, &timers, VmClock::new(), layout());
    put(&rtc, 0x0b, 0x42);
    for _ in 0..5 {
        let before = std::time::Instant::now();
        while !recorder.line(RTC_IRQ) {
            assert!(before.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(get(&rtc, 0x0c) & 0xc0, 0xc0);
    }
}

#[test]
fn conforms() {
    let rig = Rig::new();
    conformance::check(
        || rtc(&rig.now, &rig.recorder, &rig.timers),
        |rtc| {
            put(rtc, 0x0b, 0x7a);
            rig.pass(1500 * MS);
            rtc.core.with(Chip::catch_up);
            rtc.write(0, &[0x0f]);
        },
        |rtc| {
            let mut byte = [0];
            rtc.read(1, &mut byte);
            let mut seen = byte.to_vec();
            seen.extend(time(rtc));
            seen.extend((0..128).map(|index| get(rtc, index)));
            seen
        },
    );
}

#[test]
fn memory_outlasts_a_reset_but_what_firmware_is_told_is_put_right() {
    let rig = Rig::new();
    put(&rig.rtc, 0x40, 0x5a);
    put(&rig.rtc, 0x5f, 0x7f);
    rig.rtc.reset();
    assert_eq!(get(&rig.rtc, 0x40), 0x5a);
    assert_eq!(get(&rig.rtc, 0x5f), 1);
}

#[test]
fn impossible_states_are_refused() {
    let rig = Rig::new();
    let mut state = serde_json::to_value(rig.rtc.save()).unwrap();
    state["cmos"] = serde_json::json!([1, 2]);
    assert!(rig.rtc.restore(serde_json::from_value(state.clone()).unwrap()).is_err());
    let mut state = serde_json::to_value(rig.rtc.save()).unwrap();
    state["index"] = serde_json::json!(128);
    assert!(rig.rtc.restore(serde_json::from_value(state).unwrap()).is_err());
    let mut state = serde_json::to_value(rig.rtc.save()).unwrap();
    state["offset_seconds"] = serde_json::json!(i64::MIN);
    assert!(rig.rtc.restore(serde_json::from_value(state).unwrap()).is_err());
}

proptest! {
    #[test]
    fn no_access_panics_and_every_state_restores(
        accesses in prop::collection::vec((any::<bool>(), any::<u8>(), any::<u8>(), 0u64..100_000 * S), 0..100),
        offset in -900_000_000_000i64..900_000_000_000,
    ) {
        let rig = Rig::new();
        let mut state = serde_json::to_value(rig.rtc.save()).unwrap();
        state["offset_seconds"] = serde_json::json!(offset);
        rig.rtc.restore(serde_json::from_value(state).unwrap()).unwrap();
        for (write, index, value, pass) in accesses {
            // Half of them on the clock's own registers.
            let index = if value & 1 == 0 { index } else { index % 14 };
            rig.pass(pass % (u64::MAX / 400));
            if write {
                put(&rig.rtc, index, value);
            } else {
                get(&rig.rtc, index);
            }
        }
        let state = rig.rtc.save();
        let copy = rtc(&rig.now, &rig.recorder, &rig.timers);
        copy.restore(state.clone()).unwrap();
        prop_assert_eq!(copy.save(), state);
    }
}
