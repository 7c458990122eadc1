//! Typed text in the notation of `--type` and `--type-serial`.
//!
//! `\n`, `\t`, `\r`, `\e`, `\\` and `\xNN` mean what they mean elsewhere. For the keyboard, a key
//! or several held together are written by name between angle brackets: `<down>`, `<f12>`,
//! `<ctrl-alt-del>`; `\<` is a plain one.

use thiserror::Error;
use vmm_core::machine::{Command, KeyEvent};
use vmm_core::text;

/// A text that cannot be typed.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum TypeError {
    #[error("{}", text!(
        "“\\{escape}” is no escape; there are \\n \\t \\r \\e \\\\ \\< and \\xNN",
        escape = .0,
    ))]
    Escape(String),
    #[error("{}", text!("there is no key <{name}>; write \\< for a plain “<”", name = .0))]
    Key(String),
    #[error("{}", text!("“{character}” is on no key of a US keyboard", character = .0))]
    Character(char),
}

/// What is typed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stroke {
    /// Characters.
    Text(String),
    /// Keys pressed together, as codes of `input-event-codes.h`, modifiers first.
    Chord(Vec<u16>),
}

const CTRL: u16 = 29;

/// Codes of `input-event-codes.h` by the names used here.
const NAMED: &[(&str, u16)] = &[
    ("esc", 1),
    ("minus", 12),
    ("equal", 13),
    ("backspace", 14),
    ("tab", 15),
    ("enter", 28),
    ("ctrl", CTRL),
    ("semicolon", 39),
    ("apostrophe", 40),
    ("grave", 41),
    ("shift", 42),
    ("backslash", 43),
    ("comma", 51),
    ("dot", 52),
    ("slash", 53),
    ("alt", 56),
    ("space", 57),
    ("capslock", 58),
    ("f1", 59),
    ("f2", 60),
    ("f3", 61),
    ("f4", 62),
    ("f5", 63),
    ("f6", 64),
    ("f7", 65),
    ("f8", 66),
    ("f9", 67),
    ("f10", 68),
    ("numlock", 69),
    ("scrolllock", 70),
    ("f11", 87),
    ("f12", 88),
    ("print", 99),
    ("altgr", 100),
    ("home", 102),
    ("up", 103),
    ("pageup", 104),
    ("left", 105),
    ("right", 106),
    ("end", 107),
    ("down", 108),
    ("pagedown", 109),
    ("insert", 110),
    ("del", 111),
    ("delete", 111),
    ("super", 125),
    ("menu", 127),
];

/// The rows of letters and digits, each with the code of its first key.
const ROWS: [(&str, u16); 4] =
    [("1234567890", 2), ("qwertyuiop", 16), ("asdfghjkl", 30), ("zxcvbnm", 44)];

fn code(name: &str) -> Option<u16> {
    let name = name.to_ascii_lowercase();
    if let Some((_, code)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Some(*code);
    }
    let mut characters = name.chars();
    let (character, None) = (characters.next()?, characters.next()) else { return None };
    ROWS.iter().find_map(|(row, first)| {
        let column = row.find(character)?;
        Some(first + u16::try_from(column).ok()?)
    })
}

/// Reads what `--type` is given.
///
/// # Errors
/// When an escape or a key is unknown, or a character is on no key.
pub(crate) fn parse_keys(notation: &str) -> Result<Vec<Stroke>, TypeError> {
    let mut strokes = Vec::new();
    let mut text = String::new();
    let mut rest = notation;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let chord = match character {
            '\\' => match escape(&mut rest)? {
                '\u{8}' | '\u{7f}' => Some(vec![14]),
                '\u{1b}' => Some(vec![1]),
                '\r' | '\n' => {
                    text.push('\n');
                    None
                }
                '\t' => {
                    text.push('\t');
                    None
                }
                // A control character is what Ctrl makes of the letter 0x40 (or in lower case
                // 0x60) above it.
                control @ '\u{1}'..='\u{1a}' => {
                    let letter = char::from(control as u8 + 0x60).to_string();
                    code(&letter).map(|code| vec![CTRL, code])
                }
                plain => {
                    text.push(on_a_key(plain)?);
                    None
                }
            },
            '<' => {
                let (name, behind) =
                    rest.split_once('>').ok_or_else(|| TypeError::Key(rest.to_owned()))?;
                rest = behind;
                let chord: Option<Vec<u16>> = name.split('-').map(code).collect();
                Some(chord.ok_or_else(|| TypeError::Key(name.to_owned()))?)
            }
            plain => {
                text.push(on_a_key(plain)?);
                None
            }
        };
        if let Some(chord) = chord {
            if !text.is_empty() {
                strokes.push(Stroke::Text(std::mem::take(&mut text)));
            }
            strokes.push(Stroke::Chord(chord));
        }
    }
    if !text.is_empty() {
        strokes.push(Stroke::Text(text));
    }
    Ok(strokes)
}

/// Reads what `--type-serial` is given.
///
/// # Errors
/// When an escape is unknown.
pub(crate) fn parse_bytes(notation: &str) -> Result<Vec<u8>, TypeError> {
    let mut bytes = Vec::new();
    let mut rest = notation;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == '\\' {
            // `escape` answers with characters up to U+00FF, which stand for bytes.
            bytes.push(u32::from(escape(&mut rest)?) as u8);
        } else {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(bytes)
}

fn on_a_key(character: char) -> Result<char, TypeError> {
    let typeable = matches!(character, ' '..='~' | '\n' | '\t');
    typeable.then_some(character).ok_or(TypeError::Character(character))
}

/// The character that an escape stands for, at most U+00FF, and moves `rest`, which begins behind
/// the backslash, past it.
fn escape(rest: &mut &str) -> Result<char, TypeError> {
    let unknown = |text: &str| TypeError::Escape(text.chars().take(3).collect());
    let kind = rest.chars().next().ok_or_else(|| unknown(rest))?;
    let (character, length) = match kind {
        'n' => ('\n', 1),
        't' => ('\t', 1),
        'r' => ('\r', 1),
        'e' => ('\u{1b}', 1),
        '\\' | '<' => (kind, 1),
        'x' => {
            let digits = rest.get(1..3).ok_or_else(|| unknown(rest))?;
            // `from_str_radix` would take a sign.
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(unknown(rest));
            }
            (char::from(u8::from_str_radix(digits, 16).map_err(|_| unknown(rest))?), 3)
        }
        _ => return Err(unknown(rest)),
    };
    *rest = &rest[length..];
    Ok(character)
}

/// The commands that type `strokes`.
pub(crate) fn commands(strokes: &[Stroke]) -> Vec<Command> {
    let mut commands = Vec::new();
    for stroke in strokes {
        match stroke {
            Stroke::Text(text) => commands.push(Command::TypeText(text.clone())),
            Stroke::Chord(codes) => {
                let press = codes.iter().map(|code| KeyEvent { code: *code, pressed: true });
                let release =
                    codes.iter().rev().map(|code| KeyEvent { code: *code, pressed: false });
                commands.push(Command::TypeKeys(press.chain(release).collect()));
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_named_keys_mix() {
        assert_eq!(
            parse_keys(r"ls\n<down><ctrl-alt-del>\<a>\x03\e"),
            Ok(vec![
                Stroke::Text("ls\n".into()),
                Stroke::Chord(vec![108]),
                Stroke::Chord(vec![29, 56, 111]),
                Stroke::Text("<a>".into()),
                Stroke::Chord(vec![29, 46]),
                Stroke::Chord(vec![1]),
            ])
        );
        assert_eq!(parse_keys("<Alt-F2><0><m>").unwrap().len(), 3);
        assert_eq!(parse_keys(""), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_typed_is_refused() {
        for text in ["<", "<>", "<nokey>", "<ctrl->", r"\", r"\q", r"\x1", r"\x+1", "é", r"\xe9"] {
            assert!(parse_keys(text).is_err(), "{text}");
        }
    }

    #[test]
    fn serial_text_is_bytes() {
        assert_eq!(parse_bytes(r"é<a>\xff\r\n"), Ok(b"\xc3\xa9<a>\xff\r\n".to_vec()));
        assert!(parse_bytes(r"\xfé").is_err());
    }

    #[test]
    fn chords_are_released_in_reverse() {
        let [Command::TypeKeys(events)] = &commands(&[Stroke::Chord(vec![29, 46])])[..] else {
            panic!("one command for one chord");
        };
        let plain: Vec<_> = events.iter().map(|event| (event.code, event.pressed)).collect();
        assert_eq!(plain, [(29, true), (46, true), (46, false), (29, false)]);
    }
}
