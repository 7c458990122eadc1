//! A window without machines: the greeting, and what stands in the way of running any.

use std::process::Command;

use berth_tests::berth;
use berth_tests::desktop::{App, Desktop, State};

#[test]
fn the_greeting_offers_a_new_machine() {
    let desktop = Desktop::start("empty");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("label", "No Virtual Machines Yet");
    assert!(app.find("button", "New Virtual Machine…").is(State::Sensitive));
    app.milestone("greeting");
    app.press("button", "New Virtual Machine…");
    app.press("list item", "Download an Operating System…");
    let system = app.find("list item", "Debian 13");
    // The page slides in.
    let mut place = None;
    app.until("the list stands", || {
        let now = system.extents().ok();
        std::mem::replace(&mut place, now) == now
    });
    app.portrait("download");
    app.press("button", "Cancel");
    app.gone("dialog", "New Virtual Machine");
    app.was_responsive();
    app.quit();
}

#[test]
fn the_keyboard_reaches_everything() {
    let desktop = Desktop::start("empty-keyboard");
    let mut app = App::start(&desktop, [""; 0]);
    app.find("label", "No Virtual Machines Yet");
    for name in ["New Virtual Machine", "Search", "Main Menu", "New Virtual Machine…"] {
        app.tab_to(name);
    }
    app.key("Return");
    app.find("dialog", "New Virtual Machine");
    app.key("Escape");
    app.gone("dialog", "New Virtual Machine");
    app.key("ctrl+n");
    app.find("dialog", "New Virtual Machine");
    app.key("Escape");
    app.gone("dialog", "New Virtual Machine");
    app.was_responsive();
    app.quit();
}

/// `berth open` after the commands of `script`, which see a file system of their own.
pub(crate) fn where_changed(desktop: &Desktop, script: &str) -> Command {
    let mut command = desktop.command("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--map-current-user", "--keep-caps"]);
    }
    command.args(["sh", "-ec", &format!("{script}\nexec \"$0\" open")]).arg(berth());
    command
}

#[test]
fn a_missing_kvm_is_told_with_the_way_out() {
    let desktop = Desktop::start("no-kvm");
    let script = "mount -t tmpfs none /dev; mkdir /dev/shm; : >/dev/null";
    let mut app = App::run(&desktop, where_changed(&desktop, script));
    app.find("label", "Virtualization Is Not Available");
    app.find("label", ".*sudo modprobe.*");
    assert!(app.find("button", "Copy Command").is(State::Sensitive));
    app.milestone("no-kvm");
    // A machine can still be made.
    assert!(app.find("button", "New Virtual Machine…").is(State::Sensitive));
    app.was_responsive();
    app.quit();
}

#[test]
fn missing_firmware_is_told_with_the_way_out() {
    let desktop = Desktop::start("no-firmware");
    let script = "for folder in /usr/share/seabios /usr/share/qemu; do \
                  mount -t tmpfs none $folder; done";
    let mut app = App::run(&desktop, where_changed(&desktop, script));
    app.find("label", "No BIOS Firmware Is Installed");
    app.find("label", ".*seabios.*");
    app.milestone("no-firmware");
    app.was_responsive();
    app.quit();
}
