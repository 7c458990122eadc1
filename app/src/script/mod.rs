//! Scripted runs: wait for something, then do something, step by step.
//!
//! A [`Script`] is a list of steps, each a condition and the actions done once it is met. It is
//! read from options in the order in which they stand on the command line ([`options`]) and carried
//! out against a running machine by a [`Runner`].

mod keys;
mod options;
mod runner;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use regex::bytes::Regex as BytesRegex;
use vmm_core::text;
use vmm_core::units::Bytes;

use keys::Stroke;
pub(crate) use runner::{Connections, Progress, Runner, ScriptError};

/// What a run waits for and does.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// In order, at least one.
    pub(crate) steps: Vec<Step>,
    /// How long the run may take.
    pub(crate) timeout: Option<Duration>,
}

/// Wait for `condition`, then do `actions` in order.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What is waited for.
    pub(crate) condition: Condition,
    /// What is done then.
    pub(crate) actions: Vec<Action>,
}

/// What a step waits for.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// Nothing: the machine has been started.
    Started,
    /// The guest's serial output since the last match holds this.
    Serial(BytesRegex),
    /// The text on the screen holds this.
    Screen(Regex),
    /// The screen shows pixels, not characters.
    Graphics,
    /// The screen has changed since the step began.
    Change,
    /// The screen shows something, and has not changed for this long.
    Still(Duration),
    /// This colour fills at least this part of the screen.
    Color(Color),
    /// This much time has passed.
    Wait(Duration),
    /// The guest is off.
    Off,
}

/// A colour and how much of the screen it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Color {
    /// Red, green, blue.
    pub(crate) rgb: [u8; 3],
    /// Of all pixels.
    pub(crate) percent: f64,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Type on the keyboard.
    Type(Vec<Stroke>),
    /// Send to the serial port.
    TypeSerial(Vec<u8>),
    /// Point at a place of the screen: each axis from 0 to 32767.
    Point(u16, u16),
    /// Press the mouse's left button and let go of it.
    Click,
    /// Let the guest give up so much memory.
    Balloon(Bytes),
    /// Make the drive with this index larger, a disk, to this size.
    GrowDisk(usize, Bytes),
    /// Take a picture of the screen.
    Screenshot(PathBuf),
    /// Put this medium into the optical drive, or take it out.
    ChangeMedium(Option<PathBuf>),
    /// Let the machine stand still for this long.
    Pause(Duration),
    /// Press the power button.
    Shutdown,
    /// Press the reset button.
    Reset,
}

/// As it is put into “still waited for {condition}”.
impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            // Translators: put into “still waited for {condition}”.
            Self::Started => text!("the start"),
            // Translators: put into “still waited for {condition}”.
            Self::Serial(regex) => text!("“{regex}” on the serial port", regex),
            // Translators: put into “still waited for {condition}”.
            Self::Screen(regex) => text!("“{regex}” on the screen", regex),
            // Translators: put into “still waited for {condition}”.
            Self::Graphics => text!("a graphics mode"),
            // Translators: put into “still waited for {condition}”.
            Self::Change => text!("the screen to change"),
            // Translators: put into “still waited for {condition}”.
            Self::Still(time) => {
                text!("the screen to be still for {seconds} s", seconds = time.as_secs_f64())
            }
            Self::Color(color) => color.to_string(),
            // Translators: put into “still waited for {condition}”.
            Self::Wait(time) => text!("{seconds} s to pass", seconds = time.as_secs_f64()),
            // Translators: put into “still waited for {condition}”.
            Self::Off => text!("the guest to power off"),
        })
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.rgb;
        // Translators: put into “still waited for {condition}”.
        f.write_str(&text!(
            "colour {color} on {percent} % of the screen",
            color = format!("{red:02x}{green:02x}{blue:02x}"),
            percent = self.percent,
        ))
    }
}
