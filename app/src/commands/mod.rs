//! The subcommands, one a file, and what several of them share.

pub(crate) mod boot;
pub(crate) mod clone;
mod columns;
pub(crate) mod delete;
pub(crate) mod disk;
pub(crate) mod download;
pub(crate) mod generate;
pub(crate) mod hardware;
pub(crate) mod list;
mod long_work;
pub(crate) mod network;
pub(crate) mod new;
pub(crate) mod open;
pub(crate) mod run;
pub(crate) mod show;

use std::io::{self, Write};

use vmm_core::definition::Store;

use crate::printable::printable;

/// What a subcommand comes to. Errors of all kinds end at the terminal, as one line.
pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The machines of this user.
pub(crate) fn store() -> Result<Store> {
    let store = Store::open(Store::default_root()?);
    store.recover();
    Ok(store)
}

/// Writes `lines` to standard output.
fn print(lines: &[String]) -> Result<()> {
    let text: String = lines.iter().map(|line| printable(line) + "\n").collect();
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
