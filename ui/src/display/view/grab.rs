//! Taking keyboard and pointer for the guest, and giving them back.

use std::cell::RefCell;

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib};
use vmm_core::machine::Command;

use super::super::pointer::PointerMode;
use super::imp::DisplayView;

/// What is held in the window while the display has the focus.
#[derive(Default)]
pub(super) struct Grab {
    /// The controller that takes keys before the window's shortcuts do, and the window.
    pub(super) keys: RefCell<Option<(gtk::EventControllerKey, gtk::Root)>>,
    /// Watches whether the window is the active one.
    pub(super) active: RefCell<Option<(gtk::Window, glib::SignalHandlerId)>>,
    /// Pushes the guest's pointer on at an edge.
    pub(super) push: RefCell<Option<gtk::TickCallbackId>>,
}

impl DisplayView {
    /// Captures keyboard and pointer.
    pub(super) fn grab(&self) {
        let view = self.obj();
        if self.attachment.borrow().is_none() || self.grabbed.get() {
            return;
        }
        self.grabbed.set(true);
        self.take_keyboard();
        self.choose_cursor();
        view.notify_grabbed();
    }

    /// Captures the keyboard alone, the system's shortcuts with it.
    pub(super) fn take_keyboard(&self) {
        let view = self.obj();
        view.grab_focus();
        if self.attachment.borrow().is_none() || self.keyboard_taken.replace(true) {
            return;
        }
        if let Some(toplevel) = self.toplevel() {
            toplevel.inhibit_system_shortcuts(None::<&gdk::Event>);
        }
        view.notify_keyboard_taken();
    }

    /// Gives them back and lets go of all keys and buttons.
    pub(super) fn ungrab(&self) {
        self.release_input();
        if let Some(push) = self.grab.push.take() {
            push.remove();
        }
        let view = self.obj();
        if self.keyboard_taken.replace(false) {
            if let Some(toplevel) = self.toplevel() {
                toplevel.restore_system_shortcuts();
            }
            view.notify_keyboard_taken();
        }
        if self.grabbed.replace(false) {
            self.choose_cursor();
            view.notify_grabbed();
        }
    }

    /// Hides the user's pointer where the guest draws its own.
    pub(super) fn choose_cursor(&self) {
        let view = self.obj();
        let guests = match view.pointer_mode() {
            PointerMode::Relative => self.grabbed.get(),
            PointerMode::Absolute => self.attachment.borrow().is_some() && view.running(),
        };
        view.set_cursor_from_name(guests.then_some("none"));
    }

    /// The user pressed the release key: the focus leaves too, so that the window's shortcuts
    /// and Tab work.
    pub(super) fn release(&self) {
        self.ungrab();
        let view = self.obj();
        if let Some(root) = view.root() {
            root.set_focus(None::<&gtk::Widget>);
        }
        view.emit_by_name::<()>("released", &[]);
    }

    /// Tells the guest that nothing is held any more.
    fn release_input(&self) {
        let keys = self.keyboard.borrow_mut().release_all();
        let pointer = self.pointer.borrow_mut().release_all();
        if !keys.is_empty() {
            self.send(Command::Keys(keys));
        }
        if let Some(event) = pointer {
            self.send(Command::Pointer(event));
        }
    }

    /// The keyboard is the display's.
    pub(super) fn got_focus(&self) {
        let view = self.obj();
        if let Some(root) = view.root()
            && self.grab.keys.borrow().is_none()
        {
            // A controller added later is asked earlier: before the window's own, and those of
            // the application's shortcuts.
            let keys = self.key_controller();
            root.add_controller(keys.clone());
            if let Some(window) = root.downcast_ref::<gtk::Window>() {
                let weak = view.downgrade();
                let handler = window.connect_is_active_notify(move |window| {
                    if let Some(view) = weak.upgrade().filter(|_| !window.is_active()) {
                        view.imp().ungrab();
                    }
                });
                self.grab.active.replace(Some((window.clone(), handler)));
            }
            self.grab.keys.replace(Some((keys, root)));
        }
    }

    /// The keyboard is somebody else's.
    pub(super) fn lost_focus(&self) {
        self.ungrab();
        if let Some((keys, root)) = self.grab.keys.take() {
            root.remove_controller(&keys);
        }
        if let Some((window, handler)) = self.grab.active.take() {
            window.disconnect(handler);
        }
    }

    fn toplevel(&self) -> Option<gdk::Toplevel> {
        self.obj().native().and_then(|native| native.surface()).and_downcast()
    }
}
