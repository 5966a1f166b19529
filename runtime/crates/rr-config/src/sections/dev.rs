//! `dev`: the mode for the developer's machine. Owns the two ways to write it, `dev: true` and a section.

use crate::decode::{Decoder, Kind, Row, Section, section};
use crate::kinds::{Flag, Names};
use crate::node::{Map, Node, Value};
use crate::schema::Schema;

section! {
    /// Ours: the mode for a developer's machine. `dev: true` is short for `dev: {enabled: true}`.
    Dev {
        /// Whether it is on; a section that does not say so is on. Never for production.
        enabled: bool = false => Flag;
        /// Folders that are watched; the script's folder and `http.app.root` unless given.
        watch: Vec<String> = Vec::new() => Names;
        /// What is not watched, beside `vendor`, `node_modules`, `var/cache`, `var/log`, `storage/framework`,
        /// `bootstrap/cache` and folders whose name begins with a dot: names, or paths below a watched folder.
        ignore: Vec<String> = Vec::new() => Names;
        /// Extensions of the files whose change reloads the app; `.env` files always count.
        extensions: Vec<String> = extensions() => Names;
        /// Says what a request leaves behind in a living worker: open files, settings, handlers, memory.
        leaks: bool = false => Flag;
    }
    finish on_when_written;
}

fn extensions() -> Vec<String> {
    ["php", "phtml", "inc", "yaml", "yml", "env", "ini", "twig", "latte", "neon", "xml"]
        .map(str::to_owned)
        .into()
}

fn on_when_written(section: &mut Dev, _: &Node, map: &Map, _: &str, _: &mut Decoder) {
    if map.get("enabled").is_none_or(Node::is_null) {
        section.enabled = true;
    }
    for extension in &mut section.extensions {
        *extension = extension.trim_start_matches('.').to_lowercase();
    }
}

/// A switch, or the section.
pub(crate) struct DevKind;

impl Kind<Dev> for DevKind {
    fn name(&self) -> String {
        "true, false or section".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Dev> {
        if let Value::Map(_) = node.value {
            return Dev::decode(node, path, decoder);
        }
        let enabled = Flag.read(node, path, decoder)?;
        Some(Dev { enabled, ..Dev::default() })
    }
    fn schema(&self) -> Schema {
        Schema::of(serde_json::json!({"anyOf": [Flag.schema().into_value(), Dev::schema().into_value()]}))
    }
    fn show(&self, _: &Dev) -> String {
        "off".into()
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        <Dev as Section>::rows(path, rows);
    }
}
