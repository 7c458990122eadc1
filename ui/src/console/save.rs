//! Writing the terminal's text to a file.

use gtk::gio::prelude::*;
use gtk::prelude::*;
use gtk::{gio, glib};
use vte::prelude::*;

/// Rows that are taken at once: few enough not to hold up the window.
const ROWS: i64 = 500;

/// Writes all that `terminal` holds to `file`. Only the taking of the text is done here, a piece
/// at a time; the file is written by GIO's workers, and takes the place of an old one when it is
/// complete.
///
/// # Errors
/// What GIO says.
pub(super) async fn save(terminal: &vte::Terminal, file: &gio::File) -> Result<(), glib::Error> {
    let priority = glib::Priority::DEFAULT;
    let stream = file.replace_future(None, false, gio::FileCreateFlags::NONE, priority).await?;
    let mut row = first_row(terminal);
    // What is written from now on is not waited for.
    let end = last_row(terminal) + 1;
    while row < end {
        // Rows that have been pushed out meanwhile are gone.
        row = row.max(first_row(terminal));
        let next = (row + ROWS).min(end);
        let (text, _) = terminal.text_range_format(vte::Format::Text, row, 0, next, 0);
        let text = text.map(|text| text.as_str().to_owned()).unwrap_or_default();
        let text = if next == end { format!("{}\n", text.trim_end_matches('\n')) } else { text };
        stream.write_all_future(text.into_bytes(), priority).await.map_err(|(_, error)| error)?;
        row = next;
        glib::timeout_future(std::time::Duration::from_millis(1)).await;
    }
    stream.close_future(priority).await
}

fn first_row(terminal: &vte::Terminal) -> i64 {
    terminal.vadjustment().map_or(0, |rows| rows.lower() as i64)
}

/// The cursor's row is the last that can hold text, unless it was sent up.
fn last_row(terminal: &vte::Terminal) -> i64 {
    let rows = terminal.vadjustment().map_or(0, |rows| rows.upper() as i64);
    rows.max(terminal.cursor_position().1 + 1) - 1
}
