//! `app.*`: lines that clients of RPC write to the log (rows R-90…92).

use rr_log::{Map, Value};
use rr_metrics::{Collect, Kind, Page};
use rr_rpc::message::applogger::{LogEntry, Response};
use rr_rpc::{Plain, Proto, Service};
use tracing::Level;

/// The logger's name, as with RoadRunner.
const LOGGER: &str = "app";

/// The methods. Like RoadRunner's they are there without a section.
pub(crate) fn service() -> Service {
    let text = |level: Level| {
        move |Plain(text): Plain<String>| {
            rr_log::write(level, LOGGER, &text, Map::new());
            Ok::<_, String>(Plain(true))
        }
    };
    let entry = |level: Level| {
        move |Proto(entry): Proto<LogEntry>| {
            let fields = entry.log_attrs.into_iter().map(|field| (field.key, Value::from(field.value)));
            rr_log::write(level, LOGGER, &entry.message, fields.collect());
            Ok::<_, String>(Proto(Response {}))
        }
    };
    Service::new(LOGGER)
        .method("Error", text(Level::ERROR))
        .method("Warning", text(Level::WARN))
        .method("Info", text(Level::INFO))
        .method("Debug", text(Level::DEBUG))
        .method("Log", |Plain(text): Plain<String>| {
            rr_log::write_raw(text.into_bytes());
            Ok::<_, String>(Plain(true))
        })
        .method("ErrorWithContext", entry(Level::ERROR))
        .method("WarningWithContext", entry(Level::WARN))
        .method("InfoWithContext", entry(Level::INFO))
        .method("DebugWithContext", entry(Level::DEBUG))
        .method("LogWithContext", |Proto(entry): Proto<LogEntry>| {
            rr_log::write_raw(raw(&entry).into_bytes());
            Ok::<_, String>(Proto(Response {}))
        })
}

/// `msg k:v,k:v`, with its last character, which RoadRunner drops.
fn raw(entry: &LogEntry) -> String {
    let fields: Vec<_> =
        entry.log_attrs.iter().map(|field| format!("{}:{}", field.key, field.value)).collect();
    if fields.is_empty() { entry.message.clone() } else { format!("{} {}", entry.message, fields.join(",")) }
}

/// How many lines were lost.
pub(crate) struct LogSeries;

impl Collect for LogSeries {
    fn collect(&self, page: &mut Page) {
        let name = "rr_log_lines_lost_total";
        page.family(
            name,
            Kind::Counter,
            "Lines of the log that were lost: the outputs are too slow or failed.",
        );
        page.sample(name, &[], rr_log::lost() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rr_rpc::message::applogger::LogAttrs;

    #[test]
    fn r_92_the_raw_line_is_whole() {
        let field = |key: &str, value: &str| LogAttrs { key: key.to_owned(), value: value.to_owned() };
        let log_attrs = vec![field("a", "1"), field("b", "2")];
        assert_eq!(raw(&LogEntry { message: "x".to_owned(), log_attrs }), "x a:1,b:2");
        assert_eq!(raw(&LogEntry { message: "x".to_owned(), log_attrs: Vec::new() }), "x");
    }
}
