//! The descriptors at the beginning of a medium: ISO 9660 (ECMA-119), its Joliet extension, UDF
//! (ECMA-167), and the record that leads to the boot catalogue (El Torito 1.0).

use std::io;

use super::sectors::{SECTOR, Sector, Sectors};
use crate::units::Bytes;

/// Where the descriptors begin (ECMA-119 §6.7.1.1; ECMA-167 part 2 §8.3.1).
const FIRST: u64 = 16;
/// How many are looked at; media have three or four of ISO 9660 and three of UDF.
const MAX_DESCRIPTORS: u64 = 64;
/// Descriptor types (ECMA-119 §8.1.1).
const BOOT_RECORD: u8 = 0;
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
/// What a boot record of El Torito calls itself (El Torito 1.0 figure 7).
const EL_TORITO: &[u8] = b"EL TORITO SPECIFICATION";
/// Escape sequences of UCS-2, levels 1 to 3, in a Joliet descriptor (Joliet 1995, “Escape
/// Sequences”).
const UCS2: [&[u8; 3]; 3] = [b"%/@", b"%/C", b"%/E"];
/// Where UDF's anchor is (ECMA-167 part 3 §8.4.2.1).
const UDF_ANCHOR: u64 = 256;
/// How many descriptors of a UDF volume descriptor sequence are looked at; 16 are the least.
const MAX_UDF_DESCRIPTORS: u32 = 32;
/// Tags of UDF's descriptors (ECMA-167 part 3 §7.2.1).
const UDF_PRIMARY_TAG: u16 = 1;
const UDF_ANCHOR_TAG: u16 = 2;
const UDF_TERMINATOR_TAG: u16 = 8;

/// What a medium says about itself. Texts have no blanks at their ends and no control characters;
/// what is not said is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// The name, as a person should see it: the primary descriptor's, else Joliet's, else UDF's.
    pub label: String,
    /// Volume identifier of the primary descriptor (ECMA-119 §8.4.6).
    pub volume_id: String,
    /// System identifier (§8.4.5).
    pub system_id: String,
    /// Publisher identifier (§8.4.20).
    pub publisher_id: String,
    /// Application identifier (§8.4.22).
    pub application_id: String,
    /// Size of the volume (§8.4.8, §8.4.12).
    pub size: Bytes,
}

/// Reads the descriptors, and tells the sector of the boot catalogue if there is one.
pub(super) fn read(medium: &impl Sectors) -> io::Result<(Volume, Option<u32>)> {
    let mut primary: Option<Volume> = None;
    let mut joliet = String::new();
    let mut catalogue = None;
    for number in FIRST..FIRST + MAX_DESCRIPTORS {
        let sector = medium.sector(number)?;
        match (&sector[1..6], sector[0]) {
            (b"CD001", BOOT_RECORD) if sector[7..].starts_with(EL_TORITO) => {
                catalogue = catalogue.or(Some(u32_at(&sector, 0x47)));
            }
            (b"CD001", PRIMARY) if primary.is_none() => primary = Some(primary_volume(&sector)),
            (b"CD001", SUPPLEMENTARY) if joliet.is_empty() => {
                if UCS2.iter().any(|escape| sector[88..].starts_with(*escape)) {
                    joliet = ucs2(&sector[40..72]);
                }
            }
            (b"CD001" | b"BEA01" | b"NSR02" | b"NSR03" | b"TEA01", _) => {}
            _ => break,
        }
    }
    let mut volume = primary.unwrap_or_default();
    volume.label.clone_from(&volume.volume_id);
    if volume.label.is_empty() {
        volume.label = joliet;
    }
    if volume.label.is_empty() {
        volume.label = udf_label(medium)?.unwrap_or_default();
    }
    Ok((volume, catalogue))
}

fn primary_volume(sector: &Sector) -> Volume {
    let block_size = u64::from(u16_at(sector, 128));
    Volume {
        label: String::new(),
        volume_id: text(&sector[40..72]),
        system_id: text(&sector[8..40]),
        publisher_id: text(&sector[318..446]),
        application_id: text(&sector[574..702]),
        size: Bytes(u64::from(u32_at(sector, 80)) * block_size),
    }
}

/// The volume identifier of UDF's primary volume descriptor (ECMA-167 part 3 §10.1.4).
fn udf_label(medium: &impl Sectors) -> io::Result<Option<String>> {
    let anchor = medium.sector(UDF_ANCHOR)?;
    if u16_at(&anchor, 0) != UDF_ANCHOR_TAG {
        return Ok(None);
    }
    // The main volume descriptor sequence: length in bytes, first sector (§10.2.1).
    let (len, first) = (u32_at(&anchor, 16), u32_at(&anchor, 20));
    for index in 0..(len / SECTOR as u32).min(MAX_UDF_DESCRIPTORS) {
        let sector = medium.sector(u64::from(first) + u64::from(index))?;
        match u16_at(&sector, 0) {
            UDF_PRIMARY_TAG => return Ok(Some(dstring(&sector[24..56]))),
            UDF_TERMINATOR_TAG => break,
            _ => {}
        }
    }
    Ok(None)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// a- or d-characters (ECMA-119 §7.4). Many media go beyond these, with UTF-8.
fn text(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes))
}

/// UCS-2, the high byte first.
fn ucs2(bytes: &[u8]) -> String {
    let units: Vec<u16> =
        bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    clean(&String::from_utf16_lossy(&units))
}

/// A dstring of OSTA compressed Unicode: the bits of a character, the text, and in the last byte
/// the length of both (UDF 2.60 §2.1.1, §2.1.3).
fn dstring(bytes: &[u8]) -> String {
    let Some((len, bytes)) = bytes.split_last() else { return String::new() };
    match bytes.get(..usize::from(*len)) {
        Some([8, latin @ ..]) => clean(&latin.iter().copied().map(char::from).collect::<String>()),
        Some([16, wide @ ..]) => ucs2(wide),
        _ => String::new(),
    }
}

/// Without what must not be shown or compared: the end that is filled up, and control characters.
fn clean(text: &str) -> String {
    let end = text.find('\0').unwrap_or(text.len());
    let visible: String = text[..end].chars().filter(|c| !c.is_control()).collect();
    visible.trim().to_owned()
}
