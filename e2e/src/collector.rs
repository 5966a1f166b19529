//! A stand-in for an OpenTelemetry collector: takes OTLP over HTTP/1.1 and gRPC on a free port and keeps it.

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// What has come.
#[derive(Debug, Default)]
struct Taken {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    resources: Vec<Resource>,
    heads: Vec<HeaderMap>,
    /// What is answered in place of 200.
    status: Option<StatusCode>,
    /// Nothing is answered at all.
    silent: bool,
}

/// A collector that runs. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Collector {
    address: String,
    taken: Arc<Mutex<Taken>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An attribute as text; numbers in decimal.
#[must_use]
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

impl Collector {
    /// One on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// One on this address.
    ///
    /// # Panics
    /// It is taken.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a port for the collector");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address").to_string();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let (stop, stopped) = oneshot::channel();
        let keep = Arc::clone(&taken);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            // Connections end with the runtime.
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, keep) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, taken, stop: Some(stop), thread: Some(thread) }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.taken().status = Some(StatusCode::from_u16(status).expect("a status"));
    }

    /// Takes everything and answers nothing from now on.
    pub fn fall_silent(&self) {
        self.taken().silent = true;
    }

    /// All spans.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.taken().spans.clone()
    }

    /// The span of a request for this path, once it is there.
    #[track_caller]
    #[must_use]
    pub fn span(&self, path: &str) -> Span {
        let found = crate::until(crate::SOON, || {
            self.spans().into_iter().find(|span| text(&span.attributes, "url.path").as_deref() == Some(path))
        });
        found.unwrap_or_else(|| panic!("no span of {path}: {:#?}", self.spans()))
    }

    /// The latest of this metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.taken().metrics.iter().rev().find(|metric| metric.name == name).cloned()
    }

    /// The resource of the latest.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        self.taken().resources.last().cloned()
    }

    /// Requests that have come, whatever was answered.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.taken().heads.len()
    }

    /// A header of the latest request.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let taken = self.taken();
        let value = taken.heads.last()?.get(name)?;
        Some(value.to_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, taken: Arc<Mutex<Taken>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let taken = Arc::clone(&taken);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&taken)));
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    taken: Arc<Mutex<Taken>>,
) -> Result<Response<Answer>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let grpc = head.headers.get("content-type").is_some_and(|value| value == "application/grpc");
    let compressed = head.headers.contains_key("content-encoding") || grpc && body.first() == Some(&1);
    let body = if grpc { body.slice(5..) } else { body };
    let mut plain = Vec::new();
    if compressed {
        GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("gzip");
    } else {
        plain.extend_from_slice(&body);
    }
    let metrics = head.uri.path().to_ascii_lowercase().contains("metrics");
    let (status, silent) = {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.heads.push(head.headers);
        if taken.status.is_none() && !taken.silent {
            taken.take(&plain, metrics);
        }
        (taken.status.unwrap_or(StatusCode::OK), taken.silent)
    };
    if silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Answer::new(grpc));
    *response.status_mut() = status;
    if grpc {
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    }
    Ok(response)
}

impl Taken {
    fn take(&mut self, message: &[u8], metrics: bool) {
        if metrics {
            let message = ExportMetricsServiceRequest::decode(message).expect("metrics");
            for resource in message.resource_metrics {
                self.resources.extend(resource.resource);
                self.metrics.extend(resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
            }
            return;
        }
        let message = ExportTraceServiceRequest::decode(message).expect("spans");
        for resource in message.resource_spans {
            self.resources.extend(resource.resource);
            self.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
}

/// An empty message, with gRPC's trailers behind it.
struct Answer {
    body: Full<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Answer {
    fn new(grpc: bool) -> Self {
        let status = || {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static("0"),
            )])
        };
        let body = if grpc { Bytes::from_static(&[0; 5]) } else { Bytes::new() };
        Self { body: Full::new(body), trailers: grpc.then(status) }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) => {
                Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
