//! Yes or no.

use adw::prelude::*;
use gettextrs::gettext;

/// A question before something that cannot be undone.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// The question.
    pub heading: String,
    /// What will happen.
    pub body: String,
    /// What the button says that lets it happen, with a mnemonic.
    pub accept: String,
}

/// Asks whether something is to happen that loses what cannot be brought back.
pub async fn confirm(parent: &impl IsA<gtk::Widget>, question: &Confirmation) -> bool {
    let dialog = adw::AlertDialog::new(Some(&question.heading), Some(&question.body));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("accept", &question.accept)]);
    dialog.set_response_appearance("accept", adw::ResponseAppearance::Destructive);
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    dialog.choose_future(Some(parent)).await == "accept"
}
