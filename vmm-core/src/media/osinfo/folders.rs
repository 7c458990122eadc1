//! Where the database lies.

use std::env;
use std::path::PathBuf;

/// Data folders when the environment names none (XDG Base Directory Specification 0.8).
const DATA_FOLDERS: &str = "/usr/local/share:/usr/share";

/// The folders that may hold a database: the distribution's first, then the administrator's, then
/// the person's own, so that a later one adds to what an earlier one says.
pub fn folders() -> Vec<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let home = |name, fallback: &str| {
        let in_home = || variable("HOME").map(|home| PathBuf::from(home).join(fallback));
        variable(name).map(PathBuf::from).or_else(in_home)
    };
    let data = variable("XDG_DATA_DIRS").unwrap_or_else(|| DATA_FOLDERS.into());
    // The most important one is named first.
    let mut folders: Vec<PathBuf> = env::split_paths(&data).collect();
    folders.push("/usr/local/share".into());
    folders.push("/usr/share".into());
    folders.reverse();
    folders.push("/etc".into());
    folders.extend(home("XDG_CONFIG_HOME", ".config"));
    folders.extend(home("XDG_DATA_HOME", ".local/share"));
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.is_absolute()) {
        let folder = folder.join("osinfo");
        if !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}
