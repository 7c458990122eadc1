//! A function's configuration space (PCI Local Bus 3.0 §6).

use serde::{Deserialize, Serialize};

use crate::interrupt::MsiMessage;
use crate::state::RestoreError;

/// Offsets of the type 0 header (PCI 3.0 §6.1).
pub mod reg {
    #![allow(missing_docs)]
    pub const VENDOR_ID: u16 = 0x00;
    pub const COMMAND: u16 = 0x04;
    pub const STATUS: u16 = 0x06;
    pub const REVISION: u16 = 0x08;
    pub const HEADER_TYPE: u16 = 0x0e;
    pub const BAR0: u16 = 0x10;
    pub const SUBSYSTEM: u16 = 0x2c;
    pub const ROM: u16 = 0x30;
    pub const CAPABILITIES: u16 = 0x34;
    pub const INTERRUPT_LINE: u16 = 0x3c;
    pub const INTERRUPT_PIN: u16 = 0x3d;
}

/// Bits of the command register (PCI 3.0 §6.2.2).
const COMMAND_IO: u16 = 1 << 0;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
/// Bits of the status register (PCI 3.0 §6.2.3).
const STATUS_INTERRUPT: u16 = 1 << 3;
const STATUS_CAPABILITIES: u16 = 1 << 4;

const SIZE: usize = 256;
/// The BARs and, as the seventh, the expansion ROM.
pub(super) const BARS: usize = 7;
/// Index of the expansion ROM among the BARs.
pub(super) const ROM_BAR: usize = 6;

const MSI_CAPABILITY: u8 = 0x05;
const MSI_ENABLE: u16 = 1 << 0;
const MSI_64BIT: u16 = 1 << 7;

const MSIX_CAPABILITY: u8 = 0x11;
/// Bits of MSI-X message control (PCI 3.0 §6.8.2.3).
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_MASK_ALL: u16 = 1 << 14;

/// Class, subclass and programming interface (PCI Code and ID Assignment 1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassCode(pub u8, pub u8, pub u8);

/// The fixed identity of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code.
    pub class: ClassCode,
    /// Subsystem vendor and subsystem IDs.
    pub subsystem: (u16, u16),
}

/// What a BAR decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarKind {
    /// I/O ports, through [`super::PciDevice::read_bar`].
    Io,
    /// Memory that the device answers, through [`super::PciDevice::read_bar`].
    Mmio,
    /// Memory backed by host RAM, that the device maps into the guest itself
    /// ([`super::PciDevice::bar_moved`]).
    Ram,
}

/// A base address register: a power-of-two window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// What it decodes.
    pub kind: BarKind,
    /// Length in bytes or ports; a power of two, at least 16 for memory and 4 for ports.
    pub size: u32,
    /// Whether reads have no side effects (PCI 3.0 §6.2.5.1).
    pub prefetchable: bool,
}

/// The guest-visible bytes of a configuration space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigState {
    bytes: Vec<u8>,
}

/// 256 bytes, which of their bits the guest may write, and what the BARs decode.
#[derive(Clone)]
pub struct ConfigSpace {
    bytes: [u8; SIZE],
    /// Bits the guest can change.
    writable: [u8; SIZE],
    /// Bits that writing a one clears.
    clear_on_one: [u8; SIZE],
    reset_bytes: [u8; SIZE],
    bars: [Option<Bar>; BARS],
    msi: Option<u16>,
    msix: Option<u16>,
    last_capability: Option<u16>,
    next_capability: u16,
}

impl ConfigSpace {
    /// A type 0 header without BARs or capabilities. `pin` is the INTx pin: 0 for none, 1 for
    /// INTA#.
    pub fn new(identity: Identity, pin: u8) -> Self {
        let mut space = Self {
            bytes: [0; SIZE],
            writable: [0; SIZE],
            clear_on_one: [0; SIZE],
            reset_bytes: [0; SIZE],
            bars: [None; BARS],
            msi: None,
            msix: None,
            last_capability: None,
            next_capability: 0x80,
        };
        space.set_u16(reg::VENDOR_ID, identity.vendor);
        space.set_u16(reg::VENDOR_ID + 2, identity.device);
        let ClassCode(class, subclass, interface) = identity.class;
        space.bytes[8..12].copy_from_slice(&[identity.revision, interface, subclass, class]);
        space.set_u16(reg::SUBSYSTEM, identity.subsystem.0);
        space.set_u16(reg::SUBSYSTEM + 2, identity.subsystem.1);
        space.bytes[usize::from(reg::INTERRUPT_PIN)] = pin;
        space.make_writable(reg::INTERRUPT_LINE, &[0xff]);
        let command = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_DISABLE | 0x0140;
        space.make_writable(reg::COMMAND, &command.to_le_bytes());
        space.clear_on_one[usize::from(reg::STATUS) + 1] = 0xf9;
        space.reset_bytes = space.bytes;
        space
    }

    /// Adds BAR `index` (0 to 5).
    pub fn with_bar(mut self, index: usize, bar: Bar) -> Self {
        assert!(index < ROM_BAR && bar.size.is_power_of_two(), "no such BAR");
        let (flags, minimum) = match bar.kind {
            BarKind::Io => (1, 4),
            _ if bar.prefetchable => (8, 16),
            _ => (0, 16),
        };
        assert!(bar.size >= minimum, "BAR too small");
        self.bars[index] = Some(bar);
        let at = reg::BAR0 + 4 * index as u16;
        self.make_writable(at, &(!(bar.size - 1)).to_le_bytes());
        self.set_initial(at, &[flags]);
        self
    }

    /// Adds an expansion ROM window of `size` bytes (PCI 3.0 §6.2.5.2), read through
    /// [`super::PciDevice::read_bar`] as BAR 6.
    pub fn with_rom(mut self, size: u32) -> Self {
        assert!(size.is_power_of_two() && size >= 2048, "no such ROM");
        self.bars[ROM_BAR] = Some(Bar { kind: BarKind::Mmio, size, prefetchable: true });
        self.make_writable(reg::ROM, &(!(size - 1) | 1).to_le_bytes());
        self
    }

    /// Appends a capability (PCI 3.0 §6.7) and returns its offset. `body` follows the two bytes
    /// of ID and link; `writable` says which of the body's bits the guest may change.
    pub fn add_capability(&mut self, id: u8, body: &[u8], writable: &[u8]) -> u16 {
        let at = self.next_capability;
        let link = self.last_capability.map_or(reg::CAPABILITIES, |last| last + 1);
        self.set_initial(link, &[at as u8]);
        self.set_initial(at, &[id, 0]);
        self.set_initial(at + 2, body);
        self.make_writable(at + 2, writable);
        let status = self.u16(reg::STATUS) | STATUS_CAPABILITIES;
        self.set_initial(reg::STATUS, &status.to_le_bytes());
        self.last_capability = Some(at);
        self.next_capability = (at + 2 + body.len() as u16).next_multiple_of(4);
        assert!(usize::from(self.next_capability) <= SIZE, "capabilities do not fit");
        at
    }

    /// Adds a one-vector, 64-bit MSI capability (PCI 3.0 §6.8.1).
    pub fn with_msi(mut self) -> Self {
        let mut body = [0; 12];
        body[..2].copy_from_slice(&MSI_64BIT.to_le_bytes());
        let mut writable = [0; 12];
        writable[..2].copy_from_slice(&MSI_ENABLE.to_le_bytes());
        writable[2..12]
            .copy_from_slice(&[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        self.msi = Some(self.add_capability(MSI_CAPABILITY, &body, &writable));
        self
    }

    /// Adds an MSI-X capability (PCI 3.0 §6.8.2) with `vectors` (1 to 2048) vectors, whose table
    /// and pending bits lie in memory BAR `bar` at the given offsets, multiples of 8.
    pub fn with_msix(mut self, vectors: u16, bar: u8, table: u32, pending: u32) -> Self {
        assert!((1..=2048).contains(&vectors), "bad MSI-X");
        assert!((table | pending).is_multiple_of(8), "bad MSI-X");
        let mut body = [0; 10];
        body[..2].copy_from_slice(&(vectors - 1).to_le_bytes());
        body[2..6].copy_from_slice(&(table | u32::from(bar)).to_le_bytes());
        body[6..10].copy_from_slice(&(pending | u32::from(bar)).to_le_bytes());
        let mut writable = [0; 10];
        writable[..2].copy_from_slice(&(MSIX_ENABLE | MSIX_MASK_ALL).to_le_bytes());
        self.msix = Some(self.add_capability(MSIX_CAPABILITY, &body, &writable));
        self
    }

    /// Lets the guest change the bits of `mask` from `offset` on.
    pub fn make_writable(&mut self, offset: u16, mask: &[u8]) {
        let at = usize::from(offset);
        for (bits, more) in self.writable[at..at + mask.len()].iter_mut().zip(mask) {
            *bits |= more;
        }
    }

    /// Sets bytes to what they are after reset.
    pub fn set_initial(&mut self, offset: u16, bytes: &[u8]) {
        let at = usize::from(offset);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.reset_bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Sets bytes as the device itself does, whether or not the guest could.
    pub fn set(&mut self, offset: u16, bytes: &[u8]) {
        let at = usize::from(offset);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The byte at `offset`.
    pub fn u8(&self, offset: u16) -> u8 {
        self.bytes[usize::from(offset)]
    }

    /// The little-endian word at `offset`.
    pub fn u16(&self, offset: u16) -> u16 {
        let at = usize::from(offset);
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// The little-endian double word at `offset`.
    pub fn u32(&self, offset: u16) -> u32 {
        u32::from(self.u16(offset)) | u32::from(self.u16(offset + 2)) << 16
    }

    fn set_u16(&mut self, offset: u16, value: u16) {
        let at = usize::from(offset);
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    /// What the guest reads at `offset`; past the end, ones.
    pub(super) fn read(&self, offset: u16, data: &mut [u8]) {
        for (at, byte) in (usize::from(offset)..).zip(data) {
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// What the guest writes at `offset`; read-only bits stay.
    pub(super) fn write(&mut self, offset: u16, data: &[u8]) {
        for (at, value) in (usize::from(offset)..SIZE).zip(data) {
            let mask = self.writable[at];
            let kept = self.bytes[at] & !mask & !(value & self.clear_on_one[at]);
            self.bytes[at] = kept | (value & mask);
        }
    }

    pub(super) fn reset(&mut self) {
        self.bytes = self.reset_bytes;
    }

    /// Whether the function may access memory of its own accord.
    pub fn bus_master(&self) -> bool {
        self.u16(reg::COMMAND) & COMMAND_MASTER != 0
    }

    pub(super) fn intx_disabled(&self) -> bool {
        self.u16(reg::COMMAND) & COMMAND_INTX_DISABLE != 0
    }

    pub(super) fn set_interrupt_status(&mut self, level: bool) {
        let status = self.u16(reg::STATUS) & !STATUS_INTERRUPT;
        self.set_u16(reg::STATUS, status | if level { STATUS_INTERRUPT } else { 0 });
    }

    /// The message to send, when the guest enabled MSI.
    pub(super) fn msi(&self) -> Option<MsiMessage> {
        let at = self.msi?;
        let enabled = self.u16(at + 2) & MSI_ENABLE != 0;
        enabled.then(|| MsiMessage {
            address: u64::from(self.u32(at + 4)) | u64::from(self.u32(at + 8)) << 32,
            data: u32::from(self.u16(at + 12)),
        })
    }

    /// Whether the guest has enabled MSI-X, and whether it masks all vectors at once.
    pub fn msix_control(&self) -> (bool, bool) {
        let control = self.msix.map_or(0, |at| self.u16(at + 2));
        (control & MSIX_ENABLE != 0, control & MSIX_MASK_ALL != 0)
    }

    /// Whether the guest has chosen messages over the INTx pin.
    pub(super) fn uses_messages(&self) -> bool {
        self.msi().is_some() || self.msix_control().0
    }

    pub(super) fn bar(&self, index: usize) -> Option<Bar> {
        self.bars[index]
    }

    /// Where BAR `index` answers now: its base, when decoding is on and the base is not the
    /// all-ones of a size probe.
    pub(super) fn bar_address(&self, index: usize) -> Option<u64> {
        let bar = self.bars[index]?;
        let command = self.u16(reg::COMMAND);
        let (offset, enable, mask) = match (index, bar.kind) {
            (ROM_BAR, _) if self.u32(reg::ROM) & 1 == 0 => return None,
            (ROM_BAR, _) => (reg::ROM, COMMAND_MEMORY, !0x7ff),
            (_, BarKind::Io) => (reg::BAR0 + 4 * index as u16, COMMAND_IO, !0x3),
            _ => (reg::BAR0 + 4 * index as u16, COMMAND_MEMORY, !0xf),
        };
        let base = self.u32(offset) & mask;
        let probe = !(bar.size - 1) & mask;
        (command & enable != 0 && base != 0 && base != probe).then_some(u64::from(base))
    }

    pub(super) fn save(&self) -> ConfigState {
        ConfigState { bytes: self.bytes.to_vec() }
    }

    pub(super) fn check(state: &ConfigState) -> Result<(), RestoreError> {
        if state.bytes.len() == SIZE {
            return Ok(());
        }
        Err(RestoreError { device: "PCI configuration space", reason: "wrong length".into() })
    }

    /// Takes the writable bits of `state`; identity and layout stay this function's own.
    pub(super) fn restore(&mut self, state: &ConfigState) -> Result<(), RestoreError> {
        Self::check(state)?;
        for (at, byte) in state.bytes.iter().enumerate() {
            let mask = self.writable[at] | self.clear_on_one[at];
            self.bytes[at] = (self.bytes[at] & !mask) | (byte & mask);
        }
        Ok(())
    }
}
