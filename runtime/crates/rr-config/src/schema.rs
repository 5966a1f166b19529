//! The JSON Schema (draft-07) of `.rr.yaml` for editors, made from the same tables that decode it. It takes what the server
//! takes without an error or a warning of an unknown key, as far as one key at a time goes. Knows no section by its keys.

use serde_json::{Map, Value, json};

use crate::decode::{Kind, Section};
use crate::sections::{
    dev::DevKind, endure::Endure, http::Http, kv::Storages, lock::Lock, logs::Logs, metrics::Metrics,
    otel::Otel, rpc::Rpc, server::Server, service::Services, status::Status,
};

/// What may stand behind a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema(Value);

/// A variable: what it stands for is not known here.
const VARIABLE: &str = "\\$";

impl Schema {
    /// No condition.
    pub(crate) fn anything() -> Self {
        Self(json!({}))
    }

    /// These words of JSON Schema.
    pub(crate) fn of(value: Value) -> Self {
        Self(value)
    }

    /// One of these; nothing, which is the default; or a text with a variable.
    pub(crate) fn any_of(all: impl IntoIterator<Item = Value>) -> Self {
        let rest = [json!({"type": "null"}), json!({"type": "string", "pattern": VARIABLE})];
        Self(json!({"anyOf": all.into_iter().chain(rest).collect::<Vec<_>>()}))
    }

    /// This for those who write it; anything else is taken with a warning.
    pub(crate) fn at_best(best: Self) -> Self {
        Self(json!({"anyOf": [best.0, {}]}))
    }

    /// A scalar, which becomes a text.
    pub(crate) fn text() -> Self {
        Self(json!({"type": ["string", "number", "boolean", "null"]}))
    }

    /// A list of scalars, or one.
    pub(crate) fn texts() -> Self {
        let scalar = Self::text().0;
        let nothing = json!({"type": "object", "maxProperties": 0});
        Self(json!({"anyOf": [{"type": "array", "items": scalar}, scalar, nothing]}))
    }

    /// Names with values that all look like this.
    pub(crate) fn map_of(value: Self) -> Self {
        Self(json!({"type": ["object", "null"], "additionalProperties": value.0}))
    }

    /// A text in any case that is one of these.
    pub(crate) fn word<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Value {
        let letters = |name: &str| -> String {
            let letter = |letter: char| match letter.is_ascii_alphabetic() {
                true => format!("[{}{}]", letter.to_ascii_lowercase(), letter.to_ascii_uppercase()),
                false => letter.to_string(),
            };
            name.chars().map(letter).collect()
        };
        let pattern: Vec<String> = names.map(letters).collect();
        json!({"type": "string", "pattern": format!("^({})$", pattern.join("|"))})
    }

    pub(crate) fn into_value(self) -> Value {
        self.0
    }
}

/// The keys of a section.
#[derive(Debug, Default)]
pub(crate) struct Keys(Map<String, Value>);

impl Keys {
    /// A key, its default and what it means.
    pub(crate) fn add<T>(&mut self, key: &str, kind: &impl Kind<T>, default: &T, meaning: &str) {
        let mut schema = kind.schema().0;
        let shown = kind.show(default);
        if let Some(words) = schema.as_object_mut() {
            words.insert("description".to_owned(), Value::from(meaning.trim()));
            if !shown.is_empty() && !words.contains_key("properties") {
                let value = serde_json::from_str(&shown).unwrap_or_else(|_| Value::from(shown));
                words.insert("default".to_owned(), value);
            }
        }
        self.0.insert(key.to_owned(), schema);
    }

    /// A key that only RoadRunner serves so far.
    pub(crate) fn unserved(&mut self, key: &str) {
        let said = "Of RoadRunner; not served by this version and ignored.";
        self.0.entry(key).or_insert_with(|| json!({"description": said}));
    }

    /// The section.
    pub(crate) fn section(self, about: &str) -> Schema {
        Schema(json!({
            "type": ["object", "null"], "description": about.trim(), "properties": self.0, "additionalProperties": false,
        }))
    }
}

/// The JSON Schema of the settings, as a text. Sections that are not known are allowed: they are plugins' own.
pub fn schema() -> String {
    let sections = [
        ("server", Server::schema()),
        ("http", Http::schema()),
        ("rpc", Rpc::schema()),
        ("metrics", Metrics::schema()),
        ("kv", Storages::schema_of_storages()),
        ("lock", Lock::schema()),
        ("service", Services.schema()),
        ("status", Status::schema()),
        ("otel", Otel::schema()),
        ("logs", Logs::schema()),
        ("endure", Endure::schema()),
        ("dev", DevKind.schema()),
    ];
    let mut properties: Map<String, Value> =
        sections.into_iter().map(|(name, schema)| (name.to_owned(), schema.into_value())).collect();
    let version = json!({"type": "string", "description": "The version of the format.", "examples": ["3"]});
    properties.insert("version".to_owned(), version);
    let mut include = Schema::texts().into_value();
    include["description"] = "Files whose sections take the place of those here.".into();
    properties.insert("include".to_owned(), include);
    let envfile = json!({"type": "string", "description": "A file of variables, read with rr -e."});
    properties.insert("envfile".to_owned(), envfile);
    let root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The settings of the roadrunner extension, .rr.yaml",
        "type": "object",
        "required": ["version"],
        "properties": properties,
        "additionalProperties": true,
    });
    // A tree of texts and numbers always becomes a text.
    serde_json::to_string_pretty(&root).unwrap_or_default() + "\n"
}
