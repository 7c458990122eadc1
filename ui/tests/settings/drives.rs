//! Disks and media.

use std::path::{Path, PathBuf};

use adw::prelude::*;
use ui::backend::{DiskFacts, Failure, Inspected};
use vmm_core::block::Format;
use vmm_core::block::info::ImageInfo;
use vmm_core::definition::{DiskBus, Drive, MAX_DRIVES};
use vmm_core::machine::{Command, Event};
use vmm_core::media::Found;
use vmm_core::units::Bytes;

use crate::Test;
use crate::stage::{Stage, all, find, run_for, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("drives_tell_what_is_in_them", drives_tell_what_is_in_them),
    ("drives_change_places", drives_change_places),
    ("a_medium_is_inserted_while_off", a_medium_is_inserted_while_off),
    ("media_change_while_the_machine_runs", media_change_while_the_machine_runs),
    ("a_held_medium_can_be_forced_out", a_held_medium_can_be_forced_out),
    ("a_removed_disk_keeps_its_file_or_not", a_removed_disk_keeps_its_file_or_not),
    ("disks_of_running_machines_are_not_deleted", disks_of_running_machines_are_not_deleted),
    ("a_disk_is_made_and_grown", a_disk_is_made_and_grown),
    ("a_disk_grows_while_the_machine_runs", a_disk_grows_while_the_machine_runs),
    ("an_existing_disk_is_added_where_it_is", an_existing_disk_is_added_where_it_is),
];

fn disk(file: &str) -> Drive {
    Drive::Disk { file: file.into(), format: Format::Qcow2, read_only: false, bus: DiskBus::Virtio }
}

fn medium(drive: &Drive) -> Option<&Path> {
    drive.file()
}

/// The rows of drives: title and what is told.
fn rows(stage: &Stage) -> Vec<(String, String)> {
    let drive = |row: &adw::ActionRow| !all::<gtk::MenuButton>(row.upcast_ref()).is_empty();
    all::<adw::ActionRow>(&stage.page())
        .into_iter()
        .filter(drive)
        .map(|row| (row.title().into(), row.subtitle().unwrap_or_default().into()))
        .collect()
}

fn row(stage: &Stage, index: usize, title: &str, says: &str) {
    wait_for(&format!("{title} with {says}, but {:?}", rows(stage)), || {
        let rows = rows(stage);
        rows.get(index).is_some_and(|row| row.0 == title && row.1.contains(says))
    });
}

fn drives_tell_what_is_in_them() {
    let stage = Stage::with(|machine| {
        machine.drives.push(disk("/elsewhere/data.qcow2"));
        machine.drives[1] = Drive::Optical { file: Some("/iso/debian.iso".into()) };
    });
    stage.backend.set_disk("/elsewhere/data.qcow2", Err(Failure::new("It is gone.")));
    row(&stage, 0, "Disk 1", "20 GiB, 3.2 GiB on disk · disk.qcow2");
    row(&stage, 1, "Optical Drive", "Debian 13.1.0 amd64 · debian.iso");
    row(&stage, 2, "Disk 2", "20 GiB");
    look_again(&stage);
    row(&stage, 2, "Disk 2", "It is gone.");
}

/// Has the page look at the drives again, as it does whenever it is shown.
fn look_again(stage: &Stage) {
    stage.page().set_visible(false);
    stage.page().set_visible(true);
}

fn drives_change_places() {
    let stage = Stage::with(|machine| machine.boot_first = Some(1));
    let start: adw::ComboRow =
        find(&stage.page(), |row: &adw::ComboRow| row.title() == "_Start From");
    assert_eq!(start.selected(), 2);
    stage.act("move-down", 0u32);
    wait_for("another order", || matches!(stage.kept().drives[0], Drive::Optical { .. }));
    assert_eq!(stage.kept().boot_first, Some(0));
    row(&stage, 0, "Optical Drive", "Empty");
    assert_eq!(start.selected(), 1);
    start.set_selected(0);
    wait_for("no first drive", || stage.kept().boot_first.is_none());
    start.set_selected(2);
    wait_for("a first drive", || stage.kept().boot_first == Some(1));
    stage.act("toggle-bus", 1u32);
    wait_for("the other bus", || {
        matches!(stage.kept().drives[1], Drive::Disk { bus: DiskBus::Sata, .. })
    });
    stage.act("toggle-bus", 1u32);
    wait_for("the first bus", || {
        matches!(stage.kept().drives[1], Drive::Disk { bus: DiskBus::Virtio, .. })
    });
    stage.act("toggle-read-only", 1u32);
    row(&stage, 1, "Disk", "read-only");
    for _ in 2..MAX_DRIVES {
        stage.act_plain("add-optical");
    }
    wait_for("six drives", || stage.kept().drives.len() == MAX_DRIVES);
    let add = find::<gtk::MenuButton>(&stage.page(), |button| {
        button.tooltip_text().is_some_and(|text| text == "Add Drive")
    });
    wait_for("no more", || !add.is_sensitive());
}

fn a_medium_is_inserted_while_off() {
    let stage = Stage::new();
    stage.act("insert-file", (1u32, "/iso/debian.iso"));
    row(&stage, 1, "Optical Drive", "Debian 13.1.0 amd64");
    assert_eq!(medium(&stage.kept().drives[1]), Some(Path::new("/iso/debian.iso")));
    stage.backend.add_file("/iso/bad.iso", Err(Failure::new("It is truncated.")));
    stage.act("insert-file", (1u32, "/iso/bad.iso"));
    stage.answer("Close");
    assert_eq!(medium(&stage.kept().drives[1]), Some(Path::new("/iso/debian.iso")));
    stage.act("eject", 1u32);
    row(&stage, 1, "Optical Drive", "Empty");
}

fn media_change_while_the_machine_runs() {
    let stage = Stage::new();
    let machine = stage.start();
    stage.act("insert-file", (1u32, "/iso/debian.iso"));
    row(&stage, 1, "Optical Drive", "Debian 13.1.0 amd64");
    let file = Some(PathBuf::from("/iso/debian.iso"));
    let change = Command::ChangeMedium { drive: 1, medium: file.clone(), force: false };
    assert!(machine.received().contains(&change));
    wait_for("the next start's medium", || {
        stage.kept().drives[1] == Drive::Optical { file: file.clone() }
    });
    // The guest ejects it, as installers do at their end.
    machine.tell(Event::Medium { drive: 1, medium: None });
    row(&stage, 1, "Optical Drive", "Empty");
    wait_for("an empty drive", || stage.kept().drives[1] == Drive::Optical { file: None });
    let banner = find::<adw::Banner>(&stage.page(), |_| true);
    assert!(!banner.is_revealed(), "media change at once");
    // A drive that is moved is still the same; one that is new is there from the next start on.
    stage.act("move-up", 1u32);
    wait_for("another order", || matches!(stage.kept().drives[0], Drive::Optical { .. }));
    stage.act_plain("add-optical");
    row(&stage, 2, "Optical Drive 2", "from the next start on");
    stage.act("insert-file", (0u32, "/iso/debian.iso"));
    wait_for("the moved drive's command", || {
        machine.received().iter().filter(|c| **c == change).count() == 2
    });
    stage.act("insert-file", (2u32, "/iso/debian.iso"));
    wait_for("the new drive's medium", || stage.kept().drives[2].file().is_some());
    assert_eq!(
        machine.received().iter().filter(|c| matches!(c, Command::ChangeMedium { .. })).count(),
        2
    );
}

fn a_held_medium_can_be_forced_out() {
    let stage = Stage::with(|machine| {
        machine.drives[1] = Drive::Optical { file: Some("/iso/debian.iso".into()) }
    });
    let machine = stage.start();
    machine.hold_media(true);
    let forced = Command::ChangeMedium { drive: 1, medium: None, force: true };
    stage.act("eject", 1u32);
    stage.answer("Cancel");
    run_for(std::time::Duration::from_millis(100));
    assert!(!machine.received().contains(&forced));
    assert!(medium(&stage.kept().drives[1]).is_some());
    stage.act("eject", 1u32);
    stage.answer("Force");
    row(&stage, 1, "Optical Drive", "Empty");
    assert!(machine.received().contains(&forced));
    wait_for("an empty drive", || medium(&stage.kept().drives[1]).is_none());
}

fn a_removed_disk_keeps_its_file_or_not() {
    let stage = Stage::with(|machine| {
        machine.drives.insert(1, disk("two.qcow2"));
        machine.drives.push(disk("/elsewhere/data.qcow2"));
    });
    stage.act("remove", 0u32);
    stage.answer("Cancel");
    assert_eq!(stage.kept().drives.len(), 4);
    stage.act("remove", 0u32);
    stage.answer("Keep File");
    wait_for("a drive less", || stage.kept().drives.len() == 3);
    stage.act("remove", 0u32);
    stage.answer("Delete File");
    wait_for("another", || stage.kept().drives.len() == 2);
    let folder = stage.vm.folder();
    wait_for("no file", || stage.backend.is_deleted(folder.join("two.qcow2")));
    assert!(!stage.backend.is_deleted(folder.join("disk.qcow2")));
    // What is elsewhere stays there, without a question.
    stage.act("remove", 1u32);
    wait_for("the last", || stage.kept().drives == [Drive::Optical { file: None }]);
    assert!(!stage.backend.is_deleted("/elsewhere/data.qcow2"));
}

fn disks_of_running_machines_are_not_deleted() {
    let stage = Stage::new();
    let _machine = stage.start();
    stage.act("remove", 0u32);
    wait_for("a drive less", || stage.kept().drives.len() == 1);
    assert!(!stage.backend.is_deleted(stage.vm.folder().join("disk.qcow2")));
    let banner = find::<adw::Banner>(&stage.page(), |_| true);
    assert!(banner.is_revealed());
}

fn a_disk_is_made_and_grown() {
    let stage = Stage::new();
    stage.backend.set_free_space(Bytes::gib(30));
    stage.act_plain("add-disk");
    let dialog = stage.dialog();
    let size = find::<adw::EntryRow>(dialog.upcast_ref(), |_| true);
    let says = |text: &str| {
        all::<gtk::Label>(dialog.upcast_ref()).iter().any(|label| label.text().contains(text))
    };
    size.set_text("40 GiB");
    assert!(says("Only 30 GiB are free. The machine pauses when they are used up."));
    let reserve = find::<adw::SwitchRow>(dialog.upcast_ref(), |_| true);
    reserve.set_active(true);
    assert!(says("Only 30 GiB are free.") && size.has_css_class("error"));
    size.set_text("8 GiB");
    stage.answer("Create");
    row(&stage, 1, "Disk 2", "8 GiB");
    let Drive::Disk { file, .. } = &stage.kept().drives[1] else { panic!("a disk") };
    let whole = stage.vm.folder().join(file);

    stage.act("grow", 1u32);
    let size = find::<adw::EntryRow>(stage.dialog().upcast_ref(), |_| true);
    size.set_text("4 GiB");
    assert!(size.has_css_class("error"), "a disk does not shrink");
    size.set_text("12 GiB");
    stage.answer("Make Larger");
    row(&stage, 1, "Disk 2", "12 GiB");
    let facts = DiskFacts { size: Bytes::gib(12), used: Bytes::mib(1) };
    stage.backend.set_disk(whole, Ok(facts));
}

fn a_disk_grows_while_the_machine_runs() {
    let stage = Stage::new();
    let whole = stage.vm.folder().join("disk.qcow2");
    stage.backend.set_disk(whole.clone(), Ok(facts(Bytes::gib(8))));
    look_again(&stage);
    let machine = stage.start();
    row(&stage, 0, "Disk", "8 GiB");
    stage.act("grow", 0u32);
    let size = find::<adw::EntryRow>(stage.dialog().upcast_ref(), |_| true);
    size.set_text("12 GiB");
    stage.backend.set_disk(whole, Ok(facts(Bytes::gib(12))));
    stage.answer("Make Larger");
    row(&stage, 0, "Disk", "12 GiB");
    let grow = Command::GrowDisk { drive: 0, size: Bytes::gib(12) };
    assert!(machine.received().contains(&grow));
    // A guest does not notice that a SATA disk has grown, and one that is not the running
    // machine's cannot.
    let offered = || {
        let page = stage.page();
        let menus = all::<gtk::MenuButton>(&page);
        let models: Vec<_> = menus.iter().filter_map(gtk::MenuButton::menu_model).collect();
        models.iter().any(offers_growing)
    };
    assert!(offered());
    stage.act("toggle-bus", 0u32);
    wait_for("no way to grow it", || !offered());
}

fn facts(size: Bytes) -> DiskFacts {
    DiskFacts { size, used: Bytes::mib(1) }
}

/// Whether a menu has an entry that makes a disk larger.
fn offers_growing(menu: &gtk::gio::MenuModel) -> bool {
    (0..menu.n_items()).any(|item| {
        let action = menu.item_attribute_value(item, "action", None);
        action.is_some_and(|action| action.str() == Some("drives.grow"))
            || menu.item_link(item, "section").is_some_and(|section| offers_growing(&section))
    })
}

fn an_existing_disk_is_added_where_it_is() {
    let stage = Stage::new();
    let image = ImageInfo {
        path: "/images/a.raw".into(),
        format: Format::Raw,
        virtual_size: Bytes::gib(1),
        actual_size: Bytes::gib(1),
        cluster_size: None,
        snapshots: 0,
        backing_name: None,
        backing: Vec::new(),
    };
    let inspected = Inspected { found: Found::Disk(image), system: None };
    stage.backend.add_file("/images/a.raw", Ok(inspected));
    stage.act("add-file", "/images/a.raw");
    wait_for("another drive", || stage.kept().drives.len() == 3);
    let (file, format, bus) = ("/images/a.raw".into(), Format::Raw, DiskBus::Virtio);
    let wanted = Drive::Disk { file, format, read_only: false, bus };
    assert_eq!(stage.kept().drives[1], wanted);
    // Once is enough, and an ISO image is no disk.
    for file in ["/images/a.raw", "/iso/debian.iso"] {
        stage.act("add-file", file);
        stage.answer("Close");
    }
    assert_eq!(stage.kept().drives.len(), 3);
}
