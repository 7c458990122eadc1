//! The program as the desktop sees it.
//!
//! What lives here: one instance with one window, what it is asked from outside, the end of a
//! session, and machines that run on without a window (`background`). What does not: what is in the
//! window.

mod background;

use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use relm4::prelude::*;

use crate::backend::{Backend, VmId};
use crate::machines::{Machines, Status, Vm};
use crate::preferences::Preferences;
use crate::window::{WinAction, Window, WindowInput, WindowOutput};
use crate::{console, display};

/// The application's id.
pub const APP_ID: &str = "io.github.berth_vm.Berth";

/// How long guests get to shut down when the session ends or somebody sends SIGTERM: what systemd
/// leaves a user's session.
const PATIENCE: Duration = Duration::from_secs(80);

/// The application's action that shows the machine in the folder of a name.
const SHOW_MACHINE: &str = "show-machine";
/// The application's action that starts the wizard.
const NEW_MACHINE: &str = "new-machine";

/// What Berth is started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To show its window, with the wizard for the first of these files.
    Open(Vec<PathBuf>),
    /// To show the wizard.
    NewMachine,
    /// To show the machine in the folder of this name.
    ShowMachine(String),
    /// To wait for what is asked over D-Bus.
    Serve,
}

/// The program: what is made when it starts, and lives as long as it runs.
struct Instance {
    application: adw::Application,
    window: Controller<Window>,
    machines: Machines,
    /// Keeps the program alive while its window is hidden.
    background: RefCell<Option<gio::ApplicationHoldGuard>>,
    /// Keeps the session from ending while machines run.
    inhibited: RefCell<Option<u32>>,
}

/// Does what is requested, until the window is closed; when Berth is running already, that one does
/// it. `backend` is made at most once. Whether it went well.
pub fn run(request: &Request, backend: impl FnOnce() -> Rc<dyn Backend> + 'static) -> bool {
    add_resources();
    leave_gtk_theme_out();
    let application = adw::Application::builder()
        .application_id(APP_ID)
        .flags(gio::ApplicationFlags::HANDLES_OPEN)
        .build();
    let instance = Rc::new(OnceCell::new());
    let backend = RefCell::new(Some(backend));
    application.connect_startup({
        let instance = instance.clone();
        move |application| {
            Preferences::shared().follow_style();
            // Before there is anything to be styled: all of it would be styled once more.
            display::add_style();
            console::add_style();
            let Some(backend) = backend.take() else { return };
            let made = Instance::new(application.clone(), Machines::new(backend()));
            watch_signals(&made);
            add_actions(&made);
            // Empty until now: an application starts once.
            let _ = instance.set(made);
        }
    });
    application.connect_activate({
        let instance = instance.clone();
        move |_| {
            if let Some(instance) = instance.get() {
                instance.present();
            }
        }
    });
    application.connect_open(move |_, files, _| {
        let Some(instance) = instance.get() else { return };
        match files.first().and_then(gio::File::path) {
            Some(path) => instance.start_wizard(WindowInput::Open(path)),
            None => instance.present(),
        }
    });
    let mut arguments = vec!["berth".to_owned()];
    match request {
        Request::Open(files) => {
            arguments.extend(files.iter().map(|file| file.to_string_lossy().into_owned()));
        }
        Request::Serve => arguments.push("--gapplication-service".into()),
        Request::NewMachine => return act(&application, NEW_MACHINE, None, &arguments),
        Request::ShowMachine(folder) => {
            return act(&application, SHOW_MACHINE, Some(&folder.to_variant()), &arguments);
        }
    }
    application.run_with_args(&arguments) == glib::ExitCode::SUCCESS
}

/// Activates an action of the Berth that runs already, or else of this one, which then runs.
fn act(
    application: &adw::Application,
    action: &str,
    parameter: Option<&glib::Variant>,
    arguments: &[String],
) -> bool {
    if let Err(error) = application.register(gio::Cancellable::NONE) {
        tracing::warn!(%error, "the session's bus does not take the application");
    }
    application.activate_action(action, parameter);
    application.run_with_args(arguments) == glib::ExitCode::SUCCESS
}

impl Instance {
    fn new(application: adw::Application, machines: Machines) -> Rc<Self> {
        Rc::new_cyclic(|this: &std::rc::Weak<Self>| {
            let this = this.clone();
            let window =
                Window::builder().launch(machines.clone()).connect_receiver(move |_, output| {
                    let Some(instance) = this.upgrade() else { return };
                    match output {
                        WindowOutput::Background => instance.hide(),
                        WindowOutput::Quit => {
                            glib::spawn_future_local(async move { instance.leave().await });
                        }
                    }
                });
            window.widget().set_application(Some(&application));
            Self {
                application,
                window,
                machines,
                background: RefCell::default(),
                inhibited: RefCell::default(),
            }
        })
    }

    fn present(&self) {
        self.window.widget().present();
        self.background.take();
    }

    /// Chooses the machine in the folder of this name, if there is one.
    fn show_machine(self: &Rc<Self>, folder: &str) {
        // A window that appears only now chooses the one that was shown last.
        Preferences::shared().set_selected_machine(Some(folder));
        self.present();
        let (instance, id) = (self.clone(), VmId(folder.into()));
        glib::spawn_future_local(async move {
            // The window tells if the machines cannot be listed.
            let _ = instance.machines.reload().await;
            if let Some(vm) = instance.machines.find(&id) {
                instance.window.emit(WindowInput::Show(vm));
            }
        });
    }

    /// Starts the wizard by `input`, once it can know which names and disks are taken.
    fn start_wizard(self: &Rc<Self>, input: WindowInput) {
        self.present();
        let instance = self.clone();
        glib::spawn_future_local(async move {
            // The window tells if the machines cannot be listed.
            let _ = instance.machines.reload().await;
            instance.window.emit(input);
        });
    }

    /// Whether nobody sees the window, as it was closed while machines run.
    fn is_hidden(&self) -> bool {
        self.background.borrow().is_some()
    }

    /// Goes on without a window until the last machine is off.
    fn hide(self: &Rc<Self>) {
        self.background.replace(Some(self.application.hold()));
        background::ask(self.machines.live().len());
        self.window.widget().set_visible(false);
        let instance = self.clone();
        glib::spawn_future_local(async move {
            instance.machines.all_off().await;
            // Unless the window is back.
            if instance.background.borrow().is_some() {
                instance.leave().await;
            }
        });
    }

    /// Guests shut down in order, then the program ends.
    async fn end(&self) {
        self.machines.shut_all_down(PATIENCE).await;
        self.leave().await;
    }

    /// Ends the program, whose machines are off, with what was deleted gone for good.
    async fn leave(&self) {
        self.machines.purge_all().await;
        self.application.quit();
    }

    /// Asks the desktop not to end the session or to suspend under running machines.
    fn inhibit(&self) {
        let live = !self.machines.live().is_empty();
        let mut inhibited = self.inhibited.borrow_mut();
        match (*inhibited, live) {
            (None, true) => {
                let flags =
                    gtk::ApplicationInhibitFlags::LOGOUT | gtk::ApplicationInhibitFlags::SUSPEND;
                let reason = gettext("Virtual machines are running");
                let cookie =
                    self.application.inhibit(Some(self.window.widget()), flags, Some(&reason));
                *inhibited = (cookie != 0).then_some(cookie);
            }
            (Some(cookie), false) => {
                self.application.uninhibit(cookie);
                *inhibited = None;
            }
            _ => {}
        }
    }
}

/// The end of the session, and what else asks the program to end in order.
fn watch_signals(instance: &Rc<Instance>) {
    let end = {
        let instance = Rc::downgrade(instance);
        move || {
            if let Some(instance) = instance.upgrade() {
                glib::spawn_future_local(async move { instance.end().await });
            }
        }
    };
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let end = end.clone();
        glib_unix::unix_signal_add_local(signal, move || {
            end();
            glib::ControlFlow::Continue
        });
    }
    instance.application.connect_query_end(move |_| end());
    let weak = Rc::downgrade(instance);
    let watch = move |vm: &Vm| {
        let instance = weak.clone();
        vm.connect_status_notify(move |vm| {
            let Some(instance) = instance.upgrade() else { return };
            instance.inhibit();
            if instance.is_hidden() && vm.status() == Status::Paused {
                background::tell_paused(&instance.application, vm);
            } else if vm.status().is_live() {
                background::withdraw(&instance.application, vm);
            }
        });
        let instance = weak.clone();
        vm.connect_ended(move |vm| {
            if let Some(instance) = instance.upgrade().filter(|instance| instance.is_hidden()) {
                background::tell_ended(&instance.application, vm);
            }
        });
    };
    instance.machines.model().connect_items_changed(move |model, position, _, added| {
        (position..position + added)
            .filter_map(|index| model.item(index).and_downcast::<Vm>())
            .for_each(|vm| watch(&vm));
    });
}

/// What can be asked of the program from outside: over D-Bus, by the shell's menu, by a notification.
fn add_actions(instance: &Rc<Instance>) {
    let show = gio::SimpleAction::new(SHOW_MACHINE, Some(glib::VariantTy::STRING));
    let weak = Rc::downgrade(instance);
    show.connect_activate(move |_, folder| {
        let folder = folder.and_then(glib::Variant::str);
        if let (Some(instance), Some(folder)) = (weak.upgrade(), folder) {
            instance.show_machine(folder);
        }
    });
    let new = gio::SimpleAction::new(NEW_MACHINE, None);
    let weak = Rc::downgrade(instance);
    new.connect_activate(move |_, _| {
        if let Some(instance) = weak.upgrade() {
            instance.start_wizard(WindowInput::Win(WinAction::New));
        }
    });
    instance.application.add_action(&show);
    instance.application.add_action(&new);
}

/// Numbers of signals that ask a program to end (signal(7)).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Keeps GTK from reading its own theme, unless somebody asked for a theme by name: it would do so
/// when its settings are first looked at, only for libadwaita to replace the theme at once. That
/// is a tenth of the program's start. To be called after GTK has started, and before that.
fn leave_gtk_theme_out() {
    if std::env::var_os("GTK_THEME").is_none() {
        // GTK's resources are there from the first look at any on, and what is added last is found
        // first. Nothing is at the root.
        let _ = gio::resources_get_info("/", gio::ResourceLookupFlags::NONE);
        gio::resources_register_include!("theme.gresource")
            .expect("the resources were compiled with the program");
    }
}

/// Makes icons and style part of the program; GTK and libadwaita find them below the application's
/// id.
pub fn add_resources() {
    gio::resources_register_include!("berth.gresource")
        .expect("the resources were compiled with the program");
}
