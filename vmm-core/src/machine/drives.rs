//! The drives on the SATA ports, and the files in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_channel::Sender;
use parking_lot::Mutex;

use super::config::DriveConfig;
use super::error::MachineError;
use super::media::Medium;
use super::message::DiskStatistics;
use super::supervisor::Order;
use crate::block::{BlockDevice, Disk, DiskFault, DiskOptions, OpticalMedium};
use crate::devices::ahci::{self, Ahci, Identity, MediumLocked};
use crate::memory::GuestRam;

/// What the machine knows of a drive.
enum Drive {
    Disk(Arc<Disk>),
    /// With the file in it, as far as the host knows.
    Optical(Mutex<Option<PathBuf>>),
}

/// All drives, in the order of their ports.
pub(super) struct Drives {
    drives: Vec<Drive>,
    ram: Arc<GuestRam>,
}

impl Drives {
    /// Opens all images. Returns what to plug into the controller as well.
    pub(super) fn open(
        configs: &[DriveConfig],
        ram: &Arc<GuestRam>,
        orders: &Sender<Order>,
    ) -> Result<(Self, [Option<ahci::Drive>; ahci::PORTS]), MachineError> {
        let mut plugs = [const { None }; ahci::PORTS];
        let mut drives = Vec::new();
        for (index, (config, plug)) in configs.iter().zip(&mut plugs).enumerate() {
            let (drive, plugged) = open(index, config, ram, orders)?;
            drives.push(drive);
            *plug = Some(plugged);
        }
        Ok((Self { drives, ram: ram.clone() }, plugs))
    }

    /// Opens what is to be put into optical drive `index`. An error is a sentence for the user.
    pub(super) fn open_medium(&self, index: usize, path: Option<&Path>) -> Result<Medium, String> {
        match self.drives.get(index) {
            Some(Drive::Optical(_)) => Medium::open(path, &self.ram),
            _ => Err(format!("Drive {index} takes no media.")),
        }
    }

    /// Puts `medium` into optical drive `index` in place of what is there; with `force` even when
    /// the guest has locked the tray.
    ///
    /// # Errors
    /// When the guest has locked the tray. It has been asked to open it.
    pub(super) fn insert(
        &self,
        ahci: &Ahci,
        index: usize,
        medium: &Medium,
        force: bool,
    ) -> Result<(), MediumLocked> {
        let (Some(Drive::Optical(current)), Some(drive)) =
            (self.drives.get(index), ahci.optical(index))
        else {
            // No medium is opened for any other.
            return Ok(());
        };
        if force {
            drive.force_medium(medium.image.clone());
        } else {
            drive.change_medium(medium.image.clone())?;
        }
        current.lock().clone_from(&medium.path);
        Ok(())
    }

    /// The guest has opened the tray of optical drive `index`: what was in it is taken away, as
    /// nobody stands beside the machine to do so.
    pub(super) fn take_ejected(&self, ahci: &Ahci, index: usize) -> bool {
        let (Some(Drive::Optical(current)), Some(drive)) =
            (self.drives.get(index), ahci.optical(index))
        else {
            return false;
        };
        if !drive.tray_open() || !drive.medium_present() {
            return false;
        }
        drive.force_medium(None);
        *current.lock() = None;
        true
    }

    /// Goes on with writes that a fault held up.
    pub(super) fn retry(&self) {
        for disk in self.disks() {
            disk.retry();
        }
    }

    /// Ends all requests in flight, for a reset.
    pub(super) fn give_up(&self) {
        for disk in self.disks() {
            disk.give_up();
        }
    }

    /// Brings everything the guest has written to stable storage. An error is a sentence for the
    /// user.
    pub(super) fn flush(&self) -> Result<(), String> {
        let mut result = Ok(());
        for disk in self.disks() {
            disk.drain();
            if let Some(fault) = disk.fault() {
                result = Err(describe(&fault));
            } else if let Err(error) = disk.flush() {
                result = Err(format!("{error}."));
            }
        }
        result
    }

    pub(super) fn statistics(&self, ahci: &Ahci) -> Vec<DiskStatistics> {
        (0..self.drives.len())
            .map(|port| {
                let stats = ahci.stats(port);
                DiskStatistics {
                    read_bytes: stats.bytes_read,
                    written_bytes: stats.bytes_written,
                    reads: stats.reads,
                    writes: stats.writes,
                }
            })
            .collect()
    }

    fn disks(&self) -> impl Iterator<Item = &Arc<Disk>> {
        self.drives.iter().filter_map(|drive| match drive {
            Drive::Disk(disk) => Some(disk),
            Drive::Optical(_) => None,
        })
    }
}

/// A fault as a sentence.
fn describe(fault: &DiskFault) -> String {
    format!("{fault}.")
}

fn open(
    index: usize,
    config: &DriveConfig,
    ram: &Arc<GuestRam>,
    orders: &Sender<Order>,
) -> Result<(Drive, ahci::Drive), MachineError> {
    let serial = format!("berth-{index}");
    match config {
        DriveConfig::Disk { path, format, read_only } => {
            let options =
                DiskOptions { read_only: *read_only, format: *format, ..DiskOptions::default() };
            let orders = orders.clone();
            let on_fault = Arc::new(move |fault: DiskFault| {
                let order = if fault.kind.can_retry() {
                    Order::DiskFault(describe(&fault))
                } else {
                    Order::Failed(describe(&fault))
                };
                let _ = orders.try_send(order);
            });
            let disk = Disk::open(path, &options, ram.clone(), on_fault)?;
            let plug = ahci::Drive::Disk { image: disk.clone(), identity: Identity::disk(serial) };
            Ok((Drive::Disk(disk), plug))
        }
        DriveConfig::Optical { medium } => {
            let open = |path: &PathBuf| OpticalMedium::open(path, ram.clone());
            let loaded = medium.as_ref().map(open).transpose()?;
            let orders = orders.clone();
            let on_tray = Arc::new(move |opened: bool| {
                if opened {
                    let _ = orders.try_send(Order::TrayOpened { drive: index });
                }
            });
            let plug = ahci::Drive::Optical {
                medium: loaded.map(|medium| medium as Arc<dyn BlockDevice>),
                identity: Identity::optical(serial),
                on_tray,
            };
            Ok((Drive::Optical(Mutex::new(medium.clone())), plug))
        }
    }
}
