//! An amount that can be typed or pulled.

use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::{gdk, glib};

use super::model::Checked;
use super::page::plain_row;
use super::remark::RemarkLabel;
use super::size::{self, Doublings};
use crate::mnemonic::without_mnemonic;
use vmm_core::units::Bytes;

/// What is counted, and how it lies on the slider.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Bytes, each doubling as long as the last.
    Size,
    /// Things.
    Count,
}

/// Steps to a doubling of sizes; such that all can be written with two digits after the point.
const SIZES: Doublings = Doublings { notches: 4 };

impl Kind {
    fn position(self, amount: u64) -> f64 {
        match self {
            Self::Size => SIZES.position(amount),
            Self::Count => amount as f64,
        }
    }

    fn amount(self, position: f64) -> u64 {
        match self {
            Self::Size => SIZES.size(position),
            Self::Count => position.round() as u64,
        }
    }

    fn step(self) -> f64 {
        match self {
            Self::Size => 1.0 / f64::from(SIZES.notches),
            Self::Count => 1.0,
        }
    }

    fn text(self, amount: u64) -> String {
        match self {
            Self::Size => size::exact(Bytes(amount)),
            Self::Count => amount.to_string(),
        }
    }
}

/// A title, an entry, a slider below, and a sentence when there is something to say.
#[derive(Clone)]
pub(super) struct Amount {
    kind: Kind,
    range: (u64, u64),
    row: adw::PreferencesRow,
    entry: gtk::Entry,
    scale: gtk::Scale,
    pulled: Rc<glib::SignalHandlerId>,
    remark: RemarkLabel,
}

impl Amount {
    /// An amount of `range` called `title` (with a mnemonic); `told` is given each text typed.
    pub(super) fn new(
        title: &str,
        kind: Kind,
        range: (u64, u64),
        told: impl Fn(String) + 'static,
    ) -> Self {
        let entry = gtk::Entry::builder()
            .width_chars(10)
            .max_width_chars(10)
            .xalign(1.0)
            .activates_default(true)
            .build();
        let label = gtk::Label::builder()
            .label(title)
            .use_underline(true)
            .mnemonic_widget(&entry)
            .xalign(0.0)
            .hexpand(true)
            .build();
        let step = kind.step();
        let (low, high) = (kind.position(range.0), kind.position(range.1));
        let adjustment = gtk::Adjustment::new(low, low, high, step, step, 0.0);
        let scale = gtk::Scale::builder()
            .orientation(gtk::Orientation::Horizontal)
            .adjustment(&adjustment)
            .hexpand(true)
            // For the marks' labels, which are wider than the slider's end.
            .margin_start(18)
            .margin_end(18)
            .build();
        let name = without_mnemonic(title);
        scale.update_property(&[gtk::accessible::Property::Label(&name)]);
        let pulled = scale.connect_value_changed({
            let entry = entry.clone();
            move |scale| {
                let text = kind.text(kind.amount(scale.value()).clamp(range.0, range.1));
                scale.update_property(&[gtk::accessible::Property::ValueText(&text)]);
                entry.set_text(&text);
            }
        });
        entry.connect_changed(move |entry| told(entry.text().into()));
        entry.add_controller(arrows(&scale));
        let remark = RemarkLabel::new();
        let row = layout(&label, &entry, &scale, &remark);
        Self { kind, range, row, entry, scale, pulled: Rc::new(pulled), remark }
    }

    pub(super) fn widget(&self) -> &adw::PreferencesRow {
        &self.row
    }

    pub(super) fn entry(&self) -> &gtk::Entry {
        &self.entry
    }

    /// Replaces what was typed.
    pub(super) fn set_text(&self, text: &str) {
        if self.entry.text() != text {
            self.entry.set_text(text);
        }
    }

    /// Shows what is to be said about what was typed, and moves the slider to it.
    pub(super) fn show<T>(&self, checked: &Checked<T>, amount: impl Fn(&T) -> u64) {
        self.remark.show(checked.remark.as_ref());
        match &checked.value {
            Some(_) => self.entry.remove_css_class("error"),
            None => self.entry.add_css_class("error"),
        }
        self.entry.update_state(&[gtk::accessible::State::Invalid(match checked.value {
            Some(_) => gtk::AccessibleInvalidState::False,
            None => gtk::AccessibleInvalidState::True,
        })]);
        let Some(amount) = checked.value.as_ref().map(amount) else { return };
        let shown = self.kind.amount(self.scale.value()).clamp(self.range.0, self.range.1);
        if shown != amount {
            self.scale.block_signal(&self.pulled);
            self.scale.set_value(self.kind.position(amount));
            self.scale.unblock_signal(&self.pulled);
        }
        let text = self.kind.text(amount);
        self.scale.update_property(&[gtk::accessible::Property::ValueText(&text)]);
    }

    /// Marks what a system needs and runs well with: one above the slider and one below, so that
    /// they never meet.
    pub(super) fn set_marks(&self, minimum: Option<u64>, recommended: Option<u64>) {
        self.scale.clear_marks();
        let marks = [
            (
                minimum.filter(|_| minimum != recommended),
                gtk::PositionType::Top,
                gettext("Minimum"),
            ),
            (recommended, gtk::PositionType::Bottom, gettext("Recommended")),
        ];
        for (amount, side, label) in marks {
            // At the very beginning there is no less to be warned of.
            if let Some(amount) = amount.filter(|a| *a > self.range.0 && *a <= self.range.1) {
                let label = format!("<small>{}</small>", glib::markup_escape_text(&label));
                self.scale.add_mark(self.kind.position(amount), side, Some(&label));
            }
        }
    }
}

fn layout(
    label: &gtk::Label,
    entry: &gtk::Entry,
    scale: &gtk::Scale,
    remark: &RemarkLabel,
) -> adw::PreferencesRow {
    let head = gtk::Box::builder().spacing(12).build();
    head.append(label);
    head.append(entry);
    let content = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(6)
        .margin_top(10)
        .margin_bottom(10)
        .margin_start(12)
        .margin_end(12)
        .build();
    content.append(&head);
    content.append(scale);
    content.append(remark.widget());
    plain_row(&content)
}

/// The arrow keys in the entry move the slider.
fn arrows(scale: &gtk::Scale) -> gtk::EventControllerKey {
    let keys = gtk::EventControllerKey::new();
    let adjustment = scale.adjustment();
    keys.connect_key_pressed(move |_, key, _, _| {
        let by = match key {
            gdk::Key::Up | gdk::Key::KP_Up => adjustment.step_increment(),
            gdk::Key::Down | gdk::Key::KP_Down => -adjustment.step_increment(),
            _ => return glib::Propagation::Proceed,
        };
        adjustment.set_value(adjustment.value() + by);
        glib::Propagation::Stop
    });
    keys
}
