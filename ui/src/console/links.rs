//! Links in the output: opened with Control and a click, and only to the web.

use gettextrs::gettext;
use gtk::prelude::*;
use gtk::{gdk, gio};
use vte::prelude::*;

/// What is taken for a link in plain text.
const PATTERN: &str = r"https?://[-A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%]*[-A-Za-z0-9_~/#@$&*+=%]";
/// `PCRE2_MULTILINE` (pcre2.h), which VTE asks for.
pub(super) const MULTILINE: u32 = 0x400;
/// Longer links are not opened.
const LONGEST: usize = 2048;

/// Lets the person open links in `terminal`.
pub(super) fn allow(terminal: &vte::Terminal) {
    terminal.set_allow_hyperlink(true);
    if let Ok(regex) = vte::Regex::for_match(PATTERN, MULTILINE) {
        let tag = terminal.match_add_regex(&regex, 0);
        terminal.match_set_cursor_name(tag, "pointer");
    }
    terminal.connect_notify_local(Some("hyperlink-hover-uri"), |terminal, _| {
        // What a link says may be another than where it leads.
        let text = terminal
            .hyperlink_hover_uri()
            .filter(|uri| is_web(uri))
            .map(|uri| gettext("{address}\nControl and click to open").replace("{address}", &uri));
        terminal.set_tooltip_text(text.as_deref());
    });
    let click = gtk::GestureClick::builder()
        .button(gdk::BUTTON_PRIMARY)
        .propagation_phase(gtk::PropagationPhase::Capture)
        .build();
    let weak = terminal.downgrade();
    click.connect_pressed(move |click, _, x, y| {
        let Some(terminal) = weak.upgrade() else { return };
        if !click.current_event_state().contains(gdk::ModifierType::CONTROL_MASK) {
            return;
        }
        let link = terminal.check_hyperlink_at(x, y).or_else(|| terminal.check_match_at(x, y).0);
        if let Some(link) = link.filter(|link| is_web(link)) {
            click.set_state(gtk::EventSequenceState::Claimed);
            let window = terminal.root().and_downcast::<gtk::Window>();
            gtk::UriLauncher::new(&link).launch(window.as_ref(), gio::Cancellable::NONE, |_| {});
        }
    });
    terminal.add_controller(click);
}

/// Whether `uri` may be opened.
fn is_web(uri: &str) -> bool {
    let scheme = uri.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
        && uri.len() <= LONGEST
        && !uri.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_is_opened() {
        for uri in ["https://www.debian.org/", "HTTP://example.org"] {
            assert!(is_web(uri), "{uri}");
        }
        let long = format!("https://{}", "a".repeat(LONGEST));
        for uri in [
            "file:///etc/passwd",
            "javascript://%0aalert(1)",
            "ssh://host",
            "https:relative",
            "https://a b",
            "https://a\u{7}",
            "",
            &long,
        ] {
            assert!(!is_web(uri), "{uri}");
        }
    }
}
