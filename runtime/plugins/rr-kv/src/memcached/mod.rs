//! Driver `memcached` (KV-06). Keys are on the servers that RoadRunner's client chooses. Ends are whole seconds, and
//! nobody can read them.

mod client;

use crate::KvError;
use crate::driver::{self, Done, Driver, Item, List, wall_ms};
use crate::foreign;
use client::{Answer, Server, Until};
use rr_wire::kv::{Item as Entry, kind};
use std::sync::Arc;
use std::time::Duration;

/// The servers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, or `unix:///path`.
    pub addresses: Vec<String>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A storage on memcached servers. Connects when it is first asked.
#[derive(Debug, Clone)]
pub struct Memcached {
    servers: Arc<[Server]>,
}

/// Bytes of a key.
const MAX_KEY: usize = 250;
/// Times that another writer may be faster.
const TRIES: usize = 100;

fn check(key: &[u8]) -> Result<(), KvError> {
    match key.len() <= MAX_KEY && key.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
        true => Ok(()),
        false => Err(KvError::Storage(format!(
            "memcached: the key {:?} is longer than {MAX_KEY} bytes, or has blanks or control characters",
            String::from_utf8_lossy(&key[..key.len().min(MAX_KEY)])
        ))),
    }
}

/// The second in which something ends; the last one it is wholly there in. 0: never.
fn second(ttl: u64) -> u64 {
    if ttl == 0 { 0 } else { wall_ms().saturating_add(ttl).div_ceil(1000) }
}

fn refused(server: &Server, answer: &Answer) -> KvError {
    server.failed(&answer.line)
}

/// A request of text and bytes.
fn request(head: &str, key: &[u8], rest: &str, value: Option<&[u8]>) -> Vec<u8> {
    let mut request = [head.as_bytes(), b" ", key, rest.as_bytes(), b"\r\n"].concat();
    if let Some(value) = value {
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
    }
    request
}

impl Memcached {
    /// A storage on these servers, of which there is at least one.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let server = |address: &String| Server::new(address, settings.timeout);
        Self { servers: settings.addresses.iter().map(server).collect() }
    }

    /// As RoadRunner's client chooses: the checksum of the key, modulo the number of servers.
    fn place(&self, key: &[u8]) -> usize {
        crc32fast::hash(key) as usize % self.servers.len().max(1)
    }

    /// Sends a request per key, those of one server at once, and gives the answers in the order of the keys.
    async fn each(&self, requests: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<(usize, Answer)>, KvError> {
        requests.iter().try_for_each(|(key, _)| check(key))?;
        let mut answers: Vec<(usize, Answer)> = requests.iter().map(|_| Default::default()).collect();
        for (place, server) in self.servers.iter().enumerate() {
            let here = |(_, (key, _)): &(usize, &(Vec<u8>, Vec<u8>))| self.place(key) == place;
            let here: Vec<_> = requests.iter().enumerate().filter(here).collect();
            if here.is_empty() {
                continue;
            }
            let bytes: Vec<u8> = here.iter().flat_map(|(_, (_, request))| request).copied().collect();
            let (connection, got) = server.begin(&bytes, Until::Lines(here.len())).await?;
            server.keep(connection);
            for ((at, _), answer) in here.into_iter().zip(got) {
                answers[at] = (place, answer);
            }
        }
        Ok(answers)
    }

    /// How many were answered with `yes`; `no` is no error.
    async fn count(self, requests: Vec<(Vec<u8>, Vec<u8>)>, yes: &str, no: &str) -> Result<u32, KvError> {
        let mut count = 0;
        for (place, answer) in self.each(requests).await? {
            match answer.verb() {
                verb if verb == yes => count += 1,
                verb if verb == no => {}
                _ => return Err(refused(&self.servers[place], &answer)),
            }
        }
        Ok(count)
    }

    async fn fetch(self, keys: Vec<Vec<u8>>) -> Result<List<Option<Item>>, KvError> {
        keys.iter().try_for_each(|key| check(key))?;
        let mut found: List<Option<Item>> = keys.iter().map(|_| None).collect();
        for (place, server) in self.servers.iter().enumerate() {
            let here: Vec<_> = keys.iter().enumerate().filter(|(_, key)| self.place(key) == place).collect();
            if here.is_empty() {
                continue;
            }
            let names: Vec<&[u8]> = here.iter().map(|(_, key)| key.as_slice()).collect();
            let (connection, answers) =
                server.begin(&request("get", &names.join(&b' '), "", None), Until::End).await?;
            server.keep(connection);
            for answer in answers {
                let name = answer.words().nth(1).unwrap_or_default().to_owned();
                let (kind, value) = foreign::read(answer.data);
                for (at, _) in here.iter().filter(|(_, key)| String::from_utf8_lossy(key) == name) {
                    found[*at] = Some(Item { kind, value: value.clone(), ttl: 0 });
                }
            }
        }
        Ok(found)
    }

    /// Replaces what `change` has seen, or tries again; `change` gives `None` to leave it. Keeps the end of what is
    /// there unless `ttl` gives another.
    async fn update<T>(
        self,
        key: Vec<u8>,
        ttl: impl Fn(bool) -> Option<u64>,
        change: impl Fn(Option<&[u8]>) -> Result<(Option<Vec<u8>>, T), KvError>,
    ) -> Result<T, KvError> {
        check(&key)?;
        let server = &self.servers[self.place(&key)];
        for _ in 0..TRIES {
            let (mut connection, answers) =
                server.begin(&request("mg", &key, " v t c", None), Until::Lines(1)).await?;
            let seen = &answers[0];
            let flag = |letter: char| {
                seen.words().skip(2).find_map(|word| word.strip_prefix(letter)).unwrap_or_default()
            };
            let there = match seen.verb() {
                "VA" => true,
                "EN" => false,
                _ => return Err(refused(server, seen)),
            };
            let (value, result) = change(there.then_some(&seen.data))?;
            let Some(value) = value else {
                server.keep(connection);
                return Ok(result);
            };
            let end = match ttl(there) {
                Some(ttl) => second(ttl),
                // -1 is for ever.
                None => flag('t').parse().map_or(0, |left: u64| second(left.saturating_mul(1000).max(1))),
            };
            let bytes = value.len();
            let write = match there {
                true => request("cas", &key, &format!(" 0 {end} {bytes} {}", flag('c')), Some(&value)),
                false => request("add", &key, &format!(" 0 {end} {bytes}"), Some(&value)),
            };
            let answers = server.go_on(&mut connection, &write, Until::Lines(1)).await?;
            server.keep(connection);
            match answers[0].verb() {
                "STORED" => return Ok(result),
                // Somebody else was faster.
                "EXISTS" | "NOT_FOUND" | "NOT_STORED" => {}
                _ => return Err(refused(server, &answers[0])),
            }
        }
        Err(server.failed(format!("a value changed {TRIES} times while it was to be changed")))
    }
}

impl Driver for Memcached {
    fn name(&self) -> &'static str {
        "memcached_plugin"
    }

    fn get(&self, keys: &[&[u8]]) -> Done<List<Option<Item>>> {
        Done::later(self.clone().fetch(keys.iter().map(|key| key.to_vec()).collect()))
    }

    /// clients look for `_plugin_ttl`, which comes before this text.
    fn ttl(&self, _: &[&[u8]]) -> Done<List<Option<u64>>> {
        let text = "not valid request for memcached, see https://github.com/memcached/memcached/issues/239";
        Done::Now(Err(KvError::Storage(text.to_owned())))
    }

    fn set(&self, entries: &[Entry<'_>]) -> Done<()> {
        let set = |entry: &Entry<'_>| {
            let value = foreign::stored(entry.kind, entry.value);
            let rest = format!(" 0 {} {}", second(entry.ttl), value.len());
            (entry.key.to_vec(), request("set", entry.key, &rest, Some(&value)))
        };
        let requests = entries.iter().map(set).collect();
        Done::later(self.clone().count(requests, "STORED", "STORED")).map(|_| ())
    }

    fn expire(&self, keys: &[(&[u8], u64)]) -> Done<u32> {
        let touch = |(key, ttl): &(&[u8], u64)| {
            (key.to_vec(), request("touch", key, &format!(" {}", second(*ttl)), None))
        };
        let requests = keys.iter().map(touch).collect();
        Done::later(self.clone().count(requests, "TOUCHED", "NOT_FOUND"))
    }

    fn delete(&self, keys: &[&[u8]]) -> Done<u32> {
        let requests = keys.iter().map(|key| (key.to_vec(), request("delete", key, "", None))).collect();
        Done::later(self.clone().count(requests, "DELETED", "NOT_FOUND"))
    }

    fn clear(&self) -> Done<()> {
        let this = self.clone();
        Done::later(async move {
            for server in this.servers.iter() {
                let (connection, answers) = server.begin(b"flush_all\r\n", Until::Lines(1)).await?;
                server.keep(connection);
                if answers[0].verb() != "OK" {
                    return Err(refused(server, &answers[0]));
                }
            }
            Ok(())
        })
    }

    fn increment(&self, key: &[u8], by: i64, ttl: u64) -> Done<i64> {
        let name = key.to_vec();
        let change = move |seen: Option<&[u8]>| {
            let old = seen.map_or(Ok(0), |value| driver::number(&name, kind::BYTES, value))?;
            let sum = driver::sum(&name, old, by)?;
            Ok((Some(foreign::stored(kind::INT, &sum.to_le_bytes())), sum))
        };
        let ends = move |there: bool| (!there).then_some(ttl);
        Done::later(self.clone().update(key.to_vec(), ends, change))
    }

    fn compare_and_set(&self, expected: Option<(u32, &[u8])>, entry: &Entry<'_>) -> Done<bool> {
        let expected = expected.map(|(kind, value)| foreign::stored(kind, value));
        let value = foreign::stored(entry.kind, entry.value);
        let ttl = entry.ttl;
        let change = move |seen: Option<&[u8]>| match seen == expected.as_deref() {
            true => Ok((Some(value.clone()), true)),
            false => Ok((None, false)),
        };
        Done::later(self.clone().update(entry.key.to_vec(), move |_| Some(ttl), change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kv_06_keys_are_where_roadrunners_client_looks_for_them() {
        let addresses = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
        let memcached = Memcached::new(&Settings { addresses, timeout: Duration::from_secs(1) });
        // CRC-32 of "123456789" is 0xcbf43926 by definition.
        assert_eq!(memcached.place(b"123456789"), 0xcbf4_3926_usize % 3);
        assert!(check(b"key").is_ok() && check(b"a b").is_err() && check(&[b'k'; 251]).is_err());
    }
}
