//! What is refused at opening, and how; and that nothing put into an image's metadata makes
//! opening or using it panic, hang or take memory without bound.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::block::info::info;

/// Makes images in a directory of their own.
struct Shelf(tempfile::TempDir);

impl Shelf {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }

    /// An image made by QEMU; `false` without QEMU.
    fn qemu(&self, name: &str, arguments: &[&str], size: &str) -> bool {
        let mut all = vec!["-f", "qcow2", "-u"];
        all.extend_from_slice(arguments);
        testing::qemu_create(&self.at(name), &all, size)
    }

    /// Why the image cannot be opened, as one line with the directory left out.
    fn refusal(&self, name: &str, options: &DiskOptions) -> String {
        match Guest::open(&self.at(name), options) {
            Ok(_) => "it opens".into(),
            Err(error) => error.chain().replace(&format!("{}/", self.0.path().display()), ""),
        }
    }

    fn probed(&self, name: &str) -> String {
        self.refusal(name, &DiskOptions::default())
    }
}

/// Changes bytes of a file.
fn patch(path: &Path, at: usize, bytes: &[u8]) {
    let mut all = std::fs::read(path).unwrap();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    std::fs::write(path, all).unwrap();
}

#[test]
fn what_is_no_disk_image_is_refused_in_one_sentence() {
    let shelf = Shelf::new();
    assert_eq!(shelf.probed("none"), "“none” does not exist; check the name");
    std::fs::create_dir(shelf.at("dir")).unwrap();
    assert_eq!(shelf.probed("dir"), "“dir” is a directory; name a file in it");

    let mut footer = vec![0; 4096];
    footer[3584..3592].copy_from_slice(b"conectix");
    let mut vdi = vec![0; 4096];
    vdi[64..68].copy_from_slice(&[0x7f, 0x10, 0xda, 0xbe]);
    let text = "Dear diary, it is zażółć today.\n".repeat(4096 / 8);
    let foreign = |kind: &str| {
        format!(
            "“f” is a {kind} image, which is not supported; convert it with “qemu-img convert -O qcow2”"
        )
    };
    for (bytes, says) in [
        (vec![], "“f” is empty; name a file that holds an image or make a new one".to_owned()),
        (vec![0; 1000], "“f” is not a disk image, or a truncated one: its length of 1000 bytes is not a multiple of 512; get it anew".into()),
        (text.clone().into_bytes(), "“f” is not a disk image but a text file; name an image file".into()),
        (text.as_bytes()[..1024].to_vec(), "“f” is not a disk image but a text file; name an image file".into()),
        (b"x\n".to_vec(), "“f” is not a disk image but a text file; name an image file".into()),
        ([b"\x7fELF".to_vec(), vec![0; 508]].concat(), "“f” is not a disk image but a program; name an image file".into()),
        ([b"\xfd7zXZ\0".to_vec(), vec![0; 506]].concat(), "“f” is compressed with xz; unpack it first".into()),
        ([b"KDMV".to_vec(), vec![0; 508]].concat(), foreign("VMDK")),
        (b"# Disk DescriptorFile\nversion=1\nCID=123\n".to_vec(), foreign("VMDK")),
        ([b"vhdxfile".to_vec(), vec![0; 504]].concat(), foreign("VHDX")),
        (footer, foreign("VHD")),
        (vdi, foreign("VDI")),
    ] {
        shelf.put("f", &bytes);
        assert_eq!(shelf.probed("f"), says);
    }
    // Root may read everything.
    if !rustix::process::geteuid().is_root() {
        use std::os::unix::fs::PermissionsExt;
        let path = shelf.put("f", &[0; 512]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(shelf.probed("f"), "“f” may not be written; change its permissions");
    }
}

#[test]
fn raw_disks_of_all_kinds_open() {
    let shelf = Shelf::new();
    let mut boot = vec![0; 1 << 20];
    boot[..11].copy_from_slice(b"\xeb\x63\x90GRUB \xcd\x13\xcc");
    boot[510..512].copy_from_slice(&[0x55, 0xaa]);
    for bytes in [vec![0; 512], boot] {
        shelf.put("f", &bytes);
        assert_eq!(shelf.probed("f"), "it opens");
    }
    // Said to be raw, contents do not matter.
    shelf.put("f", &b"text".repeat(128));
    assert_eq!(shelf.refusal("f", &options(Format::Raw)), "it opens");
    assert_eq!(
        shelf.refusal("f", &options(Format::Qcow2)),
        "“f” is not a qcow2 image; check its format"
    );
}

/// A guest that writes a qcow2 header into its raw disk gains nothing.
#[test]
fn a_raw_disk_stays_raw() {
    let shelf = Shelf::new();
    let path = shelf.put("f", &[0; 1 << 20]);
    let mut header = vec![0; 1024];
    header[..4].copy_from_slice(b"QFI\xfb");

    // Told from its contents, the disk does not take such a header.
    let guest = Guest::open(&path, &DiskOptions::default()).unwrap();
    assert_eq!(guest.disk.format(), Format::Raw);
    let error = guest.write(0, &header).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(guest.faults.lock().is_empty());
    header[0] = 1;
    guest.write(0, &header).unwrap();
    assert_eq!(guest.read(0, 1024).unwrap(), header);
    drop(guest);

    // Said to be raw, it does, and nobody looks at it later.
    header[0] = b'Q';
    let guest = Guest::open(&path, &options(Format::Raw)).unwrap();
    guest.write(0, &header).unwrap();
    drop(guest);
    let guest = Guest::open(&path, &options(Format::Raw)).unwrap();
    assert_eq!(guest.read(0, 1024).unwrap(), header);
}

#[test]
fn qcow2_images_that_cannot_be_used_are_refused_in_one_sentence() {
    let shelf = Shelf::new();
    if !shelf.qemu("good", &[], "64M") {
        return;
    }
    assert_eq!(shelf.probed("good"), "it opens");
    let mut good = std::fs::read(shelf.at("good")).unwrap();
    // QEMU leaves the file off right after the L1 table.
    good.resize(1 << 20, 0);
    let u32s = |value: u32| value.to_be_bytes().to_vec();
    let u64s = |value: u64| value.to_be_bytes().to_vec();
    let l1 = u64::from_be_bytes(good[40..48].try_into().unwrap()) as usize;
    let reftable = u64::from_be_bytes(good[48..56].try_into().unwrap()) as usize;
    let table = |table: &str, what: &str| {
        format!(
            "its {table} is damaged ({what}); repair it with “qemu-img check -r all” or restore a copy"
        )
    };
    let header = |what: &str| format!("its header is damaged ({what}); restore a copy");
    let convert = "convert it with “qemu-img convert -O qcow2”";
    for (at, bytes, says) in [
        (4, u32s(1), format!("its version 1 is not supported; {convert}")),
        (4, u32s(4), format!("its version 4 is not supported; {convert}")),
        (20, u32s(8), "its cluster size of 2^8 bytes is not possible; it is damaged, restore a copy".into()),
        (20, u32s(u32::MAX), "its cluster size of 2^4294967295 bytes is not possible; it is damaged, restore a copy".into()),
        (24, u64s(0), "it holds a disk of no size; make a new one".into()),
        (24, u64s(1000), "its disk size of 1000 bytes is not a multiple of 512; convert it with “qemu-img convert”".into()),
        (24, u64s(1 << 40), table("L1 table", "it is too small for the disk")),
        (32, u32s(1), format!("it is encrypted; {convert}")),
        (36, u32s(0), table("L1 table", "it is too small for the disk")),
        (36, u32s(u32::MAX), table("L1 table", "it is too large")),
        (36, u32s(1 << 20), table("L1 table", "it lies beyond the end of the file")),
        (40, u64s(0), table("L1 table", "its place is impossible")),
        (40, u64s(77), table("L1 table", "its place is impossible")),
        (40, u64s(u64::MAX << 16), table("L1 table", "it lies beyond the end of the file")),
        (48, u64s(0), table("refcount table", "its place is impossible")),
        (48, u64s(1 << 60), table("refcount table", "it lies beyond the end of the file")),
        (48, u64s(l1 as u64), table("refcount table", "it overlaps the L1 table")),
        (56, u32s(0), table("refcount table", "it is missing")),
        (56, u32s(u32::MAX), table("refcount table", "it is too large")),
        (60, u32s(u32::MAX), header("it counts too many snapshots")),
        (8, u64s(1 << 40), header("the backing file's name is misplaced")),
        (8, [u64s(600), u32s(5000)].concat(), header("the backing file's name is misplaced")),
        (8, [u64s(104), u32s(8)].concat(), header("the backing file's name is no text")),
        (72, u64s(1), "it was not closed properly; repair it with “qemu-img check -r all”".into()),
        (72, u64s(2), "it is marked corrupt; repair it with “qemu-img check -r all” or restore a copy".into()),
        (72, u64s(4), format!("it keeps its data in another file; {convert}")),
        (72, u64s(8), format!("its clusters are compressed with an unknown method; {convert}")),
        (72, u64s(16), format!("it has extended L2 entries; {convert}")),
        (72, u64s(1 << 40), "it needs features this program does not know (0x10000000000); update or convert it".into()),
        (96, u32s(7), "its refcount width of 2^7 bits is not possible; it is damaged, restore a copy".into()),
        (100, u32s(72), header("its length is impossible")),
        (100, u32s(u32::MAX - 7), header("its length is impossible")),
        (112, [u32s(0x1234), u32s(u32::MAX)].concat(), header("an extension is too long")),
        (112, [u32s(0x6803_f857), u32s(49)].concat(), header("its table of feature names is incomplete")),
        (l1, u64s(1 << 62), table("L1 table", "an entry has reserved bits set")),
        (l1, u64s(1 << 50), table("L1 table", "an entry points beyond the end of the file")),
        (l1, u64s(512), table("L1 table", "an entry is not aligned")),
        (l1, u64s(reftable as u64), table("L1 table", "an entry points into another table")),
        (reftable, u64s(1), table("refcount table", "an entry has reserved bits set")),
        (reftable + 8, good[reftable..reftable + 8].to_vec(), table("refcount table", "two entries point to one place")),
    ] {
        let path = shelf.put("bad", &good);
        patch(&path, at, &bytes);
        assert_eq!(
            shelf.probed("bad"),
            format!("the qcow2 image “bad” cannot be used: {says}"),
            "{bytes:x?} at {at}"
        );
    }
    shelf.put("bad", &good[..60]);
    assert_eq!(
        shelf.probed("bad"),
        "the qcow2 image “bad” cannot be used: it is truncated; get it anew"
    );
    // A refused image is not touched.
    assert_eq!(std::fs::read(shelf.at("bad")).unwrap(), good[..60]);

    for (arguments, size, says) in [
        (
            &["-o", "compression_type=zstd"][..],
            "64M",
            format!("its clusters are compressed with zstd; {convert}"),
        ),
        (&["-o", "extended_l2=on"], "64M", format!("it has extended L2 entries; {convert}")),
        (
            &["-o", "data_file=data.raw"],
            "64M",
            format!("it keeps its data in another file; {convert}"),
        ),
    ] {
        let _ = std::fs::remove_file(shelf.at("feature"));
        let arguments: Vec<String> = arguments
            .iter()
            .map(|a| a.replace("data.raw", shelf.at("data.raw").to_str().unwrap()))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        testing::qemu_create(
            &shelf.at("feature"),
            &[&["-f", "qcow2"], &arguments[..]].concat(),
            size,
        );
        assert_eq!(
            shelf.probed("feature"),
            format!("the qcow2 image “feature” cannot be used: {says}")
        );
    }
    assert!(shelf.qemu("huge", &["-o", "cluster_size=2M"], "65T"));
    assert_eq!(shelf.probed("huge"), "“huge” is a disk of 65T; the largest possible is 64T");
}

#[test]
fn backing_files_are_looked_at_as_closely() {
    let shelf = Shelf::new();
    let on = |name: &str, backing: &str, format: &str| {
        shelf.qemu(name, &["-b", backing, "-F", format], "64M")
    };
    if !on("a", "missing", "raw") {
        return;
    }
    let beneath = "the backing file of “a” cannot be used";
    assert_eq!(shelf.probed("a"), format!("{beneath}: “missing” does not exist; check the name"));
    let without_format = |name: &str, backing: &str| {
        on(name, backing, "raw");
        // Renames the extension's type, so nothing says the format.
        let bytes = std::fs::read(shelf.at(name)).unwrap();
        let at = bytes.windows(4).position(|w| w == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
        patch(&shelf.at(name), at, &[0x12; 4]);
    };

    shelf.put("secret", &b"root:$6$abcdefgh:19000:0:99999:7:::\n".repeat(512));
    on("a", "secret", "raw");
    assert_eq!(
        shelf.probed("a"),
        format!("{beneath}: “secret” is not a disk image but a text file; name an image file")
    );
    on("a", "dir", "raw");
    std::fs::create_dir(shelf.at("dir")).unwrap();
    assert_eq!(shelf.probed("a"), format!("{beneath}: “dir” is a directory; name a file in it"));
    shelf.put("raw", &[0; 512]);
    on("a", "raw", "qcow2");
    assert_eq!(
        shelf.probed("a"),
        format!("{beneath}: “raw” is not a qcow2 image; check its format")
    );
    on("a", "raw", "vmdk");
    assert_eq!(
        shelf.probed("a"),
        format!(
            "{beneath}: its format “vmdk” is not supported; convert it with “qemu-img convert -O qcow2”"
        )
    );
    for name in ["nbd://host/disk", "json:{\"driver\":\"null-co\"}"] {
        on("a", name, "raw");
        assert_eq!(
            shelf.probed("a"),
            format!(
                "{beneath}: its backing file “{name}” is not a local file; copy it here and use “qemu-img rebase -u”"
            )
        );
    }

    // Loops of one, two and three.
    let looped = |name: &str| {
        format!(
            "the backing files of “{name}” form a loop; give it another with “qemu-img rebase -u”"
        )
    };
    on("a", "a", "qcow2");
    assert_eq!(shelf.probed("a"), looped("a"));
    on("a", "b", "qcow2");
    on("b", "a", "qcow2");
    assert_eq!(shelf.probed("a"), looped("a"));
    on("b", "c", "qcow2");
    on("c", "b", "qcow2");
    assert_eq!(shelf.probed("a"), looped("a"));
    assert!(matches!(info(&shelf.at("a"), None), Err(ImageError::BackingLoop(_))));
    // Through another name of the same file.
    std::os::unix::fs::symlink("a", shelf.at("link")).unwrap();
    on("a", "link", "qcow2");
    assert_eq!(shelf.probed("a"), looped("a"));

    // Without a format: what stands on its own is told from its contents, the rest not at all.
    assert!(shelf.qemu("alone", &[], "64M"));
    without_format("a", "alone");
    assert_eq!(shelf.probed("a"), "it opens");
    on("c", "raw", "raw");
    without_format("a", "c");
    assert_eq!(
        shelf.probed("a"),
        format!(
            "{beneath}: the image above “c” does not say its format; say it with “qemu-img rebase -u -F qcow2 -b”"
        )
    );
    without_format("a", "raw");
    assert_eq!(shelf.probed("a"), "it opens");

    // Where backing files may be.
    std::fs::rename(shelf.at("raw"), shelf.at("dir").join("raw")).unwrap();
    on("a", "dir/raw", "raw");
    let within = |name: &str| DiskOptions {
        backing_directories: Some(vec![shelf.at(name)]),
        ..DiskOptions::default()
    };
    assert_eq!(shelf.refusal("a", &within("dir")), "it opens");
    assert_eq!(shelf.refusal("a", &within("")), "it opens");
    assert_eq!(
        shelf.refusal("a", &within("elsewhere")),
        format!(
            "{beneath}: “dir/raw” is outside the directories that backing files may be in; move it there"
        )
    );

    // Too many.
    let count = crate::block::MAX_BACKING_FILES + 2;
    shelf.qemu("0", &[], "1M");
    for i in 1..count {
        assert!(on(&i.to_string(), &(i - 1).to_string(), "qcow2"));
    }
    assert_eq!(shelf.probed(&(count - 2).to_string()), "it opens");
    assert_eq!(
        shelf.probed(&(count - 1).to_string()),
        format!(
            "“{}” has more than 64 backing files beneath it; merge some with “qemu-img commit”",
            count - 1
        )
    );
}

/// Seeds for mutation: small images of every shape, with some data in them.
fn seeds() -> Vec<Vec<u8>> {
    let shelf = Shelf::new();
    let data = shelf.put("data", &[&[3; 70_000][..], &[0; 200_000], &[5; 100_144]].concat());
    let data = data.to_str().unwrap().to_owned();
    let mut seeds = Vec::new();
    for (i, shape) in [
        "compat=0.10,cluster_size=4k",
        "compat=1.1,cluster_size=512",
        "compat=1.1,cluster_size=4k,refcount_bits=1",
        "compat=1.1,cluster_size=4k,refcount_bits=64,lazy_refcounts=on",
        "compat=1.1,cluster_size=16k,compression_type=zstd",
        "compat=1.1,cluster_size=16k,extended_l2=on",
        "compat=1.1,cluster_size=64k",
    ]
    .iter()
    .enumerate()
    {
        for compressed in [false, true] {
            let path = shelf.at(&format!("{i}-{compressed}"));
            let to = path.to_str().unwrap();
            let mut arguments = vec!["convert", "-f", "raw", "-O", "qcow2", "-o", shape];
            if compressed {
                arguments.push("-c");
            }
            arguments.extend_from_slice(&[&data, to]);
            let Some((good, text)) = testing::qemu_img(&arguments) else { return Vec::new() };
            assert!(good, "{text}");
            seeds.push(std::fs::read(path).unwrap());
        }
    }
    seeds.push(b"# Disk DescriptorFile\nversion=1\nRW 8 FLAT \"x\" 0\n".to_vec());
    seeds
}

/// One change to an image.
#[derive(Debug, Clone)]
enum Mutation {
    Byte {
        at: usize,
        value: u8,
    },
    /// A number of eight bytes at a multiple of eight, of the kinds that break things.
    Word {
        at: usize,
        value: u64,
    },
    /// A number of four bytes in the header.
    Half {
        at: usize,
        value: u32,
    },
    Truncate {
        len: usize,
    },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let nasty = prop_oneof![
        any::<u64>(),
        (0..64u32).prop_map(|bit| 1 << bit),
        (0..64u32).prop_map(|bit| u64::MAX << bit),
        (0..128u64).prop_map(|cluster| cluster << 12 | 1 << 63),
        (0..64u64).prop_map(|cluster| cluster << 16),
    ];
    // The header and the tables right after it are what matters most.
    let place = prop_oneof![3 => 0..120usize, 2 => 0..0x5000usize, 1 => 0..0x60000usize];
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, value)| Mutation::Byte { at, value }),
        (place.clone(), nasty).prop_map(|(at, value)| Mutation::Word { at: at & !7, value }),
        (0..30usize, any::<u32>(), 0..32u32)
            .prop_map(|(at, value, shift)| Mutation::Half { at: at * 4, value: value >> shift }),
        place.prop_map(|len| Mutation::Truncate { len }),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutations: &[Mutation]) {
    for mutation in mutations {
        let (at, value) = match mutation {
            Mutation::Byte { at, value } => (*at, vec![*value]),
            Mutation::Word { at, value } => (*at, value.to_be_bytes().to_vec()),
            Mutation::Half { at, value } => (*at, value.to_be_bytes().to_vec()),
            Mutation::Truncate { len } => {
                bytes.truncate(*len);
                continue;
            }
        };
        if let Some(place) = bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(&value);
        }
    }
}

/// Opens whatever this is and, if that works, uses it hard. A panic in the driver would show as
/// a fault; a hang, as the test's never ending.
fn use_image(path: &Path, options: &DiskOptions) {
    let _ = info(path, options.format);
    let Ok(guest) = Guest::open(path, options) else { return };
    let len = guest.disk.len();
    let mut random = Random(len | 1);
    let mut requests = Vec::new();
    for _ in 0..40 {
        let offset = match random.below(3) {
            0 => random.below(len),
            1 => random.below(len.min(400_000)),
            _ => len.saturating_sub(4096),
        } & !511;
        let size = (random.below(128) + 1) * 512;
        let segment = Segment { address: GuestAddress(0), len: size as u32 };
        let (operation, segments) = match random.below(8) {
            0..=2 => (Operation::Write, vec![segment]),
            3 | 4 => (Operation::Read, vec![segment]),
            5 => (Operation::Discard { len: size }, Vec::new()),
            6 => (Operation::WriteZeroes { len: size }, Vec::new()),
            _ => (Operation::Flush, Vec::new()),
        };
        requests.push(guest.start(operation, offset, segments));
    }
    guest.disk.drain();
    for fault in guest.faults.lock().iter() {
        assert_ne!(fault.kind, crate::block::FaultKind::Panic, "{fault}");
    }
    drop(guest);
    for request in requests {
        let _ = request.recv().expect("each request ends");
    }
}

#[test]
fn mutated_images_do_no_harm() {
    let seeds = seeds();
    if seeds.is_empty() {
        return;
    }
    let cases = std::env::var("BLOCK_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let shelf = Shelf::new();
    proptest!(config, |(
        seed in 0..seeds.len(),
        mutations in prop::collection::vec(mutation(), 1..6),
        read_only: bool,
        probe: bool,
    )| {
        let mut bytes = seeds[seed].clone();
        mutate(&mut bytes, &mutations);
        let path = shelf.put("m", &bytes);
        let format = (!probe).then_some(Format::Qcow2);
        use_image(&path, &DiskOptions { read_only, format, ..DiskOptions::default() });
        // Nothing grows out of all proportion.
        prop_assert!(std::fs::metadata(&path).unwrap().len() < 1 << 40);
    });
}
