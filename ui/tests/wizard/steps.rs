//! Going through the wizard.

use adw::prelude::*;
use ui::backend::{Failure, NewDisk};
use ui::fake::{FakeBackend, definition};
use vmm_core::block::Format;
use vmm_core::definition::{DiskBus, Drive, Firmware};
use vmm_core::units::Bytes;

use crate::Test;
use crate::files::{BROKEN, DATA, DEBIAN, IMAGE, UNKNOWN, WHY};
use crate::stage::{Stage, key, settle, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("keys_alone_make_a_machine_of_defaults", keys_alone_make_a_machine_of_defaults),
    ("an_empty_machine_with_changes", an_empty_machine_with_changes),
    ("an_existing_disk", an_existing_disk),
    ("bad_files_are_told_and_replaced", bad_files_are_told_and_replaced),
    ("a_dropped_file_is_taken_at_any_step", a_dropped_file_is_taken_at_any_step),
    ("every_invalid_entry_is_told", every_invalid_entry_is_told),
    ("back_keeps_what_was_typed", back_keeps_what_was_typed),
    ("cancel_at_every_step_leaves_nothing", cancel_at_every_step_leaves_nothing),
    ("creation_can_be_cancelled", creation_can_be_cancelled),
    ("a_failure_is_told_and_nothing_lost", a_failure_is_told_and_nothing_lost),
    ("sliders_and_arrows_write_into_the_entries", sliders_and_arrows_write_into_the_entries),
    ("nothing_is_left_in_memory", nothing_is_left_in_memory),
];

fn keys_alone_make_a_machine_of_defaults() {
    let stage = Stage::new(Some(DEBIAN));
    stage.expect_text("Debian 12");
    for step in ["processing", "disk", "review"] {
        key("Return");
        wait_for(step, || stage.step() == step);
    }
    key("Return");
    wait_for("the machine", || !stage.made.borrow().is_empty());
    wait_for("the end of the wizard", || stage.dialog().is_none());
    let (vm, start) = stage.made.borrow()[0].clone();
    assert!(start);
    assert_eq!(vm.name(), "Debian 12");
    let created = stage.backend.created();
    let disk = NewDisk { file: "disk.qcow2".into(), size: Bytes::gib(20), preallocate: false };
    assert_eq!(created[0].disks, [disk]);
    let made = &created[0].definition;
    assert_eq!((made.memory, made.cpus), (Bytes::gib(2), 2));
    assert_eq!(made.firmware, Firmware::Uefi);
    assert_eq!(made.drives[1], Drive::Optical { file: Some(DEBIAN.into()) });
}

fn an_empty_machine_with_changes() {
    let stage = Stage::new(None);
    assert!(!stage.can_go_on());
    stage.choose_row("Nothing Yet");
    wait_for("a way on", || stage.can_go_on());
    stage.next("processing");
    stage.entry("Memory").set_text("4 GiB");
    stage.entry("Processors").set_text("3");
    stage.next("disk");
    stage.entry("Size").set_text("8");
    stage.row::<adw::SwitchRow>("Reserve the Space Now").set_active(true);
    stage.next("review");
    stage.row::<adw::EntryRow>("Name").set_text("Mine");
    stage.row::<adw::ComboRow>("Firmware").set_selected(1);
    stage.row::<adw::SwitchRow>("Start Now").set_active(false);
    stage.expect_text("4 GiB, 3 processors");
    stage.expect_text("8 GiB, reserved now");
    stage.click("Create");
    wait_for("the machine", || !stage.made.borrow().is_empty());
    assert!(!stage.made.borrow()[0].1);
    let created = stage.backend.created().remove(0);
    let made = created.definition;
    assert_eq!((made.name.as_str(), made.memory, made.cpus), ("Mine", Bytes::gib(4), 3));
    assert_eq!(made.firmware, Firmware::Bios);
    assert_eq!(created.disks[0].size, Bytes::gib(8));
    assert!(created.disks[0].preallocate);
    assert_eq!(made.drives[1], Drive::Optical { file: None });
}

fn an_existing_disk() {
    let stage = Stage::new(Some(IMAGE));
    stage.expect_text("Disk image (qcow2)");
    assert!(stage.reads("40 GiB disk"));
    stage.next("processing");
    // There is a disk already.
    stage.next("review");
    stage.click("Create");
    wait_for("the machine", || !stage.made.borrow().is_empty());
    let created = stage.backend.created().remove(0);
    assert!(created.disks.is_empty());
    assert_eq!(created.definition.name.as_str(), "server");
    let (format, bus) = (Format::Qcow2, DiskBus::Sata);
    let disk = Drive::Disk { file: IMAGE.into(), format, read_only: false, bus };
    assert_eq!(created.definition.drives, [disk, Drive::Optical { file: None }]);
}

fn bad_files_are_told_and_replaced() {
    for (file, says, usable) in [
        (BROKEN, WHY, false),
        ("/nowhere.iso", "does not exist", false),
        (DATA, "Nothing can start from this image", true),
        (UNKNOWN, "A system that is not known here", true),
    ] {
        let stage = Stage::new(Some(file));
        stage.expect_text(says);
        assert_eq!(stage.can_go_on(), usable, "{file}");
        // Another source is always there.
        stage.choose_row("Nothing Yet");
        wait_for("a way on", || stage.can_go_on());
        stage.choose_row("ISO Image");
        stage.expect_text(says);
    }
}

fn a_dropped_file_is_taken_at_any_step() {
    let stage = Stage::new(None);
    let drop = |file: &gtk::gio::File| {
        let dialog = stage.dialog().unwrap();
        let controllers = dialog.observe_controllers();
        let target = controllers
            .iter::<gtk::glib::Object>()
            .flatten()
            .find_map(|controller| controller.downcast::<gtk::DropTarget>().ok());
        // As GTK does when a file is let go above the dialog.
        let value = gtk::glib::BoxedValue(file.to_value());
        target.unwrap().emit_by_name::<bool>("drop", &[&value, &0.0, &0.0])
    };
    assert!(drop(&gtk::gio::File::for_path(DEBIAN)));
    stage.expect_text("Debian 12");
    stage.next("processing");
    stage.entry("Memory").set_text("3 GiB");
    assert!(drop(&gtk::gio::File::for_path(IMAGE)));
    stage.expect_text("Disk image (qcow2)");
    assert_eq!(stage.step(), "source");
    stage.next("processing");
    assert_eq!(stage.entry("Memory").text(), "3 GiB");
    drop(&gtk::gio::File::for_uri("https://example.org/a.iso"));
    stage.expect_text("Only files that are on this computer");
}

fn every_invalid_entry_is_told() {
    let backend = FakeBackend::default();
    backend.add(definition("Taken"));
    backend.set_free_space(Bytes::gib(30));
    let stage = Stage::with(backend, Some(DEBIAN));
    stage.expect_text("Debian 12");
    stage.next("processing");
    let try_all = |entry: &gtk::Editable, cases: &[(&str, &str)], good: &str| {
        for (typed, says) in cases {
            entry.set_text(typed);
            stage.expect_text(says);
            assert!(!stage.can_go_on(), "{typed}");
        }
        entry.set_text(good);
        wait_for("a way on", || stage.can_go_on());
        assert!(!stage.reads(cases[0].1));
    };
    let memory = [
        ("", "Write a size"),
        ("plenty", "Write a size"),
        ("17 GiB", "This computer has 16 GiB"),
        ("1 MiB", "A machine needs at least 64 MiB"),
    ];
    try_all(stage.entry("Memory").upcast_ref(), &memory, "2 GiB");
    stage.entry("Memory").set_text("512 MiB");
    stage.expect_text("Debian 12 needs at least 1 GiB");
    assert!(stage.can_go_on());
    let cpus = [
        ("0", "Write a whole number"),
        ("1.5", "Write a whole number"),
        ("9", "This computer has 8"),
    ];
    try_all(stage.entry("Processors").upcast_ref(), &cpus, "2");
    stage.next("disk");
    let disk =
        [("", "Write a size"), ("1 MiB", "A disk has at least"), ("99 TiB", "A disk has at most")];
    try_all(stage.entry("Size").upcast_ref(), &disk, "20 GiB");
    stage.entry("Size").set_text("40 GiB");
    stage.expect_text("Only 30 GiB are free. The machine pauses");
    assert!(stage.can_go_on());
    stage.row::<adw::SwitchRow>("Reserve the Space Now").set_active(true);
    stage.expect_text("Only 30 GiB are free. Choose a smaller size");
    assert!(!stage.can_go_on());
    stage.row::<adw::SwitchRow>("Add a Disk").set_active(false);
    wait_for("a way on", || stage.can_go_on());
    stage.next("review");
    let long = "x".repeat(101);
    let name = [
        ("", "Give the machine a name"),
        ("  ", "Give the machine a name"),
        ("Taken", "Another machine has this name already"),
        (long.as_str(), "This name is too long"),
    ];
    try_all(stage.row::<adw::EntryRow>("Name").upcast_ref(), &name, "Free");
}

fn back_keeps_what_was_typed() {
    let stage = Stage::new(Some(DEBIAN));
    stage.expect_text("Debian 12");
    stage.next("processing");
    stage.entry("Memory").set_text("lots");
    assert!(!stage.can_go_on());
    key("alt+Left");
    wait_for("the first step", || stage.step() == "source");
    stage.next("processing");
    // Wrong as it is.
    assert_eq!(stage.entry("Memory").text(), "lots");
    stage.entry("Memory").set_text("3 GiB");
    stage.next("disk");
    stage.entry("Size").set_text("12 GiB");
    stage.next("review");
    stage.row::<adw::EntryRow>("Name").set_text("Kept");
    for step in ["disk", "processing", "source"] {
        stage.navigation().pop();
        wait_for(step, || stage.step() == step);
    }
    // Another source, and back, too.
    stage.choose_row("Nothing Yet");
    settle();
    stage.choose_row("ISO Image");
    settle();
    stage.next("processing");
    assert_eq!(stage.entry("Memory").text(), "3 GiB");
    stage.next("disk");
    assert_eq!(stage.entry("Size").text(), "12 GiB");
    stage.next("review");
    assert_eq!(stage.row::<adw::EntryRow>("Name").text(), "Kept");
}

fn cancel_at_every_step_leaves_nothing() {
    let steps = ["source", "processing", "disk", "review"];
    for (index, step) in steps.iter().enumerate() {
        let stage = Stage::new(Some(DEBIAN));
        stage.expect_text("Debian 12");
        for next in &steps[1..=index] {
            stage.next(next);
        }
        assert_eq!(stage.step(), *step);
        stage.click("Cancel");
        wait_for("the end of the wizard", || stage.dialog().is_none());
        assert!(stage.backend.created().is_empty());
    }
    let stage = Stage::new(Some(DEBIAN));
    stage.expect_text("Debian 12");
    stage.next("processing");
    // Escape goes back, and in the end out.
    key("Escape");
    wait_for("the first step", || stage.step() == "source");
    key("Escape");
    wait_for("the end of the wizard", || stage.dialog().is_none());
    assert!(stage.backend.created().is_empty() && stage.made.borrow().is_empty());
}

fn to_review(stage: &Stage) {
    stage.expect_text("Debian 12");
    for step in ["processing", "disk", "review"] {
        stage.next(step);
    }
}

fn creation_can_be_cancelled() {
    let stage = Stage::new(Some(DEBIAN));
    to_review(&stage);
    stage.row::<adw::EntryRow>("Name").set_text("Not now");
    stage.click("Create");
    // Its own dialog shows how far it is.
    stage.expect_text("Creating “Not now”");
    let bar = stage.find(|_: &gtk::ProgressBar| true).unwrap();
    wait_for("progress", || bar.fraction() > 0.0);
    stage.dialog().unwrap().close();
    wait_for("the wizard", || stage.can_go_on());
    assert_eq!(stage.step(), "review");
    assert_eq!(stage.row::<adw::EntryRow>("Name").text(), "Not now");
    assert!(stage.backend.created().is_empty() && stage.made.borrow().is_empty());
    // And once more, in earnest.
    stage.click("Create");
    wait_for("the machine", || !stage.made.borrow().is_empty());
}

fn a_failure_is_told_and_nothing_lost() {
    let stage = Stage::new(Some(DEBIAN));
    to_review(&stage);
    stage.backend.fail_next(Failure::new("There is no space."));
    stage.click("Create");
    stage.expect_text("There is no space.");
    stage.click("Close");
    wait_for("the wizard", || stage.can_go_on());
    assert_eq!(stage.step(), "review");
    stage.click("Create");
    wait_for("the machine", || !stage.made.borrow().is_empty());
}

fn sliders_and_arrows_write_into_the_entries() {
    let stage = Stage::new(Some(DEBIAN));
    stage.expect_text("Debian 12");
    stage.next("processing");
    let entry = stage.entry("Memory");
    assert_eq!(entry.text(), "2 GiB");
    // The entry has the keyboard when the step comes up.
    for shown in ["2.5 GiB", "3 GiB", "3.5 GiB", "4 GiB", "5 GiB"] {
        key("Up");
        assert_eq!(entry.text(), shown);
    }
    key("Down");
    assert_eq!(entry.text(), "4 GiB");
    let scale = stage.find(|_: &gtk::Scale| true).unwrap();
    scale.set_value(scale.adjustment().upper());
    assert_eq!(entry.text(), "16 GiB");
    assert!(stage.can_go_on());
    scale.set_value(scale.adjustment().lower());
    assert_eq!(entry.text(), "64 MiB");
    // And the other way.
    entry.set_text("1 GiB");
    wait_for("the slider", || (scale.value() - 30.0).abs() < 0.01);
    assert_eq!(entry.text(), "1 GiB");
}

fn nothing_is_left_in_memory() {
    let stage = Stage::new(Some(DEBIAN));
    stage.expect_text("Debian 12");
    let dialog = stage.dialog().unwrap().downgrade();
    stage.click("Cancel");
    wait_for("the dialog's end", || dialog.upgrade().is_none());
}
