//! `RoadRunner\KeyValue`: a storage of the `kv` section. Reads come from shared memory where the driver is memory; all else
//! goes through the server.

use super::exceptions::{Cause, of, of_session};
use super::values::{Packed, Serializer, fresh_until, pack, unpack};
use crate::role::{session, tables};
use crate::zend::values::{each_entry, hurry, insert};
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::binary_slice::BinarySlice;
use ext_php_rs::class::RegisteredClass;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, ZendObject, Zval};
use rr_wire::kv::{CutOff, Item, Reading, Writing, kind};
use rr_worker::table::Reader;
use std::time::{SystemTime, UNIX_EPOCH};

/// A key-value storage.
#[php_class]
#[php(name = "RoadRunner\\KeyValue")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct KeyValue {
    name: String,
    /// Its table; a storage that is not memory has none.
    reader: Option<&'static Reader>,
    serializer: Serializer,
}

/// Kind, bytes and end of what was read.
type Read = (u32, Vec<u8>, u64);

fn failed(text: impl Into<String>) -> PhpException {
    of(Cause::KeyValue, text)
}

/// Milliseconds of a time to live in seconds: `None` is for ever, nothing left is `Some(0)`.
fn milliseconds(ttl: Option<f64>) -> PhpResult<Option<u64>> {
    let Some(seconds) = ttl.filter(|seconds| *seconds != f64::INFINITY) else { return Ok(None) };
    if seconds.is_nan() {
        return Err(failed("a time to live that is no number"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let milliseconds = (seconds * 1000.0).ceil().clamp(0.0, 1e15) as u64;
    Ok(Some(milliseconds))
}

impl KeyValue {
    /// Of any object of the class, for the short way.
    fn reader_of(object: &ZendObject) -> Option<&'static Reader> {
        ZendClassObject::<Self>::from_zend_obj(object).and_then(|object| object.reader)
    }

    fn call(&self, method: &str, body: Writing) -> PhpResult<Vec<u8>> {
        let answer = session::with(|session| session.call(method, &body.0))?;
        answer.map_err(|error| match &error {
            rr_worker::SessionError::Refused(text) => failed(text),
            _ => of_session(&error),
        })
    }

    fn body(&self) -> Writing {
        Writing::default().text(self.name.as_bytes())
    }

    /// Milliseconds of the clock that stale values are marked by: where they outlive the machine's uptime that of the wall.
    fn now(&self) -> u64 {
        match self.reader {
            Some(_) => rr_os::time::monotonic_ms(),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
        }
    }

    /// Kind, bytes and end of a key; the end by the monotonic clock, 0 for none.
    fn read(&self, key: &[u8]) -> PhpResult<Option<Read>> {
        for _ in 0..3 {
            let Some(reader) = self.reader else { break };
            let Ok(found) = reader.find(key, rr_os::time::monotonic_ms) else { break };
            let Some(found) = found else { return Ok(None) };
            let mut value = vec![0; found.length];
            if reader.copy(&found, &mut value) {
                return Ok(Some((found.kind, value, found.expires)));
            }
        }
        // It has no table, or changes all the time: the server knows.
        Ok(self.ask(&[key.to_vec()])?.pop().flatten())
    }

    /// Kinds, bytes and ends of keys, from the server.
    fn ask(&self, keys: &[Vec<u8>]) -> PhpResult<Vec<Option<Read>>> {
        let body = keys.iter().fold(self.body(), |body, key| body.text(key));
        let answer = self.call("kv.Get", body)?;
        let mut reading = Reading::new(&answer);
        let mut next = || -> Result<Option<Read>, CutOff> {
            if reading.u32()? == 0 {
                return Ok(None);
            }
            let item = reading.item()?;
            let end = if item.ttl == 0 { 0 } else { rr_os::time::monotonic_ms().saturating_add(item.ttl) };
            Ok(Some((item.kind, item.value.to_vec(), end)))
        };
        keys.iter().map(|_| next().map_err(|error| failed(error.to_string()))).collect()
    }

    /// The same, each from the table where there is one.
    fn read_all(&self, keys: &[Vec<u8>]) -> PhpResult<Vec<Option<Read>>> {
        match self.reader {
            Some(_) => keys.iter().map(|key| self.read(key)).collect(),
            None if keys.is_empty() => Ok(Vec::new()),
            None => self.ask(keys),
        }
    }

    fn store(&self, items: &[(&[u8], Packed<'_>)], ttl: Option<u64>) -> PhpResult<()> {
        if ttl == Some(0) {
            let keys = items.iter().fold(self.body(), |body, (key, _)| body.text(key));
            return self.call("kv.Delete", keys).map(drop);
        }
        let ttl = ttl.unwrap_or(0);
        let body = items.iter().fold(self.body(), |body, (key, packed)| {
            body.item(&Item { key, kind: packed.kind, ttl, value: &packed.bytes })
        });
        self.call("kv.Set", body).map(drop)
    }
}

#[php_impl]
impl KeyValue {
    /// A storage of the `kv` section by its name. `serializer`: `auto` (igbinary where it is loaded, else PHP's), `php`,
    /// which clients of RoadRunner's RPC can read, or `raw` for strings as they are.
    ///
    /// @throws KeyValueException there is no such storage
    #[php(defaults(serializer = "\"auto\""))]
    pub fn open(name: &str, serializer: &str) -> PhpResult<Self> {
        let serializer = match serializer {
            "auto" => Serializer::Native,
            "php" => Serializer::Php,
            "raw" => Serializer::Raw,
            other => return Err(failed(format!("serializer {other:?}: write \"auto\", \"php\" or \"raw\""))),
        };
        hurry(Self::get_metadata().ce(), Self::reader_of);
        match tables::find(name) {
            Some(reader) => Ok(Self { name: name.to_owned(), reader, serializer }),
            None => Err(failed(match tables::names().as_slice() {
                [] => format!(
                    "there is no storage {name:?} here: this works in the app of a server whose kv section has it"
                ),
                names => {
                    format!("there is no storage {name:?} in the kv section; it has {}", names.join(", "))
                }
            })),
        }
    }

    /// The value of a key, or `$default`. Costs no call to the server where the driver is memory.
    pub fn get(&self, key: BinarySlice<'_, u8>, default: Option<&Zval>) -> PhpResult<Zval> {
        match self.read(&key)? {
            Some((kind, value, _)) => unpack(kind, &value, self.serializer),
            None => Ok(default.map_or_else(Zval::null, Zval::shallow_clone)),
        }
    }

    /// The values of keys, by key; `$default` for those that are not there.
    ///
    /// @param array<string> $keys
    /// @return array<string, mixed>
    pub fn get_multiple(&self, keys: &ZendHashTable, default: Option<&Zval>) -> PhpResult<Zval> {
        let mut values = ZendHashTable::with_capacity(u32::try_from(keys.len()).unwrap_or(0));
        let name = |key: &Zval| {
            let key = key.dereference();
            let number = key.long().map(|number| number.to_string().into_bytes());
            number.or_else(|| key.zend_str().map(|text| text.as_bytes().to_vec()))
        };
        let names: Option<Vec<_>> = keys.values().map(name).collect();
        let names = names.ok_or_else(|| failed("keys are strings"))?;
        for (name, found) in names.iter().zip(self.read_all(&names)?) {
            let value = match found {
                Some((kind, value, _)) => unpack(kind, &value, self.serializer)?,
                None => default.map_or_else(Zval::null, Zval::shallow_clone),
            };
            insert(&mut values, name, value);
        }
        let mut zval = Zval::new();
        zval.set_hashtable(values);
        Ok(zval)
    }

    /// Sets a key; `$ttl` in seconds, null for ever. With nothing left of it the key is removed.
    ///
    /// @throws KeyValueException the key is empty, or there is no room
    pub fn set(&self, key: BinarySlice<'_, u8>, value: &Zval, ttl: Option<f64>) -> PhpResult<()> {
        let ttl = milliseconds(ttl)?;
        let Some(packed) = pack(value, self.serializer)? else { return Ok(()) };
        self.store(&[(&key, packed)], ttl)
    }

    /// Sets several keys in one call.
    ///
    /// @param array<string, mixed> $values
    /// @throws KeyValueException a key is empty, or there is no room; some may be set then
    pub fn set_multiple(&self, values: &ZendHashTable, ttl: Option<f64>) -> PhpResult<()> {
        let ttl = milliseconds(ttl)?;
        let mut entries = Vec::with_capacity(values.len());
        each_entry(values, |key, value| entries.push((key.to_vec(), value.shallow_clone())));
        let mut packed = Vec::with_capacity(entries.len());
        for (_, value) in &entries {
            let Some(value) = pack(value, self.serializer)? else { return Ok(()) };
            packed.push(value);
        }
        let items: Vec<_> = entries.iter().map(|(key, _)| key.as_slice()).zip(packed).collect();
        self.store(&items, ttl)
    }

    /// Whether a key is there.
    pub fn has(&self, key: BinarySlice<'_, u8>) -> PhpResult<bool> {
        match self.reader.map(|reader| reader.find(&key, rr_os::time::monotonic_ms)) {
            Some(Ok(found)) => Ok(found.is_some()),
            _ => Ok(self.call("kv.Has", self.body().text(&key))?.first() == Some(&1)),
        }
    }

    /// Removes a key; whether it was there.
    pub fn delete(&self, key: BinarySlice<'_, u8>) -> PhpResult<bool> {
        Ok(self.call("kv.Delete", self.body().text(&key))?.first() == Some(&1))
    }

    /// Removes several keys in one call; how many were there.
    ///
    /// @param array<string> $keys
    pub fn delete_multiple(&self, keys: &ZendHashTable) -> PhpResult<i64> {
        let body = keys.values().try_fold(self.body(), |body, key| {
            let key = key.dereference();
            match (key.zend_str(), key.long()) {
                (Some(text), _) => Ok(body.text(text.as_bytes())),
                (None, Some(number)) => Ok(body.text(number.to_string().as_bytes())),
                (None, None) => Err(failed("keys are strings")),
            }
        })?;
        let answer = self.call("kv.Delete", body)?;
        Ok(answer.first_chunk::<4>().map_or(0, |count| i64::from(u32::from_le_bytes(*count))))
    }

    /// Removes everything, of all workers.
    pub fn clear(&self) -> PhpResult<()> {
        self.call("kv.Clear", self.body()).map(drop)
    }

    /// Seconds that a key has left: `INF` if it has no end, null if it is not there.
    pub fn ttl(&self, key: BinarySlice<'_, u8>) -> PhpResult<Option<f64>> {
        let left = match self.reader {
            Some(_) => self.read(&key)?.map(|(_, _, end)| match end {
                0 => 0,
                // 0 would be for ever.
                end => end.saturating_sub(rr_os::time::monotonic_ms()).max(1),
            }),
            None => {
                let left = self.call("kv.Ttl", self.body().text(&key))?;
                left.first_chunk().map(|left| u64::from_le_bytes(*left))
            }
        };
        Ok(left.map(|left| match left {
            0 => f64::INFINITY,
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of thousands of years")]
            left => left as f64 / 1000.0,
        }))
    }

    /// Gives a key another end, in seconds from now, null for none; whether it is there.
    pub fn expire(&self, key: BinarySlice<'_, u8>, ttl: Option<f64>) -> PhpResult<bool> {
        match milliseconds(ttl)? {
            Some(0) => self.delete(key),
            ttl => {
                let body = self.body().u64(ttl.unwrap_or(0)).text(&key);
                Ok(self.call("kv.Expire", body)?.first() == Some(&1))
            }
        }
    }

    /// Adds to an int, in one step for all workers, and gives the sum. A key that is not there is 0, and lives for `$ttl`
    /// seconds.
    ///
    /// @throws KeyValueException the value is no int, or the sum is too large for one
    #[php(defaults(by = 1))]
    pub fn increment(&self, key: BinarySlice<'_, u8>, by: i64, ttl: Option<f64>) -> PhpResult<i64> {
        let ttl = milliseconds(ttl)?.map_or(0, |ttl| ttl.max(1));
        let body = self.body().u64(by.cast_unsigned()).u64(ttl).text(&key);
        let answer = self.call("kv.Increment", body)?;
        Ok(answer.first_chunk().map_or(0, |sum| i64::from_le_bytes(*sum)))
    }

    /// Sets a key if its value is `$expected`, in one step for all workers; null stands for a key that is not there.
    /// Whether it was set.
    pub fn compare_and_set(
        &self,
        key: BinarySlice<'_, u8>,
        expected: &Zval,
        value: &Zval,
        ttl: Option<f64>,
    ) -> PhpResult<bool> {
        let ttl = milliseconds(ttl)?.map_or(0, |ttl| ttl.max(1));
        let Some(packed) = pack(value, self.serializer)? else { return Ok(false) };
        let Some(wanted) = pack(expected, self.serializer)? else { return Ok(false) };
        let body = match expected.dereference().is_null() {
            true => self.body().u32(0),
            false => self.body().u32(1).u32(wanted.kind).text(&wanted.bytes),
        };
        let body = body.item(&Item { key: &key, kind: packed.kind, ttl, value: &packed.bytes });
        Ok(self.call("kv.CompareAndSet", body)?.first() == Some(&1))
    }

    /// The value of a key, computed by `$compute` if it is not there. One worker computes at a time, for `$timeout`
    /// seconds at most, while others wait for it. A value that is older than `$ttl` seconds is kept for `$stale` seconds
    /// more: one worker computes it anew while the others take the old one.
    ///
    /// @throws KeyValueException the key is empty, or there is no room
    #[php(defaults(timeout = 30.0))]
    pub fn get_or_compute(
        &self,
        key: BinarySlice<'_, u8>,
        compute: &Zval,
        ttl: Option<f64>,
        stale: Option<f64>,
        timeout: f64,
    ) -> PhpResult<Zval> {
        let key: &[u8] = &key;
        if let Some((kind, value, _)) = self.read(key)?
            && self.now() < fresh_until(kind, &value).1
        {
            return unpack(kind, &value, self.serializer);
        }
        let compute = Callable::new(compute).ok_or_else(|| failed("getOrCompute() takes a callable"))?;
        let (ttl, stale) = (milliseconds(ttl)?, milliseconds(stale)?.unwrap_or(0));
        let patience = milliseconds(Some(timeout))?.unwrap_or(u64::MAX / 2).max(1);
        let body = self.body().u64(patience).u32(u32::from(stale > 0)).text(key);
        let answer = self.call("kv.Compute", body)?;
        let mut reading = Reading::new(&answer);
        let broken = |error: CutOff| failed(error.to_string());
        if reading.u32().map_err(broken)? == 0 {
            let item = reading.item().map_err(broken)?;
            return unpack(item.kind, item.value, self.serializer);
        }
        let number = reading.u64().map_err(broken)?;
        let (outcome, value) = compute.call(&mut []);
        let done = match outcome {
            Outcome::Returned => match pack(&value, self.serializer) {
                Ok(Some(packed)) => self.keep(key, packed, ttl, stale),
                Ok(None) => Err(None),
                Err(error) => Err(Some(error)),
            },
            _ => Err(None),
        };
        if let Err(error) = done {
            // Somebody else is to try, whatever becomes of this one.
            let given_up = self.call("kv.GiveUp", self.body().u64(number).u64(patience).text(key));
            if outcome == Outcome::Exited {
                zend::exit_script(0);
            }
            return match error {
                Some(error) => Err(error),
                None if outcome == Outcome::Bailed => given_up.map(|_| Zval::null()),
                None => Ok(Zval::null()),
            };
        }
        Ok(value)
    }
}

impl KeyValue {
    fn keep(
        &self,
        key: &[u8],
        packed: Packed<'_>,
        ttl: Option<u64>,
        stale: u64,
    ) -> Result<(), Option<PhpException>> {
        let packed = match ttl.filter(|_| stale > 0) {
            None => packed,
            Some(ttl) => {
                let mut bytes = self.now().saturating_add(ttl).to_le_bytes().to_vec();
                bytes.extend_from_slice(&packed.bytes);
                Packed { kind: packed.kind | kind::STALE, bytes: bytes.into() }
            }
        };
        self.store(&[(key, packed)], ttl.map(|ttl| ttl.saturating_add(stale))).map_err(Some)
    }
}
