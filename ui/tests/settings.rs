//! A machine's settings, the preferences and the smaller dialogs, against a fake backend.
//!
//! See `program` for how to run it. Pictures of everything are left in `target/screens`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "settings/dialogs.rs"]
mod dialogs;
#[path = "settings/drives.rs"]
mod drives;
#[path = "settings/fields.rs"]
mod fields;
#[path = "settings/network.rs"]
mod network;
#[path = "settings/pictures.rs"]
mod pictures;
mod program;
#[path = "settings/stage.rs"]
mod stage;

use program::Test;

fn main() {
    program::set_up(&[
        // What a person prefers is none of a test's business, nor are other sessions.
        ("GSETTINGS_BACKEND", "memory"),
        ("GTK_A11Y", "none"),
        ("LC_ALL", "C.UTF-8"),
    ]);
    ui::application::add_resources();
    use_resources();
    program::run(
        &[fields::TESTS, drives::TESTS, network::TESTS, dialogs::TESTS, pictures::TESTS].concat(),
    );
}

/// As an application does with the resources of its id.
fn use_resources() {
    let display = gtk::gdk::Display::default().unwrap();
    gtk::IconTheme::for_display(&display).add_resource_path("/io/github/berth_vm/Berth/icons");
    let style = gtk::CssProvider::new();
    style.load_from_resource("/io/github/berth_vm/Berth/style.css");
    let priority = gtk::STYLE_PROVIDER_PRIORITY_APPLICATION;
    gtk::style_context_add_provider_for_display(&display, &style, priority);
}
