//! The firmware.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::{Definition, Firmware};

use super::context::Context;

/// In the order of the list.
const ALL: [Firmware; 2] = [Firmware::Uefi, Firmware::Bios];

/// The row with the firmware.
pub(super) struct FirmwareRow {
    row: adw::ComboRow,
    showing: Rc<Cell<bool>>,
}

impl FirmwareRow {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let row = adw::ComboRow::builder()
            .title(gettext("_Firmware"))
            .subtitle(gettext(
                "A system that is installed starts only with the one it was installed with",
            ))
            .use_underline(true)
            .model(&gtk::StringList::new(&["UEFI", "BIOS"]))
            .build();
        let showing = Rc::new(Cell::new(false));
        row.connect_selected_notify(glib::clone!(
            #[strong]
            context,
            #[strong]
            showing,
            move |row| {
                if !showing.get()
                    && let Some(firmware) = ALL.get(row.selected() as usize)
                {
                    context.change(|definition| definition.firmware = *firmware);
                }
            }
        ));
        Self { row, showing }
    }

    pub(super) fn widget(&self) -> &adw::ComboRow {
        &self.row
    }

    pub(super) fn show(&self, definition: &Definition) {
        let position = ALL.iter().position(|firmware| *firmware == definition.firmware);
        self.showing.set(true);
        self.row.set_selected(position.unwrap_or_default() as u32);
        self.showing.set(false);
    }
}
