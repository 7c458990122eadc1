//! The help in the user's language.
//!
//! The English texts are those of the options' doc comments, where `po/extract` finds them, and some
//! of clap's own. What `[OPTIONS]` and `[COMMAND]` stand for is clap's to say, and names of values
//! are the same in all languages.

use std::fmt::Write as _;

use clap::builder::{Resettable, StyledStr};
use clap::{Arg, Command};
use vmm_core::text::translated;
use vmm_core::{gettext_noop, text};

/// What clap says by itself, for `po/extract`.
const _: [&str; 5] = [
    gettext_noop!("Print help"),
    gettext_noop!("Print help (see more with '--help')"),
    gettext_noop!("Print help (see a summary with '-h')"),
    gettext_noop!("Print version"),
    gettext_noop!("Print this message or the help of the given subcommand(s)"),
];

/// `command` as it was described, or with all its help translated if there is a translation.
pub(super) fn in_language(mut command: Command) -> Command {
    if text!("Usage:") == "Usage:" {
        return command;
    }
    // Adds the options and the subcommand that ask for help.
    command.build();
    translate(command)
}

fn translate(command: Command) -> Command {
    let about = said(command.get_about());
    let long_about = said(command.get_long_about());
    let after = said(command.get_after_help());
    let long_after = said(command.get_after_long_help());
    let template = template(&command);
    command
        .about(about)
        .long_about(long_about)
        .after_help(after)
        .after_long_help(long_after)
        .help_template(template)
        .subcommand_help_heading(text!("Commands"))
        // Else clap_mangen makes it of the heading.
        .subcommand_value_name("COMMAND")
        .mut_args(argument)
        .mut_subcommands(translate)
}

fn said(text: Option<&StyledStr>) -> Resettable<StyledStr> {
    text.map(|text| translated(&text.to_string()).into()).into()
}

/// clap's own template but for the word above the usage.
fn template(command: &Command) -> StyledStr {
    let style = command.get_styles().get_usage();
    let mut template = StyledStr::new();
    // A text takes everything.
    let _ = write!(
        template,
        "{{before-help}}{{about-with-newline}}\n{style}{}{style:#} {{usage}}\n\n\
         {{all-args}}{{after-help}}",
        text!("Usage:"),
    );
    template
}

fn argument(argument: Arg) -> Arg {
    let heading = match argument.get_help_heading() {
        Some(heading) => translated(heading),
        // Translators: these headings get a colon behind them.
        None if argument.is_positional() => text!("Arguments"),
        None => text!("Options"),
    };
    let help = said(argument.get_help());
    let long_help = said(argument.get_long_help());
    // Below a heading of its own, clap would sort arguments by their names.
    let argument = match argument.get_index() {
        Some(index) => argument.display_order(index),
        None => argument,
    };
    with_default(argument.help(help).long_help(long_help).help_heading(heading))
}

/// Says in the help what the value is if none is given, which clap says in English.
fn with_default(argument: Arg) -> Arg {
    if argument.is_hide_default_value_set() || !argument.get_action().takes_values() {
        return argument;
    }
    let [value] = argument.get_default_values() else { return argument };
    let default = text!("[default: {value}]", value = value.to_string_lossy());
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let long_help = argument.get_long_help().map_or_else(|| help.clone(), ToString::to_string);
    argument
        .help(format!("{help} {default}"))
        .long_help(format!("{long_help}\n\n{default}"))
        .hide_default_value(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::error::ErrorKind;
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::Cli;

    /// The English texts of all that [`translate`] translates.
    fn texts(command: &Command, found: &mut BTreeSet<String>) {
        let abouts = [command.get_about(), command.get_long_about()];
        let afters = [command.get_after_help(), command.get_after_long_help()];
        let helps = command.get_arguments().flat_map(|arg| [arg.get_help(), arg.get_long_help()]);
        let all = abouts.into_iter().chain(afters).chain(helps).flatten();
        found.extend(all.map(ToString::to_string));
        let headings = command.get_arguments().filter_map(Arg::get_help_heading);
        found.extend(headings.map(str::to_owned));
        command.get_subcommands().for_each(|command| texts(command, found));
    }

    /// The texts that a PO file translates.
    fn messages(catalogue: &str) -> BTreeSet<String> {
        let mut messages = BTreeSet::new();
        let mut lines = catalogue.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("msgid ") else { continue };
            let mut message = unquoted(first);
            while let Some(line) = lines.next_if(|line| line.starts_with('"')) {
                message += &unquoted(line);
            }
            messages.insert(message);
        }
        messages
    }

    fn unquoted(line: &str) -> String {
        let text = line.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let parts = text.expect("it is quoted").split("\\\\");
        let parts = parts.map(|part| part.replace("\\n", "\n").replace("\\\"", "\""));
        parts.collect::<Vec<_>>().join("\\")
    }

    #[test]
    fn all_help_can_be_translated() {
        let mut command = Cli::command();
        command.build();
        let mut found = BTreeSet::new();
        texts(&command, &mut found);
        assert!(found.len() > 50, "{found:?}");
        let known = messages(include_str!("../../../po/zh_TW.po"));
        let unknown: Vec<_> = found.difference(&known).collect();
        assert!(unknown.is_empty(), "po/extract does not find {unknown:#?}");
    }

    #[test]
    fn a_translated_command_line_is_read_like_the_other() {
        let mut command = Cli::command();
        command.build();
        let mut command = translate(command);
        let read = |command: &mut Command, line: &str| {
            let matches = command.try_get_matches_from_mut(line.split(' '))?;
            Cli::from_arg_matches(&matches)
        };
        for line in [
            "berth new one --size 1G --disk a,bus=sata --no-network",
            "berth boot --cpus 2 --wait 1 --type x --until-off",
            "berth open a b",
            "berth",
        ] {
            let plain = format!("{:?}", read(&mut Cli::command(), line).unwrap());
            assert_eq!(format!("{:?}", read(&mut command, line).unwrap()), plain, "{line}");
        }
        for (line, kind) in [
            ("berth boot --cpus 0", ErrorKind::ValueValidation),
            ("berth open --new a", ErrorKind::ArgumentConflict),
            ("berth help boot", ErrorKind::DisplayHelp),
            ("berth list -h", ErrorKind::DisplayHelp),
            ("berth -V", ErrorKind::DisplayVersion),
        ] {
            assert_eq!(read(&mut command, line).unwrap_err().kind(), kind, "{line}");
        }
    }

    #[test]
    fn what_is_translated_looks_as_clap_makes_it() {
        let mut command = Cli::command();
        command.build();
        // Into English, here.
        let mut translated = translate(command.clone());
        assert_eq!(
            translated.render_long_help().to_string(),
            command.render_long_help().to_string()
        );
        for subcommand in command.get_subcommands_mut() {
            let name = subcommand.get_name().to_owned();
            let other = translated.find_subcommand_mut(&name).unwrap();
            for (plain, translated) in [
                (subcommand.render_help(), other.render_help()),
                (subcommand.render_long_help(), other.render_long_help()),
            ] {
                assert_eq!(translated.to_string(), plain.to_string(), "{name}");
            }
        }
    }
}
