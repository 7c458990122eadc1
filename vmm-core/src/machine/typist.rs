//! Types texts, no faster than the guest reads them.

use std::collections::VecDeque;
use std::time::Duration;

use super::keyboards::Keyboards;
use super::message::KeyEvent;
use crate::devices::i8042::{KeyCode, keys_for_char};
use crate::timer::Timer;

/// How often to look whether the guest has read what was typed.
const PACE: Duration = Duration::from_millis(12);
/// Characters waiting at most: what is pasted beyond is dropped rather than typed for hours.
const LIMIT: usize = 1 << 16;

/// Key strokes still to come.
pub(super) struct Typist {
    /// Key and whether it goes down.
    strokes: VecDeque<(KeyCode, bool)>,
    timer: Timer,
}

impl Typist {
    /// A typist who asks to go on by `timer`.
    pub(super) fn new(timer: Timer) -> Self {
        Self { strokes: VecDeque::new(), timer }
    }

    /// Adds a text. Characters that a US keyboard lacks are left out.
    pub(super) fn push(&mut self, text: &str) {
        for (key, shift) in text.chars().filter_map(keys_for_char) {
            if self.strokes.len() >= LIMIT {
                break;
            }
            let shift_key = KeyCode::LEFT_SHIFT;
            let strokes = [(shift_key, true), (key, true), (key, false), (shift_key, false)];
            self.strokes.extend(strokes.into_iter().filter(|(k, _)| shift || *k != shift_key));
        }
    }

    /// Adds keys.
    pub(super) fn push_keys(&mut self, keys: &[KeyEvent]) {
        let room = LIMIT.saturating_sub(self.strokes.len());
        let keys = keys.iter().take(room);
        self.strokes.extend(keys.map(|key| (KeyCode(key.code), key.pressed)));
    }

    /// Types the next key, or keys held together, if the guest has read those before, and asks for
    /// another go while there are more.
    ///
    /// A key goes down and up at once, which the keyboard's buffer has room for: a guest slow to
    /// read must not see a key held for so long that it repeats.
    pub(super) fn go_on(&mut self, keyboard: &Keyboards) {
        if keyboard.is_idle() {
            let mut held = 0_usize;
            while let Some((key, down)) = self.strokes.pop_front() {
                if down {
                    keyboard.press(key);
                    held += 1;
                } else {
                    keyboard.release(key);
                    held = held.saturating_sub(1);
                }
                if held == 0 {
                    break;
                }
            }
        }
        if !self.strokes.is_empty() {
            self.timer.arm(PACE);
        }
    }
}
