//! Sizes that must not be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text;

/// A size in bytes. Parses and prints the way people write sizes: `512M`, `10G`, `1536K`, `4096`;
/// units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `n` KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }
    /// `n` MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }
    /// `n` GiB.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }
}

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", text!(
    "“{text}” is not a size; write a whole number and a unit, such as 512M or 10G",
    text = .0
))]
pub struct ParseBytesError(String);

const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

impl FromStr for Bytes {
    type Err = ParseBytesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseBytesError(text.chars().take(40).collect());
        let trimmed = text.trim();
        let bare =
            trimmed.strip_suffix("iB").or_else(|| trimmed.strip_suffix('B')).unwrap_or(trimmed);
        let unit =
            UNITS.iter().find(|(letter, _)| bare.ends_with([*letter, letter.to_ascii_lowercase()]));
        let (digits, shift) = match unit {
            Some((_, shift)) => (&bare[..bare.len() - 1], *shift),
            None => (bare, 0),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let number: u64 = digits.parse().map_err(|_| error())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, shift) in UNITS.iter().rev() {
            if self.0 != 0 && self.0.trailing_zeros() >= *shift {
                return write!(f, "{}{letter}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("512M", Bytes::mib(512)),
            ("10g", Bytes::gib(10)),
            ("1536KiB", Bytes::kib(1536)),
            ("2GB", Bytes::gib(2)),
            ("4096", Bytes(4096)),
            ("0", Bytes(0)),
        ] {
            assert_eq!(text.parse(), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5G", "12X", "99999999999T", "1 0", "é", "１M"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn round_trips(n: u64) {
            proptest::prop_assert_eq!(Bytes(n).to_string().parse(), Ok(Bytes(n)));
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = text.parse::<Bytes>();
        }
    }
}
