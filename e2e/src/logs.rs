//! What a server writes, read as it comes: JSON lines of its log, and whatever else.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lines so far.
#[derive(Debug, Clone, Default)]
pub struct Logs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<Line>>,
    more: Condvar,
}

#[derive(Debug, Clone)]
struct Line {
    text: String,
    /// Null when it is no JSON object.
    json: Value,
}

impl Logs {
    /// Reads `from` to its end in a thread of its own.
    pub fn collect(&self, from: impl Read + Send + 'static) {
        let shared = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                let json = serde_json::from_str(&text).ok().filter(Value::is_object).unwrap_or(Value::Null);
                shared.lines.lock().unwrap_or_else(PoisonError::into_inner).push(Line { text, json });
                shared.more.notify_all();
            }
        });
    }

    fn lines(&self) -> Vec<Line> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, as it was written.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The log records.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        self.lines().into_iter().map(|line| line.json).filter(|json| !json.is_null()).collect()
    }

    /// Lines that are no log records.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.json.is_null()).map(|line| line.text).collect()
    }

    /// How many records have `text` in their message.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.records().iter().filter(|record| message(record).contains(text)).count()
    }

    /// Waits for a record; `None` when it does not come.
    pub fn wait_for(&self, wanted: impl Fn(&Value) -> bool, patience: Duration) -> Option<Value> {
        let deadline = Instant::now() + patience;
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = 0;
        loop {
            if let Some(line) = lines[seen..].iter().find(|line| !line.json.is_null() && wanted(&line.json)) {
                return Some(line.json.clone());
            }
            seen = lines.len();
            let left = deadline.checked_duration_since(Instant::now())?;
            lines = self.0.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a record with `text` in its message; fails the test when it does not come.
    #[track_caller]
    pub fn expect(&self, text: &str) -> Value {
        self.wait_for(|record| message(record).contains(text), crate::SOON)
            .unwrap_or_else(|| panic!("no log line with {text:?} in:\n{}", self.text()))
    }

    /// Waits until `count` records have `text` in their messages.
    #[track_caller]
    pub fn expect_times(&self, text: &str, count: usize) {
        let enough = crate::until(crate::SOON, || (self.count(text) >= count).then_some(()));
        assert!(enough.is_some(), "not {count} log lines with {text:?} in:\n{}", self.text());
    }
}

fn message(record: &Value) -> &str {
    record["msg"].as_str().unwrap_or_default()
}
