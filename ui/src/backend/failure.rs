//! Why something could not be done, as a person is told.

use std::error::Error;
use std::fmt;

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

    /// Tells `error` as its own words, and its causes as the details.
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut message = capitalised(&error.to_string());
        if !message.ends_with(['.', '!', '?', '”']) {
            message.push('.');
        }
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { message, details: causes.join("\n"), cancelled: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

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
    #[error("cannot read the disk")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_becomes_a_sentence_and_its_causes_details() {
        let failure = Failure::from_error(&Outer(std::io::Error::other("no such device")));
        assert_eq!(failure.message, "Cannot read the disk.");
        assert_eq!(failure.details, "no such device");
        assert!(!failure.cancelled);
    }
}
