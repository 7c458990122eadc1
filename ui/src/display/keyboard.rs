//! Which keys the guest believes to be held, and the keys that let go of it.
//!
//! Keys are named by where they sit: a hardware key code less 8 is Linux's number for it, on X11
//! and on Wayland alike, and that is what the guest's keyboard takes. No GTK in here.

use std::collections::BTreeSet;

use gtk::glib;
use gtk::glib::prelude::*;
use vmm_core::machine::KeyEvent;

/// GDK's key codes are X11's, which begin 8 above Linux's.
const X11_OFFSET: u32 = 8;

// linux/input-event-codes.h
const LEFT_CTRL: u16 = 29;
const RIGHT_CTRL: u16 = 97;
const LEFT_ALT: u16 = 56;
const RIGHT_ALT: u16 = 100;
const LEFT_SHIFT: u16 = 42;
const RIGHT_SHIFT: u16 = 54;
const SCROLL_LOCK: u16 = 70;
const F12: u16 = 88;

const CTRL: &[u16] = &[LEFT_CTRL, RIGHT_CTRL];
const ALT: &[u16] = &[LEFT_ALT, RIGHT_ALT];
const SHIFT: &[u16] = &[LEFT_SHIFT, RIGHT_SHIFT];

/// What is pressed to get pointer and keyboard back from the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "BerthReleaseKey")]
pub enum ReleaseKey {
    /// Ctrl and Alt together, and no other key with them.
    #[default]
    CtrlAlt,
    /// The right Ctrl key alone.
    RightCtrl,
    /// Scroll Lock alone.
    ScrollLock,
    /// Shift and F12, and no other key with them.
    ShiftF12,
}

impl ReleaseKey {
    /// All of them, in the order to offer them.
    pub const ALL: [Self; 4] = [Self::CtrlAlt, Self::RightCtrl, Self::ScrollLock, Self::ShiftF12];

    /// The keys by name, as printed on a keyboard, in the user's language.
    pub fn label(self) -> String {
        match self {
            Self::CtrlAlt => gettextrs::pgettext("keys", "Ctrl+Alt"),
            Self::RightCtrl => gettextrs::pgettext("keys", "Right Ctrl"),
            Self::ScrollLock => gettextrs::pgettext("keys", "Scroll Lock"),
            Self::ShiftF12 => gettextrs::pgettext("keys", "Shift+F12"),
        }
    }

    /// The name settings use.
    pub fn nick(self) -> String {
        let value = self.to_value();
        glib::EnumValue::from_value(&value).map(|(_, v)| v.nick().to_owned()).unwrap_or_default()
    }

    /// The one with the name that settings use.
    pub fn from_nick(nick: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.nick() == nick)
    }

    /// Keys of which one each must be held.
    fn keys(self) -> &'static [&'static [u16]] {
        match self {
            Self::CtrlAlt => &[CTRL, ALT],
            Self::RightCtrl => &[&[RIGHT_CTRL]],
            Self::ScrollLock => &[&[SCROLL_LOCK]],
            Self::ShiftF12 => &[SHIFT, &[F12]],
        }
    }

    /// Whether exactly these keys are held.
    fn is_held(self, held: &BTreeSet<u16>) -> bool {
        let keys = self.keys();
        keys.iter().all(|any| any.iter().any(|key| held.contains(key)))
            && held.iter().all(|key| keys.iter().any(|any| any.contains(key)))
    }
}

/// Linux's number for the key with a hardware key code of GDK; `None` for what is no key.
pub fn evdev_code(hardware: u32) -> Option<u16> {
    hardware.checked_sub(X11_OFFSET).and_then(|code| u16::try_from(code).ok()).filter(|c| *c != 0)
}

/// What a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    /// For the guest.
    Send(KeyEvent),
    /// Nothing the guest is to hear of: a repeat, or the release of a key it was never told of.
    Ignore,
    /// The release key: the guest loses pointer and keyboard.
    Release,
}

/// The keyboard, as the guest has been told of it.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    held: BTreeSet<u16>,
    /// The release key was held, and nothing else has been pressed since.
    armed: bool,
}

impl Keyboard {
    /// A key goes down, or repeats.
    pub(super) fn press(&mut self, code: u16, release_key: ReleaseKey) -> Stroke {
        if !self.held.insert(code) {
            return Stroke::Ignore;
        }
        self.armed = release_key.is_held(&self.held);
        Stroke::Send(KeyEvent { code, pressed: true })
    }

    /// A key goes up.
    pub(super) fn release(&mut self, code: u16) -> Stroke {
        if !self.held.contains(&code) {
            return Stroke::Ignore;
        }
        if std::mem::take(&mut self.armed) {
            return Stroke::Release;
        }
        self.held.remove(&code);
        Stroke::Send(KeyEvent { code, pressed: false })
    }

    /// Something other than a key happened: what is held is part of that, not the release key.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Lets go of every key; the events tell the guest.
    pub(super) fn release_all(&mut self) -> Vec<KeyEvent> {
        self.armed = false;
        let held = std::mem::take(&mut self.held);
        held.into_iter().map(|code| KeyEvent { code, pressed: false }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u16 = 30;

    fn down(code: u16) -> Stroke {
        Stroke::Send(KeyEvent { code, pressed: true })
    }

    fn up(code: u16) -> Stroke {
        Stroke::Send(KeyEvent { code, pressed: false })
    }

    #[test]
    fn codes_are_linux_numbers() {
        assert_eq!(evdev_code(38), Some(A));
        assert_eq!(evdev_code(105), Some(RIGHT_CTRL));
        assert_eq!(evdev_code(8), None);
        assert_eq!(evdev_code(0), None);
        assert_eq!(evdev_code(u32::MAX), None);
    }

    #[test]
    fn repeats_and_unknown_releases_are_dropped() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.press(A, ReleaseKey::CtrlAlt), down(A));
        assert_eq!(keyboard.press(A, ReleaseKey::CtrlAlt), Stroke::Ignore);
        assert_eq!(keyboard.release(A), up(A));
        assert_eq!(keyboard.release(A), Stroke::Ignore);
    }

    #[test]
    fn ctrl_alt_alone_releases_whichever_goes_first() {
        for (first, second) in [(LEFT_CTRL, LEFT_ALT), (RIGHT_ALT, RIGHT_CTRL)] {
            for let_go in [first, second] {
                let mut keyboard = Keyboard::default();
                keyboard.press(first, ReleaseKey::CtrlAlt);
                assert_eq!(keyboard.press(second, ReleaseKey::CtrlAlt), down(second));
                assert_eq!(keyboard.press(second, ReleaseKey::CtrlAlt), Stroke::Ignore);
                assert_eq!(keyboard.release(let_go), Stroke::Release);
                assert_eq!(keyboard.release_all().len(), 2);
                assert_eq!(keyboard.release(first), Stroke::Ignore);
            }
        }
    }

    #[test]
    fn ctrl_alt_with_another_key_belongs_to_the_guest() {
        let mut keyboard = Keyboard::default();
        keyboard.press(LEFT_CTRL, ReleaseKey::CtrlAlt);
        keyboard.press(LEFT_ALT, ReleaseKey::CtrlAlt);
        assert_eq!(keyboard.press(111, ReleaseKey::CtrlAlt), down(111));
        assert_eq!(keyboard.release(111), up(111));
        assert_eq!(keyboard.release(LEFT_ALT), up(LEFT_ALT));
        assert_eq!(keyboard.release(LEFT_CTRL), up(LEFT_CTRL));
    }

    #[test]
    fn a_click_with_ctrl_alt_belongs_to_the_guest() {
        let mut keyboard = Keyboard::default();
        keyboard.press(LEFT_CTRL, ReleaseKey::CtrlAlt);
        keyboard.press(LEFT_ALT, ReleaseKey::CtrlAlt);
        keyboard.disarm();
        assert_eq!(keyboard.release(LEFT_ALT), up(LEFT_ALT));
    }

    #[test]
    fn the_release_key_can_be_another() {
        let mut keyboard = Keyboard::default();
        keyboard.press(RIGHT_CTRL, ReleaseKey::RightCtrl);
        assert_eq!(keyboard.release(RIGHT_CTRL), Stroke::Release);
        keyboard.release_all();
        keyboard.press(LEFT_CTRL, ReleaseKey::RightCtrl);
        assert_eq!(keyboard.release(LEFT_CTRL), up(LEFT_CTRL));
        keyboard.press(LEFT_SHIFT, ReleaseKey::ShiftF12);
        keyboard.press(F12, ReleaseKey::ShiftF12);
        assert_eq!(keyboard.release(F12), Stroke::Release);
    }

    #[test]
    fn names_for_settings_lead_back() {
        for key in ReleaseKey::ALL {
            assert_eq!(ReleaseKey::from_nick(&key.nick()), Some(key));
        }
        assert_eq!(ReleaseKey::CtrlAlt.nick(), "ctrl-alt");
        assert_eq!(ReleaseKey::from_nick("any"), None);
    }
}
