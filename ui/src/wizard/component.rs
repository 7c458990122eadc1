//! The dialog: which step is shown, and what happens between them.

use std::path::PathBuf;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gdk, gio, glib};
use relm4::prelude::*;
use vmm_core::definition::{Drive, Firmware};

use super::disk::DiskPage;
use super::download::{self, DownloadPage};
use super::model::{Draft, Source, Step, Surroundings};
use super::processing::ProcessingPage;
use super::recent;
use super::review::ReviewPage;
use super::source::SourcePage;
use super::voice::Voice;
use crate::backend::{Failure, Inspected, Progress, Storage};
use crate::dialogs::{show_failure, with_progress};
use crate::machines::{Machines, Vm};

/// What the wizard starts with.
pub(super) struct WizardInit {
    pub(super) machines: Machines,
    pub(super) file: Option<PathBuf>,
}

/// What the wizard is told.
#[derive(Debug)]
pub(super) enum WizardInput {
    /// Make the machine from this.
    Source(Source),
    /// Ask for a file.
    Choose,
    /// Look for a medium to download.
    Download,
    /// This file was chosen, dropped or downloaded.
    Chosen(PathBuf),
    /// Something was dropped that is no file of this computer.
    Foreign,
    /// What a file holds.
    Inspected(PathBuf, Box<Result<Inspected, Failure>>),
    /// Where machines go.
    Storage(Storage),
    /// ISO images that were used lately.
    Recent(Vec<PathBuf>),
    /// Memory was typed.
    Memory(String),
    /// Processors were typed.
    Cpus(String),
    /// Whether there is a disk.
    WithDisk(bool),
    /// The disk's size was typed.
    Disk(String),
    /// Whether its space is reserved.
    Preallocate(bool),
    /// The name was typed.
    Name(String),
    /// Firmware was chosen.
    Firmware(Firmware),
    /// Whether to start the machine.
    Start(bool),
    /// Whether it has a network card.
    Network(bool),
    /// Go on: to the next step, or make the machine.
    Next,
    /// Another step is shown.
    Moved,
    /// The machine was made, or not.
    Made(Result<Vm, Failure>),
    /// Leave.
    Cancel,
}

/// What the wizard tells the window.
#[derive(Debug)]
pub(super) enum WizardOutput {
    /// This machine was made; whether to start it.
    Made(Vm, bool),
}

/// The wizard.
pub(super) struct Wizard {
    machines: Machines,
    draft: Draft,
    navigation: adw::NavigationView,
    next: gtk::Button,
    bar: gtk::Box,
    source: SourcePage,
    download: DownloadPage,
    processing: ProcessingPage,
    disk: DiskPage,
    review: ReviewPage,
    /// The machine being made.
    making: Option<Progress>,
    voice: Voice,
}

impl Component for Wizard {
    type Init = WizardInit;
    type Input = WizardInput;
    type Output = WizardOutput;
    type CommandOutput = ();
    type Root = adw::Dialog;
    type Widgets = ();

    fn init_root() -> Self::Root {
        adw::Dialog::builder()
            .title(gettext("New Virtual Machine"))
            .content_width(560)
            .content_height(640)
            .build()
    }

    fn init(
        init: WizardInit,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let draft = Draft::new(surroundings(&init.machines));
        let voice = Voice::new(sender.input_sender().clone());
        let input = &voice;
        let source = SourcePage::new(input);
        let download = DownloadPage::new(&init.machines, input);
        let processing = ProcessingPage::new(&draft, input);
        let disk = DiskPage::new(&draft, input);
        let review = ReviewPage::new(&draft, input);
        let navigation = adw::NavigationView::new();
        for page in [
            source.widget(),
            download.widget(),
            processing.widget(),
            disk.widget(),
            review.widget(),
        ] {
            navigation.add(page);
        }
        let moved = input.clone();
        navigation.connect_visible_page_notify(move |_| moved.emit(WizardInput::Moved));
        let (bar, next) = buttons(input);
        let toolbar = adw::ToolbarView::builder()
            .content(&navigation)
            .bottom_bar_style(adw::ToolbarStyle::RaisedBorder)
            .build();
        toolbar.add_bottom_bar(&bar);
        root.set_child(Some(&toolbar));
        root.set_default_widget(Some(&next));
        root.add_controller(drop_target(input));
        // Only asked while a machine is being made; at other times the dialog just closes.
        let cancel = input.clone();
        root.connect_close_attempt(move |_| cancel.emit(WizardInput::Cancel));
        look_around(&init.machines, &sender);
        if let Some(file) = init.file {
            sender.input(WizardInput::Chosen(file));
        }
        let machines = init.machines;
        let making = None;
        let model = Self {
            machines,
            draft,
            navigation,
            next,
            bar,
            source,
            download,
            processing,
            disk,
            review,
            making,
            voice,
        };
        model.refill();
        model.show();
        root.set_focus(Some(model.source.focus()));
        ComponentParts { model, widgets: () }
    }

    fn update(&mut self, message: WizardInput, sender: ComponentSender<Self>, root: &Self::Root) {
        let draft = &mut self.draft;
        match message {
            WizardInput::Source(source) => {
                draft.set_source(source);
                self.refill();
            }
            WizardInput::Choose => choose(draft.source, root, &sender),
            WizardInput::Download => {
                self.download.reload();
                self.navigation.push_by_tag(download::TAG);
            }
            WizardInput::Chosen(path) => self.choose(path, &sender),
            WizardInput::Foreign => {
                let text = gettext("Only files that are on this computer can be used.");
                show_failure(root, &gettext("This File Cannot Be Used"), &Failure::new(text));
            }
            WizardInput::Inspected(path, holds) => {
                draft.inspected(&path, *holds);
                self.refill();
                self.show();
                if self.step() == Step::Source {
                    self.focus(root);
                }
            }
            WizardInput::Storage(storage) => draft.around.storage = Some(storage),
            WizardInput::Recent(media) => self.source.set_recent(&media),
            WizardInput::Memory(text) => draft.memory.enter(text),
            WizardInput::Cpus(text) => draft.cpus.enter(text),
            WizardInput::WithDisk(with_disk) => draft.with_disk = with_disk,
            WizardInput::Disk(text) => draft.disk.enter(text),
            WizardInput::Preallocate(preallocate) => draft.preallocate = preallocate,
            WizardInput::Name(text) => draft.name.enter(text),
            WizardInput::Firmware(firmware) => draft.firmware.enter(firmware),
            WizardInput::Network(network) => draft.network = network,
            WizardInput::Start(start) => draft.start = start,
            WizardInput::Next => self.go_on(root, &sender),
            WizardInput::Moved => {
                if !self.is_downloading() {
                    self.download.stop();
                }
                self.focus(root);
            }
            WizardInput::Made(result) => self.made(result, root, &sender),
            WizardInput::Cancel => self.cancel(root),
        }
        self.show();
    }
}

impl Wizard {
    /// The step that is shown.
    fn step(&self) -> Step {
        match self.navigation.visible_page_tag().as_deref() {
            Some("processing") => Step::Processing,
            Some("disk") => Step::Disk,
            Some("review") => Step::Review,
            _ => Step::Source,
        }
    }

    /// Whether the page beside the first step is shown.
    fn is_downloading(&self) -> bool {
        self.navigation.visible_page_tag().as_deref() == Some(download::TAG)
    }

    /// Puts into the fields what was suggested anew. Fields that were typed into have it already.
    fn refill(&self) {
        self.voice.hush(|| {
            self.processing.refill(&self.draft);
            self.disk.refill(&self.draft);
            self.review.refill(&self.draft);
        });
    }

    /// Brings everything up to date that follows from the draft.
    fn show(&self) {
        self.voice.hush(|| {
            self.source.show(&self.draft);
            self.processing.show(&self.draft);
            self.disk.show(&self.draft);
            self.review.show(&self.draft);
        });
        let step = self.step();
        let (label, possible) = match step {
            Step::Review => (gettext("C_reate"), self.draft.machine().is_some()),
            _ => (gettext("_Next"), self.draft.is_done(step)),
        };
        self.next.set_label(&label);
        self.next.set_sensitive(possible && !self.is_downloading());
        let idle = self.making.is_none();
        self.navigation.set_sensitive(idle);
        self.bar.set_sensitive(idle);
    }

    fn choose(&mut self, path: PathBuf, sender: &ComponentSender<Self>) {
        self.navigation.pop_to_tag("source");
        self.draft.choose(path.clone());
        let inspecting = self.machines.backend().inspect(path.clone());
        let input = sender.input_sender().clone();
        glib::spawn_future_local(async move {
            let holds = Box::new(inspecting.await);
            // The dialog may be gone by now.
            let _ = input.send(WizardInput::Inspected(path, holds));
        });
    }

    fn go_on(&mut self, root: &adw::Dialog, sender: &ComponentSender<Self>) {
        let step = self.step();
        if self.making.is_some() || self.is_downloading() || !self.draft.is_done(step) {
            return;
        }
        let steps = self.draft.steps();
        let following = steps.iter().skip_while(|other| **other != step).nth(1);
        match following {
            Some(Step::Source) => self.navigation.push_by_tag("source"),
            Some(Step::Processing) => self.navigation.push_by_tag("processing"),
            Some(Step::Disk) => self.navigation.push_by_tag("disk"),
            Some(Step::Review) => self.navigation.push_by_tag("review"),
            None => self.make(root, sender),
        }
    }

    /// Typing goes to the first thing that a step asks.
    fn focus(&self, root: &adw::Dialog) {
        match self.step() {
            Step::Source if self.is_downloading() => self.download.focus(),
            Step::Source if self.draft.is_done(Step::Source) => root.set_focus(Some(&self.next)),
            Step::Source => root.set_focus(Some(self.source.focus())),
            Step::Processing => _ = self.processing.focus().grab_focus(),
            Step::Disk => _ = self.disk.focus().grab_focus(),
            Step::Review => _ = self.review.focus().grab_focus(),
        }
    }

    fn make(&mut self, root: &adw::Dialog, sender: &ComponentSender<Self>) {
        let Some(machine) = self.draft.machine() else { return };
        let progress = Progress::default();
        self.making = Some(progress.clone());
        root.set_can_close(false);
        let heading = gettext("Creating “{name}”");
        let heading = heading.replace("{name}", machine.definition.name.as_str());
        let (machines, root) = (self.machines.clone(), root.clone());
        let input = sender.input_sender().clone();
        glib::spawn_future_local(async move {
            let making = machines.create(machine, progress.clone());
            let made = with_progress(&root, &heading, progress, making).await;
            let _ = input.send(WizardInput::Made(made));
        });
    }

    fn made(
        &mut self,
        result: Result<Vm, Failure>,
        root: &adw::Dialog,
        sender: &ComponentSender<Self>,
    ) {
        self.making = None;
        root.set_can_close(true);
        match result {
            Ok(vm) => {
                if let Some(chosen) =
                    self.draft.chosen().filter(|_| self.draft.source == Source::Medium)
                {
                    recent::remember(chosen.path.clone());
                }
                // Nobody may listen any more; the machine is in the list all the same.
                let _ = sender.output(WizardOutput::Made(vm, self.draft.start));
                root.force_close();
            }
            Err(failure) => {
                show_failure(root, &gettext("The Machine Was Not Created"), &failure);
                // Others may have taken the name or the space meanwhile.
                let storage = self.draft.around.storage.take();
                self.draft.around = surroundings(&self.machines);
                self.draft.around.storage = storage;
                look_around(&self.machines, sender);
            }
        }
    }

    fn cancel(&mut self, root: &adw::Dialog) {
        match &self.making {
            Some(progress) => progress.cancel(),
            None => root.force_close(),
        }
    }
}

impl Drop for Wizard {
    fn drop(&mut self) {
        // The window went away: what is half made must not stay.
        if let Some(progress) = &self.making {
            progress.cancel();
        }
    }
}

/// Cancel at the one end, Next at the other.
fn buttons(input: &Voice) -> (gtk::Box, gtk::Button) {
    let button = |label: &str| gtk::Button::builder().label(label).use_underline(true).build();
    let cancel = button(&gettext("_Cancel"));
    let next = button(&gettext("_Next"));
    next.add_css_class("suggested-action");
    for (button, message) in
        [(&cancel, (|| WizardInput::Cancel) as fn() -> WizardInput), (&next, || WizardInput::Next)]
    {
        let input = input.clone();
        button.connect_clicked(move |_| input.emit(message()));
    }
    let space = gtk::Box::builder().hexpand(true).build();
    let bar = gtk::Box::builder()
        .spacing(12)
        .margin_top(9)
        .margin_bottom(9)
        .margin_start(12)
        .margin_end(12)
        .build();
    bar.append(&cancel);
    bar.append(&space);
    bar.append(&next);
    (bar, next)
}

/// What the machine must fit into, as far as it is known at once.
fn surroundings(machines: &Machines) -> Surroundings {
    let live = machines.live();
    let cpus = live.iter().filter_map(Vm::started_with).map(|definition| definition.cpus).sum();
    let mut disks = Vec::new();
    for vm in machines.all() {
        for drive in vm.definition().map(|definition| definition.drives).unwrap_or_default() {
            if let Drive::Disk { file, .. } = drive {
                disks.push((vm.folder().join(file), vm.name()));
            }
        }
    }
    Surroundings {
        host: machines.backend().host(),
        held_memory: machines.memory_in_use(),
        held_cpus: cpus,
        storage: None,
        names: machines.all().iter().map(Vm::name).collect(),
        disks,
    }
}

/// Finds out what takes a while.
fn look_around(machines: &Machines, sender: &ComponentSender<Wizard>) {
    let (machines, input) = (machines.clone(), sender.input_sender().clone());
    glib::spawn_future_local(async move {
        let _ = input.send(WizardInput::Storage(machines.backend().storage().await));
        let _ = input.send(WizardInput::Recent(recent::media(&machines).await));
    });
}

fn choose(source: Source, root: &adw::Dialog, sender: &ComponentSender<Wizard>) {
    let filter = gtk::FileFilter::new();
    let title = if source == Source::Image {
        filter.set_name(Some(&gettext("Disk images")));
        for suffix in ["qcow2", "img", "raw"] {
            filter.add_suffix(suffix);
        }
        gettext("Choose a Disk Image")
    } else {
        filter.set_name(Some(&gettext("ISO images")));
        filter.add_suffix("iso");
        filter.add_mime_type("application/vnd.efi.iso");
        filter.add_mime_type("application/x-cd-image");
        gettext("Choose an ISO Image")
    };
    let everything = gtk::FileFilter::new();
    everything.set_name(Some(&gettext("All files")));
    everything.add_pattern("*");
    let filters = gio::ListStore::new::<gtk::FileFilter>();
    filters.append(&filter);
    filters.append(&everything);
    let dialog = gtk::FileDialog::builder().title(title).modal(true).filters(&filters).build();
    if let Some(downloads) = glib::user_special_dir(glib::UserDirectory::Downloads) {
        dialog.set_initial_folder(Some(&gio::File::for_path(downloads)));
    }
    let window = root.root().and_downcast::<gtk::Window>();
    let input = sender.input_sender().clone();
    glib::spawn_future_local(async move {
        // Anything but a file means that nobody chose one.
        let Ok(file) = dialog.open_future(window.as_ref()).await else { return };
        let message = file.path().map_or(WizardInput::Foreign, WizardInput::Chosen);
        let _ = input.send(message);
    });
}

/// A file dropped on any step starts over with it; what was typed stays.
fn drop_target(input: &Voice) -> gtk::DropTarget {
    let target = gtk::DropTarget::new(gio::File::static_type(), gdk::DragAction::COPY);
    let input = input.clone();
    target.connect_drop(move |_, value, _, _| {
        let Ok(file) = value.get::<gio::File>() else { return false };
        input.emit(file.path().map_or(WizardInput::Foreign, WizardInput::Chosen));
        true
    });
    target
}
