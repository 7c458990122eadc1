//! A machine in the store.

use std::path::{Path, PathBuf};

use super::document;
use super::error::{Damage, DefinitionError};
use super::file::{self, ReadError};
use super::folder::{DEFINITION, LOCK};
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
            ReadError::Io(source) => DefinitionError::io("read", &path)(source),
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
    /// `$XDG_RUNTIME_DIR/berth`. It need not exist. `None` when the user's session has no such
    /// place.
    pub fn runtime_folder(&self) -> Option<PathBuf> {
        let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let session = session.filter(|folder| folder.is_absolute())?;
        Some(session.join("berth").join(self.folder.file_name()?))
    }

    /// Keeps others from running, changing or deleting the machine until the lock is dropped.
    ///
    /// # Errors
    /// [`DefinitionError::Running`] when somebody else holds the lock.
    pub fn lock(&self) -> Result<VmLock, DefinitionError> {
        let path = self.folder.join(LOCK);
        lock::try_lock(&path)
            .map_err(DefinitionError::io("lock", &path))?
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
