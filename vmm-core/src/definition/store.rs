//! The folder of all machines.

use std::error::Error as StdError;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;

use super::document;
use super::error::{DefinitionError, FileAction};
use super::file;
use super::folder::{DEFINITION, DISCARDED, LOCK, NEW, STORE_LOCK, TRASH, candidates, slug};
use super::lock::{self, VmLock};
use super::model::Definition;
use super::vm::Vm;

/// A folder of machines. Several processes may use it at once.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) root: PathBuf,
}

/// One machine in a list.
#[derive(Debug)]
pub struct Entry {
    /// Its folder's name.
    pub folder: OsString,
    /// The machine, or why it cannot be used.
    pub vm: Result<Vm, DefinitionError>,
}

impl Store {
    /// The store at `root`, which is made when the first machine is.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of all machines.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `$XDG_DATA_HOME/berth`, by default `~/.local/share/berth`.
    ///
    /// # Errors
    /// [`DefinitionError::NoHome`] when neither variable says where.
    pub fn default_root() -> Result<PathBuf, DefinitionError> {
        // Relative paths are to be ignored (XDG Base Directory Specification 0.8).
        let folder =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        folder("XDG_DATA_HOME")
            .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("berth"))
            .ok_or(DefinitionError::NoHome)
    }

    /// Every machine, ordered by folder.
    ///
    /// # Errors
    /// When the store cannot be read. A machine that cannot be read is in the list.
    pub fn list(&self) -> Result<Vec<Entry>, DefinitionError> {
        let listing = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(DefinitionError::io(FileAction::Read, &self.root))?,
        };
        let mut entries = Vec::new();
        for entry in listing {
            let entry = entry.map_err(DefinitionError::io(FileAction::Read, &self.root))?;
            let hidden = entry.file_name().as_bytes().starts_with(b".");
            // Of the folder itself: a link to a folder is none.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let folder = entry.path();
            if hidden || !is_folder || fs::symlink_metadata(folder.join(DEFINITION)).is_err() {
                continue;
            }
            entries.push(Entry { folder: entry.file_name(), vm: Vm::read(&folder) });
        }
        entries.sort_by(|one, other| one.folder.cmp(&other.folder));
        Ok(entries)
    }

    /// The machine called `name`.
    ///
    /// # Errors
    /// [`DefinitionError::NotFound`]; what is wrong with the definition, when a folder of that name
    /// holds one that cannot be read.
    pub fn load(&self, name: &str) -> Result<Vm, DefinitionError> {
        let mut damaged = None;
        let plain = name.parse().ok().map(|name| slug(&name));
        for Entry { folder, vm } in self.list()? {
            match vm {
                Ok(vm) if vm.definition().name.as_str() == name => return Ok(vm),
                Ok(_) => {}
                Err(error)
                    if folder == *name
                        || Some(&folder) == plain.as_ref().map(OsString::from).as_ref() =>
                {
                    damaged = Some(error);
                }
                Err(_) => {}
            }
        }
        Err(damaged.unwrap_or_else(|| DefinitionError::NotFound(name.to_owned())))
    }

    /// The machine in the folder called `folder`.
    ///
    /// # Errors
    /// What is wrong with its definition, or that there is none.
    pub fn open_folder(&self, folder: &OsStr) -> Result<Vm, DefinitionError> {
        Vm::read(&self.root.join(folder))
    }

    /// Adds a machine. `fill` makes the files that belong to it in the folder it is given, which
    /// gets its final name only when everything is there and on disk: there is the whole machine,
    /// or none, whenever this ends.
    ///
    /// # Errors
    /// [`DefinitionError::Exists`], [`DefinitionError::Invalid`], what `fill` fails with, what the
    /// system refuses.
    pub fn create(
        &self,
        definition: &Definition,
        fill: impl FnOnce(&Path) -> Result<(), Box<dyn StdError + Send + Sync>>,
    ) -> Result<Vm, DefinitionError> {
        let text = document::write(definition)?;
        self.add(definition, &text, |folder| fill(folder).map_err(DefinitionError::Fill))
    }

    /// Adds a machine that `text` defines as `definition` says.
    pub(super) fn add(
        &self,
        definition: &Definition,
        text: &str,
        fill: impl FnOnce(&Path) -> Result<(), DefinitionError>,
    ) -> Result<Vm, DefinitionError> {
        definition.validate()?;
        let draft = {
            let _store = self.lock()?;
            self.check_name(definition, None)?;
            self.sweep();
            Draft::make(&self.root)?
        };
        fill(&draft.folder)?;
        file::replace(&draft.folder, text)?;
        let _store = self.lock()?;
        // Somebody may have taken the name meanwhile.
        self.check_name(definition, None)?;
        let folder = draft.publish(&self.root, definition)?;
        Vm::read(&folder)
    }

    /// Replaces a machine's definition. A new name changes the folder's not.
    ///
    /// # Errors
    /// [`DefinitionError::Changed`] when the file is no longer what `vm` was read from; it stays
    /// then. Likewise when it has become unreadable.
    pub fn save(&self, vm: &mut Vm, definition: &Definition) -> Result<(), DefinitionError> {
        let _store = self.lock()?;
        if definition.name != vm.definition().name {
            self.check_name(definition, Some(vm.folder()))?;
        }
        vm.replace(definition)
    }

    /// Deletes a machine with everything in its folder. Whenever this ends, there is the whole
    /// machine, or none.
    ///
    /// # Errors
    /// [`DefinitionError::Running`] when it runs.
    pub fn delete(&self, vm: &Vm) -> Result<(), DefinitionError> {
        let _running = vm.lock()?;
        let trash = self.root.join(format!("{TRASH}{}", Uuid::new_v4()));
        {
            let _store = self.lock()?;
            fs::rename(vm.folder(), &trash)
                .map_err(DefinitionError::io(FileAction::Delete, vm.folder()))?;
            file::sync_folder(&self.root)
                .map_err(DefinitionError::io(FileAction::Delete, vm.folder()))?;
        }
        fs::remove_dir_all(&trash).map_err(DefinitionError::io(FileAction::Delete, &trash))
    }

    /// Mends what processes that were killed have left: discarded machines come back, half made
    /// and half deleted ones go. Best called when a program starts.
    pub fn recover(&self) {
        // A store that nobody uses yet is not made for this.
        if self.root.is_dir()
            && let Ok(_store) = self.lock()
        {
            self.sweep();
        }
    }

    /// Keeps others from changing the store.
    pub(super) fn lock(&self) -> Result<VmLock, DefinitionError> {
        make_folder(&self.root, true)
            .map_err(DefinitionError::io(FileAction::Create, &self.root))?;
        let path = self.root.join(STORE_LOCK);
        lock::lock(&path).map_err(DefinitionError::io(FileAction::Lock, &path))
    }

    pub(super) fn check_name(
        &self,
        definition: &Definition,
        but: Option<&Path>,
    ) -> Result<(), DefinitionError> {
        let taken = self
            .list()?
            .into_iter()
            .filter_map(|entry| entry.vm.ok())
            .any(|vm| vm.definition().name == definition.name && Some(vm.folder()) != but);
        if taken { Err(DefinitionError::Exists(definition.name.to_string())) } else { Ok(()) }
    }

    /// Removes what processes that were killed have left, but for what they had only discarded:
    /// that comes back. The store must be locked. Nothing that goes wrong here is in anybody's way.
    fn sweep(&self) {
        let Ok(listing) = fs::read_dir(&self.root) else { return };
        for entry in listing.flatten() {
            let name = entry.file_name();
            let name = name.as_bytes();
            if name.starts_with(DISCARDED.as_bytes()) {
                self.bring_back_abandoned(&entry.path());
                continue;
            }
            if !name.starts_with(NEW.as_bytes()) && !name.starts_with(TRASH.as_bytes()) {
                continue;
            }
            // Whoever still works on it holds its lock.
            if let Ok(Some(_lock)) = lock::try_lock(&entry.path().join(LOCK)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The folder of a machine being created; removed when dropped.
#[derive(Debug)]
struct Draft {
    folder: PathBuf,
    _lock: VmLock,
}

impl Draft {
    /// The store must be locked, or somebody could sweep it up before it is locked itself.
    fn make(root: &Path) -> Result<Self, DefinitionError> {
        let folder = root.join(format!("{NEW}{}", Uuid::new_v4()));
        make_folder(&folder, false).map_err(DefinitionError::io(FileAction::Create, &folder))?;
        let lock = match lock::try_lock(&folder.join(LOCK)) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error),
        };
        match lock {
            Ok(lock) => Ok(Self { folder, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                Err(DefinitionError::io(FileAction::Lock, folder)(error))
            }
        }
    }

    /// Gives the folder its final name. The store must be locked.
    fn publish(self, root: &Path, definition: &Definition) -> Result<PathBuf, DefinitionError> {
        let failed = |source| DefinitionError::io(FileAction::Create, root)(source);
        file::sync_folder(&self.folder).map_err(failed)?;
        for name in candidates(&definition.name) {
            let folder = root.join(name);
            match renameat_with(CWD, &self.folder, CWD, &folder, RenameFlags::NOREPLACE) {
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(failed(error.into())),
                Ok(()) => {
                    file::sync_folder(root).map_err(failed)?;
                    return Ok(folder);
                }
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not there when published; a sweep's work if it cannot be removed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes a folder for its owner alone, as disks are nobody else's business.
pub(super) fn make_folder(path: &Path, may_exist: bool) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(may_exist).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("berth"));
        (folder, store)
    }

    fn definition(name: &str) -> Definition {
        Definition::new(name.parse().unwrap())
    }

    fn nothing(_: &Path) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }

    fn names(store: &Store) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&store.root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn machines_come_and_go() {
        let (_root, store) = store();
        assert!(store.list().unwrap().is_empty());
        let made = store
            .create(&definition("a/b"), |folder| Ok(fs::write(folder.join("disk.qcow2"), "x")?))
            .unwrap();
        assert_eq!(made.folder(), store.root.join("a-b"));
        store.create(&definition("a b"), nothing).unwrap();
        assert_eq!(names(&store), [".lock", "a-b", "a-b-2"]);
        let found = store.load("a b").unwrap();
        assert_eq!(found.folder(), store.root.join("a-b-2"));
        assert!(matches!(store.load("a-b"), Err(DefinitionError::NotFound(_))));
        store.delete(&store.load("a/b").unwrap()).unwrap();
        assert_eq!(names(&store), [".lock", "a-b-2"]);
    }

    #[test]
    fn names_are_unique() {
        let (_root, store) = store();
        store.create(&definition("a"), nothing).unwrap();
        assert!(matches!(store.create(&definition("a"), nothing), Err(DefinitionError::Exists(_))));
        let mut b = store.create(&definition("b"), nothing).unwrap();
        let renamed = Definition { name: "a".parse().unwrap(), ..b.definition().clone() };
        assert!(matches!(store.save(&mut b, &renamed), Err(DefinitionError::Exists(_))));
    }

    #[test]
    fn a_failed_creation_leaves_nothing() {
        let (_root, store) = store();
        let error = store.create(&definition("a"), |folder| {
            fs::write(folder.join("disk.qcow2"), "x")?;
            Err("no space".into())
        });
        assert_eq!(error.unwrap_err().to_string(), "no space");
        let invalid = Definition { cpus: 0, ..definition("a") };
        assert!(store.create(&invalid, nothing).is_err());
        assert_eq!(names(&store), [".lock"]);
    }

    #[test]
    fn what_the_killed_leave_is_swept_up_but_nothing_in_use() {
        let (_root, store) = store();
        store.create(&definition("a"), nothing).unwrap();
        fs::create_dir(store.root.join(".trash-1")).unwrap();
        fs::create_dir(store.root.join(".new-1")).unwrap();
        fs::write(store.root.join(".new-1/disk"), "x").unwrap();
        fs::create_dir(store.root.join(".new-2")).unwrap();
        let _working = lock::try_lock(&store.root.join(".new-2/lock")).unwrap().unwrap();
        store.create(&definition("b"), nothing).unwrap();
        assert_eq!(names(&store), [".lock", ".new-2", "a", "b"]);
    }

    #[test]
    fn a_running_machine_is_left_alone() {
        let (_root, store) = store();
        let vm = store.create(&definition("a"), nothing).unwrap();
        let lock = vm.lock().unwrap();
        assert!(matches!(vm.lock(), Err(DefinitionError::Running(_))));
        assert!(matches!(store.delete(&vm), Err(DefinitionError::Running(_))));
        drop(lock);
        store.delete(&vm).unwrap();
        assert!(vm.lock().is_err());
    }

    #[test]
    fn saving_keeps_what_others_wrote() {
        let (_root, store) = store();
        let mut vm = store.create(&definition("a"), nothing).unwrap();
        let path = vm.folder().join(DEFINITION);
        let more = Definition { memory: Bytes::gib(4), ..vm.definition().clone() };
        store.save(&mut vm, &more).unwrap();
        assert_eq!(store.load("a").unwrap().definition(), &more);
        store.save(&mut vm, &Definition { cpus: 3, ..more.clone() }).unwrap();

        for text in [
            fs::read_to_string(&path).unwrap() + "# a remark\n",
            "version = 99\n".into(),
            "damaged".into(),
        ] {
            fs::write(&path, &text).unwrap();
            assert!(store.save(&mut vm, &more).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn damaged_machines_are_listed_as_such() {
        let (_root, store) = store();
        let vm = store.create(&definition("My VM"), nothing).unwrap();
        fs::write(vm.folder().join(DEFINITION), "version = 1\nname = ").unwrap();
        fs::create_dir(store.root.join("no-machine")).unwrap();
        std::os::unix::fs::symlink("/", store.root.join("link")).unwrap();
        let list = store.list().unwrap();
        assert_eq!(list.len(), 1);
        let error = list[0].vm.as_ref().unwrap_err().to_string();
        assert!(error.contains("machine.toml, line 2"), "{error}");
        for name in ["My VM", "My-VM"] {
            assert!(matches!(store.load(name), Err(DefinitionError::Damaged(_))));
        }
    }
}
