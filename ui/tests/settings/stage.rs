//! What the tests share: a window with a machine's settings in it, time, and a person's hands.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use gtk::glib;
use ui::backend::{Inspected, VmId};
use ui::fake::{FakeBackend, FakeMachine, definition};
use ui::machines::{Machines, Status, Vm};
use ui::settings::SettingsPage;
use vmm_core::definition::Definition;
use vmm_core::media::{BootKinds, Found, Medium, Volume};
use vmm_core::units::Bytes;

use crate::program::keep_pictures;
pub(crate) use crate::program::{run_for, wait_for};

/// A window with the settings of a machine called “Debian”; there is another called “Other”.
pub(crate) struct Stage {
    pub(crate) window: adw::Window,
    pub(crate) backend: FakeBackend,
    pub(crate) vm: Vm,
    pub(crate) id: VmId,
    page: SettingsPage,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With a machine that `change` has made special.
    pub(crate) fn with(change: impl FnOnce(&mut Definition)) -> Self {
        let backend = FakeBackend::default();
        let mut machine = definition("Debian");
        change(&mut machine);
        let id = backend.add(machine);
        backend.add(definition("Other"));
        backend.add_file("/iso/debian.iso", Ok(medium("/iso/debian.iso", "Debian 13.1.0 amd64")));
        let machines = Machines::new(Rc::new(backend.clone()));
        wait(machines.reload()).unwrap();
        let vm = machines.find(&id).unwrap();
        let page = SettingsPage::new(&vm, &machines);
        let window = adw::Window::builder()
            .title("stage")
            .default_width(720)
            .default_height(1040)
            .content(page.widget())
            .build();
        window.present();
        let stage = Self { window, backend, vm, id, page };
        wait_for("the page", || stage.page.widget().is_mapped());
        // Without a window manager nobody gives the window the keyboard.
        let arguments = ["search", "--sync", "--name", "^stage$", "windowfocus", "--sync"];
        let mut focusing = std::process::Command::new("xdotool").args(arguments).spawn().unwrap();
        wait_for("an active window", || {
            focusing.try_wait().unwrap().is_some() && stage.window.is_active()
        });
        stage
    }

    /// What is kept of the machine.
    pub(crate) fn kept(&self) -> Definition {
        self.backend.definition(&self.id).unwrap()
    }

    /// The page.
    pub(crate) fn page(&self) -> gtk::Widget {
        self.page.widget().clone().upcast()
    }

    /// Starts the machine.
    pub(crate) fn start(&self) -> Rc<FakeMachine> {
        wait(self.vm.start()).unwrap();
        wait_for("a running machine", || self.vm.status() == Status::Running);
        self.backend.machine(&self.id).unwrap()
    }

    /// Activates an action of the group `drives`.
    pub(crate) fn act(&self, name: &str, target: impl ToVariant) {
        self.activate(name, Some(&target.to_variant()));
    }

    /// Activates an action of the group `drives` that has no parameter.
    pub(crate) fn act_plain(&self, name: &str) {
        self.activate(name, None);
    }

    fn activate(&self, name: &str, target: Option<&glib::Variant>) {
        // A widget inside the group that has the actions.
        let row = find::<adw::ComboRow>(&self.page(), |row| row.title() == "_Start From");
        row.activate_action(&format!("drives.{name}"), target).unwrap();
    }

    /// The dialog that is open.
    pub(crate) fn dialog(&self) -> adw::Dialog {
        wait_for("a dialog", || self.window.visible_dialog().is_some());
        run_for(Duration::from_millis(50));
        self.window.visible_dialog().unwrap()
    }

    /// Clicks a button of the dialog that is open, and waits until that is gone.
    pub(crate) fn answer(&self, label: &str) {
        let dialog = self.dialog();
        let button = find::<gtk::Button>(dialog.upcast_ref(), |button| {
            button.label().is_some_and(|text| text.replace('_', "") == label)
        });
        assert!(button.is_sensitive(), "{label} can be clicked");
        button.emit_clicked();
        wait_for("the dialog to go", || self.window.visible_dialog().as_ref() != Some(&dialog));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.window.destroy();
        run_for(Duration::from_millis(20));
    }
}

/// An ISO image that calls itself `label`.
pub(crate) fn medium(path: &str, label: &str) -> Inspected {
    let volume = Volume { label: label.into(), ..Volume::default() };
    let path = PathBuf::from(path);
    let medium = Medium { path, size: Bytes::mib(700), volume, boot: BootKinds::default() };
    Inspected { found: Found::Medium(medium), system: None }
}

/// Every widget of a type in `root`, itself included.
pub(crate) fn all<T: IsA<gtk::Widget>>(root: &gtk::Widget) -> Vec<T> {
    let mut found: Vec<T> = root.downcast_ref::<T>().cloned().into_iter().collect();
    let mut child = root.first_child();
    while let Some(widget) = child {
        found.extend(all::<T>(&widget));
        child = widget.next_sibling();
    }
    found
}

/// The widget of a type that is so.
pub(crate) fn find<T: IsA<gtk::Widget>>(root: &gtk::Widget, so: impl Fn(&T) -> bool) -> T {
    let found: Vec<T> = all::<T>(root).into_iter().filter(so).collect();
    assert_eq!(found.len(), 1, "exactly one {}", T::static_type());
    found.into_iter().next().unwrap()
}

/// Pictures of `widget`, in `target/screens`.
pub(crate) fn picture(widget: &impl IsA<gtk::Widget>, name: &str) {
    // Bars and dialogs have come to rest by then.
    run_for(Duration::from_millis(500));
    keep_pictures(widget, name);
}

/// Lets GTK work until a future is done.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    glib::MainContext::default().block_on(future)
}
