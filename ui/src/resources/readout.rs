//! A text that changes once a second, and the sample of a curve's line.

use std::cell::{Cell, RefCell};

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{glib, graphene, gsk};

use super::chart::paint::{self, Palette};

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Readout {
        pub(super) text: RefCell<String>,
        pub(super) xalign: Cell<f32>,
        pub(super) widest: RefCell<String>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Readout {
        const NAME: &'static str = "BerthReadout";
        type Type = super::Readout;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("label");
            class.set_accessible_role(gtk::AccessibleRole::Label);
        }
    }

    impl ObjectImpl for Readout {}

    impl WidgetImpl for Readout {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            let layout = self.obj().create_pango_layout(Some(&self.widest.borrow()));
            let (width, height) = layout.pixel_size();
            match orientation {
                gtk::Orientation::Horizontal => (0, width, -1, -1),
                _ => {
                    let baseline = layout.baseline() / gtk::pango::SCALE;
                    (height, height, baseline, baseline)
                }
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let readout = self.obj();
            let layout = readout.create_pango_layout(Some(&self.text.borrow()));
            layout.set_ellipsize(gtk::pango::EllipsizeMode::End);
            let mut width = layout.pixel_size().0;
            if width > readout.width() {
                layout.set_width(readout.width() * gtk::pango::SCALE);
                width = layout.pixel_size().0;
            }
            let xalign = match readout.direction() {
                gtk::TextDirection::Rtl => 1.0 - self.xalign.get(),
                _ => self.xalign.get(),
            };
            let x = (readout.width() - width) as f32 * xalign;
            paint::text(snapshot, &layout, x, 0.0, &readout.color());
        }
    }
}

glib::wrapper! {
    /// A text that changes often. It keeps the size of the widest text it is made for: a change
    /// draws it anew and does not lay out the window.
    pub struct Readout(ObjectSubclass<imp::Readout>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Readout {
    /// An empty one with room for `widest`, its text at `xalign` (0 where lines
    /// begin, 1 where they end).
    pub(super) fn new(widest: &str, xalign: f32) -> Self {
        let readout: Self = glib::Object::new();
        readout.imp().widest.replace(widest.into());
        readout.imp().xalign.set(xalign);
        readout.add_css_class("numeric");
        readout
    }

    /// Changes the text.
    pub(super) fn set_text(&self, text: &str) {
        if *self.imp().text.borrow() != text {
            self.imp().text.replace(text.into());
            self.update_property(&[gtk::accessible::Property::Label(text)]);
            self.queue_draw();
        }
    }
}

mod swatch {
    use super::*;

    #[derive(Default)]
    pub struct Swatch {
        pub(super) series: Cell<usize>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Swatch {
        const NAME: &'static str = "BerthSwatch";
        type Type = super::Swatch;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_accessible_role(gtk::AccessibleRole::Presentation);
        }
    }

    impl ObjectImpl for Swatch {
        fn constructed(&self) {
            self.parent_constructed();
            paint::follow_style(&*self.obj());
        }
    }

    impl WidgetImpl for Swatch {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            let size = if orientation == gtk::Orientation::Horizontal { 24 } else { 10 };
            (size, size, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let swatch = self.obj();
            let (width, y) = (swatch.width() as f32, swatch.height() as f32 / 2.0);
            let (stroke, colour) = Palette::of(&*swatch).stroke(self.series.get());
            let line = gsk::PathBuilder::new();
            line.move_to(1.0, y);
            line.line_to(width - 1.0, y);
            snapshot.push_clip(&graphene::Rect::new(0.0, 0.0, width, swatch.height() as f32));
            snapshot.append_stroke(&line.to_path(), &stroke, &colour);
            snapshot.pop();
        }
    }
}

glib::wrapper! {
    /// The line of a series, for a legend.
    pub struct Swatch(ObjectSubclass<swatch::Swatch>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Swatch {
    /// The line of series `series`.
    pub(super) fn new(series: usize) -> Self {
        let swatch: Self = glib::Object::new();
        swatch.imp().series.set(series);
        swatch.set_valign(gtk::Align::Center);
        swatch
    }
}
