//! The initial RAM disk.

use std::ops::Range;
use std::path::Path;

use vm_memory::{Bytes, GuestAddress};

use super::{BootError, open};
use crate::memory::GuestRam;

/// Where the initial RAM disk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Initrd {
    pub(super) address: u32,
    pub(super) size: u32,
}

/// Puts the file at `path` as high as it goes in `room`, aligned to a page.
pub(super) fn load(ram: &GuestRam, path: &Path, room: Range<u64>) -> Result<Initrd, BootError> {
    const PAGE: u64 = 4096;
    let (mut file, size) = open(path)?;
    let too_large = || BootError::InitrdTooLarge { path: path.into(), size };
    let start = room.end.checked_sub(size).map(|at| at & !(PAGE - 1)).ok_or_else(too_large)?;
    if start < room.start {
        return Err(too_large());
    }
    // Both are below 4 GiB as `room` is.
    let (address, len) =
        u32::try_from(start).ok().zip(u32::try_from(size).ok()).ok_or_else(too_large)?;
    ram.read_exact_volatile_from(GuestAddress(start), &mut file, len as usize).map_err(
        |error| BootError::Unreadable { path: path.into(), source: std::io::Error::other(error) },
    )?;
    Ok(Initrd { address, size: len })
}
