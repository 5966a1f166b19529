//! The page for terminals and for programs.

use super::{View, place};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn text(view: &View<'_>) -> String {
    let mut out = String::new();
    for (index, error) in view.report.errors.iter().enumerate() {
        let caused = if index > 0 { "\ncaused by " } else { "" };
        let _ = writeln!(out, "{caused}{}: {}", error.class, error.message.trim_end());
        if error.line > 0 {
            let _ = writeln!(out, "  at {}:{}", view.short(&error.file), error.line);
        }
        if let Some(excerpt) = view.excerpt(&error.file, error.line, 3).filter(|_| index == 0) {
            out.push('\n');
            for (number, line) in (excerpt.first..).zip(&excerpt.lines) {
                let mark = if number == excerpt.here { '>' } else { ' ' };
                let _ = writeln!(out, "  {mark} {number:>5} | {line}");
            }
        }
        if !error.frames.is_empty() {
            out.push('\n');
        }
        for (number, frame) in error.frames.iter().enumerate() {
            let _ = writeln!(out, "  #{number} {}  {}", place(view, frame), frame.call);
        }
    }
    let _ = writeln!(out, "\n{} {}", view.seen.method, view.seen.target);
    // A message must not drive the terminal.
    out.chars().filter(|char| *char == '\n' || *char == '\t' || !char.is_control()).collect()
}

pub(crate) fn json(view: &View<'_>) -> String {
    let errors: Vec<Value> = view
        .report
        .errors
        .iter()
        .map(|error| {
            let trace: Vec<Value> = error
                .frames
                .iter()
                .map(|frame| json!({"file": frame.file, "line": frame.line, "call": frame.call}))
                .collect();
            json!({
                "class": error.class, "message": error.message, "code": error.code,
                "file": error.file, "line": error.line, "trace": trace,
            })
        })
        .collect();
    let main = view.main();
    let excerpt = view.excerpt(&main.file, main.line, 4).map(|excerpt| {
        let lines = (excerpt.first..).zip(&excerpt.lines);
        lines.map(|(number, line)| json!({"line": number, "code": line})).collect::<Vec<_>>()
    });
    let mut errors = errors.into_iter();
    let page = json!({
        "status": view.status,
        "error": errors.next(),
        "previous": errors.collect::<Vec<_>>(),
        "excerpt": excerpt,
        "request": {"method": view.seen.method, "target": view.seen.target},
        "php": view.php(),
        "server": concat!("roadrunner/", env!("CARGO_PKG_VERSION")),
    });
    format!("{page:#}\n")
}
