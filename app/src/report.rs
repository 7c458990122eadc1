//! What is said to the person at the terminal: failures as one line, and the exit status.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

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

/// The error and those causes that it does not quote already, as one sentence.
fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    without_numbers(&text)
}

/// `text` without the numbers that the standard library puts behind what the system said.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                plain.push_str(rest);
            }
            _ => plain = format!("{plain} (os error {part}"),
        }
    }
    plain
}

/// `text` with control characters as escapes.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open disk.qcow2")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_becomes_one_sentence_without_repetition() {
        let error = Outer(std::io::Error::other("permission denied"));
        assert_eq!(sentence(&error), "cannot open disk.qcow2: permission denied");
        let quoting = std::io::Error::other(std::io::Error::other("same"));
        assert_eq!(sentence(&quoting), "same");
    }

    #[test]
    fn the_systems_words_come_without_its_numbers() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(sentence(&error), "No such file or directory");
        assert_eq!(without_numbers("a (os error x) b (os error 3), c"), "a (os error x) b, c");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\n\u{1b}[31mé"), "a\\n\\u{1b}[31mé");
    }
}
