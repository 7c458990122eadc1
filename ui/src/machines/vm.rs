//! One machine, as an object that widgets watch.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use async_channel::Receiver;
use gettextrs::gettext;
use glib::prelude::*;
use glib::subclass::Signal;
use glib::subclass::prelude::*;
use gtk::glib;
use vmm_core::definition::{Definition, Drive};
use vmm_core::machine::{Command, Event, PauseReason, State, StopReason, Watch};

use super::Status;
use crate::backend::{Backend, Failure, Listed, Running, VmId, as_sentence};
use crate::resources::{History, Limits};

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Vm)]
    pub struct Vm {
        /// What it is called.
        #[property(get)]
        pub(super) name: RefCell<String>,
        /// Where it is in its life.
        #[property(get, builder(Status::Off))]
        pub(super) status: Cell<Status>,
        /// Why it stands still, failed or cannot be read, in a sentence.
        #[property(get, nullable)]
        pub(super) notice: RefCell<Option<String>>,
        /// Whether the guest follows the pointer by its place.
        #[property(get)]
        pub(super) tablet: Cell<bool>,
        pub(super) id: RefCell<Option<VmId>>,
        pub(super) folder: RefCell<PathBuf>,
        pub(super) backend: RefCell<Option<Rc<dyn Backend>>>,
        pub(super) definition: RefCell<Option<Definition>>,
        /// What it was started with, while it runs.
        pub(super) started_with: RefCell<Option<Definition>>,
        pub(super) running: RefCell<Option<Rc<dyn Running>>>,
        pub(super) history: History,
        /// What is in the drives while it runs.
        pub(super) media: RefCell<Vec<Option<PathBuf>>>,
        pub(super) start_again: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Vm {
        const NAME: &'static str = "BerthVm";
        type Type = super::Vm;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Vm {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![
                    Signal::builder("changed").build(),
                    Signal::builder("launched").build(),
                    Signal::builder("reset").build(),
                    Signal::builder("media-changed").build(),
                    Signal::builder("disk-grown").build(),
                    Signal::builder("medium-held").param_types([u32::static_type()]).build(),
                    Signal::builder("told").param_types([String::static_type()]).build(),
                    Signal::builder("ended").build(),
                ]
            })
        }
    }
}

glib::wrapper! {
    /// One machine. Its properties `name`, `status`, `notice` and `tablet` notify; what else happens to it
    /// are signals, for which there are `connect_…` methods.
    pub struct Vm(ObjectSubclass<imp::Vm>);
}

impl Vm {
    /// The machine `listed`, as `backend` keeps it.
    pub fn new(backend: Rc<dyn Backend>, listed: Listed) -> Self {
        let vm: Self = glib::Object::new();
        let imp = vm.imp();
        imp.id.replace(Some(listed.id.clone()));
        imp.backend.replace(Some(backend));
        let watched = vm.downgrade();
        imp.history.connect_watched(move |_| {
            if let Some(vm) = watched.upgrade() {
                vm.watch();
            }
        });
        vm.update(listed);
        vm
    }

    /// Takes over what the list says now.
    pub(super) fn update(&self, listed: Listed) {
        let imp = self.imp();
        imp.folder.replace(listed.folder);
        match listed.definition {
            Ok(definition) => {
                let changed = imp.definition.borrow().as_ref() != Some(&definition);
                if changed {
                    self.set_name(definition.name.as_str());
                    imp.definition.replace(Some(definition));
                }
                if !self.status().is_live() {
                    let was_bad = self.status() == Status::Damaged;
                    self.set_status(if listed.elsewhere { Status::Elsewhere } else { Status::Off });
                    if was_bad {
                        self.set_notice(None);
                    }
                }
                if changed {
                    self.emit_by_name::<()>("changed", &[]);
                }
            }
            // While it runs, what was read at its start holds.
            Err(_) if self.status().is_live() => {}
            Err(failure) => {
                self.set_name(&self.id().0.to_string_lossy());
                imp.definition.replace(None);
                self.set_status(Status::Damaged);
                self.set_notice(Some(failure.message));
            }
        }
    }

    /// Which machine it is.
    pub fn id(&self) -> VmId {
        self.imp().id.borrow().clone().expect("every Vm is made with an id")
    }

    /// The folder that holds its files.
    pub fn folder(&self) -> PathBuf {
        self.imp().folder.borrow().clone()
    }

    /// What it is made of; `None` when that cannot be read.
    pub fn definition(&self) -> Option<Definition> {
        self.imp().definition.borrow().clone()
    }

    /// What it was started with, while it runs: what differs from [`Self::definition`] waits for
    /// the next start.
    pub fn started_with(&self) -> Option<Definition> {
        self.imp().started_with.borrow().clone()
    }

    /// The running machine.
    pub fn running(&self) -> Option<Rc<dyn Running>> {
        self.imp().running.borrow().clone()
    }

    /// What it uses, second by second, for the last hour that it ran.
    pub fn history(&self) -> &History {
        &self.imp().history
    }

    /// What is in drive `index`: now, while it runs, else at the next start.
    pub fn medium(&self, index: usize) -> Option<PathBuf> {
        if self.status().is_live() {
            return self.imp().media.borrow().get(index).cloned().flatten();
        }
        let definition = self.imp().definition.borrow();
        let drive = definition.as_ref()?.drives.get(index)?;
        drive.file().map(Path::to_path_buf)
    }

    /// Keeps `definition` from now on.
    ///
    /// # Errors
    /// When it cannot be kept; nothing has changed then.
    pub async fn save(&self, definition: Definition) -> Result<(), Failure> {
        self.backend().save(&self.id(), definition.clone()).await?;
        self.set_name(definition.name.as_str());
        self.imp().definition.replace(Some(definition));
        self.emit_by_name::<()>("changed", &[]);
        Ok(())
    }

    /// Starts the machine, if it is off.
    ///
    /// # Errors
    /// When it cannot be built.
    pub async fn start(&self) -> Result<(), Failure> {
        if self.status() != Status::Off {
            return Ok(());
        }
        let Some(definition) = self.definition() else { return Ok(()) };
        self.set_status(Status::Starting);
        self.set_notice(None);
        let running = match self.backend().launch(&self.id()).await {
            Ok(running) => running,
            Err(failure) => {
                self.set_status(Status::Off);
                return Err(failure);
            }
        };
        let imp = self.imp();
        let media = |drive: &Drive| drive.file().map(Path::to_path_buf);
        imp.media.replace(definition.drives.iter().map(media).collect());
        imp.history.start(
            Limits {
                cpus: definition.cpus,
                host_cpus: self.backend().host().cpus,
                memory: definition.memory,
            },
            definition.drives.iter().map(drive_name).collect(),
        );
        imp.started_with.replace(Some(definition));
        let events = running.subscribe();
        let commands = running.commands();
        imp.running.replace(Some(running));
        self.emit_by_name::<()>("launched", &[]);
        glib::spawn_future_local(follow(self.downgrade(), events));
        // Refused only by a machine that is over, which says so itself.
        let _ = commands.try_send(Command::Start);
        if imp.history.is_watched() {
            self.watch();
        }
        Ok(())
    }

    /// Has the machine measure what somebody looks at.
    fn watch(&self) {
        let closely = self.imp().history.is_watched();
        self.command(Command::Watch(if closely { Watch::Closely } else { Watch::Loosely }));
    }

    /// Gives the running machine a command; nothing happens when there is none.
    pub fn command(&self, command: Command) {
        if command == Command::Shutdown && self.status() == Status::Running {
            self.set_status(Status::ShuttingDown);
        }
        if let Some(running) = self.running() {
            // Refused only by a machine that is over, which says so itself.
            let _ = running.commands().try_send(command);
        }
    }

    /// Asks the guest to shut down, and starts the machine again when it has.
    pub fn reboot(&self) {
        self.imp().start_again.set(true);
        self.command(Command::Shutdown);
    }

    /// Called when the definition changed.
    pub fn connect_changed(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("changed", f)
    }

    /// Called when the machine has been built, before its first instruction.
    pub fn connect_launched(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("launched", f)
    }

    /// Called when the guest was reset.
    pub fn connect_reset(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("reset", f)
    }

    /// Called when a medium was changed or ejected while it runs.
    pub fn connect_media_changed(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("media-changed", f)
    }

    /// Called when the machine is over and all its files are free.
    pub fn connect_ended(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("ended", f)
    }

    /// Called with a sentence that its owner should hear: something was refused, or is wrong but
    /// can be lived with.
    pub fn connect_told(&self, f: impl Fn(&Self, &str) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            "told",
            false,
            glib::closure_local!(move |vm: Self, text: String| f(&vm, &text)),
        )
    }

    /// Called when a disk of the running machine has become larger.
    pub fn connect_disk_grown(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("disk-grown", f)
    }

    /// Called with a drive's index when its medium was not changed because the guest holds it.
    pub fn connect_medium_held(&self, f: impl Fn(&Self, usize) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(
            "medium-held",
            false,
            glib::closure_local!(move |vm: Self, drive: u32| f(&vm, drive as usize)),
        )
    }

    fn connect_plain(&self, signal: &str, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_closure(signal, false, glib::closure_local!(move |vm: Self| f(&vm)))
    }

    fn backend(&self) -> Rc<dyn Backend> {
        self.imp().backend.borrow().clone().expect("every Vm is made with a backend")
    }

    fn set_name(&self, name: &str) {
        if self.imp().name.replace(name.into()) != name {
            self.notify_name();
        }
    }

    fn set_status(&self, status: Status) {
        if self.imp().status.replace(status) != status {
            self.notify_status();
        }
    }

    fn set_tablet(&self, tablet: bool) {
        if self.imp().tablet.replace(tablet) != tablet {
            self.notify_tablet();
        }
    }

    fn set_notice(&self, notice: Option<String>) {
        if self.imp().notice.replace(notice.clone()) != notice {
            self.notify_notice();
        }
    }

    fn take(&self, event: Event) {
        let imp = self.imp();
        match event {
            Event::State(State::Created) => {}
            Event::State(State::Running) => {
                self.set_notice(None);
                self.set_status(Status::Running);
            }
            Event::State(State::Paused(reason)) => {
                if let PauseReason::DiskFault(text) = reason {
                    self.set_notice(Some(as_sentence(&text)));
                }
                self.set_status(Status::Paused);
            }
            Event::State(State::Stopped(reason)) => self.end(reason),
            Event::Reset => self.emit_by_name::<()>("reset", &[]),
            Event::Refused(text) | Event::Warning(text) => {
                self.emit_by_name::<()>("told", &[&text]);
            }
            Event::Medium { drive, medium } => {
                if let Some(slot) = imp.media.borrow_mut().get_mut(drive) {
                    *slot = medium;
                }
                self.emit_by_name::<()>("media-changed", &[]);
            }
            Event::MediumHeld { drive } => {
                self.emit_by_name::<()>("medium-held", &[&(drive as u32)]);
            }
            Event::DiskGrown { .. } => self.emit_by_name::<()>("disk-grown", &[]),
            Event::Leds(_) => {}
            Event::Tablet(used) => self.set_tablet(used),
            Event::Statistics(statistics) => imp.history.record(&statistics),
        }
    }

    fn end(&self, reason: StopReason) {
        let imp = self.imp();
        imp.running.take();
        imp.started_with.take();
        imp.history.stop();
        self.set_tablet(false);
        let again = imp.start_again.take() && reason == StopReason::GuestPowerOff;
        self.set_notice(match reason {
            StopReason::Failed(text) => Some(as_sentence(&text)),
            StopReason::GuestPowerOff | StopReason::Requested => None,
        });
        self.set_status(Status::Off);
        self.emit_by_name::<()>("ended", &[]);
        if again {
            let vm = self.clone();
            glib::spawn_future_local(async move {
                if let Err(failure) = vm.start().await {
                    vm.set_notice(Some(failure.message));
                }
            });
        }
    }
}

/// What charts call a drive.
fn drive_name(drive: &Drive) -> String {
    let file = drive.file().and_then(Path::file_name);
    match (drive, file) {
        (Drive::Optical { .. }, _) => gettext("Optical drive"),
        (Drive::Disk { .. }, Some(file)) => file.to_string_lossy().into_owned(),
        (Drive::Disk { .. }, None) => gettext("Disk"),
    }
}

/// Follows a running machine to its end, for as long as anybody knows of it.
async fn follow(vm: glib::WeakRef<Vm>, events: Receiver<Event>) {
    while let Ok(event) = events.recv().await {
        let Some(vm) = vm.upgrade() else { return };
        vm.take(event);
    }
    // The channel closes behind the last event; without one, the machine's thread is gone.
    if let Some(vm) = vm.upgrade()
        && vm.running().is_some()
    {
        vm.end(StopReason::Failed(gettext("The machine ended without a word.")));
    }
}
