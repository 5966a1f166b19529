//! Accepting clients, and watching over their connections: one look a second at all of them ends those whose
//! client is too slow, so that a connection costs no timer.

use crate::command::Dialect;
use crate::error_pages::ErrorPages;
use crate::io::{Activity, ClientIo, Phase};
use crate::resolve::Resolver;
use crate::service::{self, Client};
use crate::spool::Budget;
use crate::uploads::Uploads;
use crate::watch::Watchers;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rr_config::Http;
use rr_net::{Acceptor, Listener, Stream};
use rr_plugin::Context;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Http>,
    pub(crate) context: Context,
    /// Finds what answers a path, where the app has a document root.
    pub(crate) resolver: Option<Resolver>,
    /// Receives forms; `None`: workers get them as they are.
    pub(crate) uploads: Option<Arc<Uploads>>,
    /// What streams may use that their clients do not take as fast as they come.
    pub(crate) buffers: Arc<Budget>,
    /// What command workers speak.
    pub(crate) dialect: Dialect,
    /// Bodies of the server's own answers to failures.
    pub(crate) pages: Arc<ErrorPages>,
    /// Who counts and traces requests, if anybody does.
    pub(crate) watchers: Option<Watchers>,
    builder: http1::Builder,
    draining: AtomicBool,
    connections: Mutex<HashMap<u64, Arc<Entry>>>,
    next: AtomicU64,
    changed: Notify,
}

/// A connection, as the watchdog sees it.
struct Entry {
    activity: Arc<Activity>,
    waker: OnceLock<Waker>,
    close: AtomicBool,
}

impl Entry {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// Serves `listeners` until told to drain, then until the last connection is done.
pub(crate) async fn serve(
    listeners: Vec<Listener>,
    config: Arc<Http>,
    resolver: Option<Resolver>,
    pages: Arc<ErrorPages>,
    watchers: Option<Watchers>,
    context: Context,
) {
    let mut builder = http1::Builder::new();
    // Not pipeline_flush: with it hyper buffers a streamed body without bound. Its buffer is 8 KiB at least.
    builder
        .header_read_timeout(None)
        .max_header_size(config.max_header_size)
        .max_buf_size(config.max_header_size.max(64 * 1024));
    if config.max_headers != 100 {
        // The default lives on the stack; any other number costs an allocation.
        builder.max_headers(config.max_headers);
    }
    let mut drain = context.drain.clone();
    let uploads = (!config.raw_body).then(|| Arc::new(Uploads::new(&config.uploads, context.user.clone())));
    let shared = Arc::new(Shared {
        resolver,
        uploads,
        buffers: Arc::new(Budget::new(config.buffering.clone())),
        dialect: Dialect::default(),
        pages,
        watchers,
        config,
        context,
        builder,
        draining: AtomicBool::new(false),
        connections: Mutex::default(),
        next: AtomicU64::new(0),
        changed: Notify::new(),
    });
    let accepting: Vec<_> =
        listeners.into_iter().map(|listener| tokio::spawn(accept(listener, Arc::clone(&shared)))).collect();
    let watchdog = tokio::spawn(watch(Arc::clone(&shared)));
    drain.wait().await;
    shared.draining.store(true, Ordering::Release);
    for task in accepting {
        task.abort();
        let _ = task.await;
    }
    for entry in shared.connections.lock().values() {
        entry.wake();
    }
    loop {
        let changed = shared.changed.notified();
        if shared.connections.lock().is_empty() {
            break;
        }
        changed.await;
    }
    watchdog.abort();
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    let acceptor = match Acceptor::new(listener) {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!(target: "http", "a listening socket cannot be used: {error}"),
    };
    loop {
        let full = |shared: &Shared| {
            let limit = shared.config.max_connections;
            limit > 0 && shared.connections.lock().len() >= limit
        };
        loop {
            let changed = shared.changed.notified();
            if !full(&shared) {
                break;
            }
            changed.await;
        }
        match acceptor.accept().await {
            Ok((stream, peer)) => {
                // Listed before its task runs, so that max_connections counts it.
                let (listed, entry) = list(&shared);
                tokio::spawn(connection(stream, peer, listed, entry));
            }
            // The client was gone before it was taken.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(target: "http", "no connection can be accepted: {error}; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Takes a connection off the list, however its task ends.
struct Listed {
    id: u64,
    shared: Arc<Shared>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.connections.lock().remove(&self.id);
        self.shared.changed.notify_waiters();
    }
}

fn list(shared: &Arc<Shared>) -> (Listed, Arc<Entry>) {
    let entry = Arc::new(Entry {
        activity: Arc::new(Activity::new()),
        waker: OnceLock::new(),
        close: AtomicBool::new(false),
    });
    let id = shared.next.fetch_add(1, Ordering::Relaxed);
    let first = {
        let mut connections = shared.connections.lock();
        connections.insert(id, Arc::clone(&entry));
        connections.len() == 1
    };
    if first {
        shared.changed.notify_waiters();
    }
    (Listed { id, shared: Arc::clone(shared) }, entry)
}

async fn connection(stream: Stream, peer: Option<SocketAddr>, listed: Listed, entry: Arc<Entry>) {
    let (shared, activity) = (Arc::clone(&listed.shared), Arc::clone(&entry.activity));
    let server = stream.local_addr();
    let io = TokioIo::new(ClientIo::new(stream, Arc::clone(&activity)));
    let client = Arc::new(Client {
        shared: Arc::clone(&shared),
        activity,
        remote: peer.map_or_else(String::new, |peer| peer.ip().to_string()),
        remote_port: peer.map_or(0, |peer| peer.port()),
        server,
        server_text: server.map_or_else(String::new, |server| server.ip().to_string()),
    });
    let serve = service_fn(move |request| service::handle(Arc::clone(&client), request));
    let mut connection = pin!(shared.builder.serve_connection(io, serve));
    let mut told = false;
    let result = std::future::poll_fn(|cx| {
        entry.waker.get_or_init(|| cx.waker().clone());
        if entry.close.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        if !told && shared.draining.load(Ordering::Acquire) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        Pin::new(&mut connection).poll(cx)
    })
    .await;
    if let Err(error) = result {
        tracing::debug!(target: "http", "a connection ended early: {error}");
    }
}

/// Ends connections whose client is too slow. Rests while there are none.
async fn watch(shared: Arc<Shared>) {
    let config = &shared.config;
    let shortest = config.header_timeout.min(config.idle_timeout).min(config.write_timeout);
    let period = (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(1));
    loop {
        loop {
            let changed = shared.changed.notified();
            if !shared.connections.lock().is_empty() {
                break;
            }
            changed.await;
        }
        tokio::time::sleep(period).await;
        for entry in shared.connections.lock().values() {
            let activity = &entry.activity;
            let late = match activity.phase() {
                Phase::Idle => activity.lasted() > config.idle_timeout,
                Phase::Head => activity.lasted() > config.header_timeout,
                Phase::Busy => false,
            };
            if late || activity.stalled() > config.write_timeout {
                entry.close.store(true, Ordering::Release);
                entry.wake();
            }
        }
    }
}
