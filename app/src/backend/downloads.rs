//! Systems to download.

use std::path::PathBuf;

use gettextrs::gettext;
use ui::backend::{Failure, Offer, Progress};
use vmm_core::definition::Store;
use vmm_core::download::{self, DownloadError};
use vmm_core::units::Bytes;

use super::failure;

/// The systems on the list, with what has arrived of them.
pub(super) fn offers(store: &Store) -> Vec<Offer> {
    let begun = download::begun(&folder(store));
    let offer = |system: download::System| Offer {
        begun: begun.iter().find(|begun| begun.system == system.name).map(|begun| begun.done),
        name: system.name,
        publisher: system.publisher,
        kind: system.kind,
        size: system.size,
    };
    download::systems().into_iter().map(offer).collect()
}

/// Downloads the image of the system called `name`.
pub(super) fn fetch(store: &Store, name: &str, progress: &Progress) -> Result<PathBuf, Failure> {
    let system = download::systems().into_iter().find(|system| system.name == name);
    let system =
        system.ok_or_else(|| Failure::new(gettext("This system is no longer on the list.")))?;
    let report = |done: Bytes, total: Bytes| progress.report(done.0, total.0);
    download::fetch(&system, &folder(store), &report).map_err(|error| match error {
        DownloadError::Cancelled => Failure::cancelled(),
        error => failure(error),
    })
}

/// Deletes what has arrived of the system called `name`.
pub(super) fn forget(store: &Store, name: &str) -> Result<(), Failure> {
    download::forget(&folder(store), name).map_err(failure)
}

fn folder(store: &Store) -> PathBuf {
    store.root().join(download::FOLDER)
}
