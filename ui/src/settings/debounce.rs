//! Doing something a moment after the last reason for it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use gtk::glib;

/// How long nobody types before what was typed is kept.
const PAUSE: Duration = Duration::from_millis(700);

type Deed = Box<dyn FnOnce()>;

/// One thing to be done in a moment. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Debounce(Rc<RefCell<Option<(glib::SourceId, Deed)>>>);

impl Debounce {
    /// Does `deed` in a moment, unless there is another one by then.
    pub(super) fn later(&self, deed: impl FnOnce() + 'static) {
        self.cancel();
        let weak = Rc::downgrade(&self.0);
        let source = glib::timeout_add_local_once(PAUSE, move || {
            let waiting = weak.upgrade().and_then(|waiting| waiting.take());
            if let Some((_, deed)) = waiting {
                deed();
            }
        });
        self.0.replace(Some((source, Box::new(deed))));
    }

    /// Does now what was to be done in a moment.
    pub(super) fn now(&self) {
        if let Some((source, deed)) = self.0.take() {
            source.remove();
            deed();
        }
    }

    /// Does nothing of it.
    pub(super) fn cancel(&self) {
        if let Some((source, _)) = self.0.take() {
            source.remove();
        }
    }

    /// Whether something is to be done.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.borrow().is_some()
    }
}
