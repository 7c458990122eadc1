//! Publishers' keys: OpenPGP certificates, armored or binary.

use std::path::PathBuf;

use serde::Deserialize;

use super::checksum::is_plain;
use super::data;
use super::signature::MAX_CERTIFICATE;

macro_rules! own {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../resources/keys/", $name)).as_slice())),*]
    };
}

/// Those that Berth brings; `README` beside them tells where they are from.
const OWN: [(&str, &[u8]); 5] =
    own!["debian.asc", "fedora-43.asc", "freebsd.asc", "opensuse.asc", "ubuntu.asc"];
/// The folder in a data folder for others.
const FOLDER: &str = "berth/keys";

/// The key with which a publisher signs its lists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) struct Key {
    /// Its file's name.
    name: String,
    certificate: Vec<u8>,
}

impl From<String> for Key {
    /// The key in the file of that name, which is still to be loaded.
    fn from(name: String) -> Self {
        Self { name, certificate: Vec::new() }
    }
}

impl Key {
    #[cfg(test)]
    pub(super) fn of(certificate: &[u8]) -> Self {
        Self { name: "test.asc".into(), certificate: certificate.to_vec() }
    }

    /// Looks for the key in the data folders, of which the most important one is the last, and then
    /// among those that Berth brings. Tells whether it is there.
    pub(super) fn load(&mut self, folders: &[PathBuf]) -> bool {
        if !is_plain(&self.name) {
            return false;
        }
        let files = folders.iter().rev().map(|folder| folder.join(FOLDER).join(&self.name));
        let found = files.filter_map(|file| data::read(&file, MAX_CERTIFICATE)).next();
        let own = || OWN.iter().find(|(name, _)| *name == self.name).map(|(_, key)| key.to_vec());
        self.certificate = found.or_else(own).unwrap_or_default();
        !self.certificate.is_empty()
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}
