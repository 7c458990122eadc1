//! The list of all machines.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use gtk::gio;
use gtk::prelude::*;
use vmm_core::definition::Name;
use vmm_core::units::Bytes;

use super::Vm;
use crate::backend::{Backend, DiscardId, Failure, Listed, NewMachine, Progress, VmId};

/// All machines of this user, in no particular order. Clones are the same list.
#[derive(Clone)]
pub struct Machines {
    backend: Rc<dyn Backend>,
    list: gio::ListStore,
    /// Those that can still be brought back.
    discarded: Rc<RefCell<Vec<DiscardId>>>,
}

impl Machines {
    /// An empty list, until the first [`Self::reload`].
    pub fn new(backend: Rc<dyn Backend>) -> Self {
        Self { backend, list: gio::ListStore::new::<Vm>(), discarded: Rc::default() }
    }

    /// Who does the work.
    pub fn backend(&self) -> &Rc<dyn Backend> {
        &self.backend
    }

    /// The machines as a model of [`Vm`]s.
    pub fn model(&self) -> &gio::ListStore {
        &self.list
    }

    /// Every machine.
    pub fn all(&self) -> Vec<Vm> {
        self.list.iter::<Vm>().filter_map(Result::ok).collect()
    }

    /// The machines with a guest in them.
    pub fn live(&self) -> Vec<Vm> {
        self.all().into_iter().filter(|vm| vm.status().is_live()).collect()
    }

    /// The machine with this id.
    pub fn find(&self, id: &VmId) -> Option<Vm> {
        self.all().into_iter().find(|vm| vm.id() == *id)
    }

    /// Whether a machine other than `but` is called `name`.
    pub fn is_taken(&self, name: &str, but: Option<&Vm>) -> bool {
        self.all().iter().any(|vm| vm.name() == name && Some(vm) != but)
    }

    /// Guest RAM of all live machines.
    pub fn memory_in_use(&self) -> Bytes {
        let memory = |vm: &Vm| vm.started_with().map_or(0, |definition| definition.memory.0);
        Bytes(self.live().iter().map(memory).sum())
    }

    /// Brings the list up to date with what is kept.
    ///
    /// # Errors
    /// When that cannot be read; the list is as before then.
    pub async fn reload(&self) -> Result<(), Failure> {
        let mut listed: BTreeMap<_, _> = self
            .backend
            .list()
            .await?
            .into_iter()
            .map(|listed| (listed.id.clone(), listed))
            .collect();
        for index in (0..self.list.n_items()).rev() {
            let Some(vm) = self.list.item(index).and_downcast::<Vm>() else { continue };
            match listed.remove(&vm.id()) {
                Some(listed) => vm.update(listed),
                // One whose folder vanished while it runs stays until it ends.
                None if vm.status().is_live() => {}
                None => self.list.remove(index),
            }
        }
        let new: Vec<_> = listed.into_values().map(|l| Vm::new(self.backend.clone(), l)).collect();
        self.list.extend_from_slice(&new);
        Ok(())
    }

    /// Makes a machine.
    ///
    /// # Errors
    /// When it could not be made, or was cancelled; nothing is left of it.
    pub async fn create(&self, machine: NewMachine, progress: Progress) -> Result<Vm, Failure> {
        let listed = self.backend.create(machine, progress).await?;
        Ok(self.add(listed))
    }

    /// Copies a machine that is off.
    ///
    /// # Errors
    /// When it could not be copied, or was cancelled; nothing is left of it.
    pub async fn duplicate(&self, vm: &Vm, name: Name, progress: Progress) -> Result<Vm, Failure> {
        let listed = self.backend.duplicate(&vm.id(), name, progress).await?;
        Ok(self.add(listed))
    }

    /// Takes a machine that is off from the list, so that it can be brought back.
    ///
    /// # Errors
    /// When it runs, or the system refuses.
    pub async fn discard(&self, vm: &Vm) -> Result<DiscardId, Failure> {
        let id = self.backend.discard(&vm.id()).await?;
        self.discarded.borrow_mut().push(id);
        self.take_off(vm);
        Ok(id)
    }

    /// Deletes a machine that is off, but for the disks in its folder, which are in a new folder in
    /// `place` then: the answer, unless there was nothing to keep.
    ///
    /// # Errors
    /// When it runs, the system refuses, or it was cancelled; the machine is as before then.
    pub async fn delete_keeping_disks(
        &self,
        vm: &Vm,
        place: PathBuf,
        progress: Progress,
    ) -> Result<Option<PathBuf>, Failure> {
        let result = self.backend.delete_keeping_disks(&vm.id(), place, progress).await;
        match &result {
            Ok(_) => self.take_off(vm),
            // A reload may have missed it meanwhile. What went wrong first is what is told.
            Err(_) => drop(self.reload().await),
        }
        result
    }

    fn take_off(&self, vm: &Vm) {
        if let Some(index) = self.list.find(vm) {
            self.list.remove(index);
        }
    }

    /// Brings a discarded machine back.
    ///
    /// # Errors
    /// When it was deleted meanwhile, or the system refuses.
    pub async fn restore(&self, id: DiscardId) -> Result<Vm, Failure> {
        // The backend refuses what was decided already.
        let _ = self.decide(id);
        let listed = self.backend.restore(id).await?;
        Ok(self.add(listed))
    }

    /// Deletes a discarded machine for good, unless it was brought back or deleted meanwhile.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn purge(&self, id: DiscardId) -> Result<(), Failure> {
        match self.decide(id) {
            true => self.backend.purge(id).await,
            false => Ok(()),
        }
    }

    /// Deletes for good whatever was discarded: when the program ends, nobody can bring it back any
    /// more, and what is left undecided would be there again at the next start.
    pub async fn purge_all(&self) {
        let ids = self.discarded.take();
        for id in ids {
            if let Err(failure) = self.backend.purge(id).await {
                tracing::warn!(%failure, "a machine was not deleted");
            }
        }
    }

    /// Takes a machine from those that can be brought back; whether it was one.
    fn decide(&self, id: DiscardId) -> bool {
        let mut discarded = self.discarded.borrow_mut();
        let found = discarded.iter().position(|one| *one == id);
        found.map(|index| discarded.remove(index)).is_some()
    }

    fn add(&self, listed: Listed) -> Vm {
        // A reload may have been faster.
        if let Some(vm) = self.find(&listed.id) {
            vm.update(listed);
            return vm;
        }
        let vm = Vm::new(self.backend.clone(), listed);
        self.list.append(&vm);
        vm
    }
}
