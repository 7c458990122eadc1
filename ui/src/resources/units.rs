//! Numbers as people read them, and the steps of an axis.

use gettextrs::{gettext, pgettext};

const BINARY: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL: [&str; 6] = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"];

/// A share of 0 to 1 as “37 %”.
pub(super) fn percent(share: f64) -> String {
    let percent = share.clamp(0.0, 1.0) * 100.0;
    let value = match percent {
        // What is not nothing does not look like nothing.
        p if p > 0.0 && p < 0.95 => format!("{p:.1}"),
        p => format!("{p:.0}"),
    };
    // Translators: a share, such as “37 %”.
    gettext("{value} %").replace("{value}", &value)
}

/// A size in bytes as “1.5 GiB”.
pub(super) fn size(bytes: f64) -> String {
    scaled(bytes, 1024.0, &BINARY)
}

/// Bytes per second as “1.2 MB/s”.
pub(crate) fn rate(bytes: f64) -> String {
    scaled(bytes, 1000.0, &DECIMAL)
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = if value.is_finite() { value.max(0.0) } else { 0.0 };
    let mut unit = 0;
    // 999.6 would be written as 1000.
    while value >= base - 0.5 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let number = match value {
        v if unit == 0 || v >= 99.95 => format!("{v:.0}"),
        v => format!("{v:.1}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    };
    // Translators: a number and its unit, such as “1.5 GiB”.
    pgettext("quantity", "{number} {unit}")
        .replace("{number}", &number)
        .replace("{unit}", units[unit])
}

/// The end of an axis that shows `highest`: 1, 2 or 5 times a power of ten.
pub(super) fn nice_ceiling(highest: f64) -> f64 {
    if !highest.is_finite() || highest <= 1.0 {
        return 1.0;
    }
    let decade = 10f64.powf(highest.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    steps.into_iter().find(|step| *step >= highest).unwrap_or(10.0 * decade)
}

/// A time span as an axis says it: “45 s”, “15 min”.
pub(super) fn span(seconds: f64) -> String {
    let (value, text) = match seconds {
        s if s < 120.0 && s % 60.0 != 0.0 || s < 60.0 => (s, gettext("{n} s")),
        s => (s / 60.0, gettext("{n} min")),
    };
    let n = match value {
        v if v.fract().abs() < 0.05 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    };
    text.replace("{n}", &n)
}

/// A time span in words: “minute”, “45 seconds”, “5 minutes”, “hour”.
pub(super) fn span_words(seconds: f64) -> String {
    let (seconds, minutes) = (seconds.round() as u32, (seconds / 60.0).round() as u32);
    match (seconds, minutes) {
        (60, _) => pgettext("in the last …", "minute"),
        (3600, _) => pgettext("in the last …", "hour"),
        (s, _) if s < 120 => {
            gettextrs::ngettext("{n} second", "{n} seconds", s).replace("{n}", &s.to_string())
        }
        (_, m) => {
            gettextrs::ngettext("{n} minute", "{n} minutes", m).replace("{n}", &m.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_read_well() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1536.0, "1.5 KiB"),
            ((612u64 << 20) as f64, "612 MiB"),
            ((2u64 << 30) as f64, "2 GiB"),
            (1023.99 * 1024.0, "1 MiB"),
            (f64::NAN, "0 B"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(rate(1_234_567.0), "1.2 MB/s");
        assert_eq!(rate(999_960.0), "1 MB/s");
        assert_eq!(rate(5e9), "5 GB/s");
        assert_eq!(percent(0.374), "37 %");
        assert_eq!(percent(0.004), "0.4 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(7.0), "100 %");
    }

    #[test]
    fn spans_read_well() {
        assert_eq!(
            [15.0, 45.0, 60.0, 75.0, 150.0].map(span),
            ["15 s", "45 s", "1 min", "75 s", "2.5 min"]
        );
        assert_eq!(
            [45.0, 60.0, 300.0, 3600.0].map(span_words),
            ["45 seconds", "minute", "5 minutes", "hour"]
        );
    }

    proptest::proptest! {
        #[test]
        fn an_axis_holds_its_highest_and_is_not_much_higher(value in 1.0..1e15f64) {
            let top = nice_ceiling(value);
            proptest::prop_assert!(top >= value && top <= 2.5 * value + 1e-6, "{} for {}", top, value);
        }

        #[test]
        fn any_number_has_a_text(value: f64) {
            assert!(!size(value).is_empty() && !rate(value).is_empty());
            assert!(nice_ceiling(value) >= 1.0);
        }
    }
}
