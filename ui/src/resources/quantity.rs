//! What a chart can show, and how its values are said.

use gettextrs::{gettext, pgettext};

use super::record::Record;
use super::units;

/// Disk and network charts show at least this many bytes per second, so that a whisper does not
/// look like a storm.
const LEAST_RATE: f64 = 100_000.0;

/// What a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quantity {
    /// Share of the machine's processors.
    #[default]
    Cpu,
    /// Memory in use, by the guest's word where it says so, else what it takes from the host.
    Memory,
    /// Bytes read and written per second, by all drives.
    Disk,
    /// Bytes read and written per second, by the drive with this index.
    Drive(usize),
    /// Bytes received and sent per second.
    Network,
}

impl Quantity {
    /// What it is called.
    pub fn title(self) -> String {
        match self {
            Self::Cpu => gettext("Processor"),
            Self::Memory => gettext("Memory"),
            Self::Disk | Self::Drive(_) => gettext("Disk"),
            Self::Network => gettext("Network"),
        }
    }

    /// The names of its series, when there are several.
    pub(super) fn series_names(self) -> Option<[String; 2]> {
        match self {
            Self::Cpu | Self::Memory => None,
            Self::Disk | Self::Drive(_) => {
                Some([pgettext("disk", "Read"), pgettext("disk", "Write")])
            }
            Self::Network => Some([pgettext("network", "In"), pgettext("network", "Out")]),
        }
    }

    /// How many series it has: 1 or 2.
    pub(super) fn series(self) -> usize {
        if matches!(self, Self::Cpu | Self::Memory) { 1 } else { 2 }
    }

    /// The values at point `index`; of a single series only the first counts.
    pub(super) fn values(self, record: &Record, index: usize) -> Option<[f64; 2]> {
        let point = record.get(index)?;
        let rates = match self {
            Self::Cpu => return Some([point.cpu.into(), 0.0]),
            Self::Memory => {
                return Some([point.guest.unwrap_or(point.resident).into(), 0.0]);
            }
            Self::Disk => point.disk,
            Self::Drive(drive) => record.drive(drive, index)?,
            Self::Network => point.network?,
        };
        Some([rates.inward.into(), rates.outward.into()])
    }

    /// The greatest value of each series among the points of `range`.
    pub(super) fn highest(self, record: &Record, range: std::ops::Range<usize>) -> [f64; 2] {
        range
            .filter_map(|index| self.values(record, index))
            .fold([0.0, 0.0], |high, values| [high[0].max(values[0]), high[1].max(values[1])])
    }

    /// Where the axis ends, for values up to `highest`.
    pub(super) fn top(self, record: &Record, highest: f64) -> f64 {
        match self {
            Self::Cpu => 1.0,
            Self::Memory => {
                let limit = record.limits().memory.0 as f64;
                if limit > 0.0 { limit } else { units::nice_ceiling(highest) }
            }
            Self::Disk | Self::Drive(_) | Self::Network => {
                units::nice_ceiling(highest.max(LEAST_RATE))
            }
        }
    }

    /// A value with its unit.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Cpu => units::percent(value),
            Self::Memory => units::size(value),
            Self::Disk | Self::Drive(_) | Self::Network => units::rate(value),
        }
    }

    /// All that is known of point `index`, in a line.
    pub(super) fn detail(self, record: &Record, index: usize) -> String {
        let (Some(point), Some(values)) = (record.get(index), self.values(record, index)) else {
            return gettext("Nothing known");
        };
        match (self, self.series_names()) {
            (Self::Cpu, _) => gettext("{share} · {host_share} of the host")
                .replace("{share}", &units::percent(values[0]))
                .replace("{host_share}", &units::percent(point.host_cpu.into())),
            (Self::Memory, _) if point.guest.is_some() => {
                // Translators: what the guest uses, and what that takes of the host's memory.
                gettext("{used} · {resident} of the host")
                    .replace("{used}", &self.text(values[0]))
                    .replace("{resident}", &self.text(point.resident.into()))
            }
            (_, None) => self.text(values[0]),
            (_, Some([first, second])) => gettext("{first} {value} · {second} {other}")
                .replace("{first}", &first)
                .replace("{second}", &second)
                .replace("{value}", &self.text(values[0]))
                .replace("{other}", &self.text(values[1])),
        }
    }

    /// The newest values and the highest of the last `seconds`, as a sentence for who cannot see
    /// the chart.
    pub(super) fn summary(self, record: &Record, seconds: f64) -> String {
        let Some(latest) = record.latest() else { return gettext("No figures yet") };
        let range = record.between(latest.time - seconds, latest.time);
        let high = self.highest(record, range);
        let values = self.values(record, record.len() - 1).unwrap_or_default();
        let parts: Vec<String> = match self.series_names() {
            None => vec![(self.short(), values[0], high[0])],
            Some([first, second]) => {
                vec![(first, values[0], high[0]), (second, values[1], high[1])]
            }
        }
        .into_iter()
        .map(|(name, value, high)| {
            // Translators: such as “CPU 37 %, highest in the last minute 80 %”.
            gettext("{name} {value}, highest in the last {span} {highest}")
                .replace("{name}", &name)
                .replace("{value}", &self.text(value))
                .replace("{span}", &units::span_words(seconds))
                .replace("{highest}", &self.text(high))
        })
        .collect();
        parts.join("; ")
    }

    /// What it is called where there is little room.
    pub(super) fn short(self) -> String {
        match self {
            Self::Cpu => gettext("CPU"),
            _ => self.title(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vmm_core::units::Bytes;

    use super::*;
    use crate::resources::record::{Counters, Limits, Transferred};

    fn record() -> Record {
        let mut record = Record::default();
        record.begin(Limits { cpus: 2, host_cpus: 8, memory: Bytes::gib(2) });
        for (n, busy) in [(1, 1.6), (2, 2.34)] {
            record.take(
                Counters {
                    uptime: Duration::from_secs(n),
                    cpu_time: Duration::from_secs_f64(busy),
                    resident: 1 << 30,
                    guest: (n == 2).then_some(300 << 20),
                    drives: vec![Transferred { inward: 3_000_000 * n, outward: n }],
                    network: None,
                },
                n as f64,
                n as i64,
            );
        }
        record
    }

    #[test]
    fn the_summary_says_now_and_highest() {
        let record = record();
        assert_eq!(
            Quantity::Cpu.summary(&record, 60.0),
            "CPU 37 %, highest in the last minute 80 %"
        );
        assert_eq!(
            Quantity::Disk.summary(&record, 60.0),
            "Read 3 MB/s, highest in the last minute 3 MB/s; Write 1 B/s, highest in the last minute 1 B/s"
        );
        assert_eq!(Quantity::Memory.summary(&Record::default(), 60.0), "No figures yet");
    }

    #[test]
    fn details_name_both_shares() {
        let record = record();
        assert_eq!(Quantity::Cpu.detail(&record, 0), "80 % · 20 % of the host");
        assert_eq!(Quantity::Drive(0).detail(&record, 1), "Read 3 MB/s · Write 1 B/s");
        assert_eq!(Quantity::Memory.detail(&record, 0), "1 GiB");
        assert_eq!(Quantity::Memory.detail(&record, 1), "300 MiB · 1 GiB of the host");
        assert_eq!(Quantity::Network.detail(&record, 1), "Nothing known");
        assert_eq!(Quantity::Drive(7).detail(&record, 1), "Nothing known");
    }

    #[test]
    fn axes_end_where_the_machine_does() {
        let record = record();
        assert_eq!(Quantity::Cpu.top(&record, 0.1), 1.0);
        assert_eq!(Quantity::Memory.top(&record, 0.1), (2u64 << 30) as f64);
        assert_eq!(Quantity::Disk.top(&record, 3e6), 5e6);
        assert_eq!(Quantity::Disk.top(&record, 0.0), 1e5);
    }
}
