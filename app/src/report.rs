//! What is said to the person at the terminal: failures as one line, and the exit status.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use vmm_core::sentence::sentence;

use crate::printable::printable;
use crate::terminal;

/// How a subcommand that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As wished: the guest is off, or the script's last step is done.
    Done,
    /// `--timeout` ran out first.
    TimedOut,
    /// This signal asked to end.
    Signal(i32),
}

impl Outcome {
    /// The exit status, or for a signal, the death by it that the parent process expects to see.
    pub(crate) fn exit(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::TimedOut => ExitCode::from(3),
            Self::Signal(signal) => {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                ExitCode::FAILURE
            }
        }
    }
}

/// Tells why a subcommand failed.
pub(crate) fn failure(error: &(dyn Error + 'static)) {
    message(&sentence(error));
}

/// Prints one line to standard error, also while the terminal is in raw mode. Control characters
/// (a file name may hold some) are written as escapes.
pub(crate) fn message(text: &str) {
    let end = if terminal::is_raw() { "\r\n" } else { "\n" };
    // When standard error is gone there is nowhere left to say so.
    let _ = std::io::stderr().write_all(format!("berth: {}{end}", printable(text)).as_bytes());
}
