//! Why there is no firmware to run.

use std::path::PathBuf;

use thiserror::Error;

use super::search::FirmwareKind;
use crate::text;

/// Why there is no firmware to run.
#[derive(Debug, Error)]
pub enum FirmwareError {
    /// No image is installed where any distribution puts it.
    #[error("{}", missing(*.kind, *.command))]
    Missing {
        /// What was looked for.
        kind: FirmwareKind,
        /// What to type to install it, where the distribution is known.
        command: Option<&'static str>,
    },
    /// The image is there but cannot be read.
    #[error("{}", text!("the firmware {path} cannot be read", path = .path.display()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The image is there but is not firmware for this machine.
    #[error("{}", text!(
        "the firmware {path} cannot be used: {reason}",
        path = .path.display(), reason
    ))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// That there is no firmware of `kind`, and what to do about it, given the command that installs it.
fn missing(kind: FirmwareKind, command: Option<&str>) -> String {
    match (command, kind) {
        (Some(command), _) => {
            text!("no {kind} firmware is installed; install it with: {command}", kind, command)
        }
        (None, FirmwareKind::Bios) => text!(
            "no BIOS (SeaBIOS) firmware is installed; install your distribution's SeaBIOS \
             package, often called “seabios”"
        ),
        (None, FirmwareKind::Uefi) => text!(
            "no UEFI (OVMF) firmware is installed; install your distribution's OVMF package, often \
             called “ovmf” or “edk2-ovmf”"
        ),
    }
}
