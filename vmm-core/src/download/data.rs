//! Files in data folders, in which users and distributions add to what Berth brings.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Data folders when the environment names none (XDG Base Directory Specification 0.8).
const FOLDERS: &str = "/usr/local/share:/usr/share";

/// The data folders, the most important one last.
pub(super) fn folders() -> Vec<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let data = variable("XDG_DATA_DIRS").unwrap_or_else(|| FOLDERS.into());
    let mut folders: Vec<PathBuf> = env::split_paths(&data).collect();
    folders.reverse();
    folders.extend(
        variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share"))),
    );
    folders.retain(|folder| folder.is_absolute());
    folders
}

/// What is in the file at `path`. Nothing if there is none; and nothing, with a warning, if it cannot
/// be read or is larger than `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let found = fs::metadata(path).ok()?;
    // Opening what is no file, a pipe for one, could last for ever.
    if !found.is_file() || found.len() > limit {
        tracing::warn!(path = %path.display(), "too large, or no file");
        return None;
    }
    match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read a file");
            None
        }
    }
}
