//! Checksums, and the lists in which publishers give them.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256, Sha512};

use crate::text;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// A file's checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256 (FIPS 180-4).
    Sha256([u8; 32]),
    /// SHA-512 (FIPS 180-4).
    Sha512([u8; 64]),
}

/// A text that is no checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", text!("a checksum has 64 (SHA-256) or 128 (SHA-512) hexadecimal digits"))]
pub struct ParseChecksumError;

impl FromStr for Checksum {
    type Err = ParseChecksumError;

    /// Reads hexadecimal digits; their number tells which kind it is.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(ParseChecksumError);
        let digits: Vec<u32> = text.as_bytes().iter().map(digit).collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
            .collect();
        match digits.len() {
            64 => bytes.try_into().map(Self::Sha256).map_err(|_| ParseChecksumError),
            128 => bytes.try_into().map(Self::Sha512).map_err(|_| ParseChecksumError),
            _ => Err(ParseChecksumError),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: &[u8] = match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A checksum being computed.
#[derive(Debug, Clone)]
pub(super) enum Sum {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Sum {
    /// Of nothing so far, to be compared with `checksum`.
    pub(super) fn like(checksum: &Checksum) -> Self {
        match checksum {
            Checksum::Sha256(_) => Self::Sha256(Sha256::new()),
            Checksum::Sha512(_) => Self::Sha512(Sha512::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::Sha512(sum) => sum.update(bytes),
        }
    }

    /// Takes in all that `file` still has; `false` when `go_on` does not want to.
    pub(super) fn read(
        &mut self,
        file: &mut impl Read,
        go_on: impl Fn() -> bool,
    ) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK];
        while go_on() {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(length) => self.update(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    pub(super) fn finish(self) -> Checksum {
        match self {
            Self::Sha256(sum) => Checksum::Sha256(sum.finalize().into()),
            Self::Sha512(sum) => Checksum::Sha512(sum.finalize().into()),
        }
    }
}

/// The newest image in a publisher's list whose name fits `pattern`, in which a star stands for any
/// text. Reads what `sha256sum` writes and what it writes with `--tag`; other lines, such as those of
/// a signature around it, say nothing.
pub(super) fn find(list: &str, pattern: &str) -> Option<(String, Checksum)> {
    let pattern = format!("^{}$", regex::escape(pattern).replace(r"\*", ".*"));
    let pattern = Regex::new(&pattern).ok()?;
    list.lines()
        .filter_map(line)
        .filter(|(name, _)| pattern.is_match(name) && is_plain(name))
        .max_by_key(|(name, _)| natural(name))
        .map(|(name, checksum)| (name.to_owned(), checksum))
}

/// The file and the checksum that a line gives.
fn line(line: &str) -> Option<(&str, Checksum)> {
    let line = line.trim();
    if let Some((tag, sum)) = line.rsplit_once(" = ") {
        let (kind, name) = tag.split_once(" (")?;
        let sum = matches!(kind, "SHA256" | "SHA512").then(|| sum.parse().ok())??;
        return Some((name.strip_suffix(')')?, sum));
    }
    let (sum, name) = line.split_once([' ', '\t'])?;
    let name = name.trim_start().trim_start_matches('*');
    Some((name.strip_prefix("./").unwrap_or(name), sum.parse().ok()?))
}

/// Whether a name is one for a file here, and can stand in an address as it is.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
    // What is put behind it must fit into the 255 bytes of common file systems.
    (1..=200).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// Orders names so that release 10 comes after release 9.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut pieces = vec![(0u64, String::new())];
    let mut in_number = false;
    for character in name.chars() {
        let digit = character.to_digit(10);
        if in_number != digit.is_some() {
            in_number = digit.is_some();
            if in_number {
                pieces.push((0, String::new()));
            }
        }
        let Some((number, text)) = pieces.last_mut() else { continue };
        match digit {
            Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
            None => text.push(character),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(digit: &str) -> String {
        digit.repeat(64)
    }

    #[test]
    fn checksums_are_read_as_publishers_write_them() {
        let list = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a comment\n\
             {a}  debian-9.1-netinst.iso\n{b} *./debian-10.2-netinst.iso\n\
             SHA256 (Fedora (Workstation).iso) = {c}\nSHA256 (FreeBSD.iso) = {c}\n\
             MD5 (FreeBSD.iso) = {d}\n{a}  ../../etc/passwd\nnonsense  debian-11-netinst.iso\n{long}\tlong.iso\n",
            a = sum("a"),
            b = sum("B"),
            c = sum("c"),
            d = sum("d"),
            long = "0f".repeat(64),
        );
        let found = |pattern: &str| find(&list, pattern).map(|(name, sum)| (name, sum.to_string()));
        assert_eq!(
            found("debian-*-netinst.iso"),
            Some(("debian-10.2-netinst.iso".into(), sum("b")))
        );
        assert_eq!(found("debian-9.?-netinst.iso"), None);
        assert_eq!(found("FreeBSD.iso"), Some(("FreeBSD.iso".into(), sum("c"))));
        assert_eq!(found("Fedora*"), None, "no plain name");
        assert_eq!(found("*passwd"), None);
        assert_eq!(found("long.iso"), Some(("long.iso".into(), "0f".repeat(64))));
    }

    #[test]
    fn releases_are_ordered_by_their_numbers() {
        assert!(natural("a-10.2.iso") > natural("a-9.30.iso"));
        assert!(natural("a-10.12.iso") > natural("a-10.2.iso"));
        assert!(natural("a-99999999999999999999999.iso") > natural("a-2.iso"));
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        let abc: Checksum =
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse().unwrap();
        let mut sum = Sum::like(&abc);
        assert!(sum.read(&mut &b"abc"[..], || true).unwrap());
        assert_eq!(sum.finish(), abc);
        for text in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert!(text.parse::<Checksum>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_list_is_answered(list: String, pattern: String) {
            if let Some((name, _)) = find(&list, &pattern) {
                proptest::prop_assert!(is_plain(&name));
            }
        }
    }
}
