//! Keys: their names, which are Linux's, and what a PC keyboard sends for each.

use serde::{Deserialize, Serialize};

/// A key, by its number in Linux's `input-event-codes.h`. It names a place on the keyboard, not
/// what is printed there: [`KeyCode::Q`] is left of [`KeyCode::W`] on every layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyCode(pub u16);

/// In a table of keys: preceded by the byte 0xE0.
const E0: u16 = 0xe000;

macro_rules! keys {
    ($($name:ident = $evdev:literal => $code:expr,)*) => {
        #[allow(missing_docs)]
        impl KeyCode {
            $(pub const $name: Self = Self($evdev);)*
            /// Print Screen; with Alt, SysRq. Sends sequences of its own.
            pub const SYSRQ: Self = Self(99);
            /// Pause; with Ctrl, Break. Sends sequences of its own.
            pub const PAUSE: Self = Self(119);
        }

        /// Every key with a plain code, and that code in scan-code set 2.
        const PLAIN: &[(KeyCode, u16)] = &[$((KeyCode($evdev), $code),)*];
    };
}

// The codes are those of the IBM PS/2 keyboard, later keys as in Microsoft's "Keyboard Scan Code
// Specification" and its Japanese and Brazilian extensions.
keys! {
    ESC = 1 => 0x76,
    N1 = 2 => 0x16,
    N2 = 3 => 0x1e,
    N3 = 4 => 0x26,
    N4 = 5 => 0x25,
    N5 = 6 => 0x2e,
    N6 = 7 => 0x36,
    N7 = 8 => 0x3d,
    N8 = 9 => 0x3e,
    N9 = 10 => 0x46,
    N0 = 11 => 0x45,
    MINUS = 12 => 0x4e,
    EQUAL = 13 => 0x55,
    BACKSPACE = 14 => 0x66,
    TAB = 15 => 0x0d,
    Q = 16 => 0x15,
    W = 17 => 0x1d,
    E = 18 => 0x24,
    R = 19 => 0x2d,
    T = 20 => 0x2c,
    Y = 21 => 0x35,
    U = 22 => 0x3c,
    I = 23 => 0x43,
    O = 24 => 0x44,
    P = 25 => 0x4d,
    LEFT_BRACE = 26 => 0x54,
    RIGHT_BRACE = 27 => 0x5b,
    ENTER = 28 => 0x5a,
    LEFT_CTRL = 29 => 0x14,
    A = 30 => 0x1c,
    S = 31 => 0x1b,
    D = 32 => 0x23,
    F = 33 => 0x2b,
    G = 34 => 0x34,
    H = 35 => 0x33,
    J = 36 => 0x3b,
    K = 37 => 0x42,
    L = 38 => 0x4b,
    SEMICOLON = 39 => 0x4c,
    APOSTROPHE = 40 => 0x52,
    GRAVE = 41 => 0x0e,
    LEFT_SHIFT = 42 => 0x12,
    BACKSLASH = 43 => 0x5d,
    Z = 44 => 0x1a,
    X = 45 => 0x22,
    C = 46 => 0x21,
    V = 47 => 0x2a,
    B = 48 => 0x32,
    N = 49 => 0x31,
    M = 50 => 0x3a,
    COMMA = 51 => 0x41,
    DOT = 52 => 0x49,
    SLASH = 53 => 0x4a,
    RIGHT_SHIFT = 54 => 0x59,
    KP_ASTERISK = 55 => 0x7c,
    LEFT_ALT = 56 => 0x11,
    SPACE = 57 => 0x29,
    CAPS_LOCK = 58 => 0x58,
    F1 = 59 => 0x05,
    F2 = 60 => 0x06,
    F3 = 61 => 0x04,
    F4 = 62 => 0x0c,
    F5 = 63 => 0x03,
    F6 = 64 => 0x0b,
    F7 = 65 => 0x83,
    F8 = 66 => 0x0a,
    F9 = 67 => 0x01,
    F10 = 68 => 0x09,
    NUM_LOCK = 69 => 0x77,
    SCROLL_LOCK = 70 => 0x7e,
    KP_7 = 71 => 0x6c,
    KP_8 = 72 => 0x75,
    KP_9 = 73 => 0x7d,
    KP_MINUS = 74 => 0x7b,
    KP_4 = 75 => 0x6b,
    KP_5 = 76 => 0x73,
    KP_6 = 77 => 0x74,
    KP_PLUS = 78 => 0x79,
    KP_1 = 79 => 0x69,
    KP_2 = 80 => 0x72,
    KP_3 = 81 => 0x7a,
    KP_0 = 82 => 0x70,
    KP_DOT = 83 => 0x71,
    ZENKAKU_HANKAKU = 85 => 0x5f,
    // The key between left shift and Z.
    EXTRA_102ND = 86 => 0x61,
    F11 = 87 => 0x78,
    F12 = 88 => 0x07,
    RO = 89 => 0x51,
    KATAKANA = 90 => 0x63,
    HIRAGANA = 91 => 0x62,
    HENKAN = 92 => 0x64,
    KATAKANA_HIRAGANA = 93 => 0x13,
    MUHENKAN = 94 => 0x67,
    KP_ENTER = 96 => E0 | 0x5a,
    RIGHT_CTRL = 97 => E0 | 0x14,
    KP_SLASH = 98 => E0 | 0x4a,
    RIGHT_ALT = 100 => E0 | 0x11,
    HOME = 102 => E0 | 0x6c,
    UP = 103 => E0 | 0x75,
    PAGE_UP = 104 => E0 | 0x7d,
    LEFT = 105 => E0 | 0x6b,
    RIGHT = 106 => E0 | 0x74,
    END = 107 => E0 | 0x69,
    DOWN = 108 => E0 | 0x72,
    PAGE_DOWN = 109 => E0 | 0x7a,
    INSERT = 110 => E0 | 0x70,
    DELETE = 111 => E0 | 0x71,
    MUTE = 113 => E0 | 0x23,
    VOLUME_DOWN = 114 => E0 | 0x21,
    VOLUME_UP = 115 => E0 | 0x32,
    POWER = 116 => E0 | 0x37,
    KP_EQUAL = 117 => 0x0f,
    KP_COMMA = 121 => 0x6d,
    YEN = 124 => 0x6a,
    LEFT_META = 125 => E0 | 0x1f,
    RIGHT_META = 126 => E0 | 0x27,
    COMPOSE = 127 => E0 | 0x2f,
    STOP = 128 => E0 | 0x28,
    CALCULATOR = 140 => E0 | 0x2b,
    SLEEP = 142 => E0 | 0x3f,
    WAKE_UP = 143 => E0 | 0x5e,
    MAIL = 155 => E0 | 0x48,
    BOOKMARKS = 156 => E0 | 0x18,
    COMPUTER = 157 => E0 | 0x40,
    BACK = 158 => E0 | 0x38,
    FORWARD = 159 => E0 | 0x30,
    NEXT_SONG = 163 => E0 | 0x4d,
    PLAY_PAUSE = 164 => E0 | 0x34,
    PREVIOUS_SONG = 165 => E0 | 0x15,
    STOP_CD = 166 => E0 | 0x3b,
    HOME_PAGE = 172 => E0 | 0x3a,
    REFRESH = 173 => E0 | 0x20,
    F13 = 183 => 0x08,
    F14 = 184 => 0x10,
    F15 = 185 => 0x18,
    F16 = 186 => 0x20,
    F17 = 187 => 0x28,
    F18 = 188 => 0x30,
    F19 = 189 => 0x38,
    F20 = 190 => 0x40,
    F21 = 191 => 0x48,
    F22 = 192 => 0x50,
    F23 = 193 => 0x57,
    SEARCH = 217 => E0 | 0x10,
    MEDIA = 226 => E0 | 0x50,
}

/// A sequence of scan codes; the longest is Pause's.
pub(super) type Sequence = Vec<u8>;

/// What of the other keys changes what a key sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Modifiers {
    pub(super) shift: bool,
    pub(super) ctrl: bool,
    pub(super) alt: bool,
}

/// What a key sends in set 2: when pressed, and when released. Empty for a key that the keyboard
/// does not have.
pub(super) struct Codes {
    pub(super) make: Sequence,
    pub(super) release: Sequence,
}

impl KeyCode {
    /// Whether the keyboard has this key.
    pub(super) fn exists(self) -> bool {
        self == Self::SYSRQ || self == Self::PAUSE || plain(self).is_some()
    }

    /// Whether the key repeats while it is held.
    pub(super) fn repeats(self) -> bool {
        self != Self::PAUSE
    }

    /// What the key sends. Print Screen pretends a shift of its own unless one is held, is
    /// another key with Alt, and Pause is never released: all of that for programs of 1984.
    pub(super) fn set2(self, held: Modifiers) -> Codes {
        let codes =
            |make: &[u8], release: &[u8]| Codes { make: make.into(), release: release.into() };
        if self == Self::SYSRQ {
            return if held.alt {
                codes(&[0x84], &[0xf0, 0x84])
            } else if held.ctrl || held.shift {
                codes(&[0xe0, 0x7c], &[0xe0, 0xf0, 0x7c])
            } else {
                codes(&[0xe0, 0x12, 0xe0, 0x7c], &[0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12])
            };
        }
        if self == Self::PAUSE {
            return if held.ctrl {
                codes(&[0xe0, 0x7e, 0xe0, 0xf0, 0x7e], &[])
            } else {
                codes(&[0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77], &[])
            };
        }
        match plain(self) {
            Some(code) if code & E0 != 0 => {
                let code = code as u8;
                codes(&[0xe0, code], &[0xe0, 0xf0, code])
            }
            Some(code) => codes(&[code as u8], &[0xf0, code as u8]),
            None => codes(&[], &[]),
        }
    }
}

fn plain(key: KeyCode) -> Option<u16> {
    let index = PLAIN.binary_search_by_key(&key, |(key, _)| *key).ok()?;
    Some(PLAIN[index].1)
}

#[cfg(test)]
mod tests {
    use super::super::translate::Translator;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_no_code_is_there_twice() {
        assert!(PLAIN.is_sorted_by(|(a, _), (b, _)| a < b));
        let mut codes: Vec<u16> = PLAIN.iter().map(|(_, code)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), PLAIN.len());
    }

    /// Linux numbered the keys of the first PC keyboards by their codes in set 1.
    #[test]
    fn old_keys_translate_to_their_own_number() {
        for number in (1..=83).chain([86, 87, 88]) {
            let key = KeyCode(number);
            let codes = key.set2(Modifiers::default());
            let mut translator = Translator::default();
            let make: Vec<u8> =
                codes.make.iter().filter_map(|byte| translator.translate(*byte)).collect();
            let release: Vec<u8> =
                codes.release.iter().filter_map(|byte| translator.translate(*byte)).collect();
            assert_eq!(make, [number as u8], "{key:?}");
            assert_eq!(release, [number as u8 | 0x80], "{key:?}");
        }
    }

    #[test]
    fn old_programs_find_their_print_screen_and_pause() {
        let translate = |bytes: &[u8]| -> Vec<u8> {
            let mut translator = Translator::default();
            bytes.iter().filter_map(|byte| translator.translate(*byte)).collect()
        };
        let none = Modifiers::default();
        let print = KeyCode::SYSRQ.set2(none);
        assert_eq!(translate(&print.make), [0xe0, 0x2a, 0xe0, 0x37]);
        assert_eq!(translate(&print.release), [0xe0, 0xb7, 0xe0, 0xaa]);
        let sysrq = KeyCode::SYSRQ.set2(Modifiers { alt: true, ..none });
        assert_eq!((translate(&sysrq.make), translate(&sysrq.release)), (vec![0x54], vec![0xd4]));
        let pause = KeyCode::PAUSE.set2(none);
        assert_eq!(translate(&pause.make), [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
        let stop = KeyCode::PAUSE.set2(Modifiers { ctrl: true, ..none });
        assert_eq!(translate(&stop.make), [0xe0, 0x46, 0xe0, 0xc6]);
    }
}
