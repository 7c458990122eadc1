//! The resources of one machine.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::glib;

use super::card::Card;
use super::chart::{Chart, Timeline};
use super::history::{History, Watching};
use super::quantity::Quantity;
use super::units;

/// Spans that can be chosen, in seconds.
const SPANS: [f64; 4] = [60.0, 300.0, 900.0, 3600.0];
/// What the charts do not grow beyond, in pixels.
const WIDEST: i32 = 1280;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct ResourcesPage {
        pub(super) timeline: Timeline,
        pub(super) cards: OnceCell<Vec<Rc<Card>>>,
        pub(super) stack: gtk::Stack,
        pub(super) spans: adw::ToggleGroup,
        pub(super) history: RefCell<Option<(History, Vec<glib::SignalHandlerId>)>>,
        /// While it is seen.
        pub(super) watching: RefCell<Option<Watching>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ResourcesPage {
        const NAME: &'static str = "BerthResourcesPage";
        type Type = super::ResourcesPage;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for ResourcesPage {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().build();
        }

        fn dispose(&self) {
            self.obj().set_history(None);
        }
    }

    impl WidgetImpl for ResourcesPage {
        fn map(&self) {
            self.parent_map();
            self.obj().watch();
        }

        fn unmap(&self) {
            self.parent_unmap();
            self.obj().watch();
        }
    }
    impl BinImpl for ResourcesPage {}
}

glib::wrapper! {
    /// The charts of one machine: processor, memory, disks, and network when there is one.
    pub struct ResourcesPage(ObjectSubclass<imp::ResourcesPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for ResourcesPage {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourcesPage {
    /// A page of no machine, until [`Self::set_history`].
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows another machine.
    pub fn set_history(&self, history: Option<&History>) {
        let imp = self.imp();
        if let Some((old, handlers)) = imp.history.take() {
            handlers.into_iter().for_each(|handler| old.disconnect(handler));
        }
        let watched = history.map(|history| {
            let refresh = |this: &glib::WeakRef<Self>| {
                if let Some(this) = this.upgrade() {
                    this.refresh();
                }
            };
            let (first, second) = (self.downgrade(), self.downgrade());
            let handlers = vec![
                history.connect_state(move |_| refresh(&first)),
                history.connect_recorded(move |_| refresh(&second)),
            ];
            (history.clone(), handlers)
        });
        imp.history.replace(watched);
        imp.timeline.set_history(history);
        self.watch();
        self.refresh();
    }

    /// Looks closely at what is seen.
    fn watch(&self) {
        let imp = self.imp();
        let history = imp.history.borrow().as_ref().map(|(history, _)| history.clone());
        let watching = history.filter(|_| self.is_mapped()).map(|history| history.watch());
        imp.watching.replace(watching);
    }

    /// What the charts show together.
    pub fn timeline(&self) -> &Timeline {
        &self.imp().timeline
    }

    /// The charts, in the order in which they are seen.
    pub fn charts(&self) -> Vec<Chart> {
        let cards = self.imp().cards.get();
        cards.into_iter().flatten().map(|card| card.chart().clone()).collect()
    }

    fn build(&self) {
        let imp = self.imp();
        let quantities = [Quantity::Cpu, Quantity::Memory, Quantity::Disk, Quantity::Network];
        let cards = quantities.map(|quantity| Card::new(quantity, None, &imp.timeline));
        let wrap = adw::WrapBox::builder()
            .child_spacing(12)
            .line_spacing(12)
            .justify(adw::JustifyMode::Fill)
            .justify_last_line(true)
            .build();
        cards.iter().for_each(|card| wrap.append(card.widget()));

        self.build_spans();
        let content = gtk::Box::new(gtk::Orientation::Vertical, 12);
        content.set_margin_top(18);
        content.set_margin_bottom(24);
        content.set_margin_start(18);
        content.set_margin_end(18);
        content.append(&imp.spans);
        content.append(&wrap);
        let clamp = adw::Clamp::builder()
            .maximum_size(WIDEST)
            .tightening_threshold(WIDEST)
            .child(&content)
            .build();
        let scrolled = gtk::ScrolledWindow::builder()
            .hscrollbar_policy(gtk::PolicyType::Never)
            .child(&clamp)
            .build();
        let empty = adw::StatusPage::builder()
            .icon_name("utilities-system-monitor-symbolic")
            .title(gettext("Nothing to Measure"))
            .description(gettext(
                "Start the machine to see how much processor, memory and disk it uses.",
            ))
            .build();
        imp.stack.add_named(&empty, Some("empty"));
        imp.stack.add_named(&scrolled, Some("charts"));
        self.set_child(Some(&imp.stack));
        // Held until the page is gone; set once, here.
        let _ = imp.cards.set(cards.into());
        self.refresh();
    }

    /// The choice of what span is visible.
    fn build_spans(&self) {
        let imp = self.imp();
        imp.spans.set_halign(gtk::Align::End);
        imp.spans.add_css_class("round");
        imp.spans
            .upcast_ref::<gtk::Widget>()
            .update_property(&[gtk::accessible::Property::Label(&gettext("Time shown"))]);
        for span in SPANS {
            let label = match span {
                3600.0 => gettext("1 h"),
                span => units::span(span),
            };
            let toggle = adw::Toggle::builder().name(span.to_string()).label(label).build();
            toggle.set_tooltip(
                &gettext("Show the last {span}").replace("{span}", &units::span_words(span)),
            );
            imp.spans.add(toggle);
        }
        let timeline = imp.timeline.downgrade();
        imp.spans.connect_active_name_notify(move |spans| {
            let chosen = spans.active_name().and_then(|name| name.parse().ok());
            if let (Some(timeline), Some(span)) = (timeline.upgrade(), chosen)
                && timeline.span() != span
            {
                timeline.set_span(span);
            }
        });
        let spans = imp.spans.downgrade();
        let follow = move |timeline: &Timeline| {
            let Some(spans) = spans.upgrade() else { return };
            // Zoomed by hand to something between: none is chosen.
            let name = SPANS.iter().find(|span| **span == timeline.span()).map(f64::to_string);
            if spans.active_name().as_deref() != name.as_deref() {
                spans.set_active_name(name.as_deref());
            }
        };
        follow(&imp.timeline);
        imp.timeline.connect_moved(follow);
    }

    /// Shows what there is to show.
    fn refresh(&self) {
        let imp = self.imp();
        let history = imp.history.borrow();
        let history = history.as_ref().map(|(history, _)| history);
        let shown =
            history.is_some_and(|history| history.is_live() || !history.borrow().is_empty());
        let page = if shown { "charts" } else { "empty" };
        if imp.stack.visible_child_name().as_deref() != Some(page) {
            imp.stack.set_visible_child_name(page);
        }
        let networked = history
            .is_some_and(|history| history.borrow().latest().is_some_and(|p| p.network.is_some()));
        if let Some([_, _, disk, network]) = imp.cards.get().map(Vec::as_slice) {
            disk.set_drives(history.map(History::drive_names).unwrap_or_default());
            network.widget().set_visible(networked);
        }
    }
}
