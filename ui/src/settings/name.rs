//! The name.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::{Definition, Name};

use super::context::Context;
use super::debounce::Debounce;

/// The row with the name.
pub(super) struct NameRow {
    row: adw::EntryRow,
    /// What was typed is kept in a moment.
    later: Debounce,
    /// Set while the text changes by itself.
    showing: Rc<Cell<bool>>,
}

impl NameRow {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let row = adw::EntryRow::new();
        row.set_title(&gettext("Name"));
        let (later, showing) = (Debounce::default(), Rc::new(Cell::new(false)));
        row.connect_changed(glib::clone!(
            #[strong]
            context,
            #[strong]
            later,
            #[strong]
            showing,
            move |row| {
                if showing.get() {
                    return;
                }
                later.cancel();
                let name = check(&row.text(), &context);
                show_validity(row, name.as_ref().err());
                if let Ok(name) = name {
                    let context = context.clone();
                    later.later(move || context.change(|definition| definition.name = name));
                }
            }
        ));
        row.connect_entry_activated(glib::clone!(
            #[strong]
            later,
            move |_| later.now()
        ));
        let focus = gtk::EventControllerFocus::new();
        focus.connect_leave(glib::clone!(
            #[strong]
            context,
            #[strong]
            later,
            move |_| {
                later.now();
                // What is wrong is forgotten, once the keyboard is elsewhere.
                context.refresh_soon();
            }
        ));
        row.add_controller(focus);
        Self { row, later, showing }
    }

    pub(super) fn widget(&self) -> &adw::EntryRow {
        &self.row
    }

    pub(super) fn show(&self, definition: &Definition) {
        let typing = has_focus(&self.row) && self.row.has_css_class("error");
        if self.later.is_waiting() || typing || self.row.text() == definition.name.as_str() {
            return;
        }
        self.showing.set(true);
        self.row.set_text(definition.name.as_str());
        self.showing.set(false);
        show_validity(&self.row, None);
    }

    pub(super) fn flush(&self) {
        self.later.now();
    }
}

/// Whether the keyboard is in the widget.
pub(super) fn has_focus(widget: &impl IsA<gtk::Widget>) -> bool {
    widget.state_flags().contains(gtk::StateFlags::FOCUS_WITHIN)
}

/// The row's title is where it says what is wrong: right above the text, and read with it.
fn show_validity(row: &adw::EntryRow, complaint: Option<&String>) {
    match complaint {
        Some(complaint) => {
            row.set_title(&glib::markup_escape_text(complaint));
            row.add_css_class("error");
        }
        None => {
            row.set_title(&gettext("Name"));
            row.remove_css_class("error");
        }
    }
    row.upcast_ref::<gtk::Widget>().update_state(&[gtk::accessible::State::Invalid(
        match complaint {
            Some(_) => gtk::AccessibleInvalidState::True,
            None => gtk::AccessibleInvalidState::False,
        },
    )]);
}

fn check(text: &str, context: &Context) -> Result<Name, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(gettext("Write a name."));
    }
    let name: Name =
        text.parse().map_err(|error| crate::backend::Failure::from_error(&error).message)?;
    if context.machines.is_taken(name.as_str(), Some(&context.vm)) {
        return Err(gettext("Another machine has this name already."));
    }
    Ok(name)
}
