//! What a drive calls itself, and the pages of words both kinds of drive describe themselves in.

/// Texts in a drive's identity. ASCII is kept, anything else becomes a space; what does not fit
/// is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Model, 40 characters.
    pub model: String,
    /// Serial number, 20 characters. Guests name disks after it: keep it stable and distinct.
    pub serial: String,
    /// Firmware revision, 8 characters.
    pub firmware: String,
}

impl Identity {
    /// A Berth hard disk.
    pub fn disk(serial: impl Into<String>) -> Self {
        Self::new("Berth disk", serial.into())
    }

    /// A Berth optical drive.
    pub fn optical(serial: impl Into<String>) -> Self {
        Self::new("Berth DVD-ROM", serial.into())
    }

    fn new(model: &str, serial: String) -> Self {
        let firmware = env!("CARGO_PKG_VERSION").into();
        Self { model: model.into(), serial, firmware }
    }
}

/// `text` in `N` characters, padded with spaces.
pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (byte, character) in field.iter_mut().zip(text.chars()) {
        if character == ' ' || character.is_ascii_graphic() {
            *byte = character as u8;
        }
    }
    field
}

/// The 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE.
pub(super) struct Words([u16; 256]);

impl Words {
    pub(super) fn new() -> Self {
        Self([0; 256])
    }

    /// Sets consecutive words.
    pub(super) fn set(&mut self, at: usize, values: &[u16]) {
        self.0[at..at + values.len()].copy_from_slice(values);
    }

    /// Sets the low word first.
    pub(super) fn set_u32(&mut self, at: usize, value: u32) {
        self.set(at, &[value as u16, (value >> 16) as u16]);
    }

    /// The first character of each pair is in the high byte (ATA8-ACS §3.3.10).
    fn set_text<const N: usize>(&mut self, at: usize, text: &str) {
        for (word, pair) in self.0[at..].iter_mut().zip(padded::<N>(text).chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
    }

    /// Words 10-19, 23-26 and 27-46.
    pub(super) fn set_identity(&mut self, identity: &Identity) {
        self.set_text::<20>(10, &identity.serial);
        self.set_text::<8>(23, &identity.firmware);
        self.set_text::<40>(27, &identity.model);
    }

    /// The page, with its integrity word (ATA8-ACS §7.16.7.88).
    pub(super) fn into_page(mut self) -> Vec<u8> {
        self.0[255] = 0x00a5;
        let mut page: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        page[511] = checksum(&page[..511]);
        page
    }
}

/// The byte that makes the sum of `bytes` and itself zero.
pub(super) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte))
}

/// Checks a mode of SET FEATURES, set transfer mode (ATA8-ACS §7.45.4); the result is the word
/// for IDENTIFY words 63 or 88 that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum TransferMode {
    /// PIO, any mode.
    Pio,
    /// Multiword DMA 0 to 2.
    MultiWord(u8),
    /// Ultra DMA 0 to 6.
    Ultra(u8),
}

impl TransferMode {
    /// The mode that `count` of the command selects; `None` when no drive of ours has it.
    pub(super) fn from_count(count: u8) -> Option<Self> {
        match count {
            0..=1 | 0x08..=0x0c => Some(Self::Pio),
            0x20..=0x22 => Some(Self::MultiWord(count & 7)),
            0x40..=0x46 => Some(Self::Ultra(count & 7)),
            _ => None,
        }
    }

    /// IDENTIFY word 63: supported and selected multiword DMA modes.
    pub(super) fn word_63(self) -> u16 {
        if let Self::MultiWord(mode) = self { 0x0007 | 1 << (8 + (mode & 7)) } else { 0x0007 }
    }

    /// IDENTIFY word 88: supported and selected Ultra DMA modes.
    pub(super) fn word_88(self) -> u16 {
        if let Self::Ultra(mode) = self { 0x007f | 1 << (8 + (mode & 7)) } else { 0x007f }
    }
}
