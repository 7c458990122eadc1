//! Command headers, command tables and the host memory they describe (AHCI 1.3.1 §4.2).

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use crate::block::Segment;
use crate::memory::GuestRam;

/// Length of a command header.
const HEADER_LEN: u64 = 32;
/// Where the ATAPI command is in a command table, and where the PRD table starts.
const PACKET_OFFSET: usize = 0x40;
const TABLE_OFFSET: u64 = 0x80;
/// Length of an entry of the PRD table.
const ENTRY_LEN: usize = 16;
/// Entries read at once.
const CHUNK: usize = 64;

/// Why a command's host memory cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BufferError {
    /// The PRD table describes less than the command transfers.
    Short,
    /// Something lies outside RAM.
    Bus,
}

/// A command header.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandHeader {
    address: u64,
    flags: u32,
    table: u64,
}

impl CommandHeader {
    /// Reads the header of `slot` from the list at `list`; `None` when it lies outside RAM.
    pub(super) fn read(ram: &GuestRam, list: u64, slot: u8) -> Option<Self> {
        let address = list.checked_add(u64::from(slot) * HEADER_LEN)?;
        let mut bytes = [0; 16];
        ram.read_slice(&mut bytes, GuestAddress(address)).ok()?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let table = u64::from(word(8) & !0x7f) | u64::from(word(12)) << 32;
        Some(Self { address, flags: word(0), table })
    }

    /// Length of the command FIS in double words.
    pub(super) fn fis_len(&self) -> u32 {
        self.flags & 0x1f
    }

    /// Whether the table holds an ATAPI command.
    pub(super) fn is_packet(&self) -> bool {
        self.flags & 1 << 5 != 0
    }

    /// Whether BSY clears as soon as the device has taken the FIS.
    pub(super) fn clears_busy(&self) -> bool {
        self.flags & 1 << 10 != 0
    }

    /// Reads the command FIS and the ATAPI command; `None` when they lie outside RAM.
    pub(super) fn read_command(&self, ram: &GuestRam) -> Option<([u8; 64], [u8; 16])> {
        let mut bytes = [0; PACKET_OFFSET + 16];
        ram.read_slice(&mut bytes, GuestAddress(self.table)).ok()?;
        let (mut fis, mut packet) = ([0; 64], [0; 16]);
        fis.copy_from_slice(&bytes[..PACKET_OFFSET]);
        packet.copy_from_slice(&bytes[PACKET_OFFSET..]);
        Some((fis, packet))
    }

    /// The memory that the PRD table describes.
    pub(super) fn buffer<'a>(&self, ram: &'a GuestRam) -> HostBuffer<'a> {
        HostBuffer { ram, table: self.table, entries: (self.flags >> 16) as u16 }
    }

    /// Where the number of transferred bytes is reported.
    pub(super) fn byte_count_address(&self) -> GuestAddress {
        // The header was read from here, so that this does not wrap.
        GuestAddress(self.address + 4)
    }
}

/// The host memory of one command.
pub(super) struct HostBuffer<'a> {
    ram: &'a GuestRam,
    table: u64,
    entries: u16,
}

/// Memory for a transfer.
#[derive(Debug, Default)]
pub(super) struct Scatter {
    /// In order, adjacent entries joined.
    pub(super) segments: Vec<Segment>,
    /// Whether an entry asks for an interrupt of its own.
    pub(super) interrupt: bool,
}

impl HostBuffer<'_> {
    /// Gathers at most `bytes` bytes and says how many there are. The table has at most 65535
    /// entries of at least 2 bytes, which bounds both the work and the result.
    fn gather(&self, bytes: u64) -> Result<(Scatter, u64), BufferError> {
        let mut scatter = Scatter::default();
        let mut left = bytes;
        let mut at = self.table.checked_add(TABLE_OFFSET).ok_or(BufferError::Bus)?;
        let mut entries = usize::from(self.entries);
        let mut chunk = [0; CHUNK * ENTRY_LEN];
        while left > 0 && entries > 0 {
            let now = entries.min(CHUNK);
            let table = &mut chunk[..now * ENTRY_LEN];
            self.ram.read_slice(table, GuestAddress(at)).map_err(|_| BufferError::Bus)?;
            if scatter.segments.is_empty() {
                scatter.segments.reserve(now);
            }
            for entry in table.chunks_exact(ENTRY_LEN) {
                if left == 0 {
                    break;
                }
                left -= self.add(&mut scatter, entry, left)?;
            }
            entries -= now;
            at = at.checked_add(table.len() as u64).ok_or(BufferError::Bus)?;
        }
        Ok((scatter, bytes - left))
    }

    /// Appends one entry, `left` bytes at most, and says how many bytes it gave.
    fn add(&self, scatter: &mut Scatter, entry: &[u8], left: u64) -> Result<u64, BufferError> {
        let word = |at: usize| {
            u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
        };
        // Bit 0 of address and count are reserved: both are even (§4.2.3.3).
        let address = u64::from(word(0) & !1) | u64::from(word(4)) << 32;
        let described = (word(12) & 0x3f_ffff | 1) + 1;
        let len = u32::try_from(left).map_or(described, |left| described.min(left));
        if !self.ram.check_range(GuestAddress(address), len as usize) {
            return Err(BufferError::Bus);
        }
        scatter.interrupt |= word(12) >> 31 != 0;
        let joined = scatter.segments.last_mut().and_then(|last| {
            let adjacent = last.address.0 + u64::from(last.len) == address;
            let sum = last.len.checked_add(len).filter(|_| adjacent)?;
            last.len = sum;
            Some(())
        });
        if joined.is_none() {
            scatter.segments.push(Segment { address: GuestAddress(address), len });
        }
        Ok(u64::from(len))
    }

    /// Memory for exactly `bytes` bytes.
    pub(super) fn scatter(&self, bytes: u64) -> Result<Scatter, BufferError> {
        let (scatter, found) = self.gather(bytes)?;
        if found < bytes { Err(BufferError::Short) } else { Ok(scatter) }
    }

    /// Writes as much of `data` as there is room for and says how much that was.
    pub(super) fn write(&self, data: &[u8]) -> Result<usize, BufferError> {
        let (scatter, _) = self.gather(data.len() as u64)?;
        let mut done = 0;
        for segment in &scatter.segments {
            let part = &data[done..done + segment.len as usize];
            self.ram.write_slice(part, segment.address).map_err(|_| BufferError::Bus)?;
            done += part.len();
        }
        Ok(done)
    }

    /// Reads `len` bytes.
    pub(super) fn read(&self, len: usize) -> Result<Vec<u8>, BufferError> {
        let scatter = self.scatter(len as u64)?;
        let mut data = vec![0; len];
        let mut done = 0;
        for segment in &scatter.segments {
            let part = &mut data[done..done + segment.len as usize];
            self.ram.read_slice(part, segment.address).map_err(|_| BufferError::Bus)?;
            done += segment.len as usize;
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAM: usize = 1 << 20;

    fn ram() -> GuestRam {
        GuestRam::from_ranges(&[(GuestAddress(0), RAM)]).unwrap()
    }

    /// A table at address 0 whose entries start at 0x80.
    fn buffer<'a>(ram: &'a GuestRam, entries: &[(u64, u32)]) -> HostBuffer<'a> {
        for (index, (address, count)) in (0u64..).zip(entries) {
            let at = 0x80 + 16 * index;
            ram.write_obj(*address, GuestAddress(at)).unwrap();
            ram.write_obj(*count, GuestAddress(at + 12)).unwrap();
        }
        HostBuffer { ram, table: 0, entries: entries.len() as u16 }
    }

    #[test]
    fn joins_neighbours_and_cuts_the_last_entry() {
        let ram = ram();
        let buffer = buffer(&ram, &[(0x1000, 0xfff), (0x2000, 0xfff), (0x8000, 0x8000_0fff)]);
        let scatter = buffer.scatter(0x2200).unwrap();
        let lens: Vec<_> = scatter.segments.iter().map(|s| (s.address.0, s.len)).collect();
        assert_eq!(lens, [(0x1000, 0x2000), (0x8000, 0x200)]);
        assert!(scatter.interrupt);
        assert!(!buffer.scatter(0x2000).unwrap().interrupt);
        assert_eq!(buffer.scatter(0x3002).unwrap_err(), BufferError::Short);
    }

    #[test]
    fn memory_outside_ram_is_refused() {
        let ram = ram();
        for entry in [(RAM as u64 - 0x1000, 0x1001), (u64::MAX, 0x3f_ffff), (1 << 40, 1)] {
            assert_eq!(
                buffer(&ram, &[entry]).scatter(1 << 30).unwrap_err(),
                BufferError::Bus,
                "{entry:x?}"
            );
        }
        let wrapping = HostBuffer { ram: &ram, table: u64::MAX - 0x10, entries: 1 };
        assert_eq!(wrapping.scatter(2).unwrap_err(), BufferError::Bus);
        let outside = HostBuffer { ram: &ram, table: RAM as u64 - 0x88, entries: u16::MAX };
        assert_eq!(outside.scatter(u64::MAX).unwrap_err(), BufferError::Bus);
    }

    #[test]
    fn the_largest_table_is_bounded() {
        let ram = GuestRam::from_ranges(&[(GuestAddress(0), 4 << 20)]).unwrap();
        let table = HostBuffer { ram: &ram, table: 0x1000, entries: u16::MAX };
        // All entries zero: address 0, 2 bytes each.
        let (scatter, bytes) = table.gather(u64::MAX).unwrap();
        assert_eq!(bytes, 2 * u64::from(u16::MAX));
        assert_eq!(scatter.segments.len(), usize::from(u16::MAX));
    }

    #[test]
    fn small_data_goes_both_ways() {
        let ram = ram();
        let buffer = buffer(&ram, &[(0x1000, 3), (0x3000, 3)]);
        assert_eq!(buffer.write(b"abcdefghij"), Ok(8));
        assert_eq!(buffer.read(6).unwrap(), b"abcdef");
        assert_eq!(buffer.read(9), Err(BufferError::Short));
    }
}
