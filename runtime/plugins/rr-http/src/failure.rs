//! The last word on answers that the server itself makes: its short text, a page of the operator's, or in development
//! mode the page that says what went wrong. Also what development mode notes of a request on its way.

use crate::body::Body;
use crate::respond;
use crate::service::Client;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use rr_dev::Seen;
use rr_pool::{Exchange, ExecError, Trace};
use rr_wire::report::Report;
use std::sync::Arc;

/// Marks an answer whose body is the server's, not the app's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own;

/// Why a worker, or the lack of one, made an answer fail; in development mode.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) Arc<str>);

/// What development mode notes of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    seen: Seen,
    trace: Option<Trace>,
}

impl Noted {
    /// The process that has run the request, and its memory in bytes.
    pub(crate) fn worker(&self) -> Option<(u32, u64)> {
        let pid = self.0.lock().trace.as_ref().and_then(Trace::pid)?;
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        Some((pid, pages * rustix::param::page_size() as u64))
    }
}

/// Notes the head of a request, in development mode.
pub(crate) fn note<B>(client: &Client, request: &mut Request<B>) -> Option<Noted> {
    client.shared.context.dev.as_ref()?;
    let headers = request.headers().iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let seen = Seen {
        method: request.method().to_string(),
        target: request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers: headers.collect(),
        ..Seen::default()
    };
    let noted = Noted(Arc::new(Mutex::new(Notes { seen, trace: None })));
    request.extensions_mut().insert(noted.clone());
    Some(noted)
}

/// Notes what a worker is given.
pub(crate) fn submitted(client: &Client, parts: &Parts, body: &Bytes, more: bool, exchange: &Exchange) {
    let Some(dev) = &client.shared.context.dev else { return };
    let Some(noted) = parts.extensions.get::<Noted>() else { return };
    let mut notes = noted.0.lock();
    notes.seen.body = body.to_vec();
    notes.seen.more = more;
    notes.trace = Some(exchange.trace());
    dev.name(exchange.id(), &format!("{} {}", notes.seen.method, notes.seen.target));
}

/// In development mode: waits until the code on disk runs; the answer when it does not boot.
pub(crate) async fn closed(client: &Client) -> Option<Response<Body>> {
    let error = client.shared.context.dev.as_ref()?.pass().await.err()?;
    let mut response = respond::plain(StatusCode::INTERNAL_SERVER_ERROR, "");
    response.extensions_mut().insert(Failure(error));
    Some(response)
}

/// An error for the log: of a report, what it is about.
pub(crate) fn words(error: &ExecError) -> String {
    let text = error.to_string();
    let main = Report::parse(&text).and_then(|report| report.errors.into_iter().next());
    main.map_or(text, |main| format!("{}: {} in {}:{}", main.class, main.message, main.file, main.line))
}

/// Gives an answer of the server's own its page.
pub(crate) fn dress(client: &Client, noted: Option<&Noted>, response: &mut Response<Body>) {
    let status = response.status().as_u16();
    if status < 400 || response.extensions().get::<Own>().is_none() {
        return;
    }
    let failure = response.extensions_mut().remove::<Failure>();
    let dev = client.shared.context.dev.as_ref();
    let (kind, body) = if let (Some(dev), Some(noted), Some(Failure(error))) = (dev, noted, failure) {
        let page = dev.page(status, &error, &noted.0.lock().seen);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        (HeaderValue::from_static(page.format.mime()), Bytes::from(page.body))
    } else {
        let Some((kind, body)) = client.shared.pages.of(status) else { return };
        let Ok(kind) = HeaderValue::from_str(&kind) else { return };
        (kind, body)
    };
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::full(body);
}
