//! The guest's screen, against a fake one, on a real X server with real keys and clicks.
//!
//! See `program` for how to run it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "display/drawing.rs"]
mod drawing;
#[path = "display/input.rs"]
mod input;
#[path = "display/page.rs"]
mod page;
mod program;
#[path = "display/stage.rs"]
mod stage;

use program::Test;

fn main() {
    // What would be told to screen readers is kept for the tests to ask for.
    program::set_up(&[("GTK_A11Y", "test")]);
    program::run(&[drawing::TESTS, input::TESTS, page::TESTS].concat());
}
