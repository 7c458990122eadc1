//! What the window's actions come to.

use std::path::{Path, PathBuf};

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use relm4::prelude::*;
use vmm_core::machine::Command;
use vmm_core::text;

use super::screen::open_own_window;
use super::{VmAction, WinAction, Window, WindowInput};
use crate::backend::Progress;
use crate::dialogs::{Confirmation, ask_name, confirm, with_progress};
use crate::machines::{Machines, Status, Vm};
use crate::sidebar::SidebarInput;
use crate::{about, guide, preferences, shortcuts, welcome, wizard};

/// How long a deleted machine can be brought back, in seconds.
const UNDO_SECONDS: u32 = 10;
/// How long it is told where a deleted machine's disks are, in seconds: long enough to be read, and
/// not for ever, for what is told later waits behind it.
const FOLDER_SECONDS: u32 = 30;

impl Window {
    pub(super) fn vm_action(
        &mut self,
        action: VmAction,
        root: &adw::ApplicationWindow,
        sender: &ComponentSender<Self>,
    ) {
        let Some(vm) = self.selected.clone() else { return };
        if !action.is_possible(vm.status()) {
            return;
        }
        match action {
            VmAction::Play => play(&vm, sender),
            VmAction::ShutDown => vm.command(Command::Shutdown),
            VmAction::Reboot => vm.reboot(),
            VmAction::Reset => sure(root, reset_question(&vm), move || vm.command(Command::Reset)),
            VmAction::ForceOff => {
                sure(root, force_off_question(&vm), move || vm.command(Command::PowerOff));
            }
            VmAction::FullScreen => self.set_full_screen(!self.full_screen, root),
            VmAction::OwnWindow => open_own_window(&vm, root.application().as_ref()),
            VmAction::SaveScreenshot => self.save_screenshot(root, sender),
            VmAction::CopyScreenshot => self.copy_screenshot(root),
            VmAction::Rename => rename(vm, self.machines.clone(), root, sender),
            VmAction::Clone => duplicate(vm, self.machines.clone(), root, sender),
            VmAction::Delete => self.delete(vm, sender),
            VmAction::DeleteKeepingDisks => self.delete_keeping_disks(vm, root, sender),
            VmAction::Log => show_log(vm, &self.machines, root, sender),
            VmAction::Folder => show_folder(&vm.folder(), root),
        }
    }

    pub(super) fn win_action(
        &mut self,
        action: WinAction,
        root: &adw::ApplicationWindow,
        sender: &ComponentSender<Self>,
    ) {
        match action {
            WinAction::New => self.wizard(None, root, sender),
            WinAction::Search => {
                let shown = self.sidebar.model().search_bar().is_search_mode();
                self.sidebar.emit(SidebarInput::Search(!shown));
            }
            WinAction::Overview => {
                self.layout.set_overview(!self.layout.is_overview());
                self.layout.show_content();
                self.refresh();
            }
            WinAction::Preferences => preferences::present(root),
            WinAction::Shortcuts => shortcuts::present(root),
            WinAction::Help => guide::present(root),
            WinAction::About => about::present(root),
            WinAction::Problems => {
                let dialog = adw::Dialog::builder()
                    .title(gettext("Before Machines Can Run"))
                    .content_width(480)
                    .build();
                let toolbar = adw::ToolbarView::new();
                toolbar.add_top_bar(&adw::HeaderBar::new());
                let list = welcome::problem_list(&self.problems);
                list.set_margin_start(18);
                list.set_margin_end(18);
                list.set_margin_bottom(18);
                toolbar.set_content(Some(&list));
                dialog.set_child(Some(&toolbar));
                dialog.present(Some(root));
            }
            WinAction::Close => root.close(),
            WinAction::Quit => self.quit(root, sender),
        }
    }

    pub(super) fn wizard(
        &self,
        file: Option<PathBuf>,
        root: &adw::ApplicationWindow,
        sender: &ComponentSender<Self>,
    ) {
        let input = sender.input_sender().clone();
        wizard::present(root, &self.machines, file, move |vm, start| {
            input.emit(WindowInput::Show(vm.clone()));
            if start {
                input.emit(WindowInput::Vm(VmAction::Play));
            }
        });
    }

    /// Takes the machine off the list; it can be brought back for a while.
    fn delete(&self, vm: Vm, sender: &ComponentSender<Self>) {
        let (machines, input) = (self.machines.clone(), sender.input_sender().clone());
        let toasts = self.layout.toasts();
        glib::spawn_future_local(async move {
            let name = vm.name();
            let id = match machines.discard(&vm).await {
                Ok(id) => id,
                Err(failure) => {
                    let heading = gettext("“{name}” Cannot Be Deleted").replace("{name}", &name);
                    input.emit(WindowInput::Failed(heading, failure));
                    return;
                }
            };
            let title = gettext("“{name}” deleted").replace("{name}", &name);
            let toast = adw::Toast::builder()
                .title(glib::markup_escape_text(&title))
                .button_label(gettext("_Undo"))
                .timeout(UNDO_SECONDS)
                // Behind another it would be too late.
                .priority(adw::ToastPriority::High)
                .build();
            let (undo, undone) = async_channel::bounded(1);
            toast.connect_button_clicked({
                let undo = undo.clone();
                move |_| {
                    // One answer is enough: it was undone, or nobody did in time.
                    let _ = undo.try_send(true);
                }
            });
            toast.connect_dismissed(move |_| {
                let _ = undo.try_send(false);
            });
            toasts.add_toast(toast);
            let result = match undone.recv().await {
                Ok(true) => machines.restore(id).await.map(|vm| input.emit(WindowInput::Show(vm))),
                _ => machines.purge(id).await,
            };
            if let Err(failure) = result {
                let heading = gettext("“{name}” Was Not Deleted").replace("{name}", &name);
                input.emit(WindowInput::Failed(heading, failure));
            }
        });
    }

    /// Asks where the disks are to be kept, then deletes the rest.
    fn delete_keeping_disks(
        &self,
        vm: Vm,
        root: &adw::ApplicationWindow,
        sender: &ComponentSender<Self>,
    ) {
        let (root, input) = (root.clone(), sender.input_sender().clone());
        let (machines, toasts) = (self.machines.clone(), self.layout.toasts());
        glib::spawn_future_local(async move {
            let name = vm.name();
            let title = gettext("Where to Keep the Disks of “{name}”").replace("{name}", &name);
            let dialog = gtk::FileDialog::builder()
                .title(title)
                .accept_label(gettext("_Delete and Keep Disks Here"))
                .build();
            // Cancelled: all stays as it is.
            let Ok(place) = dialog.select_folder_future(Some(&root)).await else { return };
            let Some(place) = place.path() else { return };
            let heading = gettext("Keeping the Disks of “{name}”").replace("{name}", &name);
            let progress = Progress::default();
            let work = machines.delete_keeping_disks(&vm, place, progress.clone());
            match with_progress(&root, &heading, progress, work).await {
                Ok(Some(folder)) => toasts.add_toast(disks_are_in(&name, folder, &root)),
                Ok(None) => input
                    .emit(WindowInput::Tell(gettext("“{name}” deleted").replace("{name}", &name))),
                Err(failure) => {
                    let heading = gettext("“{name}” Cannot Be Deleted").replace("{name}", &name);
                    input.emit(WindowInput::Failed(heading, failure));
                }
            }
        });
    }
}

/// Tells where a deleted machine's disks are.
fn disks_are_in(name: &str, folder: PathBuf, root: &adw::ApplicationWindow) -> adw::Toast {
    let text =
        text!("“{name}” deleted; its disks are in {folder}", name, folder = folder.display());
    let toast = adw::Toast::builder()
        .title(glib::markup_escape_text(&text))
        .button_label(gettext("Show _Files"))
        .timeout(FOLDER_SECONDS)
        .build();
    let root = root.downgrade();
    toast.connect_button_clicked(move |_| {
        if let Some(root) = root.upgrade() {
            show_folder(&folder, &root);
        }
    });
    toast
}

fn play(vm: &Vm, sender: &ComponentSender<Window>) {
    match vm.status() {
        Status::Running | Status::ShuttingDown => vm.command(Command::Pause),
        Status::Paused => vm.command(Command::Resume),
        _ => {
            let (vm, input) = (vm.clone(), sender.input_sender().clone());
            glib::spawn_future_local(async move {
                if let Err(failure) = vm.start().await {
                    let heading =
                        gettext("“{name}” Cannot Be Started").replace("{name}", &vm.name());
                    input.emit(WindowInput::Failed(heading, failure));
                }
            });
        }
    }
}

/// Does `deed` if the answer is yes.
fn sure(root: &adw::ApplicationWindow, question: Confirmation, deed: impl FnOnce() + 'static) {
    let root = root.clone();
    glib::spawn_future_local(async move {
        if confirm(&root, &question).await {
            deed();
        }
    });
}

fn force_off_question(vm: &Vm) -> Confirmation {
    Confirmation {
        heading: gettext("Force “{name}” Off?").replace("{name}", &vm.name()),
        body: gettext("The guest loses what it has not saved, as if its plug were pulled."),
        accept: gettext("Force _Off"),
    }
}

fn reset_question(vm: &Vm) -> Confirmation {
    Confirmation {
        heading: gettext("Reset “{name}”?").replace("{name}", &vm.name()),
        body: gettext("The guest loses what it has not saved and starts anew."),
        accept: gettext("_Reset"),
    }
}

fn rename(
    vm: Vm,
    machines: Machines,
    root: &adw::ApplicationWindow,
    sender: &ComponentSender<Window>,
) {
    let (root, input) = (root.clone(), sender.input_sender().clone());
    glib::spawn_future_local(async move {
        let heading = gettext("Rename “{name}”").replace("{name}", &vm.name());
        let accept = gettext("_Rename");
        let name = ask_name(&root, &heading, &accept, &vm.name(), &machines, Some(&vm)).await;
        let (Some(name), Some(mut definition)) = (name, vm.definition()) else { return };
        definition.name = name;
        if let Err(failure) = vm.save(definition).await {
            let heading = gettext("“{name}” Cannot Be Renamed").replace("{name}", &vm.name());
            input.emit(WindowInput::Failed(heading, failure));
        }
    });
}

fn duplicate(
    vm: Vm,
    machines: Machines,
    root: &adw::ApplicationWindow,
    sender: &ComponentSender<Window>,
) {
    let (root, input) = (root.clone(), sender.input_sender().clone());
    glib::spawn_future_local(async move {
        let heading = gettext("Clone “{name}”").replace("{name}", &vm.name());
        let suggestion = (2..)
            .map(|n| format!("{} {n}", vm.name()))
            .find(|name| !machines.is_taken(name, None))
            .unwrap_or_default();
        let accept = gettext("_Clone");
        let name = ask_name(&root, &heading, &accept, &suggestion, &machines, None).await;
        let Some(name) = name else { return };
        let progress = Progress::default();
        let heading = gettext("Cloning “{name}”").replace("{name}", &vm.name());
        let work = machines.duplicate(&vm, name, progress.clone());
        match with_progress(&root, &heading, progress, work).await {
            Ok(copy) => input.emit(WindowInput::Show(copy)),
            Err(failure) => {
                let heading = gettext("“{name}” Cannot Be Cloned").replace("{name}", &vm.name());
                input.emit(WindowInput::Failed(heading, failure));
            }
        }
    });
}

fn show_log(
    vm: Vm,
    machines: &Machines,
    root: &adw::ApplicationWindow,
    sender: &ComponentSender<Window>,
) {
    let log = machines.backend().log(&vm.id());
    let (root, input) = (root.clone(), sender.input_sender().clone());
    glib::spawn_future_local(async move {
        let heading = gettext("Log of “{name}”").replace("{name}", &vm.name());
        match log.await {
            Ok(text) => crate::dialogs::show_text(&root, &heading, &text),
            Err(failure) => input.emit(WindowInput::Failed(heading, failure)),
        }
    });
}

fn show_folder(folder: &Path, root: &adw::ApplicationWindow) {
    let launcher = gtk::FileLauncher::new(Some(&gio::File::for_path(folder)));
    // Where no file manager is, nothing opens, and the desktop has said so.
    launcher.launch(Some(root), gio::Cancellable::NONE, |_: Result<(), glib::Error>| {});
}
