//! The listener: one short answer per connection, so that a client that is slow, or wants the server ill, holds nothing for
//! long.

use crate::Source;
use crate::check::{self, Question};
use crate::view::View;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rr_net::{Acceptor, BindError, Listener, Options, Stream};
use rr_plugin::{Background, Drain};
use rr_pool::BoxFuture;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 512;
/// A head takes no longer, whatever `check_timeout` says.
const HEAD: Duration = Duration::from_secs(10);
/// The longest head: hyper takes no less.
const BUFFER: usize = 8 * 1024;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub address: String,
    /// The status of what does not live or is not ready.
    pub unavailable: u16,
    /// How long a connection may take.
    pub timeout: Duration,
}

/// What may change while it serves.
#[derive(Debug)]
pub struct Dials {
    unavailable: AtomicU16,
    timeout_ms: AtomicU64,
}

impl Dials {
    fn new(settings: &Settings) -> Self {
        let dials = Self { unavailable: AtomicU16::new(0), timeout_ms: AtomicU64::new(0) };
        dials.set(settings.unavailable, settings.timeout);
        dials
    }

    /// The status of what does not live or is not ready, and how long a connection may take; for the next connections.
    pub fn set(&self, unavailable: u16, timeout: Duration) {
        self.unavailable.store(unavailable, Ordering::Relaxed);
        self.timeout_ms.store(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn unavailable(&self) -> u16 {
        self.unavailable.load(Ordering::Relaxed)
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed))
    }
}

/// The listener, bound.
pub struct StatusPlugin {
    dials: Arc<Dials>,
    listener: Listener,
    source: Arc<dyn Source>,
    view: Arc<View>,
}

impl std::fmt::Debug for StatusPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusPlugin").field("dials", &self.dials).finish_non_exhaustive()
    }
}

impl StatusPlugin {
    /// Binds the address.
    ///
    /// # Errors
    /// It is malformed or taken.
    pub fn bind(settings: Settings, source: Arc<dyn Source>, view: Arc<View>) -> Result<Self, BindError> {
        let listener = rr_net::bind("status.address", &settings.address, &Options::default())?;
        Ok(Self { dials: Arc::new(Dials::new(&settings)), listener, source, view })
    }

    /// What may be changed while it serves.
    #[must_use]
    pub fn dials(&self) -> Arc<Dials> {
        Arc::clone(&self.dials)
    }
}

impl Background for StatusPlugin {
    fn name(&self) -> &'static str {
        "status"
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.listener.to_string()]
    }

    fn serve(self: Box<Self>, drain: Drain) -> BoxFuture<()> {
        Box::pin(run(*self, drain))
    }
}

/// What all connections share.
struct Shared {
    dials: Arc<Dials>,
    source: Arc<dyn Source>,
    view: Arc<View>,
}

async fn run(plugin: StatusPlugin, mut drain: Drain) {
    let StatusPlugin { dials, listener, source, view } = plugin;
    let acceptor = match Acceptor::new(listener) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            return tracing::error!(target: "status", "the listening socket cannot be used: {error}");
        }
    };
    let shared = Arc::new(Shared { dials, source, view });
    let serve = |stream, _| connection(stream, Arc::clone(&shared));
    let mut connections = rr_net::serve_each(&acceptor, "status", CONNECTIONS, drain.wait(), serve).await;
    connections.shutdown().await;
}

async fn connection(stream: Stream, shared: Arc<Shared>) {
    let limit = shared.dials.timeout();
    let serve = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, &request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limit.min(HEAD))
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .max_headers(64);
    match tokio::time::timeout(limit, builder.serve_connection(TokioIo::new(stream), serve)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(target: "status", "a connection ended early: {error}"),
        Err(_) => tracing::debug!(target: "status", "a connection took longer than check_timeout"),
    }
}

async fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
        refused.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let query = request.uri().query().unwrap_or_default();
    let unavailable = shared.unavailable();
    // ST-04.
    let stopping = shared.source.is_stopping();
    let closing = |status| text(status, "service is shutting down");
    match request.uri().path() {
        "/health" if stopping => closing(StatusCode::OK),
        "/ready" | "/jobs" if stopping => closing(StatusCode::SERVICE_UNAVAILABLE),
        "/health" => shared.check(Question::Lives, &plugins(query)),
        "/ready" => shared.check(Question::IsReady, &plugins(query)),
        // ST-05: RoadRunner says so too, and closes the connection in the middle of it.
        "/jobs" => text(unavailable, "jobs plugin not found"),
        "/workers" => {
            let mut workers = Vec::new();
            let names = plugins(query);
            match shared.view.workers("").await {
                Ok(all) => workers
                    .extend(all.into_iter().filter(|one| names.is_empty() || names.contains(&one.pool))),
                Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &error),
            }
            json(StatusCode::OK, &workers)
        }
        _ => text(StatusCode::NOT_FOUND, "there are /health, /ready, /jobs and /workers"),
    }
}

impl Shared {
    fn unavailable(&self) -> StatusCode {
        StatusCode::from_u16(self.dials.unavailable()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn check(&self, question: Question, names: &[String]) -> Response<Full<Bytes>> {
        let reports = check::reports(&*self.source, question, names, self.dials.unavailable());
        let well = reports.iter().all(|report| report.status_code == 200);
        json(if well { StatusCode::OK } else { self.unavailable() }, &reports)
    }
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    respond(status, "application/json", serde_json::to_vec(value).unwrap_or_default().into())
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", format!("{text}\n").into())
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

/// The values of `plugin` in a query.
fn plugins(query: &str) -> Vec<String> {
    let values = query.split('&').filter_map(|pair| pair.strip_prefix("plugin="));
    values.map(decoded).collect()
}

/// A value of a query without its percent signs.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let hex = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, hex.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn st_01_plugins_of_a_query() {
        assert_eq!(plugins("plugin=http&plugin=j%6Fbs&other=x&plugin=a+b"), ["http", "jobs", "a b"]);
        assert_eq!(plugins("plugin=%zz&plugin=%"), ["%zz", "%"]);
        assert!(plugins("").is_empty() && plugins("plugins=http").is_empty());
    }
}
