//! Long work at the terminal: how far it is, and Ctrl+C.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use vmm_core::text;
use vmm_core::units::Bytes;

/// How often the terminal is told how far the work is.
const INTERVAL: Duration = Duration::from_millis(100);

/// The signal that asked to end, which the work looks for.
#[derive(Debug)]
pub(super) struct Signalled(Arc<AtomicUsize>);

impl Signalled {
    /// From now on, signals no longer end the process.
    pub(super) fn watch() -> std::io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
        }
        Ok(Self(signal))
    }

    /// Which one has come.
    pub(super) fn number(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed) as i32).filter(|number| *number != 0)
    }
}

/// A line on the terminal that is written over and over.
#[derive(Debug)]
pub(super) struct ProgressLine {
    what: String,
    shown: Option<Instant>,
}

impl ProgressLine {
    /// `what` is done, in a few words.
    pub(super) fn new(what: String) -> Self {
        Self { what, shown: None }
    }

    pub(super) fn show(&mut self, done: Bytes, total: Bytes) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= INTERVAL);
        if due && std::io::stderr().is_terminal() {
            self.shown = Some(Instant::now());
            let _ = write!(std::io::stderr(), "\r{}\x1b[K", progress(&self.what, done, total));
        }
    }

    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn progress(what: &str, done: Bytes, total: Bytes) -> String {
    let percent = (done.0 * 100).checked_div(total.0).unwrap_or(100);
    // Translators: what is done, and how far it is.
    text!("{what}: {percent} % of {size} MiB", what, percent, size = total.0.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_words() {
        let told = |done, total| progress("Copying", Bytes(done), Bytes(total));
        assert_eq!(told(0, 3 << 20), "Copying: 0 % of 3 MiB");
        assert_eq!(told(1 << 40, 2 << 40), "Copying: 50 % of 2097152 MiB");
        assert_eq!(told(0, 0), "Copying: 100 % of 0 MiB");
    }
}
