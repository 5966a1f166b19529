//! `kv`: key-value storages, each with a driver of its own.

use crate::decode::{Decoder, Kind, Row, Section, section};
use crate::kinds::{Choice, Number, Size, Text, Time};
use crate::node::{Map, Node, Value};
use crate::schema::Schema;
use crate::sections::redis::{Redis, Servers};
use serde_json::json;
use std::time::Duration;

/// A storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// What keeps its items.
    pub driver: Driver,
}

/// What keeps items.
#[derive(Debug, Clone, PartialEq)]
pub enum Driver {
    /// Shared memory.
    Memory(MemoryStorage),
    /// A file.
    Bolt(BoltStorage),
    /// Redis servers.
    Redis(Box<Redis>),
    /// memcached servers.
    Memcached(MemcachedStorage),
}

/// What leaves a storage when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// What was not read for a while.
    Lru,
    /// What was written first.
    Fifo,
    /// Nothing: setting a value fails.
    None,
}

const EVICTIONS: Choice<Eviction> =
    Choice(&[("lru", Eviction::Lru), ("fifo", Eviction::Fifo), ("none", Eviction::None)], &[]);

section! {
    /// `kv.<name>.config` of a storage whose `driver` is `memory`: shared memory that workers read without asking the
    /// server. What is in it survives a reload of the app and ends with the server.
    MemoryStorage {
        /// Ours: bytes of all keys and values, from 64KB to 32GB. Memory is taken as it is used.
        max_memory: usize = 64 << 20 => MEMORY;
        /// Ours: what leaves when there is no room: `lru` (what was not read for a while), `fifo` (what was written
        /// first) or `none` (nothing: setting a value fails).
        eviction: Eviction = Eviction::Lru => EVICTIONS;
    }
}

const MEMORY: Size = Size { unit: 1, min: 64 << 10, max: 32 << 30, zero_default: true };

section! {
    /// `kv.<name>.config` of a storage whose `driver` is `boltdb`: a file that outlives the server. Its format is redb's;
    /// files of RoadRunner cannot be read.
    BoltStorage {
        /// The file; a relative one is below the directory that the server was started in.
        file: String = "rr.db".into() => Text;
        /// Its mode, if the server makes it.
        permissions: u32 = 0o755 => Mode;
        /// Seconds between sweeps of what has ended.
        interval: u64 = 60 => Number::within(1, 1 << 32).or_default();
    }
}

section! {
    /// `kv.<name>.config` of a storage whose `driver` is `memcached`.
    MemcachedStorage {
        /// The servers, `host:port` or `unix:///path`. A key is on the server that RoadRunner would choose.
        addr: Vec<String> = vec!["127.0.0.1:11211".into()] => Servers;
        /// Ours: how long an answer may take.
        timeout: Duration = Duration::from_secs(1) => Time { min: Duration::from_millis(1), ..Time::OR_DEFAULT };
    }
}

/// A file's mode: a number, which YAML writes with a leading 0 where it is octal.
struct Mode;

impl Kind<u32> for Mode {
    fn name(&self) -> String {
        "file mode".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<u32> {
        let mode: u32 = Number::within(0, 0o7777).or_default().read(node, path, decoder)?;
        if mode > 0o777 {
            let message = format!("{mode} is 0{mode:o} in octal; did you mean 0{mode}?");
            decoder.warn(&node.at, path, message);
        }
        Some(mode)
    }
    fn schema(&self) -> Schema {
        Kind::<u32>::schema(&Number::within(0, 0o7777).or_default())
    }
    fn show(&self, mode: &u32) -> String {
        format!("0{mode:o}")
    }
}

/// Sections at the top that storages without a `config` of their own take theirs from: those with their names.
pub(crate) fn borrowed(raw: &Node) -> impl Iterator<Item = &str> {
    let storages = raw.lookup("kv").and_then(Node::as_map);
    let all = storages.into_iter().flat_map(Map::iter);
    let bare = all.filter(|(_, node)| node.lookup("config").is_none_or(Node::is_null));
    bare.map(|(name, _)| name).filter(|name| raw.lookup(name).is_some_and(|node| !node.is_null()))
}

/// The settings of a storage: `config`, else the section of its name at the top, else the defaults with a warning.
fn config<S: Section + Default>(
    raw: &Node,
    (name, node): (&str, &Node),
    path: &str,
    decoder: &mut Decoder,
) -> Option<S> {
    let there = |node: Option<&'_ Node>| node.is_some_and(|node| !node.is_null());
    if let Some(own) = node.lookup("config").filter(|_| there(node.lookup("config"))) {
        return S::decode(own, &format!("{path}.config"), decoder);
    }
    if let Some(global) = raw.lookup(name).filter(|_| there(raw.lookup(name))) {
        return S::decode(global, name, decoder);
    }
    let message = format!("there is no {path}.config and no section {name}; the driver's defaults are used");
    decoder.warn(&node.at, path, message);
    None
}

impl Storages<'_> {
    /// Storages by name; `config` is that of the driver.
    pub(crate) fn schema_of_storages() -> Schema {
        const DRIVERS: [&str; 4] = ["memory", "boltdb", "redis", "memcached"];
        let word = |name: &'static str| Schema::word(std::iter::once(name));
        let config = |name: &'static str, section: Schema| {
            json!({
                "if": {"required": ["driver"], "properties": {"driver": word(name)}},
                "then": {"properties": {"config": section.into_value()}},
            })
        };
        let storage = json!({
            "type": ["object", "null"],
            "required": ["driver"],
            "properties": {
                "driver": {"description": "What keeps the items.", "anyOf": [{"enum": DRIVERS}, Schema::word(DRIVERS.into_iter())]},
                "config": {"description": "The settings of the driver."},
            },
            "additionalProperties": false,
            "allOf": [
                config("memory", MemoryStorage::schema()), config("boltdb", BoltStorage::schema()),
                config("redis", Redis::schema()), config("memcached", MemcachedStorage::schema()),
            ],
        });
        Schema::map_of(Schema::of(storage))
    }
}

/// The map of storages; the whole tree is where they may find their settings.
pub(crate) struct Storages<'r>(pub(crate) &'r Node);

impl Kind<Vec<Storage>> for Storages<'_> {
    fn name(&self) -> String {
        "map of name to storage".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<Storage>> {
        let map = decoder.section(node, path)?;
        let mut storages = Vec::new();
        for (name, node) in map.iter().filter(|(_, node)| !node.is_null()) {
            let path = format!("{path}.{name}");
            let Some(keys) = decoder.section(node, &path) else { continue };
            let driver = keys.get("driver").filter(|node| !node.is_null());
            let Some(Value::Str(driver)) = driver.map(|node| &node.value) else {
                let message = format!("could not find mandatory driver field in the {name} storage");
                decoder.wrong::<()>(&node.at, &path, message);
                continue;
            };
            let driver = match driver.to_lowercase().as_str() {
                "memory" => {
                    // RoadRunner's has no settings: nothing is missing without them.
                    let config = keys.get("config").filter(|node| !node.is_null());
                    let path = format!("{path}.config");
                    let config = config.and_then(|node| MemoryStorage::decode(node, &path, decoder));
                    Some(Driver::Memory(config.unwrap_or_default()))
                }
                "boltdb" => {
                    let config = config(self.0, (name, node), &path, decoder);
                    Some(Driver::Bolt(config.unwrap_or_default()))
                }
                "memcached" => {
                    let config = config(self.0, (name, node), &path, decoder);
                    Some(Driver::Memcached(config.unwrap_or_default()))
                }
                "redis" => {
                    let config = config::<Redis>(self.0, (name, node), &path, decoder);
                    Some(Driver::Redis(Box::new(config.unwrap_or_default())))
                }
                other => {
                    let message =
                        format!("there is no driver {other:?}; write memory, boltdb, redis or memcached");
                    decoder.wrong(&node.at, &format!("{path}.driver"), message)
                }
            };
            storages.extend(driver.map(|driver| Storage { name: name.to_owned(), driver }));
            decoder.unknown_keys(keys, &path, &["driver", "config"], &[]);
        }
        Some(storages)
    }
    fn show(&self, _: &Vec<Storage>) -> String {
        String::new()
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        <MemoryStorage as Section>::rows(path, rows);
    }
}
