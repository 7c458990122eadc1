//! Why a machine cannot be built, or does not go on.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::block::ImageError;
use crate::boot::BootError;
use crate::bus::BusError;
use crate::devices::flash::FlashError;
use crate::devices::fw_cfg::FwCfgError;
use crate::firmware::FirmwareError;
use crate::kvm::KvmError;
use crate::memory::{MapError, RamError};
use crate::net::{MAX_FORWARDS, PortForward};
use crate::text;
use crate::units::Bytes;

/// Why a machine cannot be built. Nothing has been changed or is left behind.
#[derive(Debug, Error)]
pub enum MachineError {
    /// Too little memory, or an odd amount.
    #[error("{}", text!(
        "{memory} of memory is not possible; choose a whole number of MiB, at least 64M",
        memory = .0
    ))]
    Memory(Bytes),
    /// Too many or too few vCPUs.
    #[error("{}", text!("{n} CPUs are not possible; choose 1 to 64", n = .0))]
    Cpus(u32),
    /// More drives than ports.
    #[error("{}", text!("{n} drives are not possible; a machine has room for 6", n = .0))]
    Drives(usize),
    /// The drive to boot from does not exist.
    #[error("{}", text!("there is no drive {n} to boot from", n = .0))]
    BootDrive(usize),
    /// More port forwards than there can be.
    #[error("{}", text!(
        "{n} port forwards are not possible; a machine has at most {max}",
        n = .0, max = MAX_FORWARDS
    ))]
    Forwards(usize),
    /// A port of the host leads to two places.
    #[error("{}", text!(
        "the port forward {forward} is there twice; each port of this computer leads to one place",
        forward = .0
    ))]
    ForwardTwice(PortForward),
    /// KVM cannot be used.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// Guest memory cannot be had.
    #[error(transparent)]
    Ram(#[from] RamError),
    /// Memory cannot be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The firmware is missing or damaged.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// A kernel cannot be started.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A disk image or a medium cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The file of firmware variables cannot be used.
    #[error(transparent)]
    Variables(#[from] FlashError),
    /// The firmware's files do not fit its directory, which is a defect of Berth.
    #[error(transparent)]
    FirmwareFiles(#[from] FwCfgError),
    /// The log cannot be written.
    #[error("{}", text!("cannot write the log {path}", path = .path.display()))]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Two devices want the same address, which is a defect of Berth.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The system has no more threads or memory.
    #[error("{}", text!("the system has no room for another machine"))]
    System(#[source] io::Error),
}

/// A sentence for the user about a panic, whose message is `reason`, of a device's code.
pub(super) fn device_failed(reason: &str) -> String {
    text!("A device model failed: {reason}.", reason)
}
