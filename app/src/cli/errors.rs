//! What is wrong with a command line, as one sentence in the user's language.
//!
//! clap's own answers are several paragraphs, and English: these sentences are made from what it
//! has found instead. What people hardly meet is told in clap's words.

use std::error::Error as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use vmm_core::text;

/// The sentence, with a hint at the help where that tells more.
pub(super) fn sentence(error: &Error) -> String {
    let Some(reason) = reason(error) else { return one_line(&error.render().to_string()) };
    match styled(error, ContextKind::Usage).first().and_then(|usage| help_command(usage)) {
        Some(command) => text!("{reason} (see {command})", reason, command),
        None => reason,
    }
}

fn reason(error: &Error) -> Option<String> {
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_argument(error),
        ErrorKind::InvalidSubcommand => unknown_subcommand(error),
        ErrorKind::InvalidValue => invalid_value(error),
        ErrorKind::ValueValidation => {
            let (argument, value) = argument_and_value(error)?;
            let reason = error.source()?;
            Some(text!("“{value}” is no value for “{argument}”: {reason}", value, argument, reason))
        }
        ErrorKind::TooManyValues => {
            let (argument, value) = argument_and_value(error)?;
            Some(text!(
                "“{argument}” does not take the value “{value}”; leave it out",
                argument,
                value
            ))
        }
        ErrorKind::MissingRequiredArgument => missing(error),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::InvalidUtf8 => {
            Some(text!("an argument is no UTF-8 text, which it has to be here; write it anew"))
        }
        _ => None,
    }
}

fn unknown_argument(error: &Error) -> Option<String> {
    let argument = *strings(error, ContextKind::InvalidArg).first()?;
    if let Some(similar) = strings(error, ContextKind::SuggestedArg).first() {
        return Some(text!(
            "unexpected argument “{argument}”; a similar one is “{similar}”",
            argument,
            similar
        ));
    }
    let suggestions = styled(error, ContextKind::Suggested);
    if let Some(command) = suggestions.iter().find_map(|text| existing(text)) {
        return Some(text!(
            "unexpected argument “{argument}”; there is “{command}”",
            argument,
            command
        ));
    }
    let behind_dashes = format!("-- {argument}");
    if suggestions.iter().any(|text| text.contains(&behind_dashes)) {
        return Some(text!(
            "unexpected argument “{argument}”; write “-- {argument}” if it is a value",
            argument
        ));
    }
    Some(text!("unexpected argument “{argument}”", argument))
}

/// The subcommand and option in clap's “'boot --iso' exists”.
fn existing(suggestion: &str) -> Option<&str> {
    suggestion.strip_prefix('\'')?.strip_suffix("' exists")
}

fn unknown_subcommand(error: &Error) -> Option<String> {
    let name = *strings(error, ContextKind::InvalidSubcommand).first()?;
    let similar = strings(error, ContextKind::SuggestedSubcommand).join(", ");
    Some(if similar.is_empty() {
        text!("there is no subcommand “{name}”", name)
    } else {
        text!("there is no subcommand “{name}”; similar: {similar}", name, similar)
    })
}

fn invalid_value(error: &Error) -> Option<String> {
    let (argument, value) = argument_and_value(error)?;
    let values = strings(error, ContextKind::ValidValue).join(", ");
    Some(match (value.is_empty(), values.is_empty()) {
        (true, true) => text!("“{argument}” needs a value; write one behind it", argument),
        (true, false) => {
            text!("“{argument}” needs a value; write one of these: {values}", argument, values)
        }
        (false, true) => text!("“{value}” is no value for “{argument}”", value, argument),
        (false, false) => text!(
            "“{value}” is no value for “{argument}”; write one of these: {values}",
            value,
            argument,
            values
        ),
    })
}

fn missing(error: &Error) -> Option<String> {
    match strings(error, ContextKind::InvalidArg)[..] {
        [] => None,
        [argument] => Some(text!("“{argument}” is missing; add it", argument)),
        ref several => {
            let arguments = several.join(" ");
            Some(text!("these are missing: {arguments}; add them", arguments))
        }
    }
}

fn conflict(error: &Error) -> Option<String> {
    let argument = *strings(error, ContextKind::InvalidArg).first()?;
    let others = strings(error, ContextKind::PriorArg);
    Some(match others[..] {
        [] => return None,
        [other] if other == argument => {
            text!("“{argument}” can be given only once; leave out the others", argument)
        }
        [other] => text!(
            "“{argument}” and “{other}” exclude each other; leave out one of them",
            argument,
            other
        ),
        _ => text!(
            "“{argument}” cannot be used with these: {others}; leave out it or them",
            argument,
            others = others.join(" ")
        ),
    })
}

fn argument_and_value(error: &Error) -> Option<(&str, &str)> {
    let argument = strings(error, ContextKind::InvalidArg).first().copied()?;
    Some((argument, strings(error, ContextKind::InvalidValue).first().copied()?))
}

fn strings(error: &Error, kind: ContextKind) -> Vec<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn styled(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        Some(ContextValue::StyledStrs(texts)) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// “berth boot --help” from clap's “Usage: berth boot [OPTIONS]”.
fn help_command(usage: &str) -> Option<String> {
    let words = usage.strip_prefix("Usage: ")?.split_whitespace();
    let command: Vec<_> = words.take_while(|word| word.starts_with(char::is_lowercase)).collect();
    Some(format!("{} --help", command.join(" ")))
}

/// The first paragraph of clap's answer says what is wrong; the tips and the hint at the help go
/// behind it.
fn one_line(rendered: &str) -> String {
    let mut paragraphs = rendered
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let first = paragraphs.next().unwrap_or_default();
    let mut line = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    for paragraph in paragraphs {
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            line.push_str("; ");
            line.push_str(tip);
        } else if let Some(command) = help_command(&paragraph) {
            line.push_str(&format!(" (see {command})"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn error(arguments: &[&str]) -> Error {
        Cli::try_parse_from([&["berth"], arguments].concat()).unwrap_err()
    }

    #[test]
    fn bad_input_is_one_sentence_with_a_way_out() {
        for (arguments, expected) in [
            (
                &["boot", "--cpus", "x"][..],
                "“x” is no value for “--cpus <NUMBER>”: write a whole number from 1 to 64",
            ),
            (
                &["boot", "--frobnicate"],
                "unexpected argument “--frobnicate” (see berth boot --help)",
            ),
            (
                &["boot", "--memry", "1G"],
                "unexpected argument “--memry”; a similar one is “--memory” (see berth boot --help)",
            ),
            (
                &["boot", "--firmware", "coreboot"],
                "“coreboot” is no value for “--firmware <bios|uefi>”; write one of these: bios, uefi",
            ),
            (&["boot", "surplus"], "unexpected argument “surplus” (see berth boot --help)"),
            (
                &["open", "--frobnicate"],
                "unexpected argument “--frobnicate”; write “-- --frobnicate” if it is a value \
                 (see berth open --help)",
            ),
            (
                &["--iso", "x", "boot"],
                "unexpected argument “--iso”; there is “boot --iso” (see berth --help)",
            ),
            (&["bot"], "there is no subcommand “bot”; similar: boot (see berth --help)"),
            (&["xyzzy"], "there is no subcommand “xyzzy” (see berth --help)"),
            (&["boot", "--cpus"], "“--cpus <NUMBER>” needs a value; write one behind it"),
            (
                &["boot", "--no-display=1"],
                "“--no-display” does not take the value “1”; leave it out (see berth boot --help)",
            ),
            (&["show"], "“<NAME>” is missing; add it (see berth show --help)"),
            (&["clone"], "these are missing: <NAME> <NEW>; add them (see berth clone --help)"),
            (
                &["boot", "--cpus", "1", "--cpus", "2"],
                "“--cpus <NUMBER>” can be given only once; leave out the others \
                 (see berth boot --help)",
            ),
            (
                &["open", "--new", "a"],
                "“--new” and “[FILES]...” exclude each other; leave out one of them \
                 (see berth open --help)",
            ),
        ] {
            let error = error(arguments);
            assert!(reason(&error).is_some(), "{arguments:?}: {error}");
            assert_eq!(sentence(&error), expected, "{arguments:?}");
        }
    }

    #[test]
    fn what_has_no_sentence_of_its_own_is_one_line_of_claps() {
        for (arguments, expected) in [
            (&["boot", "--frobnicate"][..], "(see berth boot --help)"),
            (&["boot", "--firmware", "coreboot"], "bios, uefi"),
            (&["bot"], "'boot'"),
        ] {
            let line = one_line(&error(arguments).render().to_string());
            assert!(!line.contains('\n') && line.contains(expected), "{line}");
        }
    }
}
