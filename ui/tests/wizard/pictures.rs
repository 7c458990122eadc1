//! Pictures of every step, for people to look at.

use adw::prelude::*;
use ui::backend::Failure;
use ui::fake::{FakeBackend, definition};
use vmm_core::units::Bytes;

use crate::Test;
use crate::files::{BROKEN, DEBIAN, IMAGE};
use crate::program::{again_in_high_contrast, keep_pictures};
use crate::stage::{Stage, settle};

pub(crate) const TESTS: &[Test] = &[("every_step_has_a_picture", every_step_has_a_picture)];

/// Saves what the window shows, in light and dark.
fn picture(stage: &Stage, name: &str) {
    let style = adw::StyleManager::default();
    for (scheme, shade) in
        [(adw::ColorScheme::ForceLight, "light"), (adw::ColorScheme::ForceDark, "dark")]
    {
        style.set_color_scheme(scheme);
        settle();
        keep_pictures(&stage.window, &format!("wizard-{name}-{shade}"));
    }
    style.set_color_scheme(adw::ColorScheme::ForceLight);
    settle();
}

fn every_step_has_a_picture() {
    let media = tempfile::tempdir().unwrap();
    let backend = FakeBackend::default();
    for name in ["Fedora-Workstation-Live-42.iso", "alpine-standard-3.20.0-x86_64.iso"] {
        let file = media.path().join(name);
        std::fs::write(&file, "x").unwrap();
        let mut definition = definition(name);
        definition.drives[1] = vmm_core::definition::Drive::Optical { file: Some(file) };
        backend.add(definition);
    }
    let stage = Stage::with(backend.clone(), None);
    stage.expect_text("Used Lately");
    picture(&stage, "1-source-empty");
    drop(stage);

    let stage = Stage::with(backend.clone(), Some(DEBIAN));
    stage.expect_text("Debian 12");
    picture(&stage, "1-source");
    stage.next("processing");
    picture(&stage, "2-processing");
    stage.entry("Memory").set_text("20 GiB");
    stage.entry("Processors").set_text("0");
    stage.expect_text("This computer has 16 GiB");
    picture(&stage, "2-processing-invalid");
    stage.entry("Memory").set_text("15 GiB");
    stage.entry("Processors").set_text("2");
    stage.expect_text("This leaves little");
    picture(&stage, "2-processing-warning");
    stage.next("disk");
    picture(&stage, "3-disk");
    stage.backend.set_free_space(Bytes::gib(30));
    stage.next("review");
    picture(&stage, "4-review");
    stage.row::<adw::EntryRow>("Name").set_text("Fedora-Workstation-Live-42.iso");
    stage.expect_text("Another machine has this name");
    picture(&stage, "4-review-invalid");
    stage.row::<adw::EntryRow>("Name").set_text("Debian");
    stage.click("Create");
    stage.expect_text("Creating “Debian”");
    picture(&stage, "5-creating");
    drop(stage);

    let stage = Stage::new(Some(BROKEN));
    stage.expect_text("truncated");
    picture(&stage, "1-source-broken");
    drop(stage);

    let stage = Stage::with(crate::download::backend(), None);
    stage.choose_row("Download an Operating System…");
    stage.expect_text("openSUSE Tumbleweed");
    picture(&stage, "1-download");
    stage.choose_row("Fedora Workstation 43");
    stage.expect_text("left");
    picture(&stage, "1-download-running");
    stage.backend.fail_next(Failure::new(
        "There is not enough space in “/home/somebody/.local/share/berth/.downloads”; 2,466 MiB more are needed, 512 MiB are free.",
    ));
    stage.expect_text("There is not enough space");
    picture(&stage, "1-download-failed");
    drop(stage);

    // As narrow as it gets.
    let stage = Stage::sized((360, 640), FakeBackend::default(), Some(IMAGE));
    stage.expect_text("qcow2");
    assert!(stage.window.width() <= 360);
    picture(&stage, "1-source-image-narrow");
    stage.next("processing");
    picture(&stage, "2-processing-narrow");
    drop(stage);
    again_in_high_contrast("every_step_has_a_picture");
}
