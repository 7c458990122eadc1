//! `berth delete`: a machine with its disks.

use std::io::{IsTerminal, Write};

use clap::Args;

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
    write!(error, "Delete “{}” and the disks in its folder for good? [y/N] ", printable(name))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
