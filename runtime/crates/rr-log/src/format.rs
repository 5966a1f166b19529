//! How an event becomes a line.

use serde_json::{Map, Value};
use std::fmt::{Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::Level;
use tracing::field::{Field, Visit};

/// Which kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// For people.
    Console,
    /// RoadRunner's v2025.1 JSON: `level`, `ts` (unix nanoseconds), `logger`, `msg`, then the fields.
    Json,
    /// The message only.
    Raw,
}

/// The look of a line.
#[derive(Debug, Clone)]
pub struct Style {
    /// Which kind.
    pub encoding: Encoding,
    /// Whether the reader is a terminal that shows colours.
    pub color: bool,
    /// What ends a line.
    pub ending: String,
    /// Lines of requests, and what belongs to them, in the form of development mode.
    pub dev: bool,
}

/// The field that holds what an app has given with its message.
const CONTEXT: &str = "context";

/// The field that names the logger where its name is made at run time.
pub(crate) const LOGGER: &str = "logger";

#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) message: String,
    pub(crate) others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, other) => {
                self.others.insert(name.to_owned(), other);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        // What belongs to a message is JSON already.
        let known = if field.name() == CONTEXT { serde_json::from_str(value).ok() } else { None };
        self.put(field, known.unwrap_or_else(|| Value::from(value)));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
}

impl Style {
    /// The line of a record, its ending included.
    pub(crate) fn render(&self, level: Level, logger: &str, fields: Fields, now: SystemTime) -> Vec<u8> {
        let mut line = match self.encoding {
            Encoding::Json => json(level, logger, fields, now),
            Encoding::Console => self.console(level, logger, &fields, now),
            Encoding::Raw => fields.message,
        };
        line.push_str(&self.ending);
        line.into_bytes()
    }

    fn console(&self, level: Level, logger: &str, fields: &Fields, now: SystemTime) -> String {
        let paint = |code: &str, text: &str| {
            if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        if self.dev
            && let Some(line) = crate::dev::line(&paint, level, logger, fields, now)
        {
            return line;
        }
        let name = match level {
            Level::ERROR => paint("1;31", "ERROR"),
            Level::WARN => paint("33", "WARN "),
            Level::INFO => paint("32", "INFO "),
            _ => paint("34", "DEBUG"),
        };
        let mut line = format!(
            "{} {name} {} {}",
            paint("2", &time(now)),
            paint("36", logger),
            printable(&fields.message)
        );
        for (key, value) in &fields.others {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let _ = write!(line, " {}{}", paint("2", &format!("{key}=")), printable(&value));
        }
        line
    }
}

/// Keeps a line one line, and a worker's output from driving the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => out.push_str("\n    "),
            '\t' => out.push('\t'),
            other if other.is_control() => {
                let _ = write!(out, "{}", other.escape_default());
            }
            other => out.push(other),
        }
    }
    out
}

fn json(level: Level, logger: &str, fields: Fields, now: SystemTime) -> String {
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    };
    let nanos = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let string = |text: &str| Value::from(text).to_string();
    let mut line = format!(
        "{{\"level\":\"{level}\",\"ts\":{nanos},\"logger\":{},\"msg\":{}",
        string(logger),
        string(&fields.message)
    );
    for (key, value) in fields.others {
        let _ = write!(line, ",{}:{value}", string(&key));
    }
    line.push('}');
    line
}

/// `2026-11-22T20:15:00.123Z`.
pub(crate) fn time(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar: years counted from March,
/// in eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn fields() -> Fields {
        let mut fields = Fields { message: "said \"hi\"".to_owned(), ..Fields::default() };
        fields.others.insert("status".to_owned(), Value::from(200));
        fields.others.insert("URI".to_owned(), Value::from("/a\u{1b}[31m"));
        fields
    }

    #[test]
    fn json_lines_have_roadrunners_keys_in_its_order() {
        let now = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        let line = json(Level::INFO, "http", fields(), now);
        assert!(
            line.starts_with(
                r#"{"level":"info","ts":1700000000000000005,"logger":"http","msg":"said \"hi\"","#
            )
        );
        let parsed: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(parsed["status"], 200);
    }

    #[test]
    fn console_lines_do_not_pass_control_characters_on() {
        let style = Style { encoding: Encoding::Console, color: false, ending: "\n".to_owned(), dev: false };
        let line = style.console(Level::ERROR, "http", &fields(), UNIX_EPOCH);
        assert_eq!(line, "1970-01-01T00:00:00.000Z ERROR http said \"hi\" URI=/a\\u{1b}[31m status=200");
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
    }
}
