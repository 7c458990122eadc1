//! The bar at the upper edge in full screen.
//!
//! It shows itself when the pointer touches the edge or the keyboard goes there, and hides when
//! both are gone. The window fills it: a title, what leaves full screen, more at its start.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

/// How long it stays when the pointer has left it.
const LINGER: Duration = Duration::from_millis(700);
/// How long it stays at first, so that everybody knows how to leave.
const GREETING: Duration = Duration::from_secs(3);

#[allow(missing_docs, reason = "the wrapper documents it")]
mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::FullScreenBar)]
    pub struct FullScreenBar {
        #[property(get, set = Self::set_title)]
        pub(super) title: RefCell<String>,
        #[property(get, set = Self::set_active)]
        pub(super) active: Cell<bool>,
        pub(super) revealer: gtk::Revealer,
        pub(super) heading: gtk::Label,
        pub(super) start: gtk::Box,
        pub(super) leave: gtk::Button,
        pub(super) hiding: RefCell<Option<glib::SourceId>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FullScreenBar {
        const NAME: &'static str = "BerthFullScreenBar";
        type Type = super::FullScreenBar;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_layout_manager_type::<gtk::BinLayout>();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for FullScreenBar {
        fn constructed(&self) {
            self.parent_constructed();
            let bar = self.obj();
            bar.set_valign(gtk::Align::Start);
            bar.set_halign(gtk::Align::Center);
            bar.set_visible(false);
            let leave = gettext("Leave Full Screen");
            self.leave.set_icon_name("view-restore-symbolic");
            self.leave.set_tooltip_text(Some(&leave));
            self.leave.update_property(&[gtk::accessible::Property::Label(&leave)]);
            self.heading.add_css_class("heading");
            self.heading.set_ellipsize(gtk::pango::EllipsizeMode::End);
            self.heading.set_max_width_chars(40);
            let row = gtk::Box::new(gtk::Orientation::Horizontal, 12);
            for class in ["toolbar", "osd", "berth-full-screen-bar"] {
                row.add_css_class(class);
            }
            row.append(&self.start);
            row.append(&self.heading);
            row.append(&self.leave);
            self.revealer.set_transition_type(gtk::RevealerTransitionType::SlideDown);
            self.revealer.set_child(Some(&row));
            self.revealer.set_parent(&*bar);
            self.listen();
        }

        fn dispose(&self) {
            self.stay();
            self.revealer.unparent();
        }
    }

    impl WidgetImpl for FullScreenBar {}

    impl FullScreenBar {
        fn set_title(&self, title: String) {
            self.heading.set_label(&title);
            self.title.replace(title);
        }

        fn set_active(&self, active: bool) {
            self.active.set(active);
            self.stay();
            self.obj().set_visible(active);
            self.revealer.set_reveal_child(false);
        }

        /// Stays while pointer or focus are in it.
        fn listen(&self) {
            let motion = gtk::EventControllerMotion::new();
            let weak = self.obj().downgrade();
            motion.connect_contains_pointer_notify(move |motion| {
                if let Some(bar) = weak.upgrade() {
                    bar.imp().attended(motion.contains_pointer());
                }
            });
            let focus = gtk::EventControllerFocus::new();
            let weak = self.obj().downgrade();
            focus.connect_contains_focus_notify(move |focus| {
                if let Some(bar) = weak.upgrade() {
                    bar.imp().attended(focus.contains_focus());
                }
            });
            self.obj().add_controller(motion);
            self.obj().add_controller(focus);
        }

        fn attended(&self, attended: bool) {
            if attended {
                self.reveal();
            } else {
                self.hide_after(LINGER);
            }
        }

        fn stay(&self) {
            if let Some(hiding) = self.hiding.take() {
                hiding.remove();
            }
        }

        pub(super) fn reveal(&self) {
            if self.active.get() {
                self.stay();
                self.revealer.set_reveal_child(true);
            }
        }

        pub(super) fn hide_after(&self, time: Duration) {
            self.stay();
            let weak = self.obj().downgrade();
            let hiding = glib::timeout_add_local_once(time, move || {
                let Some(bar) = weak.upgrade() else { return };
                bar.imp().hiding.take();
                bar.imp().revealer.set_reveal_child(false);
            });
            self.hiding.replace(Some(hiding));
        }
    }
}

glib::wrapper! {
    /// The bar. Properties: `title`; `active`, whether the window is in full screen: otherwise it
    /// never shows.
    pub struct FullScreenBar(ObjectSubclass<imp::FullScreenBar>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for FullScreenBar {
    fn default() -> Self {
        Self::new()
    }
}

impl FullScreenBar {
    /// A bar that is not active.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows it, if it is active, until the pointer has been in it and left.
    pub fn reveal(&self) {
        self.imp().reveal();
    }

    /// Hides it after a moment, unless the pointer or the focus comes to it.
    pub fn hide_soon(&self) {
        self.imp().hide_after(LINGER);
    }

    /// Shows it for a moment, and for longer if the pointer or the focus comes to it.
    pub fn greet(&self) {
        self.imp().reveal();
        self.imp().hide_after(GREETING);
    }

    /// Whether it is shown, or about to be.
    pub fn is_revealed(&self) -> bool {
        self.imp().revealer.reveals_child()
    }

    /// The button that leaves full screen, for an action.
    pub fn leave_button(&self) -> gtk::Button {
        self.imp().leave.clone()
    }

    /// Adds a button before the title.
    pub fn add(&self, widget: &impl IsA<gtk::Widget>) {
        self.imp().start.append(widget);
    }
}
