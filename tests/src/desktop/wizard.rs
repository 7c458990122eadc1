//! The New VM wizard, as a person goes through it.

use std::path::Path;
use std::time::Duration;

use super::accessible::{Accessible, State};
use super::{App, patience, wait};

/// How long GTK's file chooser gets to ask for a path before it is asked to once more.
const CHOOSER: Duration = Duration::from_secs(3);

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

    /// Chooses a file in GTK's own dialog, where Ctrl+L asks for a path.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn choose(&self, file: &Path) {
        let app = self.app;
        let path = file.canonicalize().expect("a file");
        // The button is labelled by its row.
        app.press("button", "No file chosen|Choose…");
        app.until("the file chooser is there", || app.desktop().x11().windows() == 2);
        // It takes no keys while it looks at its first folder.
        let entry = wait(patience(), || {
            app.key("ctrl+l");
            wait(CHOOSER, || {
                app.focused().filter(|(_, role, _)| role == "text box").map(|(object, ..)| object)
            })
        });
        let entry = entry.expect("the file chooser takes a path");
        entry.set_text(path.to_str().expect("a path of text")).expect("a field for a path");
        app.press("button", "Open");
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
        self.type_into(field, text);
        self.until_next_is_possible();
    }

    /// Puts into a field what cannot stand there: this must be told, and nothing go on.
    ///
    /// # Panics
    /// When it is taken, or not told.
    pub fn is_refused(&self, field: &str, text: &str, told: &str) {
        self.type_into(field, text);
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

    fn type_into(&self, name: &str, text: &str) {
        let field = self.field(name);
        if !field.is(State::Focused) {
            self.app.click_on(&field, 1);
            self.app.until("the field has the keyboard", || {
                self.app.focused().is_some_and(|(_, _, focused)| focused == name)
            });
        }
        self.app.type_over(text);
    }

    fn field(&self, name: &str) -> Accessible {
        let found = wait(patience(), || self.app.look("text box", name));
        found.unwrap_or_else(|| panic!("there is no field “{name}”"))
    }
}
