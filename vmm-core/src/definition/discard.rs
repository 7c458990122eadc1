//! Deletion that can be undone.
//!
//! A discarded machine is moved, whole, into a hidden folder of the store, and its lock is held.
//! Only [`Store::purge`] deletes it. When the process that discarded it ends without having said
//! what should become of it, killed or not, nothing is lost: the next sweep brings it back.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;

use super::clone::{Copy, copy_all};
use super::error::{DefinitionError, FileAction};
use super::file;
use super::folder::{DEFINITION, DISCARDED, LOCK, LOG, TRASH, VARIABLES, candidates};
use super::lock::{self, VmLock};
use super::model::{Definition, Drive, MAX_NAME, Name};
use super::own_files::{own, parts};
use super::store::{Store, make_folder};
use super::vm::Vm;
use crate::block::create::Progress;

/// End of the name of a folder with disks to keep, until all of them are there.
const PART: &str = ".part";

/// A machine that is no longer in the list and can still be brought back. Dropped, it comes back
/// at the next [`Store::recover`].
#[derive(Debug)]
#[must_use = "a discarded machine comes back unless it is purged"]
pub struct Discarded {
    /// The hidden folder, which holds the machine's.
    shelf: PathBuf,
    /// As it was read.
    vm: Vm,
    _lock: VmLock,
}

impl Discarded {
    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.vm.definition().name
    }

    /// Its folder, where it is now.
    fn folder(&self) -> PathBuf {
        self.shelf.join(self.vm.folder().file_name().unwrap_or_default())
    }
}

impl Store {
    /// Takes a machine out of the list, with everything in its folder, in a way that
    /// [`Self::restore`] undoes.
    ///
    /// # Errors
    /// [`DefinitionError::Running`]; what the system refuses. The machine is as before then.
    pub fn discard(&self, vm: &Vm) -> Result<Discarded, DefinitionError> {
        let lock = vm.lock()?;
        let failed = || DefinitionError::io(FileAction::Delete, vm.folder());
        let _store = self.lock()?;
        let shelf = self.root.join(format!("{DISCARDED}{}", Uuid::new_v4()));
        make_folder(&shelf, false).map_err(failed())?;
        let discarded = Discarded { shelf, vm: vm.clone(), _lock: lock };
        let moved = fs::rename(vm.folder(), discarded.folder())
            .and_then(|()| file::sync_folder(&discarded.shelf))
            .and_then(|()| file::sync_folder(&self.root));
        match moved {
            Ok(()) => Ok(discarded),
            Err(error) => {
                // Either this or a sweep puts it back, where it was moved at all.
                let _ = self.bring_back(&discarded.shelf);
                Err(failed()(error))
            }
        }
    }

    /// Brings a discarded machine back, to the folder it was in, if nobody has taken that. If
    /// somebody has taken its name, a number goes behind it.
    ///
    /// # Errors
    /// What the system refuses; the machine comes back at the next [`Self::recover`] then.
    pub fn restore(&self, discarded: Discarded) -> Result<Vm, DefinitionError> {
        let _store = self.lock()?;
        let folder = self.bring_back(&discarded.shelf)?;
        Vm::read(&folder.ok_or_else(|| DefinitionError::NotFound(discarded.name().to_string()))?)
    }

    /// Deletes a discarded machine with everything in its folder. Whenever this ends, there is the
    /// whole machine, to come back, or none.
    ///
    /// # Errors
    /// What the system refuses; the machine comes back at the next [`Self::recover`] then, unless
    /// it is only space that could not be freed.
    pub fn purge(&self, discarded: Discarded) -> Result<(), DefinitionError> {
        let failed = || DefinitionError::io(FileAction::Delete, discarded.vm.folder());
        let trash = self.root.join(format!("{TRASH}{}", Uuid::new_v4()));
        {
            let _store = self.lock()?;
            fs::rename(discarded.folder(), &trash)
                .and_then(|()| file::sync_folder(&self.root))
                .map_err(failed())?;
            // An empty shelf is a sweep's work.
            let _ = fs::remove_dir(&discarded.shelf);
        }
        fs::remove_dir_all(&trash).map_err(failed())
    }

    /// Puts the disks of a discarded machine that are in its folder into a new folder of its name
    /// in `place`, for when it is purged, and whatever else somebody keeps there, such as images
    /// that are no longer among its drives. On the same file system that takes no time and no
    /// space; until all is there the folder is called otherwise, so that nobody takes a part for
    /// the whole. Answers with the new folder; `None` when there is nothing to keep.
    ///
    /// # Errors
    /// What the system refuses, or that `progress` cancels; nothing is left in `place` then.
    pub fn keep_disks(
        &self,
        discarded: &Discarded,
        place: &Path,
        progress: Progress<'_>,
    ) -> Result<Option<PathBuf>, DefinitionError> {
        let folder = discarded.folder();
        let mut files = BTreeSet::new();
        for drive in &discarded.vm.definition().drives {
            let Drive::Disk { file, format, .. } = drive else { continue };
            // Whole paths into the folder mean where it was.
            let Some(below) = own(discarded.vm.folder(), file) else { continue };
            files.extend(parts(&folder, below, *format)?);
        }
        add_others(&folder, Path::new(""), &mut files)
            .map_err(DefinitionError::io(FileAction::Read, &folder))?;
        if files.is_empty() {
            return Ok(None);
        }
        let part = make_free_folder(place, discarded.name(), PART)?;
        let copies = files.into_iter().filter_map(|file| {
            // A second name is the same file and costs nothing.
            let linked = link(&folder.join(&file), &part.join(&file)).is_ok();
            (!linked).then(|| Copy { from: folder.join(&file), to: file })
        });
        let copies: Vec<_> = copies.collect();
        let done = copy_all(&copies, &part, progress).and_then(|()| {
            file::sync_folder(&part).map_err(DefinitionError::io(FileAction::Write, &part))?;
            let kept = make_free_folder(place, discarded.name(), "")?;
            // In the place of an empty folder, which is the name's reservation.
            fs::rename(&part, &kept)
                .inspect_err(|_| drop(fs::remove_dir(&kept)))
                .and_then(|()| file::sync_folder(place))
                .map_err(DefinitionError::io(FileAction::Create, &kept))?;
            Ok(kept)
        });
        if done.is_err() {
            let _ = fs::remove_dir_all(&part);
        }
        done.map(Some)
    }

    /// Brings back the machine on `shelf`, unless the process that discarded it still lives. The
    /// store must be locked. Nothing that goes wrong here is in anybody's way.
    pub(super) fn bring_back_abandoned(&self, shelf: &Path) {
        let Ok(listing) = fs::read_dir(shelf) else { return };
        for machine in listing.flatten() {
            if !matches!(lock::try_lock(&machine.path().join(LOCK)), Ok(Some(_))) {
                return;
            }
        }
        let _ = self.bring_back(shelf);
    }

    /// Moves the machine on `shelf` back into the store and removes the shelf; `None` when there
    /// was none on it. The store must be locked.
    fn bring_back(&self, shelf: &Path) -> Result<Option<PathBuf>, DefinitionError> {
        let mut folder = None;
        for machine in
            fs::read_dir(shelf).map_err(DefinitionError::io(FileAction::Read, shelf))?.flatten()
        {
            self.give_free_name(&machine.path())?;
            folder = Some(self.move_back(&machine.path(), &machine.file_name())?);
        }
        let _ = fs::remove_dir(shelf);
        Ok(folder)
    }

    /// Renames the machine in `folder` when there is another of its name.
    fn give_free_name(&self, folder: &Path) -> Result<(), DefinitionError> {
        // One that is damaged comes back as it is.
        let Ok(mut vm) = Vm::read(folder) else { return Ok(()) };
        let old = vm.definition().clone();
        if self.check_name(&old, None).is_ok() {
            return Ok(());
        }
        for number in 2u32.. {
            let suffix = format!(" {number}");
            let length = MAX_NAME - suffix.chars().count();
            let stem: String = old.name.as_str().chars().take(length).collect();
            let name = format!("{}{suffix}", stem.trim_end()).parse()?;
            let definition = Definition { name, ..old.clone() };
            if self.check_name(&definition, None).is_ok() {
                return vm.replace(&definition);
            }
        }
        Ok(())
    }

    fn move_back(&self, machine: &Path, name: &OsStr) -> Result<PathBuf, DefinitionError> {
        let failed = |source| DefinitionError::io(FileAction::Restore, machine)(source);
        let numbered = (2u64..).map(|number| {
            let mut name = name.to_os_string();
            name.push(format!("-{number}"));
            name
        });
        for name in std::iter::once(name.to_os_string()).chain(numbered) {
            let folder = self.root.join(name);
            match renameat_with(CWD, machine, CWD, &folder, RenameFlags::NOREPLACE) {
                Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => {}
                Err(error) => return Err(failed(error.into())),
                Ok(()) => {
                    file::sync_folder(&self.root).map_err(failed)?;
                    return Ok(folder);
                }
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }
}

/// Adds the regular files in `below`, a folder below the machine's `folder`, that are neither
/// hidden nor Berth's own. What a link leads to stays where it is.
fn add_others(folder: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, below.join(entry.file_name()));
        let own = [DEFINITION, VARIABLES, LOG, LOCK].iter().any(|own| path == Path::new(own));
        if own || entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            add_others(folder, &path, files)?;
        } else if kind.is_file() {
            files.insert(path);
        }
    }
    Ok(())
}

/// Gives the file at `from`, or what the link there leads to, a second name.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        make_folder(parent, true)?;
    }
    fs::hard_link(fs::canonicalize(from)?, to)
}

/// A new folder in `place`, named after a machine and with this at the end.
fn make_free_folder(place: &Path, name: &Name, end: &str) -> Result<PathBuf, DefinitionError> {
    fs::create_dir_all(place).map_err(DefinitionError::io(FileAction::Create, place))?;
    for name in candidates(name) {
        let folder = place.join(name + end);
        match make_folder(&folder, false) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DefinitionError::io(FileAction::Create, folder)(error)),
            Ok(()) => return Ok(folder),
        }
    }
    Err(DefinitionError::io(FileAction::Create, place)(io::ErrorKind::AlreadyExists.into()))
}

#[cfg(test)]
mod tests;
