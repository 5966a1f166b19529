//! From what a worker says, or fails to say, to a response.

use crate::body::Body;
use crate::command;
use crate::failure::{Failure, Own};
use crate::files;
use crate::middleware::Chain;
use crate::service::Client;
use crate::sniff;
use crate::spool::{Budget, Spool};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
    LOCATION, RETRY_AFTER, TRAILER,
};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use rr_pool::{Exchange, ExecError, ReplyFrame};
use rr_wire::http::{FILE, ResponseView};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Headers that belong to the connection, which is not the worker's.
const HOP_BY_HOP: [&str; 5] = ["transfer-encoding", "keep-alive", "proxy-connection", "te", "upgrade"];

/// A worker says by this header that the body is its own short text, because the app failed and printed nothing.
const FAILED: &str = rr_wire::http::FAILED;

/// A short text of the server's own.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("error");
    let text = if text.is_empty() { format!("{reason}\n") } else { format!("{reason}: {text}\n") };
    let mut response = Response::new(Body::full(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.extensions_mut().insert(Own);
    response
}

/// What was asked for is a folder, whose path ends with a slash.
pub(crate) fn moved(to: &str) -> Response<Body> {
    let mut response = plain(StatusCode::MOVED_PERMANENTLY, "");
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// The answer to a request that a worker did not answer (HS-04, with a status per cause unless
/// `http.internal_error_code` is set).
pub(crate) fn failed(error: &ExecError, client: &Client) -> Response<Body> {
    let config = &client.shared.config;
    let own = match error {
        ExecError::WorkerDied(_) | ExecError::Protocol(_) | ExecError::Returned(_) => StatusCode::BAD_GATEWAY,
        ExecError::ExecTtl(_) => StatusCode::GATEWAY_TIMEOUT,
        ExecError::QueueFull(_) | ExecError::NoFreeWorker(_) | ExecError::Stopped => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ExecError::TooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ExecError::Soft(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    // What an app that was written for RoadRunner has been tested with.
    let usual = client.shared.context.command.then_some(500);
    let code = config.internal_error_code.or(usual);
    let status = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(own);
    // A native worker has said it itself.
    if client.shared.context.command || !matches!(error, ExecError::Soft(_)) {
        tracing::error!(target: "http", status = status.as_u16(), "{error}");
    }
    let watched = client.shared.watchers.as_ref().map(|watchers| watchers.failed(error));
    let text = if config.pool.debug { error.to_string() } else { String::new() };
    let mut response = plain(status, &text);
    if client.shared.context.dev.is_some() {
        response.extensions_mut().insert(Failure(error.to_string().into()));
    }
    if let Some(cause) = watched {
        response.extensions_mut().insert(cause);
    }
    if error.may_retry() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Waits for the head of the reply.
pub(crate) async fn wait(exchange: Exchange, client: &Client, request: &Parts) -> Response<Body> {
    try_wait(exchange, client, request).await.unwrap_or_else(|error| failed(&error, client))
}

/// The same for those that know what to do when there is none.
///
/// # Errors
/// Why there is none.
pub(crate) async fn try_wait(
    mut exchange: Exchange,
    client: &Client,
    request: &Parts,
) -> Result<Response<Body>, ExecError> {
    loop {
        let Some(frame) = exchange.next().await else {
            return Err(ExecError::Protocol("a reply without a head".to_owned()));
        };
        let mut frame = frame?;
        if client.shared.context.command {
            client.shared.dialect.heard(&frame);
            frame = command::native(frame).map_err(ExecError::Protocol)?;
        }
        let sendfile = Chain::takes_sendfile(client.shared.chain.as_ref(), client.shared.context.command);
        let head = head_of(&frame, sendfile).map_err(ExecError::Protocol)?;
        if head.status.is_informational() {
            // HTTP-15. 100 is sent by the server itself.
            if head.status != StatusCode::CONTINUE {
                client.send_interim(request.version, head.status, head.headers).await;
            }
            continue;
        }
        return Ok(match &head.file {
            Some(path) => {
                let path = path.clone();
                send_file(frame, exchange, head, path, client, request).await
            }
            None => whole(frame, exchange, head, &client.shared.buffers, client.shared.context.command),
        });
    }
}

/// The head of a worker's reply, checked.
struct Head {
    status: StatusCode,
    headers: HeaderMap,
    /// The file that is the body.
    file: Option<Bytes>,
    /// The body is the worker's own short text.
    failed: bool,
}

/// Names of headers that name a file, beside the one that only the extension can write.
const X_SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");

/// `sendfile`: the header that names a file is heeded.
fn head_of(frame: &ReplyFrame, sendfile: bool) -> Result<Head, String> {
    let view = ResponseView::parse(&frame.context).map_err(|error| error.to_string())?;
    // HTTP-13.
    let status = StatusCode::from_u16(view.status())
        .ok()
        .filter(|status| status.as_u16() <= 599 && *status != StatusCode::SWITCHING_PROTOCOLS)
        .ok_or_else(|| format!("unknown status code from worker: {}", view.status()))?;
    if status.is_informational() && !frame.more {
        return Err(format!("status {status} cannot end a response"));
    }
    let mut file = None;
    let mut headers = HeaderMap::with_capacity(view.headers().size_hint().0 + 2);
    for (name, value) in view.headers() {
        if name == FILE {
            file = Some(frame.context.slice_ref(value));
            continue;
        }
        let (name, value) = header(name, value)?;
        if !HOP_BY_HOP.contains(&name.as_str()) {
            headers.append(name, value);
        }
    }
    let failed = headers.remove(FAILED).is_some();
    if sendfile && let Some(path) = headers.remove(X_SENDFILE) {
        file.get_or_insert_with(|| Bytes::copy_from_slice(path.as_bytes()));
    }
    Ok(Head { status, headers, file, failed })
}

fn header(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let checked = HeaderName::from_bytes(name).map_err(|_| format!("a header named {:?}", shown()))?;
    let value =
        HeaderValue::from_bytes(value).map_err(|_| format!("control bytes in header {:?}", shown()))?;
    Ok((checked, value))
}

/// The headers behind a body: the context of a last frame, with status 0.
pub(crate) fn trailers(context: &[u8]) -> Option<HeaderMap> {
    let view = ResponseView::parse(context).ok().filter(|view| view.status() == 0)?;
    view.headers().map(|(name, value)| header(name, value).ok()).collect()
}

/// An interim response of HTTP/1.1.
pub(crate) fn interim(status: StatusCode, headers: &HeaderMap) -> Bytes {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.into()
}

/// A response whose body comes from the worker.
///
/// `command`: its program was written for RoadRunner.
fn whole(
    frame: ReplyFrame,
    exchange: Exchange,
    head: Head,
    buffers: &Arc<Budget>,
    command: bool,
) -> Response<Body> {
    let Head { status, mut headers, failed, .. } = head;
    let trailing = announced(&mut headers);
    if command && let Some(kind) = sniff::missing(&headers, status, &frame.body) {
        headers.insert(CONTENT_TYPE, kind);
    }
    let body = if frame.more {
        Body::stream(Spool::start(frame.body, exchange, trailing, buffers))
    } else if let Some(trailing) = trailing.filter(|trailing| !trailing.is_empty()) {
        // Only a body in chunks has something behind it.
        headers.remove(CONTENT_LENGTH);
        Body::with_trailers(frame.body, trailing)
    } else {
        // A length that is not true would cut the body or hang the client. hyper knows the true one; the answer
        // to HEAD has a length and no body.
        let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if headers.contains_key(CONTENT_LENGTH) && stated != Some(frame.body.len()) && !frame.body.is_empty()
        {
            headers.remove(CONTENT_LENGTH);
        }
        Body::full(frame.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if status.canonical_reason().is_none() {
        // Without one, hyper says `<none>`.
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Unknown"));
    }
    if failed {
        response.extensions_mut().insert(Own);
    }
    response
}

/// HTTP-13: headers that `Trailer` names and the head has go behind the body. `None`: there is no `Trailer`.
fn announced(headers: &mut HeaderMap) -> Option<HeaderMap> {
    if !headers.contains_key(TRAILER) {
        return None;
    }
    let names: Vec<HeaderName> = headers
        .get_all(TRAILER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut trailing = HeaderMap::new();
    for name in names {
        if let Some(value) = headers.remove(&name) {
            trailing.insert(name, value);
        }
    }
    Some(trailing)
}

/// What PHP says of a body that it knows nothing of.
const UNTYPED: &[u8] = b"text/html; charset=UTF-8";

/// A response whose body is a file that the worker has named, opened as the user that the worker is.
async fn send_file(
    frame: ReplyFrame,
    exchange: Exchange,
    head: Head,
    path: Bytes,
    client: &Client,
    request: &Parts,
) -> Response<Body> {
    if frame.more {
        // The worker may have more to say, to nobody.
        let mut rest = exchange;
        tokio::spawn(async move { while let Some(Ok(_)) = rest.next().await {} });
    } else {
        drop(exchange);
    }
    let path = PathBuf::from(OsStr::from_bytes(&path));
    let (wanted, user) = (path.clone(), client.shared.context.user.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let file = rr_plugin::open_as(user.as_deref(), &wanted)?;
        let meta = file.metadata()?;
        Ok::<_, std::io::Error>((file, meta))
    });
    let opened = opened.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    let (file, meta) = match opened {
        Ok((file, meta)) if meta.is_file() => (file, meta),
        Ok(_) => {
            tracing::warn!(target: "http", "a worker sends {}, which is no file", path.display());
            return plain(StatusCode::NOT_FOUND, "");
        }
        Err(error) => {
            tracing::warn!(target: "http", "a worker sends {}: {error}", path.display());
            return plain(StatusCode::NOT_FOUND, "");
        }
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let said = files::Said {
        kind: head.headers.get(CONTENT_TYPE).filter(|kind| kind.as_bytes() != UNTYPED),
        tag: head.headers.get(ETAG),
        modified: head.headers.get(LAST_MODIFIED),
    };
    let mut response = if head.status == StatusCode::OK {
        files::respond(request, file, &meta, &name, said, files::Methods::Any)
    } else {
        files::whole(file, &meta, &name, said, head.status)
    };
    for (name, value) in &head.headers {
        // The server knows these; of a part it is another length and another type.
        let known = *name == CONTENT_LENGTH || *name == CONTENT_TYPE;
        let taken = [CONTENT_RANGE, ACCEPT_RANGES, ETAG, LAST_MODIFIED].contains(name)
            && response.headers().contains_key(name);
        if !known && !taken {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}
