//! Downloading a system.

use adw::prelude::*;
use ui::backend::{Failure, Offer};
use ui::fake::FakeBackend;
use vmm_core::download::Kind;
use vmm_core::units::Bytes;

use crate::Test;
use crate::files::{self, DEBIAN};
use crate::stage::{Stage, key, settle, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("keys_alone_download_a_system", keys_alone_download_a_system),
    ("a_stopped_download_goes_on_or_is_deleted", a_stopped_download_goes_on_or_is_deleted),
    ("a_failed_download_is_told", a_failed_download_is_told),
    ("leaving_the_page_stops_the_download", leaving_the_page_stops_the_download),
];

/// A backend with systems to download, the first of which becomes Debian's installer.
pub(crate) fn backend() -> FakeBackend {
    let backend = FakeBackend::default();
    files::add(&backend);
    let offer = |name: &str, publisher: &str, kind, size| Offer {
        name: name.into(),
        publisher: publisher.into(),
        kind,
        size,
        begun: None,
    };
    backend.set_offers(vec![
        offer("Debian 12", "Debian Project", Kind::NetworkInstaller, Bytes::mib(629)),
        offer("Fedora Workstation 43", "Fedora Project", Kind::Live, Bytes::mib(2700)),
        Offer {
            begun: Some(Bytes::mib(1234)),
            ..offer("openSUSE Tumbleweed", "openSUSE Project", Kind::Installer, Bytes::mib(4600))
        },
    ]);
    let debian = gtk::glib::MainContext::default()
        .block_on(ui::backend::Backend::inspect(&backend, DEBIAN.into()));
    backend.add_file("/fake/Debian 12.iso", debian);
    backend
}

/// The wizard at the list of systems.
fn at_the_list() -> Stage {
    let stage = Stage::with(backend(), None);
    stage.choose_row("Download an Operating System…");
    wait_for("the page", || stage.step() == "download");
    stage.expect_text("Fedora Workstation 43");
    stage
}

fn begun(stage: &Stage) -> Option<Bytes> {
    let offers =
        gtk::glib::MainContext::default().block_on(ui::backend::Backend::offers(&stage.backend));
    offers[0].begun
}

fn keys_alone_download_a_system() {
    let stage = Stage::with(backend(), None);
    // From the button that chooses a file to the row below it.
    key("Down");
    key("Return");
    wait_for("the page", || stage.step() == "download");
    stage.expect_text("Fedora Workstation 43");
    assert!(!stage.button("Next").is_sensitive());
    key("Return");
    stage.expect_text("Downloading Debian 12");
    stage.expect_text("of 629 MiB");
    stage.expect_text("less than a minute left");
    wait_for("the end", || stage.step() == "source");
    stage.expect_text("Debian 12.iso");
    assert!(stage.can_go_on());
    for step in ["processing", "disk", "review"] {
        key("Return");
        wait_for(step, || stage.step() == step);
    }
}

fn a_stopped_download_goes_on_or_is_deleted() {
    let stage = at_the_list();
    stage.choose_row("Debian 12");
    stage.expect_text("of 629 MiB");
    stage.click("Stop");
    stage.expect_text("of about 629 MiB arrived");
    let had = begun(&stage).unwrap();
    assert!(!stage.reads("Cancelled"));
    stage.choose_row("Debian 12");
    wait_for("more", || begun(&stage).is_some_and(|begun| begun > had));
    stage.click("Stop");
    settle();
    let delete =
        |button: &gtk::Button| button.tooltip_text().as_deref() == Some("Delete What Has Arrived");
    stage.find(delete).unwrap().emit_clicked();
    wait_for("nothing", || begun(&stage).is_none());
    assert!(!stage.reads("of about 629 MiB arrived"));
}

fn a_failed_download_is_told() {
    let stage = at_the_list();
    stage.choose_row("Debian 12");
    stage.expect_text("of 629 MiB");
    stage.backend.fail_next(Failure::new("“example.org” has stopped answering; try again later."));
    stage.expect_text("“example.org” has stopped answering");
    stage.expect_text("of about 629 MiB arrived");
    // The next attempt takes the remark away, and goes on.
    stage.choose_row("Debian 12");
    wait_for("the end", || stage.step() == "source");
    stage.expect_text("Debian 12.iso");
}

fn leaving_the_page_stops_the_download() {
    let stage = at_the_list();
    stage.choose_row("Debian 12");
    wait_for("a beginning", || begun(&stage).is_some());
    stage.navigation().pop();
    settle();
    settle();
    let had = begun(&stage);
    settle();
    settle();
    assert_eq!(begun(&stage), had);
    assert_eq!(stage.step(), "source");
    // So does leaving the wizard.
    stage.choose_row("Download an Operating System…");
    stage.choose_row("Debian 12");
    wait_for("more", || begun(&stage) > had);
    stage.click("Cancel");
    wait_for("the end of the wizard", || stage.dialog().is_none());
    settle();
    settle();
    let had = begun(&stage);
    settle();
    settle();
    assert_eq!(begun(&stage), had);
}
