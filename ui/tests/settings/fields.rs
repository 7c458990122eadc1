//! Name, numbers, firmware and notes.

use std::time::Duration;

use adw::prelude::*;
use ui::backend::Failure;
use vmm_core::definition::Firmware;
use vmm_core::units::Bytes;

use crate::Test;
use crate::stage::{Stage, all, find, run_for, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("a_name_is_checked_as_it_is_typed", a_name_is_checked_as_it_is_typed),
    ("what_is_typed_is_kept_by_itself", what_is_typed_is_kept_by_itself),
    ("sizes_are_checked_against_the_host", sizes_are_checked_against_the_host),
    ("what_cannot_be_kept_is_told_and_taken_back", what_cannot_be_kept_is_told_and_taken_back),
    ("what_waits_for_the_next_start_is_said_so", what_waits_for_the_next_start_is_said_so),
    ("changes_made_elsewhere_are_shown", changes_made_elsewhere_are_shown),
    ("leaving_the_page_keeps_what_was_typed", leaving_the_page_keeps_what_was_typed),
];

/// Longer than a pause in typing.
const PAUSE: Duration = Duration::from_millis(900);

fn name(stage: &Stage) -> adw::EntryRow {
    all::<adw::EntryRow>(&stage.page()).remove(0)
}

fn spin(stage: &Stage, title: &str) -> adw::SpinRow {
    find(&stage.page(), |row: &adw::SpinRow| row.title() == title)
}

fn banner(stage: &Stage) -> bool {
    find::<adw::Banner>(&stage.page(), |_| true).is_revealed()
}

fn a_name_is_checked_as_it_is_typed() {
    let stage = Stage::new();
    let name = name(&stage);
    for (text, says) in [
        ("Other", "Another machine has this name already."),
        ("  ", "Write a name."),
        (&"x".repeat(101), "at most 100 characters"),
    ] {
        name.set_text(text);
        assert!(name.title().contains(says), "{}", name.title());
        assert!(name.has_css_class("error"));
    }
    run_for(PAUSE);
    assert_eq!(stage.kept().name.as_str(), "Debian");
    // Somebody thinks better of it.
    name.grab_focus();
    gtk::prelude::GtkWindowExt::set_focus(&stage.window, None::<&gtk::Widget>);
    wait_for("the old name", || name.text() == "Debian");
    assert_eq!(name.title(), "Name");
    assert!(!name.has_css_class("error"));
}

fn what_is_typed_is_kept_by_itself() {
    let stage = Stage::new();
    name(&stage).set_text(" Trixie ");
    run_for(Duration::from_millis(100));
    assert_eq!(stage.kept().name.as_str(), "Debian", "not with every key");
    wait_for("the name", || stage.kept().name.as_str() == "Trixie");
    assert_eq!(stage.vm.name(), "Trixie");

    find::<gtk::TextView>(&stage.page(), |_| true).buffer().set_text("for\nwork");
    wait_for("the notes", || stage.kept().notes == "for\nwork");
    let firmware: adw::ComboRow =
        find(&stage.page(), |row: &adw::ComboRow| row.title() == "_Firmware");
    firmware.set_selected(1);
    wait_for("the firmware", || stage.kept().firmware == Firmware::Bios);
    // Changes at once are of each other.
    spin(&stage, "_Memory").set_text("3 GiB");
    spin(&stage, "_Processors").set_text("4");
    wait_for("both", || stage.kept().memory == Bytes::gib(3) && stage.kept().cpus == 4);
}

fn sizes_are_checked_against_the_host() {
    let stage = Stage::new();
    let (memory, cpus) = (spin(&stage, "_Memory"), spin(&stage, "_Processors"));
    assert_eq!((memory.text().as_str(), cpus.text().as_str()), ("2 GiB", "2"));
    for (row, text, says) in [
        (&memory, "20 GiB", "This computer has 16 GiB; a machine cannot have more."),
        (&memory, "1 MiB", "It needs at least 64 MiB."),
        (&memory, "much", "Write a size, such as 2 GiB."),
        (&cpus, "9", "This computer has 8; a machine cannot have more."),
        (&cpus, "0", "It needs at least 1."),
        (&cpus, "", "Write a number."),
    ] {
        row.set_text(text);
        assert_eq!(row.subtitle().unwrap(), says);
        assert!(row.has_css_class("error"), "{text}");
    }
    run_for(PAUSE);
    assert_eq!((stage.kept().memory, stage.kept().cpus), (Bytes::gib(2), 2));
    memory.set_text("1,5");
    assert!(!memory.has_css_class("error"));
    wait_for("the memory", || stage.kept().memory == Bytes::mib(1536));
    wait_for("the text", || memory.text() == "1.5 GiB");
    // The buttons beside it.
    memory.set_value(memory.value() + 256.0);
    wait_for("a step", || stage.kept().memory == Bytes::mib(1792));
}

fn what_cannot_be_kept_is_told_and_taken_back() {
    let stage = Stage::new();
    stage.backend.fail_next(Failure::new("The disk is full."));
    let memory = spin(&stage, "_Memory");
    memory.set_text("4 GiB");
    let dialog = stage.dialog();
    let says = |text: &str| {
        all::<gtk::Label>(dialog.upcast_ref()).iter().any(|label| label.text().contains(text))
    };
    assert!(says("The disk is full.") && says("The Change Was Not Kept"));
    stage.answer("Close");
    assert_eq!(memory.text(), "2 GiB");
    assert_eq!(stage.kept().memory, Bytes::gib(2));
    // The next one is kept.
    memory.set_text("4 GiB");
    wait_for("the memory", || stage.kept().memory == Bytes::gib(4));
}

fn what_waits_for_the_next_start_is_said_so() {
    let stage = Stage::new();
    let machine = stage.start();
    assert!(!banner(&stage));
    name(&stage).set_text("Trixie");
    wait_for("the name", || stage.kept().name.as_str() == "Trixie");
    assert!(!banner(&stage), "a name changes at once");
    let memory = spin(&stage, "_Memory");
    memory.set_text("3 GiB");
    wait_for("the banner", || banner(&stage));
    assert_eq!(stage.kept().memory, Bytes::gib(3));
    memory.set_text("2 GiB");
    wait_for("no banner", || !banner(&stage));
    memory.set_text("3 GiB");
    wait_for("the banner", || banner(&stage));
    stage.vm.command(vmm_core::machine::Command::PowerOff);
    wait_for("no banner", || !banner(&stage));
    drop(machine);
}

fn changes_made_elsewhere_are_shown() {
    let stage = Stage::new();
    let changed = vmm_core::definition::Definition {
        memory: Bytes::gib(5),
        notes: "by hand".into(),
        ..stage.kept()
    };
    crate::stage::wait(stage.vm.save(changed)).unwrap();
    assert_eq!(spin(&stage, "_Memory").text(), "5 GiB");
    let buffer = find::<gtk::TextView>(&stage.page(), |_| true).buffer();
    assert_eq!(buffer.text(&buffer.start_iter(), &buffer.end_iter(), false), "by hand");
    run_for(PAUSE);
    assert_eq!(stage.kept().notes, "by hand");
}

fn leaving_the_page_keeps_what_was_typed() {
    let stage = Stage::new();
    name(&stage).set_text("Trixie");
    stage.page().set_visible(false);
    wait_for("the name, without a pause", || stage.kept().name.as_str() == "Trixie");
}
