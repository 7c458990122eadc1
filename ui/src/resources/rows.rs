//! A machine's row in the overview.

use std::cell::RefCell;

use gtk::glib;
use gtk::prelude::*;

use super::history::History;
use super::overview::Overviewed;
use super::quantity::Quantity;
use super::readout::Readout;
use super::sparkline::Sparkline;

/// Size of a row's charts, in pixels.
const CHART: (i32, i32) = (110, 32);

/// A machine's row: its name and state, and for each quantity a small chart with its value.
pub(super) struct Row {
    root: gtk::Box,
    name: gtk::Label,
    state: gtk::Label,
    cells: [(Quantity, Sparkline, Readout, gtk::Box); 2],
    history: RefCell<Option<(History, Vec<glib::SignalHandlerId>)>>,
}

impl Row {
    /// A row of nothing, until [`Self::show`].
    pub(super) fn new() -> Self {
        let root = gtk::Box::new(gtk::Orientation::Horizontal, 18);
        root.set_margin_top(10);
        root.set_margin_bottom(10);
        root.set_margin_start(16);
        root.set_margin_end(16);
        let names = gtk::Box::new(gtk::Orientation::Vertical, 2);
        names.set_hexpand(true);
        names.set_valign(gtk::Align::Center);
        let label = || {
            let label = gtk::Label::builder().xalign(0.0).build();
            label.set_ellipsize(gtk::pango::EllipsizeMode::End);
            label
        };
        let (name, state) = (label(), label());
        state.add_css_class("caption");
        state.add_css_class("dimmed");
        names.append(&name);
        names.append(&state);
        root.append(&names);
        let cells =
            [(Quantity::Cpu, "100 %"), (Quantity::Memory, "8888 MiB")].map(|(quantity, widest)| {
                let chart = Sparkline::new(quantity);
                chart.set_size_request(CHART.0, CHART.1);
                chart.set_valign(gtk::Align::Center);
                let value = Readout::new(widest, 1.0);
                let what = gtk::Label::builder().label(quantity.short()).xalign(1.0).build();
                what.add_css_class("caption");
                what.add_css_class("dimmed");
                let words = gtk::Box::new(gtk::Orientation::Vertical, 2);
                words.set_valign(gtk::Align::Center);
                words.append(&value);
                words.append(&what);
                let cell = gtk::Box::new(gtk::Orientation::Horizontal, 10);
                cell.append(&chart);
                cell.append(&words);
                root.append(&cell);
                (quantity, chart, value, cell)
            });
        Self { root, name, state, cells, history: RefCell::default() }
    }

    /// The widget.
    pub(super) fn widget(&self) -> &gtk::Box {
        &self.root
    }

    /// The charts in it.
    pub(super) fn charts(&self) -> impl Iterator<Item = &Sparkline> {
        self.cells.iter().map(|(_, chart, ..)| chart)
    }

    /// Shows `machine`.
    pub(super) fn show(self: &std::rc::Rc<Self>, machine: &Overviewed) {
        self.name.set_text(&machine.name);
        self.state.set_text(&machine.state);
        let known = self.history.borrow().as_ref().map(|(history, _)| history.clone());
        if known.as_ref() != Some(&machine.history) {
            self.watch(&machine.history);
        }
        self.refresh();
    }

    fn watch(self: &std::rc::Rc<Self>, history: &History) {
        self.unwatch();
        for (_, chart, ..) in &self.cells {
            chart.set_history(Some(history));
        }
        let refresh = |this: &std::rc::Weak<Self>| {
            if let Some(this) = this.upgrade() {
                this.refresh();
            }
        };
        let weak = std::rc::Rc::downgrade;
        let (first, second, third) = (weak(self), weak(self), weak(self));
        self.root.connect_map(move |_| refresh(&first));
        let handlers = vec![
            history.connect_recorded(move |_| refresh(&second)),
            history.connect_state(move |_| refresh(&third)),
        ];
        self.history.replace(Some((history.clone(), handlers)));
    }

    fn unwatch(&self) {
        if let Some((history, handlers)) = self.history.take() {
            handlers.into_iter().for_each(|handler| history.disconnect(handler));
        }
    }

    /// Says the newest values.
    fn refresh(&self) {
        if !self.root.is_mapped() {
            return;
        }
        let history = self.history.borrow();
        let Some((history, _)) = &*history else { return };
        let record = history.borrow();
        let newest = record.len().checked_sub(1).filter(|_| history.is_live());
        for (quantity, _, value, cell) in &self.cells {
            let values = newest.and_then(|index| quantity.values(&record, index));
            value.set_text(&values.map_or_else(String::new, |values| quantity.text(values[0])));
            // What was is told by the machine's own page.
            cell.set_opacity(if history.is_live() { 1.0 } else { 0.0 });
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.unwatch();
    }
}
