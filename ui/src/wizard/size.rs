//! Sizes as people write and read them.

use gettextrs::gettext;
use vmm_core::units::Bytes;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A size with the unit that suits it, such as “2 GiB” or “1.5 GiB”, cut after two digits behind
/// the point.
pub(crate) fn text(size: Bytes) -> String {
    match size.0 {
        TIB.. => in_unit(&gettext("{n} TiB"), size.0, TIB),
        GIB.. => in_unit(&gettext("{n} GiB"), size.0, GIB),
        MIB.. => in_unit(&gettext("{n} MiB"), size.0, MIB),
        _ => in_unit(&gettext("{n} KiB"), size.0, 1 << 10),
    }
}

/// A size to be read again: in the largest unit that leaves nothing out, or in MiB.
pub(super) fn exact(size: Bytes) -> String {
    let is_short = |unit: u64| size.0 >= unit && (size.0 % unit * 100).is_multiple_of(unit);
    if is_short(TIB) {
        in_unit(&gettext("{n} TiB"), size.0, TIB)
    } else if is_short(GIB) {
        in_unit(&gettext("{n} GiB"), size.0, GIB)
    } else {
        in_unit(&gettext("{n} MiB"), size.0, MIB)
    }
}

fn in_unit(text: &str, bytes: u64, unit: u64) -> String {
    let (whole, rest) = (bytes / unit, bytes % unit * 100 / unit);
    let number = format!("{whole}.{rest:02}");
    text.replace("{n}", number.trim_end_matches('0').trim_end_matches('.'))
}

/// Reads a size: a number, whole or with a point or comma, and a unit (`M`, `MiB`, `GB` …, all
/// powers of 1024), or `unit` when there is none. `None` when it is no such.
pub(crate) fn parse(text: &str, unit: Bytes) -> Option<Bytes> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let unit = match rest.trim().to_ascii_uppercase().as_str() {
        "" => unit.0,
        "M" | "MB" | "MIB" => MIB,
        "G" | "GB" | "GIB" => GIB,
        "T" | "TB" | "TIB" => TIB,
        _ => return None,
    };
    // More digits than this are no size; and `f64` reads “1e5” and “inf”, which have been refused.
    let number: f64 = digits.replace(',', ".").parse().ok().filter(|_| digits.len() <= 15)?;
    // A float that is too large becomes the largest integer.
    Some(Bytes((number * unit as f64).round() as u64))
}

/// The next whole multiple of `unit`.
pub(super) fn round_up(size: Bytes, unit: Bytes) -> Bytes {
    Bytes(size.0.checked_next_multiple_of(unit.0).unwrap_or(size.0))
}

/// Steps of a slider on which each doubling takes the same way: `notches` to one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doublings {
    pub(super) notches: u32,
}

impl Doublings {
    /// Where `size` is on the slider.
    pub(super) fn position(self, size: u64) -> f64 {
        (size.max(1) as f64).log2()
    }

    /// The size at a position: a multiple of the notches' share in the power of two beneath.
    pub(super) fn size(self, position: f64) -> u64 {
        let power = position.clamp(0.0, 62.0).floor();
        let base = power.exp2();
        let notch = (base / f64::from(self.notches)).max(1.0);
        // Between 1 and 2^63, so exact enough.
        ((position.clamp(0.0, 62.0).exp2() / notch).round() * notch) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let gib = Bytes::gib(1);
        for (written, size) in [
            ("2 GiB", Bytes::gib(2)),
            ("2g", Bytes::gib(2)),
            ("1.5 GiB", Bytes::mib(1536)),
            ("1,5", Bytes::mib(1536)),
            (" 512 MB ", Bytes::mib(512)),
            ("1T", Bytes::gib(1024)),
            ("4", Bytes::gib(4)),
        ] {
            assert_eq!(parse(written, gib), Some(size), "{written}");
        }
        for written in ["", "G", "-1", "1e5", "inf", "2 X", "1..5", "a", "１", "1.5.5G"] {
            assert_eq!(parse(written, gib), None, "{written}");
        }
        assert_eq!(parse(&"9".repeat(400), gib), None);
        assert!(parse("999999999999999 T", gib) >= Some(Bytes(u64::MAX - 1)));
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for (size, shown) in [
            (Bytes::mib(512), "512 MiB"),
            (Bytes::gib(2), "2 GiB"),
            (Bytes::mib(1536), "1.5 GiB"),
            (Bytes::mib(2304), "2.25 GiB"),
            (Bytes::gib(2048), "2 TiB"),
            (Bytes::mib(1153), "1153 MiB"),
            (Bytes::mib(1024 * 1024 + 512), "1024.5 GiB"),
            (Bytes(1 << 19), "0.5 MiB"),
        ] {
            assert_eq!(exact(size), shown);
            assert_eq!(parse(shown, Bytes::gib(1)), Some(size));
        }
    }

    #[test]
    fn what_is_only_shown_is_cut() {
        assert_eq!(text(Bytes::mib(1153)), "1.12 GiB");
        assert_eq!(text(Bytes(0)), "0 KiB");
        assert_eq!(text(Bytes(u64::MAX)), "16777215.99 TiB");
    }

    #[test]
    fn every_step_of_the_slider_moves_on() {
        let scale = Doublings { notches: 4 };
        let mut size = 64 << 20;
        while size < 1 << 40 {
            let up = scale.size(scale.position(size) + 0.25);
            assert!(up > size && up <= size + size / 4, "{size} → {up}");
            let down = scale.size(scale.position(up) - 0.25);
            assert!(down < up, "{up} → {down}");
            assert_eq!(scale.size(scale.position(up)), up);
            assert_eq!(parse(&exact(Bytes(up)), Bytes::gib(1)), Some(Bytes(up)));
            size = up;
        }
    }
}
