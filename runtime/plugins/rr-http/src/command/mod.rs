//! The way of a request to a command worker and back: contexts as clients of RoadRunner read and write them (rows
//! HTTP-01…16), bodies whole, because such a worker is told their length first.

mod dialect;
mod gather;
mod json;
mod proto;
mod tree;

pub(crate) use dialect::{Dialect, native};
pub use tree::fuzz;

use crate::body::Body;
use crate::inbound::Inbound;
use crate::respond;
use crate::service::{self, Client, Refusal};
use crate::uploads::Stored;
use crate::watch::Watch;
use bytes::Bytes;
use dialect::{Context, Payload};
use gather::Gathered;
use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode};
use rr_config::Codec;
use rr_pool::{ExecError, Request as Work};
use rr_wire::Flags;
use std::sync::Arc;

/// Longest form that is no multipart: it is parsed in memory.
const FORM: u64 = 16 << 20;
/// Bytes of a form that are parsed at once; longer ones beside the reactor.
const AT_ONCE: usize = 64 << 10;
/// How often a request whose body is on its way is given to another worker because one has asked to be replaced.
const RETURNS: u32 = 16;

/// What a worker gets of a body (HTTP-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Raw,
    UrlEncoded,
    Multipart,
}

fn kind(parts: &http::request::Parts, raw: bool) -> Kind {
    if matches!(parts.method, Method::HEAD | Method::OPTIONS) {
        return Kind::None;
    }
    if raw {
        return Kind::Raw;
    }
    let kind = parts.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    let kind = kind.unwrap_or_default();
    let contains = |text: &[u8]| memchr::memmem::find(&kind, text).is_some();
    if contains(b"application/x-www-form-urlencoded") {
        Kind::UrlEncoded
    } else if contains(b"multipart/form-data") {
        Kind::Multipart
    } else {
        Kind::Raw
    }
}

/// Has a command worker answer a request.
pub(crate) async fn run(
    client: &Arc<Client>,
    parts: http::request::Parts,
    mut body: Inbound,
    watch: &mut Option<Watch>,
) -> Result<Response<Body>, Refusal> {
    let config = &client.shared.config;
    let kind = kind(&parts, config.raw_body);
    let payload = match kind {
        Kind::None => Payload::empty(),
        Kind::Raw => Payload::raw(gather::body(&mut body, client).await?),
        Kind::UrlEncoded => {
            let bytes = gather::whole(&mut body, client, FORM.min(config.max_request_size)).await?;
            // As Go's parser, which reads forms of these methods only.
            let read = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
            let limit = config.uploads.max_fields;
            let tree = match read {
                false => Ok(Vec::new()),
                true if bytes.len() < AT_ONCE => tree::of_pairs(&bytes, limit),
                true => tokio::task::spawn_blocking(move || tree::of_pairs(&bytes, limit))
                    .await
                    .map_err(|_| Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR, ""))?,
            };
            Payload::parsed(tree.map_err(bad_form)?, None, None)
        }
        Kind::Multipart => multipart(client, &parts, &mut body).await?,
    };
    let codec = client.shared.dialect.of(config.codec);
    let payload = payload.for_codec(codec);
    let (context, codec) = match codec {
        Codec::Auto | Codec::Json => {
            (json::request(&Context { parts: &parts, client, payload: &payload }), Flags::JSON)
        }
        Codec::Protobuf => {
            (proto::request(&Context { parts: &parts, client, payload: &payload }), Flags::PROTO)
        }
    };
    submit(client, &parts, (context, codec), payload, watch).await
}

fn bad_form(error: tree::FormError) -> Refusal {
    let status = match error {
        tree::FormError::Fields => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::Long(status, error.to_string())
}

async fn multipart(
    client: &Arc<Client>,
    parts: &http::request::Parts,
    body: &mut Inbound,
) -> Result<Payload, Refusal> {
    let boundary =
        parts.headers.get(CONTENT_TYPE).and_then(|kind| crate::multipart::boundary(kind.as_bytes()));
    let (Some(uploads), Some(boundary)) = (client.shared.uploads.clone(), boundary) else {
        return Err(Refusal::Status(StatusCode::BAD_REQUEST, "a multipart form without a boundary"));
    };
    let mut size = 0;
    let form = service::receive(body, uploads, &boundary, &client.shared.config, &mut size).await?;
    if !form.closed {
        return Err(Refusal::Status(
            StatusCode::BAD_REQUEST,
            "the multipart form ends before its last boundary",
        ));
    }
    let (fields, files) = tree::of_block(&form.block).map_err(bad_form)?;
    Ok(Payload::parsed(fields, Some(files), form.stored))
}

/// Gives the request to workers until one takes it.
async fn submit(
    client: &Arc<Client>,
    parts: &http::request::Parts,
    (context, codec): (Vec<u8>, Flags),
    payload: Payload,
    watch: &mut Option<Watch>,
) -> Result<Response<Body>, Refusal> {
    let pool = &client.shared.context.pool;
    let room = pool.max_payload().checked_sub(context.len()).ok_or(Refusal::Status(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the request head does not fit http.pool.ring_size",
    ))?;
    let Payload { body, stored, .. } = payload;
    let body = Arc::new(body);
    let keep = stored.map(|stored: Stored| Arc::new(stored) as Arc<dyn std::any::Any + Send + Sync>);
    let too_long = Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE, "a command worker takes less than 4 GiB");
    let Ok(length) = u32::try_from(body.len() + context.len() as u64) else { return Err(too_long) };
    let length = length - u32::try_from(context.len()).unwrap_or(0);
    for tries in 1.. {
        let first = body.head(room);
        let more = (first.len() as u64) < body.len();
        let work = Work {
            context: context.clone(),
            codec,
            body: first.clone(),
            more,
            length: more.then_some(length),
            keep: keep.clone(),
        };
        let exchange = match pool.submit(work) {
            Ok(exchange) => exchange,
            Err(error) => return Ok(respond::failed(&error, client)),
        };
        crate::failure::submitted(client, parts, &first, more, &exchange);
        if let Some(watch) = watch {
            watch.submitted(&exchange);
        }
        if !more {
            return Ok(respond::wait(exchange, client, parts).await);
        }
        let (sender, source, at) = (exchange.body_sender(), Arc::clone(&body), first.len());
        tokio::spawn(async move { source.send(at, &sender).await });
        match respond::try_wait(exchange, client, parts).await {
            Err(ExecError::Returned(_)) if tries < RETURNS => {}
            Err(error) => return Ok(respond::failed(&error, client)),
            Ok(response) => return Ok(response),
        }
    }
    Err(Refusal::Status(StatusCode::BAD_GATEWAY, ""))
}

impl Payload {
    fn empty() -> Self {
        Self::raw(Gathered::default())
    }

    fn raw(body: Gathered) -> Self {
        Self { parsed: false, body, uploads: None, stored: None }
    }

    /// Clients that read JSON take an empty body for a broken one; the others fill in what is missing (HTTP-09).
    fn for_codec(self, codec: Codec) -> Self {
        if self.parsed && self.body.len() == 0 && codec != Codec::Protobuf {
            return Self { body: Gathered::of(Bytes::from_static(b"{}")), ..self };
        }
        self
    }

    fn parsed(tree: Vec<u8>, uploads: Option<Vec<u8>>, stored: Option<Stored>) -> Self {
        let body = Gathered::of(Bytes::from(tree));
        Self { parsed: true, body, uploads: uploads.map(Bytes::from), stored }
    }
}
