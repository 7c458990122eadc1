//! Sense data (SPC-4 §4.5, MMC-6 annex F).

use serde::{Deserialize, Serialize};

/// Why a packet command failed: sense key, additional sense code and its qualifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sense {
    pub(super) key: u8,
    pub(super) code: u8,
    pub(super) qualifier: u8,
}

impl Sense {
    pub(super) const NONE: Self = Self::new(0x0, 0x00, 0x00);
    pub(super) const NO_MEDIUM: Self = Self::new(0x2, 0x3a, 0x01);
    pub(super) const NO_MEDIUM_TRAY_OPEN: Self = Self::new(0x2, 0x3a, 0x02);
    pub(super) const UNRECOVERED_READ_ERROR: Self = Self::new(0x3, 0x11, 0x00);
    pub(super) const INVALID_OPERATION_CODE: Self = Self::new(0x5, 0x20, 0x00);
    pub(super) const ADDRESS_OUT_OF_RANGE: Self = Self::new(0x5, 0x21, 0x00);
    pub(super) const INVALID_FIELD: Self = Self::new(0x5, 0x24, 0x00);
    pub(super) const INCOMPATIBLE_MEDIUM: Self = Self::new(0x5, 0x30, 0x02);
    pub(super) const SAVING_NOT_SUPPORTED: Self = Self::new(0x5, 0x39, 0x00);
    pub(super) const REMOVAL_PREVENTED: Self = Self::new(0x5, 0x53, 0x02);
    pub(super) const MEDIUM_MAY_HAVE_CHANGED: Self = Self::new(0x6, 0x28, 0x00);
    pub(super) const RESET_OCCURRED: Self = Self::new(0x6, 0x29, 0x00);

    const fn new(key: u8, code: u8, qualifier: u8) -> Self {
        Self { key, code, qualifier }
    }

    /// What the ATA error register says: the sense key, and ABRT.
    pub(super) fn error_register(self) -> u8 {
        (self.key & 0xf) << 4 | super::error::ABRT
    }

    /// Fixed-format sense data (SPC-4 §4.5.3), as REQUEST SENSE gives it.
    pub(super) fn fixed_format(self) -> Vec<u8> {
        let mut data = vec![0; 18];
        data[0] = 0x70;
        data[2] = self.key;
        data[7] = 10;
        data[12] = self.code;
        data[13] = self.qualifier;
        data
    }
}
