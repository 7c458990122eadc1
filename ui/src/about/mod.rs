//! What Berth is, its licence, and where to report what is wrong.

use adw::prelude::*;
use gettextrs::gettext;

use crate::application::APP_ID;

/// Where Berth lives on the web.
const WEBSITE: &str = "https://github.com/berth-vm/berth";
/// Where problems are reported.
const ISSUES: &str = "https://github.com/berth-vm/berth/issues";

/// Shows what Berth is over `parent`.
pub fn present(parent: &adw::ApplicationWindow) {
    dialog().present(Some(parent));
}

/// The dialog.
pub fn dialog() -> adw::AboutDialog {
    adw::AboutDialog::builder()
        .application_name("Berth")
        .application_icon(APP_ID)
        .version(env!("CARGO_PKG_VERSION"))
        .developer_name(gettext("The Berth developers"))
        .comments(gettext(
            "Virtual machines with a machine monitor of its own: no daemon, no root, nothing but \
             KVM and the firmware that your system ships.",
        ))
        .copyright(gettext("© The Berth developers"))
        .license_type(gtk::License::Gpl30)
        .website(WEBSITE)
        .issue_url(ISSUES)
        .translator_credits(translators())
        .debug_info(debug_info())
        .debug_info_filename("berth-debug-info.txt")
        .build()
}

/// Who translated Berth into the language in use; empty when it is not translated.
fn translators() -> String {
    // Translators: replace this with your names, a line each.
    let credits = gettext("translator-credits");
    if credits == "translator-credits" { String::new() } else { credits }
}

/// What a report of a problem should tell.
fn debug_info() -> String {
    let display = gtk::gdk::Display::default();
    let kind = display.map_or("none".into(), |display| display.type_().name().to_owned());
    let environment = |name| std::env::var(name).unwrap_or_else(|_| "not set".into());
    [
        format!("Berth {}", env!("CARGO_PKG_VERSION")),
        format!("GTK {}.{}.{}", gtk::major_version(), gtk::minor_version(), gtk::micro_version()),
        format!(
            "libadwaita {}.{}.{}",
            adw::major_version(),
            adw::minor_version(),
            adw::micro_version()
        ),
        format!("Display: {kind}"),
        format!("GSK_RENDERER: {}", environment("GSK_RENDERER")),
        format!("XDG_CURRENT_DESKTOP: {}", environment("XDG_CURRENT_DESKTOP")),
        format!("LANG: {}", environment("LANG")),
        format!(
            "/dev/kvm: {}",
            if std::path::Path::new("/dev/kvm").exists() { "present" } else { "absent" }
        ),
    ]
    .join("\n")
}
