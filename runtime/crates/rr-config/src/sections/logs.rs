//! `logs`: what is logged, how it looks and where it goes.

use std::path::PathBuf;

use crate::decode::{Decoder, Kind, Section, section};
use crate::kinds::{Choice, Flag, Gentle, Maybe, Names, Number, Text};
use crate::node::{Map, Node};
use crate::schema::Schema;

/// The overall manner of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMode {
    /// For people; debug messages too, when written explicitly.
    Development,
    /// For machines.
    Production,
    /// The message and nothing else.
    Raw,
    /// Nothing is logged.
    Off,
}

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What an operator should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEncoding {
    /// Console on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Console,
    /// For machines.
    Json,
}

const MODES: Choice<LogMode> = Choice(
    &[
        ("development", LogMode::Development),
        ("production", LogMode::Production),
        ("raw", LogMode::Raw),
        ("off", LogMode::Off),
        ("none", LogMode::Off),
    ],
    &[],
);

const LEVELS: Choice<LogLevel> = Choice(
    &[
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warn", LogLevel::Warn),
        ("error", LogLevel::Error),
        ("panic", LogLevel::Error),
    ],
    &[("warning", LogLevel::Warn), ("dpanic", LogLevel::Error), ("fatal", LogLevel::Error)],
);

const ENCODINGS: Choice<LogEncoding> = Choice(
    &[("auto", LogEncoding::Auto), ("console", LogEncoding::Console), ("json", LogEncoding::Json)],
    &[],
);

section! {
    /// What is logged, how it looks and where it goes.
    Logs {
        /// The overall manner; `raw` is the bare message, `off` is silence.
        mode: LogMode = LogMode::Development => Gentle(MODES);
        /// The least level that is logged; `debug` when `mode: development` is written.
        level: LogLevel = LogLevel::Info => Gentle(LEVELS);
        /// The form of a line; `auto` is console on a terminal and JSON otherwise.
        encoding: LogEncoding = LogEncoding::Auto => ENCODINGS;
        /// What ends a line.
        line_ending: String = "\n".into() => Text;
        /// Where lines go: `stderr`, `stdout` or files.
        output: Vec<String> = vec!["stderr".into()] => Names;
        /// Where faults of the log itself go.
        err_output: Vec<String> = vec!["stderr".into()] => Names;
        /// A file that is rotated; lines in it are JSON.
        file("file_logger_options"): Option<FileLog> = None => Maybe;
        /// Settings per logger, with the same keys: `channels.<name>.level` and so on; what is not written is as above.
        channels: Vec<(String, Logs)> = Vec::new() => Channels;
    }
    // Keys of RoadRunner's 2026 line.
    unserved "format", "time_format", "skip_line_ending";
    finish explicit_development;
}

section! {
    /// A log file that is rotated.
    FileLog {
        /// The file; `roadrunner.log` in the system's directory for temporary files unless given.
        log_output: String = String::new() => Text;
        /// Megabytes at which the file is rotated.
        max_size: u64 = 100 => Number::ANY.or_default();
        /// Days after which a rotated file is removed.
        max_age: u64 = 24 => Number::ANY.or_default();
        /// Rotated files that are kept.
        max_backups: usize = 10 => Number::ANY.or_default();
        /// Compresses rotated files.
        compress: bool = false => Flag;
    }
}

impl FileLog {
    /// The file to write to.
    pub fn path(&self) -> PathBuf {
        match self.log_output.as_str() {
            "" => std::env::temp_dir().join("roadrunner.log"),
            path => path.into(),
        }
    }
}

/// RoadRunner's own default of `mode` is development too, but only who writes it wants to see debug
/// messages.
fn explicit_development(section: &mut Logs, _: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    let written = |key| map.get(key).is_some_and(|node| !node.is_null());
    if section.mode == LogMode::Development && written("mode") && !written("level") {
        section.level = LogLevel::Debug;
    }
    if path != "logs"
        && let Some(node) = map.get("channels")
    {
        decoder.warn(&node.at, &format!("{path}.channels"), "channels have no channels; this is ignored");
        section.channels.clear();
    }
    inherit(section, map);
}

/// What is not written in a channel is as in the section above. A mode that is written brings its own level.
fn inherit(section: &mut Logs, map: &Map) {
    let Some(channels) = map.get("channels").and_then(Node::as_map) else { return };
    let mut own = std::mem::take(&mut section.channels);
    for (name, channel) in &mut own {
        let map = channels.get(name).and_then(Node::as_map);
        let written = |key| map.and_then(|map| map.get(key)).is_some_and(|node| !node.is_null());
        if !written("level") && !written("mode") {
            channel.level = section.level;
        }
        if !written("mode") {
            channel.mode = section.mode;
        }
        if !written("encoding") && !written("mode") {
            channel.encoding = section.encoding;
        }
        if !written("line_ending") {
            channel.line_ending.clone_from(&section.line_ending);
        }
        if !written("output") && !written("file_logger_options") {
            channel.output.clone_from(&section.output);
            channel.file.clone_from(&section.file);
        }
    }
    section.channels = own;
}

/// Plugins with their own settings.
struct Channels;

impl Kind<Vec<(String, Logs)>> for Channels {
    fn name(&self) -> String {
        "map of sections".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, Logs)>> {
        let map = decoder.section(node, path)?;
        let mut channels = Vec::with_capacity(map.len());
        for (name, node) in map.iter().filter(|(_, node)| !node.is_null()) {
            if let Some(logs) = Logs::decode(node, &format!("{path}.{name}"), decoder) {
                channels.push((name.to_owned(), logs));
            }
        }
        Some(channels)
    }
    fn schema(&self) -> Schema {
        // With the same keys; a channel's own channels are a warning.
        Schema::map_of(Schema::of(serde_json::json!({"$ref": "#/properties/logs"})))
    }
    fn show(&self, _: &Vec<(String, Logs)>) -> String {
        String::new()
    }
}
