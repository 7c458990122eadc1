//! Writing the terminal's text to a file.

use gtk::gio::prelude::*;
use gtk::{gio, glib};

use super::rows::{self, Rows};

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
    // What is written from now on is not waited for.
    let Rows { first: mut row, end } = Rows::of(terminal).unwrap_or(Rows { first: 0, end: 0 });
    while row < end {
        // Rows that have been pushed out meanwhile are gone.
        row = Rows::of(terminal).map_or(row, |rows| row.max(rows.first)).min(end);
        let next = (row + ROWS).min(end);
        let text = rows::text(terminal, row, next);
        let text = if next == end { format!("{}\n", text.trim_end_matches('\n')) } else { text };
        stream.write_all_future(text.into_bytes(), priority).await.map_err(|(_, error)| error)?;
        row = next;
        glib::timeout_future(std::time::Duration::from_millis(1)).await;
    }
    stream.close_future(priority).await
}
