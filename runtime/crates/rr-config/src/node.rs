//! The settings as a tree: what YAML, overrides, includes and PHP arrays are turned into before any section
//! is decoded. Owns case-insensitive keys, lookup by path, merging and the JSON form. Knows no key by name.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::error::Position;

/// How deep maps and lists may be nested.
pub const MAX_DEPTH: usize = 64;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub at: Position,
}

/// A value as YAML types it; what a key makes of it is decided when its section is decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: the key counts as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Map),
}

/// A map that keeps the order of its keys. Keys are lower-cased (CFG-10).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    entries: Vec<(String, Node)>,
}

impl Map {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map of these; two with one key are merged.
    pub(crate) fn of(entries: Vec<(String, Node)>) -> Self {
        let mut map = Self::new();
        map.join(Self { entries }, |have, new| have.merge(new));
        map
    }

    /// The value of a key, in any case.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.index(key).map(|index| &self.entries[index].1)
    }

    /// The value of a key, in any case, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.index(key).map(|index| &mut self.entries[index].1)
    }

    /// Sets a key; the value it had goes.
    pub fn insert(&mut self, key: &str, node: Node) {
        match self.index(key) {
            Some(index) => self.entries[index].1 = node,
            None => self.entries.push((key.to_lowercase(), node)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.index(key).map(|index| self.entries.remove(index).1)
    }

    /// Keys and values in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(key, node)| (key.as_str(), node))
    }

    /// Keys and values, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.entries.iter_mut().map(|(key, node)| (key.as_str(), node))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a key that is known to be new and in lower case.
    pub(crate) fn push(&mut self, key: String, node: Node) {
        self.entries.push((key, node));
    }

    fn index(&self, key: &str) -> Option<usize> {
        if key.chars().any(char::is_uppercase) {
            let key = key.to_lowercase();
            return self.entries.iter().position(|(have, _)| *have == key);
        }
        self.entries.iter().position(|(have, _)| have == key)
    }

    /// Adds the entries of `other`; where both have a key, `both` decides what becomes of the value.
    /// Looks keys up in a table, as two files of thousands of keys would be slow otherwise.
    pub(crate) fn join(&mut self, other: Map, both: impl Fn(&mut Node, Node)) {
        let mut known: HashMap<String, usize> =
            self.entries.iter().enumerate().map(|(index, (key, _))| (key.clone(), index)).collect();
        for (key, node) in other.entries {
            match known.get(&key) {
                Some(&index) => both(&mut self.entries[index].1, node),
                None => {
                    known.insert(key.clone(), self.entries.len());
                    self.entries.push((key, node));
                }
            }
        }
    }
}

impl<K: AsRef<str>> FromIterator<(K, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Node)>>(entries: I) -> Self {
        let mut map = Map::new();
        for (key, node) in entries {
            map.insert(key.as_ref(), node);
        }
        map
    }
}

impl IntoIterator for Map {
    type Item = (String, Node);
    type IntoIter = std::vec::IntoIter<(String, Node)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Node {
    /// A value written at a place.
    pub fn new(value: Value, at: Position) -> Self {
        Self { value, at }
    }

    /// An empty map written at a place.
    pub fn empty(at: Position) -> Self {
        Self { value: Value::Map(Map::new()), at }
    }

    /// Whether the value is nothing, which counts as absent.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The value at a path such as `http.pool.num_workers`.
    pub fn lookup(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.as_map()?.get(key))
    }

    /// Sets the value at a path; what stands in the way of the path is replaced by a map.
    pub fn set(&mut self, path: &[&str], node: Node) {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if self.as_map().is_none() {
            *self = Node::empty(node.at.clone());
        }
        if let Value::Map(map) = &mut self.value {
            if map.get(first).is_none() {
                map.insert(first, Node::empty(node.at.clone()));
            }
            if let Some(inner) = map.get_mut(first) {
                inner.set(rest, node);
            }
        }
    }

    /// Lays `over` on top: maps are merged key by key, anything else is replaced.
    pub fn merge(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Map(base), Value::Map(top)) => base.join(top, |have, new| have.merge(new)),
            (_, value) => *self = Node { value, at: over.at },
        }
    }

    /// Whether maps and lists are nested deeper than `levels`. Does not itself go deeper than that.
    pub(crate) fn deeper_than(&self, levels: usize) -> bool {
        match &self.value {
            Value::List(items) => levels == 0 || items.iter().any(|item| item.deeper_than(levels - 1)),
            Value::Map(map) => levels == 0 || map.iter().any(|(_, item)| item.deeper_than(levels - 1)),
            _ => false,
        }
    }

    /// The value as JSON. Numbers that JSON does not have (infinite, not a number) become `null`.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        // Writing to a String cannot fail.
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => _ = write!(out, "{value}"),
            Value::Int(value) => _ = write!(out, "{value}"),
            Value::Float(value) if value.is_finite() => _ = write!(out, "{value}"),
            Value::Float(_) => out.push_str("null"),
            Value::Str(text) => json_string(out, text),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Value::Map(map) => {
                out.push('{');
                for (index, (key, item)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    json_string(out, key);
                    out.push(':');
                    item.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// The value as an error text shows it.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Str(text) if text.chars().count() > 60 => {
                format!("{:?}...", text.chars().take(60).collect::<String>())
            }
            Value::Str(text) => format!("{text:?}"),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }
}

fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}
