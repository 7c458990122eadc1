//! What the driver can ask of an input device (VIRTIO 1.2 §5.8.4): it selects a piece of
//! information, which then stands in the configuration.

use serde::{Deserialize, Serialize};

use super::Model;

/// What can be selected (§5.8.4, `VIRTIO_INPUT_CFG_…`).
pub(super) mod select {
    pub(super) const ID_NAME: u8 = 0x01;
    pub(super) const ID_DEVIDS: u8 = 0x03;
    pub(in super::super) const EV_BITS: u8 = 0x11;
    pub(in super::super) const ABS_INFO: u8 = 0x12;
}

/// Types of events and their codes, from Linux' `input-event-codes.h`, which the specification
/// refers to.
pub(super) mod code {
    pub(in super::super) const EV_SYN: u16 = 0;
    pub(in super::super) const EV_KEY: u16 = 1;
    pub(in super::super) const EV_REL: u16 = 2;
    pub(in super::super) const EV_ABS: u16 = 3;
    pub(in super::super) const EV_REP: u16 = 20;
    pub(in super::super) const SYN_REPORT: u16 = 0;
    pub(in super::super) const REL_WHEEL: u16 = 8;
    pub(in super::super) const ABS_X: u16 = 0;
    pub(in super::super) const ABS_Y: u16 = 1;
    /// Left, right, middle, side, extra.
    pub(in super::super) const BUTTONS: [u16; 5] = [0x110, 0x111, 0x112, 0x113, 0x114];
}

/// Bus type (virtual) and vendor (that of virtio).
const BUS: u16 = 0x06;
const VENDOR: u16 = 0x1af4;
const VERSION: u16 = 1;

/// Length of an event.
pub(super) const EVENT_LEN: usize = 8;

/// Where a piece of information begins, and how long the configuration is.
const DATA: usize = 8;
const LEN: usize = DATA + 128;

/// What the driver has selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Selection {
    select: u8,
    subsel: u8,
}

impl Selection {
    /// The driver writes to the configuration.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        for (at, byte) in (offset..).zip(data) {
            match at {
                0 => self.select = *byte,
                1 => self.subsel = *byte,
                _ => {}
            }
        }
    }

    /// The whole configuration.
    pub(super) fn bytes<M: Model>(self) -> [u8; LEN] {
        let information = self.information::<M>();
        let mut bytes = [0; LEN];
        bytes[0] = self.select;
        bytes[1] = self.subsel;
        // All that there is is far shorter than 128 bytes.
        bytes[2] = information.len() as u8;
        bytes[DATA..DATA + information.len()].copy_from_slice(&information);
        bytes
    }

    /// What is selected; empty when there is no such thing.
    fn information<M: Model>(self) -> Vec<u8> {
        match (self.select, self.subsel) {
            (select::ID_NAME, 0) => M::NAME.into(),
            (select::ID_DEVIDS, 0) => {
                let ids = [BUS, VENDOR, M::PRODUCT, VERSION];
                ids.iter().flat_map(|id| id.to_le_bytes()).collect()
            }
            (select, subsel) => M::ability(select, subsel.into()),
        }
    }
}

/// A bitmap in which `codes` are set.
pub(super) fn bitmap(codes: &[u16]) -> Vec<u8> {
    let len = codes.iter().map(|code| usize::from(*code) / 8 + 1).max().unwrap_or(0);
    let mut bytes = vec![0; len];
    for code in codes {
        bytes[usize::from(*code) / 8] |= 1 << (code % 8);
    }
    bytes
}

/// An event as the driver gets it (§5.8.6, `struct virtio_input_event`).
pub(super) fn event(kind: u16, code: u16, value: i32) -> [u8; EVENT_LEN] {
    let mut bytes = [0; EVENT_LEN];
    bytes[..2].copy_from_slice(&kind.to_le_bytes());
    bytes[2..4].copy_from_slice(&code.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_le_bytes());
    bytes
}
