//! What is in optical drives: chosen, changed and ejected, also while the machine runs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use vmm_core::definition::{Definition, Drive};
use vmm_core::machine::Command;

use super::edit::running_drive;
use super::facts;
use crate::machines::Status;
use crate::preferences::Preferences;
use crate::settings::context::Context;

/// What the running machine's drives were told to take, by their indices in it, until they have.
pub(super) type Wishes = Rc<RefCell<HashMap<usize, Option<PathBuf>>>>;

/// Which drive of the running machine is drive `index`; `None` when it is off, or the drive is
/// there from the next start on.
pub(super) fn running(context: &Context, index: usize) -> Option<usize> {
    let started = context.vm.started_with()?;
    running_drive(&context.vm.definition()?.drives, &started.drives, index)
}

/// Puts `medium` into drive `index`, or empties it.
pub(super) async fn change(
    context: Rc<Context>,
    wishes: Wishes,
    index: usize,
    medium: Option<PathBuf>,
) {
    if let Some(file) = &medium {
        let backend = context.machines.backend().clone();
        if let Err(failure) = facts::medium(&*backend, file).await {
            context.fail(&gettext("The Medium Cannot Be Used"), &failure);
            return;
        }
        Preferences::shared().add_recent_iso(file);
    }
    match running(&context, index) {
        Some(drive) => {
            wishes.borrow_mut().insert(drive, medium.clone());
            context.vm.command(Command::ChangeMedium { drive, medium, force: false });
        }
        None => {
            context.changed(move |definition| set(definition, index, medium)).await;
        }
    }
}

/// The guest holds the medium in `drive` of the running machine: asks whether to take it anyway.
pub(super) async fn force(context: Rc<Context>, wishes: Wishes, drive: usize) {
    let Some(medium) = wishes.borrow_mut().remove(&drive) else { return };
    let Some(parent) = context.parent() else { return };
    let body = if context.vm.status() == Status::Paused {
        gettext(
            "The guest uses the medium, and cannot give it free while it is paused. Forcing the \
             change is like pulling it out of the drive: what the guest reads from it then fails.",
        )
    } else {
        gettext(
            "The guest uses the medium and did not give it free when asked to. Forcing the change \
             is like pulling it out of the drive: what the guest reads from it then fails.",
        )
    };
    let dialog = adw::AlertDialog::new(Some(&gettext("The Drive Is Locked")), Some(&body));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("force", &gettext("_Force"))]);
    dialog.set_response_appearance("force", adw::ResponseAppearance::Destructive);
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    if dialog.choose_future(Some(&parent)).await == "force" {
        context.vm.command(Command::ChangeMedium { drive, medium, force: true });
    }
}

/// Keeps for the next start what is in the running machine's drives now, as a drive keeps its
/// medium when a computer is turned off.
pub(super) fn keep(context: &Rc<Context>, wishes: &Wishes) {
    let Some(definition) = context.vm.definition() else { return };
    for (index, drive) in definition.drives.iter().enumerate() {
        let Some(at) = running(context, index) else { continue };
        let now = context.vm.medium(at);
        if wishes.borrow().get(&at) == Some(&now) {
            wishes.borrow_mut().remove(&at);
        }
        if drive.file() != now.as_deref() {
            context.change(move |definition| set(definition, index, now));
        }
    }
}

fn set(definition: &mut Definition, index: usize, medium: Option<PathBuf>) {
    if let Some(Drive::Optical { file }) = definition.drives.get_mut(index) {
        *file = medium;
    }
}

/// Lets a person choose an ISO image.
pub(super) async fn choose(context: &Context, current: Option<PathBuf>) -> Option<PathBuf> {
    let folder = current
        .and_then(|file| file.parent().map(PathBuf::from))
        .or_else(|| Preferences::shared().default_folder());
    let images = gtk::FileFilter::new();
    images.set_name(Some(&gettext("ISO Images")));
    images.add_suffix("iso");
    images.add_mime_type("application/vnd.efi.iso");
    images.add_mime_type("application/x-cd-image");
    choose_file(context, &gettext("Insert Medium"), folder, images).await
}

/// Lets a person choose a file.
pub(super) async fn choose_file(
    context: &Context,
    title: &str,
    folder: Option<PathBuf>,
    wanted: gtk::FileFilter,
) -> Option<PathBuf> {
    let all = gtk::FileFilter::new();
    all.set_name(Some(&gettext("All Files")));
    all.add_pattern("*");
    let filters: gio::ListStore = [wanted, all].into_iter().collect();
    let dialog = gtk::FileDialog::builder().title(title).modal(true).filters(&filters).build();
    dialog.set_initial_folder(folder.map(gio::File::for_path).as_ref());
    // Also when it is cancelled, which needs no words.
    let chosen: Result<gio::File, glib::Error> =
        dialog.open_future(context.window().as_ref()).await;
    chosen.ok()?.path()
}
