//! A machine made after another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::document;
use super::error::{DefinitionError, FileAction};
use super::folder::{DEFINITION, LOCK, LOG, VARIABLES};
use super::model::{Definition, Drive, Name};
use super::own_files::{check_alone, own, parts};
use super::store::{Store, make_folder};
use super::vm::Vm;
use crate::block::copy::{copy, data_len};
use crate::block::create::Progress;
use crate::net::MacAddress;
use crate::units::Bytes;

impl Store {
    /// Makes a machine called `name` that is like `vm`, with another identity. It has disks of its
    /// own, with the same contents, in its folder: also those that `vm` has elsewhere, for two
    /// machines that write one disk destroy it. What nobody writes (media, read-only disks,
    /// backing files) is shared, unless it is in the folder of `vm`. The firmware's variables are
    /// copied, the log is not. There is the whole clone, or none, whenever this ends; `vm` cannot
    /// be run meanwhile.
    ///
    /// # Errors
    /// [`DefinitionError::Running`], [`DefinitionError::Exists`]; when a file cannot be copied,
    /// or `progress` cancels ([`DefinitionError::is_cancelled`]).
    pub fn duplicate(
        &self,
        vm: &Vm,
        name: Name,
        progress: Progress<'_>,
    ) -> Result<Vm, DefinitionError> {
        let _off = vm.lock()?;
        // As it is now: it may have been changed since it was read.
        let vm = Vm::read(vm.folder())?;
        let (definition, files) = plan(&vm, name)?;
        let path = vm.folder().join(DEFINITION);
        let text = document::rewrite(vm.text(), &path, vm.definition(), &definition)?;
        self.add(&definition, &text, |folder| copy_all(&files, folder, progress))
    }
}

/// A file to be copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) from: PathBuf,
    /// Below the folder of the copy.
    pub(super) to: PathBuf,
}

/// Copies `files` into `folder`; `progress` is told of all together.
pub(super) fn copy_all(
    files: &[Copy],
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(), DefinitionError> {
    let lens = files.iter().map(|file| data_len(&file.from)).collect::<Result<Vec<_>, _>>()?;
    let total = Bytes(lens.iter().map(|len| len.0).sum());
    let mut before = 0;
    for (file, len) in files.iter().zip(lens) {
        let to = folder.join(&file.to);
        if let Some(parent) = to.parent() {
            make_folder(parent, true).map_err(DefinitionError::io(FileAction::Create, parent))?;
        }
        copy(&file.from, &to, &mut |done, _| {
            progress(Bytes((before + done.0).min(total.0)), total)
        })?;
        before += len.0;
    }
    Ok(())
}

/// What the clone of `vm` called `name` is made of, and the files to copy for it.
fn plan(vm: &Vm, name: Name) -> Result<(Definition, Vec<Copy>), DefinitionError> {
    let folder = vm.folder();
    let mut definition = Definition { name, uuid: Uuid::new_v4(), ..vm.definition().clone() };
    if let Some(network) = &mut definition.network {
        // Both may run at once: neither address nor ports can be the same.
        network.mac = MacAddress::random();
        network.forwards.clear();
    }
    let mut files = Vec::new();
    let mut add = |path: &Path, taken: &mut BTreeSet<PathBuf>| {
        if taken.insert(path.to_path_buf()) {
            files.push(Copy { from: folder.join(path), to: path.to_path_buf() });
        }
    };
    let mut taken = BTreeSet::new();
    if folder.join(VARIABLES).exists() {
        add(Path::new(VARIABLES), &mut taken);
    }
    taken.extend([DEFINITION, VARIABLES, LOG, LOCK].map(PathBuf::from));
    // What is in the folder keeps its place.
    for drive in &mut definition.drives {
        match drive {
            Drive::Disk { file, format, .. } => {
                let Some(below) = own(folder, file).map(Path::to_path_buf) else { continue };
                for part in parts(folder, &below, *format)? {
                    add(&part, &mut taken);
                }
                *file = below;
            }
            Drive::Optical { file: Some(file) } => {
                let Some(below) = own(folder, file).map(Path::to_path_buf) else { continue };
                add(&below, &mut taken);
                *file = below;
            }
            Drive::Optical { file: None } => {}
        }
    }
    for drive in &mut definition.drives {
        if let Drive::Disk { file, format, read_only: false, .. } = drive
            && file.is_absolute()
        {
            check_alone(file, *format)?;
            let to = free_name(file, &taken);
            taken.insert(to.clone());
            files.push(Copy { from: std::mem::replace(file, to.clone()), to });
        }
    }
    Ok((definition, files))
}

/// A name for a copy of `file` that is not among those taken.
fn free_name(file: &Path, taken: &BTreeSet<PathBuf>) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem = match stem.trim_start_matches('.') {
        "" => "disk",
        stem => stem,
    };
    let extension = file
        .extension()
        .map_or_else(String::new, |extension| format!(".{}", extension.to_string_lossy()));
    let plain = PathBuf::from(format!("{stem}{extension}"));
    let numbered = (2u32..).map(|number| PathBuf::from(format!("{stem}-{number}{extension}")));
    std::iter::once(plain.clone())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::block::create::{Backing, Preallocation, create_qcow2};
    use crate::block::{Format, ImageError};
    use crate::machine::DiskBus;

    struct Rig {
        root: tempfile::TempDir,
        store: Store,
    }

    impl Rig {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let store = Store::open(root.path().join("berth"));
            Self { root, store }
        }

        fn raw(&self, name: &str, fill: u8) -> PathBuf {
            let path = self.root.path().join(name);
            fs::write(&path, vec![fill; 8192]).unwrap();
            path
        }

        fn make(&self, drives: Vec<Drive>, fill: impl FnOnce(&Path)) -> Vm {
            let mut definition = Definition::new("a".parse().unwrap());
            definition.drives = drives;
            definition.notes = "mine".into();
            self.store
                .create(&definition, |folder| {
                    fill(folder);
                    Ok(())
                })
                .unwrap()
        }

        fn clone(&self, vm: &Vm) -> Result<Vm, DefinitionError> {
            self.store.duplicate(vm, "b".parse().unwrap(), &mut |_, _| true)
        }

        fn names(&self) -> Vec<String> {
            let names = fs::read_dir(&self.store.root).unwrap();
            let mut names: Vec<_> =
                names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn disk(file: impl Into<PathBuf>, format: Format, read_only: bool) -> Drive {
        Drive::Disk { file: file.into(), format, read_only, bus: DiskBus::Virtio }
    }

    fn qcow2(path: &Path, backing: Option<(&Path, Format)>) {
        let backing = backing.map(|(path, format)| Backing { path: path.into(), format });
        let size = Bytes::mib(1);
        create_qcow2(path, size, Preallocation::None, backing.as_ref(), &mut |_, _| true).unwrap();
    }

    #[test]
    fn a_clone_writes_nothing_of_the_original() {
        let rig = Rig::new();
        let outside = rig.raw("disk.raw", 2);
        let shared = rig.raw("shared.raw", 3);
        let vm = rig.make(
            vec![
                disk("sub/disk.raw", Format::Raw, false),
                disk(&outside, Format::Raw, false),
                disk(&shared, Format::Raw, true),
                Drive::Optical { file: Some("/iso/a.iso".into()) },
                Drive::Optical { file: Some("own.iso".into()) },
            ],
            |folder| {
                fs::create_dir(folder.join("sub")).unwrap();
                fs::write(folder.join("sub/disk.raw"), [1; 4096]).unwrap();
                fs::write(folder.join("own.iso"), [4; 4096]).unwrap();
                fs::write(folder.join("VARS.fd"), "variables").unwrap();
                fs::write(folder.join("berth.log"), "old").unwrap();
            },
        );
        // A remark of its owner goes along.
        let path = vm.folder().join(DEFINITION);
        fs::write(&path, fs::read_to_string(&path).unwrap() + "# a remark\n").unwrap();
        let mut told = Vec::new();
        let clone = rig.store.duplicate(&vm, "b".parse().unwrap(), &mut |done, total| {
            told.push((done, total));
            true
        });
        let clone = clone.unwrap();
        let (old, new) = (vm.definition(), clone.definition());
        assert_ne!(new.uuid, old.uuid);
        assert_eq!((new.name.as_str(), new.notes.as_str()), ("b", "mine"));
        assert_eq!(
            new.drives,
            [
                disk("sub/disk.raw", Format::Raw, false),
                disk("disk.raw", Format::Raw, false),
                disk(&shared, Format::Raw, true),
                Drive::Optical { file: Some("/iso/a.iso".into()) },
                Drive::Optical { file: Some("own.iso".into()) },
            ]
        );
        let read = |name: &str| fs::read(clone.folder().join(name)).unwrap();
        assert_eq!(read("sub/disk.raw"), [1; 4096]);
        assert_eq!(read("disk.raw"), [2; 8192]);
        assert_eq!(read("VARS.fd"), b"variables");
        assert!(!clone.folder().join("berth.log").exists());
        assert!(clone.text().ends_with("# a remark\n"));
        let total = told[0].1;
        assert!(told.iter().all(|(_, all)| *all == total) && told.is_sorted(), "{told:?}");
        assert_eq!(told.last().unwrap().0, total);
    }

    #[test]
    fn backing_files_in_the_folder_go_along_and_others_are_shared() {
        let rig = Rig::new();
        let base = rig.root.path().join("base.qcow2");
        qcow2(&base, None);
        let vm = rig.make(
            vec![disk("top.qcow2", Format::Qcow2, false), disk("lone.qcow2", Format::Qcow2, false)],
            |folder| {
                qcow2(&folder.join("middle.qcow2"), Some((&base, Format::Qcow2)));
                let middle = Path::new("middle.qcow2");
                qcow2(&folder.join("top.qcow2"), Some((middle, Format::Qcow2)));
                qcow2(&folder.join("lone.qcow2"), Some((&base, Format::Qcow2)));
            },
        );
        let clone = rig.clone(&vm).unwrap();
        for name in ["top.qcow2", "middle.qcow2", "lone.qcow2"] {
            assert!(clone.folder().join(name).exists(), "{name}");
        }
        assert!(!clone.folder().join("base.qcow2").exists());
    }

    #[test]
    fn what_would_lose_its_backing_file_is_refused() {
        let rig = Rig::new();
        qcow2(&rig.root.path().join("base.qcow2"), None);
        let over = |name: &str, base: &Path| {
            let path = rig.root.path().join(name);
            qcow2(&path, Some((base, Format::Qcow2)));
            path
        };
        let outside = over("over.qcow2", Path::new("base.qcow2"));
        let vm = rig.make(vec![disk(outside, Format::Qcow2, false)], |_| ());
        assert!(matches!(rig.clone(&vm), Err(DefinitionError::Backing { .. })));
        rig.store.delete(&vm).unwrap();

        let vm = rig.make(vec![disk("top.qcow2", Format::Qcow2, false)], |folder| {
            qcow2(&folder.join("base.qcow2"), None);
        });
        let base = vm.folder().join("base.qcow2");
        qcow2(&vm.folder().join("top.qcow2"), Some((&base, Format::Qcow2)));
        assert!(matches!(rig.clone(&vm), Err(DefinitionError::Backing { .. })));
        assert_eq!(rig.names(), [".lock", "a"]);
    }

    #[test]
    fn nothing_is_left_of_a_clone_that_failed_or_was_cancelled() {
        let rig = Rig::new();
        let vm = rig.make(vec![disk("disk.raw", Format::Raw, false)], |folder| {
            fs::write(folder.join("disk.raw"), [1; 4096]).unwrap();
        });
        for calls in 0.. {
            let mut left = calls;
            let result = rig.store.duplicate(&vm, "b".parse().unwrap(), &mut |_, _| {
                left -= 1;
                left >= 0
            });
            match result {
                Ok(_) => break,
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
            assert_eq!(rig.names(), [".lock", "a"], "after {calls} calls");
        }
        assert!(matches!(rig.clone(&vm), Err(DefinitionError::Exists(_))));
        let running = vm.lock().unwrap();
        let other = "c".parse().unwrap();
        let result = rig.store.duplicate(&vm, other, &mut |_, _| true);
        assert!(matches!(result, Err(DefinitionError::Running(_))));
        drop(running);
        fs::remove_file(vm.folder().join("disk.raw")).unwrap();
        let result = rig.store.duplicate(&vm, "c".parse().unwrap(), &mut |_, _| true);
        assert!(matches!(result, Err(DefinitionError::Image(ImageError::NotFound(_)))));
        assert_eq!(rig.names(), [".lock", "a", "b"]);
    }

    #[test]
    fn the_original_cannot_be_run_or_deleted_meanwhile() {
        let rig = Rig::new();
        let vm = rig.make(vec![disk("disk.raw", Format::Raw, false)], |folder| {
            fs::write(folder.join("disk.raw"), [1; 4096]).unwrap();
        });
        let mut seen = false;
        let result = rig.store.duplicate(&vm, "b".parse().unwrap(), &mut |_, _| {
            seen = true;
            assert!(vm.is_running());
            assert!(matches!(rig.store.delete(&vm), Err(DefinitionError::Running(_))));
            true
        });
        result.unwrap();
        assert!(seen && !vm.is_running());
    }
}
