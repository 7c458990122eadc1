//! The keyboard: an IBM enhanced keyboard with a PS/2 plug (IBM PS/2 Hardware Interface Technical
//! Reference, "101/102-Key Keyboard").
//!
//! It makes set 2 codes and repeats the last key held, at the rate that the guest sets; repeats
//! of the host's keyboard are not passed on. Its buffer holds 16 bytes. What does not fit is
//! dropped a whole key press at a time, and a release is never dropped: no key sticks.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::keys::{KeyCode, Modifiers};
use super::translate::Translator;

/// Bytes that wait for the guest ("Buffer").
const QUEUE_BYTES: usize = 16;

/// Commands ("Commands from the System").
mod command {
    pub(super) const SET_LEDS: u8 = 0xed;
    pub(super) const ECHO: u8 = 0xee;
    pub(super) const SCAN_CODE_SET: u8 = 0xf0;
    pub(super) const IDENTIFY: u8 = 0xf2;
    pub(super) const TYPEMATIC: u8 = 0xf3;
    pub(super) const ENABLE: u8 = 0xf4;
    pub(super) const DISABLE: u8 = 0xf5;
    pub(super) const DEFAULTS: u8 = 0xf6;
    /// To 0xFA: how all keys behave in set 3, which this keyboard does not have.
    pub(super) const ALL_KEYS: u8 = 0xf7;
    pub(super) const ALL_KEYS_LAST: u8 = 0xfa;
    /// To 0xFD: the same for one key, whose code follows.
    pub(super) const ONE_KEY: u8 = 0xfb;
    pub(super) const ONE_KEY_LAST: u8 = 0xfd;
    pub(super) const RESEND: u8 = 0xfe;
    pub(super) const RESET: u8 = 0xff;
}

const ACK: u8 = 0xfa;
const TEST_PASSED: u8 = 0xaa;
const RESEND: u8 = 0xfe;
const IDENTITY: [u8; 2] = [0xab, 0x83];
/// 500 ms, then 10.9 a second.
const DEFAULT_TYPEMATIC: u8 = 0x2b;

bitflags! {
    /// The lamps on the keyboard.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Leds: u8 {
        /// Scroll lock.
        const SCROLL_LOCK = 0x01;
        /// Num lock.
        const NUM_LOCK = 0x02;
        /// Caps lock.
        const CAPS_LOCK = 0x04;
    }
}

/// What a saved keyboard remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyboardState {
    scanning: bool,
    /// Scan-code set, 1 or 2.
    set: u8,
    typematic: u8,
    leds: u8,
    /// A command that waits for its argument.
    pending: Option<u8>,
    /// Answers to commands; they go before keys.
    replies: VecDeque<u8>,
    queue: VecDeque<u8>,
    last_sent: u8,
    /// Keys that the guest believes to be down.
    held: BTreeSet<KeyCode>,
    /// Keys released since, which there was no room to say.
    owed: VecDeque<KeyCode>,
    /// How Print Screen is to be released, which depends on how it was pressed.
    sysrq_release: Vec<u8>,
}

impl Default for KeyboardState {
    fn default() -> Self {
        Self {
            scanning: true,
            set: 2,
            typematic: DEFAULT_TYPEMATIC,
            leds: 0,
            pending: None,
            replies: VecDeque::new(),
            queue: VecDeque::new(),
            last_sent: 0,
            held: BTreeSet::new(),
            owed: VecDeque::new(),
            sysrq_release: Vec::new(),
        }
    }
}

/// What the repeat timer is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    After(Duration),
    Never,
}

/// The keyboard.
#[derive(Default)]
pub(super) struct Keyboard {
    state: KeyboardState,
    /// The key that repeats. Not saved: the finger on it is not part of the machine.
    repeating: Option<KeyCode>,
    repeat_change: Option<Repeat>,
}

impl Keyboard {
    pub(super) fn save(&self) -> KeyboardState {
        self.state.clone()
    }

    pub(super) fn check(state: &KeyboardState) -> Result<(), String> {
        let keys = state.held.len() + state.owed.len();
        let valid = matches!(state.set, 1 | 2)
            && state.typematic < 0x80
            && Leds::from_bits(state.leds).is_some()
            && state.replies.len() <= QUEUE_BYTES
            && state.queue.len() <= QUEUE_BYTES
            && state.sysrq_release.len() <= QUEUE_BYTES
            && keys <= usize::from(u8::MAX)
            && state.held.iter().chain(&state.owed).all(|key| key.exists());
        if valid {
            Ok(())
        } else {
            Err("the keyboard's registers or queues are not its own".into())
        }
    }

    pub(super) fn restore(&mut self, state: KeyboardState) {
        self.state = state;
        self.stop_repeating();
    }

    pub(super) fn reset(&mut self) {
        self.state = KeyboardState::default();
        self.stop_repeating();
    }

    pub(super) fn leds(&self) -> Leds {
        Leds::from_bits_truncate(self.state.leds)
    }

    /// Whether the guest has taken all that was typed.
    pub(super) fn is_idle(&self) -> bool {
        self.state.queue.is_empty() && self.state.owed.is_empty()
    }

    /// What the timer that calls [`Keyboard::repeat`] is to do, if that has changed.
    pub(super) fn take_repeat_change(&mut self) -> Option<Repeat> {
        self.repeat_change.take()
    }

    fn stop_repeating(&mut self) {
        self.repeating = None;
        self.repeat_change = Some(Repeat::Never);
    }

    fn modifiers(&self) -> Modifiers {
        let held = |keys: [KeyCode; 2]| keys.iter().any(|key| self.state.held.contains(key));
        Modifiers {
            shift: held([KeyCode::LEFT_SHIFT, KeyCode::RIGHT_SHIFT]),
            ctrl: held([KeyCode::LEFT_CTRL, KeyCode::RIGHT_CTRL]),
            alt: held([KeyCode::LEFT_ALT, KeyCode::RIGHT_ALT]),
        }
    }

    /// Queues a sequence of set 2, all or nothing.
    fn queue(&mut self, sequence: &[u8]) -> bool {
        let mut translator = Translator::default();
        let native = self.state.set == 2;
        let bytes: Vec<u8> = sequence
            .iter()
            .filter_map(|byte| if native { Some(*byte) } else { translator.translate(*byte) })
            .collect();
        let fits = self.state.queue.len() + bytes.len() <= QUEUE_BYTES;
        if fits {
            self.state.queue.extend(bytes);
        }
        fits
    }

    /// A finger goes down. Says whether the guest will hear of it.
    pub(super) fn press(&mut self, key: KeyCode) -> bool {
        if !self.state.scanning || !key.exists() || self.state.held.contains(&key) {
            return false;
        }
        if let Some(place) = self.state.owed.iter().position(|owed| *owed == key) {
            // The guest was never told that it went up.
            self.state.owed.remove(place);
            self.state.held.insert(key);
            return true;
        }
        let codes = key.set2(self.modifiers());
        if !self.state.owed.is_empty() || !self.queue(&codes.make) {
            return false;
        }
        if key == KeyCode::SYSRQ {
            self.state.sysrq_release = codes.release;
        }
        self.state.held.insert(key);
        if key.repeats() {
            self.repeating = Some(key);
            self.repeat_change = Some(Repeat::After(delay(self.state.typematic)));
        } else {
            self.stop_repeating();
        }
        true
    }

    /// A finger goes up.
    pub(super) fn release(&mut self, key: KeyCode) {
        if self.repeating == Some(key) {
            self.stop_repeating();
        }
        if self.state.held.remove(&key) && self.state.scanning {
            self.state.owed.push_back(key);
            self.settle();
        }
    }

    pub(super) fn release_all(&mut self) {
        for key in self.state.held.clone() {
            self.release(key);
        }
    }

    /// Tells of releases that there is now room for.
    fn settle(&mut self) {
        while let Some(key) = self.state.owed.front().copied() {
            let release = match key {
                KeyCode::SYSRQ => std::mem::take(&mut self.state.sysrq_release),
                key => key.set2(Modifiers::default()).release,
            };
            if !self.queue(&release) {
                if key == KeyCode::SYSRQ {
                    self.state.sysrq_release = release;
                }
                return;
            }
            self.state.owed.pop_front();
        }
    }

    /// The repeat timer fires.
    pub(super) fn repeat(&mut self) {
        let Some(key) = self.repeating.filter(|_| self.state.scanning) else { return };
        // A guest that is slow to read gets no backlog.
        if self.is_idle() {
            let mut make = key.set2(self.modifiers()).make;
            if key == KeyCode::SYSRQ && make.len() == 4 {
                make.drain(..2);
            }
            self.queue(&make);
        }
        self.repeat_change = Some(Repeat::After(period(self.state.typematic)));
    }

    /// The next byte for the guest.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.state.replies.pop_front().or_else(|| {
            let byte = self.state.queue.pop_front();
            self.settle();
            byte
        })?;
        if byte != RESEND {
            self.state.last_sent = byte;
        }
        Some(byte)
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.state.replies.extend(bytes);
    }

    fn clear_queue(&mut self) {
        self.state.queue.clear();
        self.state.owed.clear();
        self.stop_repeating();
    }

    fn set_defaults(&mut self) {
        self.clear_queue();
        self.state.typematic = DEFAULT_TYPEMATIC;
        self.state.set = 2;
    }

    /// A byte from the guest.
    pub(super) fn command(&mut self, byte: u8) {
        // A new command ends the answer to the last.
        self.state.replies.clear();
        if let Some(command) = self.state.pending.take()
            && byte < 0x80
        {
            self.argument(command, byte);
            return;
        }
        match byte {
            command::ECHO => self.reply(&[command::ECHO]),
            command::SET_LEDS
            | command::SCAN_CODE_SET
            | command::TYPEMATIC
            | command::ONE_KEY..=command::ONE_KEY_LAST => {
                self.state.pending = Some(byte);
                self.reply(&[ACK]);
            }
            command::IDENTIFY => {
                self.reply(&[ACK]);
                self.reply(&IDENTITY);
            }
            command::ENABLE => {
                self.clear_queue();
                self.state.scanning = true;
                self.reply(&[ACK]);
            }
            command::DISABLE => {
                self.set_defaults();
                self.state.scanning = false;
                self.reply(&[ACK]);
            }
            command::DEFAULTS => {
                self.set_defaults();
                self.reply(&[ACK]);
            }
            command::ALL_KEYS..=command::ALL_KEYS_LAST => self.reply(&[ACK]),
            command::RESEND => self.reply(&[self.state.last_sent]),
            command::RESET => {
                self.reset();
                self.reply(&[ACK, TEST_PASSED]);
            }
            _ => self.reply(&[RESEND]),
        }
    }

    fn argument(&mut self, command: u8, byte: u8) {
        match (command, byte) {
            (command::SET_LEDS, leds) => {
                self.state.leds = Leds::from_bits_truncate(leds).bits();
                self.reply(&[ACK]);
            }
            (command::SCAN_CODE_SET, 0) => self.reply(&[ACK, self.state.set]),
            (command::SCAN_CODE_SET, 1 | 2) => {
                self.clear_queue();
                self.state.set = byte;
                self.reply(&[ACK]);
            }
            (command::TYPEMATIC, typematic) => {
                self.state.typematic = typematic;
                self.reply(&[ACK]);
            }
            (command::ONE_KEY..=command::ONE_KEY_LAST, _) => self.reply(&[ACK]),
            _ => self.reply(&[RESEND]),
        }
    }
}

/// How long a key is held before it repeats ("Set Typematic Rate/Delay").
fn delay(typematic: u8) -> Duration {
    Duration::from_millis(250) * (u32::from(typematic >> 5 & 3) + 1)
}

/// The time between repeats.
fn period(typematic: u8) -> Duration {
    let (mantissa, exponent) = (u32::from(typematic & 7), u32::from(typematic >> 3 & 3));
    Duration::from_micros(4170) * ((8 + mantissa) << exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(keyboard: &mut Keyboard) -> Vec<u8> {
        std::iter::from_fn(|| keyboard.next()).collect()
    }

    fn send(keyboard: &mut Keyboard, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for byte in bytes {
            keyboard.command(*byte);
            answer.extend(drain(keyboard));
        }
        answer
    }

    #[test]
    fn answers_commands() {
        let mut keyboard = Keyboard::default();
        for (bytes, answer) in [
            (&[0xff][..], &[0xfa, 0xaa][..]),
            (&[0xf2], &[0xfa, 0xab, 0x83]),
            (&[0xee], &[0xee]),
            (&[0xed, 0x02], &[0xfa, 0xfa]),
            (&[0xf0, 0x00], &[0xfa, 0xfa, 0x02]),
            (&[0xf0, 0x01], &[0xfa, 0xfa]),
            (&[0xf0, 0x00], &[0xfa, 0xfa, 0x01]),
            (&[0xf0, 0x03], &[0xfa, 0xfe]),
            (&[0xf3, 0x00], &[0xfa, 0xfa]),
            (&[0xf3, 0xf4], &[0xfa, 0xfa]),
            (&[0xfb, 0x1c], &[0xfa, 0xfa]),
            (&[0xf8], &[0xfa]),
            (&[0x12], &[0xfe]),
            (&[0xf6, 0xfe], &[0xfa, 0xfa]),
        ] {
            assert_eq!(send(&mut keyboard, bytes), answer, "{bytes:x?}");
        }
        assert_eq!(keyboard.leds(), Leds::NUM_LOCK);
    }

    #[test]
    fn types_in_either_set() {
        let mut keyboard = Keyboard::default();
        keyboard.press(KeyCode::A);
        keyboard.press(KeyCode::UP);
        keyboard.release(KeyCode::A);
        keyboard.release(KeyCode::UP);
        keyboard.release(KeyCode::UP);
        assert_eq!(drain(&mut keyboard), [0x1c, 0xe0, 0x75, 0xf0, 0x1c, 0xe0, 0xf0, 0x75]);
        send(&mut keyboard, &[0xf0, 0x01]);
        keyboard.press(KeyCode::UP);
        keyboard.release(KeyCode::UP);
        assert_eq!(drain(&mut keyboard), [0xe0, 0x48, 0xe0, 0xc8]);
        send(&mut keyboard, &[0xf5]);
        assert!(!keyboard.press(KeyCode::A));
        assert!(drain(&mut keyboard).is_empty());
    }

    #[test]
    fn drops_whole_presses_and_no_release() {
        let mut keyboard = Keyboard::default();
        for number in 2..=6 {
            assert!(keyboard.press(KeyCode(number)));
        }
        assert!(keyboard.press(KeyCode::PAUSE));
        for number in 2..=6 {
            keyboard.release(KeyCode(number));
        }
        assert!(!keyboard.press(KeyCode::A), "not before the releases");
        assert!(keyboard.press(KeyCode(6)), "the guest never heard of its release");
        let bytes = drain(&mut keyboard);
        assert_eq!(bytes[13..], [0xf0, 0x16, 0xf0, 0x1e, 0xf0, 0x26, 0xf0, 0x25]);
        assert!(keyboard.is_idle());
        keyboard.release_all();
        assert_eq!(drain(&mut keyboard), [0xf0, 0x2e]);
    }

    #[test]
    fn the_last_key_repeats() {
        let mut keyboard = Keyboard::default();
        keyboard.press(KeyCode::A);
        assert_eq!(keyboard.take_repeat_change(), Some(Repeat::After(Duration::from_millis(500))));
        keyboard.press(KeyCode::B);
        keyboard.repeat();
        assert_eq!(drain(&mut keyboard), [0x1c, 0x32], "no backlog");
        keyboard.repeat();
        keyboard.repeat();
        assert_eq!(
            keyboard.take_repeat_change(),
            Some(Repeat::After(Duration::from_micros(4170 * 22)))
        );
        assert_eq!(drain(&mut keyboard), [0x32]);
        keyboard.release(KeyCode::A);
        assert_eq!(keyboard.take_repeat_change(), None);
        keyboard.release(KeyCode::B);
        assert_eq!(keyboard.take_repeat_change(), Some(Repeat::Never));
        assert_eq!(period(0), Duration::from_micros(33_360));
        assert_eq!(delay(0x7f), Duration::from_secs(1));
    }

    #[test]
    fn print_screen_is_released_as_it_was_pressed() {
        let mut keyboard = Keyboard::default();
        keyboard.press(KeyCode::LEFT_ALT);
        keyboard.press(KeyCode::SYSRQ);
        keyboard.release(KeyCode::LEFT_ALT);
        keyboard.release(KeyCode::SYSRQ);
        assert_eq!(drain(&mut keyboard), [0x11, 0x84, 0xf0, 0x11, 0xf0, 0x84]);
    }
}
