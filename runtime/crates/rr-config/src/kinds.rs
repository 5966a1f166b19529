//! What keys may hold: texts, numbers, durations, sizes, lists, commands, choices, sections. Owns the weak
//! typing of CFG-11 and CFG-12 and the wording of what was expected. Knows no key by name.

use std::time::Duration;

use crate::decode::{Decoder, Kind, Row, Section};
use crate::node::{Map, Node, Value};
use crate::scalar;
use crate::schema::Schema;
use crate::units::{self, NoDuration};
use serde_json::json;

/// A value as text, as Go's weak typing makes it: numbers in decimal, `true` is `1`.
pub(crate) fn weak_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(if *value { "1" } else { "0" }.into()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Str(text) => Some(text.clone()),
        Value::List(_) | Value::Map(_) => None,
    }
}

/// A list of texts: a list, or a text with commas (`split` says what becomes of blanks), or one value.
pub(crate) fn weak_list(node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<String>> {
    match &node.value {
        Value::List(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                match weak_text(item) {
                    Some(text) => texts.push(text),
                    None => return decoder.expected(item, &format!("{path}[{index}]"), "a text"),
                }
            }
            Some(texts)
        }
        Value::Str(text) if text.is_empty() => Some(Vec::new()),
        Value::Str(text) => Some(text.split(',').map(str::to_owned).collect()),
        Value::Map(map) if map.is_empty() => Some(Vec::new()),
        Value::Map(_) => decoder.expected(node, path, "a list of texts"),
        _ => Some(weak_text(node).into_iter().collect()),
    }
}

/// A text; with `Option<String>`, an empty one counts as absent.
pub(crate) struct Text;

impl Kind<String> for Text {
    fn name(&self) -> String {
        "text".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<String> {
        weak_text(node).or_else(|| decoder.expected(node, path, "a text"))
    }
    fn schema(&self) -> Schema {
        Schema::text()
    }
    fn show(&self, value: &String) -> String {
        if value.is_empty() { String::new() } else { format!("{value:?}") }
    }
}

impl Kind<Option<String>> for Text {
    fn name(&self) -> String {
        "text".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Option<String>> {
        let text: String = self.read(node, path, decoder)?;
        Some((!text.is_empty()).then_some(text))
    }
    fn schema(&self) -> Schema {
        Schema::text()
    }
    fn show(&self, value: &Option<String>) -> String {
        value.as_ref().map(|text| Kind::<String>::show(self, text)).unwrap_or_default()
    }
}

/// `true` or `false`, or what Go takes for it.
pub(crate) struct Flag;

impl Kind<bool> for Flag {
    fn name(&self) -> String {
        "true or false".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<bool> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Int(value) => Some(*value != 0),
            Value::Float(value) => Some(*value != 0.0),
            Value::Str(text) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                _ => decoder.expected(node, path, "true or false"),
            },
            _ => decoder.expected(node, path, "true or false"),
        }
    }
    fn schema(&self) -> Schema {
        let words = ["1", "t", "T", "true", "TRUE", "True", "", "0", "f", "F", "false", "FALSE", "False"];
        Schema::any_of([json!({"type": ["boolean", "number"]}), json!({"enum": words})])
    }
    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A whole number within bounds. `zero_default`: 0 stands for the default, as in RoadRunner.
pub(crate) struct Number {
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) zero_default: bool,
}

impl Number {
    pub(crate) const ANY: Self = Self::within(0, i64::MAX as u64);

    pub(crate) const fn within(min: u64, max: u64) -> Self {
        Self { min, max, zero_default: false }
    }

    pub(crate) const fn or_default(self) -> Self {
        Self { zero_default: true, ..self }
    }
}

impl<T: TryFrom<u64> + Copy + ToString> Kind<T> for Number {
    fn name(&self) -> String {
        match (self.min, self.max) {
            (0, max) if max >= i64::MAX as u64 => "number".into(),
            (min, max) => format!("number, {min} to {max}"),
        }
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T> {
        let number = match &node.value {
            Value::Int(value) => i128::from(*value),
            Value::Bool(value) => i128::from(*value),
            // The conversion saturates, and the bounds do the rest.
            Value::Float(value) if value.fract() == 0.0 => *value as i128,
            Value::Str(text) if text.trim().is_empty() => 0,
            Value::Str(text) => match scalar::parse_int(text.trim()) {
                Some(number) => number,
                None => return decoder.expected(node, path, "a number"),
            },
            Value::Float(_) => return decoder.expected(node, path, "a whole number"),
            _ => return decoder.expected(node, path, "a number"),
        };
        if number == 0 && self.zero_default {
            return None;
        }
        let bounds = || match (self.min, self.max) {
            (0, max) if max >= i64::MAX as u64 => "a number that is not negative".to_owned(),
            (min, max) => format!("a number from {min} to {max}"),
        };
        match u64::try_from(number).ok().filter(|number| (self.min..=self.max).contains(number)) {
            Some(number) => T::try_from(number).ok().or_else(|| decoder.expected(node, path, &bounds())),
            None => decoder.expected(node, path, &bounds()),
        }
    }
    fn schema(&self) -> Schema {
        let mut number = json!({"type": "integer", "minimum": self.min});
        if self.max < i64::MAX as u64 {
            number["maximum"] = self.max.into();
        }
        let zero = self.zero_default.then(|| json!({"const": 0}));
        // What `scalar::parse_int` takes; whether it is within the bounds is not seen in a text.
        let text = r"^\s*([+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9_]+))?\s*$";
        let texts = [json!({"type": "boolean"}), json!({"type": "string", "pattern": text})];
        Schema::any_of([number].into_iter().chain(zero).chain(texts))
    }
    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A status code that may be left to the cause.
pub(crate) struct Status;

impl Kind<Option<u16>> for Status {
    fn name(&self) -> String {
        "number, 100 to 599".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Option<u16>> {
        Number::within(100, 599).or_default().read(node, path, decoder).map(Some)
    }
    fn schema(&self) -> Schema {
        Kind::<u16>::schema(&Number::within(100, 599).or_default())
    }
    fn show(&self, _: &Option<u16>) -> String {
        String::new()
    }
}

/// A duration such as `60s` or `1m30s`. A bare number counts nanoseconds, as in RoadRunner, unless that counts seconds there.
pub(crate) struct Time {
    pub(crate) min: Duration,
    pub(crate) zero_default: bool,
    pub(crate) seconds: bool,
}

impl Time {
    /// Any duration, 0 included.
    pub(crate) const ANY: Self = Self { min: Duration::ZERO, zero_default: false, seconds: false };
    /// 0 stands for the default, as in RoadRunner.
    pub(crate) const OR_DEFAULT: Self = Self { zero_default: true, ..Self::ANY };
    /// A bare number counts seconds; 0 stands for the default.
    pub(crate) const SECONDS_OR_DEFAULT: Self = Self { seconds: true, ..Self::OR_DEFAULT };
    /// A time limit of 0 would end everything at once, which nobody means.
    pub(crate) const POSITIVE: Self = Self { min: Duration::from_millis(1), ..Self::ANY };
}

impl Kind<Duration> for Time {
    fn name(&self) -> String {
        "duration".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Duration> {
        const WHAT: &str = "a duration such as \"60s\" or \"1m30s\"";
        let (duration, bare) = match &node.value {
            Value::Int(seconds) if self.seconds => match u64::try_from(*seconds) {
                Ok(seconds) => (Duration::from_secs(seconds), false),
                Err(_) => return decoder.expected(node, path, "a duration that is not negative"),
            },
            Value::Int(nanos) => match u64::try_from(*nanos) {
                Ok(nanos) => (Duration::from_nanos(nanos), true),
                Err(_) => return decoder.expected(node, path, "a duration that is not negative"),
            },
            Value::Float(nanos) if *nanos >= 0.0 => (Duration::from_nanos(*nanos as u64), true),
            Value::Str(text) => match units::parse_duration(text.trim()) {
                Ok(duration) => (duration, false),
                Err(NoDuration::NoUnit) => {
                    let message =
                        format!("{text:?} has no unit; write {:?} for seconds", format!("{}s", text.trim()));
                    return decoder.wrong(&node.at, path, message);
                }
                Err(NoDuration::Negative) => {
                    return decoder.expected(node, path, "a duration that is not negative");
                }
                Err(NoDuration::TooLong) => {
                    return decoder.expected(node, path, "a duration below 292 years");
                }
                Err(NoDuration::Malformed) => return decoder.expected(node, path, WHAT),
            },
            _ => return decoder.expected(node, path, WHAT),
        };
        if duration.is_zero() && self.zero_default {
            return None;
        }
        if bare && !duration.is_zero() && duration < Duration::from_millis(1) {
            let number = node.describe();
            let message = format!("{number} without a unit means nanoseconds; did you mean \"{number}s\"?");
            decoder.warn(&node.at, path, message);
        }
        if duration < self.min {
            let what = format!("a duration of at least {}", units::show_duration(self.min));
            return decoder.expected(node, path, &what);
        }
        Some(duration)
    }
    fn schema(&self) -> Schema {
        let text = r"^\s*[+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)\s*$";
        Schema::any_of([json!({"type": "string", "pattern": text}), json!({"type": "number", "minimum": 0})])
    }
    fn show(&self, value: &Duration) -> String {
        units::show_duration(*value)
    }
}

/// A size in bytes; a bare number counts `unit`s.
pub(crate) struct Size {
    pub(crate) unit: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) zero_default: bool,
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Kind<T> for Size {
    fn name(&self) -> String {
        if self.unit > 1 { "size, a bare number is MB".into() } else { "size".into() }
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T> {
        const WHAT: &str = "a size such as \"64KB\" or \"10MB\"";
        let bytes = match &node.value {
            Value::Int(number) => {
                u64::try_from(*number).ok().and_then(|number| number.checked_mul(self.unit))
            }
            Value::Str(text) if text.trim().is_empty() => Some(0),
            Value::Str(text) => units::parse_size(text, self.unit),
            _ => None,
        };
        let Some(bytes) = bytes else { return decoder.expected(node, path, WHAT) };
        if bytes == 0 && self.zero_default {
            return None;
        }
        let fits = (self.min..=self.max).contains(&bytes);
        match T::try_from(bytes).ok().filter(|_| fits) {
            Some(bytes) => Some(bytes),
            None => {
                let (min, max) = (units::show_size(self.min), units::show_size(self.max));
                decoder.expected(node, path, &format!("a size from {min} to {max}"))
            }
        }
    }
    fn schema(&self) -> Schema {
        let text = r"^\s*[0-9]*\s*([kKmMgG]([iI]?[bB])?|[bB])?\s*$";
        Schema::any_of([json!({"type": "integer", "minimum": 0}), json!({"type": "string", "pattern": text})])
    }
    fn show(&self, value: &T) -> String {
        (*value).try_into().map(units::show_size).unwrap_or_default()
    }
}

/// A list of names: blanks around them and empty ones go.
pub(crate) struct Names;

impl Kind<Vec<String>> for Names {
    fn name(&self) -> String {
        "list of texts".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<String>> {
        let list = weak_list(node, path, decoder)?;
        Some(list.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
    }
    fn schema(&self) -> Schema {
        Schema::texts()
    }
    fn show(&self, value: &Vec<String>) -> String {
        if value.is_empty() { String::new() } else { format!("{value:?}") }
    }
}

/// A command line (CFG-12): one text is split at single blanks without regard to quotes, several texts are
/// used as they are.
pub(crate) struct Command;

impl Kind<Vec<String>> for Command {
    fn name(&self) -> String {
        "command".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<String>> {
        let list = weak_list(node, path, decoder)?;
        let [line] = list.as_slice() else { return Some(list) };
        let line = line.trim();
        if line.is_empty() {
            return Some(Vec::new());
        }
        if line.contains("  ") {
            let message = "two blanks in a row give the command an empty argument; use one, or write a list";
            decoder.warn(&node.at, path, message);
        }
        Some(line.split(' ').map(str::to_owned).collect())
    }
    fn schema(&self) -> Schema {
        Schema::texts()
    }
    fn show(&self, value: &Vec<String>) -> String {
        value.join(" ")
    }
}

/// Environment variables: a map, or a list of maps. Names become upper case again (CFG-10).
pub(crate) struct Environment;

impl Kind<Vec<(String, String)>> for Environment {
    fn name(&self) -> String {
        "map of texts".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, String)>> {
        let maps = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut variables: Vec<(String, String)> = Vec::new();
        for node in maps {
            let Value::Map(map) = &node.value else {
                return decoder.expected(node, path, "names with values, or a list of them");
            };
            for (name, node) in map.iter() {
                let Some(value) = weak_text(node) else {
                    return decoder.expected(node, &format!("{path}.{name}"), "a text");
                };
                let name = name.to_uppercase();
                match variables.iter_mut().find(|(have, _)| *have == name) {
                    Some(variable) => variable.1 = value,
                    None => variables.push((name, value)),
                }
            }
        }
        Some(variables)
    }
    fn schema(&self) -> Schema {
        let map = Schema::map_of(Schema::text()).into_value();
        Schema::of(json!({"anyOf": [map, {"type": "array", "items": map}]}))
    }
    fn show(&self, _: &Vec<(String, String)>) -> String {
        String::new()
    }
}

/// Settings of PHP: names with values.
pub(crate) struct Directives;

impl Kind<Vec<(String, String)>> for Directives {
    fn name(&self) -> String {
        "map of texts".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, String)>> {
        let Value::Map(map) = &node.value else {
            return decoder.expected(node, path, "PHP settings with values");
        };
        let mut settings = Vec::new();
        flatten(map, "", path, decoder, &mut settings).then_some(settings)
    }
    fn schema(&self) -> Schema {
        let value = json!({"type": ["string", "number", "boolean", "null", "object"]});
        Schema::map_of(Schema::of(value))
    }
    fn show(&self, _: &Vec<(String, String)>) -> String {
        String::new()
    }
}

/// `session.name: x` and `session: {name: x}` are the same.
fn flatten(
    map: &Map,
    prefix: &str,
    path: &str,
    decoder: &mut Decoder,
    into: &mut Vec<(String, String)>,
) -> bool {
    map.iter().all(|(name, node)| {
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match (&node.value, weak_text(node)) {
            (Value::Map(below), _) => flatten(below, &name, path, decoder, into),
            (_, Some(value)) => {
                into.push((name, value));
                true
            }
            (_, None) => decoder.expected::<()>(node, &format!("{path}.{name}"), "a text").is_some(),
        }
    })
}

/// The names of a choice.
type Choices<T> = &'static [(&'static str, T)];

/// One of a few names; the second list is understood too, but not told of.
pub(crate) struct Choice<T: 'static>(pub(crate) Choices<T>, pub(crate) Choices<T>);

impl<T: Copy + PartialEq> Kind<T> for Choice<T> {
    fn name(&self) -> String {
        self.0.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T> {
        let text = weak_text(node).unwrap_or_default().to_lowercase();
        if text.is_empty() && node.as_str().is_some() {
            return None;
        }
        match self.0.iter().chain(self.1).find(|(name, _)| *name == text) {
            Some((_, value)) => Some(*value),
            None => {
                let names: Vec<_> = self.0.iter().map(|(name, _)| *name).collect();
                decoder.expected(node, path, &format!("one of {}", names.join(", ")))
            }
        }
    }
    fn schema(&self) -> Schema {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        // An empty one is the default.
        let all = self.0.iter().chain(self.1).map(|(name, _)| *name).chain([""]);
        // The names for editors, then what is understood too.
        Schema::any_of([json!({"enum": names}), Schema::word(all)])
    }
    fn show(&self, value: &T) -> String {
        self.0.iter().find(|(_, have)| have == value).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
    }
}

/// A section below this one; with `Option`, one that is off unless written.
pub(crate) struct Nested;

impl<S: Section> Kind<S> for Nested {
    fn name(&self) -> String {
        "section".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<S> {
        S::decode(node, path, decoder)
    }
    fn schema(&self) -> Schema {
        S::schema()
    }
    fn show(&self, _: &S) -> String {
        String::new()
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        S::rows(path, rows);
    }
}

/// See [`Nested`].
pub(crate) struct Maybe;

impl<S: Section> Kind<Option<S>> for Maybe {
    fn name(&self) -> String {
        "section".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Option<S>> {
        S::decode(node, path, decoder).map(Some)
    }
    fn schema(&self) -> Schema {
        S::schema()
    }
    fn show(&self, _: &Option<S>) -> String {
        "off".into()
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        S::rows(path, rows);
    }
}

/// A kind of which RoadRunner takes anything and goes on with its default where it means nothing: a warning here.
pub(crate) struct Gentle<K>(pub(crate) K);

impl<T, K: Kind<T>> Kind<T> for Gentle<K> {
    fn name(&self) -> String {
        self.0.name()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T> {
        let mut own = Decoder::default();
        let value = self.0.read(node, path, &mut own);
        for fault in own.faults {
            decoder.warn(&fault.at, &fault.path, format!("{}; the default is used", fault.message));
        }
        own.warnings.into_iter().for_each(|warning| decoder.warnings.push(warning));
        value
    }
    fn schema(&self) -> Schema {
        Schema::at_best(self.0.schema())
    }
    fn show(&self, value: &T) -> String {
        self.0.show(value)
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        self.0.rows(path, rows);
    }
}

/// A kind whose values outside of these bounds RoadRunner quietly moves to them: a warning here.
pub(crate) struct Clamped<K, T>(pub(crate) K, pub(crate) T, pub(crate) T);

impl<T: PartialOrd + Clone, K: Kind<T>> Kind<T> for Clamped<K, T> {
    fn name(&self) -> String {
        self.0.name()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T> {
        let value = self.0.read(node, path, decoder)?;
        let bound = if value < self.1 { &self.1 } else { &self.2 };
        if value < self.1 || value > self.2 {
            let (given, taken) = (node.describe(), self.0.show(bound));
            let edge = if value < self.1 { "least" } else { "most" };
            decoder.warn(
                &node.at,
                path,
                format!("{given} is out of bounds; {taken}, the {edge} there can be, is used"),
            );
            return Some(bound.clone());
        }
        Some(value)
    }
    fn schema(&self) -> Schema {
        self.0.schema()
    }
    fn show(&self, value: &T) -> String {
        self.0.show(value)
    }
}

/// A kind with a further condition, which says what was expected.
pub(crate) struct Checked<K, T>(pub(crate) K, pub(crate) fn(&T) -> bool, pub(crate) &'static str);

impl<T, K: Kind<T>> Kind<T> for Checked<K, T> {
    fn name(&self) -> String {
        self.0.name()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T> {
        let value = self.0.read(node, path, decoder)?;
        if (self.1)(&value) { Some(value) } else { decoder.expected(node, path, self.2) }
    }
    fn schema(&self) -> Schema {
        self.0.schema()
    }
    fn show(&self, value: &T) -> String {
        self.0.show(value)
    }
}
