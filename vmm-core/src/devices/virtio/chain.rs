//! Descriptor chains (VIRTIO 1.2 §2.7.5): what the guest offers in one go.

use thiserror::Error;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{Address, Bytes, GuestAddress, GuestMemoryBackend};

use super::MAX_QUEUE_SIZE;
use crate::memory::{GuestRam, Segment};

/// Length of a descriptor in memory.
const DESCRIPTOR_LEN: u32 = 16;

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChainError {
    /// Its head or a link names no descriptor of the table.
    #[error("a descriptor that does not exist")]
    Index,
    /// It has more descriptors than any honest chain, as a loop does.
    #[error("a chain without an end")]
    Endless,
    /// Memory that is not there.
    #[error("memory that does not exist")]
    Memory,
    /// A table in a table, with a wrong length, that goes on, or without having been negotiated.
    #[error("a bad indirect table")]
    Indirect,
    /// What the device reads follows what it writes (§2.7.4.2).
    #[error("buffers in the wrong order")]
    Order,
    /// More than 4 GiB in all (§2.7.5.2).
    #[error("too long a chain")]
    Length,
    /// The head is in use already.
    #[error("a chain offered twice")]
    Twice,
}

/// Guest memory offered to the device: a part to read from, then a part to write to. All of it is
/// RAM. To be ended by [`VirtQueue::complete`](super::VirtQueue::complete).
#[derive(Debug)]
#[must_use = "the guest waits for every chain to be completed"]
pub struct Chain {
    head: u16,
    readable: Vec<Segment>,
    writable: Vec<Segment>,
    written: u32,
}

impl Chain {
    /// Gathers the chain that starts at `head` of the table at `table` with `size` entries.
    pub(super) fn gather(
        ram: &GuestRam,
        table: u64,
        size: u16,
        head: u16,
        indirect: bool,
    ) -> Result<Self, ChainError> {
        let mut chain = Self { head, readable: Vec::new(), writable: Vec::new(), written: 0 };
        let mut table = Table { base: GuestAddress(table), size };
        let (mut index, mut nested, mut total) = (head, false, 0u32);
        for _ in 0..MAX_QUEUE_SIZE {
            let descriptor = table.get(ram, index)?;
            if descriptor.refers_to_indirect_table() {
                if nested || !indirect || descriptor.has_next() {
                    return Err(ChainError::Indirect);
                }
                (table, index, nested) = (Table::indirect(&descriptor)?, 0, true);
                continue;
            }
            total = total.checked_add(descriptor.len()).ok_or(ChainError::Length)?;
            chain.add(ram, &descriptor)?;
            if !descriptor.has_next() {
                return Ok(chain);
            }
            index = descriptor.next();
        }
        Err(ChainError::Endless)
    }

    fn add(&mut self, ram: &GuestRam, descriptor: &Descriptor) -> Result<(), ChainError> {
        let segment = Segment { address: descriptor.addr(), len: descriptor.len() };
        if !descriptor.is_write_only() && !self.writable.is_empty() {
            return Err(ChainError::Order);
        }
        if segment.len == 0 {
            return Ok(());
        }
        if !ram.check_range(segment.address, segment.len as usize) {
            return Err(ChainError::Memory);
        }
        let part = if descriptor.is_write_only() { &mut self.writable } else { &mut self.readable };
        part.push(segment);
        Ok(())
    }

    /// The index by which driver and device know it.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// What is left to read.
    pub fn readable(&self) -> &[Segment] {
        &self.readable
    }

    /// What is left to write.
    pub fn writable(&self) -> &[Segment] {
        &self.writable
    }

    /// Bytes left to read.
    pub fn readable_len(&self) -> u32 {
        length(&self.readable)
    }

    /// Bytes left to write.
    pub fn writable_len(&self) -> u32 {
        length(&self.writable)
    }

    /// Reads on into `data` and returns how many bytes there were.
    pub fn read(&mut self, ram: &GuestRam, data: &mut [u8]) -> usize {
        let mut done = 0;
        take(&mut self.readable, data.len(), |segment| {
            let part = &mut data[done..done + segment.len as usize];
            done += part.len();
            // The chain lies in RAM, which never shrinks.
            ram.read_slice(part, segment.address).is_ok()
        });
        done
    }

    /// Reads on until all of `data` is filled; `false` when there is not enough.
    #[must_use]
    pub fn read_exact(&mut self, ram: &GuestRam, data: &mut [u8]) -> bool {
        self.read(ram, data) == data.len()
    }

    /// Writes on from `data` and returns how many bytes there was room for. They count as
    /// written.
    pub fn write(&mut self, ram: &GuestRam, data: &[u8]) -> usize {
        let mut done = 0;
        take(&mut self.writable, data.len(), |segment| {
            let part = &data[done..done + segment.len as usize];
            done += part.len();
            ram.write_slice(part, segment.address).is_ok()
        });
        self.written += done as u32;
        done
    }

    /// Takes the next `len` bytes off what is left to read, for somebody else to read them.
    /// Fewer when there are not as many.
    pub fn take_readable(&mut self, len: usize) -> Vec<Segment> {
        let mut taken = Vec::new();
        take(&mut self.readable, len, |segment| {
            taken.push(segment);
            true
        });
        taken
    }

    /// Takes the next `len` bytes off what is left to write, for somebody else to write them, who
    /// says so by [`Self::add_written`]. Fewer when there are not as many.
    pub fn take_writable(&mut self, len: usize) -> Vec<Segment> {
        let mut taken = Vec::new();
        take(&mut self.writable, len, |segment| {
            taken.push(segment);
            true
        });
        taken
    }

    /// `bytes` more were written, in order, by somebody else.
    pub fn add_written(&mut self, bytes: u32) {
        self.written = self.written.saturating_add(bytes);
    }

    /// Bytes written so far, which is what the driver will be told.
    pub fn written(&self) -> u32 {
        self.written
    }
}

fn length(segments: &[Segment]) -> u32 {
    // Does not overflow: `gather` has checked the sum.
    segments.iter().map(|segment| segment.len).sum()
}

/// Takes up to `len` bytes off the front of `segments` and hands them to `each`, until that gives
/// `false`.
fn take(segments: &mut Vec<Segment>, len: usize, mut each: impl FnMut(Segment) -> bool) {
    let mut left = u32::try_from(len).unwrap_or(u32::MAX);
    let mut whole = 0;
    for segment in segments.iter_mut() {
        if left == 0 {
            break;
        }
        let now = Segment { len: segment.len.min(left), ..*segment };
        left -= now.len;
        segment.len -= now.len;
        if segment.len == 0 {
            whole += 1;
        } else {
            segment.address = segment.address.unchecked_add(now.len.into());
        }
        if !each(now) {
            break;
        }
    }
    segments.drain(..whole);
}

struct Table {
    base: GuestAddress,
    size: u16,
}

impl Table {
    fn indirect(descriptor: &Descriptor) -> Result<Self, ChainError> {
        let len = descriptor.len();
        let size = u16::try_from(len / DESCRIPTOR_LEN).map_err(|_| ChainError::Indirect)?;
        if size == 0 || !len.is_multiple_of(DESCRIPTOR_LEN) {
            return Err(ChainError::Indirect);
        }
        Ok(Self { base: descriptor.addr(), size })
    }

    fn get(&self, ram: &GuestRam, index: u16) -> Result<Descriptor, ChainError> {
        if index >= self.size {
            return Err(ChainError::Index);
        }
        let at = self.base.checked_add(u64::from(index) * u64::from(DESCRIPTOR_LEN));
        let at = at.ok_or(ChainError::Memory)?;
        ram.read_obj(at).map_err(|_| ChainError::Memory)
    }
}
