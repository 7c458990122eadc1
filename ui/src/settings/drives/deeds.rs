//! What the buttons and menus of drives come to.

use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use vmm_core::block::Format;
use vmm_core::definition::{Definition, DiskBus, Drive};
use vmm_core::machine::Command;
use vmm_core::media::Found;
use vmm_core::units::Bytes;

use super::dialogs::{FileFate, SizeQuestion, ask_fate, ask_size};
use super::facts::{Fact, Image};
use super::{Inner, edit, medium};
use crate::backend::{Failure, Progress};
use crate::dialogs::with_progress;
use crate::preferences::Preferences;
use crate::settings::context::Context;

/// What is suggested for another disk.
const NEW_DISK: Bytes = Bytes::gib(20);
/// The smallest that is worth having.
const LEAST_DISK: Bytes = Bytes::mib(64);

/// The actions of the group `drives`.
pub(super) fn actions(inner: &Rc<Inner>) -> gio::SimpleActionGroup {
    let group = gio::SimpleActionGroup::new();
    let install = Install { group: &group, inner: Rc::downgrade(inner) };
    install.on_drive("move-up", |inner, index| inner.swap(index, index.wrapping_sub(1)));
    install.on_drive("move-down", |inner, index| inner.swap(index, index + 1));
    install.on_drive("toggle-read-only", |inner, index| inner.toggle_read_only(index));
    install.on_drive("toggle-bus", |inner, index| inner.toggle_bus(index));
    install.on_drive("grow", |inner, index| inner.spawn(grow(inner.clone(), index)));
    install.on_drive("remove", |inner, index| inner.spawn(remove(inner.clone(), index)));
    install.on_drive("choose", |inner, index| inner.spawn(choose(inner.clone(), index)));
    install.on_drive("eject", |inner, index| inner.change_medium(index, None));
    install.with::<(u32, String)>("insert-file", |inner, (index, file)| {
        inner.change_medium(index as usize, Some(file.into()));
    });
    install.with::<String>("add-file", |inner, file| {
        inner.spawn(add_file(inner.clone(), file.into()));
    });
    install.plain("add-disk", |inner| inner.spawn(add_disk(inner.clone())));
    install.plain("add-existing", |inner| inner.spawn(add_existing(inner.clone())));
    install.plain("add-optical", |inner| {
        inner.context.change(|definition| edit::add(definition, Drive::Optical { file: None }));
    });
    group
}

/// Puts actions into a group.
struct Install<'a> {
    group: &'a gio::SimpleActionGroup,
    inner: Weak<Inner>,
}

impl Install<'_> {
    /// An action that is given a `T`.
    fn with<T: glib::variant::FromVariant + glib::variant::StaticVariantType>(
        &self,
        name: &str,
        f: impl Fn(&Rc<Inner>, T) + 'static,
    ) {
        let action = gio::SimpleAction::new(name, Some(&T::static_variant_type()));
        let weak = self.inner.clone();
        action.connect_activate(move |_, parameter| {
            if let (Some(inner), Some(value)) =
                (weak.upgrade(), parameter.and_then(glib::Variant::get))
            {
                f(&inner, value);
            }
        });
        self.group.add_action(&action);
    }

    fn on_drive(&self, name: &str, f: impl Fn(&Rc<Inner>, usize) + 'static) {
        self.with::<u32>(name, move |inner, index| f(inner, index as usize));
    }

    fn plain(&self, name: &str, f: impl Fn(&Rc<Inner>) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let weak = self.inner.clone();
        action.connect_activate(move |_, _| {
            if let Some(inner) = weak.upgrade() {
                f(&inner);
            }
        });
        self.group.add_action(&action);
    }
}

impl Inner {
    fn spawn(&self, deed: impl Future<Output = ()> + 'static) {
        glib::spawn_future_local(deed);
    }

    fn swap(&self, one: usize, other: usize) {
        self.focus.set(Some(other));
        self.context.change(move |definition| edit::swap(definition, one, other));
    }

    fn toggle_read_only(&self, index: usize) {
        self.context.change(move |definition| {
            if let Some(Drive::Disk { read_only, .. }) = definition.drives.get_mut(index) {
                *read_only = !*read_only;
            }
        });
    }

    /// Connects the disk to the other bus. Guests without a driver no longer find it.
    fn toggle_bus(&self, index: usize) {
        self.context.change(move |definition| {
            if let Some(Drive::Disk { bus, .. }) = definition.drives.get_mut(index) {
                *bus = match bus {
                    DiskBus::Sata => DiskBus::Virtio,
                    DiskBus::Virtio => DiskBus::Sata,
                };
            }
        });
    }

    /// Adds a disk; `false` when it could not be.
    async fn add(&self, file: PathBuf, format: Format) -> bool {
        let add = move |definition: &mut Definition| {
            let bus = edit::usual_bus(definition);
            let drive = Drive::Disk { file, format, read_only: false, bus };
            edit::add(definition, drive);
        };
        self.context.changed(add).await
    }

    fn change_medium(&self, index: usize, file: Option<PathBuf>) {
        let (context, wishes) = (self.context.clone(), self.wishes.clone());
        self.spawn(medium::change(context, wishes, index, file));
    }

    /// Looks at the files anew and shows what there is.
    pub(super) fn look_and_refresh(&self) {
        self.facts.forget();
        self.context.refresh();
    }
}

async fn choose(inner: Rc<Inner>, index: usize) {
    let current = inner.drive(index).and_then(|drive| drive.file().map(|file| inner.whole(file)));
    if let Some(file) = medium::choose(&inner.context, current).await {
        inner.change_medium(index, Some(file));
    }
}

/// Which drive of the running machine is disk `index`, if that can grow while its guest uses it.
pub(super) fn growing_disk(context: &Context, index: usize) -> Option<usize> {
    let wanted = context.vm.definition()?.drives.get(index)?.clone();
    let grows = matches!(wanted, Drive::Disk { read_only: false, bus: DiskBus::Virtio, .. });
    let started = context.vm.started_with()?;
    started.drives.iter().position(|drive| *drive == wanted).filter(|_| grows)
}

async fn grow(inner: Rc<Inner>, index: usize) {
    let Some(Drive::Disk { file, format, .. }) = inner.drive(index) else { return };
    let Some(parent) = inner.context.parent() else { return };
    let whole = inner.whole(&file);
    let known = inner.facts.get(Image::Disk(whole.clone(), format));
    let Some(Fact::Disk(facts)) = known else { return };
    let question = SizeQuestion {
        heading: gettext("Make the Disk Larger"),
        body: gettext(
            "A disk cannot be made smaller again. The guest sees free space behind what it has, \
             and its partitions have to be enlarged in the guest.",
        ),
        accept: gettext("_Make Larger"),
        suggestion: Bytes(facts.size.0.saturating_mul(2)),
        least: Bytes(facts.size.0 + Bytes::mib(1).0),
        free: None,
        reserve: false,
    };
    let Some((size, _)) = ask_size(&parent, question).await else { return };
    if let Some(drive) = growing_disk(&inner.context, index)
        && inner.context.vm.status().is_live()
    {
        // A machine that runs has its files for itself. It tells when the disk has grown.
        inner.context.vm.command(Command::GrowDisk { drive, size });
        return;
    }
    let backend = inner.context.machines.backend().clone();
    if let Err(failure) = backend.grow_disk(whole, format, size).await {
        inner.context.fail(&gettext("The Disk Was Not Made Larger"), &failure);
    }
    inner.look_and_refresh();
}

async fn remove(inner: Rc<Inner>, index: usize) {
    let Some(drive) = inner.drive(index) else { return };
    let Some(parent) = inner.context.parent() else { return };
    let own = drive.file().filter(|file| file.is_relative()).map(Path::to_owned);
    let started = inner.context.vm.started_with();
    // A machine that runs has its files for itself.
    let running = started.is_some_and(|started| started.drives.contains(&drive));
    let fate = match (&drive, &own) {
        (Drive::Disk { .. }, Some(file)) if !running => {
            ask_fate(&parent, &file.display().to_string()).await
        }
        _ => Some(FileFate::Keep),
    };
    let Some(fate) = fate else { return };
    let gone = drive.clone();
    let removed =
        inner.context.changed(move |definition| edit::remove(definition, index, &gone)).await;
    let Some(file) = own.filter(|_| removed && fate == FileFate::Delete) else { return };
    let (backend, id) = (inner.context.machines.backend().clone(), inner.context.vm.id());
    if let Err(failure) = backend.delete_disk(&id, file).await {
        inner.context.fail(&gettext("The File Was Not Deleted"), &failure);
    }
    inner.look_and_refresh();
}

async fn add_disk(inner: Rc<Inner>) {
    let Some(parent) = inner.context.parent() else { return };
    let backend = inner.context.machines.backend().clone();
    let question = SizeQuestion {
        heading: gettext("New Disk"),
        body: String::new(),
        accept: gettext("_Create"),
        suggestion: NEW_DISK,
        least: LEAST_DISK,
        free: backend.storage().await.free,
        reserve: true,
    };
    let Some((size, reserve)) = ask_size(&parent, question).await else { return };
    let (id, progress) = (inner.context.vm.id(), Progress::default());
    let work = backend.create_disk(&id, size, reserve, progress.clone());
    let heading = gettext("Creating the Disk…");
    match with_progress(&parent, &heading, progress, work).await {
        Err(failure) => inner.context.fail(&gettext("The Disk Was Not Created"), &failure),
        Ok(file) => {
            let (new, format) = (file.clone(), Format::Qcow2);
            if !inner.add(new, format).await {
                // Nobody knows of it: as if it had not been made. If that fails, it is only space.
                let _ = backend.delete_disk(&id, file).await;
            }
        }
    }
}

async fn add_existing(inner: Rc<Inner>) {
    let images = gtk::FileFilter::new();
    images.set_name(Some(&gettext("Disk Images")));
    for suffix in ["qcow2", "qcow", "img", "raw"] {
        images.add_suffix(suffix);
    }
    let folder = Preferences::shared().default_folder();
    let title = gettext("Add Disk");
    if let Some(file) = medium::choose_file(&inner.context, &title, folder, images).await {
        add_file(inner, file).await;
    }
}

/// Adds the disk in an image that exists; it stays where it is.
async fn add_file(inner: Rc<Inner>, file: PathBuf) {
    let heading = gettext("The Disk Cannot Be Added");
    let inspected = match inner.context.machines.backend().inspect(file.clone()).await {
        Ok(inspected) => inspected,
        Err(failure) => return inner.context.fail(&heading, &failure),
    };
    let Found::Disk(image) = inspected.found else {
        let text = gettext("“{file}” is an ISO image; put it into an optical drive.");
        let text = text.replace("{file}", &file.display().to_string());
        return inner.context.fail(&heading, &Failure::new(text));
    };
    let folder = inner.context.vm.folder();
    let file = file.strip_prefix(&folder).map(Path::to_owned).unwrap_or(file);
    // Where another machine has it, both cannot run at once; the image's lock sees to that.
    inner.add(file, image.format).await;
}
