//! Pages that cost nothing until somebody looks at them.
//!
//! A machine's settings alone are some hundred widgets: made with the window, they would keep a
//! person waiting for what they did not ask for.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use adw::prelude::*;

type Make = Box<dyn FnOnce() -> gtk::Widget>;

/// The place of a page that is made when it is first seen, or before when it is needed.
pub(super) struct Later {
    place: adw::Bin,
    make: Rc<Cell<Option<Make>>>,
}

impl Later {
    /// A place for what `make` makes.
    pub(super) fn new(make: impl FnOnce() -> gtk::Widget + 'static) -> Self {
        let place = adw::Bin::new();
        let make: Rc<Cell<Option<Make>>> = Rc::new(Cell::new(Some(Box::new(make))));
        place.connect_map({
            let make = make.clone();
            move |place| fill(place, &make)
        });
        Self { place, make }
    }

    /// The place.
    pub(super) fn widget(&self) -> &gtk::Widget {
        self.place.upcast_ref()
    }

    /// This place, for as long as it is somewhere.
    pub(super) fn downgrade(&self) -> WeakLater {
        WeakLater { place: self.place.downgrade(), make: Rc::downgrade(&self.make) }
    }
}

/// A [`Later`] that may be gone.
pub(super) struct WeakLater {
    place: gtk::glib::WeakRef<adw::Bin>,
    make: Weak<Cell<Option<Make>>>,
}

impl WeakLater {
    /// Makes the page now, unless it was made before.
    pub(super) fn make(&self) {
        if let (Some(place), Some(make)) = (self.place.upgrade(), self.make.upgrade()) {
            fill(&place, &make);
        }
    }
}

fn fill(place: &adw::Bin, make: &Cell<Option<Make>>) {
    if let Some(make) = make.take() {
        place.set_child(Some(&make()));
    }
}
