//! What all fields of the page share: the machine, and a way to change it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::Definition;

use crate::backend::Failure;
use crate::dialogs::show_failure;
use crate::machines::{Machines, Vm};

/// Changes a definition.
type Edit = Box<dyn FnOnce(&mut Definition)>;

/// A change to be kept, and who waits for it.
struct Change {
    edit: Edit,
    done: async_channel::Sender<bool>,
}

/// The machine of the page, and what is to become of it.
pub(super) struct Context {
    pub(super) vm: Vm,
    pub(super) machines: Machines,
    root: glib::WeakRef<gtk::Box>,
    changes: RefCell<VecDeque<Change>>,
    working: Cell<bool>,
    refresh: RefCell<Option<Rc<dyn Fn()>>>,
}

impl Context {
    pub(super) fn new(vm: &Vm, machines: &Machines, root: &gtk::Box) -> Rc<Self> {
        Rc::new(Self {
            vm: vm.clone(),
            machines: machines.clone(),
            root: root.downgrade(),
            changes: RefCell::default(),
            working: Cell::default(),
            refresh: RefCell::default(),
        })
    }

    /// Whom to call when fields have to show again what is kept.
    pub(super) fn set_refresh(&self, refresh: Rc<dyn Fn()>) {
        self.refresh.replace(Some(refresh));
    }

    /// Shows again what is kept.
    pub(super) fn refresh(&self) {
        let refresh = self.refresh.borrow().clone();
        if let Some(refresh) = refresh {
            refresh();
        }
    }

    /// As [`Self::refresh`], when what is going on now is over.
    pub(super) fn refresh_soon(self: &Rc<Self>) {
        let context = Rc::downgrade(self);
        glib::idle_add_local_once(move || {
            if let Some(context) = context.upgrade() {
                context.refresh();
            }
        });
    }

    /// Changes the machine's definition and keeps it. When that fails its owner is told, and the
    /// fields are as before.
    pub(super) fn change(self: &Rc<Self>, edit: impl FnOnce(&mut Definition) + 'static) {
        // Nobody waits.
        let _ = self.queue(Box::new(edit));
    }

    /// As [`Self::change`]. Whether it went well.
    pub(super) async fn changed(
        self: &Rc<Self>,
        edit: impl FnOnce(&mut Definition) + 'static,
    ) -> bool {
        self.queue(Box::new(edit)).recv().await.unwrap_or(false)
    }

    /// Puts a change behind those that are being kept: each is of what the one before came to.
    fn queue(self: &Rc<Self>, edit: Edit) -> async_channel::Receiver<bool> {
        let (done, answer) = async_channel::bounded(1);
        self.changes.borrow_mut().push_back(Change { edit, done });
        if !self.working.replace(true) {
            glib::spawn_future_local(self.clone().work());
        }
        answer
    }

    async fn work(self: Rc<Self>) {
        loop {
            let next = self.changes.borrow_mut().pop_front();
            let Some(Change { edit, done }) = next else { break };
            let kept = self.keep(edit).await;
            // Nobody may be waiting.
            let _ = done.try_send(kept);
        }
        self.working.set(false);
    }

    async fn keep(&self, edit: Edit) -> bool {
        let Some(old) = self.vm.definition() else { return false };
        let mut new = old.clone();
        edit(&mut new);
        if new == old {
            self.refresh();
            return true;
        }
        let result = match new.validate() {
            Ok(()) => self.vm.save(new).await,
            Err(invalid) => Err(Failure::from_error(&invalid)),
        };
        if let Err(failure) = result {
            self.fail(&gettext("The Change Was Not Kept"), &failure);
            self.refresh();
            return false;
        }
        true
    }

    /// Tells what could not be done.
    pub(super) fn fail(&self, heading: &str, failure: &Failure) {
        if let Some(root) = self.root.upgrade() {
            show_failure(&root, heading, failure);
        }
    }

    /// The page, as what dialogs are shown over.
    pub(super) fn parent(&self) -> Option<gtk::Box> {
        self.root.upgrade()
    }

    /// The window the page is in.
    pub(super) fn window(&self) -> Option<gtk::Window> {
        self.root.upgrade()?.root().and_downcast()
    }
}
