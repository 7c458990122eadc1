//! Errors as people read them: front ends tell every failure this way.

use std::error::Error;
use std::fmt::Display;

use crate::text;

/// An error and those causes that it does not quote already, as one sentence.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = with_cause(&text, cause_text);
        }
        source = cause.source();
    }
    without_numbers(&text)
}

/// What happened, and why.
pub(crate) fn with_cause(event: &str, cause: impl Display) -> String {
    // Translators: what happened, and why.
    text!("{event}: {cause}", event, cause)
}

/// `sentence`, which has no full stop yet, with one.
pub fn ended(sentence: impl Display) -> String {
    // Translators: a sentence gets its full stop.
    text!("{sentence}.", sentence)
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
}
