//! A row that offers the values of a setting.

use std::cell::Cell;

use adw::prelude::*;
use gtk::gio;

/// A row with `title` that offers `choices`: the names that setting `key` knows, and what a person
/// reads. It follows the setting, and the setting follows it.
pub(super) fn choice_row(
    settings: &gio::Settings,
    key: &str,
    title: &str,
    subtitle: &str,
    choices: &[(String, String)],
) -> adw::ComboRow {
    let labels: Vec<_> = choices.iter().map(|(_, label)| label.as_str()).collect();
    let row = adw::ComboRow::builder()
        .title(title)
        .subtitle(subtitle)
        .use_underline(true)
        .model(&gtk::StringList::new(&labels))
        .build();
    let names: Vec<_> = choices.iter().map(|(name, _)| name.clone()).collect();
    let positions = names.clone();
    settings
        .bind(key, &row, "selected")
        .mapping(move |value, _| {
            let position = positions.iter().position(|name| Some(name.as_str()) == value.str())?;
            Some((position as u32).to_value())
        })
        .set_mapping(move |value, _| {
            let position: u32 = value.get().ok()?;
            names.get(position as usize).map(|name| name.to_variant())
        })
        .build();
    row
}

/// `choices` with names of their own, for settings that are no type of ours.
pub(super) fn named<const N: usize>(choices: [(&str, String); N]) -> Vec<(String, String)> {
    choices.into_iter().map(|(name, label)| (name.to_owned(), label)).collect()
}

/// Forgets what a person chose.
pub(super) fn reset_button(
    settings: &gio::Settings,
    key: &'static str,
    label: &str,
) -> gtk::Button {
    let button = gtk::Button::builder()
        .icon_name("edit-undo-symbolic")
        .tooltip_text(label)
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build();
    follow(settings, key, &button, |button, settings| {
        button.set_visible(settings.user_value(key).is_some());
    });
    let settings = settings.clone();
    button.connect_clicked(move |_| settings.reset(key));
    button
}

/// Calls `show` now and whenever setting `key` changes, for as long as `widget` is there.
pub(super) fn follow<W: IsA<gtk::Widget>>(
    settings: &gio::Settings,
    key: &str,
    widget: &W,
    show: impl Fn(&W, &gio::Settings) + 'static,
) {
    show(widget, settings);
    let weak = widget.downgrade();
    let handler = settings.connect_changed(Some(key), move |settings, _| {
        if let Some(widget) = weak.upgrade() {
            show(&widget, settings);
        }
    });
    let (settings, handler) = (settings.clone(), Cell::new(Some(handler)));
    widget.connect_destroy(move |_| {
        if let Some(handler) = handler.take() {
            settings.disconnect(handler);
        }
    });
}
