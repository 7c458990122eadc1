//! What went wrong.

use adw::prelude::*;
use gettextrs::gettext;

use crate::backend::Failure;

/// Tells that something could not be done, under the heading of what it was; the causes can be
/// unfolded and copied. Says nothing about what was cancelled.
pub fn show_failure(parent: &impl IsA<gtk::Widget>, heading: &str, failure: &Failure) {
    if failure.cancelled {
        return;
    }
    let dialog = adw::AlertDialog::new(Some(heading), Some(&failure.message));
    dialog.add_response("close", &gettext("_Close"));
    dialog.set_default_response(Some("close"));
    dialog.set_close_response("close");
    if !failure.details.is_empty() {
        dialog.set_extra_child(Some(&details(&failure.details)));
        dialog.add_response("copy", &gettext("C_opy Details"));
        let text = format!("{heading}\n{}\n{}", failure.message, failure.details);
        let clipboard = parent.clipboard();
        dialog.connect_response(Some("copy"), move |_, _| clipboard.set_text(&text));
    }
    dialog.present(Some(parent));
}

fn details(text: &str) -> gtk::Expander {
    let label = gtk::Label::builder()
        .label(text)
        .selectable(true)
        .wrap(true)
        .xalign(0.0)
        .css_classes(["monospace", "caption"])
        .build();
    gtk::Expander::builder().label(gettext("Details")).child(&label).build()
}
