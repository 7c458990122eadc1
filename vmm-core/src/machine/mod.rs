//! The machine: what it is made of, its life, and the front end's handle on it.
//!
//! A [`Machine`] owns its threads, its guest's memory and its files. Commands go in and events
//! come out over `async-channel`; the screen and the serial port have interfaces of their own.
//! Dropping it stops the guest and gives everything back.

mod config;
mod message;
mod subscribers;
mod vcpus;
mod log;

pub use config::{Boot, DriveConfig, MachineConfig};
pub use message::{
    Command, DiskStatistics, Event, ExitCounts, KeyEvent, PauseReason, PointerEvent, State,
    Statistics, StopReason,
};
