//! A request on its way to a worker: what is refused at once, what is waited for, what streams.

use crate::body::{Body, Log};
use crate::connection::Shared;
use crate::door::Door;
use crate::inbound::{Inbound, headers_of_streams};
use crate::io::Activity;
use crate::middleware::{Passed, Remote};
use crate::resolve::Target;
use crate::uploads::{Received, Receiver, Uploads};
use crate::watch::Watch;
use crate::{command, failure, files, multipart, redirect, respond};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use rr_pool::{BodySender, Request as Work};
use rr_wire::http::{RequestHead, encode_request};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// One connection.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) door: Arc<Door>,
    /// What is spoken with it.
    pub(crate) spoken: Spoken,
    /// Takes interim responses of this one request, where they do not go between what hyper writes.
    pub(crate) hints: Option<mpsc::Sender<Response<()>>>,
    /// It came over TLS, to us or to the web server in front.
    pub(crate) https: bool,
    /// The peer's address without a port (HTTP-05).
    pub(crate) remote: String,
    /// The peer may say for which client it speaks.
    pub(crate) trusted: bool,
    /// The peer's port; 0 on a unix socket.
    pub(crate) remote_port: u16,
    /// Where it has connected to; `None` on a unix socket.
    pub(crate) server: Option<std::net::SocketAddr>,
    /// The same without the port.
    pub(crate) server_text: String,
}

/// A protocol of the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP/1.0 and 1.1.
    Http1,
    /// HTTP/2 and 3.
    Streams,
    FastCgi,
}

impl Client {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// HTTP-15: a client of HTTP/1.0 knows no interim responses, and hyper has no door for those of HTTP/2.
    pub(crate) async fn send_interim(&self, version: Version, status: StatusCode, headers: HeaderMap) {
        if let Some(hints) = &self.hints {
            let mut response = Response::new(());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            // An error means that nobody wants it.
            let _ = hints.send(response).await;
        } else if self.spoken == Spoken::Http1 && version == Version::HTTP_11 {
            self.activity.send_interim(respond::interim(status, &headers)).await;
        }
    }
}

/// What stops a request before a worker sees it.
pub(crate) enum Refusal {
    Status(StatusCode, &'static str),
    Long(StatusCode, String),
    /// The client went away inside its body.
    Gone,
}

pub(crate) async fn handle(
    client: Arc<Client>,
    mut request: Request<Inbound>,
) -> Result<Response<Body>, Infallible> {
    let busy = client.activity.begin();
    let malformed = match client.spoken {
        Spoken::Streams => headers_of_streams(&mut request, client.shared.config.max_headers).err(),
        _ => None,
    };
    let mut log = Log::begin(&client, &request);
    let noted = failure::note(&client, &mut request);
    let head = *request.method() == Method::HEAD;
    let mut watch = client.shared.watchers.as_ref().map(|watchers| watchers.begin(&client, &mut request));
    let mut passed = Passed::default();
    let outcome = match (malformed, redirect::answer(&client, &request)) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(answer)) => Ok(answer),
        (None, None) => run(&client, request, &mut passed, &mut watch).await,
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(Refusal::Status(status, text)) => respond::plain(status, text),
        Err(Refusal::Long(status, text)) => respond::plain(status, &text),
        Err(Refusal::Gone) => respond::plain(StatusCode::BAD_REQUEST, "the request body ended early"),
    };
    failure::dress(&client, noted.as_ref(), &mut response);
    if let Some(chain) = &client.shared.chain {
        if let (Some(log), Some(Remote(remote))) = (&mut log, &passed.remote) {
            log.set_remote(remote);
        }
        chain.leave(passed, &mut response);
    }
    redirect::advertise(&client, &mut response);
    let status = response.status();
    if let Some(watch) = &mut watch {
        watch.answered(&mut response);
    }
    response.body_mut().attach(
        busy,
        log.map(|log| log.answered(status, noted.as_ref().and_then(failure::Noted::worker))),
        watch,
        head,
    );
    Ok(response)
}

async fn run(
    client: &Arc<Client>,
    request: Request<Inbound>,
    passed: &mut Passed,
    watch: &mut Option<Watch>,
) -> Result<Response<Body>, Refusal> {
    let config = &client.shared.config;
    let pool = &client.shared.context.pool;
    let (mut parts, mut body) = request.into_parts();
    check(&parts)?;
    if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
        // RFC 9110, 9.3.7: this asks the server, not the app.
        return Ok(Response::new(Body::full(Bytes::new())));
    }
    if let Some(chain) = &client.shared.chain
        && let Some(answer) = chain.enter(client, &mut parts, passed).await
    {
        return Ok(answer);
    }
    check_length(&parts, config.max_request_size)?;
    let (script, path_info) = match &client.shared.resolver {
        None => (String::new(), Vec::new()),
        Some(resolver) => match resolver.resolve(target(&parts)) {
            Target::Script { script, path_info } => (script, path_info),
            Target::Static { file, meta, name } => {
                return Ok(files::respond(
                    &parts,
                    file,
                    &meta,
                    &name,
                    files::Said::default(),
                    files::Methods::Read,
                ));
            }
            Target::Redirect(to) => return Ok(respond::moved(&to)),
            Target::NotFound => return Err(Refusal::Status(StatusCode::NOT_FOUND, "")),
            Target::Malformed => {
                return Err(Refusal::Status(StatusCode::BAD_REQUEST, "the path is malformed"));
            }
        },
    };
    if let Some(response) = failure::closed(client).await {
        return Ok(response);
    }
    if client.shared.context.command {
        return command::run(client, parts, body, watch).await;
    }
    let mut size = 0;
    if let Some((uploads, boundary)) = form(&parts, client) {
        let form = receive(&mut body, uploads, &boundary, config, &mut size).await?;
        let (context, room) = encode(&parts, client, script.as_bytes(), &path_info, Some(size))?;
        return submit_form(client, &parts, context, room, form, watch).await;
    }
    let (context, room) = encode(&parts, client, script.as_bytes(), &path_info, None)?;
    let inline = if body.is_end_stream() {
        Inline { bytes: Bytes::new(), rest: None }
    } else {
        read_inline(&mut body, room, &mut size, config.max_request_size, config.read_timeout).await?
    };
    let more = inline.rest.is_some();
    let noted = inline.bytes.clone();
    let exchange = match pool.submit(Work { context, body: inline.bytes, more, ..Work::default() }) {
        Ok(exchange) => exchange,
        Err(error) => return Ok(respond::failed(&error, client)),
    };
    failure::submitted(client, &parts, &noted, more, &exchange);
    if let Some(watch) = watch {
        watch.submitted(&exchange);
    }
    if let Some(first) = inline.rest {
        let pump = Pump { sender: exchange.body_sender(), size, client: Arc::clone(client) };
        tokio::spawn(pump.run(first, body));
    }
    Ok(respond::wait(exchange, client, &parts).await)
}

/// What RFC 9112 wants refused.
fn check(parts: &http::request::Parts) -> Result<(), Refusal> {
    let bad = |text| Err(Refusal::Status(StatusCode::BAD_REQUEST, text));
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version >= Version::HTTP_11 => return bad("the Host header is missing"),
        (Some(_), Some(_)) => return bad("more than one Host header"),
        (Some(host), None) if !host.as_bytes().iter().all(|byte| is_host(*byte)) => {
            return bad("the Host header is malformed");
        }
        _ => {}
    }
    if parts.method == Method::CONNECT {
        return Err(Refusal::Status(StatusCode::NOT_IMPLEMENTED, "CONNECT is not served"));
    }
    // RFC 9112, 6.1: other codings than one "chunked" are where two servers can disagree about a body's end.
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {}
        _ => {
            return Err(Refusal::Status(
                StatusCode::NOT_IMPLEMENTED,
                "the only transfer coding served is chunked",
            ));
        }
    }
    Ok(())
}

/// What may stand in `Host` (RFC 3986, 3.2.2 and 3.2.3), whatever sense it makes.
const fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'@' | b'[' | b']' | b'_' | b'~')
}

/// HS-02: behind the middleware, so that a page of another origin may read why.
fn check_length(parts: &http::request::Parts, limit: u64) -> Result<(), Refusal> {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    Ok(())
}

fn too_large() -> Refusal {
    Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE, "the request body is larger than http.max_request_size")
}

fn target(parts: &http::request::Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// The context of a request, and the room that it leaves for a body beside it. `form`: the body was one, of so many
/// bytes.
fn encode(
    parts: &http::request::Parts,
    client: &Client,
    script: &[u8],
    path_info: &[u8],
    form: Option<u64>,
) -> Result<(Vec<u8>, usize), Refusal> {
    let mut context = Vec::with_capacity(512);
    let target = target(parts);
    let authority = match parts.uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => parts.headers.get(HOST).map_or(&b""[..], http::HeaderValue::as_bytes),
    };
    let (remote, remote_port) = match parts.extensions.get::<Remote>() {
        Some(Remote(remote)) => (&**remote, 0),
        None => (&*client.remote, client.remote_port),
    };
    let head = RequestHead {
        version: match parts.version {
            Version::HTTP_10 => 10,
            Version::HTTP_2 => 20,
            Version::HTTP_3 => 30,
            _ => 11,
        },
        https: client.https,
        form: form.is_some(),
        remote_port,
        server_port: client.server.map_or(0, |server| server.port()),
        method: parts.method.as_str().as_bytes(),
        remote: remote.as_bytes(),
        server: client.server_text.as_bytes(),
        target: target.as_bytes(),
        authority,
        script,
        path_info,
    };
    // A form that came in chunks has a length as well by now.
    let length = form.filter(|_| !parts.headers.contains_key(CONTENT_LENGTH)).map(|form| form.to_string());
    let length = length.as_ref().map(|length| (&b"content-length"[..], length.as_bytes()));
    let too_large = |text| Refusal::Status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text);
    encode_request(&mut context, &head, || pairs(&parts.headers).chain(length))
        .map_err(|_| too_large("the request head is too large"))?;
    let room = client.shared.context.pool.max_payload().checked_sub(context.len());
    let room = room.ok_or_else(|| too_large("the request head does not fit http.pool.ring_size"))?;
    Ok((context, room))
}

/// The boundary of a form that is received here: PHP parses those of POST only.
fn form(parts: &http::request::Parts, client: &Client) -> Option<(Arc<Uploads>, Vec<u8>)> {
    let uploads = client.shared.uploads.as_ref()?;
    let read = match parts.method {
        Method::POST => true,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => false,
        _ => !client.shared.context.web,
    };
    let kind = parts.headers.get(CONTENT_TYPE).filter(|_| read)?.as_bytes();
    let end = kind.iter().position(|byte| matches!(byte, b';' | b',' | b' ')).unwrap_or(kind.len());
    if !kind[..end].eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    // Without a boundary it is PHP that says so.
    Some((Arc::clone(uploads), multipart::boundary(kind)?))
}

pub(crate) async fn receive(
    body: &mut Inbound,
    uploads: Arc<Uploads>,
    boundary: &[u8],
    config: &rr_config::Http,
    size: &mut u64,
) -> Result<Received, Refusal> {
    let refuse = |error: multipart::TooMuch| Refusal::Long(StatusCode::PAYLOAD_TOO_LARGE, error.to_string());
    let mut receiver = Receiver::new(uploads, boundary);
    while let Some(part) = next_part(body, size, config.max_request_size, config.read_timeout).await? {
        receiver.push(&part).await.map_err(refuse)?;
    }
    receiver.end().await.map_err(refuse)
}

async fn submit_form(
    client: &Arc<Client>,
    parts: &http::request::Parts,
    context: Vec<u8>,
    room: usize,
    form: Received,
    watch: &mut Option<Watch>,
) -> Result<Response<Body>, Refusal> {
    let mut block = Bytes::from(form.block);
    let first = block.split_to(block.len().min(room));
    let keep = form.stored.map(|stored| Arc::new(stored) as Arc<dyn std::any::Any + Send + Sync>);
    let work = Work { context, body: first, more: !block.is_empty(), keep, ..Work::default() };
    let exchange = match client.shared.context.pool.submit(work) {
        Ok(exchange) => exchange,
        Err(error) => return Ok(respond::failed(&error, client)),
    };
    failure::submitted(client, parts, &Bytes::new(), false, &exchange);
    if let Some(watch) = watch {
        watch.submitted(&exchange);
    }
    if !block.is_empty() {
        let sender = exchange.body_sender();
        tokio::spawn(async move {
            // An error means that nobody wants it.
            if sender.send(block).await.is_ok() {
                let _ = sender.finish().await;
            }
        });
    }
    Ok(respond::wait(exchange, client, parts).await)
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

/// The part of a body that goes with the head.
struct Inline {
    bytes: Bytes,
    /// What was read beyond it; the rest is still to come.
    rest: Option<Bytes>,
}

/// Reads a body as far as it fits beside the head, so that a worker starts when it has all of a small request
/// and does not wait for a slow client.
async fn read_inline(
    body: &mut Inbound,
    room: usize,
    size: &mut u64,
    limit: u64,
    patience: Duration,
) -> Result<Inline, Refusal> {
    let mut first = Bytes::new();
    let mut several = BytesMut::new();
    loop {
        let Some(part) = next_part(body, size, limit, patience).await? else {
            let bytes = if several.is_empty() { first } else { several.freeze() };
            return Ok(Inline { bytes, rest: None });
        };
        let have = if several.is_empty() { first.len() } else { several.len() };
        if have + part.len() > room {
            let bytes = if several.is_empty() { first } else { several.freeze() };
            return Ok(Inline { bytes, rest: Some(part) });
        }
        if first.is_empty() && several.is_empty() {
            first = part;
        } else {
            if several.is_empty() {
                several.extend_from_slice(&first);
            }
            several.extend_from_slice(&part);
        }
    }
}

pub(crate) async fn next_part(
    body: &mut Inbound,
    size: &mut u64,
    limit: u64,
    patience: Duration,
) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = tokio::time::timeout(patience, body.frame()).await.map_err(|_| {
            Refusal::Status(
                StatusCode::REQUEST_TIMEOUT,
                "the request body did not come within http.read_timeout",
            )
        })?;
        let Some(frame) = frame else { return Ok(None) };
        // Trailers are not passed on.
        if let Ok(part) = frame.map_err(|_| Refusal::Gone)?.into_data() {
            *size += part.len() as u64;
            if *size > limit {
                return Err(too_large());
            }
            return Ok(Some(part));
        }
    }
}

/// Bytes a second that the client of a body which streams into a worker must send on average.
const MIN_RATE: u64 = 1024;

/// Sends the rest of a body while the worker runs.
struct Pump {
    sender: BodySender,
    size: u64,
    client: Arc<Client>,
}

impl Pump {
    async fn run(mut self, first: Bytes, mut body: Inbound) {
        let (limit, patience) = {
            let config = &self.client.shared.config;
            (config.max_request_size, config.read_timeout)
        };
        if self.sender.send(first).await.is_err() {
            return;
        }
        // Only what the client lets us wait counts, not what the worker does.
        let (mut waited, mut before) = (Duration::ZERO, self.size);
        loop {
            let began = Instant::now();
            let part = next_part(&mut body, &mut self.size, limit, patience).await;
            waited += began.elapsed();
            match part {
                Ok(Some(part)) => {
                    if self.sender.send(part).await.is_err() {
                        return;
                    }
                    // A byte now and then would hold a worker for ever.
                    if waited >= patience {
                        if self.size - before < MIN_RATE * waited.as_secs() {
                            tracing::warn!(target: "http", "a request was cut off: its body came too slowly");
                            let _ = self.sender.abort().await;
                            return;
                        }
                        (waited, before) = (Duration::ZERO, self.size);
                    }
                }
                Ok(None) => {
                    let _ = self.sender.finish().await;
                    return;
                }
                Err(refusal) => {
                    if let Refusal::Status(status, text) = refusal {
                        tracing::warn!(target: "http", status = status.as_u16(), "a request was cut off: {text}");
                    }
                    let _ = self.sender.abort().await;
                    return;
                }
            }
        }
    }
}
