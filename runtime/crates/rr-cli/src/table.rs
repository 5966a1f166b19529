//! Tables for people.

use std::fmt::Write;

/// A table with a frame, as RoadRunner prints it (CLI-09): numbers to the right.
pub(crate) fn framed(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([head[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let rule: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect();
    let mut text = format!("{rule}+\n");
    let titles: String =
        widths.iter().zip(head).map(|(width, title)| format!("| {title:^width$} ")).collect();
    let _ = writeln!(text, "{titles}|\n{rule}+");
    for row in rows {
        for (width, cell) in widths.iter().zip(row) {
            let _ = match cell.starts_with(|first: char| first.is_ascii_digit()) {
                true => write!(text, "| {cell:>width$} "),
                false => write!(text, "| {cell:<width$} "),
            };
        }
        text.push_str("|\n");
    }
    let _ = writeln!(text, "{rule}+");
    text
}

/// `1.5 GB`, `20.3 MB`, `512 KB`.
pub(crate) fn bytes(count: u64) -> String {
    let count = count as f64;
    match count {
        _ if count >= 1e9 => format!("{:.1} GB", count / 1e9),
        _ if count >= 1e6 => format!("{:.1} MB", count / 1e6),
        _ => format!("{:.0} KB", count / 1e3),
    }
}

/// `3 days ago`, `12 minutes ago`, `5 seconds ago`, `now`.
pub(crate) fn ago(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        1..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let text = framed(&["PID", "STATUS"], &[vec!["12345".to_owned(), "ready".to_owned()]]);
        let expected = "+-------+--------+\n|  PID  | STATUS |\n+-------+--------+\n| 12345 | ready  |\n+-------+--------+\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!((bytes(1000).as_str(), bytes(20_300_000).as_str()), ("1 KB", "20.3 MB"));
        assert_eq!((ago(1).as_str(), ago(7300).as_str()), ("1 second ago", "2 hours ago"));
        assert_eq!(ago(0), "now");
    }
}
