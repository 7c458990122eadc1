//! A small chart for a row of a list.

use std::cell::{Cell, RefCell};

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{glib, graphene};

use super::chart::paint::{self, Palette};
use super::chart::{Frame, segments};
use super::history::History;
use super::quantity::Quantity;

/// Visible seconds.
const SPAN: f64 = 60.0;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Sparkline {
        pub(super) quantity: Cell<Quantity>,
        pub(super) history: RefCell<Option<(History, glib::SignalHandlerId)>>,
        pub(super) description: RefCell<String>,
        pub(super) drawn: Cell<u64>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Sparkline {
        const NAME: &'static str = "BerthSparkline";
        type Type = super::Sparkline;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("sparkline");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for Sparkline {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_overflow(gtk::Overflow::Hidden);
            paint::follow_style(&*self.obj());
        }

        fn dispose(&self) {
            self.obj().set_history(None);
        }
    }

    impl WidgetImpl for Sparkline {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            match orientation {
                gtk::Orientation::Horizontal => (32, 64, -1, -1),
                _ => (16, 24, -1, -1),
            }
        }

        fn map(&self) {
            self.parent_map();
            self.obj().describe();
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            self.drawn.set(self.drawn.get() + 1);
            self.obj().draw(snapshot);
        }
    }
}

glib::wrapper! {
    /// The last minute of a quantity in a few pixels, drawn anew once a second while it is on the
    /// screen.
    pub struct Sparkline(ObjectSubclass<imp::Sparkline>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Sparkline {
    /// One of `quantity`, with nothing to show yet.
    pub fn new(quantity: Quantity) -> Self {
        let sparkline: Self = glib::Object::new();
        sparkline.imp().quantity.set(quantity);
        sparkline.update_property(&[gtk::accessible::Property::Label(&quantity.title())]);
        sparkline
    }

    /// Shows another history.
    pub fn set_history(&self, history: Option<&History>) {
        if let Some((old, handler)) = self.imp().history.take() {
            old.disconnect(handler);
        }
        let watched = history.map(|history| {
            let this = self.downgrade();
            let handler = history.connect_recorded(move |_| {
                if let Some(this) = this.upgrade()
                    && this.is_mapped()
                {
                    this.queue_draw();
                    this.describe();
                }
            });
            (history.clone(), handler)
        });
        self.imp().history.replace(watched);
        self.queue_draw();
    }

    /// How often it has been drawn.
    pub fn times_drawn(&self) -> u64 {
        self.imp().drawn.get()
    }

    fn describe(&self) {
        let history = self.imp().history.borrow();
        let Some((history, _)) = &*history else { return };
        let text = self.imp().quantity.get().summary(&history.borrow(), SPAN);
        if *self.imp().description.borrow() != text {
            self.update_property(&[gtk::accessible::Property::Description(&text)]);
            self.imp().description.replace(text);
        }
    }

    fn draw(&self, snapshot: &gtk::Snapshot) {
        let palette = Palette::of(self);
        // Room for half of the line's thickness.
        let (width, height) = (self.width() as f32, self.height() as f32 - 2.0);
        let ground = graphene::Rect::new(0.0, height + 1.0, width, 1.0);
        snapshot.append_color(&palette.grid, &ground);
        let history = self.imp().history.borrow();
        let Some((history, _)) = &*history else { return };
        let record = history.borrow();
        let Some(latest) = record.latest() else { return };
        let quantity = self.imp().quantity.get();
        let high = quantity.highest(&record, record.between(latest.time - SPAN, latest.time));
        let top = quantity.top(&record, high[0].max(high[1]));
        let frame = Frame { end: latest.time, span: SPAN, top, width, height };
        let curve = segments(&record, quantity, &frame);
        snapshot.save();
        snapshot.translate(&graphene::Point::new(0.0, 1.0));
        palette.curve(snapshot, &curve, 0, width, height);
        snapshot.restore();
    }
}
