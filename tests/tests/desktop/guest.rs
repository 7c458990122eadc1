//! A guest on its machine's pages, from Start to Force Off: GRUB, which every `/dev/kvm` runs.

use std::time::Duration;

use berth_tests::desktop::{App, Desktop, State, new_machine};
use berth_tests::image;

/// How long the firmware and GRUB may take, also where `/dev/kvm` is an emulator.
pub(crate) const BOOT: Duration = Duration::from_secs(400);

/// Makes a machine whose medium is GRUB.
pub(crate) fn grub(desktop: &Desktop, name: &str) {
    let iso = image("grub.iso").canonicalize().expect("the image");
    let iso = iso.to_str().expect("a path of text");
    new_machine(
        desktop,
        &[name, "--iso", iso, "--firmware", "bios", "--memory", "64M", "--size", "0"],
    );
}

#[test]
fn its_screen_is_seen_and_its_keys_are_typed() {
    let desktop = Desktop::start("guest");
    grub(&desktop, "grub");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "grub, Off");
    app.milestone("off");
    app.press("button", "Start");
    app.find("list item", "grub, Running");
    app.until_within(BOOT, "GRUB's menu", || app.screen().contains("*BERTH GRUB ready"));
    app.milestone("menu");
    let menu = app.display_picture();
    assert!(menu.lit() > 2.0, "the menu is on the screen, too: {}", menu.lit());
    app.type_to_guest("Down");
    app.until("the second entry is chosen", || app.screen().contains("*BERTH second entry"));
    app.milestone("second-entry");
    assert!(app.display_picture().difference(&menu) > 0.5, "the bar has moved");
    app.key("Up");
    app.until("the first entry is chosen", || app.screen().contains("*BERTH GRUB ready"));

    // Paused, it takes no keys; resumed, it does.
    app.press("button", "Pause");
    app.find("list item", "grub, Paused");
    app.milestone("paused");
    let paused = app.screen();
    app.press("button", "Resume");
    app.find("list item", "grub, Running");
    assert_eq!(app.screen(), paused);
    app.type_to_guest("Down");
    app.until("the second entry is chosen", || app.screen().contains("*BERTH second entry"));

    // The menu that has everything else.
    app.press("toggle button", "Machine Menu");
    app.find("menu item", "Force Off…");
    app.milestone("machine-menu");
    app.press("menu item", "Force Off…");
    app.find("alert dialog", "Force “grub” Off.");
    app.milestone("force-off");
    app.press("button", "Force Off");
    app.find("list item", "grub, Off");
    app.was_responsive();
    app.quit();
}

#[test]
fn closing_the_window_asks_what_is_to_become_of_it() {
    let desktop = Desktop::start("closing");
    grub(&desktop, "grub");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "grub, Off");
    app.press("button", "Start");
    app.find("list item", "grub, Running");
    app.press("button", "Close");
    app.find("alert dialog", "Keep Running in the Background.");
    app.milestone("close");
    app.press("button", "Cancel");
    app.gone("alert dialog", "Keep Running in the Background.");
    assert!(app.look("list item", "grub, Running").is_some());

    // In the background it goes on; starting Berth again shows it.
    app.press("button", "Close");
    app.find("alert dialog", "Keep Running in the Background.");
    app.press("button", "Keep Running");
    app.until("the window is hidden", || desktop.x11().windows() == 0);
    let again = desktop.command(berth_tests::berth()).arg("open").status();
    assert!(again.expect("berth starts").success());
    app.find("list item", "grub, Running");
    app.milestone("back-again");

    // A firmware does not listen to the power button: the plug has to be pulled.
    app.key("ctrl+q");
    app.find("alert dialog", "Shut Down and Quit.");
    app.press("button", "Shut Down and Quit");
    app.find("alert dialog", "Shutting Down…");
    app.milestone("shutting-down");
    app.press("button", "Force Off");
    app.was_responsive();
    assert!(app.ended().success());
}

#[test]
fn a_page_for_everything() {
    let desktop = Desktop::start("pages");
    grub(&desktop, "grub");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("list item", "grub, Off");
    for (keys, title) in
        [("alt+2", "Console"), ("alt+3", "Resources"), ("alt+4", "Settings"), ("alt+1", "Display")]
    {
        app.key(keys);
        app.until("the page is shown", || {
            app.look("tab", title).is_some_and(|tab| tab.is(State::Selected))
        });
        app.milestone(&title.to_lowercase());
    }
    app.key("ctrl+o");
    app.milestone("overview");
    app.was_responsive();
    app.quit();
}
