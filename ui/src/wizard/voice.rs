//! What widgets say to the wizard.

use std::cell::Cell;
use std::rc::Rc;

use relm4::Sender;

use super::component::WizardInput;

/// Tells the wizard what a person does with a widget. What the wizard itself does with widgets is
/// kept from it: it would come back later, when the draft has moved on.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    input: Sender<WizardInput>,
    hushed: Rc<Cell<bool>>,
}

impl Voice {
    pub(super) fn new(input: Sender<WizardInput>) -> Self {
        Self { input, hushed: Rc::default() }
    }

    /// Tells the wizard, unless it is its own doing.
    pub(super) fn emit(&self, message: WizardInput) {
        if !self.hushed.get() {
            // Nobody listens any more while the dialog goes away.
            let _ = self.input.send(message);
        }
    }

    /// Changes widgets without being told of it.
    pub(super) fn hush(&self, change: impl FnOnce()) {
        self.hushed.set(true);
        change();
        self.hushed.set(false);
    }
}
