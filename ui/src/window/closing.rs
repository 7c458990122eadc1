//! What becomes of running machines when the window closes.

use adw::prelude::*;
use gettextrs::{gettext, ngettext};
use gtk::glib;
use relm4::prelude::*;

use super::{Window, WindowOutput};
use crate::machines::Machines;
use crate::preferences::{OnClose, Preferences};

impl Window {
    /// Closes the window: asks what is to become of running machines, unless that is settled.
    pub(super) fn close(&self, root: &adw::ApplicationWindow, sender: &ComponentSender<Self>) {
        let output = sender.output_sender().clone();
        if self.machines.live().is_empty() {
            output.emit(WindowOutput::Quit);
            return;
        }
        let (machines, root) = (self.machines.clone(), root.clone());
        glib::spawn_future_local(async move {
            let choice = match Preferences::shared().on_close() {
                OnClose::Ask => ask(&root, &machines).await,
                settled => Some(settled),
            };
            match choice {
                Some(OnClose::KeepRunning) => output.emit(WindowOutput::Background),
                Some(OnClose::ShutDown) => {
                    if shut_down(&root, &machines).await {
                        output.emit(WindowOutput::Quit);
                    }
                }
                Some(OnClose::Ask) | None => {}
            }
        });
    }

    /// Ends the program: running machines are shut down first.
    pub(super) fn quit(&self, root: &adw::ApplicationWindow, sender: &ComponentSender<Self>) {
        let output = sender.output_sender().clone();
        let (machines, root) = (self.machines.clone(), root.clone());
        glib::spawn_future_local(async move {
            let sure = machines.live().is_empty()
                || ask_to_quit(&root, &machines).await && shut_down(&root, &machines).await;
            if sure {
                output.emit(WindowOutput::Quit);
            }
        });
    }
}

/// How many machines run, in a sentence.
fn running(machines: &Machines) -> String {
    let live = machines.live();
    match live.as_slice() {
        [vm] => gettext("“{name}” is running.").replace("{name}", &vm.name()),
        _ => ngettext("{n} machine is running.", "{n} machines are running.", live.len() as u32)
            .replace("{n}", &live.len().to_string()),
    }
}

async fn ask(root: &adw::ApplicationWindow, machines: &Machines) -> Option<OnClose> {
    let body = ngettext(
        "Berth can keep it running without a window; start Berth again to see it.",
        "Berth can keep them running without a window; start Berth again to see them.",
        machines.live().len() as u32,
    );
    let body = format!("{} {body}", running(machines));
    let dialog =
        adw::AlertDialog::new(Some(&gettext("Keep Running in the Background?")), Some(&body));
    dialog.add_responses(&[
        ("cancel", &gettext("_Cancel")),
        ("shut-down", &gettext("_Shut Down")),
        ("keep", &gettext("_Keep Running")),
    ]);
    dialog.set_response_appearance("keep", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("keep"));
    dialog.set_close_response("cancel");
    match dialog.choose_future(Some(root)).await.as_str() {
        "keep" => Some(OnClose::KeepRunning),
        "shut-down" => Some(OnClose::ShutDown),
        _ => None,
    }
}

async fn ask_to_quit(root: &adw::ApplicationWindow, machines: &Machines) -> bool {
    let dialog =
        adw::AlertDialog::new(Some(&gettext("Shut Down and Quit?")), Some(&running(machines)));
    dialog.add_responses(&[
        ("cancel", &gettext("_Cancel")),
        ("shut-down", &gettext("_Shut Down and Quit")),
    ]);
    dialog.set_response_appearance("shut-down", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("shut-down"));
    dialog.set_close_response("cancel");
    dialog.choose_future(Some(root)).await == "shut-down"
}

/// Shuts all machines down, waiting for their guests. Whether it came to that: the wait can be
/// given up, or the plug pulled.
async fn shut_down(root: &adw::ApplicationWindow, machines: &Machines) -> bool {
    machines.ask_all_to_shut_down();
    let dialog = adw::AlertDialog::new(
        Some(&gettext("Shutting Down…")),
        Some(&gettext(
            "The guests are saving their work. Forcing them off loses what they have not saved.",
        )),
    );
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("force", &gettext("_Force Off"))]);
    dialog.set_response_appearance("force", adw::ResponseAppearance::Destructive);
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    dialog.set_extra_child(Some(&adw::Spinner::builder().height_request(32).build()));
    let waiting = glib::spawn_future_local({
        let (dialog, machines) = (dialog.clone(), machines.clone());
        async move {
            machines.all_off().await;
            dialog.force_close();
        }
    });
    let answer = dialog.choose_future(Some(root)).await;
    if machines.live().is_empty() {
        return true;
    }
    waiting.abort();
    if answer == "force" {
        machines.force_all_off();
        machines.all_off().await;
        return true;
    }
    false
}
