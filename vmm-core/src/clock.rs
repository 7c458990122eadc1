//! The machine's clock: nanoseconds since power-on, as device timers count them.
//!
//! It follows the host's boot-time clock and does not stop while the machine is paused: the
//! guest's TSC and kvmclock do not either, so that all of a guest's clocks agree and its time of
//! day is right after a pause or a suspend of the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A cheap, shared, monotonic clock. Reading takes no lock.
#[derive(Clone, Debug)]
pub struct VmClock {
    origin: Arc<AtomicI64>,
}

fn host_nanos() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

impl Default for VmClock {
    fn default() -> Self {
        Self { origin: Arc::new(AtomicI64::new(host_nanos())) }
    }
}

impl VmClock {
    /// A clock that starts at zero now.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time since power-on.
    pub fn now(&self) -> Duration {
        let nanos = host_nanos() - self.origin.load(Ordering::Relaxed);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Makes the clock read `now`, for a machine restored from a saved state.
    pub fn set(&self, now: Duration) {
        let nanos = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX / 2);
        self.origin.store(host_nanos().saturating_sub(nanos), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_moves_the_clock() {
        let clock = VmClock::new();
        clock.set(Duration::from_secs(1000));
        assert!(clock.now() >= Duration::from_secs(1000));
        assert!(clock.now() < Duration::from_secs(1010));
    }
}
