//! The display's page: the view with scroll bars, the hint how to get pointer and keyboard back, and
//! the bar for full screen.

use std::cell::RefCell;
use std::time::Duration;

use gettextrs::gettext;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::{DisplayView, FullScreenBar, Scaling};

/// How long the hint is shown.
const HINT: Duration = Duration::from_secs(4);
/// The height of the edge that shows the full-screen bar, in logical pixels.
const EDGE: f64 = 2.0;

const STYLE: &str = "
display { outline: 0 solid transparent; outline-offset: -2px; }
display:focus-visible { outline: 2px solid alpha(@accent_color, 0.7); }
.berth-hint, .berth-full-screen-bar {
  background-color: rgba(45, 45, 48, 0.92);
  color: white;
  border: 1px solid rgba(255, 255, 255, 0.25);
}
.berth-hint { border-radius: 999px; padding: 9px 18px; margin: 24px; }
.berth-full-screen-bar { border-radius: 0 0 12px 12px; border-top: none; padding: 6px 12px; }
";

#[allow(missing_docs, reason = "the wrapper documents it")]
mod imp {
    use super::*;

    #[derive(Default)]
    pub struct DisplayPage {
        pub(super) view: DisplayView,
        pub(super) scrolled: gtk::ScrolledWindow,
        pub(super) viewport: RefCell<Option<gtk::Viewport>>,
        pub(super) overlay: gtk::Overlay,
        pub(super) hint: gtk::Revealer,
        pub(super) hint_label: gtk::Label,
        pub(super) bar: FullScreenBar,
        pub(super) hint_end: RefCell<Option<glib::SourceId>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DisplayPage {
        const NAME: &'static str = "BerthDisplayPage";
        type Type = super::DisplayPage;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_layout_manager_type::<gtk::BinLayout>();
        }
    }

    impl ObjectImpl for DisplayPage {
        fn constructed(&self) {
            self.parent_constructed();
            add_style();
            self.build();
            self.wire();
            self.set_up_scrolling();
        }

        fn dispose(&self) {
            self.end_hint();
            self.overlay.unparent();
        }
    }

    impl WidgetImpl for DisplayPage {
        fn grab_focus(&self) -> bool {
            self.view.grab_focus()
        }
    }

    impl DisplayPage {
        fn build(&self) {
            let viewport = gtk::Viewport::builder().scroll_to_focus(false).build();
            viewport.set_child(Some(&self.view));
            self.scrolled.set_child(Some(&viewport));
            self.viewport.replace(Some(viewport));
            self.scrolled.set_hexpand(true);
            self.scrolled.set_vexpand(true);

            for class in ["osd", "berth-hint"] {
                self.hint_label.add_css_class(class);
            }
            self.hint_label.set_wrap(true);
            self.hint_label.set_justify(gtk::Justification::Center);
            self.hint.set_child(Some(&self.hint_label));
            self.hint.set_transition_type(gtk::RevealerTransitionType::Crossfade);
            self.hint.set_halign(gtk::Align::Center);
            // Away from the bar, which comes from above.
            self.hint.set_valign(gtk::Align::End);
            // The guest's, whatever lies over it.
            self.hint.set_can_target(false);

            self.overlay.set_child(Some(&self.scrolled));
            self.overlay.add_overlay(&self.hint);
            self.overlay.add_overlay(&self.bar);
            self.overlay.set_parent(&*self.obj());
        }

        fn wire(&self) {
            let on_view = |act: fn(&Self)| {
                let weak = self.obj().downgrade();
                move |_: &DisplayView| {
                    if let Some(page) = weak.upgrade() {
                        act(page.imp());
                    }
                }
            };
            self.view.connect_scaling_notify(on_view(Self::set_up_scrolling));
            self.view.connect_grabbed_notify(on_view(Self::set_up_scrolling));
            self.view.connect_keyboard_taken_notify(on_view(Self::keyboard_taken_changed));
            let motion = gtk::EventControllerMotion::new();
            motion.set_propagation_phase(gtk::PropagationPhase::Capture);
            let weak = self.obj().downgrade();
            motion.connect_motion(move |_, _, y| {
                if let Some(page) = weak.upgrade() {
                    page.imp().pointer_at(y);
                }
            });
            self.overlay.add_controller(motion);
        }

        fn pointer_at(&self, y: f64) {
            // A captured pointer pushes against the edge on the guest's behalf.
            if y < EDGE && !self.view.grabbed() {
                self.bar.reveal();
            } else if self.bar.is_revealed() && y > f64::from(self.bar.height()) {
                self.bar.hide_soon();
            }
        }

        fn set_up_scrolling(&self) {
            let (policy, scroll) = match (self.view.scaling(), self.view.grabbed()) {
                (Scaling::Fit, _) => (gtk::PolicyType::Never, gtk::ScrollablePolicy::Minimum),
                (Scaling::Actual, false) => {
                    (gtk::PolicyType::Automatic, gtk::ScrollablePolicy::Natural)
                }
                // A captured pointer scrolls by itself; the bars would be in its way.
                (Scaling::Actual, true) => {
                    (gtk::PolicyType::External, gtk::ScrollablePolicy::Natural)
                }
            };
            self.scrolled.set_policy(policy, policy);
            if let Some(viewport) = &*self.viewport.borrow() {
                viewport.set_hscroll_policy(scroll);
                viewport.set_vscroll_policy(scroll);
            }
        }

        fn keyboard_taken_changed(&self) {
            self.end_hint();
            if !self.view.keyboard_taken() {
                self.hint.set_reveal_child(false);
                return;
            }
            let hint = match self.view.grabbed() {
                true => gettext("Press {keys} to release the pointer"),
                false => gettext("Press {keys} to release the keyboard"),
            };
            let hint = hint.replace("{keys}", &self.view.release_key().label());
            self.hint_label.set_label(&hint);
            self.obj().announce(&hint, gtk::AccessibleAnnouncementPriority::Medium);
            self.hint.set_reveal_child(true);
            let weak = self.obj().downgrade();
            let end = glib::timeout_add_local_once(HINT, move || {
                let Some(page) = weak.upgrade() else { return };
                page.imp().hint_end.take();
                page.imp().hint.set_reveal_child(false);
            });
            self.hint_end.replace(Some(end));
        }

        fn end_hint(&self) {
            if let Some(end) = self.hint_end.take() {
                end.remove();
            }
        }
    }
}

/// Adds the page's style, once for the process. The first page does it at the latest.
pub fn add_style() {
    thread_local! {
        static ADDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    let Some(display) = gtk::gdk::Display::default() else { return };
    if !ADDED.replace(true) {
        let provider = gtk::CssProvider::new();
        provider.load_from_string(STYLE);
        let priority = gtk::STYLE_PROVIDER_PRIORITY_APPLICATION;
        gtk::style_context_add_provider_for_display(&display, &provider, priority);
    }
}

glib::wrapper! {
    /// The display's page. The window attaches a machine to its [`DisplayPage::view`] and wires
    /// its [`DisplayPage::full_screen_bar`].
    pub struct DisplayPage(ObjectSubclass<imp::DisplayPage>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for DisplayPage {
    fn default() -> Self {
        Self::new()
    }
}

impl DisplayPage {
    /// A page with a view of nothing yet.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// The guest's screen.
    pub fn view(&self) -> DisplayView {
        self.imp().view.clone()
    }

    /// The bar for full screen, which is off until its `active` is set.
    pub fn full_screen_bar(&self) -> FullScreenBar {
        self.imp().bar.clone()
    }

    /// Whether the hint how to release pointer and keyboard is shown.
    pub fn shows_hint(&self) -> bool {
        self.imp().hint.reveals_child()
    }
}
