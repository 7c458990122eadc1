//! What a definition says, as types, and which definitions make sense.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::block::Format;
pub use crate::machine::DiskBus;
use crate::machine::{Boot, DriveConfig, MachineConfig, NetworkConfig};
pub use crate::machine::{MAX_CPUS, MAX_DRIVES, MIN_MEMORY};
use crate::net::{MAX_FORWARDS, MacAddress, PortForward, TapName};
use crate::text;
use crate::units::Bytes;

/// Memory comes in multiples of this.
pub const MEMORY_UNIT: Bytes = Bytes::mib(1);

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;

/// A definition that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Invalid {
    /// The name is empty or blank at an end.
    #[error("{}", text!("a name cannot be empty, nor begin or end with a blank"))]
    NameBlank,
    /// The name is longer than [`MAX_NAME`].
    #[error("{}", text!(
        "a name has at most {max} characters, this one has {length}",
        max = MAX_NAME, length = .0
    ))]
    NameLong(usize),
    /// The name holds a control character.
    #[error("{}", text!("a name cannot hold control characters, such as line breaks"))]
    NameControl,
    /// Less than [`MIN_MEMORY`].
    #[error("{}", text!(
        "{memory} of memory is too little; give it at least {least}",
        memory = .0, least = MIN_MEMORY
    ))]
    MemorySmall(Bytes),
    /// Not a multiple of [`MEMORY_UNIT`].
    #[error("{}", text!(
        "{memory} of memory is no multiple of {unit}; give it {example}, for example",
        memory = .0, unit = MEMORY_UNIT, example = .1
    ))]
    MemoryUneven(Bytes, Bytes),
    /// None, or more than [`MAX_CPUS`].
    #[error("{}", text!("a machine has 1 to {max} processors, not {n}", max = MAX_CPUS, n = .0))]
    Cpus(u32),
    /// More than [`MAX_DRIVES`].
    #[error("{}", text!("a machine has at most {max} drives, not {n}", max = MAX_DRIVES, n = .0))]
    Drives(usize),
    /// A file name that is empty or holds a NUL character.
    #[error("{}", text!("drive {n} has no usable file name", n = .0))]
    DriveFile(usize),
    /// A relative file that is not in the machine's folder.
    #[error("{}", text!(
        "the file of drive {n}, “{path}”, leaves the machine's folder; write the whole path, from \
         the first slash",
        n = .0, path = .1.display()
    ))]
    DriveOutside(usize, PathBuf),
    /// Two drives write the same file.
    #[error("{}", text!(
        "drives {first} and {second} have the same file; a disk can be in a machine once",
        first = .0, second = .1
    ))]
    DriveTwice(usize, usize),
    /// More than [`MAX_FORWARDS`].
    #[error("{}", text!(
        "a machine has at most {max} port forwards, not {n}",
        max = MAX_FORWARDS, n = .0
    ))]
    Forwards(usize),
    /// A port of the host leads to two places.
    #[error("{}", text!(
        "the port forward {forward} is there twice; each port of this computer leads to one place",
        forward = .0
    ))]
    ForwardTwice(PortForward),
    /// `boot_first` names no drive.
    #[error("{}", text!("there is no drive {n} to start from", n = .0))]
    BootFirst(usize),
}

/// A machine's name: 1 to [`MAX_NAME`] characters of any script, no control characters, no blanks
/// at the ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let length = text.chars().count();
        if text.is_empty() || text.trim() != text {
            Err(Invalid::NameBlank)
        } else if length > MAX_NAME {
            Err(Invalid::NameLong(length))
        } else if text.chars().any(char::is_control) {
            Err(Invalid::NameControl)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which firmware a machine starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF; its variables are kept in the machine's folder.
    #[default]
    Uefi,
}

impl Firmware {
    /// The name it has in definitions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A drive. Files without a leading slash are in the machine's folder and belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drive {
    /// A hard disk.
    Disk {
        /// The image.
        file: PathBuf,
        /// How the image is laid out. Never guessed from its contents, which are the guest's.
        format: Format,
        /// Whether the guest's writes fail.
        read_only: bool,
        /// What it is connected to.
        bus: DiskBus,
    },
    /// A CD/DVD drive.
    Optical {
        /// The ISO image in it.
        file: Option<PathBuf>,
    },
}

impl Drive {
    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Disk { file, .. } => Some(file),
            Self::Optical { file } => file.as_deref(),
        }
    }
}

/// A network card, connected to the host's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Whether the machine has it. One that is taken out is remembered with all the rest.
    pub enabled: bool,
    /// Its address, by which the guest and others know it again.
    pub mac: MacAddress,
    /// Ports of the host that lead into the guest, at most [`MAX_FORWARDS`].
    pub forwards: Vec<PortForward>,
    /// Whether the guest reaches what listens on the host's loopback address.
    pub reach_host: bool,
    /// The host's TAP device that the card is connected to, in place of all that.
    pub tap: Option<TapName>,
}

impl Network {
    /// A card with an address of its own.
    pub fn new() -> Self {
        Self {
            enabled: true,
            mac: MacAddress::random(),
            forwards: Vec::new(),
            reach_host: false,
            tap: None,
        }
    }

    fn config(&self) -> Option<NetworkConfig> {
        self.enabled.then(|| NetworkConfig {
            mac: self.mac,
            forwards: self.forwards.clone(),
            reach_host: self.reach_host,
            tap: self.tap.clone(),
        })
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// A machine in the words of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What it is called; no other machine in the store has the name.
    pub name: Name,
    /// Its identity to the guest.
    pub uuid: Uuid,
    /// Guest RAM: [`MIN_MEMORY`] or more, a multiple of [`MEMORY_UNIT`].
    pub memory: Bytes,
    /// Number of vCPUs: 1 to [`MAX_CPUS`].
    pub cpus: u32,
    /// What it starts with.
    pub firmware: Firmware,
    /// At most [`MAX_DRIVES`], each with the SATA port or PCI slot of its index; the firmware tries
    /// them in this order, too, but for `boot_first`.
    pub drives: Vec<Drive>,
    /// Index of the drive tried first.
    pub boot_first: Option<usize>,
    /// The network card. None in definitions from before there were any.
    pub network: Option<Network>,
    /// Anything its owner wants to remember.
    pub notes: String,
}

impl Definition {
    /// A machine without drives, with a network card and an identity of its own.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            uuid: Uuid::new_v4(),
            memory: Bytes::gib(2),
            cpus: 2,
            firmware: Firmware::default(),
            drives: Vec::new(),
            boot_first: None,
            network: Some(Network::new()),
            notes: String::new(),
        }
    }

    /// Checks what the types leave open. Whether this host has the memory and the files is found
    /// out when the machine is run.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.memory < MIN_MEMORY {
            return Err(Invalid::MemorySmall(self.memory));
        }
        if !self.memory.0.is_multiple_of(MEMORY_UNIT.0) {
            let below = Bytes(self.memory.0 / MEMORY_UNIT.0 * MEMORY_UNIT.0);
            return Err(Invalid::MemoryUneven(self.memory, below));
        }
        if !(1..=MAX_CPUS).contains(&self.cpus) {
            return Err(Invalid::Cpus(self.cpus));
        }
        if self.drives.len() > MAX_DRIVES {
            return Err(Invalid::Drives(self.drives.len()));
        }
        for (index, drive) in self.drives.iter().enumerate() {
            if let Some(file) = drive.file() {
                check_file(index, file)?;
            }
            if let Some(other) = self.drives[..index].iter().position(|other| clash(drive, other)) {
                return Err(Invalid::DriveTwice(other + 1, index + 1));
            }
        }
        if let Some(network) = &self.network {
            if network.forwards.len() > MAX_FORWARDS {
                return Err(Invalid::Forwards(network.forwards.len()));
            }
            if let Some(index) = PortForward::clash(&network.forwards) {
                return Err(Invalid::ForwardTwice(network.forwards[index]));
            }
        }
        match self.boot_first {
            Some(index) if index >= self.drives.len() => Err(Invalid::BootFirst(index + 1)),
            _ => Ok(()),
        }
    }

    /// The machine to build, with the files that belong to it in `folder`, and what is there only
    /// while it runs in `runtime`, if there is a place for that.
    pub(super) fn machine_config(&self, folder: &Path, runtime: Option<&Path>) -> MachineConfig {
        let drive = |drive: &Drive| match drive {
            Drive::Disk { file, format, read_only, bus } => DriveConfig::Disk {
                path: folder.join(file),
                format: Some(*format),
                read_only: *read_only,
                bus: *bus,
            },
            Drive::Optical { file } => {
                DriveConfig::Optical { medium: file.as_ref().map(|file| folder.join(file)) }
            }
        };
        MachineConfig {
            name: self.name.to_string(),
            uuid: self.uuid,
            memory: self.memory,
            cpus: self.cpus,
            boot: match self.firmware {
                Firmware::Bios => Boot::Bios,
                Firmware::Uefi => {
                    Boot::Uefi { variables: Some(folder.join(super::folder::VARIABLES)) }
                }
            },
            drives: self.drives.iter().map(drive).collect(),
            boot_first: self.boot_first,
            network: self.network.as_ref().and_then(Network::config),
            agent: runtime.map(|folder| folder.join(super::folder::AGENT)),
            log: Some(folder.join(super::folder::LOG)),
        }
    }
}

fn check_file(index: usize, file: &Path) -> Result<(), Invalid> {
    let bytes = file.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Invalid::DriveFile(index + 1));
    }
    let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if file.is_relative() && !file.components().all(inside) {
        return Err(Invalid::DriveOutside(index + 1, file.into()));
    }
    Ok(())
}

/// Whether two drives cannot be in one machine. Any number may read an ISO image.
fn clash(one: &Drive, other: &Drive) -> bool {
    let disks = matches!(one, Drive::Disk { .. }) || matches!(other, Drive::Disk { .. });
    disks && one.file().is_some() && one.file() == other.file()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn disk(file: &str) -> Drive {
        let (format, bus) = (Format::Qcow2, DiskBus::Sata);
        Drive::Disk { file: file.into(), format, read_only: false, bus }
    }

    fn definition() -> Definition {
        Definition::new("test".parse().unwrap())
    }

    #[test]
    fn names_may_be_anything_printable() {
        for name in ["a", "Debian 12", "../../etc", ".hidden", "a/b", "日本語", &"é".repeat(100)]
        {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in ["", " ", " a", "a ", "a\nb", "\u{7f}", "a\0", &"é".repeat(101)] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn senseless_definitions_are_refused() {
        let check = |change: fn(&mut Definition)| {
            let mut definition = definition();
            change(&mut definition);
            definition.validate()
        };
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(check(|d| d.memory = Bytes(0)), Err(Invalid::MemorySmall(Bytes(0))));
        assert_eq!(
            check(|d| d.memory = Bytes((64 << 20) + 1)),
            Err(Invalid::MemoryUneven(Bytes((64 << 20) + 1), Bytes::mib(64)))
        );
        assert_eq!(check(|d| d.cpus = 0), Err(Invalid::Cpus(0)));
        assert_eq!(check(|d| d.cpus = 1000), Err(Invalid::Cpus(1000)));
        assert_eq!(check(|d| d.boot_first = Some(0)), Err(Invalid::BootFirst(1)));
        assert_eq!(
            check(|d| d.drives = vec![Drive::Optical { file: None }; 7]),
            Err(Invalid::Drives(7))
        );
        assert_eq!(check(|d| d.drives = vec![disk("")]), Err(Invalid::DriveFile(1)));
        assert!(check(|d| d.drives = vec![disk("../disk.qcow2")]).is_err());
        assert!(check(|d| d.drives = vec![disk("/a/../disk.qcow2")]).is_ok());
        assert_eq!(
            check(|d| d.drives = vec![disk("a"), disk("b"), disk("a")]),
            Err(Invalid::DriveTwice(1, 3))
        );
    }

    #[test]
    fn own_files_are_in_the_folder() {
        let mut definition = definition();
        definition.drives =
            vec![disk("disk.qcow2"), Drive::Optical { file: Some("/iso/a.iso".into()) }];
        let config =
            definition.machine_config(Path::new("/vms/test"), Some(Path::new("/run/test")));
        let DriveConfig::Disk { path, format: Some(Format::Qcow2), .. } = &config.drives[0] else {
            panic!("the first drive is a disk");
        };
        assert_eq!(path, Path::new("/vms/test/disk.qcow2"));
        assert_eq!(config.drives[1], DriveConfig::Optical { medium: Some("/iso/a.iso".into()) });
        assert_eq!(config.boot, Boot::Uefi { variables: Some("/vms/test/VARS.fd".into()) });
        assert_eq!(config.agent, Some("/run/test/agent.sock".into()));
    }
}
