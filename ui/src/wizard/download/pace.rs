//! How fast something comes, and how long the rest will take.

use std::time::{Duration, Instant};

/// How long a change takes to show by two thirds.
const MEMORY: Duration = Duration::from_secs(4);

/// The speed of what has been seen lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<(Instant, u64)>,
    /// Bytes per second.
    rate: Option<f64>,
}

impl Pace {
    /// That `done` bytes are there at `now`.
    pub(super) fn see(&mut self, now: Instant, done: u64) {
        let (before, had) = *self.last.get_or_insert((now, done));
        let passed = now.saturating_duration_since(before).as_secs_f64();
        if done < had || passed <= 0.0 {
            // It began anew.
            self.last = Some((now, done));
            return;
        }
        let fresh = (done - had) as f64 / passed;
        let weight = 1.0 - (-passed / MEMORY.as_secs_f64()).exp();
        self.rate = Some(self.rate.map_or(fresh, |rate| rate + (fresh - rate) * weight));
        self.last = Some((now, done));
    }

    /// In bytes per second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// How long `rest` bytes will take; `None` while nothing comes.
    pub(super) fn remaining(&self, rest: u64) -> Option<Duration> {
        let seconds = rest as f64 / self.rate.filter(|rate| *rate >= 1.0)?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_and_others_come_near() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        assert_eq!((pace.rate(), pace.remaining(1)), (None, None));
        for step in 0..10u64 {
            pace.see(start + Duration::from_millis(500 * step), 1000 * step);
        }
        assert_eq!(pace.rate(), Some(2000.0));
        assert_eq!(pace.remaining(6000), Some(Duration::from_secs(3)));
        // It stops.
        for step in 10..100u64 {
            pace.see(start + Duration::from_millis(500 * step), 9000);
        }
        assert!(pace.rate().unwrap() < 1.0);
        assert_eq!(pace.remaining(6000), None);
        // It begins anew, and at the same moment.
        pace.see(start + Duration::from_secs(60), 0);
        pace.see(start + Duration::from_secs(60), 10);
        assert!(pace.rate().unwrap().is_finite());
    }
}
