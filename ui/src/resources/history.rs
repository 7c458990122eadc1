//! A machine's record, as an object that charts watch.

use std::cell::{Cell, Ref, RefCell};
use std::sync::OnceLock;
use std::time::Instant;

use glib::prelude::*;
use glib::subclass::Signal;
use glib::subclass::prelude::*;
use gtk::glib;
use vmm_core::machine::Statistics;

use super::record::{Counters, Limits, Record};

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct History {
        pub(super) record: RefCell<Record>,
        pub(super) drive_names: RefCell<Vec<String>>,
        pub(super) live: Cell<bool>,
        /// How many look at it closely.
        pub(super) watchers: Cell<u32>,
        /// Where the time axis begins.
        pub(super) origin: Cell<Option<Instant>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for History {
        const NAME: &'static str = "BerthHistory";
        type Type = super::History;
    }

    impl ObjectImpl for History {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                ["recorded", "state", "watched"].map(|name| Signal::builder(name).build()).into()
            })
        }
    }
}

glib::wrapper! {
    /// An hour of a machine's figures, for the charts that show them.
    pub struct History(ObjectSubclass<imp::History>);
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty one. It takes memory once the machine runs.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// The machine starts, with these limits and drives; the names are in the order of
    /// [`Statistics::disks`].
    pub fn start(&self, limits: Limits, drive_names: Vec<String>) {
        let imp = self.imp();
        imp.record.borrow_mut().begin(limits);
        imp.drive_names.replace(drive_names);
        imp.live.set(true);
        self.emit_by_name::<()>("state", &[]);
    }

    /// The machine is over. What was recorded stays to be looked at.
    pub fn stop(&self) {
        let imp = self.imp();
        imp.record.borrow_mut().end();
        if imp.live.replace(false) {
            self.emit_by_name::<()>("state", &[]);
        }
    }

    /// Takes the figures that a running machine tells once a second.
    pub fn record(&self, statistics: &Statistics) {
        self.record_counters(Counters::from(statistics));
    }

    /// [`Self::record`] for something that is not a machine of `vmm-core`.
    pub fn record_counters(&self, counters: Counters) {
        let now = Instant::now();
        let origin = self.imp().origin.get().unwrap_or(now);
        self.imp().origin.set(Some(origin));
        let clock = glib::real_time() / 1_000_000;
        self.record_at(counters, (now - origin).as_secs_f64(), clock);
    }

    /// Takes figures of another time: `now` in seconds on the time axis, `clock` in seconds since
    /// 1970. Not to be mixed with [`Self::record`].
    pub fn record_at(&self, counters: Counters, now: f64, clock: i64) {
        let new = self.imp().record.borrow_mut().take(counters, now, clock);
        if new {
            self.emit_by_name::<()>("recorded", &[]);
        }
    }

    /// What was recorded. Not to be held while recording.
    pub fn borrow(&self) -> Ref<'_, Record> {
        self.imp().record.borrow()
    }

    /// Whether the machine runs (or stands still): more is to come.
    pub fn is_live(&self) -> bool {
        self.imp().live.get()
    }

    /// Looks at it closely until the answer is dropped.
    pub fn watch(&self) -> Watching {
        self.count_watchers(self.imp().watchers.get() + 1);
        Watching(self.clone())
    }

    /// Whether somebody looks at it closely.
    pub fn is_watched(&self) -> bool {
        self.imp().watchers.get() > 0
    }

    fn count_watchers(&self, now: u32) {
        let before = self.imp().watchers.replace(now);
        if (before > 0) != (now > 0) {
            self.emit_by_name::<()>("watched", &[]);
        }
    }

    /// The drives' names.
    pub fn drive_names(&self) -> Vec<String> {
        self.imp().drive_names.borrow().clone()
    }

    /// Called when there are new figures.
    pub fn connect_recorded(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_closure("recorded", false, glib::closure_local!(move |this: Self| f(&this)))
    }

    /// Called when somebody begins to look closely, and when nobody does any more.
    pub fn connect_watched(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_closure("watched", false, glib::closure_local!(move |this: Self| f(&this)))
    }

    /// Called when the machine was started or is over.
    pub fn connect_state(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_closure("state", false, glib::closure_local!(move |this: Self| f(&this)))
    }
}

/// Somebody's look at a history, see [`History::watch`].
#[derive(Debug)]
#[must_use = "nobody looks any more once it is dropped"]
pub struct Watching(History);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.count_watchers(self.0.imp().watchers.get() - 1);
    }
}
