//! Media made byte by byte, and damaged ones.

use std::path::Path;

use proptest::prelude::*;

use super::sectors::SECTOR;
use super::*;

/// An ISO image of `sectors` sectors called “Test 1”, with a catalogue at sector 20 for `boot`.
fn iso(sectors: u32, boot: BootKinds) -> Vec<u8> {
    let mut bytes = vec![0; sectors as usize * SECTOR];
    let mut put = |sector: usize, at: usize, what: &[u8]| {
        bytes[sector * SECTOR + at..][..what.len()].copy_from_slice(what);
    };
    put(16, 0, b"\x01CD001\x01");
    put(16, 8, format!("{:32}{:32}", "LINUX", "Test 1").as_bytes());
    put(16, 80, &sectors.to_le_bytes());
    put(16, 128, &2048u16.to_le_bytes());
    put(16, 318, format!("{:128}", "The Publisher").as_bytes());
    put(16, 574, format!("{:128}", "THE APPLICATION").as_bytes());
    put(17, 0, b"\x00CD001\x01EL TORITO SPECIFICATION");
    put(17, 0x47, &20u32.to_le_bytes());
    put(18, 0, b"\xffCD001\x01");
    let platform = if boot.bios { 0 } else { 0xef };
    let mut validation = [0u8; 32];
    (validation[0], validation[1]) = (1, platform);
    validation[30..].copy_from_slice(&[0x55, 0xaa]);
    let sum = validation
        .chunks_exact(2)
        .fold(0u16, |sum, w| sum.wrapping_add(u16::from_le_bytes([w[0], w[1]])));
    validation[28..30].copy_from_slice(&0u16.wrapping_sub(sum).to_le_bytes());
    if boot.any() {
        put(20, 0, &validation);
        put(20, 32, &[0x88, 0, 0, 0, 0, 0, 4, 0, 30, 0, 0, 0]);
    }
    if boot.bios && boot.uefi {
        put(20, 64, &[0x91, 0xef, 1, 0]);
        put(20, 96, &[0x88, 0, 0, 0, 0, 0, 4, 0, 31, 0, 0, 0]);
    }
    bytes
}

fn with<T>(bytes: &[u8], look: impl FnOnce(&Path) -> T) -> T {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    look(file.path())
}

const BOTH: BootKinds = BootKinds { bios: true, uefi: true };

#[test]
fn a_medium_tells_what_it_is() {
    let medium = with(&iso(40, BOTH), medium).unwrap();
    let expected = Volume {
        label: "Test 1".into(),
        volume_id: "Test 1".into(),
        system_id: "LINUX".into(),
        publisher_id: "The Publisher".into(),
        application_id: "THE APPLICATION".into(),
        size: Bytes(40 * 2048),
    };
    assert_eq!(medium.volume, expected);
    assert_eq!(medium.boot, BOTH);
    assert_eq!(medium.size, Bytes(40 * 2048));
}

#[test]
fn boot_kinds_are_those_of_the_catalogue() {
    for (bios, uefi) in [(false, false), (true, false), (false, true), (true, true)] {
        let kinds = BootKinds { bios, uefi };
        assert_eq!(with(&iso(40, kinds), medium).unwrap().boot, kinds);
    }
    let damaged = |at: usize, value: u8| {
        let mut bytes = iso(40, BOTH);
        bytes[20 * SECTOR + at] = value;
        with(&bytes, medium).unwrap().boot
    };
    let none = BootKinds::default();
    let (bios, uefi) = (BootKinds { bios: true, ..none }, BootKinds { uefi: true, ..none });
    // The key, the checksum, an entry that is not bootable, an image beyond the end, no section.
    assert_eq!(damaged(31, 0), none);
    assert_eq!(damaged(5, 1), none);
    assert_eq!(damaged(32, 0), uefi);
    assert_eq!(damaged(42, 1), uefi);
    assert_eq!(damaged(64, 0), bios);
    // A catalogue beyond the end.
    let mut bytes = iso(40, BOTH);
    bytes[17 * SECTOR + 0x47..][..4].fill(0xff);
    assert_eq!(with(&bytes, medium).unwrap().boot, none);
}

#[test]
fn other_descriptors_give_the_label_when_the_primary_has_none() {
    let mut bytes = iso(300, BOTH);
    bytes[16 * SECTOR + 40..][..32].fill(b' ');
    let (joliet, udf) = (18 * SECTOR, 257 * SECTOR);
    bytes.copy_within(18 * SECTOR..19 * SECTOR, 19 * SECTOR);
    bytes[joliet..][..6].copy_from_slice(b"\x02CD001");
    bytes[joliet + 88..][..3].copy_from_slice(b"%/E");
    for (index, unit) in "Fenêtre".encode_utf16().enumerate() {
        bytes[joliet + 40 + 2 * index..][..2].copy_from_slice(&unit.to_be_bytes());
    }
    assert_eq!(with(&bytes, medium).unwrap().volume.label, "Fenêtre");

    bytes[joliet + 88] = 0;
    assert_eq!(with(&bytes, medium).unwrap().volume.label, "");
    bytes[256 * SECTOR] = 2;
    bytes[256 * SECTOR + 16..][..4].copy_from_slice(&(16 * 2048u32).to_le_bytes());
    bytes[256 * SECTOR + 20..][..4].copy_from_slice(&257u32.to_le_bytes());
    bytes[udf] = 1;
    bytes[udf + 24..][..5].copy_from_slice(b"\x08UDF1");
    bytes[udf + 55] = 5;
    assert_eq!(with(&bytes, medium).unwrap().volume.label, "UDF1");
}

#[test]
fn what_is_no_medium_may_be_a_disk() {
    assert!(matches!(with(&iso(40, BOTH), inspect), Ok(Found::Medium(_))));
    assert!(matches!(with(&[0; 4096], inspect), Ok(Found::Disk(_))));
    assert!(matches!(with(&[0; 4096], medium), Err(ImageError::NotAMedium { .. })));
    assert!(matches!(with(&[], inspect), Err(ImageError::Empty(_))));
    assert!(matches!(with(b"Hello\n", inspect), Err(ImageError::NotADisk { .. })));
    let truncated = &iso(40, BOTH)[..30 * SECTOR];
    assert!(matches!(with(truncated, inspect), Err(ImageError::TruncatedMedium { .. })));
    let folder = tempfile::tempdir().unwrap();
    let called = folder.path().join("disk.ISO");
    std::fs::write(&called, [0; 4096]).unwrap();
    assert!(matches!(inspect(&called), Err(ImageError::NotAMedium { .. })));
    assert!(matches!(inspect(folder.path()), Err(ImageError::Directory(_))));
    assert!(matches!(inspect(&folder.path().join("no")), Err(ImageError::NotFound(_))));
}

/// Of the distribution's package, where it is installed.
#[test]
fn a_real_medium_is_read() {
    let path = Path::new("/usr/lib/memtest86+/memtest86+x64.iso");
    if !path.exists() {
        eprintln!("memtest86+ is not installed; left out");
        return;
    }
    let medium = medium(path).unwrap();
    assert!(medium.volume.label.to_lowercase().contains("mt86"), "{:?}", medium.volume);
    assert_eq!(medium.boot, BOTH);
}

/// Media whose every descriptor and entry is arbitrary.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (prop_oneof![16..22usize, 250..270usize], 0..SECTOR, any::<u8>());
    proptest::collection::vec(change, 0..200).prop_map(|changes| {
        let mut bytes = iso(300, BOTH);
        bytes[256 * SECTOR] = 2;
        for (sector, at, value) in changes {
            bytes[sector * SECTOR + at] = value;
        }
        bytes
    })
}

fn look(bytes: &Vec<u8>) {
    let (volume, catalogue) = volume::read(bytes).unwrap();
    assert!(!volume.label.chars().any(char::is_control));
    assert!(volume.publisher_id.chars().count() <= 128);
    if let Some(sector) = catalogue {
        el_torito::read(bytes, sector).unwrap();
    }
}

proptest! {
    #[test]
    fn damage_is_survived(bytes in damaged()) {
        look(&bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..8192)) {
        // Behind a beginning that makes the descriptors look like some.
        let mut medium = vec![0; 16 * SECTOR];
        medium.extend(bytes.chunks(500).flat_map(|part| [&b"\x01CD001"[..], part].concat()));
        look(&medium);
        el_torito::read(&bytes, 0).unwrap();
    }

    #[test]
    fn truncation_is_told_or_harmless(len in 0..40 * SECTOR) {
        let _ = with(&iso(30, BOTH)[..len.min(30 * SECTOR)], inspect);
    }
}
