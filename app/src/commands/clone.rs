//! `berth clone`: a machine like another.

use clap::Args;
use vmm_core::definition::Name;
use vmm_core::text;

use super::long_work::{ProgressLine, Signalled};
use super::{Result, print, store};
use crate::report::Outcome;

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
        // The half-made copy is removed before this ends.
        let signal = Signalled::watch()?;
        let mut line = ProgressLine::new(text!("Copying the disks"));
        let clone = store.duplicate(&vm, self.new, &mut |done, total| {
            line.show(done, total);
            signal.number().is_none()
        });
        line.clear();
        match clone {
            Err(error) if error.is_cancelled() => {
                Ok(Outcome::Signal(signal.number().unwrap_or_default()))
            }
            other => {
                let clone = other?;
                let (name, folder) = (&clone.definition().name, clone.folder());
                print(&[text!("“{name}” is in {folder}", name, folder = folder.display())])?;
                Ok(Outcome::Done)
            }
        }
    }
}
