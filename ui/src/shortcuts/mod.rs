//! All keys that do something, in one dialog.
//!
//! What lives here: their list, drawn as keys. What does not: what they do (`window`, from whose
//! actions the list is made, so that it cannot tell other keys than those that work).

use adw::prelude::*;
use gettextrs::{gettext, pgettext};

use crate::mnemonic::without_mnemonic;
use crate::preferences::Preferences;
use crate::window::{VmAction, WinAction};

/// Shows the shortcuts over `parent`.
pub fn present(parent: &adw::ApplicationWindow) {
    dialog(&Preferences::shared()).present(Some(parent));
}

/// The dialog.
pub fn dialog(preferences: &Preferences) -> adw::Dialog {
    let page = adw::PreferencesPage::new();
    let window = WinAction::ALL
        .into_iter()
        .filter_map(|action| Some((title(action)?, keys(action.accelerator()?))));
    page.add(&group(&gettext("Window"), window.chain([(gettext("Main menu"), keys("F10"))])));
    let machine = VmAction::ALL
        .into_iter()
        .filter_map(|action| Some((plain(&action.label()), keys(action.accelerator()?))));
    page.add(&group(&gettext("Chosen Machine"), machine));
    let pages = [gettext("Display"), gettext("Console"), gettext("Resources"), gettext("Settings")];
    let pages = (1..).zip(pages).map(|(number, name)| (name, keys(&format!("<Alt>{number}"))));
    page.add(&group(&gettext("Pages of a Machine"), pages));
    let release = preferences.release_key().label();
    page.add(&group(
        &gettext("While a Guest Has the Keyboard"),
        [(gettext("Free pointer and keyboard"), release.split('+').map(str::to_owned).collect())],
    ));
    let toolbar = adw::ToolbarView::builder().content(&page).build();
    toolbar.add_top_bar(&adw::HeaderBar::new());
    adw::Dialog::builder()
        .title(gettext("Keyboard Shortcuts"))
        .content_width(480)
        .content_height(640)
        .child(&toolbar)
        .build()
}

/// What a window's action is called; `None` for what needs no key.
fn title(action: WinAction) -> Option<String> {
    Some(match action {
        WinAction::New => gettext("New virtual machine"),
        WinAction::Search => gettext("Search"),
        WinAction::Overview => gettext("Overview of all machines"),
        WinAction::Preferences => gettext("Preferences"),
        WinAction::Shortcuts => gettext("Keyboard shortcuts"),
        WinAction::Help => gettext("Help"),
        WinAction::Close => gettext("Close the window"),
        WinAction::Quit => pgettext("end the program", "Quit"),
        WinAction::About | WinAction::Problems => return None,
    })
}

/// A menu's label without what is the menu's: the mnemonic and the dots of a dialog to come.
fn plain(label: &str) -> String {
    without_mnemonic(label).trim_end_matches('…').to_owned()
}

/// The keys of an accelerator by name, in the user's language.
fn keys(accelerator: &str) -> Vec<String> {
    let Some((key, modifiers)) = gtk::accelerator_parse(accelerator) else { return Vec::new() };
    // Of one key at a time: “+” may be a key.
    let mut names: Vec<_> = [
        gtk::gdk::ModifierType::CONTROL_MASK,
        gtk::gdk::ModifierType::ALT_MASK,
        gtk::gdk::ModifierType::SHIFT_MASK,
        gtk::gdk::ModifierType::SUPER_MASK,
    ]
    .into_iter()
    .filter(|modifier| modifiers.contains(*modifier))
    .map(|modifier| {
        let label = gtk::accelerator_get_label(gtk::gdk::Key::a, modifier);
        label.rsplit_once('+').map_or(String::new(), |(name, _)| name.to_owned())
    })
    .collect();
    names.push(gtk::accelerator_get_label(key, gtk::gdk::ModifierType::empty()).into());
    names
}

fn group(
    title: &str,
    entries: impl IntoIterator<Item = (String, Vec<String>)>,
) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title(title).build();
    for (title, keys) in entries {
        let row = adw::ActionRow::builder().title(&title).use_markup(false).build();
        let caps = gtk::Box::new(gtk::Orientation::Horizontal, 6);
        caps.set_valign(gtk::Align::Center);
        for key in &keys {
            caps.append(&gtk::Label::builder().label(key).css_classes(["berth-key"]).build());
        }
        row.add_suffix(&caps);
        // Read as one: what it does, and by which keys.
        row.upcast_ref::<gtk::Widget>().update_property(&[
            gtk::accessible::Property::Label(&title),
            gtk::accessible::Property::KeyShortcuts(&keys.join("+")),
            gtk::accessible::Property::Description(&keys.join(" + ")),
        ]);
        group.add(&row);
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menu_labels_lose_what_is_the_menus() {
        assert_eq!(plain("C_lone…"), "Clone");
        assert_eq!(plain("S_hut Down"), "Shut Down");
        assert_eq!(plain("再製(_L)…"), "再製");
    }
}
