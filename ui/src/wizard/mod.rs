//! The New VM wizard: from an ISO image, a disk image or nothing to a machine, in four steps.
//!
//! What lives here: the draft of a machine (`model`), a page for each step, one to download a medium
//! for the first (`download`), and the component that moves between them. What does not: making the machine, which is the
//! [`Backend`](crate::backend::Backend)'s; until then nothing is on disk. The window calls
//! [`present`].

mod amount;
mod component;
mod disk;
mod download;
mod model;
mod page;
mod processing;
mod recent;
mod remark;
mod review;
pub(crate) mod size;
mod source;
mod voice;

use std::cell::Cell;
use std::path::PathBuf;

use adw::prelude::*;
use gtk::glib;
use relm4::prelude::*;

use self::component::{Wizard, WizardInit, WizardOutput};
use crate::machines::{Machines, Vm};

/// Shows the wizard above `parent`, with `file` chosen if there is one. `done` is told of the
/// machine that was made, and whether it should be started.
pub fn present(
    parent: &impl IsA<gtk::Widget>,
    machines: &Machines,
    file: Option<PathBuf>,
    done: impl Fn(Vm, bool) + 'static,
) {
    let init = WizardInit { machines: machines.clone(), file };
    let wizard = Wizard::builder().launch(init).connect_receiver(move |_, output| match output {
        WizardOutput::Made(vm, start) => done(vm, start),
    });
    let dialog = wizard.widget().clone();
    // It lives as long as its dialog, which it closes itself: so it is dropped a little later.
    let wizard = Cell::new(Some(wizard));
    dialog.connect_closed(move |_| {
        let wizard = wizard.take();
        glib::idle_add_local_once(move || drop(wizard));
    });
    dialog.present(Some(parent));
}
