//! Accepting clients, and watching over their connections: one look a second at all of them ends those whose
//! client is too slow, so that a connection costs no timer.

use crate::command::Dialect;
use crate::door::{Door, Doors, Speaks};
use crate::error_pages::ErrorPages;
use crate::fastcgi;
use crate::inbound::Inbound;
use crate::io::{Activity, ClientIo, Phase, Rewound};
use crate::middleware::Chain;
use crate::resolve::Resolver;
use crate::service::{self, Client, Spoken};
use crate::spool::Budget;
use crate::uploads::Uploads;
use crate::watch::Watchers;
use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use rr_config::Http;
use rr_net::{Acceptor, Listener, Stream};
use rr_plugin::Context;
use rr_tls::Challenges;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Http>,
    pub(crate) context: Context,
    /// Finds what answers a path, where the app has a document root.
    pub(crate) resolver: Option<Resolver>,
    /// What requests pass on their way.
    pub(crate) chain: Option<Chain>,
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
    /// What authorities that verify a domain are answered.
    pub(crate) challenges: Option<Arc<Challenges>>,
    builder: http1::Builder,
    streams: http2::Builder<TokioExecutor>,
    draining: AtomicBool,
    connections: Mutex<HashMap<u64, Arc<Entry>>>,
    next: AtomicU64,
    changed: Notify,
}

impl Shared {
    /// Whether there are `http.max_connections`.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.config.max_connections;
        limit > 0 && self.connections.lock().len() >= limit
    }

    /// Nothing new is begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// A connection, as the watchdog sees it.
pub(crate) struct Entry {
    pub(crate) activity: Arc<Activity>,
    /// Of the one task in which the connection lives.
    waker: OnceLock<Waker>,
    close: AtomicBool,
}

impl Entry {
    /// The watchdog wakes the task that polls here.
    fn watched(&self, cx: &Task<'_>) {
        self.waker.get_or_init(|| cx.waker().clone());
    }

    /// The watchdog ends the connection.
    #[cfg(feature = "http3")]
    pub(crate) async fn closed(&self) {
        std::future::poll_fn(|cx| {
            self.watched(cx);
            if self.close.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// What is served, and by what.
pub(crate) struct Serving {
    pub(crate) doors: Doors,
    pub(crate) config: Arc<Http>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) chain: Option<Chain>,
    pub(crate) pages: Arc<ErrorPages>,
    pub(crate) watchers: Option<Watchers>,
}

/// Serves its listeners until told to drain, then until the last connection is done.
pub(crate) async fn serve(serving: Serving, context: Context) {
    let Serving { doors, config, resolver, chain, pages, watchers } = serving;
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
    let mut streams = http2::Builder::new(TokioExecutor::new());
    streams
        .max_concurrent_streams(config.http2.max_concurrent_streams)
        .max_header_list_size(u32::try_from(config.max_header_size).unwrap_or(u32::MAX))
        // Of each stream; more waits in the spool, which is bounded for all of them.
        .max_send_buf_size(64 * 1024);
    let mut drain = context.drain.clone();
    let uploads = (!config.raw_body).then(|| Arc::new(Uploads::new(&config.uploads, context.user.clone())));
    let shared = Arc::new(Shared {
        resolver,
        chain,
        uploads,
        buffers: Arc::new(Budget::new(config.buffering.clone())),
        dialect: Dialect::default(),
        pages,
        watchers,
        config,
        context,
        challenges: doors.challenges(),
        builder,
        streams,
        draining: AtomicBool::new(false),
        connections: Mutex::default(),
        next: AtomicU64::new(0),
        changed: Notify::new(),
    });
    let Doors { listeners, watched, .. } = doors;
    let mut accepting: Vec<_> = listeners
        .into_iter()
        .map(|(listener, door)| tokio::spawn(accept(listener, door, Arc::clone(&shared))))
        .collect();
    accepting.extend(watched.into_iter().map(|files| tokio::spawn(files.run())));
    #[cfg(feature = "acme")]
    accepting.extend(doors.orders.map(|orders| tokio::spawn(orders.run())));
    #[cfg(feature = "http3")]
    let http3 = doors.http3.map(|socket| tokio::spawn(crate::http3::serve(socket, Arc::clone(&shared))));
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
    #[cfg(feature = "http3")]
    if let Some(http3) = http3 {
        let _ = http3.await;
    }
    watchdog.abort();
}

async fn accept(listener: Listener, door: Arc<Door>, shared: Arc<Shared>) {
    let acceptor = match Acceptor::new(listener) {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!(target: "http", "a listening socket cannot be used: {error}"),
    };
    loop {
        loop {
            let changed = shared.changed.notified();
            if !shared.is_full() {
                break;
            }
            changed.await;
        }
        match acceptor.accept().await {
            Ok((stream, peer)) => {
                // Listed before its task runs, so that max_connections counts it.
                let (listed, entry) = list(&shared);
                tokio::spawn(connection(stream, peer, Arc::clone(&door), listed, entry));
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
pub(crate) struct Listed {
    id: u64,
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.connections.lock().remove(&self.id);
        self.shared.changed.notify_waiters();
    }
}

pub(crate) fn list(shared: &Arc<Shared>) -> (Listed, Arc<Entry>) {
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

async fn connection(
    stream: Stream,
    peer: Option<SocketAddr>,
    door: Arc<Door>,
    listed: Listed,
    entry: Arc<Entry>,
) {
    let shared = Arc::clone(&listed.shared);
    let server = stream.local_addr();
    match &door.speaks {
        Speaks::FastCgi => {
            let io = ClientIo::new(stream, Arc::clone(&entry.activity));
            let client = client(&shared, &entry, &door, Spoken::FastCgi, peer, server);
            guarded(&shared, &entry, fastcgi::serve(io, client)).await;
        }
        Speaks::Plain { h2c } => {
            let io = ClientIo::new(stream, Arc::clone(&entry.activity));
            let begin = async {
                match h2c {
                    false => Some(Started { io, read: Bytes::new(), http2: false }),
                    true => begins(io).await.ok(),
                }
            };
            let Some(Some(started)) = guarded(&shared, &entry, begin).await else { return };
            http(started, &shared, &entry, &door, peer, server).await;
        }
        Speaks::Tls(acceptor) => {
            let accepted = tokio::time::timeout(shared.config.header_timeout, acceptor.accept(stream));
            let stream = match guarded(&shared, &entry, accepted).await {
                Some(Ok(Ok(stream))) => stream,
                Some(Ok(Err(error))) => {
                    let peer = peer.map_or_else(String::new, |peer| peer.to_string());
                    return tracing::debug!(target: "http", peer, "a TLS handshake failed: {error}");
                }
                Some(Err(_)) | None => return,
            };
            let http2 = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => true,
                // An authority has seen what it wanted.
                Some(rr_tls::ACME_ALPN) => return,
                _ => false,
            };
            let io = ClientIo::new(stream, Arc::clone(&entry.activity));
            let started = Started { io, read: Bytes::new(), http2 };
            http(started, &shared, &entry, &door, peer, server).await;
        }
        // It has no connections that are accepted like this.
        #[cfg(feature = "http3")]
        Speaks::Http3 => {}
    }
}

/// What requests of a connection have in common.
pub(crate) fn client(
    shared: &Arc<Shared>,
    entry: &Entry,
    door: &Arc<Door>,
    spoken: Spoken,
    peer: Option<SocketAddr>,
    server: Option<SocketAddr>,
) -> Client {
    // A listener for both families sees IPv4 in IPv6 clothes, which no app expects (HTTP-05).
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (peer, server) = (peer.map(canonical), server.map(canonical));
    let trusted = shared.chain.as_ref().is_some_and(|chain| chain.trusts(peer.map(|peer| peer.ip())));
    Client {
        trusted,
        shared: Arc::clone(shared),
        activity: Arc::clone(&entry.activity),
        door: Arc::clone(door),
        spoken,
        hints: None,
        https: door.is_secure(),
        remote: peer.map_or_else(String::new, |peer| peer.ip().to_string()),
        remote_port: peer.map_or(0, |peer| peer.port()),
        server,
        server_text: server.map_or_else(String::new, |server| server.ip().to_string()),
    }
}

/// A connection of which it is known what is spoken.
struct Started<S> {
    io: ClientIo<S>,
    /// What has been read of it to learn that.
    read: Bytes,
    http2: bool,
}

/// What every connection of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear which version a client speaks (HS-12).
async fn begins(mut io: ClientIo<Stream>) -> io::Result<Started<Stream>> {
    let mut read = BytesMut::with_capacity(PREFACE.len());
    loop {
        if !PREFACE.starts_with(&read) || read.len() == PREFACE.len() {
            let http2 = *read == *PREFACE;
            return Ok(Started { io, read: read.freeze(), http2 });
        }
        if (&mut io).take((PREFACE.len() - read.len()) as u64).read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Serves requests of HTTP/1 or 2 until the client or the server has had enough.
async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    started: Started<S>,
    shared: &Arc<Shared>,
    entry: &Arc<Entry>,
    door: &Arc<Door>,
    peer: Option<SocketAddr>,
    server: Option<SocketAddr>,
) {
    let Started { io, read, http2 } = started;
    let spoken = if http2 { Spoken::Streams } else { Spoken::Http1 };
    let client = Arc::new(client(shared, entry, door, spoken, peer, server));
    let serve = service_fn(move |request: Request<Incoming>| {
        service::handle(Arc::clone(&client), request.map(Inbound::Hyper))
    });
    // HTTP/1 without a look ahead, which nearly all connections are, goes without another layer.
    let result = if http2 {
        entry.activity.multiplex();
        let io = TokioIo::new(Rewound::new(read, io));
        drive(shared, entry, shared.streams.serve_connection(io, serve)).await
    } else if read.is_empty() {
        drive(shared, entry, shared.builder.serve_connection(TokioIo::new(io), serve)).await
    } else {
        let io = TokioIo::new(Rewound::new(read, io));
        drive(shared, entry, shared.builder.serve_connection(io, serve)).await
    };
    if let Err(error) = result {
        tracing::debug!(target: "http", "a connection ended early: {error}");
    }
}

/// Runs a connection until it is done, or the watchdog ends it. Asks it to end when the server does.
async fn drive<C>(shared: &Shared, entry: &Entry, connection: C) -> Result<(), String>
where
    C: GracefulConnection,
    C::Error: fmt::Display,
{
    let mut connection = pin!(connection);
    let mut told = false;
    std::future::poll_fn(|cx| {
        entry.watched(cx);
        if entry.close.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        if !told && shared.draining.load(Ordering::Acquire) {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map_err(|error| error.to_string())
    })
    .await
}

/// Does `work`, unless the watchdog ends the connection or the server ends before.
pub(crate) async fn guarded<T>(shared: &Shared, entry: &Entry, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        entry.watched(cx);
        let ends = entry.close.load(Ordering::Acquire)
            || shared.draining.load(Ordering::Acquire) && entry.activity.phase() != Phase::Busy;
        if ends { Poll::Ready(None) } else { work.as_mut().poll(cx).map(Some) }
    })
    .await
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
