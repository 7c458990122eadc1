//! Which keys type a character on a keyboard with the US layout.

use super::keys::KeyCode;

/// A row of keys: what each types alone, and with shift.
type Row = (&'static str, &'static str, &'static [KeyCode]);

const ROWS: [Row; 5] = [
    (
        "`1234567890-=",
        "~!@#$%^&*()_+",
        &[
            KeyCode::GRAVE,
            KeyCode::N1,
            KeyCode::N2,
            KeyCode::N3,
            KeyCode::N4,
            KeyCode::N5,
            KeyCode::N6,
            KeyCode::N7,
            KeyCode::N8,
            KeyCode::N9,
            KeyCode::N0,
            KeyCode::MINUS,
            KeyCode::EQUAL,
        ],
    ),
    (
        "\tqwertyuiop[]\\",
        "\tQWERTYUIOP{}|",
        &[
            KeyCode::TAB,
            KeyCode::Q,
            KeyCode::W,
            KeyCode::E,
            KeyCode::R,
            KeyCode::T,
            KeyCode::Y,
            KeyCode::U,
            KeyCode::I,
            KeyCode::O,
            KeyCode::P,
            KeyCode::LEFT_BRACE,
            KeyCode::RIGHT_BRACE,
            KeyCode::BACKSLASH,
        ],
    ),
    (
        "asdfghjkl;'\n",
        "ASDFGHJKL:\"\n",
        &[
            KeyCode::A,
            KeyCode::S,
            KeyCode::D,
            KeyCode::F,
            KeyCode::G,
            KeyCode::H,
            KeyCode::J,
            KeyCode::K,
            KeyCode::L,
            KeyCode::SEMICOLON,
            KeyCode::APOSTROPHE,
            KeyCode::ENTER,
        ],
    ),
    (
        "zxcvbnm,./",
        "ZXCVBNM<>?",
        &[
            KeyCode::Z,
            KeyCode::X,
            KeyCode::C,
            KeyCode::V,
            KeyCode::B,
            KeyCode::N,
            KeyCode::M,
            KeyCode::COMMA,
            KeyCode::DOT,
            KeyCode::SLASH,
        ],
    ),
    (
        " \u{8}\u{1b}\u{7f}\r",
        " \u{8}\u{1b}\u{7f}\r",
        &[KeyCode::SPACE, KeyCode::BACKSPACE, KeyCode::ESC, KeyCode::DELETE, KeyCode::ENTER],
    ),
];

/// The key that types `character` in a guest set to the US layout, and whether it takes shift.
/// `None` for a character that the layout has no key for. Line feed and carriage return are
/// Enter, backspace, escape, tab and delete their keys.
pub fn keys_for_char(character: char) -> Option<(KeyCode, bool)> {
    ROWS.iter().find_map(|(plain, shifted, keys)| {
        let in_row = |row: &str| row.chars().position(|c| c == character);
        let place =
            in_row(plain).map(|n| (n, false)).or_else(|| in_row(shifted).map(|n| (n, true)));
        place.and_then(|(n, shift)| Some((*keys.get(n)?, shift)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ascii_character_has_a_key() {
        for (plain, shifted, keys) in ROWS {
            assert_eq!(plain.chars().count(), keys.len());
            assert_eq!(shifted.chars().count(), keys.len());
        }
        for character in (' '..='~').chain(['\n', '\r', '\t', '\u{8}', '\u{1b}', '\u{7f}']) {
            assert!(keys_for_char(character).is_some_and(|(key, _)| key.exists()), "{character:?}");
        }
        assert_eq!(keys_for_char('a'), Some((KeyCode::A, false)));
        assert_eq!(keys_for_char('?'), Some((KeyCode::SLASH, true)));
        assert_eq!(keys_for_char('\n'), Some((KeyCode::ENTER, false)));
        assert_eq!(keys_for_char('é'), None);
    }
}
