//! Power management as a guest and the machine see it.

use proptest::prelude::*;

use super::super::{ACPI_DISABLE, ACPI_ENABLE, ApmControl};
use super::*;
use crate::interrupt::Recorder;
use crate::state::conformance;

struct Rig {
    recorder: Arc<Recorder>,
    requests: Arc<Mutex<Vec<GuestRequest>>>,
    clock: VmClock,
    timers: Timers,
    power: Arc<PowerManagement>,
}

impl Rig {
    fn new() -> Self {
        let recorder = Arc::new(Recorder::default());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (timers, clock) = (Timers::new(|_| {}).unwrap(), VmClock::new());
        let sink = requests.clone();
        let power = PowerManagement::new(
            IrqLine::new(recorder.clone(), SCI_IRQ),
            &timers,
            clock.clone(),
            Arc::new(move |request| sink.lock().push(request)),
        );
        Self { recorder, requests, clock, timers, power: Arc::new(power) }
    }

    fn fresh(&self) -> PowerManagement {
        let sci = IrqLine::new(Arc::new(Recorder::default()), SCI_IRQ);
        PowerManagement::new(sci, &self.timers, self.clock.clone(), Arc::new(|_| {}))
    }

    fn sci(&self) -> bool {
        self.recorder.line(SCI_IRQ)
    }
}

fn get(power: &PowerManagement, offset: u64) -> u16 {
    let mut data = [0xff; 2];
    power.read(offset, &mut data);
    u16::from_le_bytes(data)
}

fn put(power: &PowerManagement, offset: u64, value: u16) {
    power.write(offset, &value.to_le_bytes());
}

#[test]
fn buttons_interrupt_a_guest_that_listens() {
    let rig = Rig::new();
    assert!(!rig.power.press_power_button());
    assert!(!rig.sci());
    put(&rig.power, 0, 0xffff);
    put(&rig.power, 2, 0x0320);
    put(&rig.power, 4, 0x0001);
    assert!(rig.power.press_power_button());
    assert!(rig.sci());
    assert_eq!(get(&rig.power, 0), 0x0100);
    put(&rig.power, 0, 0x0100);
    assert!(!rig.sci());
    rig.power.press_sleep_button();
    assert_eq!(get(&rig.power, 0), 0);
    assert_eq!(rig.power.save().gpe0_status, 1 << crate::acpi::SLEEP_BUTTON_GPE);
}

#[test]
fn general_purpose_events_interrupt() {
    let rig = Rig::new();
    put(&rig.power, 4, 1);
    rig.power.raise_gpe(9);
    rig.power.raise_gpe(200);
    assert!(!rig.sci());
    rig.power.write(0x29, &[0x02]);
    assert!(rig.sci());
    rig.power.write(0x21, &[0x02]);
    assert!(!rig.sci());
}

#[test]
fn sleep_types() {
    let rig = Rig::new();
    put(&rig.power, 4, u16::from(SLP_TYP_S5) << 10);
    assert!(rig.requests.lock().is_empty(), "the type alone does nothing");
    // As Linux does: the type first, then with SLP_EN.
    put(&rig.power, 4, u16::from(SLP_TYP_S5) << 10 | (1 << 13));
    assert_eq!(*rig.requests.lock(), [GuestRequest::PowerOff]);
    assert_eq!(get(&rig.power, 4), u16::from(SLP_TYP_S5) << 10);
    put(&rig.power, 4, u16::from(SLP_TYP_S3) << 10 | (1 << 13));
    assert_eq!(rig.requests.lock().len(), 1);
    assert_eq!(get(&rig.power, 0) & 0x8000, 0x8000, "woken");
}

#[test]
fn the_apm_port_switches_acpi_mode() {
    let rig = Rig::new();
    let apm = ApmControl::new(rig.power.clone());
    apm.write(0, &[ACPI_ENABLE]);
    assert_eq!(get(&rig.power, 4), 1);
    assert!(rig.power.acpi_mode());
    apm.write(0, &[ACPI_DISABLE, 0x77]);
    assert_eq!(get(&rig.power, 4), 0);
    let mut data = [0; 2];
    apm.read(0, &mut data);
    assert_eq!(data, [ACPI_DISABLE, 0x77]);
    conformance::check(
        || ApmControl::new(rig.power.clone()),
        |apm| apm.write(0, &[1, 2]),
        |apm| {
            let mut data = [0; 2];
            apm.read(0, &mut data);
            data.to_vec()
        },
    );
}

#[test]
fn the_timer_counts_24_bits_at_its_frequency() {
    let rig = Rig::new();
    rig.clock.set(Duration::from_secs(1000));
    let mut data = [0xff; 4];
    rig.power.read(8, &mut data);
    let count = u64::from(u32::from_le_bytes(data));
    let expected = (1000 * TIMER_HZ) & TIMER_MASK;
    assert!((expected..expected + TIMER_HZ).contains(&count), "{count} {expected}");
    rig.power.read(10, &mut data);
    assert_eq!(data[1], 0);
    assert_eq!(ticks(Duration::from_nanos(1_000_000_000 - 1)), TIMER_HZ - 1);
}

#[test]
fn the_timers_overflow_interrupts_when_enabled() {
    let rig = Rig::new();
    // The top bit changes every 2.3 s.
    rig.clock.set(Duration::from_millis(2300));
    put(&rig.power, 0, 1);
    put(&rig.power, 4, 1);
    put(&rig.power, 2, 1);
    let before = std::time::Instant::now();
    while !rig.sci() {
        assert!(before.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(get(&rig.power, 0), 1);
    put(&rig.power, 0, 1);
    assert!(!rig.sci());
}

#[test]
fn firmware_finds_smm_set_up() {
    let rig = Rig::new();
    assert_eq!(get(&rig.power, 0x30), 0x20);
    rig.power.write(0x30, &[0; 4]);
    assert_eq!(get(&rig.power, 0x30), 0x20);
}

#[test]
fn conforms() {
    let rig = Rig::new();
    conformance::check(
        || rig.fresh(),
        |power| {
            power.press_power_button();
            power.raise_gpe(1);
            put(power, 2, 0x0421);
            put(power, 4, 0x1403);
            put(power, 0x28, 2);
            put(power, 0x30, 0x1001);
            put(power, 0x68, 0x800);
        },
        |power| {
            (0..PM_BLOCK_LEN)
                .filter(|offset| !(8..12).contains(offset))
                .map(|offset| {
                    let mut data = [0xff];
                    power.read(offset, &mut data);
                    data[0]
                })
                .collect()
        },
    );
}

#[test]
fn impossible_states_are_refused() {
    let rig = Rig::new();
    let state = PowerState { pm1_enable: 0x8000, ..rig.power.save() };
    assert!(rig.power.restore(state).is_err());
}

proptest! {
    #[test]
    fn no_access_panics_and_every_state_restores(
        accesses in prop::collection::vec((any::<bool>(), 0u64..130, any::<[u8; 8]>(), 1usize..9), 0..100)
    ) {
        let rig = Rig::new();
        for (write, offset, mut data, len) in accesses {
            if write {
                rig.power.write(offset, &data[..len]);
            } else {
                rig.power.read(offset, &mut data[..len]);
            }
        }
        let state = rig.power.save();
        let copy = rig.fresh();
        copy.restore(state.clone()).unwrap();
        prop_assert_eq!(copy.save(), state);
    }
}
