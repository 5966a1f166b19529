//! Forms with files: read from the client to the end before a worker sees them, so that a slow upload holds none. The
//! files are on disk while the request runs, whatever becomes of its worker (HTTP-11).

use crate::multipart::{Event, Limits, Parser, TooMuch};
use bytes::BytesMut;
use parking_lot::Mutex;
use rr_config::Uploads as Config;
use rr_plugin::Identity;
use rr_wire::form::{self, Part};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Bytes that are written at a time.
const PIECE: usize = 256 * 1024;
/// Bytes that PHP's own parser reads at a time.
const PHP_PIECE: u64 = 5 * 1024;
/// Bytes of a form's names and fields that are kept in memory.
const IN_MEMORY: usize = 32 << 20;
/// What folders of this server are called, in front of a number.
const PREFIX: &str = "roadrunner-";
/// In each of them, locked while its server lives.
const LOCK: &str = ".lock";

/// PHP's `UPLOAD_ERR_*`.
mod code {
    pub(super) const OK: u8 = 0;
    pub(super) const FORM_SIZE: u8 = 2;
    pub(super) const PARTIAL: u8 = 3;
    pub(super) const NO_FILE: u8 = 4;
    pub(super) const NO_TMP_DIR: u8 = 6;
    pub(super) const CANT_WRITE: u8 = 7;
    pub(super) const EXTENSION: u8 = 8;
}

/// Where uploads go and what is taken.
#[derive(Debug)]
pub(crate) struct Uploads {
    parent: PathBuf,
    forbid: Vec<String>,
    allow: Vec<String>,
    pub(crate) limits: Limits,
    user: Option<Arc<Identity>>,
    /// There while a request has files in it.
    folder: Mutex<Weak<Folder>>,
    next: AtomicU64,
}

/// A folder of this process's own; gone with the last file in it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Folder {
    fn create(parent: &Path, user: Option<&Identity>) -> io::Result<Self> {
        let mut number = u64::from(std::process::id());
        let path = loop {
            let path = parent.join(format!("{PREFIX}{number:x}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                // Left by another process of that number, or somebody's trap.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number = number
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                }
                Err(error) => return Err(error),
            }
        };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = openat(rustix::fs::CWD, path.join(LOCK), flags, Mode::RUSR | Mode::WUSR)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        if let Some(user) = user {
            std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid))?;
        }
        Ok(Self { path, _lock: lock })
    }
}

/// Removes folders whose server was killed: nobody holds their lock.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let path = entry.path();
        let ours =
            entry.file_name().to_string_lossy().strip_prefix(PREFIX).is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
        if !ours {
            continue;
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let Ok(lock) = openat(rustix::fs::CWD, path.join(LOCK), flags, Mode::empty()) else { continue };
        let lock = File::from(lock);
        // Of another user's making it may be anything.
        if lock.metadata().is_ok_and(|meta| meta.uid() == own)
            && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            tracing::info!(target: "http", "uploads that a killed server has left are removed: {}", path.display());
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// Extensions in lower case with their dot.
fn extensions(list: &[String]) -> Vec<String> {
    list.iter().map(|name| format!(".{}", name.trim_start_matches('.').to_lowercase())).collect()
}

impl Uploads {
    pub(crate) fn new(config: &Config, user: Option<Arc<Identity>>) -> Self {
        let parent = config.dir.as_ref().map_or_else(std::env::temp_dir, PathBuf::from);
        // The worker need not be where the master is.
        let parent = std::path::absolute(&parent).unwrap_or(parent);
        sweep(&parent);
        Self {
            forbid: extensions(&config.forbid),
            allow: extensions(&config.allow),
            limits: Limits {
                fields: config.max_fields,
                files: config.max_files,
                field: config.max_field_size.min(IN_MEMORY),
                total: IN_MEMORY,
            },
            parent,
            user,
            folder: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    fn folder(&self) -> io::Result<Arc<Folder>> {
        let mut folder = self.folder.lock();
        if let Some(folder) = folder.upgrade().filter(|folder| folder.path.is_dir()) {
            return Ok(folder);
        }
        let made = Arc::new(Folder::create(&self.parent, self.user.as_deref())?);
        *folder = Arc::downgrade(&made);
        Ok(made)
    }

    /// HTTP-11: what is forbidden wins, a list of what is allowed excludes the rest.
    fn is_taken(&self, file_name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(file_name).to_lowercase();
        let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let extension = base.rfind('.').map_or("", |dot| &base[dot..]);
        let is = |list: &[String]| list.iter().any(|entry| entry == extension);
        !is(&self.forbid) && (self.allow.is_empty() || is(&self.allow))
    }

    fn create(&self) -> Result<(Upload, File), (u8, io::Error)> {
        let folder = self.folder().map_err(|error| (code::NO_TMP_DIR, error))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = folder.path.join(format!("php{number:06}"));
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(rustix::fs::CWD, &path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| (code::NO_TMP_DIR, error.into()))?;
        let upload = Upload { path, _folder: folder };
        if let Some(user) = &self.user {
            let owned = std::os::unix::fs::fchown(&file, Some(user.uid), Some(user.gid));
            owned.map_err(|error| (code::CANT_WRITE, error))?;
        }
        Ok((upload, File::from(file)))
    }
}

/// A file, removed when this is dropped. What the app has moved away is not there any more.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    _folder: Arc<Folder>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Files of a request, removed when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Stored(Vec<Upload>);

impl Drop for Stored {
    fn drop(&mut self) {
        let uploads = std::mem::take(&mut self.0);
        // Removing a large file takes a while.
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !uploads.is_empty()
        {
            drop(runtime.spawn_blocking(move || drop(uploads)));
        }
    }
}

/// A form that is being received.
pub(crate) struct Receiver {
    uploads: Arc<Uploads>,
    parser: Parser,
    block: Vec<u8>,
    stored: Stored,
    file: Option<Writing>,
    /// The field that PHP takes for the largest file the form wants.
    max_file_size: u64,
}

/// A file that is being received.
struct Writing {
    name: Vec<u8>,
    file_name: Vec<u8>,
    mime: Vec<u8>,
    error: u8,
    size: u64,
    open: Option<(Upload, File)>,
    pending: BytesMut,
}

/// A form that was received.
pub(crate) struct Received {
    /// For the worker, as `rr_wire::form` has it.
    pub(crate) block: Vec<u8>,
    /// To be kept until the request is over.
    pub(crate) stored: Option<Stored>,
    /// Its closing boundary was there.
    pub(crate) closed: bool,
}

impl Receiver {
    pub(crate) fn new(uploads: Arc<Uploads>, boundary: &[u8]) -> Self {
        let parser = Parser::new(boundary, uploads.limits);
        Self {
            uploads,
            parser,
            block: Vec::new(),
            stored: Stored::default(),
            file: None,
            max_file_size: u64::MAX,
        }
    }

    /// Takes more of the body.
    ///
    /// # Errors
    /// The form is larger than the limits allow.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        self.parser.push(bytes);
        self.drain().await
    }

    /// The body is complete.
    ///
    /// # Errors
    /// As [`Receiver::push`].
    pub(crate) async fn end(mut self) -> Result<Received, TooMuch> {
        self.parser.end();
        self.drain().await?;
        let (block, stored) = (std::mem::take(&mut self.block), std::mem::take(&mut self.stored));
        let closed = self.parser.is_closed();
        Ok(Received { block, stored: (!stored.0.is_empty()).then_some(stored), closed })
    }

    async fn drain(&mut self) -> Result<(), TooMuch> {
        while let Some(event) = self.parser.event()? {
            match event {
                Event::Field { name, value } => {
                    if name.eq_ignore_ascii_case(b"MAX_FILE_SIZE") {
                        self.max_file_size = max_file_size(&value);
                    }
                    let _ = form::encode(&mut self.block, &Part::Field { name: &name, value: &value });
                }
                Event::File { name, file_name, mime } => {
                    let error = match &file_name[..] {
                        b"" => code::NO_FILE,
                        named if !self.uploads.is_taken(named) => code::EXTENSION,
                        _ => code::OK,
                    };
                    let pending = BytesMut::new();
                    self.file = Some(Writing { name, file_name, mime, error, size: 0, open: None, pending });
                }
                Event::Garbled => {
                    let part = form::File {
                        name: b"",
                        file_name: b"",
                        mime: b"",
                        path: b"",
                        error: form::GARBLED,
                        size: 0,
                    };
                    let _ = form::encode(&mut self.block, &Part::File(part));
                }
                Event::Data(data) => self.data(data).await,
                Event::End { whole } => self.end_file(whole).await,
            }
        }
        Ok(())
    }

    async fn data(&mut self, data: BytesMut) {
        let limit = self.max_file_size;
        let Some(file) = &mut self.file else { return };
        if matches!(file.error, code::OK | code::FORM_SIZE) {
            file.size += data.len() as u64;
        }
        if file.error != code::OK {
            return;
        }
        if file.size > limit {
            file.error = code::FORM_SIZE;
        } else if file.pending.is_empty() {
            file.pending = data;
        } else {
            file.pending.extend_from_slice(&data);
        }
        if file.error == code::OK && file.pending.len() >= PIECE {
            self.write().await;
        }
    }

    /// Writes what is there, beside the reactor.
    async fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        let (pending, mut open) = (std::mem::take(&mut file.pending), file.open.take());
        let uploads = Arc::clone(&self.uploads);
        let written = tokio::task::spawn_blocking(move || {
            if open.is_none() {
                open = match uploads.create() {
                    Ok(made) => Some(made),
                    Err(error) => return (open, Err(error)),
                };
            }
            let result = match &mut open {
                Some((_, file)) => file.write_all(&pending).map_err(|error| (code::CANT_WRITE, error)),
                None => Ok(()),
            };
            (open, result)
        })
        .await;
        let (open, result) = match written {
            Ok(written) => written,
            Err(error) => (None, Err((code::CANT_WRITE, io::Error::other(error)))),
        };
        file.open = open;
        if let Err((number, error)) = result {
            let dir = self.uploads.parent.display();
            tracing::error!(target: "http", "an upload could not be stored in {dir}: {error}; the app sees error {number}");
            file.error = number;
        }
    }

    async fn end_file(&mut self, whole: bool) {
        if self.file.as_ref().is_some_and(|file| file.error == code::OK) {
            // Also an empty file is one.
            self.write().await;
        }
        let Some(mut file) = self.file.take() else { return };
        if !whole && file.error == code::OK {
            file.error = code::PARTIAL;
        }
        let upload = file.open.take().map(|(upload, _)| upload);
        let good = file.error == code::OK;
        let text =
            upload.as_ref().filter(|_| good).map_or(&b""[..], |upload| upload.path.as_os_str().as_bytes());
        let part = form::File {
            name: &file.name,
            file_name: &file.file_name,
            mime: &file.mime,
            path: text,
            error: file.error,
            size: match file.error {
                code::OK => file.size,
                code::FORM_SIZE => file.size.min(looked_at(self.max_file_size)),
                _ => 0,
            },
        };
        let _ = form::encode(&mut self.block, &Part::File(part));
        match upload {
            Some(upload) if good => self.stored.0.push(upload),
            // Not for the app: away with it now.
            upload => drop(Stored(upload.into_iter().collect())),
        }
    }
}

/// How much of a file PHP has read when it finds that there is more than the form's limit. If that is too much for
/// php.ini as well, the error is php.ini's.
fn looked_at(limit: u64) -> u64 {
    (limit / PHP_PIECE + 1).saturating_mul(PHP_PIECE)
}

/// The largest file as the form's field says: a number as C reads it, of which 0 is none and a negative one forbids all.
fn max_file_size(value: &[u8]) -> u64 {
    let text = value.trim_ascii_start();
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number =
        digits.fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    match (number, negative) {
        (0, _) => u64::MAX,
        (_, true) => 0,
        (number, false) => number,
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // A client that goes away inside of a file.
        if let Some((upload, _)) = self.file.take().and_then(|file| file.open) {
            self.stored.0.push(upload);
        }
    }
}
