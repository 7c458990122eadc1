//! Which rows the terminal holds, in the numbers that VTE takes texts by.

use gtk::prelude::*;
use vte::prelude::*;

/// The rows that a terminal holds: those of the scroll-back and the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    /// The number of the oldest row. Numbers count from the first row there ever was.
    pub(super) first: i64,
    /// The number after that of the newest.
    pub(super) end: i64,
}

impl Rows {
    /// The rows of `terminal` now.
    ///
    /// VTE does not tell how many rows have been pushed out of a full scroll-back: its adjustment
    /// counts from the oldest row, its texts and its cursor from the first there ever was. Where
    /// the cursor stands in the last row, as it mostly does, that gives the difference; otherwise
    /// what is seen is looked for among the few rows where it can be.
    pub(super) fn of(terminal: &vte::Terminal) -> Option<Self> {
        let adjustment = terminal.vadjustment()?;
        let (value, count) = (adjustment.value() as i64, adjustment.upper() as i64);
        let page = adjustment.page_size() as i64;
        let cursor = terminal.cursor_position().1;
        let least = (cursor + 1 - count).max(0);
        let most = (cursor + page - count).max(least);
        let first = match least == most {
            true => least,
            false => {
                let seen = terminal.text_format(vte::Format::Text).unwrap_or_default();
                let is_seen = |first: &i64| {
                    let text = text(terminal, first + value, first + value + page);
                    text.trim_end() == seen.trim_end()
                };
                (least..=most).find(is_seen).unwrap_or(least)
            }
        };
        Some(Self { first, end: first + count })
    }
}

/// The text of the rows from `first` up to and without `end`.
pub(super) fn text(terminal: &vte::Terminal, first: i64, end: i64) -> String {
    let (text, _) = terminal.text_range_format(vte::Format::Text, first, 0, end, 0);
    text.map(Into::into).unwrap_or_default()
}
