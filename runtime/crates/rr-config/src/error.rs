//! Where a setting was written, and what is wrong with it. Owns the one text form of errors and warnings:
//! `source[:line]: path: what is wrong, and what to do`. Knows nothing of YAML or of any section.

use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file as the user named it, `-o` for an override, `Server::create()` for settings from PHP.
    pub source: Arc<str>,
    /// Line, from 1; 0 when there is none to tell.
    pub line: u32,
}

impl Position {
    /// A place without lines, such as `-o` or `Server::create()`.
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), line: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// The step of loading that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The file could not be read.
    Read,
    /// The file is not YAML, or more of it than we accept.
    Parse,
    /// A `-o key=value` is malformed.
    Override,
    /// `version` is missing or not a string.
    Version,
    /// An included file does not fit.
    Include,
    /// A value does not fit its key.
    Decode,
    /// A section lacks a key that stands beside the others.
    Incomplete,
}

/// Why the settings cannot be used. `Display` gives one line per fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// The step that failed.
    pub step: Step,
    /// Where the offending value was written.
    pub at: Position,
    /// The key, such as `http.pool.num_workers`; empty when the fault is not in one key.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Further faults of the same load: a user mends them all at once.
    pub others: Vec<ConfigError>,
}

impl ConfigError {
    /// The same without what is only missing, which may still be said; `None`: nothing else is wrong.
    #[must_use]
    pub fn beside_what_is_missing(mut self) -> Option<Self> {
        let others = std::mem::take(&mut self.others);
        let mut faults = std::iter::once(self).chain(others).filter(|fault| fault.step != Step::Incomplete);
        let first = faults.next()?;
        Some(Self { others: faults.collect(), ..first })
    }

    pub(crate) fn new(step: Step, at: Position, path: &str, message: impl Into<String>) -> Self {
        Self { step, at, path: path.into(), message: message.into(), others: Vec::new() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, &self.at, &self.path, &self.message)?;
        self.others.iter().try_for_each(|other| write!(f, "\n{other}"))
    }
}

/// Something the user should know, though the settings can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it was written.
    pub at: Position,
    /// The key; empty when the warning is not about one.
    pub path: String,
    /// What is odd, and what to do.
    pub message: String,
}

impl Warning {
    pub(crate) fn new(at: Position, path: &str, message: impl Into<String>) -> Self {
        Self { at, path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, &self.at, &self.path, &self.message)
    }
}

fn line(f: &mut fmt::Formatter<'_>, at: &Position, path: &str, message: &str) -> fmt::Result {
    if path.is_empty() { write!(f, "{at}: {message}") } else { write!(f, "{at}: {path}: {message}") }
}
