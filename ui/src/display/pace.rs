//! How often to look at the guest's screen.
//!
//! While it changes, at every frame of the widget's clock; when it stands still, ever less, since
//! each frame of the clock costs even if nothing is drawn. A blinking text cursor falls between.
//! No GTK in here; the widget asks after every look.

use std::time::{Duration, Instant};

/// Looks at every frame go on for this long after a change.
const BUSY: Duration = Duration::from_millis(100);
/// And for this long after a key or the pointer, whose effect somebody waits for.
const EXPECTING: Duration = Duration::from_millis(400);
/// The screen counts as idle when it has not changed for this long.
const IDLE: Duration = Duration::from_secs(3);
/// Between two looks soon after a change.
const SLOW: Duration = Duration::from_millis(33);
/// Between two looks at an idle screen.
const SLOWEST: Duration = Duration::from_millis(100);
/// Between two looks while the machine stands still: a reset can still change the picture.
const STOPPED: Duration = Duration::from_secs(1);

/// When to look next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At the next frame of the widget's clock.
    Frame,
    /// After a while.
    After(Duration),
}

/// What is known of the screen's liveliness.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    changed: Option<Instant>,
    input: Option<Instant>,
}

impl Pace {
    /// The look found something new.
    pub(super) fn changed(&mut self, now: Instant) {
        self.changed = Some(now);
    }

    /// The guest was given something to react to.
    pub(super) fn input(&mut self, now: Instant) {
        self.input = Some(now);
    }

    /// When to look again. `running` says whether the guest runs.
    pub(super) fn next(&self, now: Instant, running: bool) -> Next {
        if !running {
            return Next::After(STOPPED);
        }
        let within = |event: Option<Instant>, time: Duration| {
            event.is_some_and(|event| now.saturating_duration_since(event) < time)
        };
        if within(self.changed, BUSY) || within(self.input, EXPECTING) {
            Next::Frame
        } else if within(self.changed, IDLE) {
            Next::After(SLOW)
        } else {
            Next::After(SLOWEST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slows_down_as_time_passes() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::default();
        assert_eq!(pace.next(start, true), Next::After(SLOWEST));
        pace.changed(start);
        assert_eq!(pace.next(after(50), true), Next::Frame);
        assert_eq!(pace.next(after(150), true), Next::After(SLOW));
        assert_eq!(pace.next(after(5000), true), Next::After(SLOWEST));
        pace.input(after(5000));
        assert_eq!(pace.next(after(5300), true), Next::Frame);
        assert_eq!(pace.next(after(5300), false), Next::After(STOPPED));
    }
}
