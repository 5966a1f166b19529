//! Driver `redis` (KV-05). Values are stored as clients of RoadRunner store them, so that both can share the servers.

use crate::KvError;
use crate::driver::{self, Done, Driver, Item, List};
use crate::foreign;
use rr_redis::{Again, Cmd, Failed, FromRedisValue, Settings, cmd};
use rr_wire::kv::{Item as Entry, kind};

/// A storage on Redis servers. Connects when it is first asked.
#[derive(Debug, Clone)]
pub struct Redis(rr_redis::Redis);

/// Sets a key if its value is what is expected. Expected: 0 for none, or 1 and the value; then the value, and
/// milliseconds to live: 0 for ever, -1 for what it has left.
const COMPARE_AND_SET: &str = "
    local value = redis.call('GET', KEYS[1])
    if ARGV[1] == '0' then
        if value then return 0 end
    elseif value ~= ARGV[2] then
        return 0
    end
    if ARGV[4] == '-1' then
        redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
    elseif ARGV[4] == '0' then
        redis.call('SET', KEYS[1], ARGV[3])
    else
        redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
    end
    return 1";

/// Times that another writer may be faster.
const TRIES: usize = 100;

impl From<Failed> for KvError {
    fn from(failed: Failed) -> Self {
        Self::Storage(failed.to_string())
    }
}

impl Redis {
    /// A storage on these servers.
    ///
    /// # Errors
    /// An address that is none, or a file of TLS that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, KvError> {
        Ok(Self(rr_redis::Redis::new(settings)?))
    }

    async fn send<T: FromRedisValue>(&self, commands: Vec<Cmd>, again: Again) -> Result<Vec<T>, KvError> {
        Ok(self.0.send(commands, again).await?)
    }

    async fn set_if(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        ttl: i64,
    ) -> Result<bool, KvError> {
        let mut script = cmd("EVAL");
        script.arg(COMPARE_AND_SET).arg(1).arg(key);
        script.arg(i32::from(expected.is_some())).arg(expected.unwrap_or_default()).arg(value).arg(ttl);
        let set: Vec<bool> = self.send(vec![script], Again::No).await?;
        Ok(set.first() == Some(&true))
    }

    async fn read(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        self.send(keys.iter().map(|key| about("GET", key)).collect(), Again::Yes).await
    }

    async fn add(self, key: Vec<u8>, by: i64, ttl: i64) -> Result<i64, KvError> {
        for _ in 0..TRIES {
            let seen = self.read(std::slice::from_ref(&key)).await?.pop().flatten();
            let old = seen.as_deref().map_or(Ok(0), |value| driver::number(&key, kind::BYTES, value))?;
            let sum = driver::sum(&key, old, by)?;
            let value = foreign::stored(kind::INT, &sum.to_le_bytes());
            let ttl = if seen.is_some() { -1 } else { ttl };
            if self.set_if(&key, seen.as_deref(), &value, ttl).await? {
                return Ok(sum);
            }
        }
        Err(self.0.failed(format!("a value changed {TRIES} times while it was to be changed")).into())
    }
}

/// A command about a key and nothing else.
fn about(command: &str, key: &[u8]) -> Cmd {
    let mut command = cmd(command);
    command.arg(key);
    command
}

fn owned(keys: &[&[u8]]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.to_vec()).collect()
}

impl Driver for Redis {
    fn name(&self) -> &'static str {
        "redis_driver"
    }

    fn get(&self, keys: &[&[u8]]) -> Done<List<Option<Item>>> {
        let (this, keys) = (self.clone(), owned(keys));
        Done::later(async move {
            let found = this.read(&keys).await?.into_iter();
            Ok(found
                .map(|value| {
                    let (kind, value) = foreign::read(value?);
                    Some(Item { kind, value, ttl: 0 })
                })
                .collect())
        })
    }

    fn ttl(&self, keys: &[&[u8]]) -> Done<List<Option<u64>>> {
        let this = self.clone();
        let commands = keys.iter().map(|key| about("PTTL", key)).collect();
        Done::later(async move {
            let left: Vec<i64> = this.send(commands, Again::Yes).await?;
            // -1 is for ever, -2 is not there.
            let left = left.into_iter().map(|left| match left {
                -1 => Some(0),
                left => u64::try_from(left).ok().map(|left| left.max(1)),
            });
            Ok(left.collect())
        })
    }

    fn set(&self, entries: &[Entry<'_>]) -> Done<()> {
        let this = self.clone();
        let set = |entry: &Entry<'_>| {
            let mut command = about("SET", entry.key);
            command.arg(foreign::stored(entry.kind, entry.value));
            if entry.ttl != 0 {
                command.arg("PX").arg(entry.ttl);
            }
            command
        };
        let commands = entries.iter().map(set).collect();
        Done::later(async move { this.send::<String>(commands, Again::Yes).await.map(drop) })
    }

    fn expire(&self, keys: &[(&[u8], u64)]) -> Done<u32> {
        let this = self.clone();
        let mut commands = Vec::with_capacity(keys.len());
        // Of a key that is to stay, whether it is there; what PERSIST gives is whether it had an end.
        let mut counts = Vec::with_capacity(keys.len());
        for (key, ttl) in keys {
            if *ttl == 0 {
                commands.extend([about("PERSIST", key), about("EXISTS", key)]);
                counts.extend([false, true]);
            } else {
                let mut command = about("PEXPIRE", key);
                command.arg(*ttl);
                commands.push(command);
                counts.push(true);
            }
        }
        Done::later(async move {
            let done: Vec<u32> = this.send(commands, Again::Yes).await?;
            Ok(done.iter().zip(counts).filter(|(_, counts)| *counts).map(|(done, _)| *done).sum())
        })
    }

    fn delete(&self, keys: &[&[u8]]) -> Done<u32> {
        let this = self.clone();
        let commands = keys.iter().map(|key| about("DEL", key)).collect();
        Done::later(async move { Ok(this.send::<u32>(commands, Again::Yes).await?.iter().sum()) })
    }

    /// On a cluster every master does it.
    fn clear(&self) -> Done<()> {
        let this = self.clone();
        Done::later(async move { this.send::<String>(vec![cmd("FLUSHDB")], Again::Yes).await.map(drop) })
    }

    fn increment(&self, key: &[u8], by: i64, ttl: u64) -> Done<i64> {
        let ttl = i64::try_from(ttl).unwrap_or(i64::MAX);
        Done::later(self.clone().add(key.to_vec(), by, ttl))
    }

    fn compare_and_set(&self, expected: Option<(u32, &[u8])>, entry: &Entry<'_>) -> Done<bool> {
        let (this, key) = (self.clone(), entry.key.to_vec());
        let expected = expected.map(|(kind, value)| foreign::stored(kind, value));
        let value = foreign::stored(entry.kind, entry.value);
        let ttl = i64::try_from(entry.ttl).unwrap_or(i64::MAX);
        Done::later(async move { this.set_if(&key, expected.as_deref(), &value, ttl).await })
    }
}
