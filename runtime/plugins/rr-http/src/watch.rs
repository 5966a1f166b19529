//! A request as those see it who only watch: what counts (`http_metrics`) and what traces (`otel`). Without either a
//! request pays for one look at an `Option`.

use crate::body::Body;
use crate::service::Client;
use crate::traffic::{GONE, Traffic};
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Response, Version};
use rr_plugin::trace::{Span, Tracer};
use rr_pool::{Exchange, ExecError, Trace};
use std::sync::Arc;
use std::time::Instant;

/// Who watches.
#[derive(Debug)]
pub(crate) struct Watchers {
    traffic: Option<Arc<Traffic>>,
    tracer: Option<Arc<dyn Tracer>>,
}

/// Why an answer is one of the server's own; in the extensions of a response.
#[derive(Debug, Clone)]
pub(crate) struct Cause(&'static str, Arc<str>);

/// The few names that a cause has (`error.type`).
const fn name_of(error: &ExecError) -> &'static str {
    match error {
        ExecError::QueueFull(_) => "queue_full",
        ExecError::NoFreeWorker(_) => "no_free_worker",
        ExecError::ExecTtl(_) => "exec_ttl",
        ExecError::WorkerDied(_) => "worker_died",
        ExecError::Protocol(_) => "protocol",
        ExecError::Soft(_) => "app_error",
        ExecError::Returned(_) => "worker_returned",
        ExecError::Stopped => "stopped",
        ExecError::TooLarge { .. } => "too_large",
    }
}

impl Watchers {
    /// `None`: nobody.
    pub(crate) fn new(traffic: Option<Arc<Traffic>>, tracer: Option<Arc<dyn Tracer>>) -> Option<Self> {
        (traffic.is_some() || tracer.is_some()).then_some(Self { traffic, tracer })
    }

    /// A request has come. Its headers carry on the trace from here.
    pub(crate) fn begin<B>(&self, client: &Client, request: &mut Request<B>) -> Watch {
        let span = self.tracer.as_ref().map(|tracer| span(&**tracer, client, request));
        Watch { traffic: self.traffic.clone(), began: Instant::now(), status: GONE, span, trace: None }
    }

    /// A request has failed.
    pub(crate) fn failed(&self, error: &ExecError) -> Cause {
        if let (Some(traffic), ExecError::NoFreeWorker(_)) = (&self.traffic, error) {
            traffic.no_free_worker();
        }
        Cause(name_of(error), crate::failure::words(error).into())
    }
}

/// Attributes have the names of OpenTelemetry's conventions for HTTP servers.
fn span<B>(tracer: &dyn Tracer, client: &Client, request: &mut Request<B>) -> Box<dyn Span> {
    let joined = |name: &&'static str| {
        let values = request.headers().get_all(*name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).reduce(|one, next| format!("{one},{next}"))
    };
    let carried: Vec<Option<String>> = tracer.carriers().iter().map(joined).collect();
    // A client may send any word as its method; the names of spans are few.
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"];
    let method = request.method().as_str();
    let name = known.into_iter().find(|known| *known == method).unwrap_or("HTTP");
    let mut span = tracer.begin(name, &carried);
    if span.is_recorded() {
        if name == "HTTP" {
            span.set("http.request.method", "_OTHER".into());
            span.set("http.request.method_original", method.into());
        } else {
            span.set("http.request.method", name.into());
        }
        span.set("url.path", request.uri().path().into());
        span.set("url.scheme", client.scheme().into());
        if let Some(query) = request.uri().query() {
            span.set("url.query", query.into());
        }
        let version = match request.version() {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            Version::HTTP_3 => "3",
            _ => "1.1",
        };
        span.set("network.protocol.version", version.into());
        if !client.remote.is_empty() {
            span.set("client.address", (&*client.remote).into());
            span.set("network.peer.address", (&*client.remote).into());
            span.set("network.peer.port", client.remote_port.into());
        }
        let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(host) = text(HOST) {
            span.set("server.address", host.rsplit_once(':').map_or(host, |(host, _)| host).into());
        }
        if let Some(server) = client.server {
            span.set("server.port", server.port().into());
        }
        if let Some(agent) = text(USER_AGENT) {
            span.set("user_agent.original", agent.into());
        }
    }
    // What came, and what it said, is no more.
    for name in tracer.carriers() {
        request.headers_mut().remove(*name);
    }
    for (name, value) in span.carry() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    span
}

/// A request that is watched; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    traffic: Option<Arc<Traffic>>,
    began: Instant,
    status: u16,
    span: Option<Box<dyn Span>>,
    trace: Option<Trace>,
}

impl Watch {
    /// A worker will get it.
    pub(crate) fn submitted(&mut self, exchange: &Exchange) {
        if self.span.as_ref().is_some_and(|span| span.is_recorded()) {
            self.trace = Some(exchange.trace());
        }
    }

    /// The head of its answer is there.
    pub(crate) fn answered(&mut self, response: &mut Response<Body>) {
        self.status = response.status().as_u16();
        let cause = response.extensions_mut().remove::<Cause>();
        let Some(span) = &mut self.span else { return };
        match cause {
            Some(Cause(kind, text)) => span.fail(kind, &text),
            None if self.status >= 500 => span.fail(response.status().as_str(), ""),
            None => {}
        }
    }

    /// The body of its answer broke off.
    pub(crate) fn broke(&mut self, error: &ExecError) {
        if let Some(span) = &mut self.span {
            span.fail(name_of(error), &crate::failure::words(error));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(traffic) = &self.traffic {
            traffic.count(self.status, self.began.elapsed());
        }
        let Some(span) = &mut self.span else { return };
        if self.status == GONE {
            span.fail("client_gone", "the client went away");
        } else {
            span.set("http.response.status_code", self.status.into());
        }
        if let Some(pid) = self.trace.as_ref().and_then(Trace::pid) {
            span.set("roadrunner.worker.pid", i64::from(pid).into());
        }
    }
}
