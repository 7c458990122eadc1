//! ISO images that were used lately.

use std::path::PathBuf;

use gtk::prelude::*;
use gtk::{gio, glib};
use vmm_core::definition::Drive;

use crate::machines::Machines;

/// How many are offered.
const MOST: usize = 5;

/// The ISO images that other machines have, and those that other programs have opened, which are
/// still there.
pub(super) async fn media(machines: &Machines) -> Vec<PathBuf> {
    let mut media: Vec<PathBuf> = Vec::new();
    for vm in machines.all() {
        let drives = vm.definition().map(|definition| definition.drives).unwrap_or_default();
        media.extend(drives.iter().filter_map(|drive| match drive {
            Drive::Optical { file } => file.clone().filter(|file| file.is_absolute()),
            Drive::Disk { .. } => None,
        }));
    }
    let mut opened = gtk::RecentManager::default().items();
    opened.sort_by_key(|item| std::cmp::Reverse(item.modified().to_unix()));
    media.extend(opened.iter().filter_map(|item| {
        let (path, _) = glib::filename_from_uri(&item.uri()).ok()?;
        path.extension()?.eq_ignore_ascii_case("iso").then_some(path)
    }));
    let look = gio::spawn_blocking(move || {
        let mut found: Vec<PathBuf> = Vec::new();
        for path in media {
            if found.len() < MOST && !found.contains(&path) && path.is_file() {
                found.push(path);
            }
        }
        found
    });
    look.await.unwrap_or_default()
}

/// Lets others know that the file was used.
pub(super) fn remember(file: PathBuf) {
    gtk::RecentManager::default().add_item(&gio::File::for_path(file).uri());
}
