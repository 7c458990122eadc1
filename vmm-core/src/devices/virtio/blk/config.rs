//! The configuration space (VIRTIO 1.2 §5.2.4).

use super::{QUEUE_SIZE, SECTOR};

/// Segments of a request's data: a queue's entries without those of header and status.
const MAX_SEGMENTS: u32 = QUEUE_SIZE as u32 - 2;
/// Physical blocks are 2³ sectors: what lies below has pages and clusters of at least that, and
/// partitions are aligned to it.
const PHYSICAL_BLOCK_EXPONENT: u8 = 3;
const PHYSICAL_BLOCK: u16 = 1 << PHYSICAL_BLOCK_EXPONENT;
/// Ranges of one request to discard or to zero.
pub(super) const MAX_RANGES: u32 = 32;
/// Sectors of a range to discard: 1 GiB. A reset waits for ranges being worked on.
pub(super) const MAX_DISCARD: u32 = 1 << 21;
/// Sectors of a range to zero: 64 MiB. Where the host has nothing cheaper, the zeroes are written.
pub(super) const MAX_ZEROES: u32 = 1 << 17;

/// What the driver reads.
pub(super) struct Config {
    /// Length of the disk in sectors.
    pub(super) sectors: u64,
    pub(super) queues: u16,
    pub(super) writable: bool,
}

impl Config {
    /// As it lies in memory, up to the last field that is not zero. Fields that the driver did
    /// not ask for by a feature bit mean nothing.
    pub(super) fn bytes(&self) -> [u8; 60] {
        let mut bytes = [0; 60];
        let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        set(0, &self.sectors.to_le_bytes());
        set(12, &MAX_SEGMENTS.to_le_bytes());
        set(20, &(SECTOR as u32).to_le_bytes());
        set(24, &[PHYSICAL_BLOCK_EXPONENT]);
        // Least size of I/O that is not slow.
        set(26, &PHYSICAL_BLOCK.to_le_bytes());
        set(34, &self.queues.to_le_bytes());
        if self.writable {
            set(36, &MAX_DISCARD.to_le_bytes());
            set(40, &MAX_RANGES.to_le_bytes());
            set(44, &u32::from(PHYSICAL_BLOCK).to_le_bytes());
            set(48, &MAX_ZEROES.to_le_bytes());
            set(52, &MAX_RANGES.to_le_bytes());
            // Zeroes may be holes.
            set(56, &[1]);
        }
        bytes
    }
}
