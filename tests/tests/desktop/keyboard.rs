//! A machine's whole life by the keyboard alone: no pointer is moved and no button pressed, and the
//! accessibility tree is only looked at.

use std::fs;
use std::time::Duration;

use berth_tests::desktop::{App, Desktop, State, patience, store, wait};
use berth_tests::image;

use crate::guest::BOOT;

/// How long GTK's file chooser gets before it is asked once more.
const CHOOSER: Duration = Duration::from_secs(3);

#[test]
fn is_all_it_takes() {
    let desktop = Desktop::start("keyboard");
    let downloads = desktop.home().join("Downloads");
    fs::create_dir(&downloads).expect("a folder");
    fs::copy(image("grub.iso"), downloads.join("grub.iso")).expect("the medium");
    let folders = desktop.home().join("config/user-dirs.dirs");
    fs::write(folders, "XDG_DOWNLOAD_DIR=\"$HOME/Downloads\"\n").expect("the user's folders");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("label", "No Virtual Machines Yet");
    app.key("ctrl+n");
    app.find("dialog", "New Virtual Machine");
    app.find("group", "Install From");

    // The medium, in GTK's file chooser.
    app.tab_to("No file chosen|Choose…");
    app.key("Return");
    app.until("the file chooser is there", || desktop.x11().windows() == 2);
    let chosen = wait(patience(), || {
        // It takes no keys while it looks at the folder, in which there is nothing else.
        app.key("Down");
        app.key("Return");
        wait(CHOOSER, || (desktop.x11().windows() == 1).then_some(()))
    });
    chosen.expect("the medium is chosen");
    app.find("label", "grub.iso");
    for page in ["Memory and Processors", "Disk", "Review"] {
        app.until("the wizard goes on", || {
            app.look("button", "Next").is_some_and(|next| next.is(State::Sensitive))
        });
        app.tab_to("Next");
        app.key("Return");
        app.find("group", page);
    }
    // BIOS, whose screen is text that can be read here.
    app.tab_to("Firmware");
    app.key("Return");
    app.key("Home");
    app.key("Down");
    app.key("Return");
    app.tab_to("Name");
    app.type_over("by keys");
    app.milestone("review");
    app.tab_to("Create");
    app.key("Return");
    app.gone("dialog", "New Virtual Machine");
    app.find("list item", "by keys, Running");

    // The guest has the keyboard, and gives it back.
    app.until_within(BOOT, "GRUB's menu", || app.screen().contains("*BERTH GRUB ready"));
    app.type_to_guest("Down");
    app.until("the second entry is chosen", || app.screen().contains("*BERTH second entry"));
    app.milestone("second-entry");
    app.key("ctrl+alt");
    app.key("ctrl+Return");
    app.find("list item", "by keys, Paused");
    app.key("ctrl+Return");
    app.find("list item", "by keys, Running");

    app.key("ctrl+alt");
    app.key("ctrl+shift+k");
    app.find("alert dialog", "Force “by keys” Off.");
    app.tab_to("Force Off");
    app.key("Return");
    app.gone("alert dialog", "Force “by keys” Off.");
    app.find("list item", "by keys, Off");
    app.find("button", "Start");
    app.key("ctrl+Delete");
    app.gone("list item", "by keys, Off");
    app.find("label", "“by keys” deleted");
    app.milestone("deleted");
    app.was_responsive();
    app.quit();
    let left = fs::read_dir(store(&desktop)).expect("the store");
    let machines = left.flatten().filter(|entry| entry.path().is_dir()).count();
    assert_eq!(machines, 0);
}
