//! Ports that lead into the machine.

use adw::prelude::*;
use vmm_core::net::PortForward;

use crate::Test;
use crate::program::xdotool;
use crate::stage::{Stage, all, wait_for};

pub(crate) const TESTS: &[Test] =
    &[("ports_are_typed_one_after_another", ports_are_typed_one_after_another)];

fn ports_are_typed_one_after_another() {
    let stage = Stage::with(|definition| {
        definition.network.get_or_insert_default().enabled = true;
    });
    let forwards = || stage.kept().network.unwrap().forwards;
    let rows = all::<adw::EntryRow>(&stage.page());
    let new = rows.into_iter().find(|row| row.title().contains("2222:22")).unwrap();
    new.grab_focus();
    // Nobody takes the focus there again.
    for (count, port) in ["2222:22", "8080:80"].into_iter().enumerate() {
        xdotool(&format!("type {port}"));
        wait_for("the text", || new.text() == port);
        xdotool("key Return");
        wait_for("the port", || forwards().len() == count + 1 && new.text().is_empty());
        wait_for("its row", || {
            let rows = all::<adw::ActionRow>(&stage.page());
            rows.iter().any(|row| row.subtitle().is_some_and(|says| says == port))
        });
    }
    let port = |text: &str| text.parse::<PortForward>().unwrap();
    assert_eq!(forwards(), [port("2222:22"), port("8080:80")]);
}
