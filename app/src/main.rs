//! The `berth` program: reads the command line, runs one subcommand, reports how it went.
//!
//! What lives here: everything that touches the terminal, from options to exit status. What a
//! machine is and does lives in `vmm-core`. The window is a program of its own, which `open` turns
//! into: a machine on a terminal has no use for the hundred libraries of a desktop, which would
//! take it 20 MiB and its start twice the time.

mod cli;
mod commands;
mod printable;
mod report;
mod screenshot;
mod script;
mod session;
mod terminal;
mod translations;

use std::process::ExitCode;

fn main() -> ExitCode {
    translations::set_up();
    terminal::restore_on_panic();
    let arguments = match cli::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    match arguments.chosen().run() {
        Ok(outcome) => outcome.exit(),
        Err(error) => {
            report::failure(&*error);
            ExitCode::FAILURE
        }
    }
}
