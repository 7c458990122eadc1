//! Looking at the guest's screen: when, and what follows from what is seen.
//!
//! A look either is due at the next frame of the widget's clock or after a while, never both; none
//! is due while the widget is not mapped or shows no display.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib};
use vmm_core::display::Mode;

use super::super::pace::{Next, Pace};
use super::super::picture::Change;
use super::imp::DisplayView;

/// Between two readings of a text mode for screen readers.
const READING: Duration = Duration::from_secs(1);
/// Characters of a text mode read out at most: more than the largest mode in use, 132x60, has.
const MAX_TEXT: usize = 8192;

/// What is due.
#[derive(Default)]
pub(super) struct Follow {
    pace: Cell<Pace>,
    tick: RefCell<Option<gtk::TickCallbackId>>,
    timer: RefCell<Option<glib::SourceId>>,
    reading: RefCell<Option<glib::SourceId>>,
    text: RefCell<String>,
}

impl DisplayView {
    /// Looks now, and from now on, if the widget is seen.
    pub(super) fn resume_following(&self) {
        if self.obj().is_mapped() && self.attachment.borrow().is_some() {
            self.look();
            self.schedule();
        }
    }

    /// No look is due any more.
    pub(super) fn stop_following(&self) {
        if let Some(tick) = self.follow.tick.take() {
            tick.remove();
        }
        for source in [&self.follow.timer, &self.follow.reading] {
            if let Some(source) = source.take() {
                source.remove();
            }
        }
    }

    /// The guest was given something to react to: looks again soon.
    pub(super) fn expect_change(&self) {
        let mut pace = self.follow.pace.get();
        pace.input(Instant::now());
        self.follow.pace.set(pace);
        if self.follow.timer.borrow().is_some() {
            self.schedule();
        }
    }

    /// Looks at the screen.
    pub(super) fn look(&self) {
        let found = {
            let attachment = self.attachment.borrow();
            let Some(attachment) = attachment.as_ref() else { return };
            let change = self.picture.borrow_mut().refresh(attachment.display.as_ref());
            (change != Change::None).then(|| (change, attachment.display.mode()))
        };
        let Some((change, mode)) = found else { return };
        let mut pace = self.follow.pace.get();
        pace.changed(Instant::now());
        self.follow.pace.set(pace);
        self.fresh.set(true);
        let view = self.obj();
        view.queue_draw();
        if change == Change::Size {
            let (width, height) = self.picture.borrow().size();
            let _guard = view.freeze_notify();
            if self.guest_width.replace(width) != width {
                view.notify_guest_width();
            }
            if self.guest_height.replace(height) != height {
                view.notify_guest_height();
            }
            view.queue_resize();
        }
        self.set_mode(Some(mode));
        self.read_soon(mode);
    }

    fn set_mode(&self, mode: Option<Mode>) {
        if self.mode.replace(mode) != mode {
            self.obj().emit_by_name::<()>("mode-changed", &[]);
        }
    }

    /// There is no display any more.
    pub(super) fn forget_mode(&self) {
        self.set_mode(None);
        self.describe("");
    }

    /// Arranges the next look.
    fn schedule(&self) {
        let next = self.follow.pace.get().next(Instant::now(), self.obj().running());
        if let Some(timer) = self.follow.timer.take() {
            timer.remove();
        }
        match next {
            Next::Frame => self.look_at_frames(),
            Next::After(time) => {
                if let Some(tick) = self.follow.tick.take() {
                    tick.remove();
                }
                self.look_after(time);
            }
        }
    }

    fn look_at_frames(&self) {
        if self.follow.tick.borrow().is_some() {
            return;
        }
        let tick = self.obj().add_tick_callback(|view, _| {
            let view = view.imp();
            view.look();
            match view.follow.pace.get().next(Instant::now(), view.obj().running()) {
                Next::Frame => glib::ControlFlow::Continue,
                Next::After(time) => {
                    // Returning `Break` removes it.
                    view.follow.tick.take();
                    view.look_after(time);
                    glib::ControlFlow::Break
                }
            }
        });
        self.follow.tick.replace(Some(tick));
    }

    fn look_after(&self, time: Duration) {
        let weak = self.obj().downgrade();
        let timer = glib::timeout_add_local_once(time, move || {
            let Some(view) = weak.upgrade() else { return };
            let view = view.imp();
            view.follow.timer.take();
            // Nobody sees a window that is minimized or covered: no need to keep it up to date.
            if !view.is_suspended() {
                view.look();
            }
            view.schedule();
        });
        self.follow.timer.replace(Some(timer));
    }

    fn is_suspended(&self) -> bool {
        let surface = self.obj().native().and_then(|native| native.surface());
        surface
            .and_downcast::<gdk::Toplevel>()
            .is_some_and(|toplevel| toplevel.state().contains(gdk::ToplevelState::SUSPENDED))
    }

    /// Has the text of a text mode told to screen readers within [`READING`].
    fn read_soon(&self, mode: Mode) {
        if !matches!(mode, Mode::Text { .. }) {
            self.describe("");
        } else if self.follow.reading.borrow().is_none() {
            let weak = self.obj().downgrade();
            let reading = glib::timeout_add_local_once(READING, move || {
                let Some(view) = weak.upgrade() else { return };
                let view = view.imp();
                view.follow.reading.take();
                let text = match view.attachment.borrow().as_ref() {
                    Some(attachment) => attachment.display.text().unwrap_or_default(),
                    None => String::new(),
                };
                view.describe(&text);
            });
            self.follow.reading.replace(Some(reading));
        }
    }

    /// Sets what screen readers say of the picture.
    fn describe(&self, text: &str) {
        let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
        let text = text[..end].trim_end();
        if self.follow.text.replace(text.to_owned()) == text {
            return;
        }
        if text.is_empty() {
            self.obj().reset_property(gtk::AccessibleProperty::Description);
            return;
        }
        // A string for C ends at the first NUL, of which a guest may have written many.
        let text = text.replace('\0', " ");
        self.obj().update_property(&[gtk::accessible::Property::Description(&text)]);
    }
}
