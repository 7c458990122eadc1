//! What has been chosen so far, without a widget.
//!
//! What lives here: the draft of a machine as it was typed, what is suggested for what nobody has
//! touched, what is wrong with it in a sentence, and the machine it comes to. Nothing is kept
//! anywhere else until the machine is made.

mod check;
mod suggest;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use vmm_core::block::Format;
use vmm_core::definition::{Definition, Drive, Firmware, Network};
use vmm_core::media::osinfo::OperatingSystem;
use vmm_core::media::{BootKinds, Found};
use vmm_core::units::Bytes;

pub(in crate::wizard) use self::check::{Checked, MAX_DISK, MIN_DISK, Remark, Weight};
use crate::backend::{Failure, Host, Inspected, NewDisk, NewMachine, Storage};

/// The new disk's file in the machine's folder.
const DISK_FILE: &str = "disk.qcow2";

/// What a machine is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::wizard) enum Source {
    /// An installer or live system on an ISO image.
    #[default]
    Medium,
    /// A disk image with a system on it.
    Image,
    /// Nothing.
    Nothing,
}

/// A file that was chosen, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wizard) struct Chosen {
    pub(in crate::wizard) path: PathBuf,
    /// `None` while it is being read.
    pub(in crate::wizard) holds: Option<Result<Inspected, Failure>>,
}

impl Chosen {
    fn inspected(&self) -> Option<&Inspected> {
        self.holds.as_ref()?.as_ref().ok()
    }
}

/// What a machine must fit into.
#[derive(Debug, Clone)]
pub(in crate::wizard) struct Surroundings {
    pub(in crate::wizard) host: Host,
    /// Memory of the machines that run now.
    pub(in crate::wizard) held_memory: Bytes,
    /// Their processors.
    pub(in crate::wizard) held_cpus: u32,
    /// Where the machine goes; `None` until it is known.
    pub(in crate::wizard) storage: Option<Storage>,
    /// Names of the machines that there are.
    pub(in crate::wizard) names: Vec<String>,
    /// Disks of the machines that there are, and whose they are.
    pub(in crate::wizard) disks: Vec<(PathBuf, String)>,
}

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::wizard) enum Step {
    Source,
    Processing,
    Disk,
    Review,
}

/// A text, and whether a person wrote it, which no suggestion replaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::wizard) struct Field<T> {
    pub(in crate::wizard) value: T,
    touched: bool,
}

impl<T: PartialEq> Field<T> {
    /// What a person entered.
    pub(in crate::wizard) fn enter(&mut self, value: T) {
        if self.value != value {
            *self = Self { value, touched: true };
        }
    }

    fn suggest(&mut self, value: T) {
        if !self.touched {
            self.value = value;
        }
    }
}

/// A machine as far as it has been described.
#[derive(Debug, Clone)]
pub(in crate::wizard) struct Draft {
    pub(in crate::wizard) source: Source,
    pub(in crate::wizard) medium: Option<Chosen>,
    pub(in crate::wizard) image: Option<Chosen>,
    pub(in crate::wizard) memory: Field<String>,
    pub(in crate::wizard) cpus: Field<String>,
    pub(in crate::wizard) with_disk: bool,
    pub(in crate::wizard) disk: Field<String>,
    pub(in crate::wizard) preallocate: bool,
    pub(in crate::wizard) name: Field<String>,
    pub(in crate::wizard) firmware: Field<Firmware>,
    pub(in crate::wizard) network: bool,
    pub(in crate::wizard) start: bool,
    pub(in crate::wizard) around: Surroundings,
}

impl Draft {
    pub(in crate::wizard) fn new(around: Surroundings) -> Self {
        let mut draft = Self {
            source: Source::default(),
            medium: None,
            image: None,
            memory: Field::default(),
            cpus: Field::default(),
            with_disk: true,
            disk: Field::default(),
            preallocate: false,
            name: Field::default(),
            firmware: Field::default(),
            network: true,
            start: true,
            around,
        };
        draft.suggest();
        draft
    }

    /// A file was chosen; what it holds is not known yet.
    pub(in crate::wizard) fn choose(&mut self, path: PathBuf) {
        let chosen = Some(Chosen { path, holds: None });
        match self.source {
            Source::Image => self.image = chosen,
            Source::Medium | Source::Nothing => {
                self.source = Source::Medium;
                self.medium = chosen;
            }
        }
    }

    /// What a chosen file holds. A disk image among the media, and the other way round, is taken
    /// for what it is.
    pub(in crate::wizard) fn inspected(&mut self, path: &Path, holds: Result<Inspected, Failure>) {
        let is_waiting = |slot: &&mut Option<Chosen>| {
            slot.as_ref().is_some_and(|c| c.path == path && c.holds.is_none())
        };
        let Some(slot) = [&mut self.medium, &mut self.image].into_iter().find(is_waiting) else {
            return;
        };
        *slot = None;
        let source = match &holds {
            Ok(inspected) => match inspected.found {
                Found::Medium(_) => Source::Medium,
                Found::Disk(_) => Source::Image,
            },
            Err(_) if self.source == Source::Nothing => Source::Medium,
            Err(_) => self.source,
        };
        let chosen = Some(Chosen { path: path.to_path_buf(), holds: Some(holds) });
        match source {
            Source::Image => self.image = chosen,
            _ => self.medium = chosen,
        }
        if self.source != Source::Nothing {
            self.source = source;
        }
        self.suggest();
    }

    pub(in crate::wizard) fn set_source(&mut self, source: Source) {
        self.source = source;
        self.suggest();
    }

    /// The file that the machine is made from.
    pub(in crate::wizard) fn chosen(&self) -> Option<&Chosen> {
        match self.source {
            Source::Medium => self.medium.as_ref(),
            Source::Image => self.image.as_ref(),
            Source::Nothing => None,
        }
    }

    /// The system it will run, when that is known.
    pub(in crate::wizard) fn system(&self) -> Option<&OperatingSystem> {
        self.chosen()?.inspected()?.system.as_ref()
    }

    fn boot_kinds(&self) -> Option<BootKinds> {
        match &self.chosen()?.inspected()?.found {
            Found::Medium(medium) => Some(medium.boot),
            Found::Disk(_) => None,
        }
    }

    /// The steps there are: who brings a disk is not asked for one.
    pub(in crate::wizard) fn steps(&self) -> &'static [Step] {
        match self.source {
            Source::Image => &[Step::Source, Step::Processing, Step::Review],
            _ => &[Step::Source, Step::Processing, Step::Disk, Step::Review],
        }
    }

    /// Whether what a step asks is answered.
    pub(in crate::wizard) fn is_done(&self, step: Step) -> bool {
        match step {
            Step::Source => {
                self.source == Source::Nothing
                    || self.chosen().is_some_and(|chosen| chosen.inspected().is_some())
            }
            Step::Processing => {
                self.check_memory().value.is_some() && self.check_cpus().value.is_some()
            }
            Step::Disk => !self.with_disk || self.check_disk().value.is_some(),
            Step::Review => self.check_name().value.is_some(),
        }
    }

    /// The machine, when every step is done.
    pub(in crate::wizard) fn machine(&self) -> Option<NewMachine> {
        if !self.steps().iter().all(|step| self.is_done(*step)) {
            return None;
        }
        let mut definition = Definition::new(self.check_name().value?);
        definition.memory = self.check_memory().value?;
        definition.cpus = self.check_cpus().value?;
        definition.firmware = self.firmware.value;
        definition.network = self.network.then(Network::new);
        let mut disks = Vec::new();
        if self.source == Source::Image {
            definition.drives.push(self.existing_disk()?);
        } else if self.with_disk {
            let disk = NewDisk {
                file: DISK_FILE.into(),
                size: self.check_disk().value?,
                preallocate: self.preallocate,
            };
            let format = Format::Qcow2;
            definition.drives.push(Drive::Disk {
                file: disk.file.clone(),
                format,
                read_only: false,
                bus: self.disk_bus(),
            });
            disks.push(disk);
        }
        // Every machine has a drive to put a medium in. The disk comes first: as long as nothing
        // is on it, the firmware goes on to the medium, and afterwards the system starts.
        let medium = self.chosen().filter(|_| self.source == Source::Medium);
        definition.drives.push(Drive::Optical { file: medium.map(|medium| medium.path.clone()) });
        definition.validate().ok()?;
        Some(NewMachine { definition, disks })
    }

    fn existing_disk(&self) -> Option<Drive> {
        match &self.chosen()?.inspected()?.found {
            Found::Disk(disk) => Some(Drive::Disk {
                file: self.chosen()?.path.clone(),
                format: disk.format,
                read_only: false,
                bus: self.disk_bus(),
            }),
            Found::Medium(_) => None,
        }
    }
}
