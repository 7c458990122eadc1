//! Frame information structures (Serial ATA 2.6 §10.3) and where they land in host memory.

use super::task::{TaskFile, status};

/// Offsets in the received-FIS area (AHCI 1.3.1 §4.2.1).
pub(super) const PIO_SETUP_OFFSET: u64 = 0x20;
pub(super) const REGISTER_OFFSET: u64 = 0x40;
pub(super) const SET_DEVICE_BITS_OFFSET: u64 = 0x58;

const TYPE_HOST_TO_DEVICE: u8 = 0x27;
const TYPE_DEVICE_TO_HOST: u8 = 0x34;
const TYPE_PIO_SETUP: u8 = 0x5f;
const TYPE_SET_DEVICE_BITS: u8 = 0xa1;

/// In byte 1: the FIS interrupts.
const INTERRUPT: u8 = 1 << 6;
/// In byte 1: data goes from the device to the host.
const TO_HOST: u8 = 1 << 5;
/// In byte 1 of a host's FIS: it carries a command, not a change of the control register.
const IS_COMMAND: u8 = 1 << 7;
/// In the control register: software reset.
const SRST: u8 = 1 << 2;

/// Sector counts and feature fields of a register FIS from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostFis {
    pub(super) is_command: bool,
    pub(super) command: u8,
    pub(super) features: u16,
    /// 48 bits.
    pub(super) lba: u64,
    pub(super) device: u8,
    pub(super) count: u16,
    pub(super) control: u8,
}

impl HostFis {
    /// Takes a register FIS apart; `None` when it is of another type.
    pub(super) fn parse(bytes: &[u8; 64]) -> Option<Self> {
        (bytes[0] == TYPE_HOST_TO_DEVICE).then(|| Self {
            is_command: bytes[1] & IS_COMMAND != 0,
            command: bytes[2],
            features: u16::from_le_bytes([bytes[3], bytes[11]]),
            lba: u64::from_le_bytes([
                bytes[4], bytes[5], bytes[6], bytes[8], bytes[9], bytes[10], 0, 0,
            ]),
            device: bytes[7],
            count: u16::from_le_bytes([bytes[12], bytes[13]]),
            control: bytes[15],
        })
    }

    /// Whether the control register asks for a software reset.
    pub(super) fn resets(&self) -> bool {
        self.control & SRST != 0
    }
}

fn shadow(fis: &mut [u8], task_file: &TaskFile) {
    let lba = task_file.lba.to_le_bytes();
    fis[2] = task_file.status;
    fis[3] = task_file.error;
    fis[4..7].copy_from_slice(&lba[..3]);
    fis[7] = task_file.device;
    fis[8..11].copy_from_slice(&lba[3..6]);
    fis[12..14].copy_from_slice(&task_file.count.to_le_bytes());
}

/// A D2H register FIS.
pub(super) fn register(task_file: &TaskFile, interrupt: bool) -> [u8; 20] {
    let mut fis = [0; 20];
    fis[0] = TYPE_DEVICE_TO_HOST;
    fis[1] = if interrupt { INTERRUPT } else { 0 };
    shadow(&mut fis, task_file);
    fis
}

/// The PIO setup FIS before a transfer of `bytes` to the host, after which the registers read
/// as `task_file`.
pub(super) fn pio_setup(task_file: &TaskFile, bytes: u16) -> [u8; 20] {
    let mut fis = [0; 20];
    let during = TaskFile { status: task_file.status | status::DRQ, ..*task_file };
    shadow(&mut fis, &during);
    fis[0] = TYPE_PIO_SETUP;
    fis[1] = INTERRUPT | TO_HOST;
    fis[15] = task_file.status;
    fis[16..18].copy_from_slice(&bytes.to_le_bytes());
    fis
}

/// A set device bits FIS that says the queued commands of `finished` have ended.
pub(super) fn set_device_bits(task_file: &TaskFile, finished: u32) -> [u8; 8] {
    let done = finished.to_le_bytes();
    // Bits 3 and 7 of the status, DRQ and BSY, are not transferred.
    let status = task_file.status & 0x77;
    [TYPE_SET_DEVICE_BITS, INTERRUPT, status, task_file.error, done[0], done[1], done[2], done[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_takes_the_expanded_fields_from_their_places() {
        let mut bytes = [0; 64];
        bytes[..16].copy_from_slice(&[
            0x27, 0x80, 0x60, 1, 0x11, 0x22, 0x33, 0x40, 0x44, 0x55, 0x66, 2, 3, 4, 0, 8,
        ]);
        let fis = HostFis::parse(&bytes).unwrap();
        assert_eq!(fis.lba, 0x6655_4433_2211);
        assert_eq!((fis.features, fis.count, fis.control), (0x201, 0x403, 8));
        bytes[0] = 0x34;
        assert_eq!(HostFis::parse(&bytes), None);
    }
}
