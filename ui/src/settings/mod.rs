//! The settings of one machine.
//!
//! What lives here: a page with everything a machine is made of. Each field is checked as it is
//! typed, says in a sentence what is wrong, and is kept by itself a moment after a change; what a
//! running machine takes over at its next start only is said so. What does not: preferences for
//! all machines (`preferences`), and keeping definitions (`machines` and the backend).

mod context;
mod debounce;
mod drives;
mod firmware;
mod name;
mod network;
mod notes;
mod number;
mod pending;
mod way;

use std::cell::RefCell;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;

use self::context::Context;
use self::drives::Drives;
use self::firmware::FirmwareRow;
use self::name::NameRow;
use self::network::NetworkGroup;
use self::notes::Notes;
use self::number::NumberRow;
use crate::machines::{Machines, Status, Vm};

/// The page of one machine's settings.
pub struct SettingsPage {
    root: gtk::Box,
    parts: Rc<Parts>,
    handlers: RefCell<Vec<glib::SignalHandlerId>>,
}

/// What has to follow the machine.
struct Parts {
    context: Rc<Context>,
    banner: adw::Banner,
    page: adw::PreferencesPage,
    name: NameRow,
    memory: NumberRow,
    cpus: NumberRow,
    firmware: FirmwareRow,
    drives: Drives,
    network: NetworkGroup,
    notes: Notes,
}

impl SettingsPage {
    /// The settings of `vm`.
    pub fn new(vm: &Vm, machines: &Machines) -> Self {
        let root = gtk::Box::new(gtk::Orientation::Vertical, 0);
        let context = Context::new(vm, machines, &root);
        let parts = Rc::new(Parts {
            banner: adw::Banner::new(&gettext("Some changes are applied at the next start")),
            page: adw::PreferencesPage::builder().vexpand(true).build(),
            name: NameRow::new(&context),
            memory: NumberRow::memory(&context),
            cpus: NumberRow::cpus(&context),
            firmware: FirmwareRow::new(&context),
            drives: Drives::new(&context),
            network: NetworkGroup::new(&context),
            notes: Notes::new(&context),
            context: context.clone(),
        });
        parts.fill();
        root.append(&parts.banner);
        root.append(&parts.page);
        let weak = Rc::downgrade(&parts);
        let refresh = Rc::new(move || {
            if let Some(parts) = weak.upgrade() {
                parts.refresh();
            }
        });
        context.set_refresh(refresh.clone());
        refresh();
        let mut handlers = vec![
            vm.connect_changed(glib::clone!(
                #[strong]
                refresh,
                move |_| refresh()
            )),
            vm.connect_status_notify(glib::clone!(
                #[strong]
                refresh,
                move |_| refresh()
            )),
            vm.connect_media_changed(glib::clone!(
                #[strong]
                refresh,
                move |_| refresh()
            )),
        ];
        // In front of the last refresh, which shows what they come to.
        handlers.extend(parts.drives.connect_running(vm));
        let page = Self { root, parts, handlers: RefCell::new(handlers) };
        page.follow_visibility();
        page
    }

    /// The widget.
    pub fn widget(&self) -> &gtk::Box {
        &self.root
    }

    /// What is typed is kept when the page is left; what others changed is looked at when it is
    /// shown.
    fn follow_visibility(&self) {
        let weak = Rc::downgrade(&self.parts);
        self.root.connect_unmap(move |_| {
            if let Some(parts) = weak.upgrade() {
                parts.flush();
            }
        });
        let weak = Rc::downgrade(&self.parts);
        self.root.connect_map(move |_| {
            if let Some(parts) = weak.upgrade() {
                parts.drives.look_again();
                parts.refresh();
            }
        });
    }
}

impl Drop for SettingsPage {
    fn drop(&mut self) {
        let vm = &self.parts.context.vm;
        self.handlers.take().into_iter().for_each(|handler| vm.disconnect(handler));
    }
}

impl Parts {
    fn fill(&self) {
        let general = adw::PreferencesGroup::builder().title(gettext("General")).build();
        general.add(self.name.widget());
        let hardware = adw::PreferencesGroup::builder().title(gettext("Hardware")).build();
        hardware.add(self.memory.widget());
        hardware.add(self.cpus.widget());
        hardware.add(self.firmware.widget());
        let (drives, network) = (self.drives.widget(), self.network.widget());
        for group in [&general, &hardware, drives, network, self.notes.widget()] {
            self.page.add(group);
        }
    }

    /// Shows what the machine is made of now, but for fields in which somebody is typing.
    fn refresh(&self) {
        let vm = &self.context.vm;
        let definition = vm.definition();
        let usable = definition.is_some() && vm.status() != Status::Elsewhere;
        self.page.set_sensitive(usable);
        let started = vm.started_with();
        let waiting = match (&definition, &started) {
            (Some(wanted), Some(started)) => pending::differs(wanted, started),
            _ => false,
        };
        self.banner.set_revealed(waiting);
        let Some(definition) = definition else { return };
        self.name.show(&definition);
        self.memory.show(&definition);
        self.cpus.show(&definition);
        self.firmware.show(&definition);
        self.drives.show(&definition);
        self.network.show(&definition);
        self.notes.show(&definition);
    }

    fn flush(&self) {
        self.name.flush();
        self.memory.flush();
        self.cpus.flush();
        self.notes.flush();
    }
}
