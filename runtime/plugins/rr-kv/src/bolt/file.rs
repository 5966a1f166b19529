//! The file of driver `boltdb`: two tables of redb, opened anew after a failure. Knows no thread.

use super::Settings;
use crate::KvError;
use crate::driver::{Item, wall_ms};
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Key to kind, end in milliseconds since 1970 (0: none) and value.
const VALUES: TableDefinition<'static, &[u8], (u32, u64, &[u8])> = TableDefinition::new("values");
/// Ends that are not 0, with their keys.
const ENDS: TableDefinition<'static, (u64, &[u8]), ()> = TableDefinition::new("ends");

/// What redb holds in memory. Its default is 1 GiB.
const CACHE: usize = 64 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct File {
    settings: Settings,
    /// `None`: it failed, and could not be opened again so far.
    database: RwLock<Option<Database>>,
}

/// The tables within one transaction.
pub(super) struct Tables<'t> {
    values: Table<'t, &'static [u8], (u32, u64, &'static [u8])>,
    ends: Table<'t, (u64, &'static [u8]), ()>,
}

/// A change that is made in a transaction, maybe more than once: in one with others, and if that fails alone.
pub(super) trait Change: Send {
    /// Makes the change.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    /// It is on the disk, or is not.
    fn finish(self: Box<Self>, committed: Result<(), KvError>);
}

/// A value with its end.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) kind: u32,
    pub(super) end: u64,
    pub(super) value: Vec<u8>,
}

impl Stored {
    /// As the driver gives it.
    pub(super) fn item(self) -> Item {
        let ttl = if self.end == 0 { 0 } else { self.end.saturating_sub(wall_ms()).max(1) };
        Item { kind: self.kind, value: self.value, ttl }
    }
}

impl Tables<'_> {
    fn stored(&self, key: &[u8]) -> Result<Option<Stored>, redb::Error> {
        Ok(self.values.get(key)?.map(|found| {
            let (kind, end, value) = found.value();
            Stored { kind, end, value: value.to_vec() }
        }))
    }

    /// A value that has not ended.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Stored>, redb::Error> {
        Ok(self.stored(key)?.filter(|stored| stored.end == 0 || wall_ms() < stored.end))
    }

    /// Sets a value; `end` 0: none.
    pub(super) fn set(&mut self, key: &[u8], kind: u32, end: u64, value: &[u8]) -> Result<(), redb::Error> {
        let before = self.values.insert(key, (kind, end, value))?.map_or(0, |before| before.value().1);
        if before != end {
            if before != 0 {
                self.ends.remove((before, key))?;
            }
            if end != 0 {
                self.ends.insert((end, key), ())?;
            }
        }
        Ok(())
    }

    /// Removes a value; whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> Result<bool, redb::Error> {
        let Some(end) = self.values.remove(key)?.map(|before| before.value().1) else { return Ok(false) };
        if end != 0 {
            self.ends.remove((end, key))?;
        }
        Ok(end == 0 || wall_ms() < end)
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) -> Result<(), redb::Error> {
        self.values.retain(|_, _| false)?;
        self.ends.retain(|_, ()| false)?;
        Ok(())
    }

    /// Removes up to `most` values that have ended; how many there were.
    pub(super) fn sweep(&mut self, most: usize) -> Result<usize, redb::Error> {
        let mut ended = Vec::new();
        for entry in self.ends.range(..(wall_ms() + 1, &[][..]))?.take(most) {
            ended.push(entry?.0.value().1.to_vec());
        }
        for key in &ended {
            self.remove(key)?;
        }
        Ok(ended.len())
    }
}

impl File {
    /// Opens the file, or makes it.
    pub(super) fn open(settings: Settings) -> Result<Self, KvError> {
        let database = RwLock::new(Some(open(&settings)?));
        Ok(Self { settings, database })
    }

    /// The path, for texts.
    pub(super) fn path(&self) -> &Path {
        &self.settings.file
    }

    fn failed(&self, error: impl std::fmt::Display) -> KvError {
        KvError::Storage(format!("boltdb: {}: {error}", self.settings.file.display()))
    }

    /// Runs something of redb. A file that was altered while it was closed can make it panic.
    fn guard<T>(&self, run: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, KvError> {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result.map_err(|error| self.failed(error)),
            Err(_) => Err(self.failed("it is damaged; move it away, and the server makes a new one")),
        }
    }

    /// Reads values that have not ended.
    pub(super) fn read(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Stored>>, KvError> {
        let database = self.database.read();
        let database = database.as_ref().ok_or_else(|| self.failed("it could not be opened again"))?;
        self.guard(|| {
            let table = database.begin_read()?.open_table(VALUES)?;
            let now = wall_ms();
            let get = |key: &Vec<u8>| {
                let found = table.get(key.as_slice())?;
                Ok(found.and_then(|found| {
                    let (kind, end, value) = found.value();
                    (end == 0 || now < end).then(|| Stored { kind, end, value: value.to_vec() })
                }))
            };
            keys.iter().map(get).collect()
        })
    }

    /// Makes changes and has them on the disk: all at once, or if that fails one by one, so that one that does not fit
    /// takes no other with it.
    pub(super) fn write(&self, mut changes: Vec<Box<dyn Change>>) {
        match self.commit(&mut changes) {
            Err(_) if changes.len() > 1 => {
                for change in changes {
                    self.write(vec![change]);
                }
            }
            result => changes.into_iter().for_each(|change| change.finish(result.clone())),
        }
    }

    fn commit(&self, changes: &mut [Box<dyn Change>]) -> Result<(), KvError> {
        if self.database.read().is_none() {
            self.reopen()?;
        }
        let database = self.database.read();
        let Some(ready) = database.as_ref() else { return Err(self.failed("it could not be opened again")) };
        let result = self.guard(|| {
            let transaction = ready.begin_write()?;
            let mut tables =
                Tables { values: transaction.open_table(VALUES)?, ends: transaction.open_table(ENDS)? };
            for change in changes {
                change.run(&mut tables)?;
            }
            drop(tables);
            Ok(transaction.commit()?)
        });
        drop(database);
        if result.is_err() {
            // redb refuses everything after a failed write, until the file is opened anew.
            if let Err(error) = self.reopen() {
                tracing::error!(target: "kv", "{error}");
            }
        }
        result
    }

    fn reopen(&self) -> Result<(), KvError> {
        let mut database = self.database.write();
        // It is locked until then.
        *database = None;
        *database = Some(open(&self.settings)?);
        Ok(())
    }
}

/// Whether an error comes from what is in the file, or is missing at its end.
fn torn(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error.kind(), InvalidData | UnexpectedEof)
}

fn open(settings: &Settings) -> Result<Database, KvError> {
    let file = settings.file.display();
    let failed = |error: &dyn std::fmt::Display| KvError::Storage(format!("boltdb: {file}: {error}"));
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(settings.mode).open(&settings.file);
    match made {
        // The umask has had its say; the setting is meant as it is written.
        Ok(made) => {
            made.set_permissions(fs::Permissions::from_mode(settings.mode)).map_err(|error| failed(&error))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(&error)),
    }
    let opened = catch_unwind(|| {
        let mut builder = Database::builder();
        let database =
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true).create(&settings.file)?;
        let transaction = database.begin_write()?;
        transaction.open_table(VALUES)?;
        transaction.open_table(ENDS)?;
        transaction.commit()?;
        Ok::<_, redb::Error>(database)
    });
    const NO_FILE: &str = "it is no file of this server (redb, not RoadRunner's bbolt) or is damaged; move it away, \
                           and the server makes a new one";
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(failed(&"another process has it open")),
        Ok(Err(redb::Error::Io(error))) if !torn(&error) => Err(failed(&error)),
        Ok(Err(error)) => Err(failed(&format!("{NO_FILE} ({error})"))),
        Err(_) => Err(failed(&NO_FILE)),
    }
}
