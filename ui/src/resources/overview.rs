//! All machines side by side, and the host.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use glib::subclass::Signal;
use gtk::{gio, glib};

use super::card::Card;
use super::chart::{Chart, Timeline};
use super::history::History;
use super::host::Reading;
use super::quantity::Quantity;
use super::rows::Row;
use super::sparkline::Sparkline;

/// How often the host is asked.
const EVERY: Duration = Duration::from_secs(1);
/// What the page does not grow beyond, in pixels.
const WIDEST: i32 = 1280;

/// What the overview shows of a machine.
#[derive(Debug, Clone)]
pub struct Overviewed {
    /// What it is called.
    pub name: String,
    /// Its state, in a word or two.
    pub state: String,
    /// Its figures.
    pub history: History,
}

type Describe = Rc<dyn Fn(&glib::Object) -> Overviewed>;
/// A machine of the model, who listens to it, and its row.
type Shown = (glib::Object, glib::SignalHandlerId, Rc<Row>);

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct OverviewPage {
        pub(super) host: History,
        pub(super) timeline: Timeline,
        pub(super) cards: OnceCell<Vec<Rc<Card>>>,
        pub(super) list: gtk::ListBox,
        pub(super) rows: RefCell<Vec<Shown>>,
        pub(super) model: RefCell<Option<(gio::ListModel, glib::SignalHandlerId)>>,
        pub(super) describe: RefCell<Option<Describe>>,
        /// Whether there is a row for each machine: not before the page is seen for the first time,
        /// for they are many widgets.
        pub(super) filled: Cell<bool>,
        /// Counts how often the page came on the screen: an old sampler ends when this moved on.
        pub(super) turn: Cell<u32>,
        pub(super) first: Cell<Option<(Reading, Instant)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for OverviewPage {
        const NAME: &'static str = "BerthOverviewPage";
        type Type = super::OverviewPage;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for OverviewPage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![
                    Signal::builder("machine-activated")
                        .param_types([glib::Object::static_type()])
                        .build(),
                ]
            })
        }

        fn dispose(&self) {
            self.obj().forget();
        }
    }

    impl WidgetImpl for OverviewPage {
        fn map(&self) {
            self.obj().build();
            self.parent_map();
            self.obj().fill();
            self.turn.set(self.turn.get().wrapping_add(1));
            let (page, turn) = (self.obj().downgrade(), self.turn.get());
            glib::spawn_future_local(sample(page, turn));
        }

        fn unmap(&self) {
            self.parent_unmap();
            self.turn.set(self.turn.get().wrapping_add(1));
        }
    }

    impl BinImpl for OverviewPage {}
}

glib::wrapper! {
    /// All machines side by side, with the host's own totals. The host is asked, on a worker and
    /// once a second, only while the page is on the screen.
    pub struct OverviewPage(ObjectSubclass<imp::OverviewPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for OverviewPage {
    fn default() -> Self {
        Self::new()
    }
}

impl OverviewPage {
    /// The host alone, until [`Self::set_model`].
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows the objects of `model` as `describe` describes them, which is asked again whenever a
    /// property of one notifies.
    pub fn set_model(
        &self,
        model: &impl IsA<gio::ListModel>,
        describe: impl Fn(&glib::Object) -> Overviewed + 'static,
    ) {
        self.forget();
        let imp = self.imp();
        let model = model.clone().upcast::<gio::ListModel>();
        imp.describe.replace(Some(Rc::new(describe)));
        let page = self.downgrade();
        let handler = model.connect_items_changed(move |model, at, removed, added| {
            if let Some(page) = page.upgrade().filter(|page| page.imp().filled.get()) {
                page.change(model, at, removed, added);
            }
        });
        imp.model.replace(Some((model, handler)));
        if self.is_mapped() {
            self.fill();
        }
    }

    /// Makes the rows, unless they are there.
    fn fill(&self) {
        let imp = self.imp();
        let model = imp.model.borrow().as_ref().map(|(model, _)| model.clone());
        if let (Some(model), false) = (model, imp.filled.get()) {
            imp.filled.set(true);
            self.change(&model, 0, 0, model.n_items());
        }
    }

    /// Called when the person opens a machine.
    pub fn connect_machine_activated(
        &self,
        f: impl Fn(&Self, &glib::Object) + 'static,
    ) -> glib::SignalHandlerId {
        self.connect_closure(
            "machine-activated",
            false,
            glib::closure_local!(move |this: Self, machine: glib::Object| f(&this, &machine)),
        )
    }

    /// The figures of the host.
    pub fn host(&self) -> &History {
        &self.imp().host
    }

    /// The charts of the host.
    pub fn charts(&self) -> Vec<Chart> {
        self.build();
        let cards = self.imp().cards.get();
        cards.into_iter().flatten().map(|card| card.chart().clone()).collect()
    }

    /// The small charts of all machines.
    pub fn sparklines(&self) -> Vec<Sparkline> {
        let rows = self.imp().rows.borrow();
        rows.iter().flat_map(|(_, _, row)| row.charts().cloned().collect::<Vec<_>>()).collect()
    }

    /// Makes what is on the page, unless it is there: nobody waits for what is not seen yet.
    fn build(&self) {
        let imp = self.imp();
        if imp.cards.get().is_some() {
            return;
        }
        imp.timeline.set_history(Some(&imp.host));
        let cards = [
            Card::new(Quantity::Cpu, Some(&gettext("Processor of This Computer")), &imp.timeline),
            Card::new(Quantity::Memory, Some(&gettext("Memory of This Computer")), &imp.timeline),
        ];
        let wrap = adw::WrapBox::builder()
            .child_spacing(12)
            .line_spacing(12)
            .justify(adw::JustifyMode::Fill)
            .justify_last_line(true)
            .build();
        cards.iter().for_each(|card| wrap.append(card.widget()));
        // The room is for the machines.
        wrap.set_vexpand(false);
        // Set once, here.
        let _ = imp.cards.set(cards.into());

        imp.list.add_css_class("boxed-list");
        imp.list.set_selection_mode(gtk::SelectionMode::None);
        let heading = gtk::Label::builder().label(gettext("Machines")).xalign(0.0).build();
        heading.add_css_class("heading");
        heading.set_margin_top(12);
        imp.list.update_relation(&[gtk::accessible::Relation::LabelledBy(&[heading.upcast_ref()])]);
        let placeholder = gtk::Label::new(Some(&gettext("There are no machines yet.")));
        placeholder.add_css_class("dimmed");
        placeholder.set_margin_top(24);
        placeholder.set_margin_bottom(24);
        imp.list.set_placeholder(Some(&placeholder));
        let page = self.downgrade();
        imp.list.connect_row_activated(move |_, row| {
            let Some(page) = page.upgrade() else { return };
            let index = usize::try_from(row.index()).unwrap_or(usize::MAX);
            let machine = page.imp().rows.borrow().get(index).map(|(machine, ..)| machine.clone());
            if let Some(machine) = machine {
                page.emit_by_name::<()>("machine-activated", &[&machine]);
            }
        });

        let content = gtk::Box::new(gtk::Orientation::Vertical, 12);
        content.set_margin_top(18);
        content.set_margin_bottom(24);
        content.set_margin_start(18);
        content.set_margin_end(18);
        content.append(&wrap);
        content.append(&heading);
        content.append(&imp.list);
        let clamp = adw::Clamp::builder()
            .maximum_size(WIDEST)
            .tightening_threshold(WIDEST)
            .child(&content)
            .build();
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .child(&clamp)
            .build();
        self.set_child(Some(&scrolled));
    }

    /// Follows the model.
    fn change(&self, model: &gio::ListModel, at: u32, removed: u32, added: u32) {
        let imp = self.imp();
        let start = at as usize;
        let gone: Vec<Shown> =
            imp.rows.borrow_mut().drain(start..start + removed as usize).collect();
        for (machine, handler, row) in gone {
            machine.disconnect(handler);
            if let Some(row) = row.widget().parent() {
                imp.list.remove(&row);
            }
        }
        for index in at..at + added {
            let Some(machine) = model.item(index) else { continue };
            let row = Rc::new(Row::new());
            let page = self.downgrade();
            let weak = Rc::downgrade(&row);
            let handler = machine.connect_notify_local(None, move |machine, _| {
                if let (Some(page), Some(row)) = (page.upgrade(), weak.upgrade()) {
                    page.describe(machine, &row);
                }
            });
            imp.list.insert(row.widget(), i32::try_from(index).unwrap_or(-1));
            // Only now is there a row in the list to be named.
            self.describe(&machine, &row);
            if let Some(widget) = row.widget().parent().and_downcast::<gtk::ListBoxRow>() {
                widget.set_activatable(true);
            }
            imp.rows.borrow_mut().insert(index as usize, (machine, handler, row));
        }
    }

    fn describe(&self, machine: &glib::Object, row: &Rc<Row>) {
        let describe = self.imp().describe.borrow().clone();
        if let Some(describe) = describe {
            let machine = describe(machine);
            row.show(&machine);
            if let Some(widget) = row.widget().parent() {
                let label = format!("{}, {}", machine.name, machine.state);
                widget.update_property(&[gtk::accessible::Property::Label(&label)]);
            }
        }
    }

    fn forget(&self) {
        let imp = self.imp();
        if let Some((model, handler)) = imp.model.take() {
            model.disconnect(handler);
        }
        for (machine, handler, _) in imp.rows.take() {
            machine.disconnect(handler);
        }
        imp.list.remove_all();
        imp.filled.set(false);
    }

    fn record(&self, reading: Reading) {
        let imp = self.imp();
        let (first, since) = imp.first.get().unwrap_or_else(|| {
            let now = (reading, Instant::now());
            imp.host.start(reading.limits(), Vec::new());
            imp.first.set(Some(now));
            now
        });
        imp.host.record_counters(reading.counters(&first, since));
    }
}

/// Asks the host once a second for as long as the page stays on the screen.
async fn sample(page: glib::WeakRef<OverviewPage>, turn: u32) {
    loop {
        let Some(reading) = Reading::take().await else { return };
        match page.upgrade() {
            Some(page) if page.imp().turn.get() == turn => page.record(reading),
            _ => return,
        }
        glib::timeout_future(EVERY).await;
    }
}
