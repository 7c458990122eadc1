//! Finding the settings' schema.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;

use gtk::{gio, glib};

use crate::application::APP_ID;

/// The schema as it was compiled with the program.
const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gschemas.compiled"));

/// The schema that is installed, or the program's own, so that it also runs without having been
/// installed.
pub(super) fn schema() -> gio::SettingsSchema {
    let installed = gio::SettingsSchemaSource::default();
    match installed.and_then(|source| source.lookup(APP_ID, true)) {
        Some(schema) => schema,
        None => own().expect("the schema was compiled with the program"),
    }
}

/// GLib reads schemas from folders only. It keeps the file open, which can go then.
fn own() -> Result<gio::SettingsSchema, glib::Error> {
    let folder = std::env::temp_dir().join(format!("berth-schema-{}", uuid::Uuid::new_v4()));
    let failed = |error: std::io::Error| {
        glib::Error::new(gio::IOErrorEnum::Failed, &format!("{}: {error}", folder.display()))
    };
    DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
    let written = fs::write(folder.join("gschemas.compiled"), COMPILED).map_err(failed);
    let source = written.and_then(|()| {
        let parent = gio::SettingsSchemaSource::default();
        gio::SettingsSchemaSource::from_directory(&folder, parent.as_ref(), true)
    });
    // In nobody's way if it stays.
    let _ = fs::remove_dir_all(&folder);
    let missing = || glib::Error::new(gio::IOErrorEnum::NotFound, APP_ID);
    source?.lookup(APP_ID, false).ok_or_else(missing)
}
