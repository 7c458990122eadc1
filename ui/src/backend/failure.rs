//! Why something could not be done, as a person is told.

use std::error::Error;
use std::fmt;

use vmm_core::sentence::{ended, sentence};

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
        let message = as_sentence(&sentence(error));
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

/// What a program says, with a capital letter and a full stop.
pub(crate) fn as_sentence(text: &str) -> String {
    let text = capitalised(text);
    if text.ends_with(['.', '!', '?', '”', '。']) { text } else { ended(text) }
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
    fn a_sentence_has_one_full_stop() {
        for (text, expected) in [
            ("it is full", "It is full."),
            ("It is full.", "It is full."),
            ("use “qemu-img check”", "Use “qemu-img check”"),
            ("檔案系統已滿。", "檔案系統已滿。"),
        ] {
            assert_eq!(as_sentence(text), expected);
        }
    }
}
