//! The user's language.

use std::path::PathBuf;

use gettextrs::{LocaleCategory, bind_textdomain_codeset, bindtextdomain, setlocale, textdomain};

/// The name of the message catalogues, `berth.mo`.
const DOMAIN: &str = "berth";
/// Names the folder of catalogues, for a program that is not installed.
const VARIABLE: &str = "BERTH_LOCALE_DIR";

/// Says what people read in the user's language from now on, if there is a translation.
pub(crate) fn set_up() {
    setlocale(LocaleCategory::LcAll, "");
    // Without a catalogue, all is said as it is written: in English.
    let bound = bindtextdomain(DOMAIN, folder())
        .and_then(|_| bind_textdomain_codeset(DOMAIN, "UTF-8"))
        .and_then(|_| textdomain(DOMAIN));
    if let Err(error) = bound {
        tracing::warn!(%error, "there are no translations");
    }
}

/// `share/locale` beside the `bin` that this program is in.
fn folder() -> PathBuf {
    let installed = || {
        let program = std::env::current_exe().ok()?;
        Some(program.parent()?.parent()?.join("share/locale"))
    };
    std::env::var_os(VARIABLE)
        .map(PathBuf::from)
        .or_else(installed)
        .unwrap_or_else(|| "/usr/share/locale".into())
}
