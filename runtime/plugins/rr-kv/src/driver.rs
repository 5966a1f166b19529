//! What a storage's driver does. One implementation of each operation serves workers and clients of the RPC.

use crate::KvError;
use rr_pool::BoxFuture;
use rr_wire::kv::Item as Entry;
use smallvec::SmallVec;
use std::fmt;

/// A value, as it is passed around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// See [`rr_wire::kv::kind`].
    pub kind: u32,
    /// The value.
    pub value: Vec<u8>,
    /// Milliseconds left; 0: for ever, or nobody knows.
    pub ttl: u64,
}

/// One thing per key; a call with few keys makes no list on the heap.
pub type List<T> = SmallVec<[T; 4]>;

/// What an operation gives: at once, as memory does, or later.
pub enum Done<T> {
    /// At once.
    Now(Result<T, KvError>),
    /// Later.
    Later(BoxFuture<Result<T, KvError>>),
}

impl<T> Done<T> {
    /// From a future.
    pub fn later(future: impl Future<Output = Result<T, KvError>> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }

    /// What comes of the result.
    pub fn map<U>(self, then: impl FnOnce(T) -> U + Send + 'static) -> Done<U>
    where
        T: 'static,
    {
        match self {
            Self::Now(result) => Done::Now(result.map(then)),
            Self::Later(future) => Done::later(async move { future.await.map(then) }),
        }
    }

    /// The result, whenever it is there.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn wait(self) -> Result<T, KvError> {
        match self {
            Self::Now(result) => result,
            Self::Later(future) => future.await,
        }
    }
}

/// A driver. Keys and values are copied by those who answer later; none of them blocks. Keys are checked
/// before they get here. Times are milliseconds, 0 for ever.
pub trait Driver: Send + Sync + fmt::Debug {
    /// Its name in RoadRunner's error texts, such as `in_memory_plugin` (RP-08).
    fn name(&self) -> &'static str;

    /// The values of keys, in their order.
    fn get(&self, keys: &[&[u8]]) -> Done<List<Option<Item>>>;

    /// Which of the keys are there.
    fn has(&self, keys: &[&[u8]]) -> Done<List<bool>> {
        self.get(keys).map(|found| found.iter().map(Option::is_some).collect())
    }

    /// Milliseconds that keys have left, 0 for ever; `None`: it is not there.
    fn ttl(&self, keys: &[&[u8]]) -> Done<List<Option<u64>>> {
        self.get(keys).map(|found| found.into_iter().map(|item| item.map(|item| item.ttl)).collect())
    }

    /// Sets keys: all, or with an error some.
    fn set(&self, entries: &[Entry<'_>]) -> Done<()>;

    /// Gives keys other ends; how many were there.
    fn expire(&self, keys: &[(&[u8], u64)]) -> Done<u32>;

    /// Removes keys; how many were there.
    fn delete(&self, keys: &[&[u8]]) -> Done<u32>;

    /// Removes everything.
    fn clear(&self) -> Done<()>;

    /// Adds to a number and gives the sum; a key that is not there is 0 and lives for `ttl` from now on.
    fn increment(&self, key: &[u8], by: i64, ttl: u64) -> Done<i64>;

    /// Sets a key if kind and value are what is expected (`None`: it is not there); whether it was set.
    fn compare_and_set(&self, expected: Option<(u32, &[u8])>, entry: &Entry<'_>) -> Done<bool>;
}

/// Whether a key may be stored.
///
/// # Errors
/// It is blank or too long.
pub(crate) fn check(key: &[u8]) -> Result<(), KvError> {
    match key.len() {
        length if length > rr_shm::store::MAX_KEY => Err(KvError::LongKey(length)),
        _ if key.trim_ascii().is_empty() => Err(KvError::EmptyKey),
        _ => Ok(()),
    }
}

/// The number that [`Driver::increment`] adds to.
///
/// # Errors
/// The value is none.
pub(crate) fn number(key: &[u8], kind: u32, value: &[u8]) -> Result<i64, KvError> {
    use rr_wire::kv::kind;
    let number = match (kind, <[u8; 8]>::try_from(value)) {
        (kind::INT, Ok(bytes)) => Some(i64::from_le_bytes(bytes)),
        (kind::BYTES | kind::STRING | kind::SERIALIZED, _) => crate::php::number(value),
        _ => None,
    };
    number.ok_or_else(|| KvError::NotANumber(String::from_utf8_lossy(key).into_owned()))
}

/// The sum that [`Driver::increment`] gives.
///
/// # Errors
/// It does not fit.
pub(crate) fn sum(key: &[u8], number: i64, by: i64) -> Result<i64, KvError> {
    number.checked_add(by).ok_or_else(|| KvError::Overflow(String::from_utf8_lossy(key).into_owned()))
}

/// Milliseconds since 1970, for what outlives the machine's uptime.
pub(crate) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
