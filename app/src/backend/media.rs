//! What a chosen file holds, and where machines go.

use std::path::Path;

use ui::backend::{Failure, Inspected, Storage};
use vmm_core::block::create::free_space;
use vmm_core::definition::Store;
use vmm_core::media::osinfo::{self, Database};
use vmm_core::media::{self, Found};

/// Looks at the file. The database of systems is read anew each time, which takes a moment and
/// leaves nothing in memory.
pub(super) fn inspect(file: &Path, languages: &[String]) -> Result<Inspected, Failure> {
    let found = media::inspect(file).map_err(|error| Failure::from_error(&error))?;
    let system = match &found {
        Found::Medium(medium) => {
            Database::load(&osinfo::folders(), languages).identify(&medium.volume)
        }
        Found::Disk(_) => None,
    };
    Ok(Inspected { found, system })
}

/// The store's folder, which is made with the first machine, and what is free there.
pub(super) fn storage(store: &Store) -> Storage {
    let folder = store.root();
    let free = folder.ancestors().find_map(|ancestor| free_space(ancestor).ok());
    Storage { folder: folder.to_path_buf(), free }
}
