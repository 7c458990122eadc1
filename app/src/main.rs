//! The `berth` program: reads the command line, runs one subcommand, reports how it went.
//!
//! What lives here: everything that touches the terminal, from options to exit status, and what
//! the window asks of the machines (`backend`). What a machine is and does lives in `vmm-core`,
//! the window in `ui`.

mod backend;
mod cli;
mod commands;
mod report;
mod screenshot;
mod script;
mod session;
mod terminal;
mod translations;

use std::process::ExitCode;

fn main() -> ExitCode {
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
