//! The part of a history that the charts of a page show together.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::time::Duration;

use glib::prelude::*;
use glib::subclass::Signal;
use glib::subclass::prelude::*;
use gtk::glib;

use crate::resources::history::History;
use crate::resources::record::{KEPT, Record};

/// Seconds that are visible at first.
const USUAL_SPAN: f64 = 60.0;
/// Fewest seconds that can be visible.
const LEAST_SPAN: f64 = 15.0;
/// In how many steps a second the charts slide. Each costs a frame of every chart: four steps and
/// four charts are one percent of a core, one step is 0.4 (`benches/charts.rs`).
const SLIDE_STEPS: u32 = 4;
/// Above this many visible seconds a step of the slide would be less than a pixel.
const SLIDE_SPAN: f64 = 150.0;

/// What is pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Cursor {
    #[default]
    Nowhere,
    /// A share of the visible span, under a pointer that stays while time goes by.
    Pointer(f64),
    /// A time.
    At(f64),
}

mod imp {
    use super::*;

    pub struct Timeline {
        pub(super) history: RefCell<Option<(History, glib::SignalHandlerId)>>,
        pub(super) span: Cell<f64>,
        /// How far back the newest visible moment is, in seconds.
        pub(super) offset: Cell<f64>,
        pub(super) cursor: Cell<Cursor>,
        /// How much of the newest second has slid in, in steps.
        pub(super) slid: Cell<u32>,
        pub(super) sliding: RefCell<Option<glib::SourceId>>,
        /// How many charts are on the screen.
        pub(super) watchers: Cell<u32>,
        pub(super) animated: Cell<bool>,
    }

    impl Default for Timeline {
        fn default() -> Self {
            Self {
                history: RefCell::default(),
                span: Cell::new(USUAL_SPAN),
                offset: Cell::default(),
                cursor: Cell::default(),
                slid: Cell::new(SLIDE_STEPS),
                sliding: RefCell::default(),
                watchers: Cell::default(),
                animated: Cell::new(true),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Timeline {
        const NAME: &'static str = "BerthTimeline";
        type Type = super::Timeline;
    }

    impl ObjectImpl for Timeline {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("moved").build()])
        }

        fn dispose(&self) {
            self.obj().set_history(None);
        }
    }
}

glib::wrapper! {
    /// The part of a history that charts show together, and what is pointed at in it.
    pub struct Timeline(ObjectSubclass<imp::Timeline>);
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeline {
    /// The last minute of nothing, until [`Self::set_history`].
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows another history, from its end.
    pub fn set_history(&self, history: Option<&History>) {
        let imp = self.imp();
        self.stop_sliding();
        if let Some((old, handler)) = imp.history.take() {
            old.disconnect(handler);
        }
        imp.offset.set(0.0);
        imp.cursor.set(Cursor::Nowhere);
        let watched = history.map(|history| {
            let this = self.downgrade();
            let handler = history.connect_recorded(move |_| {
                if let Some(this) = this.upgrade() {
                    this.follow();
                }
            });
            (history.clone(), handler)
        });
        imp.history.replace(watched);
        self.moved();
    }

    /// What is shown.
    pub fn history(&self) -> Option<History> {
        self.imp().history.borrow().as_ref().map(|(history, _)| history.clone())
    }

    /// Whether new figures slide in where the person's settings allow it, rather than appear.
    pub fn set_animated(&self, animated: bool) {
        self.imp().animated.set(animated);
    }

    /// Visible seconds.
    pub fn span(&self) -> f64 {
        self.imp().span.get()
    }

    /// Shows `span` seconds, at least 15 and at most the hour that is kept.
    pub fn set_span(&self, span: f64) {
        self.imp().span.set(span.clamp(LEAST_SPAN, KEPT));
        self.pan(0.0);
    }

    /// Whether the newest figures are visible.
    pub fn is_at_end(&self) -> bool {
        self.imp().offset.get() <= 0.0
    }

    /// Moves by `seconds`, back in time when positive, as far as there are figures.
    pub fn pan(&self, seconds: f64) {
        let imp = self.imp();
        let recorded = self.with_record(|record| {
            let first = record.get(0).map_or(0.0, |point| point.time);
            record.latest().map_or(0.0, |latest| latest.time - first)
        });
        let most = (recorded.unwrap_or(0.0) - self.span()).max(0.0);
        imp.offset.set((imp.offset.get() + seconds).clamp(0.0, most));
        self.moved();
    }

    /// The last minute, and nothing pointed at.
    pub fn reset(&self) {
        self.imp().offset.set(0.0);
        self.imp().cursor.set(Cursor::Nowhere);
        self.set_span(USUAL_SPAN);
    }

    /// The newest visible moment on the time axis.
    pub fn end(&self) -> f64 {
        let imp = self.imp();
        let end = self.with_record(|record| {
            let Some(latest) = record.latest() else { return 0.0 };
            let before = record.len().checked_sub(2).and_then(|index| record.get(index));
            let step = match before {
                Some(before) if latest.joined => latest.time - before.time,
                _ => 0.0,
            };
            let left = f64::from(SLIDE_STEPS - imp.slid.get()) / f64::from(SLIDE_STEPS);
            latest.time - left * step
        });
        end.unwrap_or(0.0) - imp.offset.get()
    }

    /// The index of the point that is pointed at.
    pub fn cursor(&self) -> Option<usize> {
        let time = match self.imp().cursor.get() {
            Cursor::Nowhere => return None,
            Cursor::Pointer(share) => self.end() - (1.0 - share) * self.span(),
            Cursor::At(time) => time,
        };
        let (start, end) = (self.end() - self.span(), self.end());
        let visible = |point: &f64| (start - 1.0..=end + 1.0).contains(point);
        self.with_record(|record| {
            let index = record.nearest(time)?;
            record.get(index).filter(|point| visible(&point.time)).map(|_| index)
        })
        .flatten()
    }

    /// Points at a share of the visible span, 0 being the left end; `None` points at nothing.
    pub fn point_at(&self, share: Option<f64>) {
        self.imp().cursor.set(share.map_or(Cursor::Nowhere, Cursor::Pointer));
        self.moved();
    }

    /// Points at the point `steps` after the one pointed at, or at the newest visible one.
    pub fn step_cursor(&self, steps: i64) {
        let current = self.cursor();
        let (start, end) = (self.end() - self.span(), self.end());
        let time = self.with_record(|record| {
            let visible = record.between(start, end);
            let index = match current {
                Some(index) => (index as i64).saturating_add(steps),
                None => visible.end as i64 - 1,
            };
            let newest = record.len() as i64 - 1;
            record.get(index.clamp(0, newest.max(0)) as usize).map(|point| point.time)
        });
        let Some(time) = time.flatten() else { return };
        self.imp().cursor.set(Cursor::At(time));
        // What is pointed at stays in sight.
        let out = if time > end { end - time } else { (start - time).max(0.0) };
        self.pan(out);
    }

    /// Called when something else is to be seen.
    pub fn connect_moved(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_closure("moved", false, glib::closure_local!(move |this: Self| f(&this)))
    }

    /// A chart came on the screen.
    pub(super) fn watch(&self) {
        self.imp().watchers.set(self.imp().watchers.get() + 1);
    }

    /// A chart left the screen.
    pub(super) fn unwatch(&self) {
        let left = self.imp().watchers.get().saturating_sub(1);
        self.imp().watchers.set(left);
        if left == 0 {
            self.stop_sliding();
        }
    }

    fn with_record<T>(&self, f: impl FnOnce(&Record) -> T) -> Option<T> {
        self.imp().history.borrow().as_ref().map(|(history, _)| f(&history.borrow()))
    }

    fn moved(&self) {
        self.emit_by_name::<()>("moved", &[]);
    }

    /// There is a new point.
    fn follow(&self) {
        let imp = self.imp();
        self.stop_sliding();
        if imp.watchers.get() == 0 {
            return;
        }
        if !self.is_at_end() {
            // The person looks at something that has been: it stays where it is.
            let step = self.with_record(|record| {
                let newest = record.len().checked_sub(2).and_then(|n| record.get(n));
                record
                    .latest()
                    .zip(newest)
                    .map_or(0.0, |(latest, before)| latest.time - before.time)
            });
            return self.pan(step.unwrap_or(0.0));
        }
        if imp.animated.get() && self.span() <= SLIDE_SPAN && animations_are_wanted() {
            imp.slid.set(1);
            let this = self.downgrade();
            let pause = Duration::from_millis(1000 / u64::from(SLIDE_STEPS));
            let slide = glib::timeout_add_local(pause, move || match this.upgrade() {
                Some(this) => this.slide(),
                None => glib::ControlFlow::Break,
            });
            imp.sliding.replace(Some(slide));
        }
        self.moved();
    }

    fn slide(&self) -> glib::ControlFlow {
        let imp = self.imp();
        imp.slid.set((imp.slid.get() + 1).min(SLIDE_STEPS));
        self.moved();
        if imp.slid.get() < SLIDE_STEPS {
            return glib::ControlFlow::Continue;
        }
        imp.sliding.take();
        glib::ControlFlow::Break
    }

    fn stop_sliding(&self) {
        if let Some(source) = self.imp().sliding.take() {
            source.remove();
        }
        self.imp().slid.set(SLIDE_STEPS);
    }
}

fn animations_are_wanted() -> bool {
    gtk::Settings::default().is_some_and(|settings| settings.is_gtk_enable_animations())
}
