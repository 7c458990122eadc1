//! A machine's settings, the preferences and the smaller dialogs, against a fake backend.
//!
//! Needs a display: `xvfb-run -a cargo test -p ui --test settings [NAME...]`. GTK lives on one
//! thread, so this is a program of its own rather than a test per thread. Pictures of everything
//! are left in `target/screens`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "settings/dialogs.rs"]
mod dialogs;
#[path = "settings/drives.rs"]
mod drives;
#[path = "settings/fields.rs"]
mod fields;
#[path = "settings/pictures.rs"]
mod pictures;
#[path = "settings/stage.rs"]
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test's name and the test.
type Test = (&'static str, fn());

fn main() {
    for (name, value) in [
        // Draws the same everywhere.
        ("GSK_RENDERER", "cairo"),
        // What a person prefers is none of a test's business, nor are other sessions.
        ("GSETTINGS_BACKEND", "memory"),
        ("GTK_A11Y", "none"),
        ("LC_ALL", "C.UTF-8"),
    ] {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var(name, value) };
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if adw::init().is_err() {
        eprintln!("These tests need a display: xvfb-run -a cargo test -p ui --test settings");
        std::process::exit(1);
    }
    ui::application::add_resources();
    let tests = [fields::TESTS, drives::TESTS, dialogs::TESTS, pictures::TESTS].concat();
    let (mut ran, mut failed) = (0, Vec::new());
    for (name, test) in tests {
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
