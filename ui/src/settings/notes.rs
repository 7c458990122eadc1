//! Whatever its owner wants to remember.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::Definition;

use super::context::Context;
use super::debounce::Debounce;

/// The most characters that are kept: a definition is read whole whenever machines are listed.
const MAX: usize = 20_000;

/// The group with the notes.
pub(super) struct Notes {
    group: adw::PreferencesGroup,
    buffer: gtk::TextBuffer,
    later: Debounce,
    showing: Rc<Cell<bool>>,
}

impl Notes {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let view = gtk::TextView::builder()
            .wrap_mode(gtk::WrapMode::WordChar)
            .accepts_tab(false)
            .left_margin(12)
            .right_margin(12)
            .top_margin(12)
            .bottom_margin(12)
            .height_request(96)
            .css_classes(["berth-notes"])
            .build();
        view.update_property(&[gtk::accessible::Property::Label(&gettext("Notes"))]);
        let frame = adw::Bin::builder()
            .child(&view)
            .overflow(gtk::Overflow::Hidden)
            .css_classes(["card"])
            .build();
        let complaint = gtk::Label::builder()
            .label(gettext("This is too long to be kept; shorten it."))
            .xalign(0.0)
            .margin_top(6)
            .css_classes(["error", "caption"])
            .visible(false)
            .build();
        let group = adw::PreferencesGroup::builder().title(gettext("Notes")).build();
        group.add(&frame);
        group.add(&complaint);
        let buffer = view.buffer();
        let (later, showing) = (Debounce::default(), Rc::new(Cell::new(false)));
        buffer.connect_changed(glib::clone!(
            #[strong]
            context,
            #[strong]
            later,
            #[strong]
            showing,
            move |buffer| {
                later.cancel();
                let long = buffer.char_count() as usize > MAX;
                complaint.set_visible(long);
                if showing.get() || long {
                    return;
                }
                let (start, end) = buffer.bounds();
                // A character that TOML cannot hold comes from a clipboard only.
                let notes = buffer.text(&start, &end, false).replace('\u{fffc}', "");
                let context = context.clone();
                later.later(move || context.change(|definition| definition.notes = notes));
            }
        ));
        let focus = gtk::EventControllerFocus::new();
        focus.connect_leave(glib::clone!(
            #[strong]
            later,
            move |_| later.now()
        ));
        view.add_controller(focus);
        Self { group, buffer, later, showing }
    }

    pub(super) fn widget(&self) -> &adw::PreferencesGroup {
        &self.group
    }

    pub(super) fn show(&self, definition: &Definition) {
        let (start, end) = self.buffer.bounds();
        let same = self.buffer.text(&start, &end, false) == definition.notes;
        if self.later.is_waiting() || same || self.buffer.char_count() as usize > MAX {
            return;
        }
        self.showing.set(true);
        self.buffer.set_text(&definition.notes);
        self.showing.set(false);
    }

    pub(super) fn flush(&self) {
        self.later.now();
    }
}
