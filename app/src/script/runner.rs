//! Carries a script out.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Sender;
use thiserror::Error;
use vmm_core::display::{Display, Mode};
use vmm_core::machine::{Command, PointerEvent, SerialInput};
use vmm_core::text;

use super::view::View;
use super::{Action, Condition, Script, Step, keys};
use crate::screenshot::{self, ScreenshotError};

/// How often the screen is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often a full queue is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// Serial output that a match may span.
const WINDOW: usize = 64 * 1024;

/// Why a script cannot go on.
#[derive(Debug, Error)]
pub(crate) enum ScriptError {
    #[error(transparent)]
    Screenshot(#[from] ScreenshotError),
    #[error("{}", text!(
        "there is no optical drive for --insert or --eject; add one with --iso"
    ))]
    NoOpticalDrive,
}

/// How far a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Waiting; look again at this time at the latest, if given.
    Waiting(Option<Instant>),
    /// The last step is done.
    Done,
}

/// A script at work on a machine.
pub(crate) struct Runner {
    steps: VecDeque<Step>,
    /// What the current step still has to do; empty while it waits for its condition.
    actions: VecDeque<Action>,
    /// When the current step began to wait.
    since: Instant,
    /// When a paused machine goes on.
    resume_at: Option<Instant>,
    /// Serial output since the last match.
    serial: Vec<u8>,
    serial_seen: bool,
    view: View,
    /// Commands the machine's queue had no room for yet.
    commands: VecDeque<Command>,
    /// Serial input its queue had no room for yet.
    input: VecDeque<Vec<u8>>,
    machine: Connections,
}

/// Where a script reaches a machine.
pub(crate) struct Connections {
    /// Takes commands.
    pub(crate) commands: Sender<Command>,
    /// Takes serial input.
    pub(crate) serial_input: SerialInput,
    /// The screen.
    pub(crate) display: Arc<dyn Display>,
    /// Which drive `--insert` and `--eject` mean.
    pub(crate) optical: Option<usize>,
}

impl Runner {
    /// Begins the first step.
    ///
    /// # Errors
    /// When a step could not be done later, whatever the guest does.
    pub(crate) fn new(script: &Script, machine: Connections) -> Result<Self, ScriptError> {
        let now = Instant::now();
        check(script, machine.optical)?;
        Ok(Self {
            steps: script.steps.clone().into(),
            actions: VecDeque::new(),
            since: now,
            resume_at: None,
            serial: Vec::new(),
            serial_seen: false,
            view: View::new(now),
            commands: VecDeque::new(),
            input: VecDeque::new(),
            machine,
        })
    }

    /// What the current step waits for.
    pub(crate) fn waits_for(&self) -> Option<&Condition> {
        self.steps.front().map(|step| &step.condition)
    }

    /// Takes note of serial output.
    pub(crate) fn serial_output(&mut self, bytes: &[u8]) {
        self.serial.extend_from_slice(bytes);
        self.serial_seen = true;
    }

    /// Goes on as far as possible.
    ///
    /// # Errors
    /// When an action fails.
    pub(crate) fn advance(&mut self, now: Instant, off: bool) -> Result<Progress, ScriptError> {
        loop {
            if !self.flush() && !off {
                return Ok(Progress::Waiting(Some(now + RETRY)));
            }
            if let Some(time) = self.resume_at {
                if now < time && !off {
                    return Ok(Progress::Waiting(Some(time)));
                }
                self.resume_at = None;
                self.commands.push_back(Command::Resume);
                continue;
            }
            if let Some(action) = self.actions.pop_front() {
                self.act(action, now)?;
                continue;
            }
            let Some(step) = self.steps.front() else { return Ok(Progress::Done) };
            let condition = step.condition.clone();
            if !self.is_met(&condition, now, off) {
                return Ok(Progress::Waiting(self.look_again(&condition, now)));
            }
            self.since = now;
            self.view = View::new(now);
            if let Some(step) = self.steps.pop_front() {
                self.actions = step.actions.into();
            }
        }
    }

    /// The pictures that have not been taken, as at the end of a run cut short.
    pub(crate) fn remaining_screenshots(&self) -> Vec<PathBuf> {
        self.actions
            .iter()
            .chain(self.steps.iter().flat_map(|step| &step.actions))
            .filter_map(|action| match action {
                Action::Screenshot(path) => Some(path.clone()),
                _ => None,
            })
            .collect()
    }

    fn look_again(&self, condition: &Condition, now: Instant) -> Option<Instant> {
        match condition {
            Condition::Screen(_)
            | Condition::Graphics
            | Condition::Change
            | Condition::Still(_)
            | Condition::Color(_) => Some(now + LOOK),
            Condition::Wait(time) => Some(self.since + *time),
            Condition::Started | Condition::Serial(_) | Condition::Off => None,
        }
    }

    fn is_met(&mut self, condition: &Condition, now: Instant, off: bool) -> bool {
        let display = &*self.machine.display;
        match condition {
            Condition::Started => true,
            Condition::Serial(regex) => {
                if !std::mem::take(&mut self.serial_seen) {
                    return false;
                }
                let Some(end) = regex.find(&self.serial).map(|found| found.end()) else {
                    let excess = self.serial.len().saturating_sub(WINDOW);
                    self.serial.drain(..excess);
                    return false;
                };
                self.serial.drain(..end);
                self.serial_seen = true;
                true
            }
            Condition::Screen(regex) => display.text().is_some_and(|text| regex.is_match(&text)),
            Condition::Graphics => matches!(display.mode(), Mode::Graphics { .. }),
            Condition::Change => self.view.has_changed(display, now),
            Condition::Still(time) => self.view.is_still(display, now, *time),
            Condition::Color(color) => self.view.has_color(display, now, *color),
            Condition::Wait(time) => now.duration_since(self.since) >= *time,
            Condition::Off => off,
        }
    }

    fn act(&mut self, action: Action, now: Instant) -> Result<(), ScriptError> {
        match action {
            Action::Type(strokes) => self.commands.extend(keys::commands(&strokes)),
            Action::TypeSerial(bytes) => self.input.push_back(bytes),
            Action::Point(x, y) => self.commands.push_back(Command::PointAt { x, y }),
            Action::Balloon(memory) => self.commands.push_back(Command::Balloon(memory)),
            Action::GrowDisk(drive, size) => {
                self.commands.push_back(Command::GrowDisk { drive, size });
            }
            Action::Click => {
                let button = |buttons| PointerEvent { buttons, ..PointerEvent::default() };
                self.commands.extend([1, 0].map(|held| Command::Pointer(button(held))));
            }
            Action::Screenshot(path) => screenshot::take(&*self.machine.display, &path)?,
            Action::ChangeMedium(medium) => {
                let drive = self.machine.optical.ok_or(ScriptError::NoOpticalDrive)?;
                self.commands.push_back(Command::ChangeMedium { drive, medium, force: false });
            }
            Action::Pause(time) => {
                self.commands.push_back(Command::Pause);
                self.resume_at = Some(now + time);
            }
            Action::Shutdown => self.commands.push_back(Command::Shutdown),
            Action::Reset => self.commands.push_back(Command::Reset),
        }
        Ok(())
    }

    /// Hands over what is queued, without ever waiting for the machine: it may be waiting for the
    /// thread this runs on. Whether nothing is left.
    fn flush(&mut self) -> bool {
        for command in self.commands.drain(..) {
            // A machine that is over says so by itself.
            let _ = self.machine.commands.try_send(command);
        }
        while let Some(bytes) = self.input.front_mut() {
            let Ok(sent) = self.machine.serial_input.try_send(bytes) else {
                self.input.clear();
                break;
            };
            bytes.drain(..sent);
            if !bytes.is_empty() {
                return false;
            }
            self.input.pop_front();
        }
        true
    }
}

fn check(script: &Script, optical: Option<usize>) -> Result<(), ScriptError> {
    for action in script.steps.iter().flat_map(|step| &step.actions) {
        match action {
            Action::Screenshot(path) => screenshot::check(path)?,
            Action::ChangeMedium(_) if optical.is_none() => {
                return Err(ScriptError::NoOpticalDrive);
            }
            _ => {}
        }
    }
    Ok(())
}
