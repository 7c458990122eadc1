//! Pictures, to be looked at.

use adw::prelude::*;
use ui::backend::Failure;
use ui::preferences::Preferences;
use vmm_core::block::Format;
use vmm_core::definition::{DiskBus, Drive};

use crate::Test;
use crate::program::again_in_high_contrast;
use crate::stage::{Stage, all, find, picture, run_for, wait_for};

pub(crate) const TESTS: &[Test] = &[("everything_is_drawn", everything_is_drawn)];

fn everything_is_drawn() {
    let style = adw::StyleManager::default();
    for (scheme, suffix) in
        [(adw::ColorScheme::ForceLight, "light"), (adw::ColorScheme::ForceDark, "dark")]
    {
        style.set_color_scheme(scheme);
        page(suffix);
        dialogs(suffix);
    }
    style.set_color_scheme(adw::ColorScheme::Default);
    again_in_high_contrast("everything_is_drawn");
}

fn page(suffix: &str) {
    let stage = Stage::with(|machine| {
        machine.notes = "Builds the packages.\nRoot's password is in the safe.".into();
        machine.drives[1] = Drive::Optical { file: Some("/iso/debian.iso".into()) };
        machine.drives.push(Drive::Disk {
            file: "/srv/data.raw".into(),
            format: Format::Raw,
            read_only: true,
            bus: DiskBus::Sata,
        });
    });
    stage.backend.set_disk("/srv/old.qcow2", Err(Failure::new("“/srv/old.qcow2” does not exist.")));
    picture(&stage.window, &format!("settings-{suffix}"));
    all::<adw::EntryRow>(&stage.page())[0].set_text("Other");
    find(&stage.page(), |row: &adw::SpinRow| row.title() == "_Memory").set_text("20 GiB");
    picture(&stage.window, &format!("settings-invalid-{suffix}"));
    drop(stage);

    let stage = Stage::new();
    let _machine = stage.start();
    stage.backend.set_disk("/srv/old.qcow2", Err(Failure::new("“/srv/old.qcow2” does not exist.")));
    let mut changed = stage.kept();
    changed.drives.push(Drive::Disk {
        file: "/srv/old.qcow2".into(),
        format: Format::Qcow2,
        read_only: false,
        bus: DiskBus::Sata,
    });
    changed.drives.push(Drive::Optical { file: None });
    crate::stage::wait(stage.vm.save(changed)).unwrap();
    wait_for("the banner", || find::<adw::Banner>(&stage.page(), |_| true).is_revealed());
    picture(&stage.window, &format!("settings-running-{suffix}"));
    let options = all::<gtk::MenuButton>(&stage.page());
    stage.act_plain("add-disk");
    stage.dialog();
    picture(&stage.window, &format!("settings-new-disk-{suffix}"));
    stage.answer("Cancel");
    assert!(options.len() > 3);
    stage.vm.command(vmm_core::machine::Command::PowerOff);
    wait_for("an end", || !stage.vm.status().is_live());
    stage.act("remove", 0u32);
    stage.dialog();
    picture(&stage.window, &format!("settings-remove-{suffix}"));
    stage.answer("Cancel");
    // As narrow as it may become.
    stage.window.set_default_size(360, 640);
    run_for(std::time::Duration::from_millis(200));
    picture(&stage.window, &format!("settings-narrow-{suffix}"));
}

fn dialogs(suffix: &str) {
    let window = adw::Window::builder()
        .default_width(720)
        .default_height(900)
        .content(&gtk::Label::new(None))
        .build();
    window.present();
    wait_for("a window", || window.is_mapped());
    let preferences = Preferences::in_memory();
    let show = |dialog: &adw::Dialog, name: &str| {
        dialog.present(Some(&window));
        wait_for("a dialog", || window.visible_dialog().is_some());
        picture(&window, &format!("{name}-{suffix}"));
        dialog.force_close();
        wait_for("no dialog", || window.visible_dialog().is_none());
    };
    show(ui::preferences::dialog(&preferences).upcast_ref(), "preferences");
    show(&ui::shortcuts::dialog(&preferences), "shortcuts");
    show(ui::about::dialog().upcast_ref(), "about");
    window.destroy();
}
