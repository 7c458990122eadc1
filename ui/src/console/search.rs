//! Looking through the scroll-back without holding up the window.
//!
//! VTE's own search looks at a hundred thousand lines at once, which takes some tenths of a second.
//! Here the lines are taken a few at a time and matched on a worker; VTE is then asked only for the
//! line that is known to match, to show and select it.

use gtk::prelude::*;
use gtk::{gio, glib};
use vte::prelude::*;

use super::rows::{self, Rows};

/// Rows that are taken at once: some milliseconds. While they are matched, the window goes on.
const ROWS: i64 = 500;
/// Most rows that a line is followed for.
const LONGEST_LINE: i64 = 200;

/// What is looked for: a regular expression of PCRE.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) flags: glib::RegexCompileFlags,
}

impl Pattern {
    /// For matching, in one thread; `None` when it is no regular expression.
    pub(super) fn compile(&self) -> Option<glib::Regex> {
        glib::Regex::new(&self.text, self.flags, glib::RegexMatchFlags::DEFAULT).ok().flatten()
    }
}

/// A line of text that matches, as rows of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    first: i64,
    last: i64,
}

/// The next line that matches `pattern` before (or behind) `from`, and from the other end on if
/// there is none; without `from`, the last (or first).
pub(super) async fn find(
    terminal: &vte::Terminal,
    pattern: &Pattern,
    from: Option<Line>,
    back: bool,
) -> Option<Line> {
    let Rows { first: lower, end: upper } = Rows::of(terminal)?;
    let from = from.filter(|line| line.last >= lower);
    // First to the end in that direction, then from the other end up to here and with it.
    let parts = match (from, back) {
        (None, _) => [lower..upper, 0..0],
        (Some(line), true) => [lower..line.first, line.first..upper],
        (Some(line), false) => [line.last + 1..upper, lower..line.last + 1],
    };
    for part in parts {
        let mut rest = part;
        while !rest.is_empty() {
            let piece = match back {
                true => begin_of_line(terminal, (rest.end - ROWS).max(rest.start))..rest.end,
                false => rest.start..(rest.start + ROWS).min(rest.end),
            };
            let texts: Vec<String> = piece.clone().map(|row| text_of(terminal, row)).collect();
            let (first, pattern) = (piece.start, pattern.clone());
            let found =
                gio::spawn_blocking(move || nearest(&texts, first, &pattern, back)).await.ok()?;
            if found.is_some() {
                return found;
            }
            match back {
                true => rest.end = piece.start,
                false => rest.start = piece.end,
            }
        }
    }
    None
}

/// Lets VTE select what it finds in `line`; says whether it does.
pub(super) fn select(terminal: &vte::Terminal, line: Line, back: bool) -> bool {
    let (Some(rows), Some(adjustment)) = (Rows::of(terminal), terminal.vadjustment()) else {
        return false;
    };
    terminal.unselect_all();
    // With nothing selected, VTE begins at the edge of what is seen: there, the line comes next.
    let above = if back { line.last + 1 - adjustment.page_size() as i64 } else { line.first };
    adjustment.set_value((above - rows.first) as f64);
    if back { terminal.search_find_previous() } else { terminal.search_find_next() }
}

/// The first row of the line that `row` belongs to.
fn begin_of_line(terminal: &vte::Terminal, row: i64) -> i64 {
    let least = row - LONGEST_LINE;
    let mut row = row;
    while row > least && !text_of(terminal, row - 1).ends_with('\n') {
        row -= 1;
    }
    row
}

/// A row, with a line break unless its line goes on in the next.
fn text_of(terminal: &vte::Terminal, row: i64) -> String {
    rows::text(terminal, row, row + 1)
}

/// The last (or first) line that matches among rows with these texts, of which `first` is the
/// number of the first.
fn nearest(texts: &[String], first: i64, pattern: &Pattern, back: bool) -> Option<Line> {
    let regex = pattern.compile()?;
    let mut lines: Vec<(Line, String)> = Vec::new();
    for (row, text) in (first..).zip(texts) {
        match lines.last_mut() {
            Some((line, whole)) if !whole.ends_with('\n') => {
                line.last = row;
                whole.push_str(text);
            }
            _ => lines.push((Line { first: row, last: row }, text.clone())),
        }
    }
    let matches = |(_, text): &&(Line, String)| {
        let text = glib::GString::from(text.trim_end_matches('\n'));
        let found = regex.match_(text.as_gstr(), glib::RegexMatchFlags::DEFAULT);
        found.is_ok_and(|found| found.matches())
    };
    let found = if back { lines.iter().rfind(matches) } else { lines.iter().find(matches) };
    found.map(|(line, _)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_rows_are_one_line() {
        let texts = ["one\n", "tw", "o and ", "three\n", "two\n", "last"].map(str::to_owned);
        let regex =
            |text: &str| Pattern { text: text.into(), flags: glib::RegexCompileFlags::DEFAULT };
        let line = |first, last| Some(Line { first, last });
        assert_eq!(nearest(&texts, 10, &regex("two"), false), line(11, 13));
        assert_eq!(nearest(&texts, 10, &regex("two"), true), line(14, 14));
        assert_eq!(nearest(&texts, 10, &regex("^three"), true), None);
        assert_eq!(nearest(&texts, 10, &regex("st$"), true), line(15, 15));
        assert_eq!(nearest(&[], 0, &regex("x"), true), None);
    }
}
