//! A machine in the store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::document;
use super::error::{Damage, DefinitionError, FileAction};
use super::file::{self, ReadError};
use super::folder::{DEFINITION, LOCK, MAX_RUNTIME_BYTES};
use super::lock::{self, VmLock};
use super::model::Definition;
use crate::machine::MachineConfig;

/// A machine in the store: its folder and what its definition said when it was read.
#[derive(Debug, Clone)]
pub struct Vm {
    folder: PathBuf,
    definition: Definition,
    /// What stood in the file.
    text: String,
}

impl Vm {
    /// Reads the definition in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, DefinitionError> {
        let path = folder.join(DEFINITION);
        let text = file::read(&path).map_err(|error| match error {
            ReadError::Damaged(reason) => {
                DefinitionError::Damaged(Damage { file: path.clone(), place: None, reason })
            }
            ReadError::Io(source) => DefinitionError::io(FileAction::Read, &path)(source),
        })?;
        let definition = document::read(&text, &path)?;
        Ok(Self { folder: folder.into(), definition, text })
    }

    /// The folder, which is also what tells this machine from others while names change.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What stood in the file when it was read.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What the definition said.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The machine to build.
    pub fn machine_config(&self) -> MachineConfig {
        self.definition.machine_config(&self.folder, self.runtime_folder().as_deref())
    }

    /// The folder for what is there only while the machine runs: a folder of its name in
    /// `$XDG_RUNTIME_DIR/berth`, or of its UUID when the name is too long for a socket's address.
    /// It need not exist. `None` when the user's session has no such place.
    pub fn runtime_folder(&self) -> Option<PathBuf> {
        let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let session = session.filter(|folder| folder.is_absolute())?;
        Some(session.join("berth").join(self.runtime_name()?))
    }

    fn runtime_name(&self) -> Option<OsString> {
        let name = self.folder.file_name()?;
        let fits = name.len() <= MAX_RUNTIME_BYTES;
        Some(if fits { name.into() } else { self.definition.uuid.to_string().into() })
    }

    /// Keeps others from running, changing or deleting the machine until the lock is dropped.
    ///
    /// # Errors
    /// [`DefinitionError::Running`] when somebody else holds the lock.
    pub fn lock(&self) -> Result<VmLock, DefinitionError> {
        let path = self.folder.join(LOCK);
        lock::try_lock(&path)
            .map_err(DefinitionError::io(FileAction::Lock, &path))?
            .ok_or_else(|| DefinitionError::Running(self.definition.name.to_string()))
    }

    /// Whether somebody holds the machine's lock.
    pub fn is_running(&self) -> bool {
        lock::is_locked(&self.folder.join(LOCK))
    }

    /// Writes `definition` over the one that was read. The store must be locked.
    pub(super) fn replace(&mut self, definition: &Definition) -> Result<(), DefinitionError> {
        definition.validate()?;
        let path = self.folder.join(DEFINITION);
        // Read again, through every check: nothing is written over what cannot be read.
        let current = Self::read(&self.folder)?;
        if current.text != self.text {
            return Err(DefinitionError::Changed(path));
        }
        let text = document::rewrite(&self.text, &path, &self.definition, definition)?;
        file::replace(&self.folder, &text)?;
        (self.text, self.definition) = (text, definition.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_folder_is_named_after_the_machine_or_its_identity() {
        let vm = |len: usize| {
            let definition = Definition::new("x".parse().unwrap());
            Vm { folder: Path::new("/vms").join("x".repeat(len)), definition, text: String::new() }
        };
        let name = |vm: &Vm| vm.runtime_name().unwrap().into_string().unwrap();
        assert_eq!(name(&vm(64)), "x".repeat(64));
        let long = vm(65);
        assert_eq!(name(&long), long.definition.uuid.to_string());
        // Of the user with the longest number.
        for len in [64, 65, 255] {
            let folder = Path::new("/run/user/4294967295/berth").join(name(&vm(len)));
            let socket = folder.join(crate::definition::folder::AGENT);
            std::os::unix::net::SocketAddr::from_pathname(socket).unwrap();
        }
    }
}
