//! One request to a collector: OTLP as protobuf over HTTP/1.1 or gRPC, with or without TLS. Knows nothing of what is
//! sent, nor of when.

use crate::settings::Collector;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, TE};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;
use std::io::Write;
use std::time::Duration;

/// Longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;
/// How long a connection that is not used stays open.
const IDLE: Duration = Duration::from_secs(30);

/// Why something was not taken.
#[derive(Debug)]
pub(crate) struct NotTaken {
    pub(crate) why: String,
    /// It may be taken later.
    pub(crate) later: bool,
    /// When to come back, if the collector says so.
    pub(crate) after: Option<Duration>,
}

impl NotTaken {
    fn later(why: impl std::fmt::Display) -> Self {
        Self { why: why.to_string(), later: true, after: None }
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

/// A connection to a collector, made when it is needed.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    collector: Collector,
    client: Connected,
}

#[derive(Debug, Clone)]
enum Connected {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Sender {
    /// # Errors
    /// The text of why TLS cannot be spoken.
    pub(crate) fn new(collector: Collector) -> Result<Self, String> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http2_only(collector.grpc).pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        builder.pool_max_idle_per_host(1);
        let tls = [&collector.traces, &collector.metrics].iter().any(|uri| uri.scheme_str() == Some("https"));
        let client = if tls {
            let roots = HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
                .map_err(|error| format!("otel: the system's certificates cannot be read: {error}; set otel.insecure, or install them"))?
                .https_or_http();
            let connector =
                if collector.grpc { roots.enable_http2().build() } else { roots.enable_http1().build() };
            Connected::Tls(builder.build(connector))
        } else {
            Connected::Plain(builder.build_http())
        };
        Ok(Self { collector, client })
    }

    /// Sends a message and waits for the answer, for as long as a request may take. What the collector says of a part
    /// that it did not take is the result.
    pub(crate) async fn send(
        &self,
        signal: Signal,
        message: &impl Message,
    ) -> Result<Option<String>, NotTaken> {
        let collector = &self.collector;
        let uri = if signal == Signal::Traces { &collector.traces } else { &collector.metrics };
        let request = self.request(uri, message.encode_to_vec()).map_err(NotTaken::later)?;
        match tokio::time::timeout(collector.timeout, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(NotTaken::later(format_args!("no answer within {:?}", collector.timeout))),
        }
    }

    fn request(&self, uri: &Uri, mut body: Vec<u8>) -> Result<Request<Full<Bytes>>, String> {
        let Collector { grpc, compress, headers, .. } = &self.collector;
        if *compress {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            body = encoder
                .write_all(&body)
                .and_then(|()| encoder.finish())
                .map_err(|error| error.to_string())?;
        }
        let mut request = Request::post(uri.clone());
        let own = HeaderValue::from_static;
        if let Some(sent) = request.headers_mut() {
            for (name, value) in headers {
                sent.insert(name, value.clone());
            }
            sent.insert(CONTENT_TYPE, own(if *grpc { "application/grpc" } else { "application/x-protobuf" }));
            if *grpc {
                sent.insert(TE, own("trailers"));
            }
            if *compress {
                let name =
                    if *grpc { http::HeaderName::from_static("grpc-encoding") } else { CONTENT_ENCODING };
                sent.insert(name, own("gzip"));
            }
        }
        let body = if *grpc { framed(&body, *compress)? } else { body.into() };
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Option<String>, NotTaken> {
        let sent = match &self.client {
            Connected::Plain(client) => client.request(request).await,
            Connected::Tls(client) => client.request(request).await,
        };
        let (head, body) = sent.map_err(|error| NotTaken::later(whole(&error)))?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| NotTaken::later(format_args!("its answer: {error}")))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let body = body.to_bytes();
        if self.collector.grpc && head.status == StatusCode::OK {
            of_grpc(&head.headers, &trailers)?;
            return Ok(partly(body.get(5..).unwrap_or_default()));
        }
        if head.status.is_success() {
            return Ok(partly(&body));
        }
        let text = String::from_utf8_lossy(&body);
        let text: String = text.chars().filter(|character| !character.is_control()).take(200).collect();
        let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Err(NotTaken {
            why: format!("it answered {}: {text}", head.status),
            later: matches!(head.status.as_u16(), 408 | 429 | 502 | 503 | 504),
            after: seconds.map(Duration::from_secs),
        })
    }
}

/// A message as gRPC frames it.
fn framed(body: &[u8], compressed: bool) -> Result<Bytes, String> {
    let length = u32::try_from(body.len()).map_err(|_| "too large for gRPC".to_owned())?;
    let mut framed = BytesMut::with_capacity(body.len() + 5);
    framed.put_u8(u8::from(compressed));
    framed.put_u32(length);
    framed.put_slice(body);
    Ok(framed.freeze())
}

/// What the call came to. A call that failed at once has its status in the head.
fn of_grpc(head: &HeaderMap, trailers: &HeaderMap) -> Result<(), NotTaken> {
    let find =
        |name: &str| trailers.get(name).or_else(|| head.get(name)).and_then(|value| value.to_str().ok());
    let status = find("grpc-status").and_then(|status| status.parse::<u8>().ok());
    match status {
        Some(0) => Ok(()),
        Some(status) => Err(NotTaken {
            why: format!("gRPC status {status}: {}", find("grpc-message").unwrap_or_default()),
            // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
            later: matches!(status, 1 | 4 | 8 | 10 | 11 | 14 | 15),
            after: None,
        }),
        None => Err(NotTaken::later("its answer has no gRPC status")),
    }
}

/// The answers for both signals have the same shape.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    text: String,
}

fn partly(answer: &[u8]) -> Option<String> {
    let partial = Answer::decode(answer).ok()?.partial?;
    (partial.rejected > 0 || !partial.text.is_empty())
        .then(|| format!("{} were rejected: {}", partial.rejected, partial.text))
}

/// An error with what is behind it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(partly(b""), None);
        let partial = Some(Partial { rejected: 3, text: "no room".to_owned() });
        assert_eq!(partly(&Answer { partial }.encode_to_vec()).as_deref(), Some("3 were rejected: no room"));
        assert_eq!(partly(b"\xff\xff"), None);
        let status = |text: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_str(text).expect("a status"),
            )])
        };
        assert!(of_grpc(&HeaderMap::new(), &status("0")).is_ok());
        assert!(of_grpc(&status("14"), &HeaderMap::new()).is_err_and(|error| error.later));
        assert!(of_grpc(&HeaderMap::new(), &status("3")).is_err_and(|error| !error.later));
        assert!(of_grpc(&HeaderMap::new(), &HeaderMap::new()).is_err());
        assert_eq!(framed(b"abc", false).as_deref(), Ok(&b"\0\0\0\0\x03abc"[..]));
    }
}
