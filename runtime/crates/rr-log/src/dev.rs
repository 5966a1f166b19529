//! Lines of development mode, for a terminal: one per request, aligned; and what PHP prints or dumps under the name of
//! its request, its lines kept.

use crate::format::{Fields, printable, time};
use serde_json::Value;
use std::time::SystemTime;
use tracing::Level;

/// The message of the line per request.
const REQUEST: &str = "http log";
/// Columns of the path.
const PATH: usize = 44;

/// The line; `None` when it is one like all others.
pub(crate) fn line(
    paint: &dyn Fn(&str, &str) -> String,
    level: Level,
    logger: &str,
    fields: &Fields,
    now: SystemTime,
) -> Option<String> {
    let clock = time(now).get(11..19).unwrap_or_default().to_owned();
    let text = |key: &str| fields.others.get(key).and_then(Value::as_str);
    if logger == "http" && fields.message == REQUEST {
        return Some(request(paint, &clock, fields));
    }
    let on = text("on").filter(|_| logger == "php")?;
    let (mark, color) = match level {
        Level::ERROR => ("error", "1;31"),
        Level::WARN => ("warning", "33"),
        _ => ("output", "36"),
    };
    let mut out = format!("{} {} {}", paint("2", &clock), paint("1", &printable(on)), paint(color, mark));
    for line in fields.message.trim_end().lines() {
        out.push_str(&format!("\n         {} {}", paint(color, "│"), printable(line)));
    }
    Some(out)
}

fn request(paint: &dyn Fn(&str, &str) -> String, clock: &str, fields: &Fields) -> String {
    let text = |key: &str| fields.others.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| fields.others.get(key).and_then(Value::as_u64).unwrap_or(0);
    let status = number("status");
    let color = match status {
        500.. => "1;31",
        400.. => "33",
        300.. => "36",
        _ => "32",
    };
    let micros = number("elapsed_us");
    let took = match micros {
        ..10_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{} ms", micros / 1000),
    };
    let slow = if micros >= 500_000 { "33" } else { "0" };
    let memory = match number("memory") >> 20 {
        0 => String::new(),
        memory => format!("{memory} MB"),
    };
    let pid = match number("pid") {
        0 => String::from("no worker"),
        pid => format!("pid {pid}"),
    };
    let method = printable(text("method"));
    let path = printable(text("URI"));
    let path = format!("{path:<PATH$}");
    format!(
        "{} {} {path} {} {} {}",
        paint("2", clock),
        paint("1", &format!("{method:<6}")),
        paint(color, &status.to_string()),
        paint(slow, &format!("{took:>9}")),
        paint("2", &format!("{memory:>7}  {pid}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn plain(_: &str, text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_request_is_one_aligned_line() {
        let mut fields = Fields { message: REQUEST.to_owned(), ..Fields::default() };
        for (key, value) in [
            ("method", Value::from("GET")),
            ("URI", Value::from("/a\u{1b}[2J")),
            ("status", Value::from(200)),
            ("elapsed_us", Value::from(3456)),
            ("memory", Value::from(34_u64 << 20)),
            ("pid", Value::from(77)),
        ] {
            fields.others.insert(key.to_owned(), value);
        }
        let found = line(&plain, Level::INFO, "http", &fields, UNIX_EPOCH).expect("a line");
        let path = format!("{:<44}", "/a\\u{1b}[2J");
        assert_eq!(found, format!("00:00:00 GET    {path} 200    3.4 ms   34 MB  pid 77"));
        assert_eq!(line(&plain, Level::INFO, "server", &fields, UNIX_EPOCH), None);
    }

    #[test]
    fn output_stands_under_its_request() {
        let mut fields = Fields { message: "one\n  two\u{7}\n".to_owned(), ..Fields::default() };
        assert_eq!(line(&plain, Level::INFO, "php", &fields, UNIX_EPOCH), None);
        fields.others.insert("on".to_owned(), Value::from("GET /x"));
        let found = line(&plain, Level::INFO, "php", &fields, UNIX_EPOCH).expect("a line");
        assert_eq!(found, "00:00:00 GET /x output\n         │ one\n         │   two\\u{7}");
    }
}
