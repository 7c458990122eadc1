//! Machines in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use vmm_core::block::Format;
use vmm_core::definition::{Definition, Name};
use vmm_core::net::TapName;
use vmm_core::units::Bytes;

use super::machine::FakeMachine;
use crate::backend::{
    Backend, DiscardId, DiskFacts, Failure, Host, Inspected, Listed, NewMachine, Offer, Problem,
    Progress, Running, Storage, Task, VmId,
};

/// Machines in memory; clones share them. What it is asked is done at once, or in steps where
/// there is a [`Progress`] to show.
#[derive(Clone, Default)]
pub struct FakeBackend(Rc<State>);

#[derive(Default)]
struct State {
    machines: RefCell<BTreeMap<VmId, Result<Definition, Failure>>>,
    discarded: RefCell<BTreeMap<DiscardId, Listed>>,
    discards: Cell<u64>,
    running: RefCell<BTreeMap<VmId, Rc<FakeMachine>>>,
    problems: RefCell<Vec<Problem>>,
    failing: RefCell<Option<Failure>>,
    made: Cell<u32>,
    /// Images that were made, grown, deleted or damaged, by their whole paths.
    disks: RefCell<BTreeMap<PathBuf, Result<DiskFacts, Failure>>>,
    files: RefCell<BTreeMap<PathBuf, Result<Inspected, Failure>>>,
    offers: RefCell<Vec<Offer>>,
    free: Cell<Option<Bytes>>,
    created: RefCell<Vec<NewMachine>>,
}

impl FakeBackend {
    /// Adds a machine.
    pub fn add(&self, definition: Definition) -> VmId {
        let id = self.next_id();
        self.0.machines.borrow_mut().insert(id.clone(), Ok(definition));
        id
    }

    /// Adds a machine whose definition cannot be read.
    pub fn add_damaged(&self, folder: &str, failure: Failure) {
        self.0.machines.borrow_mut().insert(VmId(folder.into()), Err(failure));
    }

    /// Adds `count` machines called “Machine 1” and so on.
    pub fn with_machines(self, count: u32) -> Self {
        for n in 1..=count {
            let name = format!("Machine {n}").parse().expect("a valid name");
            self.add(Definition::new(name));
        }
        self
    }

    /// What is to stand in the way from now on.
    pub fn set_problems(&self, problems: Vec<Problem>) {
        self.0.problems.replace(problems);
    }

    /// Lets the next thing asked fail.
    pub fn fail_next(&self, failure: Failure) {
        self.0.failing.replace(Some(failure));
    }

    /// What is to be found in the disk image `file`.
    pub fn set_disk(&self, file: impl Into<PathBuf>, facts: Result<DiskFacts, Failure>) {
        self.0.disks.borrow_mut().insert(file.into(), facts);
    }

    /// Whether the disk image `file` was deleted.
    pub fn is_deleted(&self, file: impl AsRef<Path>) -> bool {
        self.0.disks.borrow().get(file.as_ref()).is_some_and(Result::is_err)
    }

    /// Adds a file to be chosen, or what is wrong with it. There are no others.
    pub fn add_file(&self, file: impl Into<PathBuf>, holds: Result<Inspected, Failure>) {
        self.0.files.borrow_mut().insert(file.into(), holds);
    }

    /// What can be downloaded from now on; each becomes a file `/fake/NAME.iso`.
    pub fn set_offers(&self, offers: Vec<Offer>) {
        self.0.offers.replace(offers);
    }

    fn set_begun(&self, name: &str, begun: Option<Bytes>) {
        let mut offers = self.0.offers.borrow_mut();
        offers.iter_mut().filter(|offer| offer.name == name).for_each(|offer| offer.begun = begun);
    }

    /// How much is free from now on where new machines go.
    pub fn set_free_space(&self, free: Bytes) {
        self.0.free.set(Some(free));
    }

    /// What was made so far, as it was asked for.
    pub fn created(&self) -> Vec<NewMachine> {
        self.0.created.borrow().clone()
    }

    /// The definition of a machine as it is kept now.
    pub fn definition(&self, id: &VmId) -> Option<Definition> {
        self.0.machines.borrow().get(id)?.clone().ok()
    }

    /// The machine that was launched last for `id`.
    pub fn machine(&self, id: &VmId) -> Option<Rc<FakeMachine>> {
        self.0.running.borrow().get(id).cloned()
    }

    fn next_id(&self) -> VmId {
        self.0.made.set(self.0.made.get() + 1);
        VmId(format!("machine-{}", self.0.made.get()).into())
    }

    fn listed(id: &VmId, definition: &Result<Definition, Failure>) -> Listed {
        Listed {
            id: id.clone(),
            folder: PathBuf::from("/fake").join(&id.0),
            definition: definition.clone(),
            elsewhere: false,
        }
    }

    /// Answers at once, unless a failure was asked for.
    fn answer<T: 'static>(
        &self,
        result: impl FnOnce() -> Result<T, Failure>,
    ) -> Task<Result<T, Failure>> {
        let result = match self.0.failing.take() {
            Some(failure) => Err(failure),
            None => result(),
        };
        Box::pin(async { result })
    }

    /// Pretends to work for half a second, then answers.
    fn work<T: 'static>(
        &self,
        progress: Progress,
        result: impl FnOnce(&Self) -> Result<T, Failure> + 'static,
    ) -> Task<Result<T, Failure>> {
        let this = self.clone();
        Box::pin(async move {
            for step in 0..10 {
                if !progress.report(step, 10) {
                    return Err(Failure::cancelled());
                }
                gtk::glib::timeout_future(Duration::from_millis(50)).await;
            }
            match this.0.failing.take() {
                Some(failure) => Err(failure),
                None => result(&this),
            }
        })
    }

    fn find(&self, id: &VmId) -> Result<Definition, Failure> {
        self.0.machines.borrow().get(id).cloned().unwrap_or_else(|| Err(gone()))
    }
}

fn gone() -> Failure {
    Failure::new("There is no such machine.")
}

impl Backend for FakeBackend {
    fn tap_devices(&self) -> Vec<TapName> {
        ["tap0", "tap1"].into_iter().filter_map(|name| name.parse().ok()).collect()
    }

    fn host(&self) -> Host {
        Host { memory: Bytes::gib(16), cpus: 8 }
    }

    fn problems(&self) -> Task<Vec<Problem>> {
        let problems = self.0.problems.borrow().clone();
        Box::pin(async { problems })
    }

    fn list(&self) -> Task<Result<Vec<Listed>, Failure>> {
        self.answer(|| {
            let machines = self.0.machines.borrow();
            Ok(machines.iter().map(|(id, definition)| Self::listed(id, definition)).collect())
        })
    }

    fn inspect(&self, file: PathBuf) -> Task<Result<Inspected, Failure>> {
        self.answer(|| {
            let none = || Err(Failure::new(format!("“{}” does not exist.", file.display())));
            self.0.files.borrow().get(&file).cloned().unwrap_or_else(none)
        })
    }

    fn offers(&self) -> Task<Vec<Offer>> {
        let offers = self.0.offers.borrow().clone();
        Box::pin(async { offers })
    }

    fn download(&self, name: &str, progress: Progress) -> Task<Result<PathBuf, Failure>> {
        let (this, name) = (self.clone(), name.to_owned());
        let offer = self.0.offers.borrow().iter().find(|offer| offer.name == name).cloned();
        Box::pin(async move {
            let offer = offer.ok_or_else(gone)?;
            let mut done = offer.begun.unwrap_or_default().0;
            while done < offer.size.0 {
                if !progress.report(done, offer.size.0) {
                    return Err(Failure::cancelled());
                }
                gtk::glib::timeout_future(Duration::from_millis(50)).await;
                done += offer.size.0 / 40;
                this.set_begun(&name, Some(Bytes(done)));
                if let Some(failure) = this.0.failing.take() {
                    return Err(failure);
                }
            }
            this.set_begun(&name, None);
            Ok(PathBuf::from(format!("/fake/{name}.iso")))
        })
    }

    fn forget_download(&self, name: &str) -> Task<Result<(), Failure>> {
        self.answer(|| {
            self.set_begun(name, None);
            Ok(())
        })
    }

    fn storage(&self) -> Task<Storage> {
        let free = self.0.free.get().or(Some(Bytes::gib(200)));
        Box::pin(async move { Storage { folder: "/fake".into(), free } })
    }

    fn create(&self, machine: NewMachine, progress: Progress) -> Task<Result<Listed, Failure>> {
        self.work(progress, |this| {
            this.0.created.borrow_mut().push(machine.clone());
            let definition = machine.definition;
            let id = this.add(definition.clone());
            Ok(Self::listed(&id, &Ok(definition)))
        })
    }

    fn save(&self, id: &VmId, definition: Definition) -> Task<Result<(), Failure>> {
        self.answer(|| {
            self.find(id)?;
            self.0.machines.borrow_mut().insert(id.clone(), Ok(definition));
            Ok(())
        })
    }

    fn duplicate(
        &self,
        id: &VmId,
        name: Name,
        progress: Progress,
    ) -> Task<Result<Listed, Failure>> {
        let id = id.clone();
        self.work(progress, move |this| {
            let definition = Definition { name, ..this.find(&id)? };
            let id = this.add(definition.clone());
            Ok(Self::listed(&id, &Ok(definition)))
        })
    }

    fn discard(&self, id: &VmId) -> Task<Result<DiscardId, Failure>> {
        self.answer(|| {
            let machine = self.0.machines.borrow_mut().remove(id).ok_or_else(gone)?;
            self.0.discards.set(self.0.discards.get() + 1);
            let discard = DiscardId(self.0.discards.get());
            self.0.discarded.borrow_mut().insert(discard, Self::listed(id, &machine));
            Ok(discard)
        })
    }

    fn restore(&self, id: DiscardId) -> Task<Result<Listed, Failure>> {
        self.answer(|| {
            let mut listed = self.0.discarded.borrow_mut().remove(&id).ok_or_else(gone)?;
            if self.0.machines.borrow().contains_key(&listed.id) {
                listed = Self::listed(&self.next_id(), &listed.definition);
            }
            let machine = listed.definition.clone();
            self.0.machines.borrow_mut().insert(listed.id.clone(), machine);
            Ok(listed)
        })
    }

    fn purge(&self, id: DiscardId) -> Task<Result<(), Failure>> {
        self.answer(|| self.0.discarded.borrow_mut().remove(&id).map(|_| ()).ok_or_else(gone))
    }

    fn delete_keeping_disks(
        &self,
        id: &VmId,
        place: PathBuf,
        progress: Progress,
    ) -> Task<Result<Option<PathBuf>, Failure>> {
        let id = id.clone();
        self.work(progress, move |this| match this.0.machines.borrow_mut().remove(&id) {
            Some(_) => Ok(Some(place.join(&id.0))),
            None => Err(gone()),
        })
    }

    fn disk(&self, file: PathBuf, _format: Format) -> Task<Result<DiskFacts, Failure>> {
        self.answer(|| match self.0.disks.borrow().get(&file) {
            Some(facts) => facts.clone(),
            None => Ok(DiskFacts { size: Bytes::gib(20), used: Bytes::mib(3277) }),
        })
    }

    fn create_disk(
        &self,
        id: &VmId,
        size: Bytes,
        _preallocate: bool,
        progress: Progress,
    ) -> Task<Result<PathBuf, Failure>> {
        let id = id.clone();
        self.work(progress, move |this| {
            let number = this.0.disks.borrow().len() + 2;
            let name = PathBuf::from(format!("disk-{number}.qcow2"));
            let facts = DiskFacts { size, used: Bytes::kib(200) };
            let file = PathBuf::from("/fake").join(&id.0).join(&name);
            this.0.disks.borrow_mut().insert(file, Ok(facts));
            Ok(name)
        })
    }

    fn grow_disk(&self, file: PathBuf, _format: Format, size: Bytes) -> Task<Result<(), Failure>> {
        self.answer(|| {
            let facts = DiskFacts { size, used: Bytes::mib(3277) };
            self.0.disks.borrow_mut().insert(file, Ok(facts));
            Ok(())
        })
    }

    fn delete_disk(&self, id: &VmId, file: PathBuf) -> Task<Result<(), Failure>> {
        self.answer(|| {
            let file = PathBuf::from("/fake").join(&id.0).join(file);
            self.0.disks.borrow_mut().insert(file, Err(gone()));
            Ok(())
        })
    }

    fn launch(&self, id: &VmId) -> Task<Result<Rc<dyn Running>, Failure>> {
        self.answer(|| {
            let definition = self.find(id)?;
            let machine = Rc::new(FakeMachine::new(&definition));
            self.0.running.borrow_mut().insert(id.clone(), machine.clone());
            Ok(machine as Rc<dyn Running>)
        })
    }

    fn log(&self, _id: &VmId) -> Task<Result<String, Failure>> {
        self.answer(|| Ok("A pretended machine has nothing to say.\n".into()))
    }
}
