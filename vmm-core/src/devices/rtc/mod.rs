//! The real-time clock and CMOS memory: an MC146818 at ports 0x70 and 0x71, ISA interrupt 8.
//!
//! `chip` is the chip, `calendar` how it spells dates, `layout` what firmware reads from
//! its memory. This file ties it to the host's clock (in UTC), to a timer and to the interrupt
//! line. The timer is armed only while the guest wants interrupts.

mod calendar;
mod chip;
mod layout;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::bus::BusDevice;
use crate::clock::VmClock;
use crate::interrupt::IrqLine;
use crate::state::{Persist, Reset, RestoreError};
use crate::timer::{Timer, Timers};

pub use chip::State;
pub use layout::{BootDevice, CmosLayout};

use chip::{Chip, Moment};

/// First port: index; the second is data.
pub const RTC_PORT: u64 = 0x70;
/// Number of ports.
pub const PORTS: u64 = 2;
/// ISA interrupt of the clock.
pub const RTC_IRQ: u32 = 8;
/// Index of the CMOS byte that holds the century, for the FADT.
pub const CENTURY_INDEX: u8 = 0x32;

/// An alarm is for a time of day, but timers count from now: look again this often, should the
/// host's clock be set or the host sleep meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

struct Clocks {
    wall: Clock,
    uptime: Clock,
}

impl Clocks {
    fn now(&self) -> Moment {
        Moment { wall: (self.wall)(), uptime: (self.uptime)() }
    }
}

struct Inner {
    chip: Chip,
    irq: IrqLine,
    level: bool,
}

struct Core {
    inner: Mutex<Inner>,
    clocks: Clocks,
    timer: OnceLock<Timer>,
}

impl Core {
    /// Runs `action` and lets its consequences reach the interrupt line and the timer.
    fn with<T>(&self, action: impl FnOnce(&mut Chip, Moment) -> T) -> T {
        let mut inner = self.inner.lock();
        let now = self.clocks.now();
        let result = action(&mut inner.chip, now);
        let level = inner.chip.interrupt();
        if level != inner.level {
            inner.level = level;
            inner.irq.set(level);
        }
        if let Some(timer) = self.timer.get() {
            match inner.chip.next_event(now) {
                Some(delay) => timer.arm(delay.min(LOOK_AGAIN)),
                None => timer.disarm(),
            }
        }
        result
    }
}

/// The clock and its memory. Both outlast a reset of the machine, as their battery makes them.
pub struct Rtc {
    core: Arc<Core>,
}

impl Rtc {
    /// A clock that shows the host's time in UTC, interrupting on `irq`.
    pub fn new(irq: IrqLine, timers: &Timers, clock: VmClock, layout: CmosLayout) -> Self {
        let clocks = Clocks { wall: Box::new(host_time), uptime: Box::new(move || clock.now()) };
        Self::with_clocks(irq, timers, clocks, layout)
    }

    fn with_clocks(irq: IrqLine, timers: &Timers, clocks: Clocks, layout: CmosLayout) -> Self {
        let chip = Chip::new(layout, clocks.now());
        let inner = Mutex::new(Inner { chip, irq, level: false });
        let core = Arc::new(Core { inner, clocks, timer: OnceLock::new() });
        let weak = Arc::downgrade(&core);
        core.timer.get_or_init(|| {
            timers.timer(move || {
                if let Some(core) = weak.upgrade() {
                    core.with(Chip::catch_up);
                }
            })
        });
        Self { core }
    }

    /// The guest's clock less the host's, in seconds: what a guest that keeps local time has made
    /// of it. To be kept with the machine's definition between runs.
    pub fn time_offset_seconds(&self) -> i64 {
        self.core.inner.lock().chip.offset_seconds()
    }

    /// Sets the guest's clock to `seconds` after the host's.
    pub fn set_time_offset_seconds(&self, seconds: i64) {
        self.core.with(|chip, now| chip.set_offset_seconds(seconds, now));
    }
}

fn host_time() -> Duration {
    let now = clock_gettime(ClockId::Realtime);
    // A host set to before 1970 gives 1970.
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl BusDevice for Rtc {
    fn read(&self, offset: u64, data: &mut [u8]) {
        for (port, byte) in (offset..PORTS).zip(data) {
            // The index cannot be read back.
            if port == 1 {
                *byte = self.core.with(Chip::read);
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        for (port, byte) in (offset..PORTS).zip(data) {
            if port == 0 {
                self.core.inner.lock().chip.select(*byte);
            } else {
                self.core.with(|chip, now| chip.write(*byte, now));
            }
        }
    }
}

impl Persist for Rtc {
    type State = State;

    fn save(&self) -> State {
        self.core.inner.lock().chip.save()
    }

    fn restore(&self, state: State) -> Result<(), RestoreError> {
        self.core
            .with(|chip, _| chip.restore(state))
            .map_err(|reason| RestoreError { device: "real-time clock", reason })
    }
}

impl Reset for Rtc {
    fn reset(&self) {
        self.core.with(Chip::reset);
    }
}

#[cfg(test)]
mod tests;
