//! `berth delete`: a machine with its disks.

use std::io::{IsTerminal, Write};

use clap::Args;
use vmm_core::text;

use super::{Result, store};
use crate::printable::printable;
use crate::report::Outcome;

/// Delete a machine with the disks in its folder
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// What it is called
    name: String,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Delete {
    pub(crate) fn run(self) -> Result<Outcome> {
        let store = store()?;
        let vm = store.load(&self.name)?;
        if !self.yes && std::io::stdin().is_terminal() && !confirmed(&self.name)? {
            return Ok(Outcome::Done);
        }
        store.delete(&vm)?;
        Ok(Outcome::Done)
    }
}

fn confirmed(name: &str) -> Result<bool> {
    let mut error = std::io::stderr();
    let question = text!(
        "Delete “{name}” and the disks in its folder for good? [y/N]",
        name = printable(name)
    );
    write!(error, "{question} ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
