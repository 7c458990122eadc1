//! Random requests against a model in memory, with QEMU as the judge of what lies on disk.

use proptest::prelude::*;

use super::*;
use crate::block::create::{self, Backing, Preallocation};
use crate::units::Bytes;

const SIZE: u64 = 6 << 20;

#[derive(Debug, Clone)]
enum Step {
    Write { offset: u64, len: usize, fill: u8 },
    Read { offset: u64, len: usize },
    Discard { offset: u64, len: u64 },
    Zero { offset: u64, len: u64 },
    Flush,
    Reopen,
}

fn place() -> impl Strategy<Value = (u64, u64)> {
    let sectors = SIZE / 512;
    let len = prop_oneof![1..16u64, Just(128), 100..1200u64];
    (0..sectors, len, any::<bool>()).prop_map(move |(start, len, aligned)| {
        let start = if aligned { start & !127 } else { start };
        (start * 512, len.min(sectors - start) * 512)
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (place(), any::<u8>()).prop_map(|((offset, len), fill)| {
            Step::Write { offset, len: len as usize, fill }
        }),
        3 => place().prop_map(|(offset, len)| Step::Read { offset, len: len as usize }),
        2 => place().prop_map(|(offset, len)| Step::Discard { offset, len }),
        2 => place().prop_map(|(offset, len)| Step::Zero { offset, len }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// Data of which any piece tells where it is from.
fn pattern(fill: u8, offset: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| fill.wrapping_add(((offset + i) / 512) as u8) | 1).collect()
}

/// A byte nobody can be sure of: discarded, and since then neither written nor zeroed. It is
/// what it was, or zero.
fn matches(data: &[u8], model: &[u8], unsure: &[bool]) -> bool {
    data.iter()
        .zip(model)
        .zip(unsure)
        .all(|((byte, expected), unsure)| byte == expected || (*unsure && *byte == 0))
}

fn play(path: &std::path::Path, options: &DiskOptions, mut model: Vec<u8>, steps: &[Step]) {
    let mut unsure = vec![false; model.len()];
    let mut guest = Guest::open(path, options).unwrap();
    assert_eq!(guest.disk.len(), model.len() as u64);
    for step in steps {
        match step.clone() {
            Step::Write { offset, len, fill } => {
                let data = pattern(fill, offset, len);
                guest.write(offset, &data).unwrap();
                let range = offset as usize..offset as usize + len;
                model[range.clone()].copy_from_slice(&data);
                unsure[range].fill(false);
            }
            Step::Read { offset, len } => {
                let range = offset as usize..offset as usize + len;
                let data = guest.read(offset, len).unwrap();
                assert!(matches(&data, &model[range.clone()], &unsure[range]), "{step:?}");
            }
            Step::Discard { offset, len } => {
                guest.run(Operation::Discard { len }, offset, Vec::new()).unwrap();
                unsure[offset as usize..(offset + len) as usize].fill(true);
            }
            Step::Zero { offset, len } => {
                guest.run(Operation::WriteZeroes { len }, offset, Vec::new()).unwrap();
                let range = offset as usize..(offset + len) as usize;
                model[range.clone()].fill(0);
                unsure[range].fill(false);
            }
            Step::Flush => guest.flush().unwrap(),
            Step::Reopen => {
                drop(guest);
                if options.format == Some(Format::Qcow2) {
                    testing::assert_checked(path, false);
                }
                guest = Guest::open(path, options).unwrap();
            }
        }
    }
    let data = (0..model.len())
        .step_by(1 << 20)
        .flat_map(|at| guest.read(at as u64, 1 << 20).unwrap())
        .collect::<Vec<_>>();
    assert!(matches(&data, &model, &unsure), "at the end");
    drop(guest);

    // What QEMU reads is what we read.
    let format = options.format.unwrap().to_string();
    if format == "qcow2" {
        testing::assert_checked(path, false);
    }
    let raw = path.with_extension("model");
    std::fs::write(&raw, &data).unwrap();
    let (path, raw) = (path.to_str().unwrap(), raw.to_str().unwrap());
    if let Some((same, text)) =
        testing::qemu_img(&["compare", "-f", &format, "-F", "raw", path, raw])
    {
        assert!(same, "{text}");
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
}

proptest! {
    #![proptest_config(crate::fuzz::cases(12))]

    #[test]
    fn raw(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.img");
        create::create_raw(&path, Bytes(SIZE), Preallocation::None, &mut patient()).unwrap();
        play(&path, &options(Format::Raw), vec![0; SIZE as usize], &steps);
    }

    #[test]
    fn qcow2(steps in steps(), full: bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.qcow2");
        let preallocation = if full { Preallocation::Full } else { Preallocation::None };
        create::create_qcow2(&path, Bytes(SIZE), preallocation, None, &mut patient()).unwrap();
        play(&path, &options(Format::Qcow2), vec![0; SIZE as usize], &steps);
    }

    #[test]
    fn qcow2_on_a_shorter_raw_image(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (base, path) = (dir.path().join("base.img"), dir.path().join("d.qcow2"));
        let mut model = pattern(7, 0, 4 << 20);
        model[0] = 0;
        std::fs::write(&base, &model).unwrap();
        model.resize(SIZE as usize, 0);
        let backing = Backing { path: "base.img".into(), format: Format::Raw };
        let none = Preallocation::None;
        create::create_qcow2(&path, Bytes(SIZE), none, Some(&backing), &mut patient()).unwrap();
        play(&path, &options(Format::Qcow2), model, &steps);
    }

    /// Images of all shapes that QEMU makes and we support, on a compressed qcow2 base.
    #[test]
    fn qcow2_of_qemu(
        steps in steps(),
        version in prop_oneof![Just("0.10"), Just("1.1")],
        cluster in prop_oneof![Just("512"), Just("4k"), Just("64k"), Just("2M")],
        refcount in prop_oneof![Just("1"), Just("2"), Just("8"), Just("16"), Just("64")],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let name = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let mut model = pattern(9, 0, SIZE as usize);
        model[0] = 0;
        std::fs::write(name("base.img"), &model).unwrap();
        let (from, base, path) = (name("base.img"), name("base.qcow2"), name("d.qcow2"));
        let convert = ["convert", "-c", "-f", "raw", "-O", "qcow2", &from, &base];
        if testing::qemu_img(&convert).is_none() {
            return Ok(());
        }
        let refcount = if version == "0.10" { "16" } else { refcount };
        let shape =
            format!("compat={version},cluster_size={cluster},refcount_bits={refcount}");
        let path = std::path::Path::new(&path);
        testing::qemu_create(
            path,
            &["-f", "qcow2", "-o", &shape, "-b", "base.qcow2", "-F", "qcow2"],
            "",
        );
        play(path, &options(Format::Qcow2), model, &steps);
    }

    /// Guests throw anything at a disk; nothing but errors may come of it.
    #[test]
    fn absurd_requests(
        offset: u64,
        len: u64,
        address: u64,
        pieces in prop::collection::vec((any::<u64>(), any::<u32>()), 0..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.qcow2");
        let none = Preallocation::None;
        create::create_qcow2(&path, Bytes(SIZE), none, None, &mut patient()).unwrap();
        let guest = Guest::open(&path, &options(Format::Qcow2)).unwrap();
        let segment = |(at, len)| Segment { address: GuestAddress(at), len };
        let pieces: Vec<_> = pieces.into_iter().map(segment).collect();
        for operation in [
            Operation::Read,
            Operation::Write,
            Operation::Discard { len },
            Operation::WriteZeroes { len },
            Operation::Flush,
        ] {
            for offset in [offset, 0, SIZE - 512, address] {
                let _ = guest.run(operation, offset, pieces.clone());
            }
        }
        prop_assert!(guest.faults.lock().is_empty());
        prop_assert_eq!(guest.read(0, 512).unwrap(), vec![0; 512]);
    }
}

/// Many requests at once, each thread of the test on its own quarter of the disk.
#[test]
fn requests_run_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.qcow2");
    create::create_qcow2(&path, Bytes(SIZE), Preallocation::None, None, &mut patient()).unwrap();
    let guest = Guest::open(&path, &options(Format::Qcow2)).unwrap();
    std::thread::scope(|scope| {
        for part in 0..4u64 {
            let guest = &guest;
            scope.spawn(move || {
                let mut random = Random(part + 1);
                let mut model = vec![0u8; (SIZE / 4) as usize];
                let memory = GuestAddress(part << 18);
                for _ in 0..300 {
                    let len = (random.below(64) + 1) * 512;
                    // Interleaved at every other sector run, so neighbours share clusters.
                    let at = random.below((SIZE / 4 - len) / 512) * 512;
                    let offset = (at / 8192) * 32768 + part * 8192 + at % 8192;
                    let len = len.min(8192 - at % 8192);
                    let segment = Segment { address: memory, len: len as u32 };
                    let range = at as usize..(at + len) as usize;
                    match random.below(5) {
                        0 => {
                            let zero = Operation::WriteZeroes { len };
                            guest.run(zero, offset, Vec::new()).unwrap();
                            model[range].fill(0);
                        }
                        1 => guest.flush().unwrap(),
                        2 | 3 => {
                            let fill = random.next() as u8;
                            guest.ram.write_slice(&vec![fill; len as usize], memory).unwrap();
                            guest.run(Operation::Write, offset, vec![segment]).unwrap();
                            model[range].fill(fill);
                        }
                        _ => {
                            guest.run(Operation::Read, offset, vec![segment]).unwrap();
                            let mut data = vec![0; len as usize];
                            guest.ram.read_slice(&mut data, memory).unwrap();
                            assert_eq!(data, model[range]);
                        }
                    }
                }
            });
        }
    });
    guest.disk.drain();
    drop(guest);
    testing::assert_checked(&path, false);
}

/// A guest that trims its disk gets the host's space back.
#[test]
fn discarded_space_is_given_back() {
    for format in [Format::Raw, Format::Qcow2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let none = Preallocation::None;
        match format {
            Format::Raw => create::create_raw(&path, Bytes(SIZE), none, &mut patient()),
            Format::Qcow2 => create::create_qcow2(&path, Bytes(SIZE), none, None, &mut patient()),
        }
        .unwrap();
        let guest = Guest::open(&path, &options(format)).unwrap();
        for at in 0..6 {
            guest.write(at << 20, &vec![1; 1 << 20]).unwrap();
        }
        guest.flush().unwrap();
        let space = || crate::block::info::info(&path, Some(format)).unwrap().actual_size.0;
        let before = space();
        assert!(before >= SIZE);
        guest.run(Operation::Discard { len: 4 << 20 }, 1 << 20, Vec::new()).unwrap();
        guest.flush().unwrap();
        // What the file system needs to tell of a hole counts as the file's.
        let most = before - (4 << 20) + (64 << 10);
        assert!(space() <= most, "{format}: {} of {before}", space());
        assert_eq!(guest.read(0, 512).unwrap(), vec![1; 512]);
        assert_eq!(guest.read(5 << 20, 512).unwrap(), vec![1; 512]);
    }
}
