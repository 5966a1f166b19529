//! The machinery every section shares: faults and warnings gathered on the way, what a key may hold
//! (`Kind`), and the `section!` table from which a section's struct, defaults, decoding, known keys and
//! reference all come. Knows no section.

use crate::error::{ConfigError, Position, Step, Warning};
use crate::node::{Map, Node, Value};
use crate::schema::Schema;
use crate::suggest;

/// Gathers faults and warnings, so that a user sees all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    pub(crate) warnings: Vec<Warning>,
    pub(crate) faults: Vec<ConfigError>,
}

/// A file full of nonsense should not fill the terminal.
const MAX_REPORTS: usize = 100;

impl Decoder {
    /// Notes that a value cannot be used. Returns `None`, which leaves the key at its default.
    pub(crate) fn wrong<T>(&mut self, at: &Position, path: &str, message: impl Into<String>) -> Option<T> {
        if self.faults.len() < MAX_REPORTS {
            self.faults.push(ConfigError::new(Step::Decode, at.clone(), path, message));
        }
        None
    }

    /// Notes that a key beside others is not there.
    pub(crate) fn incomplete(&mut self, at: &Position, path: &str, message: impl Into<String>) {
        if self.faults.len() < MAX_REPORTS {
            self.faults.push(ConfigError::new(Step::Incomplete, at.clone(), path, message));
        }
    }

    /// `expected a number, got "many"`.
    pub(crate) fn expected<T>(&mut self, node: &Node, path: &str, what: &str) -> Option<T> {
        self.wrong(&node.at, path, format!("expected {what}, got {}", node.describe()))
    }

    pub(crate) fn warn(&mut self, at: &Position, path: &str, message: impl Into<String>) {
        if self.warnings.len() < MAX_REPORTS {
            self.warnings.push(Warning::new(at.clone(), path, message));
        }
    }

    /// The map a section is written as; nothing else will do.
    pub(crate) fn section<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n Map> {
        match &node.value {
            Value::Map(map) => Some(map),
            _ => self.expected(node, path, "a section, that is keys with values"),
        }
    }

    /// Whether a key, or something in it, was found wrong already.
    pub(crate) fn is_wrong(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| fault.path.starts_with(path))
    }

    /// Warns of keys that mean nothing here, and of those that mean something only to RoadRunner so far.
    pub(crate) fn unknown_keys(&mut self, map: &Map, path: &str, known: &[&str], unserved: &[&str]) {
        for (key, node) in map.iter() {
            if known.contains(&key) {
                continue;
            }
            if self.warnings.len() >= MAX_REPORTS {
                return;
            }
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            if unserved.contains(&key) {
                self.warn(&node.at, &path, "is not served by this version and is ignored");
                continue;
            }
            let hint = match suggest::nearest(key, known.iter().chain(unserved)) {
                Some(near) => format!("unknown key; did you mean {near:?}?"),
                None => "unknown key, ignored".to_owned(),
            };
            self.warn(&node.at, &path, hint);
        }
    }
}

/// What a key may hold: how it is read (weakly typed, CFG-11), named and shown.
pub(crate) trait Kind<T> {
    /// The type column of the reference.
    fn name(&self) -> String;
    /// Reads a value that is not null. `None` leaves the default in place.
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<T>;
    /// The default column of the reference.
    fn show(&self, value: &T) -> String;
    /// What a JSON Schema says of it: what is read without an error. Anything, unless told.
    fn schema(&self) -> Schema {
        Schema::anything()
    }
    /// The rows of the sections below this key.
    fn rows(&self, _path: &str, _rows: &mut Vec<Row>) {}
}

/// A group of keys with a struct of its own. Made by `section!`.
pub(crate) trait Section: Default {
    fn decode(node: &Node, path: &str, decoder: &mut Decoder) -> Option<Self>;
    fn rows(path: &str, rows: &mut Vec<Row>);
    fn schema() -> Schema;
}

/// One line of the reference.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) kind: String,
    pub(crate) default: String,
    pub(crate) meaning: String,
}

/// Declares a section: one line per key gives its type, default, kind and meaning, and all else follows.
///
/// `field: Type = default => kind;` reads the key of that name, `field("other"): …` reads another one.
/// `unserved` lists keys that RoadRunner knows and we ignore with a warning; `finish` is called with the
/// decoded section and its map for what takes more than one key to decide.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(($key:literal))? : $type:ty = $default:expr => $kind:expr;
            )+
        }
        $( unserved $($unserved:literal),+ ; )?
        $( finish $finish:path; )?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $type, )+ }

        impl Default for $name {
            fn default() -> Self { Self { $( $field: $default, )+ } }
        }

        impl $crate::decode::Section for $name {
            fn decode(
                node: &$crate::node::Node, path: &str, decoder: &mut $crate::decode::Decoder,
            ) -> Option<Self> {
                use $crate::decode::Kind as _;
                let map = decoder.section(node, path)?;
                let mut section = Self::default();
                $(
                    let key = $crate::decode::key!($field $(, $key)?);
                    if let Some(node) = map.get(key).filter(|node| !node.is_null())
                        && let Some(value) = $kind.read(node, &format!("{path}.{key}"), decoder)
                    {
                        section.$field = value;
                    }
                )+
                let known = [$( $crate::decode::key!($field $(, $key)?) ),+];
                decoder.unknown_keys(map, path, &known, &[$( $($unserved),+ )?]);
                $( $finish(&mut section, node, map, path, decoder); )?
                Some(section)
            }

            fn rows(path: &str, rows: &mut Vec<$crate::decode::Row>) {
                let default = Self::default();
                $({
                    let key = format!("{path}.{}", $crate::decode::key!($field $(, $key)?));
                    rows.push($crate::decode::row(&key, &$kind, &default.$field, concat!($($doc),+)));
                    $crate::decode::below(&$kind, &default.$field, &key, rows);
                })+
            }

            fn schema() -> $crate::schema::Schema {
                let default = Self::default();
                let mut keys = $crate::schema::Keys::default();
                $(
                    let key = $crate::decode::key!($field $(, $key)?);
                    keys.add(key, &$kind, &default.$field, concat!($($doc),+));
                )+
                $( $( keys.unserved($unserved); )+ )?
                keys.section(concat!($($about),+))
            }
        }
    };
}
pub(crate) use section;

/// The name of a key: that of the field unless another is given.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident, $key:literal) => {
        $key
    };
}
pub(crate) use key;

pub(crate) fn row<T>(key: &str, kind: &impl Kind<T>, default: &T, meaning: &str) -> Row {
    Row { key: key.into(), kind: kind.name(), default: kind.show(default), meaning: meaning.trim().into() }
}

/// The rows below a key; takes the field only to tell the compiler which `Kind` is meant.
pub(crate) fn below<T>(kind: &impl Kind<T>, _field: &T, path: &str, rows: &mut Vec<Row>) {
    kind.rows(path, rows);
}
