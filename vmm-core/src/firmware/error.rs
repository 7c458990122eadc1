//! Why there is no firmware to run.

use std::path::PathBuf;

use thiserror::Error;

use super::search::FirmwareKind;

/// Why there is no firmware to run.
#[derive(Debug, Error)]
pub enum FirmwareError {
    /// No image is installed where any distribution puts it.
    #[error("no {kind} firmware is installed; {hint}")]
    Missing {
        /// What was looked for.
        kind: FirmwareKind,
        /// What to do about it.
        hint: String,
        /// What to type to install it, where the distribution is known.
        command: Option<&'static str>,
    },
    /// The image is there but cannot be read.
    #[error("the firmware {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The image is there but is not firmware for this machine.
    #[error("the firmware {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
