//! What the host uses in all, from `/proc`.

use std::time::{Duration, Instant};

use gtk::gio;
use vmm_core::units::Bytes;

use super::record::{Counters, Limits};

/// Ticks of `/proc/stat` a second: `USER_HZ`, which is 100 on every Linux (time(7)).
const TICKS: u64 = 100;

/// What `/proc` says at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reading {
    /// Ticks in which a processor worked, all together.
    busy: u64,
    /// Processors that are switched on.
    cpus: u32,
    /// RAM.
    total: u64,
    /// RAM that nothing else could have.
    used: u64,
}

impl Reading {
    /// Asks the kernel, on a worker. `None` where there is no `/proc`.
    pub(super) async fn take() -> Option<Self> {
        gio::spawn_blocking(|| {
            let stat = std::fs::read_to_string("/proc/stat").ok()?;
            let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
            Self::parse(&stat, &memory)
        })
        .await
        .ok()
        .flatten()
    }

    /// What the texts of `/proc/stat` and `/proc/meminfo` say (proc_stat(5), proc_meminfo(5)).
    fn parse(stat: &str, memory: &str) -> Option<Self> {
        let mut fields =
            stat.lines().find_map(|line| line.strip_prefix("cpu "))?.split_whitespace();
        let mut next = || fields.next()?.parse::<u64>().ok();
        // The time of guests is part of the user's time and not counted twice.
        let [user, nice, system, _idle, _iowait, irq, softirq, steal] =
            std::array::from_fn(|_| next().unwrap_or(0));
        let busy =
            [user, nice, system, irq, softirq, steal].into_iter().fold(0, u64::saturating_add);
        let is_cpu = |line: &&str| {
            line.strip_prefix("cpu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let kib = |name: &str| -> Option<u64> {
            let line = memory.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
        };
        let total = kib("MemTotal")?.saturating_mul(1024);
        let available = kib("MemAvailable")?.saturating_mul(1024);
        Some(Self {
            busy,
            cpus: u32::try_from(stat.lines().filter(is_cpu).count()).unwrap_or(u32::MAX).max(1),
            total,
            used: total.saturating_sub(available),
        })
    }

    /// The host as if it were a machine.
    pub(super) fn limits(&self) -> Limits {
        Limits { cpus: self.cpus, host_cpus: self.cpus, memory: Bytes(self.total) }
    }

    /// The counters of that machine, which was started `since`, when the processors had worked as
    /// in `first`.
    pub(super) fn counters(&self, first: &Self, since: Instant) -> Counters {
        let ticks = self.busy.saturating_sub(first.busy);
        Counters {
            uptime: since.elapsed(),
            cpu_time: Duration::from_millis(ticks.saturating_mul(1000 / TICKS)),
            resident: self.used,
            ..Counters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 20 30 4000 50 6 7 8 90 10\ncpu0 50 10 15 2000 25 3 3 4 45 5\n\
                        cpu1 50 10 15 2000 25 3 4 4 45 5\nintr 1 2\nctxt 3\n";
    const MEMORY: &str =
        "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:   12000 kB\n";

    #[test]
    fn reads_what_the_kernel_writes() {
        let reading = Reading::parse(STAT, MEMORY).unwrap();
        assert_eq!(reading, Reading { busy: 171, cpus: 2, total: 16_000 << 10, used: 4000 << 10 });
        let first = Reading { busy: 71, ..reading };
        let counters = reading.counters(&first, Instant::now());
        assert_eq!(counters.cpu_time, Duration::from_secs(1));
    }

    #[test]
    fn this_host_can_be_read() {
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
        let reading = Reading::parse(&stat, &memory).unwrap();
        assert!(reading.cpus >= 1 && reading.used > 0 && reading.used < reading.total);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered(stat: String, memory: String, line in "cpu[ 0-9]{0,60}") {
            let _ = Reading::parse(&stat, &memory);
            let _ = Reading::parse(&line, MEMORY);
        }
    }
}
