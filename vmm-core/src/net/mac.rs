//! The address of a network card.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::text;

/// Bits of an address's first byte (IEEE 802 §8.2): to many cards at once; chosen by the owner
/// rather than a manufacturer.
const MULTICAST: u8 = 1;
const LOCAL: u8 = 2;

/// An Ethernet address of one card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; 6]);

/// A text that is no address of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MacError {
    /// Not six bytes.
    #[error("{}", text!("write a network address as six bytes, such as 02:12:34:56:78:9a"))]
    Syntax,
    /// An address of a group, or of nobody.
    #[error("{}", text!(
        "a card cannot have a group's address; make the first byte even, such as 02"
    ))]
    Group,
}

impl MacAddress {
    /// A locally administered address that no other card is likely to have.
    pub fn random() -> Self {
        let random = Uuid::new_v4();
        let mut bytes = [0; 6];
        // Its last bytes are all random (RFC 9562 §5.4).
        bytes.copy_from_slice(&random.as_bytes()[10..]);
        bytes[0] = bytes[0] & !MULTICAST | LOCAL;
        Self(bytes)
    }

    /// The address that consists of `bytes`, if a card can have it.
    pub fn new(bytes: [u8; 6]) -> Option<Self> {
        (bytes[0] & MULTICAST == 0 && bytes != [0; 6]).then_some(Self(bytes))
    }

    /// Its bytes, in the order in which they are sent.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(MacError::Syntax)?;
            let digits = part.bytes().all(|digit| digit.is_ascii_hexdigit());
            let value = u8::from_str_radix(part, 16).ok().filter(|_| digits);
            *byte = value.ok_or(MacError::Syntax)?;
        }
        if parts.next().is_some() {
            return Err(MacError::Syntax);
        }
        Self::new(bytes).ok_or(MacError::Group)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for _ in 0..100 {
            let mac = MacAddress::random();
            assert_eq!(mac.bytes()[0] & 3, 2, "{mac}");
            assert_eq!(mac.to_string().parse(), Ok(mac));
        }
        assert_eq!(
            "02-AB-00-ff-09-10".parse::<MacAddress>().unwrap().to_string(),
            "02:ab:00:ff:09:10"
        );
        for text in [
            "",
            "02",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "02:0:00:00:00:00",
            "02:00:00:00:00:+1",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(MacError::Syntax), "{text}");
        }
        for text in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
            assert_eq!(text.parse::<MacAddress>(), Err(MacError::Group), "{text}");
        }
    }
}
