//! `metrics.address`: every path answers with the text. One request per connection, a limit of connections and of the
//! time each may take: a scraper that is slow, or hostile, keeps nobody else waiting for long.

use crate::registry::Registry;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rr_net::{Acceptor, BindError, Listener, Options, Stream};
use rr_plugin::{Background, Drain};
use rr_pool::BoxFuture;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 32;
/// How long a connection may take, from its first byte to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest head of a request.
const MAX_HEAD: usize = 16 * 1024;
const CONTENT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The listener, bound.
#[derive(Debug)]
pub struct MetricsPlugin {
    listener: Listener,
    registry: Arc<Registry>,
}

impl MetricsPlugin {
    /// Binds the address.
    ///
    /// # Errors
    /// It is malformed or taken.
    pub fn bind(address: &str, registry: Arc<Registry>) -> Result<Self, BindError> {
        let listener = rr_net::bind("metrics.address", address, &Options::default())?;
        Ok(Self { listener, registry })
    }
}

impl Background for MetricsPlugin {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn addresses(&self) -> Vec<String> {
        // With what it is for: it looks like one of the app's otherwise.
        vec![format!("{}/metrics", self.listener.to_string().replacen("tcp://", "http://", 1))]
    }

    fn serve(self: Box<Self>, drain: Drain) -> BoxFuture<()> {
        Box::pin(run(*self, drain))
    }
}

async fn run(plugin: MetricsPlugin, mut drain: Drain) {
    let acceptor = match Acceptor::new(plugin.listener) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            return tracing::error!(target: "metrics", "the listening socket cannot be used: {error}");
        }
    };
    let desk = Arc::new(Desk { registry: plugin.registry, turn: Mutex::new(()) });
    let serve = |stream, _| {
        let desk = Arc::clone(&desk);
        async move {
            let _ = tokio::time::timeout(PATIENCE, answer(stream, desk)).await;
        }
    };
    let mut connections = rr_net::serve_each(&acceptor, "metrics", CONNECTIONS, drain.wait(), serve).await;
    // A scrape that has begun takes milliseconds; one that does not end is not waited for.
    let rest = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_millis(500), rest).await;
}

struct Desk {
    registry: Arc<Registry>,
    /// Texts are made one at a time: many scrapers cost the server one core at most.
    turn: Mutex<()>,
}

async fn answer(stream: Stream, desk: Arc<Desk>) {
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(respond(&request, &desk).await) }
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).header_read_timeout(None).max_buf_size(MAX_HEAD);
    // What goes wrong is the scraper's.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: &Request<Incoming>, desk: &Desk) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let turn = desk.turn.lock().await;
    let registry = Arc::clone(&desk.registry);
    // Not on the thread that serves requests: it reads /proc, and with many series it takes milliseconds.
    let text = tokio::task::spawn_blocking(move || registry.text()).await;
    drop(turn);
    match text {
        Ok(text) => {
            *response.body_mut() = Full::new(Bytes::from(text));
            response.headers_mut().insert(CONTENT_TYPE, CONTENT);
        }
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}
