//! What the driver can ask of a tablet (VIRTIO 1.2 §5.8.4): it selects a piece of information,
//! which then stands in the configuration.

use serde::{Deserialize, Serialize};

/// Where both axes end; they begin at 0.
pub const AXIS_END: u16 = 0x7fff;

/// What can be selected (§5.8.4, `VIRTIO_INPUT_CFG_…`).
mod select {
    pub(super) const ID_NAME: u8 = 0x01;
    pub(super) const ID_DEVIDS: u8 = 0x03;
    pub(super) const EV_BITS: u8 = 0x11;
    pub(super) const ABS_INFO: u8 = 0x12;
}

/// Types of events and their codes, from Linux' `input-event-codes.h`, which the specification
/// refers to.
pub(super) mod code {
    pub(in super::super) const EV_SYN: u16 = 0;
    pub(in super::super) const EV_KEY: u16 = 1;
    pub(in super::super) const EV_REL: u16 = 2;
    pub(in super::super) const EV_ABS: u16 = 3;
    pub(in super::super) const SYN_REPORT: u16 = 0;
    pub(in super::super) const REL_WHEEL: u16 = 8;
    pub(in super::super) const ABS_X: u16 = 0;
    pub(in super::super) const ABS_Y: u16 = 1;
    /// Left, right, middle, side, extra.
    pub(in super::super) const BUTTONS: [u16; 5] = [0x110, 0x111, 0x112, 0x113, 0x114];
}

const NAME: &str = "Berth tablet";
/// Bus type (virtual), vendor (that of virtio), product, version.
const IDS: [u16; 4] = [0x06, 0x1af4, 0x0001, 0x0001];

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
    pub(super) fn bytes(self) -> [u8; LEN] {
        let information = self.information();
        let mut bytes = [0; LEN];
        bytes[0] = self.select;
        bytes[1] = self.subsel;
        // All that there is is far shorter than 128 bytes.
        bytes[2] = information.len() as u8;
        bytes[DATA..DATA + information.len()].copy_from_slice(&information);
        bytes
    }

    /// What is selected; empty when there is no such thing.
    fn information(self) -> Vec<u8> {
        match (self.select, u16::from(self.subsel)) {
            (select::ID_NAME, 0) => NAME.into(),
            (select::ID_DEVIDS, 0) => IDS.iter().flat_map(|id| id.to_le_bytes()).collect(),
            (select::EV_BITS, code::EV_KEY) => bitmap(&code::BUTTONS),
            (select::EV_BITS, code::EV_REL) => bitmap(&[code::REL_WHEEL]),
            (select::EV_BITS, code::EV_ABS) => bitmap(&[code::ABS_X, code::ABS_Y]),
            (select::ABS_INFO, code::ABS_X | code::ABS_Y) => {
                // Least and greatest value, noise, dead zone, units per millimetre.
                let values: [u32; 5] = [0, AXIS_END.into(), 0, 0, 0];
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A bitmap in which `codes` are set.
fn bitmap(codes: &[u16]) -> Vec<u8> {
    let len = codes.iter().map(|code| usize::from(*code) / 8 + 1).max().unwrap_or(0);
    let mut bytes = vec![0; len];
    for code in codes {
        bytes[usize::from(*code) / 8] |= 1 << (code % 8);
    }
    bytes
}
