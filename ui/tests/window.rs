//! The whole window, with pretended machines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::rc::Rc;

use adw::prelude::*;
use relm4::prelude::*;
use support::{again_in_high_contrast, pause, pictures, wait};
use ui::backend::{Backend, Failure, Problem, Progress, VmId};
use ui::display::{DisplayView, PointerMode};
use ui::fake::{FakeBackend, definition};
use ui::machines::{Machines, Status, Vm};
use ui::window::{VmAction, WinAction, Window, WindowInput};
use vmm_core::machine::{Command, Event, State, StopReason};

struct Stage {
    machines: Machines,
    window: Controller<Window>,
}

impl Stage {
    async fn new(backend: FakeBackend) -> Self {
        let stage = Self::quick(backend).await;
        pause(200).await;
        stage
    }

    /// As soon as there is a window with machines.
    async fn quick(backend: FakeBackend) -> Self {
        let application = application();
        let machines = Machines::new(Rc::new(backend.clone()) as Rc<dyn Backend>);
        let window = Window::builder().launch(machines.clone()).detach();
        window.widget().set_application(Some(&application));
        let stage = Self { machines, window };
        stage.root().set_default_size(1080, 720);
        stage.root().present();
        wait(|| stage.root().is_mapped()).await;
        stage
    }

    fn root(&self) -> adw::ApplicationWindow {
        self.window.widget().clone()
    }

    fn vm(&self, id: &VmId) -> Vm {
        self.machines.find(id).unwrap()
    }

    async fn show(&self, id: &VmId) -> Vm {
        let vm = self.vm(id);
        self.window.emit(WindowInput::Show(vm.clone()));
        pause(100).await;
        vm
    }

    async fn act(&self, action: VmAction) {
        self.window.emit(WindowInput::Vm(action));
        pause(100).await;
    }

    /// Pictures of the dialog that is to come, which then goes.
    async fn dialog(&self, name: &str) {
        wait(|| self.root().visible_dialog().is_some()).await;
        pause(300).await;
        self.pictures(name).await;
        self.root().visible_dialog().unwrap().force_close();
        wait(|| self.root().visible_dialog().is_none()).await;
    }

    async fn pictures(&self, name: &str) {
        pictures(self.root().upcast_ref::<gtk::Window>(), name).await;
    }
}

/// The application that brings icons and style: one for all tests, which share a thread.
fn application() -> adw::Application {
    thread_local! {
        static APPLICATION: adw::Application = {
            ui::application::add_resources();
            let application = adw::Application::builder()
                .application_id(ui::application::APP_ID)
                .flags(gtk::gio::ApplicationFlags::NON_UNIQUE)
                .build();
            application.register(gtk::gio::Cancellable::NONE).unwrap();
            application
        };
    }
    APPLICATION.with(Clone::clone)
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.root().destroy();
    }
}

/// The display in `widget`.
fn display(widget: &gtk::Widget) -> Option<DisplayView> {
    find(widget, |_| true)
}

fn problems() -> Vec<Problem> {
    vec![
        Problem {
            title: "No Permission to Use Virtualization".into(),
            advice: "Join the group “kvm”, then log out and in again:".into(),
            command: Some("sudo usermod -aG kvm $USER".into()),
        },
        Problem {
            title: "No UEFI Firmware Is Installed".into(),
            advice: "Machines need firmware to start. Install it:".into(),
            command: Some("sudo apt install ovmf".into()),
        },
    ]
}

#[gtk::test]
async fn pictures_of_the_window() {
    let backend = FakeBackend::default();
    let stage = Stage::new(backend.clone()).await;
    stage.pictures("window-empty").await;
    backend.set_problems(problems());
    stage.window.emit(WindowInput::Reload);
    pause(100).await;
    stage.pictures("window-problems").await;

    let debian = backend.add(definition("Debian 13"));
    backend.add(definition("Fedora Workstation 43 with a name too long for its row"));
    let windows = backend.add(definition("Windows XP"));
    backend.add_damaged("old-server", Failure::new("machine.toml, line 4: no such firmware."));
    stage.window.emit(WindowInput::Reload);
    pause(100).await;
    stage.pictures("window-list").await;

    backend.set_problems(Vec::new());
    stage.window.emit(WindowInput::Reload);
    let vm = stage.show(&debian).await;
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
    pause(1300).await;
    stage.pictures("window-running").await;

    let crashed = stage.show(&windows).await;
    stage.act(VmAction::Play).await;
    wait(|| crashed.status() == Status::Running).await;
    let reason = "The guest crashed again and again right after its start (triple fault).";
    let end = State::Stopped(StopReason::Failed(reason.into()));
    backend.machine(&windows).unwrap().tell(Event::State(end));
    wait(|| crashed.status() == Status::Off).await;
    assert_eq!(crashed.notice().as_deref(), Some(reason));
    assert_eq!(vm.status(), Status::Running, "the other machine is not concerned");
    pause(300).await;
    stage.pictures("window-crashed").await;

    stage.window.emit(WindowInput::Win(WinAction::Overview));
    pause(300).await;
    stage.pictures("window-overview").await;
    stage.show(&debian).await;
    for (width, name) in [(720, "window-720"), (400, "window-400")] {
        stage.root().set_default_size(width, 720);
        pause(400).await;
        stage.pictures(name).await;
    }
    vm.command(Command::PowerOff);
    wait(|| vm.status() == Status::Off).await;
    drop(stage);
    again_in_high_contrast("pictures_of_the_window");
}

/// What readers from right to left see; the texts stay, as in a locale that is only pretended.
#[gtk::test]
async fn pictures_from_right_to_left() {
    let backend = FakeBackend::default();
    let debian = backend.add(definition("Debian 13"));
    backend.add(definition("Fedora Workstation 43"));
    gtk::Widget::set_default_direction(gtk::TextDirection::Rtl);
    let stage = Stage::new(backend).await;
    let vm = stage.show(&debian).await;
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
    for page in ["resources", "settings", "console", "display"] {
        stage.window.emit(WindowInput::Page(page.into()));
        pause(1100).await;
        stage.pictures(&format!("rtl-{page}")).await;
    }
    let left = |widget: &gtk::Widget| widget.compute_bounds(&stage.root()).unwrap().x();
    let list = find::<gtk::ListView>(stage.root().upcast_ref(), |_| true).unwrap();
    let display = display(stage.root().upcast_ref()).unwrap();
    assert!(
        left(list.upcast_ref()) > left(display.upcast_ref()),
        "the machines' list is where reading begins"
    );
    stage.window.emit(WindowInput::Win(WinAction::New));
    stage.dialog("rtl-wizard").await;
    vm.command(Command::PowerOff);
    wait(|| vm.status() == Status::Off).await;
    gtk::Widget::set_default_direction(gtk::TextDirection::Ltr);
}

#[gtk::test]
async fn pictures_of_the_dialogs() {
    let backend = FakeBackend::default();
    let id = backend.add(definition("Debian 13"));
    let stage = Stage::new(backend.clone()).await;
    let vm = stage.show(&id).await;
    stage.act(VmAction::Rename).await;
    stage.dialog("dialog-rename").await;
    stage.act(VmAction::Log).await;
    stage.dialog("dialog-log").await;
    let mut failure = Failure::new("The disk “/srv/data.qcow2” does not exist.");
    failure.details = "cannot open /srv/data.qcow2\nNo such file or directory".into();
    backend.fail_next(failure);
    stage.act(VmAction::Play).await;
    stage.dialog("dialog-failure").await;
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
    stage.act(VmAction::ForceOff).await;
    stage.dialog("dialog-force-off").await;
    stage.root().close();
    stage.dialog("dialog-close").await;
    stage.window.emit(WindowInput::Win(WinAction::Quit));
    stage.dialog("dialog-quit").await;
    vm.command(Command::PowerOff);
    wait(|| vm.status() == Status::Off).await;
    stage.act(VmAction::Delete).await;
    pause(300).await;
    stage.pictures("toast-deleted").await;
    drop(stage);
    again_in_high_contrast("pictures_of_the_dialogs");
}

#[gtk::test]
async fn a_machine_is_deleted_but_for_its_disks_or_not_at_all() {
    let backend = FakeBackend::default();
    let id = backend.add(definition("a"));
    let machines = Machines::new(Rc::new(backend.clone()) as Rc<dyn Backend>);
    machines.reload().await.unwrap();
    let vm = machines.find(&id).unwrap();
    let progress = Progress::default();
    progress.cancel();
    let result = machines.delete_keeping_disks(&vm, "/kept".into(), progress).await;
    assert!(result.unwrap_err().cancelled);
    let vm = machines.find(&id).expect("it is back");
    let result = machines.delete_keeping_disks(&vm, "/kept".into(), Progress::default()).await;
    assert_eq!(result.unwrap(), Some(std::path::Path::new("/kept").join(&id.0)));
    assert!(machines.all().is_empty());
    machines.reload().await.unwrap();
    assert!(machines.all().is_empty(), "it is gone for good");
}

#[gtk::test]
async fn what_was_deleted_goes_for_good_at_the_end() {
    let backend = FakeBackend::default();
    let (one, other) = (backend.add(definition("a")), backend.add(definition("b")));
    let machines = Machines::new(Rc::new(backend.clone()) as Rc<dyn Backend>);
    machines.reload().await.unwrap();
    let mut discarded = Vec::new();
    for id in [&one, &other] {
        discarded.push(machines.discard(&machines.find(id).unwrap()).await.unwrap());
    }
    machines.restore(discarded[1]).await.unwrap();
    machines.purge_all().await;
    machines.purge(discarded[1]).await.unwrap();
    assert!(machines.find(&other).is_some(), "it was brought back in time");
    assert!(machines.restore(discarded[0]).await.is_err());
}

#[gtk::test]
async fn a_long_list_is_there_bit_by_bit() {
    let backend = FakeBackend::default();
    let ids: Vec<_> =
        (1..=100).map(|number| backend.add(definition(&format!("vm-{number:03}")))).collect();
    let stage = Stage::new(backend.clone()).await;
    let list = find::<gtk::ListView>(stage.root().upcast_ref(), |_| true).expect("the list");
    wait(|| list.observe_children().n_items() == 100).await;
    assert_eq!(stage.root().title().as_deref(), Some("vm-001 — Berth"));
    drop(stage);
    // The last can be shown before it has a row.
    let stage = Stage::quick(backend).await;
    wait(|| stage.machines.find(&ids[99]).is_some()).await;
    stage.window.emit(WindowInput::Show(stage.vm(&ids[99])));
    wait(|| stage.root().title().as_deref() == Some("vm-100 — Berth")).await;
    let list = find::<gtk::ListView>(stage.root().upcast_ref(), |_| true).expect("the list");
    let selection = list.model().and_downcast::<gtk::SingleSelection>().expect("a selection");
    wait(|| selection.selected() == 99).await;
}

#[gtk::test]
async fn a_machine_lives_by_its_actions() {
    let backend = FakeBackend::default();
    let id = backend.add(definition("a"));
    let stage = Stage::new(backend.clone()).await;
    let vm = stage.show(&id).await;
    // Nothing of this makes sense for a machine that is off.
    for action in [VmAction::ShutDown, VmAction::Reset, VmAction::ForceOff, VmAction::Reboot] {
        stage.act(action).await;
    }
    assert!(backend.machine(&id).is_none());

    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Paused).await;
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
    stage.act(VmAction::Delete).await;
    assert_eq!(stage.machines.all().len(), 1, "a running machine stays");
    let machine = backend.machine(&id).unwrap();
    machine.tell(Event::Tablet(true));
    let view = display(stage.root().upcast_ref()).unwrap();
    assert_eq!(view.pointer_mode(), PointerMode::Relative);
    wait(|| vm.tablet()).await;
    assert_eq!(view.pointer_mode(), PointerMode::Absolute);
    stage.act(VmAction::Reboot).await;
    wait(|| vm.status() == Status::Running).await;
    assert_eq!(view.pointer_mode(), PointerMode::Relative, "the new guest has no driver yet");
    let machine = backend.machine(&id).unwrap();
    assert_eq!(machine.received(), [Command::Start], "it is another one, started again");
    stage.act(VmAction::ShutDown).await;
    wait(|| vm.status() == Status::Off).await;
    assert_eq!(machine.received(), [Command::Start, Command::Shutdown]);
}

#[gtk::test]
async fn a_start_that_fails_is_told_and_can_be_tried_again() {
    let backend = FakeBackend::default();
    let id = backend.add(definition("a"));
    let stage = Stage::new(backend.clone()).await;
    let vm = stage.show(&id).await;
    backend.fail_next(Failure::new("There is no medium."));
    stage.act(VmAction::Play).await;
    wait(|| stage.root().visible_dialog().is_some()).await;
    let dialog = stage.root().visible_dialog().and_downcast::<adw::AlertDialog>().unwrap();
    assert_eq!(dialog.heading().as_deref(), Some("“a” Cannot Be Started"));
    assert_eq!(dialog.body(), "There is no medium.");
    assert_eq!(vm.status(), Status::Off);
    dialog.force_close();
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
}

#[gtk::test]
async fn a_deleted_machine_comes_back_or_goes_for_good() {
    let backend = FakeBackend::default();
    let id = backend.add(definition("a"));
    backend.add(definition("b"));
    let stage = Stage::new(backend.clone()).await;
    stage.show(&id).await;
    stage.act(VmAction::Delete).await;
    wait(|| stage.machines.find(&id).is_none()).await;
    let undo = find::<gtk::Button>(stage.root().upcast_ref(), |button| {
        button.label().as_deref() == Some("_Undo")
    });
    undo.expect("a toast offers it").emit_clicked();
    wait(|| stage.machines.find(&id).is_some()).await;
    assert!(backend.definition(&id).is_some());
    // What is shown is the machine that came back, not what was shown before.
    wait(|| stage.root().title().as_deref() == Some("a — Berth")).await;
    stage.act(VmAction::Play).await;
    let vm = stage.vm(&id);
    wait(|| vm.status() == Status::Running).await;
    let shown = |view: &DisplayView| view.is_mapped();
    let view = find(stage.root().upcast_ref(), shown).expect("the display is shown");
    assert!(view.attached());
}

#[gtk::test]
async fn the_window_asks_before_it_closes_over_a_running_machine() {
    let backend = FakeBackend::default();
    let id = backend.add(definition("a"));
    let stage = Stage::new(backend.clone()).await;
    let vm = stage.show(&id).await;
    stage.act(VmAction::Play).await;
    wait(|| vm.status() == Status::Running).await;
    stage.root().close();
    wait(|| stage.root().visible_dialog().is_some()).await;
    let dialog = stage.root().visible_dialog().and_downcast::<adw::AlertDialog>().unwrap();
    assert!(dialog.body().contains("“a” is running."), "{}", dialog.body());
    assert!(stage.root().is_visible());
    dialog.force_close();
    pause(100).await;
    assert_eq!(vm.status(), Status::Running, "closing the question changes nothing");
}

/// The first widget below `root` that `wanted` wants.
fn find<T: IsA<gtk::Widget>>(root: &gtk::Widget, wanted: impl Fn(&T) -> bool + Copy) -> Option<T> {
    if let Some(widget) = root.downcast_ref::<T>()
        && wanted(widget)
    {
        return Some(widget.clone());
    }
    let mut child = root.first_child();
    while let Some(widget) = child {
        if let Some(found) = find(&widget, wanted) {
            return Some(found);
        }
        child = widget.next_sibling();
    }
    None
}
