//! How structures are laid out: a formatted area, then strings (DSP0134 §6.1).

/// Structures one after the other.
#[derive(Default)]
pub(super) struct Table {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u16,
    /// Size of the largest structure, strings included.
    pub(super) largest: usize,
}

/// Longest string that is taken over.
const STRING_MAX: usize = 64;

/// One structure as it is being filled. Its header is complete when it is added to a table.
pub(super) struct Structure {
    area: Vec<u8>,
    strings: Vec<u8>,
    string_count: u8,
}

impl Structure {
    pub(super) fn new(kind: u8, handle: u16) -> Self {
        let [low, high] = handle.to_le_bytes();
        Self { area: vec![kind, 0, low, high], strings: Vec::new(), string_count: 0 }
    }

    pub(super) fn u8(mut self, value: u8) -> Self {
        self.area.push(value);
        self
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.area.extend_from_slice(bytes);
        self
    }

    /// A reference to `text`, or to no string when nothing of it can be shown: strings are of
    /// printable ASCII.
    pub(super) fn string(mut self, text: &str) -> Self {
        let printable: String =
            text.chars().filter(|c| matches!(c, ' '..='~')).take(STRING_MAX).collect();
        let printable = printable.trim();
        if printable.is_empty() {
            return self.u8(0);
        }
        self.strings.extend_from_slice(printable.as_bytes());
        self.strings.push(0);
        self.string_count += 1;
        let number = self.string_count;
        self.u8(number)
    }
}

impl Table {
    pub(super) fn push(&mut self, structure: Structure) {
        let Structure { mut area, mut strings, .. } = structure;
        // All areas have fixed sizes below 64.
        area[1] = area.len() as u8;
        if strings.is_empty() {
            strings.push(0);
        }
        strings.push(0);
        self.largest = self.largest.max(area.len() + strings.len());
        self.count += 1;
        self.bytes.append(&mut area);
        self.bytes.append(&mut strings);
    }
}
