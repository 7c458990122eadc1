//! ACPI power management: the ICH9's register block at PMBASE (datasheet §13.8.3) and the system
//! control interrupt.
//!
//! Registers are decoded a byte at a time, so that accesses of any width and alignment mean what
//! they mean on the chip. The timer's register is answered without a lock: firmware waits by
//! reading it, millions of times.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bitflags::bitflags;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::tco::Tco;
use crate::bus::BusDevice;
use crate::clock::VmClock;
use crate::interrupt::IrqLine;
use crate::request::{GuestRequest, RequestSink};
use crate::state::{Persist, Reset, RestoreError};
use crate::timer::{Timer, Timers};

/// Length of the block in ports.
pub const PM_BLOCK_LEN: u64 = 128;
/// Offset of the PM1 event block: status, then enable.
pub const PM1_EVENT: u64 = 0x00;
/// Length of the PM1 event block.
pub const PM1_EVENT_LEN: u8 = 4;
/// Offset of the PM1 control block.
pub const PM1_CONTROL: u64 = 0x04;
/// Offset of the power management timer, which counts 24 bits.
pub const PM_TIMER: u64 = 0x08;
/// Offset of general purpose event block 0: status, then enable, half of it each.
pub const GPE0_BLOCK: u64 = 0x20;
/// Length of general purpose event block 0.
pub const GPE0_LEN: u8 = 16;
/// The system control interrupt: level-triggered, active high.
pub const SCI_IRQ: u32 = 9;

/// `SLP_TYP` that suspends to RAM. The machine cannot: it wakes at once.
pub const SLP_TYP_S3: u8 = 5;
/// `SLP_TYP` that suspends to disk: the machine turns off.
pub const SLP_TYP_S4: u8 = 6;
/// `SLP_TYP` that turns the machine off; what `\_S5` in the DSDT is to say.
pub const SLP_TYP_S5: u8 = 7;

const SMI_EN: usize = 0x30;
const SMI_STS: usize = 0x34;
const TCO: usize = 0x60;
/// SMI_EN: writes to the APM port raise SMIs. Firmware takes it as "SMM is set up", and must not
/// try to: there is none.
const APMC_EN: u32 = 1 << 5;

/// The power management timer's frequency (ACPI 6.5 §4.8.2.1).
const TIMER_HZ: u64 = 3_579_545;
/// The timer's status is set when its top bit changes.
const TIMER_TOP_BIT: u32 = 23;
const TIMER_MASK: u64 = (1 << (TIMER_TOP_BIT + 1)) - 1;

bitflags! {
    /// PM1_STS and PM1_EN (ACPI 6.5 §4.8.3.1).
    #[derive(Clone, Copy)]
    struct Pm1: u16 {
        const TIMER = 1 << 0;
        const GLOBAL = 1 << 5;
        const POWER_BUTTON = 1 << 8;
        const SLEEP_BUTTON = 1 << 9;
        const RTC = 1 << 10;
        /// Status only.
        const WAKE = 1 << 15;
    }
}

/// Those that interrupt when they are enabled.
const EVENTS: u16 = Pm1::all().difference(Pm1::WAKE).bits();

/// PM1_CNT, low byte: power management events interrupt as SCI (rather than SMI).
const SCI_EN: u8 = 0x01;
/// PM1_CNT, low byte: bus master requests wake from C3. Held, without effect.
const BM_RLD: u8 = 0x02;
/// PM1_CNT, high byte: SLP_TYP, and the bit that acts on it and reads as 0.
const SLP_TYP_SHIFT: u32 = 2;
const SLP_TYP_MASK: u8 = 7 << SLP_TYP_SHIFT;
const SLP_EN: u8 = 0x20;

/// What a saved power management block remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerState {
    pm1_status: u16,
    pm1_enable: u16,
    pm1_control: [u8; 2],
    gpe0_status: u64,
    gpe0_enable: u64,
    smi_enable: u32,
    tco: Tco,
    /// How often the timer's top bit had changed when its status was last worked out.
    seen_overflows: u64,
}

impl Default for PowerState {
    fn default() -> Self {
        Self {
            pm1_status: 0,
            pm1_enable: 0,
            pm1_control: [0; 2],
            gpe0_status: 0,
            gpe0_enable: 0,
            smi_enable: APMC_EN,
            tco: Tco::default(),
            seen_overflows: 0,
        }
    }
}

impl PowerState {
    fn acpi_mode(&self) -> bool {
        self.pm1_control[0] & SCI_EN != 0
    }

    fn sci(&self) -> bool {
        let pm1 = self.pm1_status & self.pm1_enable & EVENTS;
        let gpe0 = self.gpe0_status & self.gpe0_enable;
        self.acpi_mode() && (pm1 != 0 || gpe0 != 0)
    }

    fn catch_up(&mut self, ticks: u64) {
        let overflows = ticks >> TIMER_TOP_BIT;
        if overflows != self.seen_overflows {
            self.seen_overflows = overflows;
            self.pm1_status |= Pm1::TIMER.bits();
        }
    }

    /// How many ticks until the timer interrupts, when the guest wants it to.
    fn next_overflow(&self, ticks: u64) -> Option<u64> {
        let wanted = self.pm1_enable & !self.pm1_status & Pm1::TIMER.bits() != 0;
        wanted.then(|| (1 << TIMER_TOP_BIT) - ticks % (1 << TIMER_TOP_BIT))
    }

    fn read(&self, offset: usize) -> u8 {
        let byte = |value: u64, first: usize| (value >> (8 * (offset - first))) as u8;
        match offset {
            0x00..=0x01 => byte(self.pm1_status.into(), 0x00),
            0x02..=0x03 => byte(self.pm1_enable.into(), 0x02),
            0x04..=0x05 => self.pm1_control[offset - 0x04],
            0x20..=0x27 => byte(self.gpe0_status, 0x20),
            0x28..=0x2f => byte(self.gpe0_enable, 0x28),
            SMI_EN..=0x33 => byte(self.smi_enable.into(), SMI_EN),
            // No SMI ever came.
            SMI_STS..=0x37 => 0,
            TCO..=0x7f => self.tco.read(offset - TCO),
            _ => 0,
        }
    }

    /// Gives the sleep type when the guest goes to sleep.
    fn write(&mut self, offset: usize, value: u8) -> Option<u8> {
        let at = |first: usize| u64::from(value) << (8 * (offset - first));
        let mask = |first: usize| 0xff_u64 << (8 * (offset - first));
        let replace = |old: u64, first: usize| old & !mask(first) | at(first);
        match offset {
            0x00..=0x01 => self.pm1_status &= !(at(0x00) as u16),
            0x02..=0x03 => {
                self.pm1_enable = replace(self.pm1_enable.into(), 0x02) as u16 & EVENTS;
            }
            0x04 => self.pm1_control[0] = value & (SCI_EN | BM_RLD),
            0x05 => {
                self.pm1_control[1] = value & SLP_TYP_MASK;
                if value & SLP_EN != 0 {
                    return Some((value & SLP_TYP_MASK) >> SLP_TYP_SHIFT);
                }
            }
            0x20..=0x27 => self.gpe0_status &= !at(0x20),
            0x28..=0x2f => self.gpe0_enable = replace(self.gpe0_enable, 0x28),
            SMI_EN..=0x33 => {
                self.smi_enable = replace(self.smi_enable.into(), SMI_EN) as u32 | APMC_EN;
            }
            TCO..=0x7f => self.tco.write(offset - TCO, value),
            _ => {}
        }
        None
    }
}

struct Inner {
    registers: PowerState,
    sci: IrqLine,
    level: bool,
}

struct Core {
    inner: Mutex<Inner>,
    clock: VmClock,
    timer: OnceLock<Timer>,
}

/// The timer's count since power-on, before it is cut to 24 bits.
fn ticks(now: Duration) -> u64 {
    // At most some 4e9 * 1e9 in the second term; the first wraps after 160,000 years.
    now.as_secs().wrapping_mul(TIMER_HZ) + u64::from(now.subsec_nanos()) * TIMER_HZ / 1_000_000_000
}

impl Core {
    /// Brings the timer's status up to date, runs `action`, and lets its consequences reach the
    /// interrupt line and the timer.
    fn with<T>(&self, action: impl FnOnce(&mut PowerState) -> T) -> T {
        let mut inner = self.inner.lock();
        let ticks = ticks(self.clock.now());
        inner.registers.catch_up(ticks);
        let result = action(&mut inner.registers);
        let level = inner.registers.sci();
        if level != inner.level {
            inner.level = level;
            inner.sci.set(level);
        }
        if let Some(timer) = self.timer.get() {
            match inner.registers.next_overflow(ticks) {
                // Rounded up: not a tick too early.
                Some(ticks) => {
                    timer.arm(Duration::from_nanos((ticks + 1) * 1_000_000_000 / TIMER_HZ));
                }
                None => timer.disarm(),
            }
        }
        result
    }
}

/// The power management block, to be put on the port bus where PMBASE says.
pub struct PowerManagement {
    core: Arc<Core>,
    requests: RequestSink,
}

impl PowerManagement {
    /// A block that interrupts on `sci`, counts by `clock`, and asks to be turned off through
    /// `requests`.
    pub fn new(sci: IrqLine, timers: &Timers, clock: VmClock, requests: RequestSink) -> Self {
        let seen_overflows = ticks(clock.now()) >> TIMER_TOP_BIT;
        let registers = PowerState { seen_overflows, ..PowerState::default() };
        let inner = Mutex::new(Inner { registers, sci, level: false });
        let core = Arc::new(Core { inner, clock, timer: OnceLock::new() });
        let weak = Arc::downgrade(&core);
        core.timer.get_or_init(|| {
            timers.timer(move || {
                if let Some(core) = weak.upgrade() {
                    core.with(|_| ());
                }
            })
        });
        Self { core, requests }
    }

    /// Presses the power button. Says whether the guest is set to hear of it; firmware and boot
    /// loaders are not.
    pub fn press_power_button(&self) -> bool {
        self.press(Pm1::POWER_BUTTON)
    }

    /// Presses the sleep button, which ICH9 has none of in PM1: it is a device of the DSDT that
    /// raises a general-purpose event.
    pub fn press_sleep_button(&self) {
        self.raise_gpe(crate::acpi::SLEEP_BUTTON_GPE);
    }

    fn press(&self, button: Pm1) -> bool {
        self.core.with(|registers| {
            registers.pm1_status |= button.bits();
            registers.acpi_mode() && registers.pm1_enable & button.bits() != 0
        })
    }

    /// Raises general purpose event `event` (0 to 63).
    pub fn raise_gpe(&self, event: u8) {
        self.core.with(|registers| {
            registers.gpe0_status |= 1_u64.checked_shl(event.into()).unwrap_or(0);
        });
    }

    /// Whether the operating system has switched to ACPI mode.
    pub fn acpi_mode(&self) -> bool {
        self.core.inner.lock().registers.acpi_mode()
    }

    /// Switches ACPI mode, as firmware's SMI handler does on a PC.
    pub(super) fn set_acpi_mode(&self, on: bool) {
        self.core.with(|registers| {
            registers.pm1_control[0] &= !SCI_EN;
            if on {
                registers.pm1_control[0] |= SCI_EN;
            }
        });
    }

    fn sleep(&self, sleep_type: u8) {
        match sleep_type {
            SLP_TYP_S4 | SLP_TYP_S5 => (self.requests)(GuestRequest::PowerOff),
            0 => {}
            // Sleep that ends at once.
            _ => self.core.with(|registers| registers.pm1_status |= Pm1::WAKE.bits()),
        }
    }
}

impl BusDevice for PowerManagement {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if (PM_TIMER..PM_TIMER + 4).contains(&offset) {
            let count = (ticks(self.core.clock.now()) & TIMER_MASK).to_le_bytes();
            let skip = (offset - PM_TIMER) as usize;
            for (byte, count) in data.iter_mut().zip(&count[skip..]) {
                *byte = *count;
            }
            return;
        }
        self.core.with(|registers| {
            for (offset, byte) in (offset..PM_BLOCK_LEN).zip(data) {
                *byte = registers.read(offset as usize);
            }
        });
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let sleep_type = self.core.with(|registers| {
            let mut sleep_type = None;
            for (offset, byte) in (offset..PM_BLOCK_LEN).zip(data) {
                sleep_type = registers.write(offset as usize, *byte).or(sleep_type);
            }
            sleep_type
        });
        if let Some(sleep_type) = sleep_type {
            self.sleep(sleep_type);
        }
    }
}

impl Persist for PowerManagement {
    type State = PowerState;

    fn save(&self) -> PowerState {
        self.core.with(|registers| registers.clone())
    }

    fn restore(&self, state: PowerState) -> Result<(), RestoreError> {
        let known = state.pm1_status & !Pm1::all().bits() == 0
            && state.pm1_enable & !EVENTS == 0
            && state.pm1_control[0] & !(SCI_EN | BM_RLD) == 0
            && state.pm1_control[1] & !SLP_TYP_MASK == 0
            && state.smi_enable & APMC_EN != 0;
        if !known {
            let reason = "a register has bits that do not exist".into();
            return Err(RestoreError { device: "power management block", reason });
        }
        self.core.with(|registers| *registers = state);
        Ok(())
    }
}

impl Reset for PowerManagement {
    fn reset(&self) {
        self.core.with(|registers| {
            let seen_overflows = registers.seen_overflows;
            *registers = PowerState { seen_overflows, ..PowerState::default() };
        });
    }
}

#[cfg(test)]
mod tests;
