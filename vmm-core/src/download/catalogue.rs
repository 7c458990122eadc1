//! The systems that are offered.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::de::from_str;

use super::checksum::{Checksum, is_plain};
use super::client::Address;
use super::data;
use super::error::DownloadError;
use super::keys::Key;
use crate::units::Bytes;

/// The list that Berth brings.
const OWN: &str = include_str!("../../../resources/operating-systems.toml");
/// A list in a data folder.
const FILE: &str = "berth/operating-systems.toml";
/// The largest list that is read.
const MAX_FILE: u64 = 1 << 20;

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
    /// The key with which the list of checksums is signed.
    #[serde(default)]
    pub(super) key: Option<Key>,
    /// The signature of that list, if it is not inside: its address.
    #[serde(default)]
    pub(super) signature: Option<String>,
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
                self.signature.as_deref().map(Address::parse).transpose()?;
                // Whoever asks for a signature must not be left without a check.
                if self.signature.is_some() && self.key.is_none() {
                    return Err(DownloadError::NoKey(self.name.clone()));
                }
                Ok(Origin::List(address, &self.image))
            }
            (None, Some(checksum)) if self.key.is_none() && self.signature.is_none() => {
                let address = Address::parse(&self.image)?;
                let name = self.image.rsplit('/').next().filter(|name| is_plain(name));
                let name = name.ok_or_else(|| DownloadError::Address(self.image.clone()))?;
                Ok(Origin::Known(address, name, checksum))
            }
            _ => Err(DownloadError::Address(self.image.clone())),
        }
    }

    /// Gets ready for being offered, with its key from the data folders `folders` or Berth's own.
    fn prepare(&mut self, folders: &[PathBuf]) -> Result<(), DownloadError> {
        self.origin()?;
        let missing = self.key.as_mut().is_some_and(|key| !key.load(folders));
        if missing { Err(DownloadError::NoKey(self.name.clone())) } else { Ok(()) }
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
    let folders = data::folders();
    let mut systems = Vec::new();
    add(&mut systems, OWN, Path::new("operating-systems.toml"), &folders);
    for folder in &folders {
        let path = folder.join(FILE);
        if let Some(text) = data::read(&path, MAX_FILE) {
            add(&mut systems, &String::from_utf8_lossy(&text), &path, &folders);
        }
    }
    systems
}

/// Puts the systems in a list before the others, in place of those they share their name with.
fn add(systems: &mut Vec<System>, text: &str, path: &Path, folders: &[PathBuf]) {
    let list = match from_str::<List>(text) {
        Ok(list) => list.system,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read a list of systems");
            return;
        }
    };
    let mut usable: Vec<System> = Vec::new();
    for mut system in list {
        match system.prepare(folders) {
            Ok(()) if usable.iter().all(|other| other.name != system.name) => usable.push(system),
            Ok(()) => tracing::warn!(path = %path.display(), name = system.name, "listed twice"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot offer a system"),
        }
    }
    systems.retain(|system| usable.iter().all(|other| other.name != system.name));
    systems.splice(0..0, usable);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Vec<System> {
        let mut systems = Vec::new();
        texts.iter().for_each(|text| add(&mut systems, text, Path::new("test"), &[]));
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
            let signature = system.signature.iter().map(|address| Address::parse(address).unwrap());
            assert!(signature.into_iter().all(|address| address.is_encrypted()), "{}", system.name);
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
        let listed = |signed: &str| {
            format!("checksums = \"https://example.org/SUMS\"\nimage = \"a.iso\"\n{signed}")
        };
        for (origin, offered) in [
            ("checksums = \"https://example.org/SUMS\"\nimage = \"a.iso\"".to_owned(), true),
            ("checksums = \"http://127.0.0.1:8000/SUMS\"\nimage = \"a.iso\"".to_owned(), true),
            ("checksums = \"http://localhost/SUMS\"\nimage = \"a.iso\"".to_owned(), true),
            (format!("image = \"http://example.org/a.iso\"\nchecksum = \"{sum}\""), true),
            ("checksums = \"http://example.org/SUMS\"\nimage = \"a.iso\"".to_owned(), false),
            ("checksums = \"ftp://example.org/SUMS\"\nimage = \"a.iso\"".to_owned(), false),
            ("checksums = \"https://example.org/SUMS\"\nimage = \"../a.iso\"".to_owned(), false),
            (listed("key = \"debian.asc\""), true),
            (listed("key = \"debian.asc\"\nsignature = \"https://example.org/SUMS.sign\""), true),
            (listed("key = \"debian.asc\"\nsignature = \"SUMS.sign\""), false),
            (listed("key = \"nobody.asc\""), false),
            (listed("key = \"../keys/debian.asc\""), false),
            (listed("signature = \"https://example.org/SUMS.sign\""), false),
            ("image = \"https://example.org/a.iso\"".to_owned(), false),
            (
                format!(
                    "image = \"https://example.org/a.iso\"\nchecksum = \"{sum}\"\nkey = \"debian.asc\""
                ),
                false,
            ),
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

    #[test]
    fn a_key_in_a_data_folder_replaces_berths_own() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let paths = folders.each_ref().map(|folder| folder.path().to_path_buf());
        let mut key = Key::from("debian.asc".to_owned());
        assert!(key.load(&paths));
        let own = key.certificate().to_vec();
        for (path, text) in paths.iter().zip(["less important", "more important"]) {
            std::fs::create_dir_all(path.join("berth/keys")).unwrap();
            std::fs::write(path.join("berth/keys/debian.asc"), text).unwrap();
            assert!(key.load(&paths));
            assert_eq!(key.certificate(), text.as_bytes());
        }
        // What is too large is none.
        for path in &paths {
            std::fs::write(path.join("berth/keys/debian.asc"), vec![b'a'; 300 << 10]).unwrap();
        }
        assert!(key.load(&paths));
        assert_eq!(key.certificate(), own);
    }
}
