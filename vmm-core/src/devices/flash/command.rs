//! The command state machine.

use serde::{Deserialize, Serialize};

use super::memory::Cells;
use super::{BLOCK_SIZE, MAX_SIZE};

/// Commands (StrataFlash J3 datasheet, table 16).
mod op {
    pub(super) const PROGRAM: u8 = 0x40;
    pub(super) const PROGRAM_ALTERNATE: u8 = 0x10;
    pub(super) const ERASE: u8 = 0x20;
    pub(super) const CLEAR_STATUS: u8 = 0x50;
    pub(super) const LOCK: u8 = 0x60;
    pub(super) const READ_STATUS: u8 = 0x70;
    pub(super) const READ_ID: u8 = 0x90;
    pub(super) const QUERY: u8 = 0x98;
    pub(super) const CONFIRM: u8 = 0xd0;
    pub(super) const BUFFERED_PROGRAM: u8 = 0xe8;
}

/// Bits of the status register (table 19).
mod status {
    pub(super) const READY: u8 = 1 << 7;
    /// Erase and program failed at once: the commands made no sense.
    pub(super) const BAD_SEQUENCE: u8 = 1 << 5 | 1 << 4;
}

/// Manufacturer (Intel), device, and "this block is not locked".
const IDENTIFIER: [u8; 3] = [0x89, 0x18, 0x00];
/// log2 of the write buffer's size.
const BUFFER_BITS: u8 = 8;
const BUFFER_SIZE: usize = 1 << BUFFER_BITS;

/// What reading gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ReadMode {
    Array,
    Status,
    Identifier,
    Query,
}

/// What the next write means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Command,
    ProgramData,
    EraseConfirm,
    LockConfirm,
    BufferCount { block: u32 },
    BufferData { block: u32, left: u16, data: Vec<(u32, u8)> },
    BufferConfirm { data: Vec<(u32, u8)> },
}

/// Guest-visible state of a [`super::Flash`]. What the cells hold is not part of it: that is a
/// file of the machine, as its disks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashState {
    mode: ReadMode,
    status: u8,
    expect: Expect,
}

impl FlashState {
    pub(super) fn power_on() -> Self {
        Self { mode: ReadMode::Array, status: status::READY, expect: Expect::Command }
    }

    /// Whether reads give the cells' contents and no command is under way: what the guest sees
    /// then is plain memory.
    pub(super) fn is_array(&self) -> bool {
        self.mode == ReadMode::Array && self.expect == Expect::Command
    }

    /// Whether `self` is a state of a flash of `len` bytes.
    pub(super) fn check(&self, len: usize) -> Result<(), &'static str> {
        let in_range = |offset: u32| (offset as usize) < len;
        let data_ok = |data: &[(u32, u8)]| {
            data.len() <= BUFFER_SIZE && data.iter().all(|(offset, _)| in_range(*offset))
        };
        let ok = match &self.expect {
            Expect::BufferCount { block } => in_range(*block),
            Expect::BufferData { block, left, data } => {
                in_range(*block) && data_ok(data) && usize::from(*left) + data.len() <= BUFFER_SIZE
            }
            Expect::BufferConfirm { data } => data_ok(data),
            _ => true,
        };
        if ok { Ok(()) } else { Err("its write buffer reaches past the end of the flash") }
    }

    /// Reads at `offset`; only the lowest byte of a wide read carries status and the like.
    pub(super) fn read(&self, cells: &Cells, offset: usize, data: &mut [u8]) {
        let byte = match self.mode {
            ReadMode::Array => return cells.read(offset, data),
            ReadMode::Status => self.status,
            ReadMode::Identifier => IDENTIFIER.get(offset & 0xff).copied().unwrap_or(0),
            ReadMode::Query => query(offset & 0xff, cells.bytes().len()),
        };
        data.fill(0);
        if let Some(first) = data.first_mut() {
            *first = byte;
        }
    }

    /// Writes at `offset`, which lies within the flash. Returns whether cells changed.
    pub(super) fn write(&mut self, cells: &mut Cells, offset: usize, data: &[u8]) -> bool {
        let Some(&value) = data.first() else { return false };
        match std::mem::replace(&mut self.expect, Expect::Command) {
            Expect::Command => {
                self.command(offset, value);
                false
            }
            Expect::ProgramData => {
                cells.program(offset, data);
                self.done()
            }
            Expect::EraseConfirm if value == op::CONFIRM => {
                cells.erase(offset);
                self.done()
            }
            // Blocks cannot be locked, so that unlocking always works.
            Expect::LockConfirm => {
                self.done();
                false
            }
            Expect::BufferCount { block } => {
                let left = u16::from(value) + 1;
                self.expect = Expect::BufferData { block, left, data: Vec::new() };
                false
            }
            Expect::BufferData { block, left, data: buffer } => {
                self.fill_buffer(block, left, buffer, offset, data);
                false
            }
            Expect::BufferConfirm { data } if value == op::CONFIRM => {
                for (at, byte) in data {
                    cells.program(at as usize, &[byte]);
                }
                self.done()
            }
            Expect::EraseConfirm | Expect::BufferConfirm { .. } => {
                self.bad_sequence();
                false
            }
        }
    }

    fn command(&mut self, offset: usize, value: u8) {
        let (mode, expect) = match value {
            op::PROGRAM | op::PROGRAM_ALTERNATE => (ReadMode::Status, Expect::ProgramData),
            op::ERASE => (ReadMode::Status, Expect::EraseConfirm),
            op::LOCK => (ReadMode::Status, Expect::LockConfirm),
            op::BUFFERED_PROGRAM => {
                // The buffer is free at once.
                self.status |= status::READY;
                let block = (offset - offset % BLOCK_SIZE) as u32;
                (ReadMode::Status, Expect::BufferCount { block })
            }
            op::CLEAR_STATUS => {
                // The ready bit too: edk2 tells flash from RAM and ROM by a status of zero
                // after this command.
                self.status = 0;
                (ReadMode::Array, Expect::Command)
            }
            op::READ_STATUS => (ReadMode::Status, Expect::Command),
            op::READ_ID => (ReadMode::Identifier, Expect::Command),
            op::QUERY => (ReadMode::Query, Expect::Command),
            // 0xFF reads the array; so does what is no command.
            _ => (ReadMode::Array, Expect::Command),
        };
        self.mode = mode;
        self.expect = expect;
    }

    /// Takes data into the write buffer, all of which must lie in one block.
    fn fill_buffer(
        &mut self,
        block: u32,
        left: u16,
        mut buffer: Vec<(u32, u8)>,
        offset: usize,
        data: &[u8],
    ) {
        let room = block as usize..block as usize + BLOCK_SIZE;
        let fits = data.len() <= usize::from(left)
            && room.contains(&offset)
            && room.contains(&(offset + data.len() - 1));
        if !fits {
            return self.bad_sequence();
        }
        // Offsets are below `MAX_SIZE`.
        buffer.extend((offset as u32..).zip(data.iter().copied()));
        let left = left - data.len() as u16;
        self.expect = match left {
            0 => Expect::BufferConfirm { data: buffer },
            _ => Expect::BufferData { block, left, data: buffer },
        };
    }

    /// A program or erase operation ended well, which takes it no time here.
    fn done(&mut self) -> bool {
        self.status |= status::READY;
        true
    }

    fn bad_sequence(&mut self) {
        self.mode = ReadMode::Status;
        self.status |= status::READY | status::BAD_SEQUENCE;
    }
}

/// The CFI query structure (JESD68.01 §2) of a flash of `len` bytes.
fn query(offset: usize, len: usize) -> u8 {
    const { assert!(MAX_SIZE <= 1 << 24, "the number of blocks fits 16 bits") };
    let blocks = (len / BLOCK_SIZE).saturating_sub(1) as u16;
    match offset {
        0x10 => b'Q',
        0x11 => b'R',
        0x12 => b'Y',
        // Command set 1: Intel/Sharp extended; its table at 0x31.
        0x13 => 0x01,
        0x15 => 0x31,
        // Supply voltage 4.5 to 5.5 V.
        0x1b => 0x45,
        0x1c => 0x55,
        // Typical times, and how many times as long they may take: powers of two.
        0x1f | 0x20 => 0x07,
        0x21 => 0x0a,
        0x23..=0x25 => 0x04,
        // log2 of the size, rounded up; the geometry below is exact.
        0x27 => len.next_power_of_two().trailing_zeros() as u8,
        // An 8-bit interface; the write buffer's size; one region of equal blocks.
        0x2a => BUFFER_BITS,
        0x2c => 1,
        0x2d => blocks as u8,
        0x2e => (blocks >> 8) as u8,
        0x2f => (BLOCK_SIZE / 256) as u8,
        0x30 => ((BLOCK_SIZE / 256) >> 8) as u8,
        // The Intel table, version 1.0, without optional features.
        0x31 => b'P',
        0x32 => b'R',
        0x33 => b'I',
        0x34 => b'1',
        0x35 => b'0',
        _ => 0,
    }
}
