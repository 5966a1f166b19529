//! TOML to tree (CFG-02). Knows no key.

use std::sync::Arc;

use toml_edit::{Document, Item, Table, TableLike, Value as Toml};

use crate::error::{ConfigError, Position, Step};
use crate::node::{MAX_DEPTH, Map, Node, Value};
use crate::yaml::MAX_SIZE;

/// Parses a TOML document.
pub(crate) fn parse(source: &str, text: &str) -> Result<Node, ConfigError> {
    let places = Places { source: source.into(), text };
    let wrong = |at: Option<std::ops::Range<usize>>, message: String| {
        ConfigError::new(Step::Parse, places.at(at), "", message)
    };
    if text.len() > MAX_SIZE {
        let message =
            format!("the file is bigger than {} KiB, which no settings file should be", MAX_SIZE >> 10);
        return Err(wrong(None, message));
    }
    let document = Document::parse(text).map_err(|error| wrong(error.span(), error.message().to_owned()))?;
    let tree = places.table(document.as_table(), Some(0..0));
    if tree.deeper_than(MAX_DEPTH) {
        return Err(wrong(None, format!("nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(tree)
}

struct Places<'t> {
    source: Arc<str>,
    text: &'t str,
}

impl Places<'_> {
    fn at(&self, span: Option<std::ops::Range<usize>>) -> Position {
        let line = span.and_then(|span| {
            let before = self.text.as_bytes().get(..span.start)?;
            u32::try_from(1 + before.iter().filter(|byte| **byte == b'\n').count()).ok()
        });
        Position { source: Arc::clone(&self.source), line: line.unwrap_or(0) }
    }

    fn table(&self, table: &dyn TableLike, span: Option<std::ops::Range<usize>>) -> Node {
        let keys = table.iter().map(|(key, item)| (key.to_lowercase(), self.item(item)));
        Node::new(Value::Map(Map::of(keys.collect())), self.at(span))
    }

    fn item(&self, item: &Item) -> Node {
        match item {
            Item::None => Node::new(Value::Null, self.at(item.span())),
            Item::Value(value) => self.value(value),
            Item::Table(table) => self.table(table, table.span()),
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().map(|table: &Table| self.table(table, table.span()));
                Node::new(Value::List(tables.collect()), self.at(item.span()))
            }
        }
    }

    fn value(&self, value: &Toml) -> Node {
        let at = self.at(value.span());
        let value = match value {
            Toml::String(text) => Value::Str(text.value().clone()),
            Toml::Integer(number) => Value::Int(*number.value()),
            Toml::Float(number) => Value::Float(*number.value()),
            Toml::Boolean(flag) => Value::Bool(*flag.value()),
            // Nothing here is a date: what it is written as.
            Toml::Datetime(date) => Value::Str(date.value().to_string()),
            Toml::Array(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Toml::InlineTable(table) => return self.table(table, table.span()),
        };
        Node::new(value, at)
    }
}
