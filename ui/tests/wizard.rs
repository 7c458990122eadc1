//! The New VM wizard against pretended machines, on a real X server with real keys.
//!
//! Needs a display without a window manager, as `xvfb-run` gives, and xdotool:
//! `xvfb-run -a cargo test -p ui --test wizard [NAME...]`. Pictures of every step go to
//! `target/screens/`. GTK lives on one thread, so this is a program of its own rather than a test
//! per thread.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wizard/files.rs"]
mod files;
#[path = "wizard/pictures.rs"]
mod pictures;
#[path = "wizard/stage.rs"]
mod stage;
#[path = "wizard/steps.rs"]
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test's name and the test.
type Test = (&'static str, fn());

fn main() {
    // A renderer that draws the same everywhere, and nobody else's assistive technology.
    for (name, value) in [
        ("GSK_RENDERER", "cairo"),
        ("GTK_A11Y", "test"),
        ("GSETTINGS_BACKEND", "memory"),
        // Nobody's list of recent files grows.
        ("XDG_DATA_HOME", "/nonexistent"),
    ] {
        if std::env::var_os(name).is_none() {
            // SAFETY: no other thread exists yet.
            unsafe { std::env::set_var(name, value) };
        }
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if adw::init().is_err() {
        eprintln!("These tests need a display: xvfb-run -a cargo test -p ui --test wizard");
        std::process::exit(1);
    }
    gtk::glib::set_application_name("Wizard Test");
    // The list of recent files wants to know who opened one.
    gtk::glib::set_prgname(Some("wizard-test"));
    gtk::Settings::default().unwrap().set_gtk_enable_animations(false);
    let (mut ran, mut failed) = (0, Vec::new());
    for (name, test) in [steps::TESTS, pictures::TESTS].concat() {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        ran += 1;
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    println!("\n{ran} run, {} failed {failed:?}", failed.len());
    if !failed.is_empty() {
        std::process::exit(1);
    }
}
