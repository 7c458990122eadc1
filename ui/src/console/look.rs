//! How the terminal looks: the system's font, and colours that follow its style.

use std::cell::Cell;

use gtk::prelude::*;
use gtk::{gdk, pango};
use vte::prelude::*;

/// Foreground, background, and the sixteen colours.
type Colours = (&'static str, &'static str, [&'static str; 16]);

/// On light ground each colour has a contrast of 3 or more.
const LIGHT: Colours = (
    "#1e1e1e",
    "#ffffff",
    [
        "#241f31", "#c01c28", "#1f8a4c", "#9a6700", "#1a5fb4", "#813d9c", "#0f7b83", "#77767b",
        "#5e5c64", "#e01b24", "#26a269", "#b37a00", "#3584e4", "#9141ac", "#138f98", "#9a9996",
    ],
);

const DARK: Colours = (
    "#e6e6e6",
    "#1d1d20",
    [
        "#5e5c64", "#f66151", "#57e389", "#f8e45c", "#62a0ea", "#c788dd", "#5bc8d6", "#c0bfbc",
        "#77767b", "#ff7b63", "#8ff0a4", "#f9f06b", "#99c1f1", "#dc8add", "#93ddeb", "#ffffff",
    ],
);

/// Text does not touch the window's edge.
const STYLE: &str = "vte-terminal { padding: 6px; }";

/// Gives `terminal` the system's font and the colours of its style, now and whenever they change.
pub(super) fn follow_style(terminal: &vte::Terminal) {
    add_style();
    let style = adw::StyleManager::default();
    apply(terminal, &style);
    for property in ["dark", "high-contrast", "monospace-font-name"] {
        let weak = terminal.downgrade();
        let handler = style.connect_notify_local(Some(property), move |style, _| {
            if let Some(terminal) = weak.upgrade() {
                apply(&terminal, style);
            }
        });
        // The style manager outlives every terminal.
        let handler = Cell::new(Some(handler));
        let style = style.clone();
        terminal.connect_destroy(move |_| {
            if let Some(handler) = handler.take() {
                style.disconnect(handler);
            }
        });
    }
}

/// Adds the console's style, once for the process. The first console does it at the latest.
pub fn add_style() {
    thread_local! {
        static ADDED: Cell<bool> = const { Cell::new(false) };
    }
    let Some(display) = gdk::Display::default() else { return };
    if !ADDED.replace(true) {
        let provider = gtk::CssProvider::new();
        provider.load_from_string(STYLE);
        let priority = gtk::STYLE_PROVIDER_PRIORITY_APPLICATION;
        gtk::style_context_add_provider_for_display(&display, &provider, priority);
    }
}

fn apply(terminal: &vte::Terminal, style: &adw::StyleManager) {
    let (mut foreground, mut background, palette) = if style.is_dark() { DARK } else { LIGHT };
    if style.is_high_contrast() {
        (foreground, background) =
            if style.is_dark() { ("#ffffff", "#000000") } else { ("#000000", "#ffffff") };
    }
    let palette = palette.map(colour);
    let palette: Vec<&gdk::RGBA> = palette.iter().collect();
    terminal.set_colors(Some(&colour(foreground)), Some(&colour(background)), &palette);
    terminal.set_color_cursor(None);
    terminal.set_font(Some(&pango::FontDescription::from_string(&style.monospace_font_name())));
}

fn colour(text: &str) -> gdk::RGBA {
    gdk::RGBA::parse(text).unwrap_or(gdk::RGBA::BLACK)
}
