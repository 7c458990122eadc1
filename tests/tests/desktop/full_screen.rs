//! The guest's screen on the whole monitor, and back.

use berth_tests::desktop::{App, Desktop, FullScreens};

use crate::guest::grub;

/// The bar's one button.
const LEAVE: &str = "Leave Full Screen";

#[test]
fn is_entered_by_a_key_and_left_by_its_bar_or_the_key() {
    let desktop = Desktop::start("full-screen");
    let _manager = FullScreens::start(&desktop);
    grub(&desktop, "grub");
    let mut app = App::start(&desktop, [""; 0]);
    app.choose("grub");
    app.press("button", "Start");
    app.find("list item", "grub, Running");
    let windowed = app.display().extents().expect("the display has a place");

    // Nothing but the screen; a bar tells for a moment how to leave.
    app.key("ctrl+alt");
    app.key("F11");
    app.find("button", LEAVE);
    app.until("the display is all there is", || {
        // But for the frame that GTK draws itself where nobody else can.
        app.display().extents().is_ok_and(|(_, _, width, height)| width > 1260 && height > 780)
    });
    app.gone("button", LEAVE);
    assert!(app.look("button", "Pause").is_none());
    app.milestone("full");

    // The pointer calls the bar to the upper edge, and it goes when the pointer has gone.
    call_bar(&app);
    app.milestone("bar");
    app.desktop().x11().point(640, 400);
    app.gone("button", LEAVE);
    call_bar(&app);
    app.press("button", LEAVE);
    let is_back = || {
        let place = app.display().extents();
        app.look("button", "Pause").is_some() && place.is_ok_and(|place| place == windowed)
    };
    app.until("the window is as it was", is_back);
    app.milestone("left");

    // The key does both.
    app.key("ctrl+alt");
    app.key("F11");
    app.find("button", LEAVE);
    app.key("ctrl+alt");
    app.key("F11");
    app.until("the window is as it was", is_back);
    app.was_responsive();
}

/// Moves the pointer to the upper edge, which is at some of these pixels, below the frame, until the
/// bar comes: a busy machine sees only some of a quick movement.
fn call_bar(app: &App) {
    app.until("the bar comes", || {
        app.desktop().x11().point(640, 400);
        for y in (0..16).rev() {
            app.desktop().x11().point(640, y);
        }
        app.look("button", LEAVE).is_some()
    });
}
