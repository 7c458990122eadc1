//! Tests of the tables as a guest would walk them.

use super::*;

fn inputs(memory: Bytes) -> SmbiosInputs {
    SmbiosInputs {
        uuid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
        memory,
        low_ram_end: 0x8000_0000,
        sockets: 1,
        cores: 4,
        threads: 2,
        cpu_vendor: "GenuineTest".into(),
        cpu_name: " Test\0 CPU é ".into(),
    }
}

/// A structure's formatted area and strings.
type Parsed = (Vec<u8>, Vec<String>);

fn walk(mut bytes: &[u8]) -> Vec<Parsed> {
    let mut structures = Vec::new();
    while !bytes.is_empty() {
        let (area, rest) = bytes.split_at(bytes[1].into());
        let end = rest.windows(2).position(|pair| pair == [0, 0]).unwrap();
        let strings = rest[..end].split(|byte| *byte == 0).filter(|s| !s.is_empty());
        let strings = strings.map(|s| String::from_utf8(s.to_vec()).unwrap()).collect();
        structures.push((area.to_vec(), strings));
        bytes = &rest[end + 2..];
    }
    structures
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[test]
fn entry_point_matches_the_table() {
    let files = firmware_files(&inputs(Bytes::gib(3)));
    let anchor = &files.anchor;
    assert_eq!((anchor.len(), anchor[5]), (31, 31));
    assert_eq!((sum(anchor), sum(&anchor[16..])), (0, 0));
    assert_eq!(usize::from(u16_at(anchor, 22)), files.tables.len());
    let structures = walk(&files.tables);
    assert_eq!(usize::from(u16_at(anchor, 28)), structures.len());
    let kinds: Vec<_> = structures.iter().map(|(area, _)| area[0]).collect();
    assert_eq!(kinds, [1, 3, 4, 16, 17, 19, 19, 32, 127]);
    let mut handles: Vec<_> = structures.iter().map(|(area, _)| u16_at(area, 2)).collect();
    handles.dedup();
    assert_eq!(handles.len(), structures.len());
    // The sizes that version 2.8 prescribes.
    let sizes: Vec<_> = structures.iter().map(|(area, _)| area.len()).collect();
    assert_eq!(sizes, [27, 22, 42, 23, 40, 31, 31, 11, 4]);
}

#[test]
fn identity_is_the_machines() {
    let files = firmware_files(&inputs(Bytes::gib(1)));
    let structures = walk(&files.tables);
    let (area, strings) = &structures[0];
    assert_eq!(strings[..2], ["Berth", "Virtual PC"]);
    assert_eq!(strings[3], "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(area[8..16], [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
    let (area, strings) = &structures[2];
    assert_eq!(strings[2], "Test CPU");
    assert_eq!(area[35..38], [4, 4, 8]);
}

#[test]
fn any_amount_of_memory_is_described() {
    for (memory, devices) in [
        (Bytes::mib(64), 1),
        (Bytes::gib(17), 2),
        (Bytes::gib(1024), 64),
        (Bytes::gib(100 * 1024), 64),
        (Bytes(0), 1),
    ] {
        let files = firmware_files(&inputs(memory));
        assert!(files.tables.len() < 0x8000);
        let structures = walk(&files.tables);
        let sizes =
            structures.iter().filter(|(area, _)| area[0] == 17).map(|(area, _)| {
                match u16_at(area, 12) {
                    0x7fff => u32::from_le_bytes(area[28..32].try_into().unwrap()).into(),
                    mib => u64::from(mib),
                }
            });
        let sizes: Vec<u64> = sizes.collect();
        assert_eq!(sizes.len(), devices, "{memory}");
        assert_eq!(sizes.iter().sum::<u64>(), memory.0 >> 20);
    }
}

#[test]
fn fixed_image_points_at_its_table() {
    let image = linked_at(&inputs(Bytes::gib(1)), 0xf_0000);
    let address = u32::from_le_bytes(image[24..28].try_into().unwrap());
    assert_eq!(address, 0xf_0020);
    assert_eq!((sum(&image[..31]), sum(&image[16..31])), (0, 0));
    let structures = walk(&image[32..]);
    assert_eq!((structures[0].0[0], structures[0].0.len()), (0, 24));
}
