//! Changes of media that wait for the guest.
//!
//! A system locks the tray as soon as it sees a medium, and opens it when the button on the drive's
//! front is pressed. A change of such a medium presses the button and waits here until the guest
//! has opened the tray, or has had time enough. What is done then is the supervisor's to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::block::{BlockDevice, OpticalMedium};
use crate::memory::GuestRam;
use crate::sentence;
use crate::timer::Timer;

/// How long a guest has to open the tray. Linux looks for the button every 2 s and then leaves it
/// to udev.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is to be in a drive: a medium or nothing.
#[derive(Clone, Default)]
pub(super) struct Medium {
    pub(super) path: Option<PathBuf>,
    pub(super) image: Option<Arc<dyn BlockDevice>>,
}

impl Medium {
    /// Opens the ISO image at `path`, if any. An error is a sentence for the user.
    pub(super) fn open(path: Option<&Path>, ram: &Arc<GuestRam>) -> Result<Self, String> {
        let image = path
            .map(|path| OpticalMedium::open(path, ram.clone()))
            .transpose()
            .map_err(sentence::ended)?
            .map(|image| image as Arc<dyn BlockDevice>);
        Ok(Self { path: path.map(Path::to_path_buf), image })
    }
}

/// A change that waits for the guest to open the tray.
struct Change {
    drive: usize,
    medium: Medium,
    until: Instant,
}

/// The changes that wait, at most one for each drive.
pub(super) struct MediaChanges {
    waiting: Vec<Change>,
    timer: Timer,
}

impl MediaChanges {
    /// None yet. `timer` fires when it is time to ask for [`Self::expired`].
    pub(super) fn new(timer: Timer) -> Self {
        Self { waiting: Vec::new(), timer }
    }

    /// Keeps `medium` for `drive` until the guest opens its tray, instead of what may have been
    /// waiting for that.
    pub(super) fn wait(&mut self, drive: usize, medium: Medium) {
        self.forget(drive);
        self.waiting.push(Change { drive, medium, until: Instant::now() + PATIENCE });
        self.arm();
    }

    /// The guest has opened the tray of `drive`: what is to be put into it, if anything waits.
    pub(super) fn take(&mut self, drive: usize) -> Option<Medium> {
        let index = self.waiting.iter().position(|change| change.drive == drive)?;
        Some(self.waiting.swap_remove(index).medium)
    }

    /// The guest has been reset, which frees all trays: whatever waits, by drive.
    pub(super) fn take_all(&mut self) -> Vec<(usize, Medium)> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|change| (change.drive, change.medium)).collect()
    }

    /// Nothing waits for `drive` any more.
    pub(super) fn forget(&mut self, drive: usize) {
        self.waiting.retain(|change| change.drive != drive);
    }

    /// Gives everybody as much time again: the guest stood still.
    pub(super) fn start_over(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.waiting.iter_mut().for_each(|change| change.until = until);
        self.arm();
    }

    /// What has waited in vain, by drive.
    pub(super) fn expired(&mut self) -> Vec<(usize, Medium)> {
        let now = Instant::now();
        let expired = self.waiting.extract_if(.., |change| change.until <= now);
        let expired = expired.map(|change| (change.drive, change.medium)).collect();
        self.arm();
        expired
    }

    fn arm(&self) {
        match self.waiting.iter().map(|change| change.until).min() {
            Some(first) => self.timer.arm(first.saturating_duration_since(Instant::now())),
            None => self.timer.disarm(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::timer::Timers;

    fn medium(name: &str) -> Medium {
        Medium { path: Some(name.into()), image: None }
    }

    fn names(changes: Vec<(usize, Medium)>) -> Vec<(usize, String)> {
        let name = |medium: Medium| medium.path.unwrap().display().to_string();
        changes.into_iter().map(|(drive, medium)| (drive, name(medium))).collect()
    }

    /// Changes whose guests have no time left.
    fn age(changes: &mut MediaChanges) {
        for change in &mut changes.waiting {
            change.until -= PATIENCE;
        }
        changes.arm();
    }

    #[test]
    fn a_change_waits_for_its_tray_and_no_longer_than_its_time() {
        let timers = Timers::new(|_| {}).unwrap();
        let (fire, fired) = mpsc::channel();
        let mut changes = MediaChanges::new(timers.timer(move || fire.send(()).unwrap()));
        assert!(changes.take(1).is_none());

        changes.wait(1, medium("first"));
        changes.wait(2, medium("other drive"));
        changes.wait(1, medium("second"));
        assert!(changes.expired().is_empty());
        assert!(fired.try_recv().is_err());
        assert_eq!(changes.take(1).unwrap().path, Some("second".into()));
        assert!(changes.take(1).is_none());

        age(&mut changes);
        fired.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(names(changes.expired()), [(2, "other drive".to_owned())]);
        assert!(changes.expired().is_empty());
        assert!(fired.try_recv().is_err(), "nothing waits, nothing fires");
    }

    #[test]
    fn a_pause_costs_the_guest_no_time_and_a_reset_frees_all_trays() {
        let timers = Timers::new(|_| {}).unwrap();
        let mut changes = MediaChanges::new(timers.timer(|| {}));
        changes.wait(0, medium("a"));
        changes.wait(3, medium("b"));
        age(&mut changes);
        changes.start_over();
        assert!(changes.expired().is_empty());
        changes.forget(0);
        assert_eq!(names(changes.take_all()), [(3, "b".to_owned())]);
        age(&mut changes);
        assert!(changes.expired().is_empty());
    }
}
