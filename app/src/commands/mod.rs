//! The subcommands, one a file.

pub(crate) mod boot;

/// What a subcommand comes to. Errors of all kinds end at the terminal, as one line.
pub(crate) type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
