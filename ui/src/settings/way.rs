//! What the network card is connected to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::Network;
use vmm_core::net::TapName;

use super::context::Context;

/// The row with what the card is connected to. Nobody sees it who has no choice.
pub(super) struct WayRow {
    context: Rc<Context>,
    row: adw::ComboRow,
    /// What can be chosen after this computer's own network.
    taps: Rc<RefCell<Vec<TapName>>>,
    showing: Rc<Cell<bool>>,
}

impl WayRow {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let row = adw::ComboRow::builder()
            .title(gettext("Connected _Through"))
            .use_underline(true)
            .build();
        let (taps, showing) = (Rc::<RefCell<Vec<TapName>>>::default(), Rc::new(Cell::new(false)));
        row.connect_selected_notify(glib::clone!(
            #[strong]
            context,
            #[strong]
            taps,
            #[strong]
            showing,
            move |row| {
                if showing.get() {
                    return;
                }
                let chosen = (row.selected() as usize).checked_sub(1);
                let tap = chosen.and_then(|index| taps.borrow().get(index).cloned());
                context.change(move |definition| {
                    definition.network.get_or_insert_default().tap = tap;
                });
            }
        ));
        Self { context: context.clone(), row, taps, showing }
    }

    pub(super) fn widget(&self) -> &adw::ComboRow {
        &self.row
    }

    pub(super) fn show(&self, network: Option<&Network>) {
        let mut taps = self.context.machines.backend().tap_devices();
        let used = network.and_then(|network| network.tap.as_ref());
        // One that is gone for now is still what the machine asks for.
        if let Some(used) = used.filter(|used| !taps.contains(used)) {
            taps.push(used.clone());
        }
        self.showing.set(true);
        if self.row.model().is_none() || *self.taps.borrow() != taps {
            let names: Vec<_> =
                std::iter::once(gettext("This Computer"))
                    .chain(taps.iter().map(|tap| {
                        gettext("TAP Device {name}").replace("{name}", &tap.to_string())
                    }))
                    .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            self.row.set_model(Some(&gtk::StringList::new(&names)));
        }
        let chosen = taps.iter().position(|tap| Some(tap) == used).map_or(0, |index| index + 1);
        self.row.set_selected(chosen as u32);
        self.row.set_visible(network.is_some_and(|network| network.enabled) && !taps.is_empty());
        self.taps.replace(taps);
        self.showing.set(false);
    }
}
