//! `berth clone`: a machine like another.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use vmm_core::definition::Name;
use vmm_core::units::Bytes;

use super::{Result, print, store};
use crate::report::Outcome;

/// How often the terminal is told how far the copy is.
const INTERVAL: Duration = Duration::from_millis(100);

/// Make a machine like another one, with copies of its disks
#[derive(Debug, Args)]
pub(crate) struct Clone {
    /// What the original is called; it must be off
    name: String,

    /// What the new one is called
    new: Name,
}

impl Clone {
    pub(crate) fn run(self) -> Result<Outcome> {
        let store = store()?;
        let vm = store.load(&self.name)?;
        // What asked to end, 0 for nothing: the half-made copy is removed first.
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
        }
        let mut line = ProgressLine::default();
        let clone = store.duplicate(&vm, self.new, &mut |done, total| {
            line.show(done, total);
            signal.load(Ordering::Relaxed) == 0
        });
        line.clear();
        match clone {
            Err(error) if error.is_cancelled() => {
                Ok(Outcome::Signal(signal.load(Ordering::Relaxed) as i32))
            }
            other => {
                let clone = other?;
                let (name, folder) = (&clone.definition().name, clone.folder());
                print(&[format!("“{name}” is in {}", folder.display())])?;
                Ok(Outcome::Done)
            }
        }
    }
}

/// A line on the terminal that is written over and over.
#[derive(Debug, Default)]
struct ProgressLine {
    shown: Option<Instant>,
}

impl ProgressLine {
    fn show(&mut self, done: Bytes, total: Bytes) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= INTERVAL);
        if due && std::io::stderr().is_terminal() {
            self.shown = Some(Instant::now());
            let _ = write!(std::io::stderr(), "\r{}\x1b[K", progress_text(done, total));
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn progress_text(done: Bytes, total: Bytes) -> String {
    let percent = (done.0 * 100).checked_div(total.0).unwrap_or(100);
    format!("Copying the disks: {percent} % of {} MiB", total.0.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_words() {
        let text = |done, total| progress_text(Bytes(done), Bytes(total));
        assert_eq!(text(0, 3 << 20), "Copying the disks: 0 % of 3 MiB");
        assert_eq!(text(1 << 40, 2 << 40), "Copying the disks: 50 % of 2097152 MiB");
        assert_eq!(text(0, 0), "Copying the disks: 100 % of 0 MiB");
    }
}
