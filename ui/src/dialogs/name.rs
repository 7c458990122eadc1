//! A machine's name.

use adw::prelude::*;
use gettextrs::gettext;
use vmm_core::definition::Name;

use crate::machines::{Machines, Vm};

/// Asks for a name that no machine but `but` has; `None` when it was cancelled.
pub async fn ask_name(
    parent: &impl IsA<gtk::Widget>,
    heading: &str,
    accept: &str,
    suggestion: &str,
    machines: &Machines,
    but: Option<&Vm>,
) -> Option<Name> {
    let dialog = adw::AlertDialog::new(Some(heading), None);
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("accept", accept)]);
    dialog.set_response_appearance("accept", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("accept"));
    dialog.set_close_response("cancel");
    let entry = adw::EntryRow::builder()
        .title(gettext("Name"))
        .text(suggestion)
        .activates_default(true)
        .build();
    let list = gtk::ListBox::builder()
        .selection_mode(gtk::SelectionMode::None)
        .css_classes(["boxed-list"])
        .build();
    list.append(&entry);
    let complaint =
        gtk::Label::builder().wrap(true).xalign(0.0).css_classes(["error", "caption"]).build();
    let content = gtk::Box::new(gtk::Orientation::Vertical, 6);
    content.append(&list);
    content.append(&complaint);
    dialog.set_extra_child(Some(&content));
    let check = {
        let (dialog, machines, but) = (dialog.downgrade(), machines.clone(), but.cloned());
        move |entry: &adw::EntryRow| {
            let result = check_name(&entry.text(), &machines, but.as_ref());
            if let Some(dialog) = dialog.upgrade() {
                dialog.set_response_enabled("accept", result.is_ok());
            }
            complaint.set_label(result.as_ref().err().map_or("", String::as_str));
            match result {
                Ok(_) => entry.remove_css_class("error"),
                Err(_) => entry.add_css_class("error"),
            }
        }
    };
    check(&entry);
    entry.connect_changed(check);
    dialog.set_focus(Some(&entry));
    let accepted = dialog.choose_future(Some(parent)).await == "accept";
    accepted.then(|| check_name(&entry.text(), machines, but).ok()).flatten()
}

/// The name, or a sentence that says what is wrong with it.
fn check_name(text: &str, machines: &Machines, but: Option<&Vm>) -> Result<Name, String> {
    let name: Name = text.trim().parse().map_err(|error| format!("{error}"))?;
    if machines.is_taken(name.as_str(), but) {
        return Err(gettext("Another machine has this name already."));
    }
    Ok(name)
}
