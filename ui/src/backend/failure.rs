//! Why something could not be done, as a person is told.

use std::error::Error;
use std::fmt::{self, Write as _};

/// A sentence for a person, with what lies behind it for those who want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One or two sentences: what failed, and what to do.
    pub message: String,
    /// The causes, a line each; empty when there is nothing to add.
    pub details: String,
    /// Whether it ended because somebody cancelled it: nobody needs to be told.
    pub cancelled: bool,
}

impl Failure {
    /// A failure that needs no explanation.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), details: String::new(), cancelled: false }
    }

    /// The end of something that was cancelled.
    pub fn cancelled() -> Self {
        Self { cancelled: true, ..Self::new(gettextrs::gettext("Cancelled.")) }
    }

    /// Tells `error` with its causes as a sentence, and each on a line of its own as the details.
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut message = capitalised(&sentence(error));
        if !message.ends_with(['.', '!', '?', '”']) {
            message.push('.');
        }
        let mut lines = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            lines.push(cause.to_string());
            source = cause.source();
        }
        let details = if lines.len() > 1 { lines.join("\n") } else { String::new() };
        Self { message, details, cancelled: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// An error and those causes that it does not quote already, as one sentence.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
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

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open disk.qcow2")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_becomes_a_sentence_with_details() {
        let failure = Failure::from_error(&Outer(std::io::Error::other("no such device")));
        assert_eq!(failure.message, "Cannot open disk.qcow2: no such device.");
        assert_eq!(failure.details, "cannot open disk.qcow2\nno such device");
        assert!(!failure.cancelled);
    }

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
}
