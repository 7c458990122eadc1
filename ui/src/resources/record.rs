//! An hour of figures, from counters that only grow.

use std::collections::VecDeque;
use std::time::Duration;

use vmm_core::machine::Statistics;
use vmm_core::units::Bytes;

/// How far back figures are kept, in seconds.
pub(super) const KEPT: f64 = 3600.0;
/// Most points that are kept, whatever their distance.
const MAX_POINTS: usize = 4000;
/// Most drives whose figures are kept apart; more than a machine can have.
const MAX_DRIVES: usize = 16;
/// Figures further apart than this many seconds have a gap between them: the machine stood still.
pub(super) const GAP: f64 = 2.5;
/// Figures closer together than this many seconds say nothing.
const TOO_SOON: f64 = 0.2;
/// How far a machine's clock may be from ours before the figures are set anew on the time axis.
const DRIFT: f64 = 2.0;

/// What a machine may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The machine's processors.
    pub cpus: u32,
    /// The host's processors.
    pub host_cpus: u32,
    /// The machine's memory.
    pub memory: Bytes,
}

/// Bytes moved since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transferred {
    /// Read from a drive or received from a network.
    pub inward: u64,
    /// Written to a drive or sent to a network.
    pub outward: u64,
}

/// Bytes moved per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Read from a drive or received from a network.
    pub inward: f32,
    /// Written to a drive or sent to a network.
    pub outward: f32,
}

/// What was used since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Time since the start.
    pub uptime: Duration,
    /// Processor time used, all processors together.
    pub cpu_time: Duration,
    /// Memory that is taken from the host now, in bytes.
    pub resident: u64,
    /// Memory that the guest says it needs now, in bytes; `None` when it does not say.
    pub guest: Option<u64>,
    /// Each drive.
    pub drives: Vec<Transferred>,
    /// All network cards together; `None` when there is none.
    pub network: Option<Transferred>,
}

impl From<&Statistics> for Counters {
    fn from(statistics: &Statistics) -> Self {
        Self {
            uptime: statistics.uptime,
            cpu_time: statistics.vcpu_time.iter().fold(Duration::ZERO, |a, b| a.saturating_add(*b)),
            resident: statistics.resident,
            guest: statistics.balloon.memory.map(|memory| memory.used()),
            drives: statistics
                .disks
                .iter()
                .map(|disk| Transferred { inward: disk.read_bytes, outward: disk.written_bytes })
                .collect(),
            network: statistics.network.map(|network| Transferred {
                inward: network.received_bytes,
                outward: network.sent_bytes,
            }),
        }
    }
}

/// The figures of one second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When, in seconds on the time axis of the [`Record`].
    pub time: f64,
    /// When, in seconds since 1970 by the host's clock.
    pub clock: i64,
    /// Whether the second before it is known too: a line may lead here.
    pub joined: bool,
    /// Share of the machine's processors, 0 to 1.
    pub cpu: f32,
    /// Share of the host's processors, 0 to 1.
    pub host_cpu: f32,
    /// Memory that is taken from the host, in bytes.
    pub resident: f32,
    /// Memory that the guest says it needs, in bytes; `None` when it does not say.
    pub guest: Option<f32>,
    /// All drives together.
    pub disk: Rates,
    /// All network cards together.
    pub network: Option<Rates>,
}

/// An hour of figures. It takes memory only once there are some.
#[derive(Debug, Default)]
pub struct Record {
    points: VecDeque<Point>,
    /// For each drive, as many as there are points.
    drives: Vec<VecDeque<Rates>>,
    limits: Limits,
    last: Option<Counters>,
    /// Where on the time axis the machine was started.
    started: Option<f64>,
}

impl Record {
    /// A machine starts: its counters begin at zero.
    pub fn begin(&mut self, limits: Limits) {
        self.limits = limits;
        self.last = Some(Counters::default());
        self.started = None;
    }

    /// The machine is over. What was recorded stays.
    pub fn end(&mut self) {
        self.last = None;
    }

    /// Takes what the machine's counters say `now` (in seconds on the time axis) and `clock` (in
    /// seconds since 1970). Says whether that made a new point.
    pub fn take(&mut self, counters: Counters, now: f64, clock: i64) -> bool {
        let uptime = counters.uptime.as_secs_f64();
        let started = match self.started {
            Some(started) if (started + uptime - now).abs() <= DRIFT => started,
            _ => now - uptime,
        };
        let Some(last) = self.last.as_ref().filter(|last| !counters.are_behind(last)) else {
            self.started = Some(started);
            self.last = Some(counters);
            return false;
        };
        let seconds = uptime - last.uptime.as_secs_f64();
        if seconds < TOO_SOON {
            return false;
        }
        self.started = Some(started);
        let time = started + uptime;
        let new = seconds <= GAP && self.points.back().is_none_or(|last| last.time < time);
        if new {
            let point = self.point(&counters, last, seconds, time, clock);
            let drives: Vec<Rates> = counters
                .drives
                .iter()
                .take(MAX_DRIVES)
                .enumerate()
                .map(|(n, now)| now.since(last.drives.get(n), seconds))
                .collect();
            self.push(point, &drives);
        }
        self.last = Some(counters);
        new
    }

    fn point(&self, now: &Counters, last: &Counters, seconds: f64, time: f64, clock: i64) -> Point {
        let busy = (now.cpu_time - last.cpu_time).as_secs_f64() / seconds;
        let share = |cpus: u32| (busy / f64::from(cpus.max(1))).clamp(0.0, 1.0) as f32;
        let mut disk = Rates::default();
        for (n, drive) in now.drives.iter().enumerate() {
            let rates = drive.since(last.drives.get(n), seconds);
            disk.inward += rates.inward;
            disk.outward += rates.outward;
        }
        Point {
            time,
            clock,
            joined: self.points.back().is_some_and(|last| time - last.time <= GAP),
            cpu: share(self.limits.cpus),
            host_cpu: share(self.limits.host_cpus),
            resident: now.resident as f32,
            guest: now.guest.map(|guest| self.within_limit(guest) as f32),
            disk,
            network: now.network.map(|network| network.since(last.network.as_ref(), seconds)),
        }
    }

    /// What a guest says it uses; no more than it has, whatever it says.
    fn within_limit(&self, guest: u64) -> u64 {
        let limit = self.limits.memory.0;
        if limit > 0 { guest.min(limit) } else { guest }
    }

    fn push(&mut self, point: Point, drives: &[Rates]) {
        while self.points.len() >= MAX_POINTS
            || self.points.front().is_some_and(|first| first.time < point.time - KEPT)
        {
            self.points.pop_front();
            for drive in &mut self.drives {
                drive.pop_front();
            }
        }
        for _ in self.drives.len()..drives.len() {
            self.drives.push(self.points.iter().map(|_| Rates::default()).collect());
        }
        self.points.push_back(point);
        for (n, drive) in self.drives.iter_mut().enumerate() {
            drive.push_back(drives.get(n).copied().unwrap_or_default());
        }
    }

    /// What the machine may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Point `index`, the oldest first.
    pub fn get(&self, index: usize) -> Option<&Point> {
        self.points.get(index)
    }

    /// The newest point.
    pub fn latest(&self) -> Option<&Point> {
        self.points.back()
    }

    /// The rates of drive `drive` at point `index`.
    pub fn drive(&self, drive: usize, index: usize) -> Option<Rates> {
        self.drives.get(drive)?.get(index).copied()
    }

    /// How many drives there are figures of.
    pub fn drives(&self) -> usize {
        self.drives.len()
    }

    /// The indices of the points from `from` to `to`, both included.
    pub fn between(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let first = self.points.partition_point(|point| point.time < from);
        let end = self.points.partition_point(|point| point.time <= to);
        first..end.max(first)
    }

    /// The index of the point nearest to `time`.
    pub fn nearest(&self, time: f64) -> Option<usize> {
        let after = self.points.partition_point(|point| point.time < time);
        let distance = |index: &usize| (self.points[*index].time - time).abs();
        [after.checked_sub(1), (after < self.points.len()).then_some(after)]
            .into_iter()
            .flatten()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

impl Counters {
    /// Whether any of these is less than before: they were set to zero between.
    fn are_behind(&self, last: &Self) -> bool {
        let moved = |(now, last): (&Transferred, &Transferred)| {
            now.inward < last.inward || now.outward < last.outward
        };
        self.uptime < last.uptime
            || self.cpu_time < last.cpu_time
            || self.drives.iter().zip(&last.drives).any(moved)
            || self.network.iter().zip(&last.network).any(moved)
    }
}

impl Transferred {
    /// Bytes per second since `last`, `seconds` ago.
    fn since(&self, last: Option<&Self>, seconds: f64) -> Rates {
        let last = last.copied().unwrap_or_default();
        let rate = |now: u64, last: u64| (now.saturating_sub(last) as f64 / seconds) as f32;
        Rates { inward: rate(self.inward, last.inward), outward: rate(self.outward, last.outward) }
    }
}

#[cfg(test)]
mod tests;
