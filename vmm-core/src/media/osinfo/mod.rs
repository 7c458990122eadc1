//! osinfo-db: which operating system is on a medium, and what it wants.
//!
//! What lives here: reading the database's files (its own and those a person has added), matching
//! a medium with its rules, and the answer in plain types. What does not: the database; it is a
//! package of its own (`osinfo-db`, <https://libosinfo.org>), and Berth does without when it is
//! missing or damaged: every system is unknown then.

mod database;
mod document;
mod folders;
mod rule;

pub use database::Database;
pub use folders::folders;

use crate::units::Bytes;

/// The architecture of the machines that run here, as osinfo-db calls it.
pub const ARCHITECTURE: &str = "x86_64";

/// What a system needs; `None` where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// RAM.
    pub memory: Option<Bytes>,
    /// Processors.
    pub cpus: Option<u32>,
    /// Space on the disk.
    pub storage: Option<Bytes>,
}

/// A system that was found on a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatingSystem {
    /// What the database calls it, such as `http://debian.org/debian/12`.
    pub id: String,
    /// Its name, with its variant's, in the language asked for if the database has it.
    pub name: String,
    /// The architecture that the medium is for; `all` when for any.
    pub architecture: String,
    /// Whether it runs from the medium.
    pub live: bool,
    /// Whether it can be installed from the medium.
    pub installer: bool,
    /// What it needs at least.
    pub minimum: Resources,
    /// What it runs well with; nowhere less than the least.
    pub recommended: Resources,
    /// Whether it starts with a BIOS, when that is known.
    pub bios: Option<bool>,
    /// Whether it starts with UEFI, when that is known.
    pub uefi: Option<bool>,
    /// Whether it is known to have drivers for virtio devices as of version 1.
    pub virtio: bool,
}

impl OperatingSystem {
    /// Whether machines of [`ARCHITECTURE`] can run it.
    pub fn runs_here(&self) -> bool {
        // Those that are for 32 bits run on 64, too.
        matches!(
            self.architecture.as_str(),
            ARCHITECTURE | "i386" | "i486" | "i586" | "i686" | "all"
        )
    }
}

#[cfg(test)]
mod tests;
