//! The drives, and the files in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_channel::Sender;
use parking_lot::Mutex;

use super::config::{DiskBus, DriveConfig, MachineConfig};
use super::error::MachineError;
use super::media::Medium;
use super::message::DiskStatistics;
use super::supervisor::Order;
use crate::block::{BlockDevice, Disk, DiskFault, DiskOptions, OpticalMedium};
use crate::devices::DiskStats;
use crate::devices::ahci::{self, Ahci, Identity, MediumLocked, OpticalDrive};
use crate::devices::virtio::VirtioPci;
use crate::devices::virtio::blk::Blk;
use crate::memory::GuestRam;
use crate::units::Bytes;
use crate::{sentence, text};

/// What the machine knows of a drive.
enum Drive {
    Disk {
        disk: Arc<Disk>,
        /// What it is connected to, if not to a SATA port.
        function: Option<Arc<VirtioPci<Blk>>>,
    },
    /// With the file in it, as far as the host knows.
    Optical(Mutex<Option<PathBuf>>),
}

/// What to connect a drive to.
enum Plug {
    Sata(ahci::Drive),
    Virtio(Blk),
}

/// What to connect all drives to, each by its index.
#[derive(Default)]
pub(super) struct Plugs {
    pub(super) sata: [Option<ahci::Drive>; ahci::PORTS],
    /// The board makes functions of them and hands these to [`Drives::connect`].
    pub(super) virtio: Vec<(usize, Blk)>,
}

impl Plugs {
    /// Whether there is anything to connect by SATA.
    pub(super) fn need_sata(&self) -> bool {
        self.sata.iter().any(Option::is_some)
    }
}

/// All drives, in the order of the configuration.
pub(super) struct Drives {
    drives: Vec<Drive>,
    /// What those on SATA are connected to, if there are any.
    ahci: Option<Arc<Ahci>>,
    ram: Arc<GuestRam>,
}

impl Drives {
    /// Opens all images. Returns what to connect as well.
    pub(super) fn open(
        config: &MachineConfig,
        ram: &Arc<GuestRam>,
        orders: &Sender<Order>,
    ) -> Result<(Self, Plugs), MachineError> {
        let mut plugs = Plugs::default();
        let mut drives = Vec::new();
        for (index, (drive, port)) in config.drives.iter().zip(&mut plugs.sata).enumerate() {
            let (drive, plug) = open(index, drive, config.cpus, ram, orders)?;
            drives.push(drive);
            match plug {
                Plug::Sata(drive) => *port = Some(drive),
                Plug::Virtio(blk) => plugs.virtio.push((index, blk)),
            }
        }
        Ok((Self { drives, ahci: None, ram: ram.clone() }, plugs))
    }

    /// The drives on SATA have become a controller's.
    pub(super) fn connect_sata(&mut self, ahci: Arc<Ahci>) {
        self.ahci = Some(ahci);
    }

    /// Drive `index` has become a function.
    pub(super) fn connect(&mut self, index: usize, connected: Arc<VirtioPci<Blk>>) {
        if let Some(Drive::Disk { function, .. }) = self.drives.get_mut(index) {
            *function = Some(connected);
        }
    }

    /// Opens what is to be put into optical drive `index`. An error is a sentence for the user.
    pub(super) fn open_medium(&self, index: usize, path: Option<&Path>) -> Result<Medium, String> {
        match self.drives.get(index) {
            Some(Drive::Optical(_)) => Medium::open(path, &self.ram),
            _ => Err(text!("Drive {n} takes no media.", n = index)),
        }
    }

    /// Puts `medium` into optical drive `index` in place of what is there; with `force` even when
    /// the guest has locked the tray.
    ///
    /// # Errors
    /// When the guest has locked the tray. It has been asked to open it.
    pub(super) fn insert(
        &self,
        index: usize,
        medium: &Medium,
        force: bool,
    ) -> Result<(), MediumLocked> {
        // No medium is opened for any other.
        let Some((current, drive)) = self.optical(index) else { return Ok(()) };
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
    pub(super) fn take_ejected(&self, index: usize) -> bool {
        let Some((current, drive)) = self.optical(index) else { return false };
        if !drive.tray_open() || !drive.medium_present() {
            return false;
        }
        drive.force_medium(None);
        *current.lock() = None;
        true
    }

    /// Makes the disk of drive `index` larger and tells the guest. An error is a sentence for the
    /// user.
    pub(super) fn grow(&self, index: usize, size: Bytes) -> Result<(), String> {
        match self.drives.get(index) {
            Some(Drive::Disk { disk, function: Some(function) }) => {
                disk.grow(size).map_err(|error| sentence::ended(error.chain()))?;
                function.device().capacity_changed();
                Ok(())
            }
            // IDENTIFY DEVICE tells the size once, when the guest starts.
            Some(Drive::Disk { .. }) => Err(text!(
                "Drive {n} is connected by SATA and cannot grow while the machine runs; shut the \
                 machine down first.",
                n = index
            )),
            _ => Err(text!("Drive {n} is no disk.", n = index)),
        }
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
            // The guest has gone, and has not been told that these are done.
            disk.give_up();
            if let Some(fault) = disk.fault() {
                result = Err(sentence::ended(fault));
            } else if let Err(error) = disk.flush() {
                result = Err(sentence::ended(error));
            }
        }
        result
    }

    pub(super) fn statistics(&self) -> Vec<DiskStatistics> {
        let sata = |index| self.ahci.as_deref().map(|ahci| ahci.stats(index)).unwrap_or_default();
        let stats = |(index, drive): (usize, &Drive)| match drive {
            Drive::Disk { function: Some(function), .. } => function.device().stats(),
            _ => sata(index),
        };
        self.drives.iter().enumerate().map(stats).map(DiskStatistics::from).collect()
    }

    /// The optical drive of this index: the file in it, and the drive itself.
    fn optical(&self, index: usize) -> Option<(&Mutex<Option<PathBuf>>, OpticalDrive)> {
        match (self.drives.get(index), self.ahci.as_deref()?.optical(index)) {
            (Some(Drive::Optical(current)), Some(drive)) => Some((current, drive)),
            _ => None,
        }
    }

    fn disks(&self) -> impl Iterator<Item = &Arc<Disk>> {
        self.drives.iter().filter_map(|drive| match drive {
            Drive::Disk { disk, .. } => Some(disk),
            Drive::Optical(_) => None,
        })
    }
}

impl Drop for Drives {
    /// Requests that a fault holds up hold on to what asked for them.
    fn drop(&mut self) {
        self.give_up();
    }
}

impl From<DiskStats> for DiskStatistics {
    fn from(stats: DiskStats) -> Self {
        Self {
            read_bytes: stats.bytes_read,
            written_bytes: stats.bytes_written,
            reads: stats.reads,
            writes: stats.writes,
        }
    }
}

fn open(
    index: usize,
    config: &DriveConfig,
    cpus: u32,
    ram: &Arc<GuestRam>,
    orders: &Sender<Order>,
) -> Result<(Drive, Plug), MachineError> {
    let serial = format!("berth-{index}");
    match config {
        DriveConfig::Disk { path, format, read_only, bus } => {
            let options =
                DiskOptions { read_only: *read_only, format: *format, ..DiskOptions::default() };
            let orders = orders.clone();
            let on_fault = Arc::new(move |fault: DiskFault| {
                let order = if fault.kind.can_retry() {
                    Order::DiskFault(sentence::ended(fault))
                } else {
                    Order::Failed(sentence::ended(fault))
                };
                let _ = orders.try_send(order);
            });
            let disk = Disk::open(path, &options, ram.clone(), on_fault)?;
            let image = disk.clone();
            let plug = match bus {
                DiskBus::Sata => {
                    Plug::Sata(ahci::Drive::Disk { image, identity: Identity::disk(serial) })
                }
                DiskBus::Virtio => Plug::Virtio(Blk::new(image, &serial, cpus)),
            };
            Ok((Drive::Disk { disk, function: None }, plug))
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
            Ok((Drive::Optical(Mutex::new(medium.clone())), Plug::Sata(plug)))
        }
    }
}
