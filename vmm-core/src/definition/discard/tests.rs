use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::block::Format;
use crate::block::create::{Backing, Preallocation, create_qcow2};
use crate::definition::DiskBus;
use crate::units::Bytes;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("berth"));
    (folder, store)
}

fn disk(file: &str, format: Format) -> Drive {
    Drive::Disk { file: file.into(), format, read_only: false, bus: DiskBus::Sata }
}

fn definition(name: &str) -> Definition {
    let mut definition = Definition::new(name.parse().unwrap());
    definition.drives = vec![disk("disk.raw", Format::Raw), Drive::Optical { file: None }];
    definition
}

fn make(store: &Store, name: &str) -> Vm {
    store
        .create(&definition(name), |folder| Ok(fs::write(folder.join("disk.raw"), [7; 4096])?))
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_discarded_comes_back_as_it_was() {
    let (_root, store) = store();
    let vm = make(&store, "a");
    let discarded = store.discard(&vm).unwrap();
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(store.load("a"), Err(DefinitionError::NotFound(_))));
    // Neither a sweep nor a program that starts touches it.
    make(&store, "b");
    store.recover();
    assert_eq!(store.list().unwrap().len(), 1);
    let back = store.restore(discarded).unwrap();
    assert_eq!((back.folder(), back.definition()), (vm.folder(), vm.definition()));
    assert_eq!(fs::read(back.folder().join("disk.raw")).unwrap(), [7; 4096]);
    assert_eq!(names(&store.root), [".lock", "a", "b"]);
    drop(back.lock().unwrap());
}

#[test]
fn what_is_purged_is_gone() {
    let (_root, store) = store();
    let discarded = store.discard(&make(&store, "a")).unwrap();
    store.purge(discarded).unwrap();
    assert_eq!(names(&store.root), [".lock"]);
}

#[test]
fn a_running_machine_is_not_discarded() {
    let (_root, store) = store();
    let vm = make(&store, "a");
    let _running = vm.lock().unwrap();
    assert!(matches!(store.discard(&vm), Err(DefinitionError::Running(_))));
    assert_eq!(names(&store.root), [".lock", "a"]);
}

#[test]
fn a_machine_comes_back_beside_one_that_took_its_name() {
    let (_root, store) = store();
    let first = store.discard(&make(&store, "a")).unwrap();
    let second = store.discard(&make(&store, "a")).unwrap();
    make(&store, "a");
    assert_eq!(store.restore(second).unwrap().definition().name.as_str(), "a 2");
    let back = store.restore(first).unwrap();
    assert_eq!(back.definition().name.as_str(), "a 3");
    assert_eq!(back.folder(), store.root.join("a-3"));

    let long = "x".repeat(MAX_NAME);
    let discarded = store.discard(&make(&store, &long)).unwrap();
    make(&store, &long);
    let back = store.restore(discarded).unwrap();
    assert_eq!(back.definition().name.as_str(), "x".repeat(MAX_NAME - 2) + " 2");
}

#[test]
fn what_the_killed_had_discarded_comes_back() {
    let (_root, store) = store();
    for name in ["a", "b"] {
        // The lock goes with the process; so it does here.
        drop(store.discard(&make(&store, name)).unwrap());
    }
    fs::create_dir(store.root.join(".discarded-empty")).unwrap();
    // One that was damaged is not lost either.
    let (_, damaged) = (0, store.discard(&make(&store, "c")).unwrap());
    fs::write(damaged.folder().join("machine.toml"), "damaged").unwrap();
    drop(damaged);
    store.recover();
    assert_eq!(names(&store.root), [".lock", "a", "b", "c"]);
    assert!(store.load("a").is_ok() && store.load("b").is_ok() && store.load("c").is_err());
}

#[test]
fn recovering_makes_no_store() {
    let (root, store) = store();
    store.recover();
    assert!(names(root.path()).is_empty());
}

#[test]
fn disks_can_be_kept() {
    let (root, store) = store();
    let mut definition = definition("my vm");
    let format = Format::Qcow2;
    definition.drives.push(disk("top.qcow2", format));
    definition.drives.push(disk("/elsewhere", format));
    let vm = store
        .create(&definition, |folder| {
            fs::write(folder.join("disk.raw"), [7; 4096])?;
            fs::create_dir(folder.join("sub"))?;
            // What Berth has for itself, and hidden files, go with the machine.
            for name in [VARIABLES, LOG, ".hidden"] {
                fs::write(folder.join(name), "")?;
            }
            let make = |name: &str, backing: Option<&Backing>| {
                let size = Bytes::mib(1);
                let path = folder.join(name);
                create_qcow2(&path, size, Preallocation::None, backing, &mut |_, _| true)
            };
            make("sub/base.qcow2", None)?;
            // Removed from the machine, but not from its folder.
            make("disk-2.qcow2", None)?;
            make("top.qcow2", Some(&Backing { path: "sub/base.qcow2".into(), format }))?;
            Ok(())
        })
        .unwrap();
    let place = root.path().join("kept");
    let discarded = store.discard(&vm).unwrap();
    let kept = store.keep_disks(&discarded, &place, &mut |_, _| true).unwrap().unwrap();
    assert_eq!(kept, place.join("my-vm"));
    store.purge(discarded).unwrap();
    assert_eq!(names(&store.root), [".lock"]);
    assert_eq!(names(&kept), ["disk-2.qcow2", "disk.raw", "sub", "top.qcow2"]);
    assert_eq!(fs::read(kept.join("disk.raw")).unwrap(), [7; 4096]);
    assert!(crate::block::info::info(&kept.join("top.qcow2"), Some(format)).is_ok());

    // A second of the name goes beside the first; what cannot be kept leaves nothing.
    let discarded = store.discard(&make(&store, "my vm")).unwrap();
    let second = store.keep_disks(&discarded, &place, &mut |_, _| true).unwrap().unwrap();
    assert_eq!(second, place.join("my-vm-2"));
    let vm = store.restore(discarded).unwrap();
    fs::remove_file(vm.folder().join("disk.raw")).unwrap();
    let discarded = store.discard(&vm).unwrap();
    assert!(store.keep_disks(&discarded, &place, &mut |_, _| true).is_err());
    assert_eq!(names(&place), ["my-vm", "my-vm-2"]);

    // Without a disk in its folder there is nothing to keep.
    let mut definition = Definition::new("lone".parse().unwrap());
    definition.drives = vec![disk("/elsewhere", format)];
    let discarded = store.discard(&store.create(&definition, |_| Ok(())).unwrap()).unwrap();
    assert_eq!(store.keep_disks(&discarded, &place, &mut |_, _| true).unwrap(), None);
    assert_eq!(names(&place), ["my-vm", "my-vm-2"]);
}

#[test]
fn disks_that_are_not_all_there_yet_are_called_so() {
    let (_root, store) = store();
    let discarded = store.discard(&make(&store, "my vm")).unwrap();
    // Another file system, so that there is something to copy.
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut seen = Vec::new();
    let mut look = |_, _| {
        seen.extend(names(place.path()));
        true
    };
    let kept = store.keep_disks(&discarded, place.path(), &mut look).unwrap().unwrap();
    assert_eq!(kept, place.path().join("my-vm"));
    assert!(!seen.is_empty() && seen.iter().all(|name| name == "my-vm.part"), "{seen:?}");
    assert_eq!(names(place.path()), ["my-vm"]);
    assert!(store.keep_disks(&discarded, place.path(), &mut |_, _| false).is_err());
    assert_eq!(names(place.path()), ["my-vm"]);
}

/// Where the process that is to be killed has its store.
const VICTIM: &str = "BERTH_TEST_DISCARD_STORE";

/// Discards, restores, purges and clones until it is killed.
#[test]
#[ignore = "a part of the next test"]
fn victim() {
    let store = Store::open(std::env::var_os(VICTIM).unwrap());
    let vm = store.load("a").unwrap();
    let mut vm = store.restore(store.discard(&vm).unwrap()).unwrap();
    println!("ready");
    loop {
        // Those who were killed before may have left theirs.
        let name: Name = format!("clone {}", Uuid::new_v4()).parse().unwrap();
        let clone = store.duplicate(&vm, name, &mut |_, _| true).unwrap();
        vm = store.restore(store.discard(&vm).unwrap()).unwrap();
        store.purge(store.discard(&clone).unwrap()).unwrap();
    }
}

#[test]
fn killed_at_any_moment_a_machine_is_whole_or_gone() {
    let (_root, store) = store();
    let vm = make(&store, "a");
    for round in 0..40 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "definition::discard::tests::victim", "--ignored", "--nocapture"])
            .env(VICTIM, &store.root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(victim.stdout.take().unwrap()).lines();
        told.by_ref().find(|line| line.as_ref().unwrap().ends_with("ready")).unwrap().unwrap();
        std::thread::sleep(Duration::from_micros(310 * round));
        victim.kill().unwrap();
        let end = victim.wait().unwrap();
        assert_eq!(end.signal(), Some(9), "it was at work until then");
        store.recover();
        for entry in store.list().unwrap() {
            let vm = entry.vm.unwrap();
            let disk = fs::read(vm.folder().join("disk.raw")).unwrap();
            assert_eq!(disk, [7; 4096], "{}", vm.definition().name);
            assert!(!vm.is_running());
        }
        let visible = |name: &String| !name.starts_with('.') || name == ".lock";
        assert!(names(&store.root).iter().all(visible), "{:?}", names(&store.root));
        assert_eq!(store.load("a").unwrap().definition(), vm.definition());
    }
}
