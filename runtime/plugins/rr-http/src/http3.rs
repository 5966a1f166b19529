//! The HTTP/3 server (HS-01): QUIC connections, each with requests side by side.

use crate::HttpError;
use crate::body::Body;
use crate::connection::{Entry, Listed, Shared, client, list};
use crate::door::{Door, Speaks, clients};
use crate::inbound::{Fed, Inbound};
use crate::service::{self, Client, Spoken};
use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::server::{RequestResolver, RequestStream};
use h3_quinn::{BidiStream, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue};
use http::{Method, Request, Version};
use http_body_util::BodyExt;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use rr_config::Http;
use rr_net::Options;
use rr_tls::{Certificates, Clients, TlsError, Versions};
use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes of a body that a client may send ahead, on a stream and on all of a connection.
const WINDOWS: (u32, u32) = (512 << 10, 2 << 20);
/// Bytes of answers of a connection that are sent and not acknowledged.
const SENT: u64 = 2 << 20;
/// Bytes that a client takes within `http.write_timeout`, or it is too slow.
const PIECE: usize = 16 << 10;
/// Connections beyond which clients show that they are where they say before anything is kept for them.
const TRUSTING: usize = 256;

/// The socket, before there is a runtime.
pub(crate) struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    config: ServerConfig,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.address).finish()
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{} (HTTP/3)", self.address)
    }
}

impl Socket {
    pub(crate) fn bind(
        config: &Http,
        address: &str,
        certificates: Arc<Certificates>,
    ) -> Result<Self, HttpError> {
        const KEY: &str = "http.http3.address";
        let options = Options { reuse_port: config.reuse_port, ..Options::default() };
        let socket = rr_net::bind_udp(KEY, address, &options)?;
        let address = socket.local_addr().map_err(|error| TlsError::new(KEY, error))?;
        // Another way in is not to be one around what http.ssl asks of clients.
        let clients = config.ssl.as_ref().map_or(Clients::ANY, clients);
        let tls = rr_tls::server(certificates, &clients, Versions::Tls13, &[b"h3"])?;
        let tls = QuicServerConfig::try_from(tls).map_err(|error| TlsError::new("http.http3", error))?;
        let mut transport = TransportConfig::default();
        let idle = u32::try_from(config.idle_timeout.as_millis()).unwrap_or(u32::MAX);
        transport
            .max_idle_timeout(Some(VarInt::from_u32(idle).into()))
            .max_concurrent_bidi_streams(VarInt::from_u32(config.http2.max_concurrent_streams))
            // Control, two of QPACK, and what is only there to be ignored.
            .max_concurrent_uni_streams(VarInt::from_u32(8))
            .stream_receive_window(VarInt::from_u32(WINDOWS.0))
            .receive_window(VarInt::from_u32(WINDOWS.1))
            .send_window(SENT)
            .datagram_receive_buffer_size(None);
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(Arc::new(transport)).max_incoming(4096);
        Ok(Self { socket, address, config })
    }

    /// Where it is, for clients that come by another way.
    pub(crate) fn place(&self) -> HeaderValue {
        let text = format!("h3=\":{}\"; ma=86400", self.address.port());
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("clear"))
    }
}

/// Serves until told to drain, then until the last connection is done.
pub(crate) async fn serve(socket: Socket, shared: Arc<Shared>) {
    let Socket { socket, address, config } = socket;
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime));
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(error) => return tracing::error!(target: "http", "http.http3.address: {address}: {error}"),
    };
    let door = Arc::new(Door { speaks: Speaks::Http3, redirect: None, alternative: None });
    let mut connections = JoinSet::new();
    let mut drain = shared.context.drain.clone();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = drain.wait() => None,
        };
        let Some(incoming) = incoming else { break };
        if shared.is_full() {
            incoming.refuse();
        } else if connections.len() >= TRUSTING
            && incoming.may_retry()
            && !incoming.remote_address_validated()
        {
            let _ = incoming.retry();
        } else {
            let (listed, entry) = list(&shared);
            connections.spawn(connection(incoming, address, Arc::clone(&door), listed, entry));
        }
    }
    while connections.join_next().await.is_some() {}
    endpoint.close(Code::H3_NO_ERROR.value().try_into().unwrap_or_default(), b"");
    let _ = tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
}

async fn connection(
    incoming: Incoming,
    address: SocketAddr,
    door: Arc<Door>,
    listed: Listed,
    entry: Arc<Entry>,
) {
    let shared = Arc::clone(&listed.shared);
    let peer = incoming.remote_address();
    let local = incoming.local_ip().map(|ip| SocketAddr::new(ip, address.port()));
    entry.activity.multiplex();
    let begun = tokio::time::timeout(shared.config.header_timeout, async {
        let connection = incoming.await.map_err(|error| error.to_string())?;
        let quic = h3_quinn::Connection::new(connection.clone());
        let mut builder = h3::server::builder();
        builder.max_field_section_size(shared.config.max_header_size as u64);
        let http: h3::server::Connection<_, Bytes> =
            builder.build(quic).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((connection, http))
    });
    let (quic, mut http) = match begun.await {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => return tracing::debug!(target: "http", %peer, "no QUIC connection: {error}"),
        Err(_) => return,
    };
    let client =
        Arc::new(client(&shared, &entry, &door, Spoken::Streams, Some(peer), local.or(Some(address))));
    // Dropped with the connection, and then its requests are given up.
    let mut requests = JoinSet::new();
    let mut drain = shared.context.drain.clone();
    let mut draining = false;
    loop {
        tokio::select! {
            next = http.accept() => match next {
                Ok(Some(resolver)) => {
                    requests.spawn(request(resolver, Arc::clone(&client)));
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(target: "http", %peer, "a connection ended: {error}");
                    return;
                }
            },
            Some(_) = requests.join_next(), if !requests.is_empty() => {
                if draining && requests.is_empty() {
                    break;
                }
            }
            () = drain.wait(), if !draining => {
                draining = true;
                let told = http.shutdown(0).await;
                if told.is_err() || requests.is_empty() {
                    break;
                }
            }
            () = entry.closed() => return quic.close(VarInt::from_u32(0), b"too slow"),
        }
    }
    while requests.join_next().await.is_some() {}
    drop(http);
}

type Sender = RequestStream<SendStream<Bytes>, Bytes>;
type Receiver = RequestStream<RecvStream, Bytes>;

async fn request(resolver: RequestResolver<h3_quinn::Connection, Bytes>, client: Arc<Client>) {
    let patience = client.shared.config.header_timeout;
    let Ok(Ok((head, stream))) = tokio::time::timeout(patience, resolver.resolve_request()).await else {
        return;
    };
    let (mut sender, receiver) = RequestStream::<BidiStream<Bytes>, Bytes>::split(stream);
    let length = head.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let (feeder, body) = Fed::new(length);
    let (mut parts, ()) = head.into_parts();
    parts.version = Version::HTTP_3;
    let is_head = parts.method == Method::HEAD;
    // With the answer nobody wants the rest of the body.
    let mut feeding = JoinSet::new();
    feeding.spawn(feed(receiver, feeder));
    let patience = client.shared.config.write_timeout;
    let (hints, mut early) = mpsc::channel(1);
    let client = Arc::new(Client { hints: Some(hints), ..(*client).clone() });
    let mut handling = pin!(service::handle(client, Request::from_parts(parts, Inbound::Fed(body))));
    let response = loop {
        tokio::select! {
            biased;
            Some(interim) = early.recv() => hint(&mut sender, interim, patience).await,
            Ok(response) = &mut handling => break response,
        }
    };
    // They may have come together.
    while let Ok(interim) = early.try_recv() {
        hint(&mut sender, interim, patience).await;
    }
    if answer(&mut sender, response, is_head, patience).await.is_err() {
        sender.stop_stream(Code::H3_INTERNAL_ERROR);
    }
}

/// Sends an interim response. What is wrong with the stream is seen with the answer.
async fn hint(sender: &mut Sender, mut interim: http::Response<()>, patience: Duration) {
    interim.headers_mut().remove(CONNECTION);
    let _ = within(patience, sender.send_response(interim)).await;
}

/// Hands a body on as it comes.
async fn feed(mut receiver: Receiver, feeder: mpsc::Sender<Bytes>) {
    loop {
        match receiver.recv_data().await {
            Ok(Some(mut piece)) => {
                let piece = piece.copy_to_bytes(piece.remaining());
                // An empty one would be the end.
                if !piece.is_empty() && feeder.send(piece).await.is_err() {
                    return receiver.stop_sending(Code::H3_NO_ERROR);
                }
            }
            Ok(None) => {
                let _ = feeder.send(Bytes::new()).await;
                return;
            }
            Err(_) => return,
        }
    }
}

/// The client takes nothing any more, or the answer broke off.
struct Broken;

async fn answer(
    sender: &mut Sender,
    response: http::Response<Body>,
    head: bool,
    patience: Duration,
) -> Result<(), Broken> {
    let (mut parts, mut body) = response.into_parts();
    parts.headers.remove(CONNECTION);
    parts.version = Version::HTTP_3;
    // As hyper does for the others.
    if !parts.headers.contains_key(DATE)
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
    {
        parts.headers.insert(DATE, now);
    }
    let bodiless = head || matches!(parts.status.as_u16(), 204 | 304);
    if !bodiless && let Some(length) = http_body::Body::size_hint(&body).exact() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    within(patience, sender.send_response(http::Response::from_parts(parts, ()))).await?;
    while !bodiless && let Some(frame) = body.frame().await {
        match frame.map_err(|_| Broken)?.into_data() {
            Ok(mut bytes) => {
                while !bytes.is_empty() {
                    let piece = bytes.split_to(bytes.len().min(PIECE));
                    within(patience, sender.send_data(piece)).await?;
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    within(patience, sender.send_trailers(trailers)).await?;
                }
            }
        }
    }
    within(patience, sender.finish()).await
}

async fn within<E>(patience: Duration, sent: impl Future<Output = Result<(), E>>) -> Result<(), Broken> {
    match tokio::time::timeout(patience, sent).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Broken),
    }
}
