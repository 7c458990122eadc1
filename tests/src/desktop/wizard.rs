//! The New VM wizard, as a person goes through it.

use std::path::Path;

use super::accessible::{Accessible, State};
use super::{App, patience, wait};

/// The wizard of an [`App`], which is shown.
#[derive(Debug)]
pub struct Wizard<'a> {
    app: &'a App<'a>,
}

impl<'a> Wizard<'a> {
    /// What its dialog is called.
    pub const TITLE: &'static str = "New Virtual Machine";

    /// Waits until it is there.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn shown(app: &'a App<'a>) -> Self {
        app.find("dialog", Self::TITLE);
        app.find("group", "Install From");
        Self { app }
    }

    /// Chooses a file in GTK's own dialog, which takes a path as soon as one is typed.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn choose(&self, file: &Path) {
        let app = self.app;
        let path = file.canonicalize().expect("a file");
        // The button is labelled by its row.
        app.press("button", "No file chosen|Choose…");
        app.until("the file chooser is there", || app.desktop().x11().windows() == 2);
        app.key("ctrl+l");
        app.until("the file chooser takes a path", || {
            app.focused().is_some_and(|(_, role, _)| role == "text box")
        });
        app.type_text(path.to_str().expect("a path of ASCII"));
        app.key("Return");
        app.until("the file chooser is gone", || app.desktop().x11().windows() == 1);
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        app.find("label", &regex::escape(&name));
        self.until_next_is_possible();
    }

    /// Goes on to the page of this name.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn next(&self, page: &str) {
        self.app.press("button", "Next");
        self.app.find("group", page);
    }

    /// Goes back to the page of this name.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn back(&self, page: &str) {
        self.app.press("button", "Back");
        self.app.find("group", page);
    }

    /// Makes the machine.
    ///
    /// # Panics
    /// When the wizard stays.
    pub fn create(&self) {
        self.app.press("button", "Create");
        self.app.gone("dialog", Self::TITLE);
    }

    /// The text in a field.
    ///
    /// # Panics
    /// When there is no such field.
    #[must_use]
    pub fn text(&self, field: &str) -> String {
        self.field(field).text().expect("a field with text")
    }

    /// Replaces what stands in a field.
    ///
    /// # Panics
    /// When there is no such field.
    pub fn enter(&self, field: &str, text: &str) {
        self.field(field).set_text(text).expect("a field that can be typed into");
        self.until_next_is_possible();
    }

    /// Puts into a field what cannot stand there: this must be told, and nothing go on.
    ///
    /// # Panics
    /// When it is taken, or not told.
    pub fn is_refused(&self, field: &str, text: &str, told: &str) {
        self.field(field).set_text(text).expect("a field that can be typed into");
        self.app.find("label", told);
        let on = self.app.find("button", "Next|Create");
        assert!(!on.is(State::Sensitive), "{field}: “{text}” was taken");
    }

    fn until_next_is_possible(&self) {
        let app = self.app;
        app.until("the wizard goes on", || {
            app.look("button", "Next|Create").is_some_and(|next| next.is(State::Sensitive))
        });
    }

    fn field(&self, name: &str) -> Accessible {
        let found = wait(patience(), || self.app.look("text box", name));
        found.unwrap_or_else(|| panic!("there is no field “{name}”"))
    }
}
