//! What the desktop hears of while no window is shown: machines that ended or stand still, and the
//! wish to go on, which a sandbox has to tell.

use std::collections::HashMap;

use adw::prelude::*;
use gettextrs::{gettext, ngettext};
use gtk::{gio, glib};

use super::SHOW_MACHINE;
use crate::machines::Vm;

/// Where every program that is in a Flatpak finds what it may do.
const FLATPAK: &str = "/.flatpak-info";

/// Tells that a machine ended by itself, or failed.
pub(super) fn tell_ended(application: &adw::Application, vm: &Vm) {
    let (title, body) = match vm.notice() {
        Some(notice) => (gettext("“{name}” Was Stopped by an Error"), notice),
        None => (gettext("“{name}” Is Off"), gettext("Its guest has shut down.")),
    };
    tell(application, vm, &title, &body);
}

/// Tells that a machine stands still, and why.
pub(super) fn tell_paused(application: &adw::Application, vm: &Vm) {
    if let Some(notice) = vm.notice() {
        tell(application, vm, &gettext("“{name}” Is Paused"), &notice);
    }
}

/// Takes back what was told of a machine that goes on.
pub(super) fn withdraw(application: &adw::Application, vm: &Vm) {
    if let Some(folder) = vm.id().0.to_str() {
        application.withdraw_notification(folder);
    }
}

fn tell(application: &adw::Application, vm: &Vm, title: &str, body: &str) {
    let id = vm.id();
    // What is not text cannot be asked for over D-Bus.
    let Some(folder) = id.0.to_str() else { return };
    let notification = gio::Notification::new(&title.replace("{name}", &vm.name()));
    notification.set_body(Some(body));
    let action = format!("app.{SHOW_MACHINE}");
    notification.set_default_action_and_target_value(&action, Some(&folder.to_variant()));
    application.send_notification(Some(folder), &notification);
}

/// Asks the desktop to let this program run without a window while `machines` run, if it is in a
/// Flatpak (`org.freedesktop.portal.Background`). A desktop without the portal ends nobody.
pub(super) fn ask(machines: usize) {
    if !std::path::Path::new(FLATPAK).exists() {
        return;
    }
    let reason = ngettext("A machine is running.", "Machines are running.", machines as u32);
    glib::spawn_future_local(async move {
        if let Err(error) = request(&reason).await {
            tracing::info!(%error, "the desktop was not asked to let machines run on");
        }
    });
}

async fn request(reason: &str) -> Result<(), glib::Error> {
    let bus = gio::bus_get_future(gio::BusType::Session).await?;
    let options = HashMap::from([("reason", reason.to_variant())]);
    bus.call_future(
        Some("org.freedesktop.portal.Desktop"),
        "/org/freedesktop/portal/desktop",
        "org.freedesktop.portal.Background",
        "RequestBackground",
        Some(&("", options).to_variant()),
        None,
        gio::DBusCallFlags::NONE,
        -1,
    )
    .await?;
    Ok(())
}
