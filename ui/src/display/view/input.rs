//! Events of the keyboard and the pointer, turned into commands.

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib};
use vmm_core::machine::{Command, PointerEvent};

use super::super::keyboard::{Stroke, evdev_code};
use super::super::pointer::{PUSH, PointerMode, ScrollUnit, Seen};
use super::imp::DisplayView;

impl DisplayView {
    /// Adds the controllers that are always there.
    pub(super) fn listen(&self) {
        self.listen_to_focus();
        self.listen_to_motion();
        self.listen_to_buttons();
        self.listen_to_wheel();
    }

    /// Passes a command on.
    pub(super) fn send(&self, command: Command) {
        if let Some(commands) = self.commands() {
            // A machine that is over takes no input.
            let _ = commands.try_send(command);
            self.expect_change();
        }
    }

    fn send_pointer(&self, event: Option<PointerEvent>) {
        if let Some(event) = event {
            self.send(Command::Pointer(event));
        }
    }

    fn listen_to_focus(&self) {
        let focus = gtk::EventControllerFocus::new();
        let weak = self.obj().downgrade();
        focus.connect_enter(move |_| {
            if let Some(view) = weak.upgrade() {
                view.imp().got_focus();
            }
        });
        let weak = self.obj().downgrade();
        focus.connect_leave(move |_| {
            if let Some(view) = weak.upgrade() {
                view.imp().lost_focus();
            }
        });
        self.obj().add_controller(focus);
    }

    /// The controller for the window that takes keys while the display has the focus.
    pub(super) fn key_controller(&self) -> gtk::EventControllerKey {
        let keys = gtk::EventControllerKey::new();
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        let weak = self.obj().downgrade();
        keys.connect_key_pressed(move |_, _, hardware, _| match weak.upgrade() {
            Some(view) if view.has_focus() => view.imp().key(hardware, true),
            _ => glib::Propagation::Proceed,
        });
        let weak = self.obj().downgrade();
        keys.connect_key_released(move |_, _, hardware, _| {
            if let Some(view) = weak.upgrade() {
                view.imp().key(hardware, false);
            }
        });
        keys
    }

    /// A key with a hardware key code went down, maybe by repetition, or up.
    fn key(&self, hardware: u32, pressed: bool) -> glib::Propagation {
        let Some(code) = evdev_code(hardware) else { return glib::Propagation::Proceed };
        if self.attachment.borrow().is_none() {
            return glib::Propagation::Proceed;
        }
        let release_key = self.obj().release_key();
        let stroke = {
            let mut keyboard = self.keyboard.borrow_mut();
            if pressed { keyboard.press(code, release_key) } else { keyboard.release(code) }
        };
        match stroke {
            Stroke::Send(event) => self.send(Command::Keys(vec![event])),
            Stroke::Ignore => {}
            Stroke::Release => self.release(),
        }
        glib::Propagation::Stop
    }

    fn listen_to_motion(&self) {
        let motion = gtk::EventControllerMotion::new();
        for enters in [true, false] {
            let weak = self.obj().downgrade();
            let moved = move |_: &gtk::EventControllerMotion, x: f64, y: f64| {
                if let Some(view) = weak.upgrade() {
                    view.imp().motion(x, y);
                }
            };
            if enters {
                motion.connect_enter(moved);
            } else {
                motion.connect_motion(moved);
            }
        }
        let weak = self.obj().downgrade();
        motion.connect_leave(move |_| {
            if let Some(view) = weak.upgrade() {
                view.imp().pointer.borrow_mut().left();
                view.imp().pointed.take();
            }
        });
        self.obj().add_controller(motion);
    }

    fn motion(&self, x: f64, y: f64) {
        let Some(placement) = self.placement() else { return };
        match self.obj().pointer_mode() {
            PointerMode::Relative if self.grabbed.get() => {
                let moved = self.pointer.borrow_mut().motion(x, y, placement.logical_scale());
                self.send_pointer(moved);
                self.push_at_edge();
            }
            PointerMode::Relative => self.pointer.borrow_mut().seek(x, y),
            PointerMode::Absolute => {
                let (x, y) = placement.absolute_point(x, y);
                // GTK tells of the same place again, as after a click.
                if self.pointed.replace(Some((x, y))) != Some((x, y)) {
                    self.send(Command::PointAt { x, y });
                }
            }
        }
    }

    /// Pushes the guest's pointer on for as long as the user's is at an edge.
    fn push_at_edge(&self) {
        if self.edge().is_none() || self.grab.push.borrow().is_some() {
            return;
        }
        let push = self.obj().add_tick_callback(|view, _| {
            let imp = view.imp();
            let placement = imp.placement().filter(|_| imp.grabbed.get());
            let (Some(placement), Some(direction)) = (placement, imp.edge()) else {
                // Returning `Break` removes it.
                imp.grab.push.take();
                return glib::ControlFlow::Break;
            };
            let seen = imp.seen();
            let moved = imp.pointer.borrow_mut().push(&seen, placement.logical_scale());
            imp.send_pointer(moved);
            imp.scroll_towards(direction);
            glib::ControlFlow::Continue
        });
        self.grab.push.replace(Some(push));
    }

    fn edge(&self) -> Option<(f64, f64)> {
        let seen = self.seen();
        self.pointer.borrow().edge(&seen)
    }

    fn scrolled(&self) -> Option<gtk::ScrolledWindow> {
        self.obj().ancestor(gtk::ScrolledWindow::static_type()).and_downcast()
    }

    /// What is seen of the widget, which may be scrolled.
    fn seen(&self) -> Seen {
        let view = self.obj();
        let (right, bottom) = (f64::from(view.width()), f64::from(view.height()));
        let whole = Seen { left: 0.0, top: 0.0, right, bottom };
        let Some(bounds) = self.scrolled().and_then(|scrolled| scrolled.compute_bounds(&*view))
        else {
            return whole;
        };
        let (x, y) = (f64::from(bounds.x()), f64::from(bounds.y()));
        Seen {
            left: x.max(0.0),
            top: y.max(0.0),
            right: (x + f64::from(bounds.width())).min(right),
            bottom: (y + f64::from(bounds.height())).min(bottom),
        }
    }

    /// Scrolls to where the guest's pointer is pushed.
    fn scroll_towards(&self, (x, y): (f64, f64)) {
        let Some(scrolled) = self.scrolled() else { return };
        let scroll = |adjustment: gtk::Adjustment, by: f64| {
            let old = adjustment.value();
            adjustment.set_value(old + by * PUSH);
            adjustment.value() - old
        };
        let (x, y) = (scroll(scrolled.hadjustment(), x), scroll(scrolled.vadjustment(), y));
        // The widget moved, not the user's pointer.
        self.pointer.borrow_mut().scrolled(x, y);
    }

    /// Whether the pointer is the guest's at the moment.
    fn has_pointer(&self) -> bool {
        let attached = self.attachment.borrow().is_some();
        attached && (self.grabbed.get() || self.obj().pointer_mode() == PointerMode::Absolute)
    }

    fn listen_to_buttons(&self) {
        // A gesture follows one button at a time; a mouse has several held together.
        let buttons = gtk::EventControllerLegacy::new();
        let weak = self.obj().downgrade();
        buttons.connect_event(move |_, event| match weak.upgrade() {
            Some(view) => view.imp().button_event(event),
            None => glib::Propagation::Proceed,
        });
        self.obj().add_controller(buttons);
    }

    fn button_event(&self, event: &gdk::Event) -> glib::Propagation {
        let pressed = match event.event_type() {
            gdk::EventType::ButtonPress => true,
            gdk::EventType::ButtonRelease => false,
            _ => return glib::Propagation::Proceed,
        };
        let Some(button) = event.downcast_ref::<gdk::ButtonEvent>().map(|event| event.button())
        else {
            return glib::Propagation::Proceed;
        };
        if self.attachment.borrow().is_none() {
            return glib::Propagation::Proceed;
        }
        self.keyboard.borrow_mut().disarm();
        if !pressed {
            let changed = self.pointer.borrow_mut().release(button);
            self.send_pointer(changed);
        } else if self.has_pointer() {
            self.take_keyboard();
            let changed = self.pointer.borrow_mut().press(button);
            self.send_pointer(changed);
        } else {
            // This click is the user's, not the guest's.
            self.grab();
        }
        glib::Propagation::Stop
    }

    fn listen_to_wheel(&self) {
        let wheel = gtk::EventControllerScroll::new(gtk::EventControllerScrollFlags::VERTICAL);
        let weak = self.obj().downgrade();
        wheel.connect_scroll(move |wheel, _, by| {
            let Some(view) = weak.upgrade().filter(|view| view.imp().has_pointer()) else {
                return glib::Propagation::Proceed;
            };
            let unit = match wheel.unit() {
                gdk::ScrollUnit::Wheel => ScrollUnit::Clicks,
                _ => ScrollUnit::Pixels,
            };
            let turned = view.imp().pointer.borrow_mut().scroll(by, unit);
            view.imp().send_pointer(turned);
            glib::Propagation::Stop
        });
        self.obj().add_controller(wheel);
    }
}
