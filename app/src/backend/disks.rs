//! Disks that are added to, and taken from, machines that exist.

use std::path::{Component, Path, PathBuf};

use gettextrs::gettext;
use ui::backend::{Failure, Progress};
use vmm_core::block::ImageError;
use vmm_core::block::create::{Preallocation, create_qcow2};
use vmm_core::definition::Vm;
use vmm_core::units::Bytes;

use super::failure;

/// Makes a disk in the folder of `vm`, under the first name that is free.
pub(super) fn create(
    vm: &Vm,
    size: Bytes,
    preallocate: bool,
    progress: &Progress,
) -> Result<PathBuf, Failure> {
    let preallocation = if preallocate { Preallocation::Full } else { Preallocation::None };
    let numbered = (2u32..).map(|number| format!("disk-{number}.qcow2"));
    for name in std::iter::once("disk.qcow2".to_owned()).chain(numbered) {
        let name = PathBuf::from(name);
        let used = |file: &Path| file == name || file == vm.folder().join(&name);
        // A drive's file may be missing: its name is not free, either.
        if vm.definition().drives.iter().any(|drive| drive.file().is_some_and(used)) {
            continue;
        }
        let mut report = |done: Bytes, total: Bytes| progress.report(done.0, total.0);
        match create_qcow2(&vm.folder().join(&name), size, preallocation, None, &mut report) {
            Err(ImageError::Exists(_)) => {}
            Err(ImageError::Cancelled) => return Err(Failure::cancelled()),
            Err(error) => return Err(failure(error)),
            Ok(()) => return Ok(name),
        }
    }
    Err(Failure::new(gettext("There is no file name left for another disk.")))
}

/// Deletes the image `file` in the folder of `vm`.
pub(super) fn delete(vm: &Vm, file: &Path) -> Result<(), Failure> {
    let own = file.components().all(|component| matches!(component, Component::Normal(_)));
    let used = |other: &Path| other == file || other == vm.folder().join(file);
    let is_drive = vm.definition().drives.iter().any(|drive| drive.file().is_some_and(used));
    if !own || is_drive {
        return Err(Failure::new(gettext("Only disks that no machine has can be deleted.")));
    }
    let _off = vm.lock().map_err(failure)?;
    std::fs::remove_file(vm.folder().join(file)).map_err(failure)
}
