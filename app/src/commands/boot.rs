//! `berth boot`: a machine without a definition, for one run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use uuid::Uuid;
use vmm_core::machine::{Boot as BootSource, DriveConfig, Machine, MachineConfig};
use vmm_core::units::Bytes;

use super::Result;
use crate::report::Outcome;
use crate::script::Script;
use crate::session;

/// Run a machine in the foreground, its serial port on the terminal; Ctrl-] leaves
#[derive(Debug, Args)]
pub(crate) struct Boot {
    /// ISO image in the optical drive; the machine starts from it
    #[arg(long, value_name = "FILE")]
    iso: Option<PathBuf>,

    /// Disk image; with a size it is made when it does not exist. May be given several times
    #[arg(long = "disk", value_name = "FILE[,size=10G][,format=raw|qcow2][,read-only]")]
    disks: Vec<PathBuf>,

    /// Start this kernel instead of firmware: a bzImage or a PVH ELF image
    #[arg(long, value_name = "FILE", conflicts_with = "firmware")]
    kernel: Option<PathBuf>,

    /// Initial RAM disk of the kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,

    /// Command line of the kernel
    #[arg(
        long,
        value_name = "TEXT",
        requires = "kernel",
        default_value = "",
        hide_default_value = true
    )]
    append: String,

    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    memory: Bytes,

    /// Number of processors of the guest
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    cpus: u32,

    /// Firmware of the guest
    #[arg(long, value_enum, default_value_t = Firmware::Bios)]
    firmware: Firmware,

    /// File that keeps the variables of the UEFI firmware; without it they are forgotten
    #[arg(long, value_name = "FILE")]
    uefi_vars: Option<PathBuf>,

    /// File that the firmware's messages are appended to
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Show no window
    #[arg(long)]
    no_display: bool,

    #[command(flatten)]
    script: Script,
}

/// Which firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Firmware {
    /// SeaBIOS
    Bios,
    /// OVMF
    Uefi,
}

impl Boot {
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut drives: Vec<_> = self
            .disks
            .iter()
            .map(|path| DriveConfig::Disk { path: path.clone(), format: None, read_only: false })
            .collect();
        let optical = self.iso.as_ref().map(|_| drives.len());
        drives.extend(self.iso.map(|medium| DriveConfig::Optical { medium: Some(medium) }));
        let boot = match (self.kernel, self.firmware) {
            (Some(kernel), _) => {
                BootSource::Kernel { kernel, initrd: self.initrd, command_line: self.append }
            }
            (None, Firmware::Bios) => BootSource::Bios,
            (None, Firmware::Uefi) => BootSource::Uefi { variables: self.uefi_vars },
        };
        let machine = Machine::new(MachineConfig {
            name: "berth".into(),
            uuid: Uuid::new_v4(),
            memory: self.memory,
            cpus: self.cpus,
            boot,
            boot_first: optical,
            drives,
            log: self.log,
        })?;
        Ok(session::run(machine, optical, &self.script)?)
    }
}
