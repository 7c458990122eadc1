//! The machines of this user, as the window asks for them.
//!
//! What lives here: `ui`'s narrow interface, done with `vmm-core` on worker threads. What does
//! not: the window.

mod disks;
mod downloads;
mod host;
mod media;
mod running;

use std::cell::Cell;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use gettextrs::gettext;
use gtk::{gio, glib};
use parking_lot::Mutex;
use ui::backend::{
    Backend, DiscardId, DiskFacts, Failure, Host, Inspected, Listed, NewMachine, Offer, Problem,
    Progress, Running, Storage, Task, VmId,
};
use vmm_core::block::create::{Preallocation, create_qcow2, grow};
use vmm_core::block::{Format, info};
use vmm_core::definition::{Definition, DefinitionError, Discarded, Entry, Name, Store, Vm};
use vmm_core::machine::Machine;
use vmm_core::net::TapName;
use vmm_core::units::Bytes;

use self::running::LocalMachine;

/// Most of a log that is shown.
const LOG_BYTES: u64 = 1 << 20;

/// What a worker thread is at.
type Work<T> = gio::JoinHandle<Result<T, Failure>>;

/// The machines in this user's store, run in this process.
pub(crate) struct LocalBackend {
    store: Store,
    /// Machines that can still be brought back.
    discarded: Arc<Mutex<HashMap<DiscardId, Discarded>>>,
    /// How many were discarded.
    discards: Cell<u64>,
    /// The first list, until it is asked for.
    first: Cell<Option<Work<Vec<Listed>>>>,
}

impl LocalBackend {
    /// The machines in `store`, which are looked for from now on: what a program must load before
    /// it can show anything takes as long.
    pub(crate) fn new(store: Store) -> Self {
        let first = gio::spawn_blocking({
            let store = store.clone();
            move || {
                store.recover();
                list(&store)
            }
        });
        Self {
            store,
            discarded: Arc::default(),
            discards: Cell::default(),
            first: Cell::new(Some(first)),
        }
    }

    /// A machine that is to be decided on.
    fn take_discarded(&self, id: DiscardId) -> Result<Discarded, Failure> {
        let discarded = self.discarded.lock().remove(&id);
        discarded.ok_or_else(|| Failure::new(gettext("This machine is no longer there.")))
    }

    /// Does `work` on a worker thread.
    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Failure> + Send + 'static,
    ) -> Task<Result<T, Failure>> {
        let store = self.store.clone();
        awaited(gio::spawn_blocking(move || work(&store)))
    }
}

/// What a worker thread comes to.
fn awaited<T: Send + 'static>(task: Work<T>) -> Task<Result<T, Failure>> {
    Box::pin(async {
        task.await.unwrap_or_else(|_| {
            Err(Failure::new(gettext("Berth met a defect of its own; please report it.")))
        })
    })
}

impl Backend for LocalBackend {
    fn tap_devices(&self) -> Vec<TapName> {
        TapName::available()
    }

    fn host(&self) -> Host {
        host::host()
    }

    fn problems(&self) -> Task<Vec<Problem>> {
        let task = gio::spawn_blocking(host::problems);
        Box::pin(async { task.await.unwrap_or_default() })
    }

    fn list(&self) -> Task<Result<Vec<Listed>, Failure>> {
        match self.first.take() {
            Some(first) => awaited(first),
            None => self.work(list),
        }
    }

    fn inspect(&self, file: PathBuf) -> Task<Result<Inspected, Failure>> {
        let languages: Vec<String> =
            glib::language_names().iter().map(ToString::to_string).collect();
        self.work(move |_| media::inspect(&file, &languages))
    }

    fn offers(&self) -> Task<Vec<Offer>> {
        let offers = self.work(|store| Ok(downloads::offers(store)));
        Box::pin(async { offers.await.unwrap_or_default() })
    }

    fn download(&self, name: &str, progress: Progress) -> Task<Result<PathBuf, Failure>> {
        let name = name.to_owned();
        self.work(move |store| downloads::fetch(store, &name, &progress))
    }

    fn forget_download(&self, name: &str) -> Task<Result<(), Failure>> {
        let name = name.to_owned();
        self.work(move |store| downloads::forget(store, &name))
    }

    fn storage(&self) -> Task<Storage> {
        let storage = self.work(|store| Ok(media::storage(store)));
        let folder = self.store.root().to_path_buf();
        Box::pin(async { storage.await.unwrap_or(Storage { folder, free: None }) })
    }

    fn create(&self, machine: NewMachine, progress: Progress) -> Task<Result<Listed, Failure>> {
        self.work(move |store| {
            let total: u64 = machine.disks.iter().map(|disk| disk.size.0).sum();
            let mut before = 0;
            let made = store.create(&machine.definition, |folder| {
                for disk in &machine.disks {
                    let preallocation = match disk.preallocate {
                        true => Preallocation::Full,
                        false => Preallocation::None,
                    };
                    let mut report = |done: Bytes, _| progress.report(before + done.0, total);
                    let path = folder.join(&disk.file);
                    create_qcow2(&path, disk.size, preallocation, None, &mut report)?;
                    before += disk.size.0;
                }
                Ok(())
            });
            let vm = made.map_err(|error| cancelled_or(error, &progress))?;
            Ok(listed(&vm))
        })
    }

    fn save(&self, id: &VmId, definition: Definition) -> Task<Result<(), Failure>> {
        let id = id.clone();
        self.work(move |store| {
            let mut vm = store.open_folder(&id.0).map_err(failure)?;
            store.save(&mut vm, &definition).map_err(failure)
        })
    }

    fn duplicate(
        &self,
        id: &VmId,
        name: Name,
        progress: Progress,
    ) -> Task<Result<Listed, Failure>> {
        let id = id.clone();
        self.work(move |store| {
            let vm = store.open_folder(&id.0).map_err(failure)?;
            let mut report = |done: Bytes, total: Bytes| progress.report(done.0, total.0);
            let made = store.duplicate(&vm, name, &mut report);
            Ok(listed(&made.map_err(|error| cancelled_or(error, &progress))?))
        })
    }

    fn discard(&self, id: &VmId) -> Task<Result<DiscardId, Failure>> {
        let (id, shelf) = (id.clone(), self.discarded.clone());
        self.discards.set(self.discards.get() + 1);
        let discard = DiscardId(self.discards.get());
        self.work(move |store| {
            let vm = store.open_folder(&id.0).map_err(failure)?;
            let discarded = store.discard(&vm).map_err(failure)?;
            shelf.lock().insert(discard, discarded);
            Ok(discard)
        })
    }

    fn restore(&self, id: DiscardId) -> Task<Result<Listed, Failure>> {
        let discarded = self.take_discarded(id);
        self.work(move |store| {
            let vm = store.restore(discarded?).map_err(failure)?;
            Ok(listed(&vm))
        })
    }

    fn purge(&self, id: DiscardId) -> Task<Result<(), Failure>> {
        let discarded = self.take_discarded(id);
        self.work(move |store| store.purge(discarded?).map_err(failure))
    }

    fn delete_keeping_disks(
        &self,
        id: &VmId,
        place: PathBuf,
        progress: Progress,
    ) -> Task<Result<Option<PathBuf>, Failure>> {
        let id = id.clone();
        self.work(move |store| {
            let vm = store.open_folder(&id.0).map_err(failure)?;
            let discarded = store.discard(&vm).map_err(failure)?;
            let mut report = |done: Bytes, total: Bytes| progress.report(done.0, total.0);
            match store.keep_disks(&discarded, &place, &mut report) {
                Ok(folder) => store.purge(discarded).map(|()| folder).map_err(failure),
                Err(error) => {
                    store.restore(discarded).map_err(failure)?;
                    Err(cancelled_or(error, &progress))
                }
            }
        })
    }

    fn disk(&self, file: PathBuf, format: Format) -> Task<Result<DiskFacts, Failure>> {
        self.work(move |_| {
            let image = info::info(&file, Some(format)).map_err(failure)?;
            Ok(DiskFacts { size: image.virtual_size, used: image.actual_size })
        })
    }

    fn create_disk(
        &self,
        id: &VmId,
        size: Bytes,
        preallocate: bool,
        progress: Progress,
    ) -> Task<Result<PathBuf, Failure>> {
        let id = id.clone();
        self.work(move |store| {
            let vm = store.open_folder(&id.0).map_err(failure)?;
            disks::create(&vm, size, preallocate, &progress)
        })
    }

    fn grow_disk(&self, file: PathBuf, format: Format, size: Bytes) -> Task<Result<(), Failure>> {
        self.work(move |_| grow(&file, Some(format), size).map_err(failure))
    }

    fn delete_disk(&self, id: &VmId, file: PathBuf) -> Task<Result<(), Failure>> {
        let id = id.clone();
        self.work(move |store| disks::delete(&store.open_folder(&id.0).map_err(failure)?, &file))
    }

    fn launch(&self, id: &VmId) -> Task<Result<Rc<dyn Running>, Failure>> {
        let id = id.clone();
        let built = self.work(move |store| {
            let vm = store.open_folder(&id.0).map_err(failure)?;
            let lock = vm.lock().map_err(failure)?;
            Machine::holding(&vm.machine_config(), lock).map_err(failure)
        });
        Box::pin(async { Ok(Rc::new(LocalMachine::new(built.await?)) as Rc<dyn Running>) })
    }

    fn log(&self, id: &VmId) -> Task<Result<String, Failure>> {
        let id = id.clone();
        self.work(move |store| {
            let path = store.root().join(&id.0).join(vmm_core::definition::LOG);
            let mut file = match std::fs::File::open(&path) {
                Ok(file) => file,
                // It has not been started yet.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(String::new());
                }
                Err(error) => return Err(failure(error)),
            };
            let length = file.metadata().map_err(failure)?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES))).map_err(failure)?;
            let mut bytes = Vec::new();
            file.take(LOG_BYTES).read_to_end(&mut bytes).map_err(failure)?;
            Ok(String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}"))
        })
    }
}

/// Every machine in `store`.
fn list(store: &Store) -> Result<Vec<Listed>, Failure> {
    let entries = store.list().map_err(failure)?;
    let listed = |entry: Entry| match entry.vm {
        Ok(vm) => listed(&vm),
        Err(error) => Listed {
            folder: store.root().join(&entry.folder),
            id: VmId(entry.folder),
            definition: Err(failure(error)),
            elsewhere: false,
        },
    };
    Ok(entries.into_iter().map(listed).collect())
}

fn listed(vm: &Vm) -> Listed {
    Listed {
        id: VmId(vm.folder().file_name().unwrap_or_default().to_owned()),
        folder: vm.folder().to_owned(),
        definition: Ok(vm.definition().clone()),
        elsewhere: vm.is_running(),
    }
}

fn failure(error: impl StdError + 'static) -> Failure {
    Failure::from_error(&error)
}

/// What ended something that could be cancelled.
fn cancelled_or(error: DefinitionError, progress: &Progress) -> Failure {
    if progress.is_cancelled() { Failure::cancelled() } else { failure(error) }
}
