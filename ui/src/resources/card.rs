//! A chart with its title and its newest values.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gettextrs::{gettext, ngettext};
use gtk::glib;
use gtk::prelude::*;

use super::chart::{Chart, Timeline};
use super::quantity::Quantity;
use super::readout::{Readout, Swatch};
use super::record::Record;
use super::units;

/// Natural width of a card, in pixels: two fit beside each other in a usual window.
const WIDTH: i32 = 400;

/// A chart with its title and its newest values.
pub(super) struct Card {
    root: gtk::Box,
    chart: Chart,
    quantity: Cell<Quantity>,
    /// The newest value, large.
    value: Readout,
    /// What belongs to it, small; for two series one each.
    details: Vec<Readout>,
    drives: gtk::DropDown,
    drive_names: RefCell<Vec<String>>,
}

impl Card {
    /// The card of `quantity`; `title` replaces the quantity's own.
    pub(super) fn new(quantity: Quantity, title: Option<&str>, timeline: &Timeline) -> Rc<Self> {
        let root = gtk::Box::new(gtk::Orientation::Vertical, 6);
        root.add_css_class("card");
        let inner = gtk::Box::new(gtk::Orientation::Vertical, 6);
        inner.set_margin_top(10);
        inner.set_margin_bottom(12);
        inner.set_margin_start(16);
        inner.set_margin_end(16);
        root.set_size_request(260, -1);
        root.set_hexpand(true);

        let head = gtk::Box::new(gtk::Orientation::Horizontal, 12);
        // As high with a list of drives as without.
        head.set_size_request(-1, 34);
        let title = title.map_or_else(|| quantity.title(), Into::into);
        let label = gtk::Label::builder().label(&title).xalign(0.0).hexpand(true).build();
        label.set_ellipsize(gtk::pango::EllipsizeMode::End);
        label.add_css_class("heading");
        let value = Readout::new("8888 MB/s", 1.0);
        value.add_css_class("title-3");
        value.set_valign(gtk::Align::Center);
        // Of two series, both values stand in the legend.
        value.set_visible(quantity.series() == 1);
        let drives = gtk::DropDown::builder().visible(false).build();
        drives.set_valign(gtk::Align::Center);
        drives.update_property(&[gtk::accessible::Property::Label(&gettext("Drive shown"))]);
        head.append(&label);
        head.append(&drives);
        head.append(&value);

        let chart = Chart::new(quantity, timeline);
        chart.update_property(&[gtk::accessible::Property::Label(&title)]);
        chart.set_vexpand(true);
        chart.set_size_request(WIDTH - 40, -1);
        let foot = gtk::Box::new(gtk::Orientation::Horizontal, 18);
        let mut details = Vec::new();
        for series in 0..quantity.series() {
            let pair = gtk::Box::new(gtk::Orientation::Horizontal, 6);
            let detail = match quantity.series_names() {
                Some([first, second]) => {
                    pair.append(&Swatch::new(series));
                    let name = if first.len() > second.len() { first } else { second };
                    Readout::new(&format!("{name} 8888 MB/s"), 0.0)
                }
                None => {
                    let widest = gettext("88 processors · 8.8 % of the host");
                    Readout::new(&widest, 0.0)
                }
            };
            detail.add_css_class("caption");
            detail.add_css_class("dimmed");
            pair.append(&detail);
            foot.append(&pair);
            details.push(detail);
        }
        inner.append(&head);
        inner.append(&foot);
        inner.append(&chart);
        root.append(&inner);
        let card = Rc::new(Self {
            root,
            chart,
            quantity: Cell::new(quantity),
            value,
            details,
            drives,
            drive_names: RefCell::default(),
        });
        let this = Rc::downgrade(&card);
        card.drives.connect_selected_notify(move |drives| {
            if let Some(this) = this.upgrade() {
                this.show_drive(drives.selected());
            }
        });
        let this = Rc::downgrade(&card);
        timeline.connect_moved(move |timeline| {
            if let Some(this) = this.upgrade() {
                this.refresh(timeline);
            }
        });
        let timeline = glib::object::ObjectExt::downgrade(timeline);
        let this = Rc::downgrade(&card);
        card.root.connect_map(move |_| {
            if let (Some(this), Some(timeline)) = (this.upgrade(), timeline.upgrade()) {
                this.refresh(&timeline);
            }
        });
        card
    }

    /// The widget.
    pub(super) fn widget(&self) -> &gtk::Box {
        &self.root
    }

    /// The chart in it.
    pub(super) fn chart(&self) -> &Chart {
        &self.chart
    }

    /// Lets the person choose one of these drives, if there are several.
    pub(super) fn set_drives(&self, names: Vec<String>) {
        if *self.drive_names.borrow() == names {
            return;
        }
        let all = gettext("All drives");
        let texts: Vec<&str> =
            std::iter::once(all.as_str()).chain(names.iter().map(String::as_str)).collect();
        self.drives.set_model(Some(&gtk::StringList::new(&texts)));
        self.drives.set_selected(0);
        self.drives.set_visible(names.len() > 1);
        self.drive_names.replace(names);
        self.show_drive(0);
    }

    /// Shows the drive at `place` in the list, behind “all” at 0.
    fn show_drive(&self, place: u32) {
        if !matches!(self.quantity.get(), Quantity::Disk | Quantity::Drive(_)) {
            return;
        }
        let quantity = match place.checked_sub(1) {
            Some(drive) if place != gtk::INVALID_LIST_POSITION => Quantity::Drive(drive as usize),
            _ => Quantity::Disk,
        };
        self.quantity.set(quantity);
        self.chart.set_quantity(quantity);
    }

    /// Says the newest values.
    fn refresh(&self, timeline: &Timeline) {
        if !self.root.is_mapped() {
            return;
        }
        let Some(history) = timeline.history() else { return };
        let record = history.borrow();
        let quantity = self.quantity.get();
        // Of what is over, there is no value now.
        let newest = record.len().checked_sub(1).filter(|_| history.is_live());
        let values = newest.and_then(|index| quantity.values(&record, index));
        let text = |value: f64| quantity.text(value);
        match quantity.series_names() {
            None => {
                self.value.set_text(&values.map_or_else(String::new, |values| text(values[0])));
                self.details[0].set_text(&detail(quantity, &record, newest));
            }
            Some(names) => {
                for ((readout, name), series) in self.details.iter().zip(names).zip(0..) {
                    let value = values.map_or_else(String::new, |values| text(values[series]));
                    readout.set_text(format!("{name} {value}").trim());
                }
            }
        }
    }
}

/// What the newest value is a part of.
fn detail(quantity: Quantity, record: &Record, newest: Option<usize>) -> String {
    let limits = record.limits();
    match quantity {
        Quantity::Memory if limits.memory.0 > 0 => {
            let point = newest.and_then(|index| record.get(index));
            let text = match point.filter(|point| point.guest.is_some()) {
                // Translators: of all memory of the machine; and what it takes from the host.
                Some(point) => gettext("of {size} · {resident} of the host")
                    .replace("{resident}", &units::size(point.resident.into())),
                None => gettext("of {size}"),
            };
            text.replace("{size}", &units::size(limits.memory.0 as f64))
        }
        Quantity::Cpu if limits.cpus > 0 => {
            let count = ngettext("{n} processor", "{n} processors", limits.cpus)
                .replace("{n}", &limits.cpus.to_string());
            let share = newest.and_then(|index| record.get(index)).map(|point| point.host_cpu);
            match share.filter(|_| limits.cpus != limits.host_cpus) {
                Some(share) => gettext("{processors} · {share} of the host")
                    .replace("{processors}", &count)
                    .replace("{share}", &units::percent(share.into())),
                None => count,
            }
        }
        _ => String::new(),
    }
}
