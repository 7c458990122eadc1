//! `berth new`: define a machine.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use vmm_core::block::create::{Preallocation, create_qcow2};
use vmm_core::block::{Format, info};
use vmm_core::definition::{Definition, DiskBus, Drive, Name, Network};
use vmm_core::media;
use vmm_core::media::osinfo::{self, Database};
use vmm_core::net::{PortForward, TapName};
use vmm_core::text;
use vmm_core::units::Bytes;

use super::disk::DiskOption;
use super::hardware::{self, Firmware};
use super::{Result, print, store};
use crate::report::Outcome;

/// The machine's own disk, in its folder.
const DISK: &str = "disk.qcow2";

/// Define a machine
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What it is called
    name: Name,

    /// Memory
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = hardware::memory, allow_negative_numbers = true)]
    memory: Bytes,

    /// Number of processors
    #[arg(long, value_name = "NUMBER", default_value = "2", value_parser = hardware::cpus, allow_negative_numbers = true)]
    cpus: u32,

    /// Firmware: SeaBIOS or OVMF
    #[arg(long, value_enum, default_value_t = Firmware::Uefi, hide_possible_values = true)]
    #[arg(value_name = "bios|uefi")]
    firmware: Firmware,

    /// Size of a disk to make in the machine's folder [default: 20G, or none with --disk]
    #[arg(long, value_name = "SIZE")]
    size: Option<Bytes>,

    /// What that disk is connected to [default: virtio if the ISO image's system is known to have
    /// the driver, else sata]
    #[arg(long, value_name = "sata|virtio")]
    bus: Option<DiskBus>,

    /// Reserve the space of that disk now
    #[arg(long)]
    preallocate: bool,

    /// Disk image that exists, may be given several times; it stays where it is
    #[arg(
        long = "disk",
        value_name = "FILE[,format=raw|qcow2][,bus=sata|virtio][,read-only]",
        value_parser = OsStringValueParser::new().try_map(|text| DiskOption::parse(&text)),
    )]
    disks: Vec<DiskOption>,

    /// ISO image to put into the optical drive
    #[arg(long, value_name = "FILE")]
    iso: Option<PathBuf>,

    /// Give it no network card
    #[arg(long, conflicts_with = "forwards")]
    no_network: bool,

    /// Port of this computer that leads into the machine, may be given several times
    #[arg(long = "forward", value_name = "[udp:][ADDRESS/]HOST:GUEST")]
    forwards: Vec<PortForward>,

    /// TAP device of this computer's to connect it to
    #[arg(long, value_name = "NAME", conflicts_with_all = ["forwards", "no_network"])]
    tap: Option<TapName>,

    /// Anything worth remembering
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    notes: String,
}

impl New {
    pub(crate) fn run(self) -> Result<Outcome> {
        let size = match self.size {
            None if self.disks.is_empty() => Some(Bytes::gib(20)),
            size => size.filter(|size| size.0 != 0),
        };
        let mut definition = Definition::new(self.name);
        definition.memory = self.memory;
        definition.cpus = self.cpus;
        definition.firmware = self.firmware.into();
        definition.notes = self.notes;
        definition.network = (!self.no_network).then(|| Network {
            forwards: self.forwards.clone(),
            tap: self.tap.clone(),
            ..Network::new()
        });
        let medium = self.iso.as_deref().map(medium).transpose()?;
        let usual = medium.as_deref().map(usual_bus).unwrap_or_default();
        definition.drives.extend(size.map(|_| Drive::Disk {
            file: DISK.into(),
            format: Format::Qcow2,
            read_only: false,
            bus: self.bus.unwrap_or(usual),
        }));
        for disk in &self.disks {
            definition.drives.push(existing(disk, usual)?);
        }
        // The drive is there without a medium, too, for one to be put in later.
        definition.drives.push(Drive::Optical { file: medium });
        let preallocation =
            if self.preallocate { Preallocation::Full } else { Preallocation::None };
        let vm = store()?.create(&definition, |folder| {
            let Some(size) = size else { return Ok(()) };
            Ok(create_qcow2(&folder.join(DISK), size, preallocation, None, &mut |_, _| true)?)
        })?;
        let (name, folder) = (&vm.definition().name, vm.folder().display());
        print(&[text!("“{name}” is in {folder}", name, folder)])?;
        Ok(Outcome::Done)
    }
}

/// A drive for an image that is there, by its whole path.
fn existing(disk: &DiskOption, usual: DiskBus) -> Result<Drive> {
    if disk.size.is_some() {
        return Err(text!("--disk takes no size here; --size makes a disk").into());
    }
    let format = info::info(&disk.path, disk.format)?.format;
    let file = std::path::absolute(&disk.path)?;
    let bus = disk.bus.unwrap_or(usual);
    Ok(Drive::Disk { file, format, read_only: disk.read_only, bus })
}

/// The fastest bus that the system on a medium is known to have a driver for.
fn usual_bus(medium: &Path) -> DiskBus {
    // What is no medium that can be read is found out when the machine is started.
    let found = media::medium(medium).ok();
    let system =
        found.and_then(|found| Database::load(&osinfo::folders(), &[]).identify(&found.volume));
    match system {
        Some(system) if system.virtio => DiskBus::Virtio,
        _ => DiskBus::Sata,
    }
}

fn medium(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let metadata = path
        .metadata()
        .map_err(|reason| text!("cannot use {path} as a medium: {reason}", path = shown, reason))?;
    if !metadata.is_file() {
        return Err(text!("{path} is no ISO image but a folder or device", path = shown).into());
    }
    Ok(std::path::absolute(path)?)
}
