//! What the test programs share that drive GTK and the X server themselves: their environment, the
//! run of their tests, time, and a person's hands.
//!
//! GTK lives on one thread, so each is a program of its own rather than a test per thread. They
//! need a display without a window manager, as `xvfb-run` gives, and xdotool:
//! `xvfb-run -a cargo test -p ui --test wizard [NAME...]`.
#![allow(dead_code, clippy::unwrap_used)] // Each program uses a part of it; what fails here fails the test.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gtk::prelude::*;
use gtk::{glib, graphene};

/// Gives a process high contrast (libadwaita).
const HIGH_CONTRAST: &str = "ADW_DEBUG_HIGH_CONTRAST";

/// A test's name and the test.
pub(crate) type Test = (&'static str, fn());

/// Starts GTK, with these variables where they are not set, and with a renderer that draws the
/// same everywhere. Ends the program when there is no display.
pub(crate) fn set_up(variables: &[(&str, &str)]) {
    for (name, value) in [("GSK_RENDERER", "cairo")].iter().chain(variables) {
        if std::env::var_os(name).is_none() {
            // SAFETY: no other thread exists yet.
            unsafe { std::env::set_var(name, value) };
        }
    }
    if adw::init().is_err() {
        eprintln!("These tests need a display: run them by xvfb-run -a");
        std::process::exit(1);
    }
}

/// Runs the tests whose names hold one of the program's arguments, or all; ends the program.
pub(crate) fn run(tests: &[Test]) -> ! {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.iter().filter(|(name, _)| is_wanted(name)) {
        let good = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        *(if good { &mut passed } else { &mut failed }) += 1;
    }
    println!("\n{passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0));
}

/// Lets GTK work for a while.
pub(crate) fn run_for(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        glib::MainContext::default().iteration(false);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets GTK work until something is so.
pub(crate) fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < end, "no {what}");
        glib::MainContext::default().iteration(false);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Does something with the X server's keyboard and pointer, and lets GTK work meanwhile.
pub(crate) fn xdotool(arguments: &str) {
    let mut child = Command::new("xdotool").args(arguments.split(' ')).spawn().unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "xdotool {arguments}");
            return;
        }
        run_for(Duration::from_millis(2));
    }
}

/// Keeps pictures of what is in `widget` under target/screens, as they are on screens of scale 1
/// and 2.
pub(crate) fn keep_pictures(widget: &impl IsA<gtk::Widget>, name: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screens"));
    std::fs::create_dir_all(folder).unwrap();
    let contrast = if std::env::var_os(HIGH_CONTRAST).is_some() { "-contrast" } else { "" };
    let (width, height) = (widget.width() as f32, widget.height() as f32);
    let renderer = widget.native().unwrap().renderer().unwrap();
    for scale in [1.0, 2.0] {
        // There is nothing while it is about to look different.
        let mut node = None;
        wait_for("picture", || {
            let snapshot = gtk::Snapshot::new();
            snapshot.scale(scale, scale);
            let paintable = gtk::WidgetPaintable::new(Some(widget));
            paintable.snapshot(&snapshot, width.into(), height.into());
            node = snapshot.to_node();
            node.is_some()
        });
        let bounds = graphene::Rect::new(0.0, 0.0, width * scale, height * scale);
        let texture = renderer.render_texture(node.unwrap(), Some(&bounds));
        texture.save_to_png(folder.join(format!("{name}{contrast}-{scale}x.png"))).unwrap();
    }
}

/// Runs the test `name` of this program again in a process with high contrast.
pub(crate) fn again_in_high_contrast(name: &str) {
    if std::env::var_os(HIGH_CONTRAST).is_some() {
        assert!(adw::StyleManager::default().is_high_contrast());
        return;
    }
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).arg(name).env(HIGH_CONTRAST, "1").status().unwrap();
    assert!(status.success(), "{name} in high contrast");
}
