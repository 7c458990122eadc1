//! The command line as a whole: subcommands, help (`help`), and bad input as one line (`errors`).

mod errors;
mod help;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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

/// The command line, its help in the user's language.
pub(crate) fn command() -> clap::Command {
    help::in_language(Cli::command())
}

/// Reads the command line. What is not a command to run (help, the version, bad input) has been
/// printed when this returns the exit status to end with.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let mut command = command();
    let read = command.try_get_matches_from_mut(arguments);
    let read = read.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    read.map_err(|error| match error.kind() {
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
            report::message(&errors::sentence(&error.format(&mut command)));
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
