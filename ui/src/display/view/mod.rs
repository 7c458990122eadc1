//! The widget that shows the guest's screen and gives it the keyboard and the pointer.
//!
//! By file: `imp` (the GObject: properties, size, drawing), `follow` (looking at the screen, at
//! its pace), `input` (events to commands), `grab` (taking and giving back keyboard and pointer).

mod follow;
mod grab;
mod imp;
mod input;

use std::sync::Arc;

use async_channel::Sender;
use gtk::glib::subclass::prelude::ObjectSubclassIsExt;
use gtk::prelude::*;
use gtk::{gdk, glib};
use vmm_core::display::{Display, Mode};
use vmm_core::machine::Command;

use super::send_keys::{Combo, send_combo};

glib::wrapper! {
    /// The guest's screen.
    ///
    /// It takes the keyboard whenever it has the focus. A click takes the system's shortcuts as
    /// well and, unless `pointer-mode` is `Absolute`, captures the pointer; the release key, which
    /// is [`ReleaseKey`](super::ReleaseKey) `CtrlAlt` unless set otherwise, gives everything back.
    /// Application shortcuts do not work while it has the focus, since the guest gets every key: the
    /// release key comes first.
    ///
    /// The limits of capturing: GTK 4 cannot confine or move the pointer. It is hidden over the
    /// widget and its movements are passed on; at the widget's edge the guest's pointer is pushed
    /// on, so that it reaches everything. In a window, as opposed to full screen, the pointer can
    /// leave the widget; what it does outside is not the guest's.
    ///
    /// Properties: `scaling`, `release-key`, `pointer-mode`, `running` (set it to false while the
    /// guest stands still), `placeholder` (shown instead of the dimmed last picture when nothing
    /// is attached); to be read: `grabbed`, `keyboard-taken` (also while the pointer is not
    /// captured), `attached`, `guest-width`, `guest-height`.
    ///
    /// Signals: `mode-changed`, when [`DisplayView::mode`] has another answer; `released`, when
    /// the user pressed the release key.
    pub struct DisplayView(ObjectSubclass<imp::DisplayView>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for DisplayView {
    fn default() -> Self {
        Self::new()
    }
}

impl DisplayView {
    /// A view of nothing yet.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows a display, and sends what the user does to `commands`.
    pub fn attach(&self, display: Arc<dyn Display>, commands: Sender<Command>) {
        self.imp().attach(display, commands);
    }

    /// Lets go of the display. The last picture stays, dimmed, unless there is a placeholder.
    pub fn detach(&self) {
        self.imp().detach();
    }

    /// What the screen showed when last looked at; `None` when nothing is attached.
    pub fn mode(&self) -> Option<Mode> {
        self.imp().mode()
    }

    /// The picture at the guest's size, up to date even when the widget is not shown; `None`
    /// before the first picture.
    pub fn texture(&self) -> Option<gdk::Texture> {
        self.imp().texture()
    }

    /// The same, made to fit into a size in pixels; never enlarged.
    pub fn thumbnail(&self, max_width: u32, max_height: u32) -> Option<gdk::Texture> {
        self.imp().thumbnail(max_width, max_height)
    }

    /// How many times a changed picture has been drawn.
    pub fn frames(&self) -> u64 {
        self.imp().frames()
    }

    /// Captures keyboard and pointer, as a click does. Nothing happens when nothing is attached.
    pub fn grab(&self) {
        self.imp().grab();
    }

    /// Gives back what [`DisplayView::grab`] captured, and lets go of all keys and buttons. The
    /// keyboard focus stays.
    pub fn ungrab(&self) {
        self.imp().ungrab();
    }

    /// Types a combination of keys for the guest.
    pub fn send_combo(&self, combo: &Combo) {
        if let Some(commands) = self.imp().commands() {
            send_combo(&commands, combo);
            self.imp().expect_change();
        }
    }

    /// Calls `f` when the user has pressed the release key.
    pub fn connect_released(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("released", f)
    }

    /// Calls `f` when [`DisplayView::mode`] has another answer.
    pub fn connect_mode_changed(&self, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_plain("mode-changed", f)
    }

    fn connect_plain(&self, signal: &str, f: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        let weak = self.downgrade();
        self.connect_local(signal, false, move |_| {
            if let Some(view) = weak.upgrade() {
                f(&view);
            }
            None
        })
    }
}
