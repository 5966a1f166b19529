//! A body before its worker sees it: a command worker is told its length first, and a slow client must not hold one. The
//! beginning is in memory, the rest in a file without a name.

use crate::inbound::Inbound;
use crate::service::{Client, Refusal, next_part};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use rr_pool::BodySender;
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a body that are kept in memory.
const MEMORY: usize = 256 << 10;
/// Bytes that are written, or read back, at a time.
const PIECE: usize = 256 << 10;

/// A body.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    memory: Bytes,
    /// What is behind the part in memory, and how long it is.
    file: Option<(Arc<File>, u64)>,
}

impl Gathered {
    pub(super) fn of(memory: Bytes) -> Self {
        Self { memory, file: None }
    }

    pub(super) fn len(&self) -> u64 {
        self.memory.len() as u64 + self.file.as_ref().map_or(0, |(_, length)| *length)
    }

    /// The beginning, at most `room` bytes.
    pub(super) fn head(&self, room: usize) -> Bytes {
        self.memory.slice(..self.memory.len().min(room))
    }

    /// Sends what is behind the first `at` bytes, which are in memory.
    pub(super) async fn send(&self, at: usize, sender: &BodySender) {
        if sender.send(self.memory.slice(at..)).await.is_err() {
            return;
        }
        if let Some((file, length)) = &self.file {
            let mut read = 0;
            while read < *length {
                let (file, at) = (Arc::clone(file), read);
                let wanted = usize::try_from(*length - read).unwrap_or(PIECE).min(PIECE);
                let piece = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; wanted];
                    file.read_exact_at(&mut piece, at).map(|()| piece)
                });
                let piece = match piece.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
                    Ok(piece) => piece,
                    Err(error) => {
                        tracing::error!(target: "http", "a request body cannot be read back: {error}");
                        let _ = sender.abort().await;
                        return;
                    }
                };
                read += piece.len() as u64;
                if sender.send(piece.into()).await.is_err() {
                    return;
                }
            }
        }
        // An error means that nobody wants it.
        let _ = sender.finish().await;
    }
}

fn create(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(File::from(openat(rustix::fs::CWD, dir, flags, Mode::RUSR | Mode::WUSR)?))
}

/// Takes a body of any length up to `http.max_request_size`.
pub(super) async fn body(body: &mut Inbound, client: &Arc<Client>) -> Result<Gathered, Refusal> {
    let config = &client.shared.config;
    let mut size = 0;
    let mut memory = BytesMut::new();
    let mut file: Option<(Arc<File>, u64)> = None;
    let mut pending = BytesMut::new();
    while let Some(part) = next_part(body, &mut size, config.max_request_size, config.read_timeout).await? {
        let fits = part.len().min(MEMORY - memory.len().min(MEMORY));
        memory.extend_from_slice(&part[..fits]);
        pending.extend_from_slice(&part[fits..]);
        if pending.len() >= PIECE {
            store(client, &mut file, std::mem::take(&mut pending)).await?;
        }
    }
    if !pending.is_empty() {
        store(client, &mut file, pending).await?;
    }
    Ok(Gathered { memory: memory.freeze(), file })
}

async fn store(
    client: &Arc<Client>,
    file: &mut Option<(Arc<File>, u64)>,
    bytes: BytesMut,
) -> Result<(), Refusal> {
    let opened = file.take();
    let dir = client.shared.config.uploads.dir.clone().map_or_else(std::env::temp_dir, Into::into);
    let shown = dir.display().to_string();
    let stored = tokio::task::spawn_blocking(move || {
        let (file, length) = match opened {
            Some(opened) => opened,
            None => (Arc::new(create(&dir)?), 0),
        };
        file.write_all_at(&bytes, length)?;
        Ok::<_, io::Error>((file, length + bytes.len() as u64))
    });
    match stored.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(stored) => *file = Some(stored),
        Err(error) => {
            tracing::error!(target: "http", "a request body could not be stored in {shown}: {error}; see http.uploads.dir");
            let text = "the request body could not be stored";
            return Err(Refusal::Status(StatusCode::INSUFFICIENT_STORAGE, text));
        }
    }
    Ok(())
}

/// Takes a body of up to `limit` bytes into memory.
pub(super) async fn whole(body: &mut Inbound, client: &Arc<Client>, limit: u64) -> Result<Bytes, Refusal> {
    let mut size = 0;
    let mut whole = BytesMut::new();
    while let Some(part) = next_part(body, &mut size, limit, client.shared.config.read_timeout).await? {
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}
