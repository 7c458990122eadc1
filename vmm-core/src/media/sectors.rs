//! Reading a medium sector by sector.

use std::io;

use crate::block::HostFile;

/// Size of an optical medium's sector in bytes.
pub(super) const SECTOR: usize = 2048;

/// The bytes of one.
pub(super) type Sector = [u8; SECTOR];

/// Something with sectors.
pub(super) trait Sectors {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Sector `number`; zeroes beyond the end.
    fn sector(&self, number: u64) -> io::Result<Sector>;
}

impl Sectors for HostFile {
    fn len(&self) -> u64 {
        HostFile::len(self)
    }

    fn sector(&self, number: u64) -> io::Result<Sector> {
        let mut sector = [0; SECTOR];
        match number.checked_mul(SECTOR as u64) {
            Some(offset) if offset < self.len() => self.read_at(&mut sector, offset)?,
            _ => {}
        }
        Ok(sector)
    }
}

/// A medium in memory, for tests.
#[cfg(test)]
impl Sectors for Vec<u8> {
    fn len(&self) -> u64 {
        Vec::len(self) as u64
    }

    fn sector(&self, number: u64) -> io::Result<Sector> {
        let mut sector = [0; SECTOR];
        let start = usize::try_from(number.saturating_mul(SECTOR as u64)).unwrap_or(usize::MAX);
        if let Some(rest) = self.get(start..) {
            let len = rest.len().min(SECTOR);
            sector[..len].copy_from_slice(&rest[..len]);
        }
        Ok(sector)
    }
}
