//! The guest's two keyboards as one.

use std::sync::Arc;

use crate::devices::i8042::{I8042, KeyCode};
use crate::devices::virtio::VirtioPci;
use crate::devices::virtio::input::Keyboard;

/// The PS/2 keyboard, which every guest knows, and the virtio one, which hands over events rather
/// than bytes at a port: each key goes down on the latter while the guest has a driver for it.
pub(super) struct Keyboards {
    pub(super) ps2: Arc<I8042>,
    pub(super) virtio: Arc<VirtioPci<Keyboard>>,
}

impl Keyboards {
    /// Presses a key; pressing one that is down does nothing.
    pub(super) fn press(&self, key: KeyCode) {
        let virtio = self.virtio.device();
        if virtio.is_active() {
            virtio.press_key(key.0);
        } else {
            self.ps2.press(key);
        }
    }

    /// Releases a key, wherever it is down.
    pub(super) fn release(&self, key: KeyCode) {
        self.virtio.device().release_key(key.0);
        self.ps2.release(key);
    }

    /// Whether the guest has taken all that was typed.
    pub(super) fn is_idle(&self) -> bool {
        self.ps2.is_idle() && self.virtio.device().is_idle()
    }
}
