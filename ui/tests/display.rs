//! The guest's screen, against a fake one, on a real X server with real keys and clicks.
//!
//! Needs a display without a window manager, as `xvfb-run` gives, and xdotool:
//! `xvfb-run -a cargo test -p ui --test display [NAME...]`. GTK lives on one thread, so this is a
//! program of its own rather than a test per thread.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "display/drawing.rs"]
mod drawing;
#[path = "display/input.rs"]
mod input;
#[path = "display/page.rs"]
mod page;
#[path = "display/stage.rs"]
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test's name and the test.
type Test = (&'static str, fn());

fn main() {
    // A renderer that draws the same everywhere.
    if std::env::var_os("GSK_RENDERER").is_none() {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var("GSK_RENDERER", "cairo") };
    }
    // What would be told to screen readers is kept for the tests to ask for.
    if std::env::var_os("GTK_A11Y").is_none() {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var("GTK_A11Y", "test") };
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if adw::init().is_err() {
        eprintln!("These tests need a display: xvfb-run -a cargo test -p ui --test display");
        std::process::exit(1);
    }
    let tests = [drawing::TESTS, input::TESTS, page::TESTS].concat();
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
