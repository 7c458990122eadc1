//! The registers of an MC146818, apart from clocks, timers and the interrupt line.
//!
//! Time is an offset to the host's clock while the chip runs, and lies in the registers while it
//! stands still. Nothing ticks: what has happened since is worked out when the guest looks.
//! Section names below are those of Motorola's datasheet.

use std::time::Duration;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::calendar::{DAY, Format, HOUR, MINUTE, Registers};
use super::layout::CmosLayout;

/// Bytes of battery-backed memory, the clock's registers included.
pub(super) const CMOS_BYTES: usize = 128;

/// Registers by index ("Address Map").
mod reg {
    pub(super) const SECOND: usize = 0x00;
    pub(super) const SECOND_ALARM: usize = 0x01;
    pub(super) const MINUTE: usize = 0x02;
    pub(super) const MINUTE_ALARM: usize = 0x03;
    pub(super) const HOUR: usize = 0x04;
    pub(super) const HOUR_ALARM: usize = 0x05;
    pub(super) const WEEKDAY: usize = 0x06;
    pub(super) const DAY: usize = 0x07;
    pub(super) const MONTH: usize = 0x08;
    pub(super) const YEAR: usize = 0x09;
    pub(super) const A: usize = 0x0a;
    pub(super) const B: usize = 0x0b;
    pub(super) const C: usize = 0x0c;
    pub(super) const D: usize = 0x0d;
    /// Where PCs keep the century, as the FADT says.
    pub(super) const CENTURY: usize = 0x32;
    /// Those that a running clock shows the time in.
    pub(super) const TIME: [usize; 8] = [SECOND, MINUTE, HOUR, WEEKDAY, DAY, MONTH, YEAR, CENTURY];
}

/// Register A: update in progress.
const UIP: u8 = 0x80;
/// Register A: the divider chain; both upper bits set hold it in reset.
const DIVIDER_RESET: u8 = 0x60;
/// Register A: rate of the periodic interrupt.
const RATE: u8 = 0x0f;
/// Register A after power-on, as firmware sets it: a 32 kHz crystal, 1024 Hz.
const DEFAULT_A: u8 = 0x26;
/// Register D: the battery is good.
const VALID_RAM_AND_TIME: u8 = 0x80;

/// An update takes 1984 µs and is announced 244 µs before ("Update Cycle").
const UPDATE_NANOS: i128 = (1984 + 244) * 1000;
const SECOND_NANOS: i128 = 1_000_000_000;
/// Ticks a second of the crystal that the periodic interrupt divides.
const CRYSTAL_HZ: u128 = 32_768;
/// Registers hold years up to 25755, by which the guest's clock can be off.
const MAX_OFFSET_SECONDS: u64 = 30_000 * 366 * 86_400;
/// Upper bits of an alarm register that matches any time ("Alarm Registers").
const ANY: u8 = 0xc0;

bitflags! {
    /// Register B.
    #[derive(Clone, Copy)]
    struct B: u8 {
        /// The clock is being set and stands still.
        const SET = 0x80;
        const PERIODIC = 0x40;
        const ALARM = 0x20;
        const UPDATE = 0x10;
        const SQUARE_WAVE = 0x08;
        const BINARY = 0x04;
        const HOURS_24 = 0x02;
    }

    /// Register C; the flags lie where register B enables them.
    #[derive(Clone, Copy)]
    struct C: u8 {
        const INTERRUPT = 0x80;
        const PERIODIC = 0x40;
        const ALARM = 0x20;
        const UPDATE = 0x10;
    }
}

/// A moment, on both of the clocks that the chip follows.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// The host's time of day, since 1970.
    pub(super) wall: Duration,
    /// Since the machine's power-on.
    pub(super) uptime: Duration,
}

impl Moment {
    fn wall_nanos(self) -> i128 {
        // A `Duration` has fewer than 2^94 nanoseconds.
        self.wall.as_nanos() as i128
    }
}

/// What a saved clock remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which byte port 0x71 reaches.
    index: u8,
    /// 128 bytes; those that the clock shows while it runs are zero.
    cmos: Vec<u8>,
    /// The guest's clock less the host's: whole seconds.
    offset_seconds: i64,
    /// The guest's clock less the host's: nanoseconds on top.
    offset_nanos: u32,
    /// The second up to which update and alarm flags are worked out.
    seen_second: i64,
    /// The periodic tick up to which the flag is worked out.
    seen_tick: u64,
}

/// The chip.
pub(super) struct Chip {
    cmos: [u8; CMOS_BYTES],
    index: u8,
    /// The guest's clock less the host's, in nanoseconds.
    offset: i128,
    seen_second: i64,
    seen_tick: u64,
    layout: CmosLayout,
}

impl Chip {
    pub(super) fn new(layout: CmosLayout, now: Moment) -> Self {
        let mut chip = Self {
            cmos: [0; CMOS_BYTES],
            index: 0,
            offset: 0,
            seen_second: 0,
            seen_tick: 0,
            layout,
        };
        chip.cmos[reg::A] = DEFAULT_A;
        chip.cmos[reg::B] = B::HOURS_24.bits();
        chip.layout.apply(&mut chip.cmos);
        chip.see(now);
        chip
    }

    /// The reset pin ("RESET"): interrupts off, time and memory untouched. What firmware is told
    /// of the machine is put right again.
    pub(super) fn reset(&mut self, now: Moment) {
        let enables = B::PERIODIC | B::ALARM | B::UPDATE | B::SQUARE_WAVE;
        self.cmos[reg::B] &= !enables.bits();
        self.cmos[reg::C] = 0;
        self.index = 0;
        self.layout.apply(&mut self.cmos);
        self.see(now);
    }

    pub(super) fn save(&self) -> State {
        let mut cmos = self.cmos.to_vec();
        if self.running() {
            reg::TIME.iter().for_each(|index| cmos[*index] = 0);
        }
        State {
            index: self.index,
            cmos,
            offset_seconds: seconds(self.offset),
            offset_nanos: self.offset.rem_euclid(SECOND_NANOS) as u32,
            seen_second: self.seen_second,
            seen_tick: self.seen_tick,
        }
    }

    /// Takes a saved state, or says what is wrong with it.
    pub(super) fn restore(&mut self, state: State) -> Result<(), String> {
        let cmos = <[u8; CMOS_BYTES]>::try_from(state.cmos)
            .map_err(|cmos| format!("{} bytes of CMOS memory", cmos.len()))?;
        if usize::from(state.index) >= CMOS_BYTES {
            return Err(format!("index {:#x}", state.index));
        }
        if state.offset_seconds.abs_diff(0) > MAX_OFFSET_SECONDS {
            return Err(format!("a clock {} seconds off", state.offset_seconds));
        }
        self.cmos = cmos;
        self.index = state.index;
        self.offset =
            i128::from(state.offset_seconds) * SECOND_NANOS + i128::from(state.offset_nanos);
        self.seen_second = state.seen_second;
        self.seen_tick = state.seen_tick;
        Ok(())
    }

    /// The guest's clock less the host's, to the nearest second.
    pub(super) fn offset_seconds(&self) -> i64 {
        seconds(self.offset + SECOND_NANOS / 2)
    }

    pub(super) fn set_offset_seconds(&mut self, offset: i64, now: Moment) {
        let most = MAX_OFFSET_SECONDS as i64;
        self.offset = i128::from(offset.clamp(-most, most)) * SECOND_NANOS;
        self.seen_second = self.second(now);
    }

    fn b(&self) -> B {
        B::from_bits_truncate(self.cmos[reg::B])
    }

    fn format(&self) -> Format {
        let b = self.b();
        Format { binary: b.contains(B::BINARY), hours24: b.contains(B::HOURS_24) }
    }

    fn divider_reset(&self) -> bool {
        self.cmos[reg::A] & DIVIDER_RESET == DIVIDER_RESET
    }

    fn running(&self) -> bool {
        !self.b().contains(B::SET) && !self.divider_reset()
    }

    /// The guest's time in nanoseconds since 1970, while running.
    fn nanos(&self, now: Moment) -> i128 {
        now.wall_nanos() + self.offset
    }

    fn second(&self, now: Moment) -> i64 {
        seconds(self.nanos(now))
    }

    /// Length of the periodic interrupt's period in crystal ticks ("Register A", table 5).
    fn period(&self) -> Option<u128> {
        if self.divider_reset() {
            return None;
        }
        match self.cmos[reg::A] & RATE {
            0 => None,
            // The two rates that the slower crystal cannot give stand for 256 and 128 Hz.
            rate @ 1..=2 => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    fn tick(&self, now: Moment) -> u64 {
        self.period().map_or(0, |period| {
            let crystal = now.uptime.as_nanos() * CRYSTAL_HZ / SECOND_NANOS.unsigned_abs();
            u64::try_from(crystal / period).unwrap_or(u64::MAX)
        })
    }

    fn see(&mut self, now: Moment) {
        self.seen_second = self.second(now);
        self.seen_tick = self.tick(now);
    }

    /// Sets the flags of what has happened since the last call.
    pub(super) fn catch_up(&mut self, now: Moment) {
        let (second, tick) = (self.second(now), self.tick(now));
        let mut flags = C::from_bits_truncate(self.cmos[reg::C]);
        if tick > self.seen_tick {
            flags |= C::PERIODIC;
        }
        if self.running() && second > self.seen_second {
            flags |= C::UPDATE;
            if self.next_alarm(self.seen_second).is_some_and(|alarm| alarm <= second) {
                flags |= C::ALARM;
            }
        }
        self.cmos[reg::C] = flags.bits();
        // Also when the host's clock was set back.
        self.seen_second = second;
        self.seen_tick = tick;
        self.update_irq_flag();
    }

    fn update_irq_flag(&mut self) {
        let asks =
            self.cmos[reg::C] & self.cmos[reg::B] & (C::PERIODIC | C::ALARM | C::UPDATE).bits();
        self.cmos[reg::C] &= !C::INTERRUPT.bits();
        if asks != 0 {
            self.cmos[reg::C] |= C::INTERRUPT.bits();
        }
    }

    /// Level of the interrupt line.
    pub(super) fn interrupt(&self) -> bool {
        self.cmos[reg::C] & C::INTERRUPT.bits() != 0
    }

    /// How long until something happens that the guest wants to be interrupted for. Nothing that
    /// it has not yet acknowledged is counted: a guest too slow for its own rate loses ticks, it
    /// does not get them all at once.
    pub(super) fn next_event(&self, now: Moment) -> Option<Duration> {
        let wanted = self.cmos[reg::B] & !self.cmos[reg::C];
        let wanted = C::from_bits_truncate(wanted);
        let mut nearest: Option<Duration> = None;
        let mut consider = |delay: Duration| {
            nearest = Some(nearest.map_or(delay, |nearest| nearest.min(delay)));
        };
        if let Some(period) = self.period().filter(|_| wanted.contains(C::PERIODIC)) {
            let next = (u128::from(self.tick(now)) + 1) * period * SECOND_NANOS.unsigned_abs();
            let delay = next.div_ceil(CRYSTAL_HZ).saturating_sub(now.uptime.as_nanos());
            consider(duration(delay));
        }
        if self.running() {
            let nanos = self.nanos(now);
            if wanted.contains(C::UPDATE) {
                let into = nanos.rem_euclid(SECOND_NANOS);
                consider(duration((SECOND_NANOS - into).unsigned_abs()));
            }
            if let Some(alarm) =
                wanted.contains(C::ALARM).then(|| self.next_alarm(seconds(nanos))).flatten()
            {
                let delay = i128::from(alarm) * SECOND_NANOS - nanos;
                consider(duration(delay.max(0).unsigned_abs()));
            }
        }
        nearest
    }

    /// The first second after `after` at which the alarm goes off; `None` when the alarm
    /// registers hold no time of day. Takes a few hundred steps at most.
    fn next_alarm(&self, after: i64) -> Option<i64> {
        let format = self.format();
        let wanted = |index: usize| {
            let register = self.cmos[index];
            (register & ANY != ANY).then_some(register)
        };
        let hour = wanted(reg::HOUR_ALARM).map(|register| format.decode_hour(register));
        let minute = wanted(reg::MINUTE_ALARM).map(|register| format.decode(register));
        let second = wanted(reg::SECOND_ALARM).map(|register| format.decode(register));

        let start = after.checked_add(1)?;
        let end = start.checked_add(DAY)?;
        let mut time = start;
        while time <= end {
            let of_day = time.rem_euclid(DAY);
            if hour.is_some_and(|hour| hour != of_day / HOUR) {
                time += HOUR - of_day % HOUR;
            } else if minute.is_some_and(|minute| minute != of_day % HOUR / MINUTE) {
                time += MINUTE - of_day % MINUTE;
            } else if second.is_some_and(|second| second != of_day % MINUTE) {
                time += 1;
            } else {
                return Some(time);
            }
        }
        None
    }

    /// Writes the current time into the registers.
    fn latch(&mut self, now: Moment) {
        let time = Registers::at(self.second(now), self.format());
        for (index, value) in [
            (reg::SECOND, time.second),
            (reg::MINUTE, time.minute),
            (reg::HOUR, time.hour),
            (reg::WEEKDAY, time.weekday),
            (reg::DAY, time.day),
            (reg::MONTH, time.month),
            (reg::YEAR, time.year),
            (reg::CENTURY, time.century),
        ] {
            self.cmos[index] = value;
        }
    }

    /// Sets the clock to what the registers say, `fraction` nanoseconds into that second.
    fn unlatch(&mut self, fraction: i128, now: Moment) {
        let registers = Registers {
            second: self.cmos[reg::SECOND],
            minute: self.cmos[reg::MINUTE],
            hour: self.cmos[reg::HOUR],
            weekday: self.cmos[reg::WEEKDAY],
            day: self.cmos[reg::DAY],
            month: self.cmos[reg::MONTH],
            year: self.cmos[reg::YEAR],
            century: self.cmos[reg::CENTURY],
        };
        let time = i128::from(registers.time(self.format()));
        self.offset = time * SECOND_NANOS + fraction - now.wall_nanos();
        self.seen_second = self.second(now);
    }

    /// Selects the byte that [`Chip::read`] and [`Chip::write`] reach. Bit 7 of the port masks
    /// NMIs, of which there are none.
    pub(super) fn select(&mut self, index: u8) {
        self.index = index & 0x7f;
    }

    pub(super) fn read(&mut self, now: Moment) -> u8 {
        let index = usize::from(self.index);
        match index {
            _ if reg::TIME.contains(&index) && self.running() => self.latch(now),
            reg::A => {
                let into = self.nanos(now).rem_euclid(SECOND_NANOS);
                let updating = self.running() && into >= SECOND_NANOS - UPDATE_NANOS;
                return self.cmos[reg::A] | if updating { UIP } else { 0 };
            }
            reg::C => {
                self.catch_up(now);
                return std::mem::take(&mut self.cmos[reg::C]);
            }
            reg::D => return VALID_RAM_AND_TIME,
            _ => {}
        }
        self.cmos[index]
    }

    pub(super) fn write(&mut self, value: u8, now: Moment) {
        self.catch_up(now);
        let index = usize::from(self.index);
        match index {
            _ if reg::TIME.contains(&index) && self.running() => {
                let fraction = self.nanos(now).rem_euclid(SECOND_NANOS);
                self.latch(now);
                self.cmos[index] = value;
                self.unlatch(fraction, now);
            }
            reg::A => self.control(reg::A, value & !UIP, now),
            reg::B => {
                let mut value = value;
                if value & B::SET.bits() != 0 {
                    // "Register B": setting the clock turns the update interrupt off.
                    value &= !B::UPDATE.bits();
                }
                self.control(reg::B, value, now);
            }
            reg::C | reg::D => {}
            _ => self.cmos[index] = value,
        }
    }

    /// Writes register A or B, either of which may stop or start the clock.
    fn control(&mut self, index: usize, value: u8, now: Moment) {
        let (was_running, was_reset) = (self.running(), self.divider_reset());
        if was_running {
            self.latch(now);
        }
        let fraction = self.nanos(now).rem_euclid(SECOND_NANOS);
        // The registers are in the format that the guest wrote them in, so that a start is
        // reckoned by what register B says from now on.
        self.cmos[index] = value;
        if !was_running && self.running() {
            // "Divider Control": the first update comes half a second after the divider starts.
            self.unlatch(if was_reset { SECOND_NANOS / 2 } else { fraction }, now);
        }
        self.seen_tick = self.tick(now);
        self.update_irq_flag();
    }
}

/// Whole seconds in `nanos`, towards the past.
fn seconds(nanos: i128) -> i64 {
    // Far from the bounds: the host's clock and an offset of at most `MAX_OFFSET_SECONDS`.
    nanos.div_euclid(SECOND_NANOS).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
