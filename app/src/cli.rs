//! The command line as a whole: subcommands, help, and bad input as one line.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::commands::{
    Result, boot, clone, delete, download, generate, list, new, open, run, show,
};
use crate::report;

/// Virtual machines on the desktop.
#[derive(Debug, Parser)]
#[command(name = "berth", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    /// What to do: show the window, unless something else was asked for.
    pub(crate) fn chosen(self) -> Command {
        self.command.unwrap_or(Command::Open(open::Open::default()))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Open(open::Open),
    Boot(Box<boot::Boot>),
    New(Box<new::New>),
    List(list::List),
    Show(show::Show),
    Run(run::Run),
    Clone(clone::Clone),
    Delete(delete::Delete),
    Download(download::Download),
    #[command(hide = true)]
    Completions(generate::Completions),
    #[command(hide = true)]
    Manual(generate::Manual),
}

impl Command {
    pub(crate) fn run(self) -> Result<report::Outcome> {
        match self {
            Self::Open(command) => command.run(),
            Self::Boot(command) => command.run(),
            Self::New(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Clone(command) => command.run(),
            Self::Delete(command) => command.run(),
            Self::Download(command) => command.run(),
            Self::Completions(command) => command.run(),
            Self::Manual(command) => command.run(),
        }
    }
}

/// Reads the command line. What is not a command to run (help, the version, bad input) has been
/// printed when this returns the exit status to end with.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nowhere to tell that the help cannot be written.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::FAILURE
        }
        _ => {
            report::message(&one_line(&error.render().to_string()));
            ExitCode::FAILURE
        }
    })
}

/// clap's answer to bad input spans several paragraphs: what is wrong, tips, the usage. The first
/// says it; the tips and the hint at the help go behind it.
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
        } else if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            let command: Vec<_> =
                usage.split(' ').take_while(|word| word.starts_with(char::is_lowercase)).collect();
            line.push_str(&format!(" (see {} --help)", command.join(" ")));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn bad_input_is_one_line_with_a_hint() {
        for (arguments, expected) in [
            (&["boot", "--cpus", "x"][..], "'x' for '--cpus"),
            (&["boot", "--frobnicate"], "(see berth boot --help)"),
            (&["boot", "--firmware", "coreboot"], "bios, uefi"),
            (&["bot"], "'boot'"),
        ] {
            let error = Cli::try_parse_from([&["berth"], arguments].concat()).unwrap_err();
            let line = one_line(&error.render().to_string());
            assert!(!line.contains('\n') && line.contains(expected), "{line}");
        }
    }
}
