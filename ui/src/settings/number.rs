//! Memory and processors: a number with buttons beside it, checked as it is typed.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::{gettext, npgettext};
use gtk::glib;
use vmm_core::definition::{Definition, MAX_CPUS, MIN_MEMORY};
use vmm_core::units::Bytes;

use super::context::Context;
use super::debounce::Debounce;
use super::name::has_focus;
use crate::wizard::size;

/// One step of the buttons beside the memory.
const MEMORY_STEP: f64 = 256.0;

/// What the number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Memory; the row's value is in MiB.
    Memory,
    /// Processors.
    Cpus,
}

/// A row with a number.
pub(super) struct NumberRow {
    row: adw::SpinRow,
    kind: Kind,
    context: Rc<Context>,
    later: Debounce,
    showing: Rc<Cell<bool>>,
}

impl NumberRow {
    pub(super) fn memory(context: &Rc<Context>) -> Self {
        let host = context.machines.backend().host().memory.0 >> 20;
        let row = adw::SpinRow::with_range((MIN_MEMORY.0 >> 20) as f64, host as f64, MEMORY_STEP);
        row.set_title(&gettext("_Memory"));
        Self::new(context, row, Kind::Memory)
    }

    pub(super) fn cpus(context: &Rc<Context>) -> Self {
        let host = context.machines.backend().host().cpus.min(MAX_CPUS);
        let row = adw::SpinRow::with_range(1.0, f64::from(host), 1.0);
        row.set_title(&gettext("_Processors"));
        Self::new(context, row, Kind::Cpus)
    }

    fn new(context: &Rc<Context>, row: adw::SpinRow, kind: Kind) -> Self {
        row.set_use_underline(true);
        // “2 GiB” is one, too.
        row.set_numeric(false);
        row.set_update_policy(gtk::SpinButtonUpdatePolicy::IfValid);
        let (later, showing) = (Debounce::default(), Rc::new(Cell::new(false)));
        row.connect_input(move |row| Some(kind.read(&row.text()).ok_or(())));
        row.connect_output(move |row| {
            let text = kind.text(row.value());
            if row.text() != text {
                row.set_text(&text);
            }
            true
        });
        row.connect_changed(glib::clone!(
            #[strong]
            context,
            #[strong]
            later,
            #[strong]
            showing,
            move |row| {
                let value = kind.read(&row.text());
                let complaint = kind.complaint(value, row);
                show_remark(row, complaint.as_deref(), &kind.hint(value, &context));
                if showing.get() {
                    return;
                }
                later.cancel();
                if let (Some(value), None) = (value, complaint) {
                    let context = context.clone();
                    later.later(move || {
                        context.change(move |definition| kind.set(definition, value))
                    });
                }
            }
        ));
        let focus = gtk::EventControllerFocus::new();
        focus.connect_leave(glib::clone!(
            #[strong]
            context,
            #[strong]
            later,
            move |_| {
                later.now();
                context.refresh_soon();
            }
        ));
        row.add_controller(focus);
        Self { row, kind, context: context.clone(), later, showing }
    }

    pub(super) fn widget(&self) -> &adw::SpinRow {
        &self.row
    }

    pub(super) fn show(&self, definition: &Definition) {
        let typing = has_focus(&self.row) && self.row.has_css_class("error");
        if self.later.is_waiting() || typing {
            return;
        }
        let value = self.kind.get(definition);
        self.showing.set(true);
        // A machine may come from a larger host.
        let adjustment = self.row.adjustment();
        adjustment.set_upper(adjustment.upper().max(value));
        self.row.set_value(value);
        self.row.set_text(&self.kind.text(value));
        show_remark(&self.row, None, &self.kind.hint(Some(value), &self.context));
        self.showing.set(false);
    }

    pub(super) fn flush(&self) {
        self.later.now();
    }
}

impl Kind {
    fn get(self, definition: &Definition) -> f64 {
        match self {
            Self::Memory => (definition.memory.0 >> 20) as f64,
            Self::Cpus => f64::from(definition.cpus),
        }
    }

    fn set(self, definition: &mut Definition, value: f64) {
        match self {
            Self::Memory => definition.memory = Bytes::mib(value as u64),
            Self::Cpus => definition.cpus = value as u32,
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Memory => size::text(Bytes::mib(value as u64)),
            Self::Cpus => format!("{value:.0}"),
        }
    }

    fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Memory => size::parse(text, Bytes::gib(1)).map(|bytes| (bytes.0 >> 20) as f64),
            Self::Cpus => text.trim().parse::<u32>().ok().map(f64::from),
        }
    }

    /// What is wrong with what was typed.
    fn complaint(self, value: Option<f64>, row: &adw::SpinRow) -> Option<String> {
        let (least, most) = (row.adjustment().lower(), row.adjustment().upper());
        match value {
            None if self == Self::Memory => Some(gettext("Write a size, such as 2 GiB.")),
            None => Some(gettext("Write a number.")),
            Some(value) if value < least => {
                Some(gettext("It needs at least {n}.").replace("{n}", &self.text(least)))
            }
            Some(value) if value > most => {
                let text = match self {
                    Self::Memory => gettext("This computer has {n}; a machine cannot have more."),
                    Self::Cpus => npgettext(
                        "processors",
                        "This computer has {n}; a machine cannot have more.",
                        "This computer has {n}; a machine cannot have more.",
                        most as u32,
                    ),
                };
                Some(text.replace("{n}", &self.text(most)))
            }
            Some(_) => None,
        }
    }

    /// What is good to know.
    fn hint(self, value: Option<f64>, context: &Context) -> String {
        let host = context.machines.backend().host();
        match self {
            Self::Memory => {
                let own = context.vm.started_with().map_or(Bytes(0), |started| started.memory);
                let others = context.machines.memory_in_use().0.saturating_sub(own.0);
                let wanted = Bytes::mib(value.unwrap_or(0.0) as u64).0;
                let text = if wanted.saturating_add(others) > host.memory.0 {
                    gettext(
                        "With the machines that run, this is more than the {n} of this computer.",
                    )
                } else {
                    gettext("This computer has {n}.")
                };
                text.replace("{n}", &size::text(Bytes(host.memory.0 >> 20 << 20)))
            }
            Self::Cpus => npgettext(
                "processors",
                "This computer has {n}.",
                "This computer has {n}.",
                host.cpus,
            )
            .replace("{n}", &host.cpus.to_string()),
        }
    }
}

/// Says below the title what is wrong, or else what is good to know.
fn show_remark(row: &adw::SpinRow, complaint: Option<&str>, hint: &str) {
    row.set_subtitle(&glib::markup_escape_text(complaint.unwrap_or(hint)));
    let invalid = match complaint {
        Some(_) => {
            row.add_css_class("error");
            gtk::AccessibleInvalidState::True
        }
        None => {
            row.remove_css_class("error");
            gtk::AccessibleInvalidState::False
        }
    };
    row.upcast_ref::<gtk::Widget>().update_state(&[gtk::accessible::State::Invalid(invalid)]);
}
