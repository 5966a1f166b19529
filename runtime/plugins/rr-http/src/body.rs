//! Response bodies: one piece, or a stream of a worker's frames, or a file.

use crate::failure;
use crate::files::Source;
use crate::io::Busy;
use crate::middleware::compress::{Compressed, Encoder};
use crate::service::Client;
use crate::spool::{Next, Spool};
use crate::watch::Watch;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::{Frame, SizeHint};
use rr_pool::ExecError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// A response body.
pub(crate) struct Body {
    kind: Kind,
    busy: Option<Busy>,
    log: Option<Box<Log>>,
    watch: Option<Watch>,
    /// The response to HEAD: hyper takes nothing of the body.
    head: bool,
}

enum Kind {
    Full(Bytes),
    Stream(Spool),
    /// One piece, and headers behind it.
    Trailed(Bytes, HeaderMap),
    /// Headers behind the body.
    Trailers(HeaderMap),
    /// A file that is read piece by piece, beside the reactor.
    File(Reading),
    /// Any of the others, compressed on its way.
    Compressed(Box<Compressed>),
    /// The stream broke; said once what came before it is on its way.
    Broken(ExecError),
    Done,
}

/// Where a file's body is.
enum Reading {
    Ready(Source),
    Busy { piece: JoinHandle<std::io::Result<(Source, Vec<u8>)>>, left: u64 },
}

impl Reading {
    fn left(&self) -> u64 {
        match self {
            Self::Ready(source) => source.left(),
            Self::Busy { left, .. } => *left,
        }
    }
}

impl Body {
    const fn new(kind: Kind) -> Self {
        Self { kind, busy: None, log: None, watch: None, head: false }
    }

    pub(crate) fn file(source: Source) -> Self {
        Self::new(Kind::File(Reading::Ready(source)))
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::new(Kind::Full(bytes))
    }

    pub(crate) fn stream(spool: Spool) -> Self {
        Self::new(Kind::Stream(spool))
    }

    pub(crate) fn with_trailers(bytes: Bytes, trailers: HeaderMap) -> Self {
        Self::new(Kind::Trailed(bytes, trailers))
    }

    /// The same body, compressed. One that is short is so at once and keeps a length.
    pub(crate) fn compressed(mut self, encoder: Encoder) -> Self {
        if let Kind::Full(bytes) = &self.kind
            && bytes.len() <= Encoder::AT_ONCE
        {
            self.kind = match encoder.whole(bytes) {
                Ok(bytes) => Kind::Full(bytes),
                Err(error) => Kind::Broken(error),
            };
            return self;
        }
        let compressed = Box::new(Compressed::new(self, encoder));
        Self::new(Kind::Compressed(compressed))
    }

    /// Whether what comes next may be long in coming, for reasons that are the app's.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(_) | Kind::Broken(_))
    }

    /// Ties the body to its connection: once it is dropped, the request is over.
    pub(crate) fn attach(&mut self, busy: Busy, log: Option<Box<Log>>, watch: Option<Watch>, head: bool) {
        self.busy = Some(busy);
        self.log = log;
        self.watch = watch;
        self.head = head;
    }

    fn sent(&mut self, bytes: &Bytes) {
        if let Some(log) = &mut self.log {
            log.written += bytes.len() as u64;
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = ExecError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExecError>>> {
        let this = self.get_mut();
        let next = this.next(cx);
        if let Some(busy) = &mut this.busy {
            // Whoever has got a frame may come for another one.
            busy.owes(matches!(&next, Poll::Ready(Some(Ok(_)))));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Done => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::File(reading) => reading.left() == 0,
            Kind::Stream(_)
            | Kind::Broken(_)
            | Kind::Trailed(..)
            | Kind::Trailers(_)
            | Kind::Compressed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Done => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::File(reading) => SizeHint::with_exact(reading.left()),
            Kind::Stream(_)
            | Kind::Broken(_)
            | Kind::Trailed(..)
            | Kind::Trailers(_)
            | Kind::Compressed(_) => SizeHint::default(),
        }
    }
}

impl Body {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExecError>>> {
        let this = self;
        loop {
            let bytes = match &mut this.kind {
                Kind::Done => return Poll::Ready(None),
                // The head is out: breaking the connection is how the client learns of it (HTTP-17).
                Kind::Broken(_) => {
                    let Kind::Broken(error) = std::mem::replace(&mut this.kind, Kind::Done) else { continue };
                    return Poll::Ready(Some(Err(error)));
                }
                Kind::Full(bytes) => {
                    let bytes = std::mem::take(bytes);
                    this.kind = Kind::Done;
                    bytes
                }
                Kind::Trailed(bytes, trailers) => {
                    let bytes = std::mem::take(bytes);
                    this.kind = Kind::Trailers(std::mem::take(trailers));
                    bytes
                }
                Kind::Trailers(trailers) => {
                    let trailers = std::mem::take(trailers);
                    this.kind = Kind::Done;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Kind::File(reading) => match reading {
                    Reading::Ready(source) if source.left() == 0 => {
                        this.kind = Kind::Done;
                        continue;
                    }
                    Reading::Ready(_) => {
                        let Kind::File(Reading::Ready(source)) =
                            std::mem::replace(&mut this.kind, Kind::Done)
                        else {
                            continue;
                        };
                        let left = source.left();
                        let piece = tokio::task::spawn_blocking(move || source.read());
                        this.kind = Kind::File(Reading::Busy { piece, left });
                        continue;
                    }
                    Reading::Busy { piece, .. } => {
                        let Poll::Ready(read) = Pin::new(piece).poll(cx) else { return Poll::Pending };
                        match read.map_err(std::io::Error::other).and_then(|read| read) {
                            Ok((source, piece)) => {
                                this.kind = Kind::File(Reading::Ready(source));
                                Bytes::from(piece)
                            }
                            Err(error) => {
                                tracing::error!(target: "http", "a file could not be sent to its end: {error}");
                                this.kind = Kind::Done;
                                let error = ExecError::Soft(format!("a file could not be read: {error}"));
                                if let Some(watch) = &mut this.watch {
                                    watch.broke(&error);
                                }
                                return Poll::Ready(Some(Err(error)));
                            }
                        }
                    }
                },
                Kind::Compressed(compressed) => match compressed.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => {
                        this.kind = Kind::Done;
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => {
                        this.kind = Kind::Done;
                        return Poll::Ready(Some(Err(error)));
                    }
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => bytes,
                        Err(frame) => return Poll::Ready(Some(Ok(frame))),
                    },
                },
                Kind::Stream(spool) => match spool.poll_next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Next::Piece(piece)) => piece,
                    Poll::Ready(Next::End) => {
                        this.kind = Kind::Done;
                        continue;
                    }
                    Poll::Ready(Next::Trailers(trailers)) => {
                        this.kind = Kind::Trailers(trailers);
                        continue;
                    }
                    Poll::Ready(Next::Broken(error)) => {
                        tracing::error!(target: "http", "a response was cut off: {}", failure::words(&error));
                        if let Some(watch) = &mut this.watch {
                            watch.broke(&error);
                        }
                        this.kind = Kind::Broken(error);
                        // hyper flushes while a body is pending, and drops what it holds at an error.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                },
            };
            if bytes.is_empty() {
                continue;
            }
            this.sent(&bytes);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(mut log) = self.log.take() {
            // hyper takes short bodies whole, without asking for frames.
            if let (Kind::Full(bytes), false) = (&self.kind, self.head) {
                log.written += bytes.len() as u64;
            }
            log.write();
        }
    }
}

/// What the request log says (HS-05). Written at info with `http.access_logs` and for command workers, whose drivers show
/// these lines (Octane); at debug otherwise: a line per request costs as much as a small request.
pub(crate) struct Log {
    method: String,
    uri: String,
    url: String,
    remote: String,
    started: Instant,
    start: SystemTime,
    read: u64,
    written: u64,
    status: u16,
    access: Option<Access>,
    /// Development mode: the line is for a person.
    dev: bool,
    /// Without `access_logs`, and at info all the same.
    plain: bool,
    worker: Option<(u32, u64)>,
}

struct Access {
    query: String,
    host: String,
    user_agent: String,
    referer: String,
}

impl Log {
    pub(crate) fn begin<B: http_body::Body>(client: &Client, request: &Request<B>) -> Option<Box<Self>> {
        let access = client.shared.config.access_logs;
        let dev = client.shared.context.dev.is_some();
        let plain = client.shared.context.command;
        let wanted = if access || dev || plain {
            tracing::enabled!(target: "http", tracing::Level::INFO)
        } else {
            tracing::enabled!(target: "http", tracing::Level::DEBUG)
        };
        if !wanted {
            return None;
        }
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        Some(Box::new(Self {
            method: request.method().to_string(),
            uri: target.to_owned(),
            url: request.uri().to_string(),
            remote: match client.remote_port {
                0 => client.remote.clone(),
                port if client.remote.contains(':') => format!("[{}]:{port}", client.remote),
                port => format!("{}:{port}", client.remote),
            },
            started: Instant::now(),
            start: SystemTime::now(),
            read: request.body().size_hint().exact().unwrap_or(0),
            written: 0,
            status: 0,
            access: access.then(|| Access {
                query: request.uri().query().unwrap_or_default().to_owned(),
                host: header("host"),
                user_agent: header("user-agent"),
                referer: header("referer"),
            }),
            dev: dev && !access,
            plain,
            worker: None,
        }))
    }

    /// The client is not the peer, by the word of a trusted proxy.
    pub(crate) fn set_remote(&mut self, remote: &str) {
        remote.clone_into(&mut self.remote);
    }

    pub(crate) fn answered(mut self: Box<Self>, status: StatusCode, worker: Option<(u32, u64)>) -> Box<Self> {
        self.status = status.as_u16();
        self.worker = worker;
        self
    }

    fn write(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        // As the `ts` of the line.
        let nanos = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        };
        let start = nanos(self.start);
        let (method, remote, uri, url) = (&*self.method, &*self.remote, &*self.uri, &*self.url);
        if self.dev {
            let elapsed_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let (pid, memory) = self.worker.unzip();
            tracing::info!(
                target: "http", status = self.status, method, URI = uri, URL = url, remote_address = remote,
                read_bytes = self.read, write_bytes = self.written, start, elapsed, elapsed_us, pid, memory,
                "http log"
            );
            return;
        }
        match &self.access {
            None if self.plain => tracing::info!(
                target: "http", status = self.status, method, URI = uri, URL = url, remote_address = remote,
                read_bytes = self.read, write_bytes = self.written, start, elapsed, "http log"
            ),
            None => tracing::debug!(
                target: "http", status = self.status, method, URI = uri, URL = url, remote_address = remote,
                read_bytes = self.read, write_bytes = self.written, start, elapsed, "http log"
            ),
            Some(access) => tracing::info!(
                target: "http", status = self.status, method, URI = uri, URL = url, remote_address = remote,
                query = &*access.query, content_len = self.read, host = &*access.host,
                user_agent = &*access.user_agent, referer = &*access.referer,
                time_local = common_log_time(SystemTime::now()), request_time = nanos(SystemTime::now()),
                read_bytes = self.read, write_bytes = self.written, start, elapsed, "http access log"
            ),
        }
    }
}

/// `25/Nov/26:04:31:59 +0000`, with Go's two digits of the year.
fn common_log_time(time: SystemTime) -> String {
    // `Wed, 25 Nov 2026 04:31:59 GMT`.
    let date = httpdate::fmt_http_date(time);
    let mut words = date.split(' ').skip(1);
    let mut word = || words.next().unwrap_or_default();
    let (day, month, year, clock) = (word(), word(), word(), word());
    format!("{day}/{month}/{}:{clock} +0000", year.get(2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_of_access_logs_are_short() {
        let time = UNIX_EPOCH + Duration::from_secs(1_795_581_119);
        assert_eq!(common_log_time(time), "25/Nov/26:04:31:59 +0000");
    }
}
