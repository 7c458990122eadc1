//! The draft, typed into and asked, without a widget.

use std::path::Path;

use vmm_core::block::info::ImageInfo;
use vmm_core::definition::DiskBus;
use vmm_core::media::osinfo::Resources;
use vmm_core::media::{Medium, Volume};

use super::*;

fn around() -> Surroundings {
    Surroundings {
        host: Host { memory: Bytes::gib(16), cpus: 8 },
        held_memory: Bytes(0),
        held_cpus: 0,
        storage: Some(Storage { folder: "/vms".into(), free: Some(Bytes::gib(100)) }),
        names: vec!["Taken".into()],
        disks: vec![("/disks/used.qcow2".into(), "Taken".into())],
    }
}

fn system() -> OperatingSystem {
    let resources = |memory, cpus, storage| Resources {
        memory: Some(Bytes::gib(memory)),
        cpus: Some(cpus),
        storage: Some(Bytes::gib(storage)),
    };
    OperatingSystem {
        id: "http://example.org/1".into(),
        name: "Example 1".into(),
        architecture: "x86_64".into(),
        live: false,
        installer: true,
        minimum: resources(3, 2, 10),
        recommended: resources(4, 4, 25),
        bios: None,
        uefi: None,
        virtio: true,
    }
}

fn medium(boot: BootKinds, system: Option<OperatingSystem>) -> Inspected {
    let volume = Volume { label: "SOME_LABEL".into(), ..Volume::default() };
    let found = Found::Medium(Medium { path: "/iso".into(), size: Bytes::mib(600), volume, boot });
    Inspected { found, system }
}

fn image() -> Inspected {
    let found = Found::Disk(ImageInfo {
        path: "/disks/a.img".into(),
        format: Format::Raw,
        virtual_size: Bytes::gib(8),
        actual_size: Bytes::gib(1),
        cluster_size: None,
        snapshots: 0,
        backing_name: None,
        backing: Vec::new(),
    });
    Inspected { found, system: None }
}

const BOTH: BootKinds = BootKinds { bios: true, uefi: true };

fn with(path: &str, holds: Result<Inspected, Failure>) -> Draft {
    let mut draft = Draft::new(around());
    draft.choose(path.into());
    draft.inspected(Path::new(path), holds);
    draft
}

fn known() -> Draft {
    with("/iso/example.iso", Ok(medium(BOTH, Some(system()))))
}

fn weight(remark: Option<Remark>) -> Option<Weight> {
    remark.map(|remark| remark.weight)
}

#[test]
fn the_defaults_make_a_good_machine() {
    let machine = known().machine().unwrap();
    let definition = &machine.definition;
    assert_eq!(definition.name.as_str(), "Example 1");
    assert_eq!(definition.memory, Bytes::gib(4));
    assert_eq!(definition.cpus, 4);
    assert_eq!(definition.firmware, Firmware::Uefi);
    let (format, bus) = (Format::Qcow2, DiskBus::Virtio);
    let disk = Drive::Disk { file: DISK_FILE.into(), format, read_only: false, bus };
    let medium = Drive::Optical { file: Some("/iso/example.iso".into()) };
    assert_eq!(definition.drives, [disk, medium]);
    let new = NewDisk { file: DISK_FILE.into(), size: Bytes::gib(25), preallocate: false };
    assert_eq!(machine.disks, [new]);
    assert!(known().start);
}

#[test]
fn unknown_systems_and_no_medium_are_no_dead_end() {
    let mut draft = with("/iso/SOME_disc.iso", Ok(medium(BOTH, None)));
    assert_eq!(draft.name.value, "SOME LABEL");
    let definition = draft.machine().unwrap().definition;
    assert_eq!(definition.memory, USUAL);
    let is_sata = |drive: &Drive| matches!(drive, Drive::Disk { bus: DiskBus::Sata, .. });
    assert!(is_sata(&definition.drives[0]), "it may have no driver for others");
    draft.set_source(Source::Nothing);
    let machine = draft.machine().unwrap();
    assert_eq!(machine.definition.drives[1], Drive::Optical { file: None });
    assert_eq!(machine.disks.len(), 1);
    draft.with_disk = false;
    assert_eq!(draft.machine().unwrap().definition.drives, [Drive::Optical { file: None }]);
}

const USUAL: Bytes = Bytes::gib(2);

#[test]
fn an_existing_disk_is_used_where_it_is() {
    let draft = with("/disks/my-old_disk.img", Ok(image()));
    assert_eq!(draft.source, Source::Image);
    assert_eq!(draft.steps(), [Step::Source, Step::Processing, Step::Review]);
    assert_eq!(draft.name.value, "my-old disk");
    let machine = draft.machine().unwrap();
    assert!(machine.disks.is_empty());
    let disk = Drive::Disk {
        file: "/disks/my-old_disk.img".into(),
        format: Format::Raw,
        read_only: false,
        bus: DiskBus::Sata,
    };
    assert_eq!(machine.definition.drives, [disk, Drive::Optical { file: None }]);

    let used = with("/disks/used.qcow2", Ok(image()));
    assert_eq!(weight(used.source_remark()), Some(Weight::Warning));
}

#[test]
fn going_to_another_source_and_back_keeps_both_files() {
    let mut draft = known();
    draft.set_source(Source::Image);
    assert!(!draft.is_done(Step::Source));
    draft.choose("/disks/a.img".into());
    draft.inspected(Path::new("/disks/a.img"), Ok(image()));
    assert_eq!(draft.name.value, "a");
    draft.set_source(Source::Medium);
    assert_eq!(draft.chosen().unwrap().path, Path::new("/iso/example.iso"));
    assert_eq!(draft.name.value, "Example 1");
}

#[test]
fn what_was_typed_is_never_replaced() {
    let mut draft = Draft::new(around());
    draft.memory.enter("8 GiB".into());
    draft.name.enter("Mine".into());
    draft.firmware.enter(Firmware::Bios);
    draft.choose("/iso".into());
    draft.inspected(Path::new("/iso"), Ok(medium(BOTH, Some(system()))));
    assert_eq!(draft.memory.value, "8 GiB");
    assert_eq!(draft.name.value, "Mine");
    assert_eq!(draft.firmware.value, Firmware::Bios);
    assert_eq!(draft.cpus.value, "4");
}

#[test]
fn answers_about_files_no_longer_chosen_are_ignored() {
    let mut draft = Draft::new(around());
    draft.choose("/a".into());
    draft.choose("/b".into());
    draft.inspected(Path::new("/a"), Ok(medium(BOTH, Some(system()))));
    assert_eq!(draft.chosen().unwrap().holds, None);
    assert!(!draft.is_done(Step::Source));
    draft.inspected(Path::new("/b"), Err(Failure::new("It is broken.")));
    assert_eq!(draft.source_remark(), Some(Remark::error("It is broken.")));
    assert!(!draft.is_done(Step::Source));
}

#[test]
fn media_that_cannot_start_are_warned_about() {
    let draft = with("/a", Ok(medium(BootKinds::default(), None)));
    assert_eq!(weight(draft.source_remark()), Some(Weight::Warning));
    assert!(draft.is_done(Step::Source));
    let arm = OperatingSystem { architecture: "aarch64".into(), ..system() };
    let draft = with("/a", Ok(medium(BOTH, Some(arm))));
    assert!(draft.source_remark().unwrap().text.contains("aarch64"));
}

#[test]
fn firmware_follows_medium_and_system() {
    let firmware = |bios, uefi, system| {
        with("/a", Ok(medium(BootKinds { bios, uefi }, system))).firmware.value
    };
    let only =
        |bios, uefi| Some(OperatingSystem { bios: Some(bios), uefi: Some(uefi), ..system() });
    assert_eq!(firmware(true, false, None), Firmware::Bios);
    assert_eq!(firmware(false, true, None), Firmware::Uefi);
    assert_eq!(firmware(true, true, None), Firmware::Uefi);
    assert_eq!(firmware(true, true, only(true, false)), Firmware::Bios);
    assert_eq!(firmware(true, true, only(false, true)), Firmware::Uefi);
    assert_eq!(firmware(false, false, None), Firmware::Uefi);

    let mut draft = with("/a", Ok(medium(BootKinds { bios: true, uefi: false }, None)));
    assert_eq!(draft.firmware_remark(), None);
    draft.firmware.enter(Firmware::Uefi);
    assert_eq!(weight(draft.firmware_remark()), Some(Weight::Warning));
}

#[test]
fn memory_is_checked_as_it_is_typed() {
    let mut draft = known();
    draft.around.held_memory = Bytes::gib(10);
    for (typed, value, remark) in [
        ("4 GiB", Some(Bytes::gib(4)), None),
        ("4", Some(Bytes::gib(4)), None),
        ("4096", Some(Bytes::gib(4)), None),
        ("3.5 GiB", Some(Bytes::mib(3584)), Some(Weight::Hint)),
        ("1 GiB", Some(Bytes::gib(1)), Some(Weight::Warning)),
        ("8 GiB", Some(Bytes::gib(8)), Some(Weight::Warning)),
        ("16 GiB", Some(Bytes::gib(16)), Some(Weight::Warning)),
        ("17 GiB", None, Some(Weight::Error)),
        ("32 MiB", None, Some(Weight::Error)),
        ("0", None, Some(Weight::Error)),
        ("", None, Some(Weight::Error)),
        ("lots", None, Some(Weight::Error)),
    ] {
        draft.memory.enter(typed.into());
        let checked = draft.check_memory();
        assert_eq!((checked.value, weight(checked.remark)), (value, remark), "{typed}");
        assert_eq!(draft.is_done(Step::Processing), value.is_some(), "{typed}");
        assert_eq!(draft.machine().is_some(), value.is_some(), "{typed}");
    }
}

#[test]
fn processors_are_checked_as_they_are_typed() {
    let mut draft = known();
    draft.around.held_cpus = 6;
    for (typed, value, remark) in [
        ("2", Some(2), None),
        ("1", Some(1), Some(Weight::Warning)),
        ("4", Some(4), Some(Weight::Hint)),
        ("8", Some(8), Some(Weight::Hint)),
        ("9", None, Some(Weight::Error)),
        ("0", None, Some(Weight::Error)),
        ("-1", None, Some(Weight::Error)),
        ("two", None, Some(Weight::Error)),
    ] {
        draft.cpus.enter(typed.into());
        let checked = draft.check_cpus();
        assert_eq!((checked.value, weight(checked.remark)), (value, remark), "{typed}");
    }
    // More than a machine can have.
    draft.around.host.cpus = 256;
    draft.cpus.enter("65".into());
    assert_eq!(draft.check_cpus().value, None);
}

#[test]
fn the_disk_is_checked_as_it_is_typed() {
    let mut draft = known();
    for (typed, thin, full) in [
        ("25 GiB", Some(None), Some(None)),
        ("20", Some(Some(Weight::Hint)), Some(Some(Weight::Hint))),
        ("5 GiB", Some(Some(Weight::Warning)), Some(Some(Weight::Warning))),
        ("200 GiB", Some(Some(Weight::Warning)), None),
        ("1 MiB", None, None),
        ("100 TiB", None, None),
        ("big", None, None),
    ] {
        draft.disk.enter(typed.into());
        for (preallocate, expected) in [(false, thin), (true, full)] {
            draft.preallocate = preallocate;
            let checked = draft.check_disk();
            assert_eq!(checked.value.is_some(), expected.is_some(), "{typed}");
            match expected {
                Some(expected) => assert_eq!(weight(checked.remark), expected, "{typed}"),
                None => assert_eq!(weight(checked.remark), Some(Weight::Error), "{typed}"),
            }
        }
    }
    assert!(!draft.is_done(Step::Disk));
    draft.with_disk = false;
    assert!(draft.is_done(Step::Disk));
}

#[test]
fn names_are_unique_and_valid() {
    let mut draft = known();
    let long = "x".repeat(101);
    for (typed, good) in [
        ("A", true),
        (" padded ", true),
        ("a/b", true),
        ("", false),
        ("   ", false),
        ("Taken", false),
        ("two\nlines", false),
        (&long, false),
    ] {
        draft.name.enter(typed.into());
        assert_eq!(draft.check_name().value.is_some(), good, "{typed:?}");
        assert_eq!(draft.check_name().remark.is_none(), good, "{typed:?}");
    }
    let mut around = around();
    around.names = ["Example 1", "Example 1 2"].map(String::from).into();
    let mut draft = Draft::new(around);
    draft.choose("/iso".into());
    draft.inspected(Path::new("/iso"), Ok(medium(BOTH, Some(system()))));
    assert_eq!(draft.name.value, "Example 1 3");
}

#[test]
fn small_hosts_get_small_suggestions() {
    let mut around = around();
    around.host = Host { memory: Bytes::gib(2), cpus: 1 };
    let mut draft = Draft::new(around);
    assert_eq!(draft.check_memory().value, Some(Bytes::mib(1536)));
    assert_eq!(draft.check_cpus().value, Some(1));
    draft.choose("/iso".into());
    draft.inspected(Path::new("/iso"), Ok(medium(BOTH, Some(system()))));
    // Too little for the system, and all there is.
    assert_eq!(draft.check_memory().value, Some(Bytes::gib(2)));
    assert!(draft.machine().is_some());
}
