//! Files dragged from a file manager.

use std::fs;

use berth_tests::desktop::{App, Desktop, State, Wizard, new_machine, store};
use berth_tests::image;

#[test]
fn what_is_dropped_on_the_window_is_for_the_wizard_and_on_a_drive_for_the_drive() {
    let desktop = Desktop::start("drop");
    new_machine(&desktop, &["desk", "--firmware", "bios", "--memory", "64M", "--size", "1G"]);
    let letter = desktop.home().join("letter.txt");
    fs::write(&letter, "Dear reader").expect("a file");
    let mut app = App::start(&desktop, [""; 0]);
    app.choose("desk");
    assert!(app.drag_onto(&app.find("label", "“desk” Is Off"), &image("grub.iso")));
    let wizard = Wizard::shown(&app);
    app.find("list item", "grub.iso");
    app.milestone("medium");

    // What is no medium is told of, and another one may take its place.
    let folder = desktop.home();
    for (unfit, told) in
        [(letter.as_path(), ".*is not a disk image.*"), (folder, ".*is a directory.*")]
    {
        assert!(app.drag_onto(&app.find("label", "Install From"), unfit));
        app.find("label", told);
        assert!(!app.find("button", "Next").is(State::Sensitive));
    }
    assert!(app.drag_onto(&app.find("label", "Install From"), &image("memtest.iso")));
    app.find("list item", "memtest.iso");
    wizard.next("Memory and Processors");
    app.press("button", "Cancel");
    app.gone("dialog", "New Virtual Machine");

    app.show_page("Settings");
    let drive = app.find("list item", "Optical Drive");
    assert!(app.drag_onto(&drive, &image("grub.iso")));
    app.find("label", ".*grub.iso");
    app.milestone("drive");
    let definition = store(&desktop).join("desk/machine.toml");
    app.until("the medium is kept", || {
        fs::read_to_string(&definition).is_ok_and(|text| text.contains("grub.iso"))
    });
    app.was_responsive();
    app.quit();
}
