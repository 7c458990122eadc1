//! The main window.
//!
//! What lives here: its layout, which machine is shown, its actions and what they come to, and its
//! closing. What does not: what a machine's page shows (`vm_page`), and the life of the program
//! (`application`), which makes one window and keeps it.

mod actions;
mod closing;
mod deeds;
mod layout;
mod screen;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use relm4::prelude::*;

pub use self::actions::{VmAction, WinAction};
use self::layout::Layout;
use crate::backend::{Failure, Problem, VmId};
use crate::dialogs::show_failure;
use crate::machines::{Machines, Status, Vm};
use crate::preferences::Preferences;
use crate::sidebar::{Sidebar, SidebarInit, SidebarInput, SidebarOutput};
use crate::vm_page::VmPage;

/// The names of a machine's pages, in the order of their tabs.
const PAGES: [&str; 4] = ["display", "console", "resources", "settings"];

/// What the window is told.
#[derive(Debug)]
pub enum WindowInput {
    /// The list chose a machine.
    Selected(Option<Vm>),
    /// A row was activated: show the machine's page.
    Activated(Vm),
    /// Choose this machine and show it.
    Show(Vm),
    /// Choose the machine that was shown last time.
    Restore(Vm),
    /// Do something with the chosen machine.
    Vm(VmAction),
    /// Do something with the window.
    Win(WinAction),
    /// Show this page of the chosen machine.
    Page(String),
    /// Press the keys of this combination for the guest.
    SendKeys(String),
    /// The desktop ended full screen.
    FullScreenEnded,
    /// Start the wizard with this file.
    Open(PathBuf),
    /// What is kept may have changed: look.
    Reload,
    /// What stands in the way of running machines.
    Problems(Vec<Problem>),
    /// Tell in passing.
    Tell(String),
    /// Tell what could not be done.
    Failed(String, Failure),
    /// The chosen machine's state changed, or the list did.
    Refresh,
    /// Somebody wants the window to close.
    CloseRequested,
}

/// What the window tells the program.
#[derive(Debug)]
pub enum WindowOutput {
    /// The window is hidden and machines run on.
    Background,
    /// All is over.
    Quit,
}

/// The main window.
pub struct Window {
    machines: Machines,
    layout: Layout,
    sidebar: Controller<Sidebar>,
    pages: HashMap<VmId, Rc<VmPage>>,
    selected: Option<Vm>,
    problems: Vec<Problem>,
    vm_actions: gio::SimpleActionGroup,
    full_screen: bool,
    /// Whether it was told already that the machines cannot be listed: they are asked for anew
    /// whenever somebody looks.
    list_failed: Rc<Cell<bool>>,
    /// Whether the machines are being asked for just now: a window that comes up is made, shown and
    /// made active within a moment.
    reloading: Rc<Cell<bool>>,
}

impl Component for Window {
    type Init = Machines;
    type Input = WindowInput;
    type Output = WindowOutput;
    type CommandOutput = ();
    type Root = adw::ApplicationWindow;
    type Widgets = ();

    fn init_root() -> Self::Root {
        adw::ApplicationWindow::builder()
            .title("Berth")
            .width_request(360)
            .height_request(294)
            .build()
    }

    fn init(
        machines: Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let sidebar = Sidebar::builder()
            .launch(SidebarInit { machines: machines.clone(), menu: actions::row_menu().upcast() })
            .forward(sender.input_sender(), |output| match output {
                SidebarOutput::Selected(vm) => WindowInput::Selected(vm),
                SidebarOutput::Activated(vm) => WindowInput::Activated(vm),
            });
        let layout = Layout::new(&root, sidebar.widget(), &machines);
        Preferences::shared().bind_window(&root);
        sidebar.model().search_bar().set_key_capture_widget(Some(sidebar.widget()));
        let input = sender.input_sender().clone();
        layout.overview.connect_machine_activated(move |_, machine| {
            if let Some(vm) = machine.downcast_ref::<Vm>() {
                input.emit(WindowInput::Show(vm.clone()));
            }
        });
        let vm_actions = install_actions(&root, &sender);
        watch(&root, &machines, &sender);
        drop_target(&root, &sender);
        let model = Self {
            machines,
            layout,
            sidebar,
            pages: HashMap::new(),
            selected: None,
            problems: Vec::new(),
            vm_actions,
            full_screen: false,
            list_failed: Rc::default(),
            reloading: Rc::default(),
        };
        model.refresh();
        sender.input(WindowInput::Reload);
        ComponentParts { model, widgets: () }
    }

    fn update(&mut self, message: Self::Input, sender: ComponentSender<Self>, root: &Self::Root) {
        match message {
            WindowInput::Selected(vm) => self.select(vm, &sender),
            WindowInput::Activated(vm) => {
                self.select(Some(vm), &sender);
                self.layout.show_content();
            }
            WindowInput::Show(vm) => {
                self.sidebar.emit(SidebarInput::Select(vm.clone()));
                self.select(Some(vm), &sender);
                self.layout.set_overview(false);
                self.layout.show_content();
                self.refresh();
            }
            WindowInput::Restore(vm) => self.sidebar.emit(SidebarInput::Select(vm)),
            WindowInput::Vm(action) => self.vm_action(action, root, &sender),
            WindowInput::Win(action) => self.win_action(action, root, &sender),
            WindowInput::Page(name) => {
                if let Some(page) = self.page() {
                    page.show(&name);
                }
            }
            WindowInput::SendKeys(id) => {
                if let Some(page) = self.page() {
                    page.screen().send_keys(&id);
                }
            }
            WindowInput::FullScreenEnded => self.set_full_screen(false, root),
            WindowInput::Open(file) => self.wizard(Some(file), root, &sender),
            WindowInput::Reload => self.reload(&sender),
            WindowInput::Problems(problems) => {
                self.layout.welcome.set_problems(&problems);
                self.problems = problems;
                self.refresh();
            }
            WindowInput::Tell(text) => self.layout.toast(&text),
            WindowInput::Failed(heading, failure) => show_failure(root, &heading, &failure),
            WindowInput::Refresh => self.refresh(),
            WindowInput::CloseRequested => self.close(root, &sender),
        }
    }
}

impl Window {
    fn page(&self) -> Option<&Rc<VmPage>> {
        self.pages.get(&self.selected.as_ref()?.id())
    }

    /// Shows `vm`, whose page is made when it is first seen and kept for as long as the machine is.
    fn select(&mut self, vm: Option<Vm>, sender: &ComponentSender<Self>) {
        if vm == self.selected {
            return;
        }
        self.layout.set_overview(false);
        self.selected = vm;
        if let Some(vm) = &self.selected {
            Preferences::shared().set_selected_machine(vm.id().0.to_str());
            // One that was deleted can have left the page of the same id.
            if let Some(old) = self.pages.get(&vm.id()).filter(|page| !page.is_of(vm)) {
                self.layout.remove_page(old.widget());
                self.pages.remove(&vm.id());
            }
            let page = self.pages.entry(vm.id()).or_insert_with(|| {
                let page = Rc::new(VmPage::new(vm, &self.machines));
                self.layout.add_page(page.widget());
                follow(vm, sender);
                page
            });
            self.layout.show_page(page);
        }
        self.refresh();
    }

    /// Brings everything up to date that depends on the chosen machine's state.
    fn refresh(&self) {
        let vm = self.selected.as_ref();
        let status = vm.map(|vm| vm.status());
        for action in VmAction::ALL {
            let possible = status.is_some_and(|status| action.is_possible(status));
            actions::set_enabled(&self.vm_actions, action.name(), possible);
        }
        let live = status.is_some_and(Status::is_running);
        actions::set_enabled(&self.vm_actions, "send-keys", live);
        self.layout.refresh(vm, self.machines.model().n_items() == 0, &self.problems);
    }

    fn reload(&mut self, sender: &ComponentSender<Self>) {
        let all = self.machines.all();
        self.pages.retain(|_, page| {
            let stays = all.iter().any(|vm| page.is_of(vm));
            if !stays {
                self.layout.remove_page(page.widget());
            }
            stays
        });
        if self.reloading.replace(true) {
            return;
        }
        let reloading = self.reloading.clone();
        let (machines, input) = (self.machines.clone(), sender.input_sender().clone());
        let last = Preferences::shared().selected_machine().filter(|_| all.is_empty());
        let failed = self.list_failed.clone();
        glib::spawn_future_local(async move {
            let listed = machines.reload().await;
            let told = failed.replace(listed.is_err());
            if let (Err(failure), false) = (listed, told) {
                input.emit(WindowInput::Failed(gettext("The Machines Cannot Be Listed"), failure));
            }
            if let Some(vm) = last.and_then(|last| machines.find(&VmId(last.into()))) {
                input.emit(WindowInput::Restore(vm));
            }
            let problems = machines.backend().problems().await;
            reloading.set(false);
            input.emit(WindowInput::Problems(problems));
        });
    }
}

/// Tells the window what happens to a machine whose page it has.
fn follow(vm: &Vm, sender: &ComponentSender<Window>) {
    let input = sender.input_sender().clone();
    vm.connect_told(move |vm, text| {
        let text = text.to_owned();
        input.emit(WindowInput::Tell(format!("{}: {text}", vm.name())));
    });
}

fn install_actions(
    root: &adw::ApplicationWindow,
    sender: &ComponentSender<Window>,
) -> gio::SimpleActionGroup {
    let group = gio::SimpleActionGroup::new();
    for action in VmAction::ALL {
        let input = sender.input_sender().clone();
        group.add_action(&actions::plain(action.name(), move || {
            input.emit(WindowInput::Vm(action));
        }));
    }
    let input = sender.input_sender().clone();
    group.add_action(&actions::with_text("send-keys", move |id| {
        input.emit(WindowInput::SendKeys(id.to_owned()));
    }));
    root.insert_action_group("vm", Some(&group));
    for action in WinAction::ALL {
        let input = sender.input_sender().clone();
        root.add_action(&actions::plain(action.name(), move || {
            input.emit(WindowInput::Win(action));
        }));
    }
    let input = sender.input_sender().clone();
    root.add_action(&actions::with_text("page", move |page| {
        input.emit(WindowInput::Page(page.to_owned()));
    }));
    root.add_controller(actions::shortcuts());
    group
}

/// Keeps the window up to date with the list and its machines' states, and with what others change
/// while nobody looks.
fn watch(root: &adw::ApplicationWindow, machines: &Machines, sender: &ComponentSender<Window>) {
    let input = sender.input_sender().clone();
    machines.model().connect_items_changed(move |model, position, _, added| {
        for index in position..position + added {
            let Some(vm) = model.item(index).and_downcast::<Vm>() else { continue };
            let changed = input.clone();
            vm.connect_status_notify(move |_| changed.emit(WindowInput::Refresh));
            let renamed = input.clone();
            vm.connect_name_notify(move |_| renamed.emit(WindowInput::Refresh));
        }
        input.emit(WindowInput::Refresh);
    });
    let input = sender.input_sender().clone();
    root.connect_is_active_notify(move |window| {
        if window.is_active() {
            input.emit(WindowInput::Reload);
        }
    });
    let input = sender.input_sender().clone();
    root.connect_fullscreened_notify(move |window| {
        if !window.is_fullscreen() {
            input.emit(WindowInput::FullScreenEnded);
        }
    });
    let input = sender.input_sender().clone();
    root.connect_close_request(move |_| {
        input.emit(WindowInput::CloseRequested);
        glib::Propagation::Stop
    });
}

/// Files dropped anywhere on the window start the wizard.
fn drop_target(root: &adw::ApplicationWindow, sender: &ComponentSender<Window>) {
    let target = gtk::DropTarget::new(gio::File::static_type(), gtk::gdk::DragAction::COPY);
    let input = sender.input_sender().clone();
    target.connect_drop(move |_, value, _, _| {
        let path = value.get::<gio::File>().ok().and_then(|file| file.path());
        let dropped = path.is_some();
        if let Some(path) = path {
            input.emit(WindowInput::Open(path));
        }
        dropped
    });
    root.add_controller(target);
}

/// What the one button beside the title does for a machine in this state: icon and label.
fn play(status: Status) -> (&'static str, String) {
    match status {
        Status::Running | Status::ShuttingDown => {
            ("media-playback-pause-symbolic", gettext("Pause"))
        }
        Status::Paused => ("media-playback-start-symbolic", gettext("Resume")),
        _ => ("media-playback-start-symbolic", gettext("Start")),
    }
}
