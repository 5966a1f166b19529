//! Driver `redis` (KV-05): one server, over one connection that all calls share. Values are stored as clients of RoadRunner
//! store them, so that both can share the server.

use crate::KvError;
use crate::driver::{self, Done, Driver, Item, List};
use crate::foreign;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError};
use rr_wire::kv::{Item as Entry, kind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, or `unix:///path`.
    pub address: String,
    /// The database's number.
    pub db: u32,
    /// The user, if it is not the default one.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
}

/// A storage on a Redis server. Connects when it is first asked.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    address: String,
    client: Client,
    config: AsyncConnectionConfig,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Redis").field(&self.0.address).finish()
    }
}

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

/// May a request be sent again if the connection has failed?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

impl Redis {
    /// A storage on this server.
    ///
    /// # Errors
    /// It is no address.
    pub fn new(settings: &Settings) -> Result<Self, KvError> {
        let address = settings.address.clone();
        let url = match address.contains("://") {
            true => address.clone(),
            false => format!("redis://{address}"),
        };
        let failed = |error: RedisError| KvError::Storage(format!("redis: {address}: {error}"));
        let info = url.as_str().into_connection_info().map_err(failed)?;
        let mut login = info.redis_settings().clone().set_db(i64::from(settings.db));
        if let Some(username) = &settings.username {
            login = login.set_username(username);
        }
        if let Some(password) = &settings.password {
            login = login.set_password(password);
        }
        let client = Client::open(info.set_redis_settings(login)).map_err(failed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect))
            .set_response_timeout(Some(settings.answer));
        Ok(Self(Arc::new(Shared { address, client, config, connection: Mutex::default() })))
    }

    fn failed(&self, error: impl std::fmt::Display) -> KvError {
        KvError::Storage(format!("redis: {}: {error}", self.0.address))
    }

    /// The connection, and whether it was there before.
    async fn connection(&self) -> Result<(MultiplexedConnection, bool), RedisError> {
        let mut kept = self.0.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok((connection.clone(), true));
        }
        let made = self.0.client.get_multiplexed_async_connection_with_config(&self.0.config).await?;
        *kept = Some(made.clone());
        Ok((made, false))
    }

    /// Sends commands at once. A connection that fails is replaced by the next call, or by this one: the server may have
    /// been started anew since.
    async fn send<T: FromRedisValue>(&self, commands: &Pipeline, again: Again) -> Result<T, KvError> {
        loop {
            let (mut connection, was_there) = self.connection().await.map_err(|error| self.failed(error))?;
            let error = match commands.query_async(&mut connection).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // A server that does not answer may be gone without a word.
            if !error.is_unrecoverable_error() && !error.is_timeout() {
                return Err(self.failed(error));
            }
            *self.0.connection.lock().await = None;
            if !was_there || again == Again::No || error.is_timeout() {
                return Err(self.failed(error));
            }
        }
    }

    async fn set_if(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
        ttl: i64,
    ) -> Result<bool, KvError> {
        let mut script = Cmd::new();
        script.arg("EVAL").arg(COMPARE_AND_SET).arg(1).arg(key);
        script.arg(i32::from(expected.is_some())).arg(expected.unwrap_or_default()).arg(value).arg(ttl);
        let mut commands = Pipeline::new();
        commands.add_command(script);
        let (set,): (bool,) = self.send(&commands, Again::No).await?;
        Ok(set)
    }

    async fn read(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::new();
        keys.iter().for_each(|key| {
            commands.cmd("GET").arg(key);
        });
        self.send(&commands, Again::Yes).await
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
        Err(self.failed(format!("a value changed {TRIES} times while it was to be changed")))
    }
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
        let mut commands = Pipeline::new();
        keys.iter().for_each(|key| {
            commands.cmd("PTTL").arg(*key);
        });
        Done::later(async move {
            let left: Vec<i64> = this.send(&commands, Again::Yes).await?;
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
        let mut commands = Pipeline::new();
        for entry in entries {
            let command = commands.cmd("SET").arg(entry.key).arg(foreign::stored(entry.kind, entry.value));
            if entry.ttl != 0 {
                command.arg("PX").arg(entry.ttl);
            }
        }
        Done::later(async move { this.send::<Vec<String>>(&commands, Again::Yes).await.map(drop) })
    }

    fn expire(&self, keys: &[(&[u8], u64)]) -> Done<u32> {
        let this = self.clone();
        let mut commands = Pipeline::new();
        for (key, ttl) in keys {
            match ttl {
                0 => commands.cmd("PERSIST").arg(*key).ignore().cmd("EXISTS").arg(*key),
                ttl => commands.cmd("PEXPIRE").arg(*key).arg(*ttl),
            };
        }
        Done::later(async move { Ok(this.send::<Vec<u32>>(&commands, Again::Yes).await?.iter().sum()) })
    }

    fn delete(&self, keys: &[&[u8]]) -> Done<u32> {
        let this = self.clone();
        let mut commands = Pipeline::new();
        keys.iter().for_each(|key| {
            commands.cmd("DEL").arg(*key);
        });
        Done::later(async move { Ok(this.send::<Vec<u32>>(&commands, Again::Yes).await?.iter().sum()) })
    }

    fn clear(&self) -> Done<()> {
        let this = self.clone();
        let mut commands = Pipeline::new();
        commands.cmd("FLUSHDB");
        Done::later(async move { this.send::<Vec<String>>(&commands, Again::Yes).await.map(drop) })
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
