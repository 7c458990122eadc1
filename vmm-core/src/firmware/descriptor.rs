//! Firmware descriptors: JSON files in which distributions say what firmware they ship
//! (QEMU `docs/interop/firmware.json`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A machine of ours, as the patterns in descriptors name machines.
const MACHINE: &str = "pc-q35-9.0";
const ARCHITECTURE: &str = "x86_64";

/// Descriptors beyond this size are not descriptors.
const MAX_SIZE: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    mode: Option<String>,
    executable: Option<Image>,
    nvram_template: Option<Image>,
}

#[derive(Deserialize)]
struct Image {
    filename: PathBuf,
    format: String,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// A UEFI build that this machine can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UefiPair {
    pub(super) code: PathBuf,
    pub(super) vars: PathBuf,
}

/// Whether `name` matches `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((prefix, rest)) => name.strip_prefix(prefix).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

impl Descriptor {
    /// The pair of images, when they suit this machine, and whether secure boot is built in
    /// (which makes a poorer default: it refuses unsigned installers once keys are enrolled).
    fn pair(self) -> Option<(UefiPair, bool)> {
        let has = |feature: &str| self.features.iter().any(|f| f == feature);
        let target = self.targets.iter().any(|target| {
            target.architecture == ARCHITECTURE
                && target.machines.iter().any(|pattern| matches(pattern, MACHINE))
        });
        let split = self.mapping.mode.as_deref().is_none_or(|mode| mode == "split");
        let suits = target
            && split
            && self.interface_types.iter().any(|kind| kind == "uefi")
            && self.mapping.device == "flash"
            // KVM on many hosts, nested ones above all, has no system management mode.
            && !has("requires-smm");
        if !suits {
            return None;
        }
        let secure = has("secure-boot") || has("enrolled-keys");
        let raw = |image: Option<Image>| image.filter(|i| i.format == "raw").map(|i| i.filename);
        let code = raw(self.mapping.executable)?;
        let vars = raw(self.mapping.nvram_template)?;
        Some((UefiPair { code, vars }, secure))
    }
}

/// Descriptor files of all directories by name. `directories` come in rising precedence: a file
/// hides those of the same name in earlier ones, and an empty file only hides.
fn effective(directories: &[PathBuf]) -> BTreeMap<OsString, PathBuf> {
    let mut files = BTreeMap::new();
    for directory in directories {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "json") {
                files.insert(path.file_name().unwrap_or_default().to_owned(), path);
            }
        }
    }
    files
}

fn read(path: &Path) -> Option<Descriptor> {
    let size = std::fs::metadata(path).ok().filter(|meta| meta.is_file())?.len();
    if size == 0 || size > MAX_SIZE {
        return None;
    }
    let text = std::fs::read(path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(descriptor) => Some(descriptor),
        Err(error) => {
            tracing::debug!("{} is not a firmware descriptor: {error}", path.display());
            None
        }
    }
}

/// The UEFI builds that descriptors in `directories` offer this machine, best first: by the
/// descriptors' own order (their file names'), those without secure boot before the others.
pub(super) fn uefi_pairs(directories: &[PathBuf]) -> Vec<UefiPair> {
    let mut pairs: Vec<_> =
        effective(directories).into_values().filter_map(|path| read(&path)?.pair()).collect();
    pairs.sort_by_key(|(_, secure)| *secure);
    pairs.into_iter().map(|(pair, _)| pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(code: &str, format: &str, machine: &str, features: &[&str]) -> String {
        serde_json::json!({
            "description": "test",
            "interface-types": ["uefi"],
            "mapping": {
                "device": "flash",
                "executable": { "filename": code, "format": format },
                "nvram-template": { "filename": "/vars.fd", "format": format },
            },
            "targets": [{ "architecture": "x86_64", "machines": [machine] }],
            "features": features,
            "tags": [],
        })
        .to_string()
    }

    fn codes(directories: &[PathBuf]) -> Vec<String> {
        let pairs = uefi_pairs(directories);
        pairs.iter().map(|pair| pair.code.display().to_string()).collect()
    }

    #[test]
    fn picks_what_the_machine_can_run() {
        let low = tempfile::tempdir().unwrap();
        let high = tempfile::tempdir().unwrap();
        let put = |dir: &tempfile::TempDir, name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        put(&low, "10-secure.json", &json("/enrolled", "raw", "pc-q35-*", &["enrolled-keys"]));
        put(&low, "20-smm.json", &json("/smm", "raw", "pc-q35-*", &["requires-smm"]));
        put(&low, "30-qcow2.json", &json("/qcow2", "qcow2", "pc-q35-*", &[]));
        put(&low, "40-arm.json", &json("/virt", "raw", "virt-*", &[]));
        put(&low, "50-hidden.json", &json("/hidden", "raw", "pc-q35-*", &[]));
        put(&low, "60-plain.json", &json("/plain", "raw", "pc-q35-*", &["acpi-s3"]));
        put(&low, "70-replaced.json", &json("/old", "raw", "pc-q35-*", &[]));
        put(&low, "80-broken.json", "{");
        put(&low, "README", "not JSON");
        put(&high, "50-hidden.json", "");
        put(&high, "70-replaced.json", &json("/new", "raw", "pc-q35-*", &[]));
        let directories = [low.path().into(), high.path().into(), "/nonexistent".into()];
        assert_eq!(codes(&directories), ["/plain", "/new", "/enrolled"]);
    }

    #[test]
    fn patterns() {
        assert!(matches("pc-q35-*", MACHINE));
        assert!(matches("*", MACHINE));
        assert!(matches("pc-*-9.*", MACHINE));
        assert!(!matches("pc-i440fx-*", MACHINE));
        assert!(!matches("pc-q35-", MACHINE));
        assert!(matches("é*é", "é-é"));
    }
}
