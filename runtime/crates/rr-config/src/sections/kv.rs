//! `kv`: key-value storages, each with a driver of its own.

use crate::decode::{Decoder, Kind, Row, Section, section};
use crate::kinds::{Choice, Size};
use crate::node::{Node, Value};

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

/// Drivers of RoadRunner that are not here yet.
const UNSERVED: [&str; 3] = ["boltdb", "redis", "memcached"];

/// The map of storages.
pub(crate) struct Storages;

impl Kind<Vec<Storage>> for Storages {
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
            match driver.to_lowercase().as_str() {
                "memory" => {
                    let config = keys.get("config").filter(|node| !node.is_null());
                    let path = format!("{path}.config");
                    let config = config.and_then(|node| MemoryStorage::decode(node, &path, decoder));
                    let driver = Driver::Memory(config.unwrap_or_default());
                    storages.push(Storage { name: name.to_owned(), driver });
                }
                other if UNSERVED.contains(&other) => {
                    let message =
                        format!("driver {other:?} is not served by this version; the storage is ignored");
                    decoder.warn(&node.at, &path, message);
                }
                other => {
                    let message = format!("there is no driver {other:?}; write memory");
                    decoder.wrong::<()>(&node.at, &format!("{path}.driver"), message);
                }
            }
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
