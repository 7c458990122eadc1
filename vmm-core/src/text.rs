//! Sentences for people, in their language.
//!
//! Whoever shows this crate's errors and warnings sets the language up, by `setlocale` and
//! `textdomain`; until then all is said as it is written: in English. `po/extract` finds the texts
//! by the names of the macros, so these take literals only.
//!
//! What only developers read stays English: log lines, a device's refusal of a state, mistakes of a
//! guest's driver.

use std::fmt::{Display, Write as _};

/// The translation of a text, with its `{placeholders}` filled in by name:
/// `text!("“{path}” has {size}", path = path.display(), size)`.
///
/// A value is put in as it is, whatever braces it has. What a translation leaves out stays out, and
/// a placeholder without a value stays as it is written.
#[macro_export]
macro_rules! text {
    ($text:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::text::filled(
            &$crate::text::translated($text),
            &[$($crate::text!(@value $name $(= $value)?)),*],
        )
    };
    (@value $name:ident) => {
        (stringify!($name), &$name)
    };
    (@value $name:ident = $value:expr) => {
        (stringify!($name), &$value)
    };
}

/// A text to be translated later, by [`translated`](crate::text::translated): for tables and for
/// fields of errors, which are made before anybody is told.
#[macro_export]
macro_rules! gettext_noop {
    ($text:literal) => {
        $text
    };
}

/// The translation of a text that [`text!`](crate::text!) or
/// [`gettext_noop!`](crate::gettext_noop!) has marked.
pub fn translated(text: &str) -> String {
    gettextrs::gettext(text)
}

/// `text` with its `{placeholders}` filled in; the work of [`text!`](crate::text!).
pub fn filled(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = values.iter().find_map(|(name, value)| {
            let behind = after.strip_prefix(name)?.strip_prefix('}')?;
            Some((value, behind))
        });
        rest = match known {
            Some((value, behind)) => {
                // A text takes everything.
                let _ = write!(filled, "{value}");
                behind
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_by_name() {
        assert_eq!(text!("plain"), "plain");
        assert_eq!(text!("{n} of {most}", most = 6, n = "two"), "two of 6");
        let b = 2;
        assert_eq!(text!("{a}{b}, {a}", a = 1, b), "12, 1");
    }

    #[test]
    fn values_are_put_in_as_they_are() {
        assert_eq!(text!("{a}, {b}", a = "{b}", b = "{a} {"), "{b}, {a} {");
    }

    #[test]
    fn a_broken_translation_is_shown_as_far_as_it_goes() {
        let values: &[(&str, &dyn Display)] = &[("path", &"/a"), ("pat", &"no")];
        for (text, expected) in [
            ("", ""),
            ("nothing", "nothing"),
            ("{path", "{path"),
            ("{paths} {} {", "{paths} {} {"),
            ("{{path}}", "{/a}"),
            ("path} {path}…{other}", "path} /a…{other}"),
        ] {
            assert_eq!(filled(text, values), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_translation_is_filled(text: String, value: String) {
            let _ = filled(&text, &[("", &value), ("é", &value)]);
        }
    }
}
