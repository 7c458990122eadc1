//! How far long work is, and whether it should stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
struct Shared {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

/// One piece of long work, shared between who does it and who shows it: the one writes whenever it
/// likes, the other looks when it draws.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

impl Progress {
    /// Tells that `done` of `total` steps are done. Whether to go on.
    pub fn report(&self, done: u64, total: u64) -> bool {
        self.0.total.store(total, Relaxed);
        self.0.done.store(done, Relaxed);
        !self.is_cancelled()
    }

    /// Asks that the work stop, as soon as it can.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Relaxed);
    }

    /// Whether it should stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Relaxed)
    }

    /// How many steps are done, and of how many; 0 of 0 before anything is known.
    pub fn steps(&self) -> (u64, u64) {
        (self.0.done.load(Relaxed), self.0.total.load(Relaxed))
    }

    /// How much is done, 0 to 1; `None` before anything is known.
    pub fn fraction(&self) -> Option<f64> {
        let total = self.0.total.load(Relaxed);
        (total > 0).then(|| (self.0.done.load(Relaxed) as f64 / total as f64).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same() {
        let worker = Progress::default();
        let shown = worker.clone();
        assert_eq!(shown.fraction(), None);
        assert!(worker.report(1, 4));
        assert_eq!(shown.fraction(), Some(0.25));
        assert_eq!(shown.steps(), (1, 4));
        shown.cancel();
        assert!(!worker.report(2, 4));
    }
}
