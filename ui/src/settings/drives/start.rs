//! Which drive is tried first.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use gettextrs::gettext;
use gtk::glib;
use vmm_core::definition::Definition;

use super::titles;
use crate::settings::context::Context;

/// The row that says which drive is tried before all others.
pub(super) struct StartRow {
    row: adw::ComboRow,
    names: RefCell<Vec<String>>,
    showing: Rc<Cell<bool>>,
}

impl StartRow {
    pub(super) fn new(context: &Rc<Context>) -> Self {
        let row = adw::ComboRow::builder()
            .title(gettext("_Start From"))
            .subtitle(gettext("Tried before the others"))
            .use_underline(true)
            .build();
        let showing = Rc::new(Cell::new(false));
        row.connect_selected_notify(glib::clone!(
            #[strong]
            context,
            #[strong]
            showing,
            move |row| {
                if !showing.get() {
                    let first = (row.selected() as usize).checked_sub(1);
                    context.change(move |definition| definition.boot_first = first);
                }
            }
        ));
        Self { row, names: RefCell::default(), showing }
    }

    pub(super) fn widget(&self) -> &adw::ComboRow {
        &self.row
    }

    pub(super) fn show(&self, definition: &Definition) {
        let mut names = vec![gettext("In This Order")];
        names.extend(titles(&definition.drives));
        self.showing.set(true);
        if *self.names.borrow() != names {
            let labels: Vec<_> = names.iter().map(String::as_str).collect();
            self.row.set_model(Some(&gtk::StringList::new(&labels)));
            self.names.replace(names);
        }
        let selected = definition.boot_first.map_or(0, |first| first + 1);
        self.row.set_selected(selected as u32);
        self.row.set_visible(definition.drives.len() > 1);
        self.showing.set(false);
    }
}
