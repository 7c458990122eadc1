//! Items, and how a machine declares them.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::key;
use super::{FwCfg, file};
use crate::memory::GuestRam;

/// Makes the contents of a group of files, in the order in which the group was declared. Runs on
/// a vCPU thread with the device locked: it must not use the device.
pub type Compute = Box<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>;

/// Hears of a guest's write into a file: the file's whole contents after it. Runs on a vCPU
/// thread with the device locked: it must not use the device.
pub type OnWrite = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Longest name of a file, without the NUL that ends it in the directory.
pub(super) const NAME_MAX: usize = 55;
/// Size of a directory entry.
const ENTRY_SIZE: usize = 64;

/// An item that cannot be declared.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FwCfgError {
    /// The name does not fit the directory.
    #[error("“{0}” is not a firmware file name: it takes 1 to 55 ASCII characters")]
    Name(String),
    /// Two files have the same name.
    #[error("the firmware file “{0}” is declared twice")]
    Duplicate(String),
    /// More files than there are keys, or a file of 4 GiB or more.
    #[error("there are too many firmware files, or they are too large")]
    TooLarge,
}

/// What an item contains.
pub(super) enum Content {
    /// The same bytes always.
    Fixed(Arc<[u8]>),
    /// File `index` of a group that is made when the first of its files is selected after a
    /// reset, then kept until the next.
    Computed { group: usize, index: usize, size: usize },
    /// Bytes that the guest may change.
    Writable { initial: Vec<u8>, on_write: Option<OnWrite> },
}

impl Content {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Fixed(bytes) => bytes.len(),
            Self::Computed { size, .. } => *size,
            Self::Writable { initial, .. } => initial.len(),
        }
    }
}

/// A group of files that are computed together.
pub(super) struct Group {
    pub(super) sizes: Vec<usize>,
    pub(super) compute: Compute,
}

impl Group {
    /// The group's files, each of exactly its declared size: firmware takes the size from the
    /// directory, which it reads long before.
    pub(super) fn compute(&self) -> Vec<Vec<u8>> {
        let mut files = (self.compute)();
        files.resize_with(self.sizes.len(), Vec::new);
        for (bytes, &size) in files.iter_mut().zip(&self.sizes) {
            if bytes.len() > size {
                tracing::error!("a computed firmware file has {} bytes, not {size}", bytes.len());
            }
            bytes.resize(size, 0);
        }
        files
    }
}

/// Collects the items of a [`FwCfg`].
#[derive(Default)]
pub struct FwCfgBuilder {
    keyed: BTreeMap<u16, Content>,
    named: BTreeMap<String, Content>,
    groups: Vec<Group>,
    error: Option<FwCfgError>,
}

impl FwCfgBuilder {
    /// A device with the items every machine has: signature, interface bits, and no kernel.
    pub fn new() -> Self {
        Self::default()
            .item(key::SIGNATURE, b"QEMU")
            .item(key::ID, &3u32.to_le_bytes())
            .item(key::KERNEL_SIZE, &[0; 4])
            .item(key::INITRD_SIZE, &[0; 4])
            .item(key::CMDLINE_SIZE, &[0; 4])
            .item(key::SETUP_SIZE, &[0; 4])
            .item(key::NOGRAPHIC, &[0; 2])
            .item(key::BOOT_MENU, &[0; 2])
            .item(key::NUMA, &[0; 16])
            .item(key::ACPI_TABLES, &[0; 2])
            .item(key::SMBIOS_ENTRIES, &[0; 2])
            // The timer interrupt is on GSI 2, as the MADT says.
            .item(key::IRQ0_OVERRIDE, &1u32.to_le_bytes())
    }

    /// Sets the number of CPUs.
    pub fn cpus(self, count: u16) -> Self {
        self.item(key::NB_CPUS, &count.to_le_bytes()).item(key::MAX_CPUS, &count.to_le_bytes())
    }

    /// Sets a numbered item, replacing what it was.
    pub fn item(mut self, key: u16, bytes: &[u8]) -> Self {
        self.keyed.insert(key, Content::Fixed(bytes.into()));
        self
    }

    /// Adds a file.
    pub fn file(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.named(name, Content::Fixed(bytes.into().into()))
    }

    /// Adds the file that says which sleep states there are: S0, S5, and S3 when `s3`. S4 is left
    /// out: without it operating systems hibernate through S5, which needs nothing of firmware.
    pub fn system_states(self, s3: bool) -> Self {
        const PRESENT: u8 = 0x80;
        let s3 = if s3 { PRESENT } else { 0 };
        self.file(file::SYSTEM_STATES, [PRESENT, 0, 0, s3, 0, PRESENT])
    }

    /// Adds files that are made together when the guest selects the first of them after a reset.
    /// `files` gives each one's name and its size, which the directory states beforehand; shorter
    /// contents are padded with zeroes.
    pub fn computed(
        mut self,
        files: &[(&str, usize)],
        compute: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let group = self.groups.len();
        let sizes = files.iter().map(|(_, size)| *size).collect();
        self.groups.push(Group { sizes, compute: Box::new(compute) });
        for (index, &(name, size)) in files.iter().enumerate() {
            self = self.named(name, Content::Computed { group, index, size });
        }
        self
    }

    /// Adds a file that the guest may write through DMA. Its size never changes; a reset brings
    /// back `initial`.
    pub fn writable(self, name: &str, initial: Vec<u8>, on_write: Option<OnWrite>) -> Self {
        self.named(name, Content::Writable { initial, on_write })
    }

    fn named(mut self, name: &str, content: Content) -> Self {
        let valid =
            (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if !valid {
            self.error.get_or_insert(FwCfgError::Name(name.into()));
        } else if self.named.insert(name.into(), content).is_some() {
            self.error.get_or_insert(FwCfgError::Duplicate(name.into()));
        }
        self
    }

    /// Makes the device; DMA goes to and from `ram`.
    ///
    /// # Errors
    /// When a file's name is not valid or taken, or the files are too many or too large.
    pub fn build(self, ram: GuestRam) -> Result<FwCfg, FwCfgError> {
        let Self { keyed: mut items, named, groups, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        let count = u32::try_from(named.len()).map_err(|_| FwCfgError::TooLarge)?;
        let mut directory = Vec::with_capacity(4 + named.len() * ENTRY_SIZE);
        directory.extend_from_slice(&count.to_be_bytes());
        // Sorted by name, as a `BTreeMap` iterates.
        for (key, (name, content)) in (key::FILE_FIRST..).zip(named) {
            // 0x4000 and up are flags.
            if key >= 0x4000 {
                return Err(FwCfgError::TooLarge);
            }
            let size = u32::try_from(content.size()).map_err(|_| FwCfgError::TooLarge)?;
            directory.extend_from_slice(&size.to_be_bytes());
            directory.extend_from_slice(&key.to_be_bytes());
            directory.extend_from_slice(&[0; 2]);
            directory.extend_from_slice(name.as_bytes());
            directory.resize(directory.len() + NAME_MAX + 1 - name.len(), 0);
            items.insert(key, content);
        }
        items.insert(key::FILE_DIR, Content::Fixed(directory.into()));
        Ok(FwCfg::new(items, groups, ram))
    }
}
