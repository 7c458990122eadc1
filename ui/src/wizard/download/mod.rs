//! The page beside the first step that downloads a system.
//!
//! What lives here: the list of systems, a download with its progress, and what becomes of one that
//! is interrupted. What does not: what the wizard does with the file; it is told as if somebody had
//! chosen it.

mod list;
mod pace;
mod running;

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;

use self::list::List;
use self::running::RunningView;
use super::component::WizardInput;
use super::page::page;
use super::voice::Voice;
use crate::backend::{Failure, Offer, Progress};
use crate::machines::Machines;

/// The page's tag.
pub(super) const TAG: &str = "download";

/// The page.
#[derive(Clone)]
pub(super) struct DownloadPage(Rc<Inner>);

struct Inner {
    machines: Machines,
    input: Voice,
    page: adw::NavigationPage,
    stack: gtk::Stack,
    list: List,
    running: RunningView,
    /// The download that is under way.
    progress: RefCell<Option<Progress>>,
}

impl DownloadPage {
    pub(super) fn new(machines: &Machines, input: &Voice) -> Self {
        let inner = Rc::new_cyclic(|this: &Weak<Inner>| {
            let of = |weak: &Weak<Inner>| weak.upgrade().map(Self);
            let (start, forget, stop) = (this.clone(), this.clone(), this.clone());
            let list = List::new(
                move |offer| _ = of(&start).map(|page| page.start(offer)),
                move |offer| _ = of(&forget).map(|page| page.forget(offer)),
            );
            let running = RunningView::new(move || _ = of(&stop).map(|page| page.stop()));
            let stack = gtk::Stack::builder().vhomogeneous(false).build();
            stack.add_child(list.widget());
            stack.add_child(running.widget());
            Inner {
                machines: machines.clone(),
                input: input.clone(),
                page: page(TAG, &gettext("Download"), &[stack.upcast_ref()]),
                stack,
                list,
                running,
                progress: RefCell::default(),
            }
        });
        Self(inner)
    }

    pub(super) fn widget(&self) -> &adw::NavigationPage {
        &self.0.page
    }

    /// Typing goes to what the page is about.
    pub(super) fn focus(&self) {
        if self.0.progress.borrow().is_some() {
            self.0.running.focus();
        } else {
            self.0.list.focus();
        }
    }

    /// Finds out what there is.
    pub(super) fn reload(&self) {
        let (this, offers) = (self.clone(), self.0.machines.backend().offers());
        glib::spawn_future_local(async move { this.0.list.set_offers(offers.await) });
    }

    /// Ends the download that is under way. What has arrived is kept.
    pub(super) fn stop(&self) {
        let Some(progress) = self.0.progress.take() else { return };
        progress.cancel();
        self.0.running.end();
        self.show_list(None);
    }

    fn start(&self, offer: &Offer) {
        if self.0.progress.borrow().is_some() {
            return;
        }
        let progress = Progress::default();
        self.0.progress.replace(Some(progress.clone()));
        self.0.list.tell(None);
        self.0.running.begin(offer, progress.clone());
        self.0.stack.set_visible_child(self.0.running.widget());
        self.focus();
        let downloading = self.0.machines.backend().download(&offer.name, progress.clone());
        let this = Rc::downgrade(&self.0);
        glib::spawn_future_local(async move {
            let result = downloading.await;
            // Stopped meanwhile, or the wizard is gone: nobody waits for it any more.
            let Some(this) = this.upgrade().map(Self).filter(|_| !progress.is_cancelled()) else {
                return;
            };
            this.0.progress.take();
            this.0.running.end();
            match result {
                Ok(file) => {
                    this.show_list(None);
                    this.0.input.emit(WizardInput::Chosen(file));
                }
                Err(failure) => this.show_list(Some(&failure)),
            }
        });
    }

    fn forget(&self, offer: &Offer) {
        let forgetting = self.0.machines.backend().forget_download(&offer.name);
        let this = self.clone();
        glib::spawn_future_local(async move {
            this.show_list(forgetting.await.err().as_ref());
        });
    }

    fn show_list(&self, failure: Option<&Failure>) {
        self.0.list.tell(failure);
        self.reload();
        self.0.stack.set_visible_child(self.0.list.widget());
        self.0.list.focus();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The wizard goes away, and with it who waits.
        if let Some(progress) = self.progress.take() {
            progress.cancel();
        }
    }
}
