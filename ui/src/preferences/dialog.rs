//! The dialog that changes preferences.

use adw::prelude::*;
use gettextrs::{gettext, pgettext};
use gtk::{gio, glib};

use super::Preferences;
use super::choice::{choice_row, follow, named, reset_button};
use crate::display::ReleaseKey;

/// Shows the preferences over `parent`.
pub fn present(parent: &adw::ApplicationWindow) {
    dialog(&Preferences::shared()).present(Some(parent));
}

/// The dialog for `preferences`. What is chosen there holds at once.
pub fn dialog(preferences: &Preferences) -> adw::PreferencesDialog {
    let settings = &preferences.settings;
    let page = adw::PreferencesPage::new();
    page.add(&appearance(settings));
    page.add(&screen(settings));
    page.add(&machines(settings));
    page.add(&files(preferences));
    let dialog =
        adw::PreferencesDialog::builder().title(gettext("Preferences")).content_width(560).build();
    dialog.add(&page);
    dialog
}

fn appearance(settings: &gio::Settings) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title(gettext("Appearance")).build();
    let styles = named([
        ("system", gettext("Follow System")),
        ("light", pgettext("style", "Light")),
        ("dark", pgettext("style", "Dark")),
    ]);
    group.add(&choice_row(settings, "color-scheme", &gettext("S_tyle"), "", &styles));
    group
}

fn screen(settings: &gio::Settings) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title(gettext("Display and Keyboard")).build();
    let scalings =
        named([("fit", gettext("Fit the Window")), ("actual", gettext("Pixel for Pixel"))]);
    let subtitle = gettext("How large a guest's screen is shown at first");
    group.add(&choice_row(settings, "scaling", &gettext("_Size"), &subtitle, &scalings));
    let keys: Vec<_> = ReleaseKey::ALL.into_iter().map(|key| (key.nick(), key.label())).collect();
    let subtitle = gettext("Frees pointer and keyboard from a guest that has captured them");
    group.add(&choice_row(settings, "release-key", &gettext("_Release Key"), &subtitle, &keys));
    group
}

fn machines(settings: &gio::Settings) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title(gettext("Running Machines")).build();
    let choices = named([
        ("ask", gettext("Ask")),
        ("keep-running", gettext("Keep Running")),
        ("shut-down", gettext("Shut Down")),
    ]);
    let subtitle = gettext("What becomes of machines that run");
    let title = gettext("When the Window Is _Closed");
    group.add(&choice_row(settings, "background", &title, &subtitle, &choices));
    group
}

fn files(preferences: &Preferences) -> adw::PreferencesGroup {
    let settings = &preferences.settings;
    let group = adw::PreferencesGroup::builder().title(gettext("Files")).build();
    let row = adw::ActionRow::builder()
        .title(gettext("Folder for _ISO Images"))
        .use_underline(true)
        .use_markup(false)
        .activatable(true)
        .css_classes(["property"])
        .build();
    let icon = gtk::Image::from_icon_name("folder-open-symbolic");
    icon.set_accessible_role(gtk::AccessibleRole::Presentation);
    row.add_suffix(&reset_button(settings, "default-folder", &gettext("Use the Downloads Folder")));
    row.add_suffix(&icon);
    let shown = preferences.clone();
    follow(settings, "default-folder", &row, move |row, _| {
        row.set_subtitle(&shown.default_folder().map_or_else(
            || pgettext("folder", "None"),
            |folder| glib::filename_display_name(folder).to_string(),
        ));
    });
    let preferences = preferences.clone();
    row.connect_activated(move |row| {
        glib::spawn_future_local(choose_folder(row.clone(), preferences.clone()));
    });
    group.add(&row);
    group
}

async fn choose_folder(row: adw::ActionRow, preferences: Preferences) {
    let folder = preferences.default_folder().map(gio::File::for_path);
    let dialog =
        gtk::FileDialog::builder().title(gettext("Folder for ISO Images")).modal(true).build();
    dialog.set_initial_folder(folder.as_ref());
    let window = row.root().and_downcast::<gtk::Window>();
    // Also when it is cancelled, which needs no words.
    let Ok(chosen) = dialog.select_folder_future(window.as_ref()).await else { return };
    if let Some(path) = chosen.path().as_deref().and_then(|path| path.to_str()) {
        preferences.keep(preferences.settings.set_string("default-folder", path));
    }
}
