//! `berth completions` and `berth manual`: what packages install beside the program, made from the
//! command line itself.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Result;
use crate::cli::Cli;
use crate::report::Outcome;

/// Print the completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which one
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "berth", &mut text);
        std::io::stdout().write_all(&text)?;
        Ok(Outcome::Done)
    }
}

/// Print the manual page, with all subcommands
#[derive(Debug, Args)]
pub(crate) struct Manual;

impl Manual {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut command = Cli::command();
        command.build();
        let mut text = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut text)?;
        for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("berth {}", subcommand.get_name()).to_uppercase();
            writeln!(text, ".SH \"{name}\"")?;
            let manual = clap_mangen::Man::new(subcommand.clone());
            manual.render_description_section(&mut text)?;
            manual.render_options_section(&mut text)?;
        }
        std::io::stdout().write_all(&text)?;
        Ok(Outcome::Done)
    }
}
