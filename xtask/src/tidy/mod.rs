//! `cargo xtask tidy`: the rules of the code base that no compiler holds.
//!
//! Owns the order of the checks and how a finding is shown. Each rule is a function of a file's text (or of what
//! cargo says), so that its tests need no repository.

mod code;
mod files;
mod layers;
mod unsafety;
mod words;

use crate::{Result, repo};
use std::fmt;

/// A breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Finding {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Runs all checks.
pub(crate) fn run() -> Result<()> {
    let mut findings = Vec::new();
    let mut warnings = Vec::new();
    let files = repo::files()?;
    for path in &files {
        let bytes = std::fs::read(repo::root().join(path)).map_err(|error| format!("{path}: {error}"))?;
        // What is no text has nothing to check.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        words::anywhere(path, &text, &mut findings);
        files::size(path, &text, &mut findings, &mut warnings);
        if path.ends_with(".rs") {
            let lines = code::split(&text);
            files::head(path, &text, &mut findings);
            words::rust(path, &lines, &mut findings);
            unsafety::rooms(path, &lines, &mut findings);
            unsafety::fence(path, &lines, &mut findings);
        } else if path.ends_with(".phpt") {
            words::phpt(path, &text, &mut findings);
        }
    }
    layers::check(&files, &mut findings)?;
    findings.sort();
    for warning in &warnings {
        println!("warning: {warning}");
    }
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing found", files.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} found")),
    }
}
