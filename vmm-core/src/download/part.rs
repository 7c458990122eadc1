//! A file that is still arriving: `NAME.part`, and beside it `NAME.part.json`, which says what of.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use super::error::DownloadError;
use crate::definition::lock::{VmLock, try_lock};
use crate::units::Bytes;

const PART: &str = "part";
const NOTE: &str = "part.json";
/// The longest note that is read, in bytes.
const MAX_NOTE: u64 = 64 << 10;

/// What a file is the beginning of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The system's name in the list.
    pub(super) system: String,
    /// Where it comes from.
    pub(super) address: String,
    /// The server's entity tag or date of it (RFC 9110 §8.8), by which it knows it again.
    pub(super) validator: Option<String>,
    /// The whole length in bytes, if the server has said it.
    pub(super) length: Option<u64>,
    /// What the whole will have.
    pub(super) checksum: Checksum,
}

/// A download that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The system's name in the list.
    pub system: String,
    /// What has arrived.
    pub done: Bytes,
}

/// A file that is still arriving, which nobody else writes meanwhile.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    note: PathBuf,
    _lock: VmLock,
}

impl Part {
    /// What is to become `name` in `folder`, which is made when it does not exist.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, DownloadError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(DownloadError::file(folder))?;
        let path = folder.join(format!("{name}.{PART}"));
        let lock = try_lock(&path).map_err(DownloadError::file(&path))?;
        let lock = lock.ok_or_else(|| DownloadError::Busy(name.to_owned()))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(DownloadError::file(&path))?;
        let note = folder.join(format!("{name}.{NOTE}"));
        Ok(Self { file, path, note, _lock: lock })
    }

    /// What the file is the beginning of, and how much of it is there; nothing when that is unknown.
    pub(super) fn note(&self) -> Option<(Note, u64)> {
        let length = self.file.metadata().ok()?.len();
        let note = read_note(&self.note)?;
        let plausible = length > 0 && note.length.is_none_or(|whole| length <= whole);
        plausible.then_some((note, length))
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<(), DownloadError> {
        let begin = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        begin.map(|_| ()).map_err(DownloadError::file(&self.path))
    }

    /// Writes down what is about to come.
    pub(super) fn write_note(&self, note: &Note) -> Result<(), DownloadError> {
        let text = serde_json::to_vec_pretty(note).map_err(io::Error::from);
        text.and_then(|text| fs::write(&self.note, text)).map_err(DownloadError::file(&self.note))
    }

    /// The file, where reading and writing have come to.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), DownloadError> {
        self.file.write_all(bytes).map_err(DownloadError::file(&self.path))
    }

    /// Gives the whole file its name, once it is on the disk.
    pub(super) fn finish(self, destination: &Path) -> Result<(), DownloadError> {
        self.file.sync_all().map_err(DownloadError::file(&self.path))?;
        fs::rename(&self.path, destination).map_err(DownloadError::file(destination))?;
        // A note without a file says nothing.
        let _ = fs::remove_file(&self.note);
        let folder = destination.parent().unwrap_or(destination);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(DownloadError::file(folder))
    }

    /// Deletes what has arrived.
    pub(super) fn discard(self) {
        self.delete();
    }

    fn delete(&self) {
        for path in [&self.path, &self.note] {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot delete what was downloaded");
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Where nothing has come, nothing is left, unless it is gone already.
        if self.file.metadata().is_ok_and(|found| found.len() == 0 && found.nlink() > 0) {
            self.delete();
        }
    }
}

fn read_note(path: &Path) -> Option<Note> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut text = Vec::new();
    file.take(MAX_NOTE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The names of the parts in `folder`, with what they are of.
fn parts(folder: &Path) -> impl Iterator<Item = (String, Note, Bytes)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let path = entry.path();
        let name = path.file_name()?.to_str()?.strip_suffix(&format!(".{NOTE}"))?.to_owned();
        let done = fs::symlink_metadata(path.with_extension("")).ok()?.len();
        Some((name, read_note(&path)?, Bytes(done)))
    })
}

/// The downloads into `folder` that were begun and are not complete.
pub fn begun(folder: &Path) -> Vec<Begun> {
    parts(folder).map(|(_, note, done)| Begun { system: note.system, done }).collect()
}

/// Deletes what has arrived of the system called `system`.
///
/// # Errors
/// [`DownloadError::Busy`] while it is being downloaded.
pub fn forget(folder: &Path, system: &str) -> Result<(), DownloadError> {
    for (name, ..) in parts(folder).filter(|(_, note, _)| note.system == system) {
        Part::open(folder, &name)?.discard();
    }
    Ok(())
}
