//! The systems that are offered.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::de::from_str;

use super::checksum::{Checksum, is_plain};
use super::client::Address;
use super::error::DownloadError;
use crate::units::Bytes;

/// The list that Berth brings.
const OWN: &str = include_str!("../../../resources/operating-systems.toml");
/// A list in a data folder.
const FILE: &str = "berth/operating-systems.toml";
/// The largest list that is read.
const MAX_FILE: u64 = 1 << 20;
/// Data folders when the environment names none (XDG Base Directory Specification 0.8).
const DATA_FOLDERS: &str = "/usr/local/share:/usr/share";

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Installs a system that it holds.
    Installer,
    /// Installs a system that it downloads.
    NetworkInstaller,
    /// Runs a system, which can often be installed as well.
    Live,
}

/// A system that can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name, which no other in the list has.
    pub name: String,
    /// Who makes it.
    pub publisher: String,
    /// What the image is for.
    pub kind: Kind,
    /// How large the image is, more or less.
    pub size: Bytes,
    /// The publisher's list of checksums, beside which the image is.
    #[serde(default)]
    pub(super) checksums: Option<String>,
    /// The image: its name in that list, in which a star stands for any text, or its address.
    pub(super) image: String,
    /// The checksum, if there is no list of them.
    #[serde(default)]
    pub(super) checksum: Option<Checksum>,
}

/// Where an image's checksum is from.
pub(super) enum Origin<'a> {
    /// A list at this address, and the image's name there.
    List(Address, &'a str),
    /// The list of systems, with the image's address and name.
    Known(Address, &'a str, &'a Checksum),
}

impl System {
    /// Where it is from, if that can be trusted: what is not encrypted needs a checksum in the list of
    /// systems itself, unless it is on this computer.
    pub(super) fn origin(&self) -> Result<Origin<'_>, DownloadError> {
        match (&self.checksums, &self.checksum) {
            (Some(list), None) if !self.image.contains('/') => {
                let address = Address::parse(list)?;
                if !(address.is_encrypted() || address.is_local()) {
                    return Err(DownloadError::Address(list.clone()));
                }
                Ok(Origin::List(address, &self.image))
            }
            (None, Some(checksum)) => {
                let address = Address::parse(&self.image)?;
                let name = self.image.rsplit('/').next().filter(|name| is_plain(name));
                let name = name.ok_or_else(|| DownloadError::Address(self.image.clone()))?;
                Ok(Origin::Known(address, name, checksum))
            }
            _ => Err(DownloadError::Address(self.image.clone())),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    system: Vec<System>,
}

/// The systems that are offered: those that Berth brings, and those in `berth/operating-systems.toml`
/// of the data folders, of which the more important one replaces systems of the same name. What cannot
/// be read says nothing, but a warning.
pub fn systems() -> Vec<System> {
    let mut systems = Vec::new();
    add(&mut systems, OWN, Path::new("operating-systems.toml"));
    for folder in data_folders() {
        let path = folder.join(FILE);
        let Ok(found) = fs::metadata(&path) else { continue };
        // Opening what is no file, a pipe for one, could last for ever.
        if !found.is_file() || found.len() > MAX_FILE {
            tracing::warn!(path = %path.display(), "not a list of systems");
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(text) => add(&mut systems, &text, &path),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read a list of systems")
            }
        }
    }
    systems
}

/// Puts the systems in a list before the others, in place of those they share their name with.
fn add(systems: &mut Vec<System>, text: &str, path: &Path) {
    let list = match from_str::<List>(text) {
        Ok(list) => list.system,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read a list of systems");
            return;
        }
    };
    let mut usable: Vec<System> = Vec::new();
    for system in list {
        match system.origin() {
            Ok(_) if usable.iter().all(|other| other.name != system.name) => usable.push(system),
            Ok(_) => tracing::warn!(path = %path.display(), name = system.name, "listed twice"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot offer a system"),
        }
    }
    systems.retain(|system| usable.iter().all(|other| other.name != system.name));
    systems.splice(0..0, usable);
}

/// The data folders, the most important one last.
fn data_folders() -> Vec<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let data = variable("XDG_DATA_DIRS").unwrap_or_else(|| DATA_FOLDERS.into());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Vec<System> {
        let mut systems = Vec::new();
        texts.iter().for_each(|text| add(&mut systems, text, Path::new("test")));
        systems
    }

    #[test]
    fn berths_own_list_is_whole_and_encrypted() {
        let systems = read(&[OWN]);
        assert_eq!(systems.len(), OWN.matches("[[system]]").count());
        assert!(systems.len() >= 6);
        for system in systems {
            let address = match system.origin().unwrap() {
                Origin::List(address, _) | Origin::Known(address, ..) => address,
            };
            assert!(address.is_encrypted() && !address.is_local(), "{}", system.name);
            assert!(system.size >= Bytes::mib(50), "{}", system.name);
        }
    }

    #[test]
    fn a_list_adds_and_replaces() {
        let entry = |name: &str, size: &str| {
            format!(
                "[[system]]\nname = \"{name}\"\npublisher = \"P\"\nkind = \"live\"\nsize = \"{size}\"\n\
                 checksums = \"https://example.org/SUMS\"\nimage = \"a-*.iso\"\n"
            )
        };
        let first = entry("A", "1G") + &entry("B", "1G");
        let second = entry("B", "2G") + &entry("B", "3G");
        let found = read(&[&first, &second, "nonsense", "[[system]]\nname = \"C\"\n"]);
        let found: Vec<_> = found.iter().map(|s| (s.name.as_str(), s.size)).collect();
        assert_eq!(found, [("B", Bytes::gib(2)), ("A", Bytes::gib(1))]);
    }

    #[test]
    fn what_nothing_protects_is_not_offered() {
        let sum = "a".repeat(64);
        for (origin, offered) in [
            ("checksums = \"https://example.org/SUMS\"\nimage = \"a.iso\"".to_owned(), true),
            ("checksums = \"http://127.0.0.1:8000/SUMS\"\nimage = \"a.iso\"".to_owned(), true),
            ("checksums = \"http://localhost/SUMS\"\nimage = \"a.iso\"".to_owned(), true),
            (format!("image = \"http://example.org/a.iso\"\nchecksum = \"{sum}\""), true),
            ("checksums = \"http://example.org/SUMS\"\nimage = \"a.iso\"".to_owned(), false),
            ("checksums = \"ftp://example.org/SUMS\"\nimage = \"a.iso\"".to_owned(), false),
            ("checksums = \"https://example.org/SUMS\"\nimage = \"../a.iso\"".to_owned(), false),
            ("image = \"https://example.org/a.iso\"".to_owned(), false),
            (format!("image = \"https://example.org/\"\nchecksum = \"{sum}\""), false),
            (format!("image = \"https://example.org/a.iso?b\"\nchecksum = \"{sum}\""), false),
            (format!("image = \"nonsense\"\nchecksum = \"{sum}\""), false),
        ] {
            let text = format!(
                "[[system]]\nname = \"A\"\npublisher = \"P\"\nkind = \"live\"\nsize = \"1G\"\n{origin}\n"
            );
            assert_eq!(read(&[&text]).len() == 1, offered, "{origin}");
        }
    }
}
