//! From what a worker says, or fails to say, to a response.

use crate::body::Body;
use crate::failure::{Failure, Own};
use crate::service::Client;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use rr_pool::{Exchange, ExecError, ReplyFrame};
use rr_wire::http::ResponseView;

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
        ExecError::WorkerDied(_) | ExecError::Protocol(_) => StatusCode::BAD_GATEWAY,
        ExecError::ExecTtl(_) => StatusCode::GATEWAY_TIMEOUT,
        ExecError::QueueFull(_) | ExecError::NoFreeWorker(_) | ExecError::Stopped => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ExecError::TooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ExecError::Soft(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let status = config.internal_error_code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(own);
    if !matches!(error, ExecError::Soft(_)) {
        tracing::error!(target: "http", status = status.as_u16(), "{error}");
    }
    let text = if config.pool.debug { error.to_string() } else { String::new() };
    let mut response = plain(status, &text);
    if client.shared.context.dev.is_some() {
        response.extensions_mut().insert(Failure(error.to_string().into()));
    }
    if error.may_retry() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Waits for the head of the reply.
pub(crate) async fn wait(mut exchange: Exchange, client: &Client) -> Response<Body> {
    loop {
        match exchange.next().await {
            Some(Ok(frame)) => match build(frame, exchange) {
                Ok(response) => return response,
                // Interim responses wait for a later version.
                Err(Rejected::Interim(back)) => exchange = *back,
                Err(Rejected::Wrong(text)) => return failed(&ExecError::Protocol(text), client),
            },
            Some(Err(error)) => return failed(&error, client),
            None => return failed(&ExecError::Protocol("a reply without a head".to_owned()), client),
        }
    }
}

enum Rejected {
    Interim(Box<Exchange>),
    Wrong(String),
}

fn build(frame: ReplyFrame, exchange: Exchange) -> Result<Response<Body>, Rejected> {
    let wrong = |text: String| Rejected::Wrong(text);
    let head = ResponseView::parse(&frame.context).map_err(|error| wrong(error.to_string()))?;
    // HTTP-13.
    let status = StatusCode::from_u16(head.status())
        .ok()
        .filter(|status| status.as_u16() <= 599)
        .ok_or_else(|| wrong(format!("unknown status code from worker: {}", head.status())))?;
    if status.is_informational() {
        return Err(if frame.more {
            Rejected::Interim(Box::new(exchange))
        } else {
            wrong(format!("status {status} cannot end a response"))
        });
    }
    let mut headers = HeaderMap::with_capacity(head.headers().size_hint().0 + 2);
    for (name, value) in head.headers() {
        let shown = || String::from_utf8_lossy(name).into_owned();
        let name =
            HeaderName::from_bytes(name).map_err(|_| wrong(format!("a header named {:?}", shown())))?;
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| wrong(format!("control bytes in header {:?}", shown())))?;
        if !HOP_BY_HOP.contains(&name.as_str()) {
            headers.append(name, value);
        }
    }
    let failed = headers.remove(FAILED).is_some();
    let body = if frame.more {
        Body::stream(frame.body, exchange)
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
    if failed {
        response.extensions_mut().insert(Own);
    }
    Ok(response)
}
