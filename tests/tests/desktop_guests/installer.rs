//! What a person does who never saw Berth: New VM, an ISO image, defaults, Create.

use std::time::Duration;

use berth_tests::desktop::{App, Desktop, Wizard};
use berth_tests::image;

/// How long UEFI firmware and GRUB may take, in the lab.
const BOOT: Duration = Duration::from_secs(600);

/// How many of a hundred points of a screen change when the bar of GRUB's menu moves, at least.
const BAR: f64 = 0.3;

#[test]
fn an_iso_image_with_all_defaults_boots_to_its_menu() {
    let desktop = Desktop::start("defaults");
    // As a file manager opens it: the file chooser is tried where it is faster.
    let app = App::start(&desktop, [image("grub.iso")]);
    let wizard = Wizard::shown(&app);
    wizard.next("Memory and Processors");
    wizard.next("Disk");
    wizard.next("Review");
    app.milestone("review");
    wizard.create();
    app.find("list item", ".*, Running");
    app.milestone("running");

    // UEFI's GRUB draws: no text is told, but there is much on the screen that stays the same.
    app.until_within(BOOT, "GRUB's menu", || {
        let before = app.display_picture();
        std::thread::sleep(Duration::from_secs(3));
        let after = app.display_picture();
        let same = (before.width, before.height) == (after.width, after.height);
        same && after.lit() > 2.0 && after.difference(&before) < BAR / 10.0
            || app.screen().contains("*BERTH GRUB ready")
    });
    app.milestone("menu");
    let menu = app.display_picture();
    app.type_to_guest("Down");
    app.until("the bar moves", || app.display_picture().difference(&menu) > BAR);
    app.milestone("second-entry");
    app.portrait("display");
    app.key("Up");
    app.until("the bar moves back", || app.display_picture().difference(&menu) < BAR / 3.0);
}
