//! The menu of keys that can be sent to the guest.

use gtk::gio;
use gtk::glib::prelude::*;

use crate::display::SendKeys;

/// The key combinations as a menu whose entries activate `action` with the combination's id.
pub fn send_keys_menu(action: &str) -> gio::MenuModel {
    let menu = gio::Menu::new();
    let keys = SendKeys::new();
    for group in keys.combos().chunk_by(|one, other| one.group == other.group) {
        let section = gio::Menu::new();
        for combo in group {
            let item = gio::MenuItem::new(Some(&combo.label), None);
            item.set_action_and_target_value(Some(action), Some(&combo.id.to_variant()));
            section.append_item(&item);
        }
        menu.append_section(None, &section);
    }
    menu.upcast()
}
