//! `berth boot`: a machine without a definition, for one run.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use uuid::Uuid;
use vmm_core::machine::{Boot as BootSource, DriveConfig, Machine, MachineConfig};
use vmm_core::text;
use vmm_core::units::Bytes;

use super::Result;
use super::disk::{self, DiskOption};
use super::hardware::{self, Firmware};
use super::network::{self, Net};
use crate::report::Outcome;
use crate::script::Script;
use crate::session;

/// Run a machine in the foreground, its serial port on the terminal; Ctrl-] leaves
#[derive(Debug, Args)]
pub(crate) struct Boot {
    /// ISO image in the optical drive
    #[arg(long, value_name = "FILE")]
    iso: Option<PathBuf>,

    /// Disk image, may be given several times; it is made if it does not exist and has a size.
    /// Name the format of an image that a guest has written, or it is told from the contents
    #[arg(
        long = "disk",
        value_name = disk::NOTATION,
        value_parser = OsStringValueParser::new().try_map(|text| DiskOption::parse(&text)),
    )]
    disks: Vec<DiskOption>,

    /// Which drive to start from [default: the ISO image if there is one]
    #[arg(long, value_enum, conflicts_with = "kernel", hide_possible_values = true)]
    #[arg(value_name = "iso|disk")]
    from: Option<StartFrom>,

    /// Start this kernel instead of firmware: a bzImage or a PVH ELF image
    #[arg(long, value_name = "FILE", conflicts_with = "firmware")]
    kernel: Option<PathBuf>,

    /// Initial RAM disk of the kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,

    /// Command line of the kernel
    #[arg(long, value_name = "TEXT", requires = "kernel", allow_hyphen_values = true)]
    append: Option<String>,

    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = hardware::memory, allow_negative_numbers = true)]
    memory: Bytes,

    /// Number of processors of the guest
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = hardware::cpus, allow_negative_numbers = true)]
    cpus: u32,

    /// Firmware of the guest: SeaBIOS or OVMF
    #[arg(long, value_enum, default_value_t = Firmware::Bios, hide_possible_values = true)]
    #[arg(value_name = "bios|uefi")]
    firmware: Firmware,

    /// File that keeps the variables of the UEFI firmware; without it they are forgotten
    #[arg(long, value_name = "FILE")]
    uefi_vars: Option<PathBuf>,

    /// Network: that of this computer, or none. Ports of this computer can lead into the guest, and
    /// “host” lets the guest reach services on localhost by the address of its gateway
    #[arg(long, value_name = network::NOTATION, default_value = "user", value_parser = Net::parse)]
    #[arg(overrides_with = "net")]
    net: Net,

    /// Socket at which programs reach the guest's agent; made for the time of the run
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,

    /// File that messages of the firmware are appended to
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Show no window
    #[arg(long)]
    no_display: bool,

    #[command(flatten)]
    script: Script,
}

/// Which drive to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StartFrom {
    /// The optical drive.
    Iso,
    /// The first disk.
    Disk,
}

impl Boot {
    pub(crate) fn run(mut self) -> Result<Outcome> {
        if self.uefi_vars.is_some() && (self.firmware != Firmware::Uefi || self.kernel.is_some()) {
            return Err(text!("--uefi-vars needs --firmware uefi").into());
        }
        let mut made = Vec::new();
        for disk in &mut self.disks {
            made.extend(disk.make()?);
        }
        let script = self.script.clone();
        let (config, optical) = self.config()?;
        let machine = Machine::new(&config)?;
        let session = session::Session::new(machine, optical, &script)?;
        made.into_iter().for_each(disk::MadeDisk::keep);
        Ok(session.run()?)
    }

    /// The machine, and which of its drives is the optical one.
    fn config(self) -> Result<(MachineConfig, Option<usize>)> {
        let disk = |disk: &DiskOption| DriveConfig::Disk {
            path: disk.path.clone(),
            format: disk.format,
            read_only: disk.read_only,
            bus: disk.bus.unwrap_or_default(),
        };
        let mut drives: Vec<_> = self.disks.iter().map(disk).collect();
        let optical = self.iso.is_some().then_some(drives.len());
        drives.extend(self.iso.map(|medium| DriveConfig::Optical { medium: Some(medium) }));
        let boot_first = match self.from {
            None => optical,
            Some(StartFrom::Iso) if optical.is_none() => {
                return Err(text!("--from iso needs --iso").into());
            }
            Some(StartFrom::Iso) => optical,
            Some(StartFrom::Disk) if self.disks.is_empty() => {
                return Err(text!("--from disk needs --disk").into());
            }
            Some(StartFrom::Disk) => Some(0),
        };
        let boot = match (self.kernel, self.firmware) {
            (Some(kernel), _) => BootSource::Kernel {
                kernel,
                initrd: self.initrd,
                command_line: self.append.unwrap_or_default(),
            },
            (None, Firmware::Bios) => BootSource::Bios,
            (None, Firmware::Uefi) => BootSource::Uefi { variables: self.uefi_vars },
        };
        let config = MachineConfig {
            name: "berth".into(),
            uuid: Uuid::new_v4(),
            memory: self.memory,
            cpus: self.cpus,
            boot,
            drives,
            boot_first,
            network: self.net.config(),
            agent: self.agent,
            log: self.log,
        };
        Ok((config, optical))
    }
}
