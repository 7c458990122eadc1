//! Texts in columns, as wide as a terminal shows them.

use unicode_width::UnicodeWidthStr;

/// Rows in columns, two blanks apart.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].width()).max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| padded(cell, width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `text` with blanks up to `columns`.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(text.width());
    format!("{text}{:blanks$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_all_scripts() {
        let rows = [["名稱", "x"], ["dé", "y"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), ["名稱  x", "dé    y"]);
        assert_eq!(padded("メモリー", 5), "メモリー");
    }
}
