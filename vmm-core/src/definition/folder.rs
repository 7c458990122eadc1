//! Names of files and folders in the store.

use super::model::Name;

/// The definition.
pub(super) const DEFINITION: &str = "machine.toml";
/// The variables of the UEFI firmware.
pub(super) const VARIABLES: &str = "VARS.fd";
/// What the firmware and the machine had to say.
pub const LOG: &str = "berth.log";
/// Where the guest's agent is reached, in the machine's runtime folder.
pub(super) const AGENT: &str = "agent.sock";
/// The longest name of a machine's runtime folder, in bytes, so that the path of its socket fits
/// into an address (`unix(7)`: 107 bytes, of which a session's `/run/user/4294967295/berth/` takes 27).
pub(super) const MAX_RUNTIME_BYTES: usize = 64;
/// Locked while the machine runs.
pub(super) const LOCK: &str = "lock";
/// In the store: locked while it changes.
pub(super) const STORE_LOCK: &str = ".lock";
/// In the store: begins the folder of a machine being created.
pub(super) const NEW: &str = ".new-";
/// In the store: begins the folder of a machine being deleted.
pub(super) const TRASH: &str = ".trash-";
/// In the store: begins the folder that holds a machine which can still be brought back.
pub(super) const DISCARDED: &str = ".discarded-";

/// The longest folder name, in bytes: far below the 255 of common file systems, so that a counter
/// fits behind it.
const MAX_BYTES: usize = 80;

/// A folder name for a machine's name: its letters and digits of any script, everything else one
/// hyphen. Different names can come to the same folder name: [`candidates`] adds a counter.
pub(super) fn slug(name: &Name) -> String {
    let mut slug = String::new();
    for character in name.as_str().chars() {
        let plain = character.is_alphanumeric() || matches!(character, '.' | '_' | '+');
        // A leading dot would hide the folder.
        let character =
            if plain && !(slug.is_empty() && character == '.') { character } else { '-' };
        if slug.len() + character.len_utf8() > MAX_BYTES {
            break;
        }
        if character != '-' || !(slug.is_empty() || slug.ends_with('-')) {
            slug.push(character);
        }
    }
    let trimmed = slug.trim_end_matches(['-', '.']);
    if trimmed.is_empty() { "machine".to_owned() } else { trimmed.to_owned() }
}

/// Folder names for a machine, the plain one first.
pub(super) fn candidates(name: &Name) -> impl Iterator<Item = String> {
    let slug = slug(name);
    std::iter::once(slug.clone()).chain((2u64..).map(move |counter| format!("{slug}-{counter}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_machines() {
        for (name, folder) in [
            ("debian", "debian"),
            ("Debian 12.5 (test)", "Debian-12.5-test"),
            ("../../etc/passwd", "etc-passwd"),
            (".hidden", "hidden"),
            ("...", "machine"),
            ("/", "machine"),
            ("-rf", "rf"),
            ("日本語 テスト", "日本語-テスト"),
            ("C++", "C++"),
        ] {
            assert_eq!(slug(&name.parse().unwrap()), folder, "{name}");
        }
        let names: Vec<_> = candidates(&"a".parse().unwrap()).take(3).collect();
        assert_eq!(names, ["a", "a-2", "a-3"]);
    }

    proptest::proptest! {
        #[test]
        fn every_name_has_a_safe_folder(text: String) {
            let Ok(name) = text.parse::<Name>() else { return Ok(()) };
            let slug = slug(&name);
            proptest::prop_assert!(!slug.is_empty() && slug.len() <= MAX_BYTES);
            proptest::prop_assert!(!slug.starts_with(['.', '-']) && !slug.contains(['/', '\0']));
        }
    }
}
