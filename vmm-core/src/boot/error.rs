//! Why a kernel cannot be booted.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::text;
use crate::units::Bytes;

/// Why a kernel cannot be booted.
#[derive(Debug, Error)]
pub enum BootError {
    /// A file cannot be read.
    #[error("{}", text!("{path} cannot be read", path = .path.display()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A path names something other than a regular file.
    #[error("{}", text!("{path} is not a regular file", path = .path.display()))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file has no contents.
    #[error("{}", text!("{path} is empty", path = .path.display()))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file is not a kernel that this machine can boot.
    #[error("{}", text!(
        "{path} is not a kernel this machine can boot: {reason}",
        path = .path.display(), reason
    ))]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// RAM is too small for the kernel.
    #[error("{}", text!(
        "the kernel needs at least {memory} of memory",
        memory = Bytes(.needed.next_multiple_of(1 << 20))
    ))]
    TooLittleMemory {
        /// Bytes of RAM below 4 GiB that would do.
        needed: u64,
    },
    /// RAM is too small for the kernel together with its initial RAM disk.
    #[error("{}", text!(
        "the initial RAM disk {path} ({size} bytes) does not fit; give the machine more memory",
        path = .path.display(), size
    ))]
    InitrdTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The kernel takes no command line this long.
    #[error("{}", text!(
        "the kernel's command line has {len} characters; this kernel takes at most {max}",
        len, max
    ))]
    CommandLineTooLong {
        /// Its length in bytes.
        len: usize,
        /// What the kernel takes.
        max: usize,
    },
    /// The command line would end at its first NUL.
    #[error("{}", text!("the kernel's command line contains a NUL character"))]
    CommandLineNul,
    /// Guest RAM has a hole where boot structures go.
    #[error("{}", text!("the machine's memory has no room for what the kernel must be told"))]
    Memory(#[from] vm_memory::GuestMemoryError),
}

/// What is wrong with a kernel, before its path is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file is not a kernel, or not a whole one.
    Invalid(String),
    Read(std::io::Error),
    TooLittleMemory(u64),
}

impl Fault {
    pub(super) fn truncated() -> Self {
        Self::Invalid(text!("it is cut short"))
    }

    pub(super) fn at(self, path: &Path) -> BootError {
        let path = path.into();
        match self {
            Self::Invalid(reason) => BootError::NotAKernel { path, reason },
            Self::Read(source) => BootError::Unreadable { path, source },
            Self::TooLittleMemory(needed) => BootError::TooLittleMemory { needed },
        }
    }
}
