//! Labels with a mnemonic, outside of menus and of what the mnemonic activates.

/// `label` without its mnemonic, which languages that are not written with Latin letters put behind
/// the words: “Clone” of “C_lone” and “再製…” of “再製(_L)…”.
pub(crate) fn without_mnemonic(label: &str) -> String {
    let appended = label.find("(_").and_then(|start| {
        let (words, rest) = label.split_at(start);
        let behind =
            rest["(_".len()..].trim_start_matches(|letter| letter != ')').strip_prefix(')')?;
        Some(format!("{words}{behind}"))
    });
    appended.unwrap_or_else(|| label.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_vanish_however_they_are_written() {
        for (label, plain) in [
            ("C_lone…", "Clone…"),
            ("S_hut Down", "Shut Down"),
            ("再製(_L)…", "再製…"),
            ("設定(_S)", "設定"),
            ("Broken (_N", "Broken (N"),
            ("", ""),
        ] {
            assert_eq!(without_mnemonic(label), plain);
        }
    }
}
