//! Preferences, shortcuts, and what Berth is.

use std::path::{Path, PathBuf};

use adw::prelude::*;
use ui::display::{ReleaseKey, Scaling};
use ui::preferences::{OnClose, Preferences};
use ui::window::{VmAction, WinAction};

use crate::Test;
use crate::stage::{all, find, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("preferences_are_kept_as_they_are_chosen", preferences_are_kept_as_they_are_chosen),
    ("what_was_used_last_is_remembered", what_was_used_last_is_remembered),
    ("all_shortcuts_are_told", all_shortcuts_are_told),
];

fn preferences_are_kept_as_they_are_chosen() {
    let preferences = Preferences::in_memory();
    let dialog = ui::preferences::dialog(&preferences);
    let window = present(dialog.upcast_ref());
    let row = |title: &str| -> adw::ComboRow {
        find(dialog.upcast_ref(), |row: &adw::ComboRow| row.title().replace('_', "") == title)
    };
    assert_eq!(preferences.on_close(), OnClose::Ask);
    row("When the Window Is Closed").set_selected(1);
    assert_eq!(preferences.on_close(), OnClose::KeepRunning);
    row("When the Window Is Closed").set_selected(2);
    assert_eq!(preferences.on_close(), OnClose::ShutDown);
    for (position, key) in ReleaseKey::ALL.into_iter().enumerate() {
        row("Release Key").set_selected(position as u32);
        assert_eq!(preferences.release_key(), key);
    }
    row("Size").set_selected(1);
    assert_eq!(preferences.scaling(), Scaling::Actual);
    preferences.follow_style();
    let style = adw::StyleManager::default();
    row("Style").set_selected(2);
    assert_eq!(style.color_scheme(), adw::ColorScheme::ForceDark);
    // And the other way round.
    preferences.settings().reset("color-scheme");
    assert_eq!(row("Style").selected(), 0);
    assert_eq!(style.color_scheme(), adw::ColorScheme::Default);
    preferences.settings().set_string("default-folder", "/srv/<iso>").unwrap();
    let folder = find(dialog.upcast_ref(), |row: &adw::ActionRow| row.title().contains("ISO"));
    assert_eq!(folder.subtitle().unwrap(), "/srv/<iso>");
    assert_eq!(preferences.default_folder().as_deref(), Some(Path::new("/srv/<iso>")));

    let view = ui::display::DisplayView::new();
    preferences.bind_display(&view);
    assert_eq!((view.release_key(), view.scaling()), (ReleaseKey::ShiftF12, Scaling::Actual));
    row("Release Key").set_selected(0);
    assert_eq!(view.release_key(), ReleaseKey::CtrlAlt);
    window.destroy();
}

/// A dialog has its widgets while it is shown.
fn present(dialog: &adw::Dialog) -> adw::Window {
    let window = adw::Window::builder().default_width(720).default_height(900).build();
    window.present();
    dialog.present(Some(&window));
    wait_for("a dialog", || dialog.is_mapped());
    window
}

fn what_was_used_last_is_remembered() {
    let preferences = Preferences::in_memory();
    for number in 0..12 {
        preferences.add_recent_iso(Path::new(&format!("/iso/{number}.iso")));
    }
    preferences.add_recent_iso(Path::new("/iso/5.iso"));
    let recent = preferences.recent_isos();
    assert_eq!(recent.len(), 10);
    assert_eq!(recent[..2], ["/iso/5.iso", "/iso/11.iso"].map(PathBuf::from));
    assert_eq!(preferences.selected_machine(), None);
    preferences.set_selected_machine(Some("debian"));
    assert_eq!(preferences.selected_machine().as_deref(), Some("debian"));
}

fn all_shortcuts_are_told() {
    let dialog = ui::shortcuts::dialog(&Preferences::in_memory());
    let window = present(&dialog);
    let rows = all::<adw::ActionRow>(dialog.upcast_ref());
    let keys: Vec<String> = rows
        .iter()
        .map(|row| {
            let caps = all::<gtk::Label>(row.upcast_ref());
            let caps = caps.iter().filter(|label| label.has_css_class("berth-key"));
            caps.map(|label| label.text().to_string()).collect::<Vec<_>>().join("+")
        })
        .collect();
    assert!(keys.iter().all(|keys| !keys.is_empty()), "{keys:?}");
    let vm = VmAction::ALL.iter().filter_map(|action| action.accelerator());
    let win = WinAction::ALL.iter().filter_map(|action| action.accelerator());
    for accelerator in vm.chain(win) {
        let (key, modifiers) = gtk::accelerator_parse(accelerator).unwrap();
        let label = |modifiers| gtk::accelerator_get_label(key, modifiers).to_string();
        // The order of modifiers is a matter of taste.
        let mut wanted: Vec<String> = label(modifiers).split('+').map(str::to_owned).collect();
        wanted.sort();
        let told = keys.iter().any(|keys| {
            let mut keys: Vec<String> = keys.split('+').map(str::to_owned).collect();
            keys.sort();
            keys == wanted
        });
        assert!(told, "{accelerator} in {keys:?}");
    }
    window.destroy();
}
