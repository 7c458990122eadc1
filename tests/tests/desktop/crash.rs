//! Guests that crash, beside guests that do not.

use std::fs;

use berth_tests::desktop::{App, Desktop, new_machine};

use crate::guest::{BOOT, grub};

/// A boot sector that asks for what an emulating `/dev/kvm` does not have, and else for an
/// interrupt when there are none: a triple fault, over and over.
///
/// ```text
/// popcnt ax, ax
/// cli
/// lidt [cs:0x7c20]
/// ud2
/// ```
const CRASH: [u8; 13] =
    [0xf3, 0x0f, 0xb8, 0xc0, 0xfa, 0x2e, 0x0f, 0x01, 0x1e, 0x20, 0x7c, 0x0f, 0x0b];

#[test]
fn one_machine_crashes_and_the_other_lives() {
    let desktop = Desktop::start("crash");
    let disk = desktop.home().join("crash.img");
    let mut content = vec![0; 1 << 20];
    content[..CRASH.len()].copy_from_slice(&CRASH);
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(&disk, content).expect("the disk");
    let option = format!("{},format=raw", disk.display());
    new_machine(&desktop, &["crash", "--disk", &option, "--firmware", "bios", "--memory", "64M"]);
    grub(&desktop, "good");

    let mut app = App::start(&desktop, [""; 0]);
    app.choose("good");
    app.press("button", "Start");
    app.find("list item", "good, Running");
    app.choose("crash");
    app.press("button", "Start");
    app.find("list item", "crash, Running");
    app.find_within(BOOT, "list item", "crash, Stopped by an error");
    app.milestone("crashed");
    app.find("button", "Show Log");
    app.press("button", "Show Log");
    app.find("dialog", "Log of “crash”");
    app.milestone("log");
    app.key("Escape");
    app.gone("dialog", "Log of “crash”");

    // The other goes on, and answers.
    app.find("list item", "good, Running");
    app.choose("good");
    app.until_within(BOOT, "GRUB's menu", || app.screen().contains("*BERTH GRUB ready"));
    app.type_to_guest("Down");
    app.until("the second entry is chosen", || app.screen().contains("*BERTH second entry"));
    app.milestone("the-other-lives");

    // And the one that crashed can be started again.
    app.choose("crash");
    app.press("button", "Start");
    app.find("list item", "crash, Running");
    app.was_responsive();
}
