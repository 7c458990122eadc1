//! The New VM wizard against pretended machines, on a real X server with real keys.
//!
//! See `program` for how to run it. Pictures of every step are left in `target/screens`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wizard/download.rs"]
mod download;
#[path = "wizard/files.rs"]
mod files;
#[path = "wizard/pictures.rs"]
mod pictures;
mod program;
#[path = "wizard/stage.rs"]
mod stage;
#[path = "wizard/steps.rs"]
mod steps;

use program::Test;

fn main() {
    program::set_up(&[
        ("GSETTINGS_BACKEND", "memory"),
        ("GTK_A11Y", "test"),
        // Nobody's list of recent files grows.
        ("XDG_DATA_HOME", "/nonexistent"),
    ]);
    gtk::glib::set_application_name("Wizard Test");
    // The list of recent files wants to know who opened one.
    gtk::glib::set_prgname(Some("wizard-test"));
    gtk::Settings::default().unwrap().set_gtk_enable_animations(false);
    program::run(&[steps::TESTS, download::TESTS, pictures::TESTS].concat());
}
