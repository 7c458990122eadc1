//! Whether requests have to wait for the host's storage at present.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Requests that are taken for waiting ones after one that waited, before the next is tried.
const FIRST_BREAK: u32 = 16;
const LONGEST_BREAK: u32 = 1024;

/// What lately run requests tell of the next: those served from the host's page cache never
/// wait, and come in flocks.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Requests to take for waiting ones yet.
    left: AtomicU32,
    /// How many the last one that waited has cost.
    last: AtomicU32,
}

impl Pace {
    /// Whether the next request is worth trying.
    pub(super) fn is_quick(&self) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err()
    }

    /// Runs a request, and takes note of whether it waited.
    pub(super) fn watch<T>(&self, request: impl FnOnce() -> T) -> T {
        let before = waits();
        let result = request();
        self.note(waits() != before);
        result
    }

    /// Has the next request taken for one that waits, or all for ones that do not.
    #[cfg(test)]
    pub(super) fn pretend(&self, waiting: bool) {
        self.left.store(waiting.into(), Relaxed);
    }

    fn note(&self, waited: bool) {
        if !waited {
            self.last.store(0, Relaxed);
            return;
        }
        let pause = (self.last.load(Relaxed) * 2).clamp(FIRST_BREAK, LONGEST_BREAK);
        self.last.store(pause, Relaxed);
        self.left.store(pause, Relaxed);
    }
}

/// How often this thread has given up the processor to wait (getrusage(2), `ru_nvcsw`).
fn waits() -> i64 {
    // SAFETY: all of it may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes the whole of it. It cannot fail for the calling thread.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nvcsw
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that are handed over until one is tried.
    fn handed_over(pace: &Pace) -> u32 {
        (0..).find(|_| pace.is_quick()).unwrap()
    }

    #[test]
    fn who_waits_is_handed_over_for_longer_and_longer() {
        let pace = Pace::default();
        let wait = || std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(handed_over(&pace), 0);
        pace.watch(|| ());
        assert_eq!(handed_over(&pace), 0);
        for expected in [16, 32, 64, 128, 256, 512, 1024, 1024] {
            pace.watch(wait);
            assert_eq!(handed_over(&pace), expected);
        }
        pace.watch(|| ());
        assert_eq!(handed_over(&pace), 0);
        pace.watch(wait);
        assert_eq!(handed_over(&pace), 16);
    }
}
