//! What PHP prints and logs in a worker: both go to the server's log with the request they belong to, never into
//! the transport.

use crate::role::{printed, session};
use rr_wire::log::{Entry, Level, Record};
use std::cell::{Cell, RefCell};
use std::io::Write;

thread_local! {
    /// The worker is ready: its log is the channel. Before that it is stderr, which ends up in the message that
    /// says why it did not start.
    static GREETED: Cell<bool> = const { Cell::new(false) };
    static EXPLAINED: Cell<bool> = const { Cell::new(false) };
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Longest piece of output that is logged at once.
const PIECE: usize = 8 * 1024;

pub(crate) fn greeted() {
    GREETED.with(|greeted| greeted.set(true));
}

/// Nobody needs to be told that what is printed outside of a request goes to the log.
pub(crate) fn explained() {
    EXPLAINED.with(|explained| explained.set(true));
}

/// `echo` and its like; `false`: nobody reads it.
pub(crate) fn output(bytes: &[u8]) -> bool {
    if let Some(read) = printed::output(bytes) {
        return read;
    }
    let ready = LINE.with(|line| {
        let mut line = line.try_borrow_mut().ok()?;
        line.extend_from_slice(bytes);
        let end = match line.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if line.len() > PIECE => line.len(),
            None => return None,
        };
        Some(line.drain(..end).collect::<Vec<u8>>())
    });
    if let Some(ready) = ready {
        write_output(&ready);
    }
    true
}

/// `flush()`; `false`: nobody reads what was printed.
pub(crate) fn flush() -> bool {
    printed::flush()
}

/// Logs what was printed without a line break, at the end of a request.
pub(crate) fn flush_output() {
    let rest = LINE
        .with(|line| line.try_borrow_mut().map(|mut line| std::mem::take(&mut *line)).unwrap_or_default());
    if !rest.is_empty() {
        write_output(&rest);
    }
}

fn write_output(text: &[u8]) {
    if !EXPLAINED.with(|explained| explained.replace(true)) {
        let text =
            b"a handler printed something: output goes to the log, the response is what the handler returns";
        write(Level::Warn, text);
    }
    for piece in text.chunks(PIECE) {
        write(Level::Info, piece.trim_ascii_end());
    }
}

/// A PHP error, or `error_log()`; `severity` is syslog's.
pub(crate) fn log(message: &[u8], severity: i32) {
    let level = match severity {
        ..=3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    };
    write(level_of(message).unwrap_or(level), message);
}

/// PHP logs most errors with one severity; the text says which they are.
fn level_of(message: &[u8]) -> Option<Level> {
    let rest = message.strip_prefix(b"PHP ")?;
    let starts = |text: &str| rest.starts_with(text.as_bytes());
    if starts("Fatal") || starts("Parse") || starts("Recoverable") || starts("Core error") {
        Some(Level::Error)
    } else if starts("Warning") || starts("User warning") || starts("Core warning") {
        Some(Level::Warn)
    } else {
        Some(Level::Info)
    }
}

/// What the app logs; `fields` is a JSON object or empty.
pub(crate) fn entry(level: Level, channel: &str, text: &[u8], fields: &[u8]) {
    let sent = GREETED.with(Cell::get)
        && session::try_with(|session| {
            let entry = Entry { level, unit: session.unit(), channel, text, fields };
            session.entry(&entry).is_ok()
        })
        .unwrap_or(false);
    if !sent {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let line = [level.as_bytes(), channel.as_bytes(), text, fields].join(&b' ');
        let _ = std::io::stderr().write_all(&[line.trim_ascii_end(), b"\n"].concat());
    }
}

pub(crate) fn write(level: Level, text: &[u8]) {
    write_with(level, text, b"");
}

/// A message and what belongs to it, as JSON.
pub(crate) fn write_with(level: Level, text: &[u8], context: &[u8]) {
    let sent = GREETED.with(Cell::get)
        && session::try_with(|session| {
            let record = Record { level, unit: session.unit(), text, context };
            session.log(&record).is_ok()
        })
        .unwrap_or(false);
    if !sent {
        let mut line = text.to_vec();
        if !context.is_empty() {
            line.push(b' ');
            line.extend_from_slice(context);
        }
        line.push(b'\n');
        let _ = std::io::stderr().write_all(&line);
    }
}
