//! A connection of a web server that speaks FastCGI (HS-13): requests one after another, each as if it had come over
//! HTTP.

use crate::body::Body;
use crate::inbound::{Fed, Inbound};
use crate::io::ClientIo;
use crate::service::{self, Client};
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use rr_net::Stream;
use rr_wire::fastcgi::{self, Begin, End, Kind, Pairs, Record};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

type Io = ClientIo<Stream>;

/// Serves requests until the web server has had enough. `common`: what all of them have in common.
pub(crate) async fn serve(io: Io, common: Client) {
    if let Err(error) = run(io, &common).await {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                tracing::warn!(target: "http", "http.fcgi: a connection was cut off: {error}");
            }
            _ => tracing::debug!(target: "http", "a connection ended early: {error}"),
        }
    }
}

async fn run(io: Io, common: &Client) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(io);
    let mut records = Records { reader, buffer: BytesMut::with_capacity(16 * 1024) };
    loop {
        let Some((id, keep)) = begin(&mut records, &mut writer, common).await? else { return Ok(()) };
        let limit = common.shared.config.max_header_size.saturating_mul(2);
        let variables = params(&mut records, id, limit).await?;
        let Asked { request, client, feeder, length } = match request(&variables, common) {
            Ok(made) => made,
            Err(text) => {
                let answer = format!(
                    "Status: 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nBad Request: {text}\n"
                );
                let mut stdin = Stdin { id, feeder: None, left: None, ended: false };
                write(&mut writer, id, answer.as_bytes()).await?;
                end(&mut writer, id, End::Complete).await?;
                stdin.read(&mut records).await?;
                if keep {
                    continue;
                }
                return Ok(());
            }
        };
        let head = *request.method() == Method::HEAD;
        let mut stdin = Stdin { id, feeder: Some(feeder), left: length, ended: false };
        let answered = {
            let answering = answer(&mut writer, id, client, request, head);
            let mut answering = std::pin::pin!(answering);
            tokio::select! {
                answered = &mut answering => answered.map(|()| true),
                // The body first, then nothing until the answer is out: or the web server is gone, or wants no more.
                gone = stdin.watch(&mut records) => gone.map(|()| false),
            }
        }?;
        if answered {
            stdin.feeder = None;
            stdin.read(&mut records).await?;
        } else {
            // What has been said of an answer is no whole one: nothing may come behind it on this connection.
            end(&mut writer, id, End::Complete).await?;
            return Ok(());
        }
        if !keep || common.shared.is_draining() {
            return writer.shutdown().await;
        }
    }
}

/// Records as they come.
struct Records {
    reader: ReadHalf<Io>,
    buffer: BytesMut,
}

/// What a record says, without the borrow.
struct Said {
    kind: Kind,
    request: u16,
    content: Bytes,
}

impl Records {
    /// The next record; `None`: the web server has closed the connection between two of them. May be dropped and called
    /// again.
    async fn next(&mut self) -> io::Result<Option<Said>> {
        loop {
            let parsed = Record::parse(&self.buffer).map_err(wrong)?;
            if let Some(Record { kind, request, content, length }) = parsed {
                let content = content.len();
                let mut whole = self.buffer.split_to(length);
                whole.advance(fastcgi::HEADER);
                whole.truncate(content);
                return Ok(Some(Said { kind, request, content: whole.freeze() }));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Waits for a request, and answers what is asked meanwhile.
async fn begin(
    records: &mut Records,
    writer: &mut WriteHalf<Io>,
    common: &Client,
) -> io::Result<Option<(u16, bool)>> {
    loop {
        let Some(said) = records.next().await? else { return Ok(None) };
        let mut answer = Vec::new();
        match said.kind {
            Kind::Begin => {
                let begin = Begin::parse(&said.content).map_err(wrong)?;
                if begin.role == 1 {
                    return Ok(Some((said.request, begin.keep)));
                }
                fastcgi::put_end(&mut answer, said.request, End::UnknownRole);
                if !begin.keep {
                    writer.write_all(&answer).await?;
                    writer.shutdown().await?;
                    return Ok(None);
                }
            }
            Kind::GetValues => {
                let most = match common.shared.config.max_connections {
                    0 => 65_535,
                    most => most,
                };
                fastcgi::put_values(&mut answer, &said.content, most).map_err(wrong)?;
            }
            Kind::Other(kind) if said.request == 0 => fastcgi::put_unknown(&mut answer, kind),
            // Of a request that is over.
            _ => {}
        }
        writer.write_all(&answer).await?;
        writer.flush().await?;
    }
}

/// The variables of a request.
async fn params(records: &mut Records, id: u16, limit: usize) -> io::Result<BytesMut> {
    let mut whole = BytesMut::new();
    loop {
        let Some(said) = records.next().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        match said.kind {
            Kind::Params if said.request == id && said.content.is_empty() => return Ok(whole),
            Kind::Params if said.request == id => {
                if whole.len() + said.content.len() > limit {
                    return Err(wrong("more variables than twice http.max_header_size"));
                }
                whole.extend_from_slice(&said.content);
            }
            Kind::Begin => return Err(wrong("a request inside another one")),
            Kind::Abort => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
    }
}

/// The body of a request.
struct Stdin {
    id: u16,
    /// Where it goes; `None`: nowhere.
    feeder: Option<mpsc::Sender<Bytes>>,
    /// What CONTENT_LENGTH has said and has not come yet. What comes beyond it is no part of the body (RFC 3875, 4.2).
    left: Option<u64>,
    ended: bool,
}

impl Stdin {
    /// Reads the body to its end. May be dropped where nobody wants what it has read.
    async fn read(&mut self, records: &mut Records) -> io::Result<()> {
        while !self.ended {
            let Some(mut said) = records.next().await? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match said.kind {
                Kind::Stdin if said.request == self.id => {
                    self.ended = said.content.is_empty();
                    if let Some(left) = &mut self.left
                        && !self.ended
                    {
                        said.content.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                        *left -= said.content.len() as u64;
                        if said.content.is_empty() {
                            continue;
                        }
                    }
                    if let Some(feeder) = &self.feeder
                        && feeder.send(said.content).await.is_err()
                    {
                        self.feeder = None;
                    }
                }
                Kind::Abort if said.request == self.id => return Err(io::ErrorKind::ConnectionAborted.into()),
                Kind::Begin => return Err(wrong("a request inside another one")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The same, and then waits until the web server gives the request up.
    async fn watch(&mut self, records: &mut Records) -> io::Result<()> {
        self.read(records).await?;
        loop {
            let Some(said) = records.next().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            match said.kind {
                Kind::Abort if said.request == self.id => return Ok(()),
                Kind::Begin => return Err(wrong("a request before the answer to another one")),
                _ => {}
            }
        }
    }
}

/// A request, whose body is fed by what comes next.
struct Asked {
    request: Request<Inbound>,
    client: Arc<Client>,
    feeder: mpsc::Sender<Bytes>,
    length: Option<u64>,
}

/// What web servers say of a request, as the request (`net/http/cgi` of Go reads it so).
fn request(variables: &[u8], common: &Client) -> Result<Asked, String> {
    let mut headers = HeaderMap::new();
    let mut said = Variables::default();
    for pair in Pairs(variables) {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        said.take(name, value, &mut headers)?;
    }
    if headers.len() > common.shared.config.max_headers {
        return Err("more header fields than http.max_headers".to_owned());
    }
    if !headers.contains_key(HOST) && !said.server_name.is_empty() {
        let host = match said.server_port {
            0 | 80 | 443 => said.server_name.clone(),
            port => format!("{}:{port}", said.server_name),
        };
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| "SERVER_NAME is malformed")?);
    }
    let length = match said.length.as_str() {
        "" => None,
        length => Some(length.parse::<u64>().map_err(|_| "CONTENT_LENGTH is no number")?),
    };
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let length = length.or(Some(0)).filter(|_| !said.chunked);
    let (feeder, body) = Fed::new(length);
    let mut request = Request::new(Inbound::Fed(body));
    *request.method_mut() =
        Method::from_bytes(said.method.as_bytes()).map_err(|_| "REQUEST_METHOD is missing or malformed")?;
    *request.uri_mut() = said.target()?;
    *request.version_mut() = match said.protocol.as_str() {
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/2.0" | "HTTP/2" => Version::HTTP_2,
        "HTTP/3.0" | "HTTP/3" => Version::HTTP_3,
        _ => Version::HTTP_11,
    };
    *request.headers_mut() = headers;
    let address = said.remote.parse::<IpAddr>().ok();
    let chain = common.shared.chain.as_ref();
    let client = Client {
        https: said.https,
        trusted: chain.is_some_and(|chain| chain.trusts(address)),
        remote: address.map_or_else(String::new, |address| address.to_string()),
        remote_port: said.remote_port,
        server: said.server_address.parse::<IpAddr>().ok().map(|address| (address, said.server_port).into()),
        server_text: said.server_address,
        ..common.clone()
    };
    Ok(Asked { request, client: Arc::new(client), feeder, length })
}

/// The variables that are no headers.
#[derive(Debug, Default)]
struct Variables {
    method: String,
    uri: String,
    script: String,
    path_info: String,
    query: String,
    protocol: String,
    remote: String,
    remote_port: u16,
    server_name: String,
    server_address: String,
    server_port: u16,
    length: String,
    https: bool,
    chunked: bool,
}

impl Variables {
    fn take(&mut self, name: &[u8], value: &[u8], headers: &mut HeaderMap) -> Result<(), String> {
        let text = || String::from_utf8_lossy(value).into_owned();
        let port = || std::str::from_utf8(value).ok().and_then(|port| port.parse().ok()).unwrap_or(0);
        match name {
            b"REQUEST_METHOD" => self.method = text(),
            b"REQUEST_URI" => self.uri = text(),
            b"SCRIPT_NAME" => self.script = text(),
            b"PATH_INFO" => self.path_info = text(),
            b"QUERY_STRING" => self.query = text(),
            b"SERVER_PROTOCOL" => self.protocol = text(),
            b"REMOTE_ADDR" => self.remote = text(),
            b"REMOTE_PORT" => self.remote_port = port(),
            b"SERVER_NAME" => self.server_name = text(),
            b"SERVER_ADDR" => self.server_address = text(),
            b"SERVER_PORT" => self.server_port = port(),
            b"CONTENT_LENGTH" => self.length = text(),
            b"HTTPS" => self.https = matches!(&*value.to_ascii_lowercase(), b"on" | b"1"),
            b"CONTENT_TYPE" if value.is_empty() => {}
            b"CONTENT_TYPE" => {
                headers.insert(CONTENT_TYPE, header(name, value)?);
            }
            // These are said without the prefix; the body's coding is the web server's.
            b"HTTP_CONTENT_LENGTH" | b"HTTP_CONTENT_TYPE" => {}
            b"HTTP_TRANSFER_ENCODING" => self.chunked = true,
            _ => {
                if let Some(rest) = name.strip_prefix(b"HTTP_") {
                    let name: Vec<u8> =
                        rest.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
                    let name = HeaderName::from_bytes(&name)
                        .map_err(|_| format!("{} is malformed", String::from_utf8_lossy(rest)))?;
                    // A variable that comes twice has the later value.
                    headers.insert(name, header(rest, value)?);
                }
            }
        }
        Ok(())
    }

    fn target(&self) -> Result<Uri, String> {
        let target = if !self.uri.is_empty() {
            self.uri.clone()
        } else {
            let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
            format!("{}{}{query}", self.script, self.path_info)
        };
        let target = if target.is_empty() { "/" } else { &target };
        target.parse().map_err(|_| "REQUEST_URI is malformed".to_owned())
    }
}

fn header(name: &[u8], value: &[u8]) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(value).map_err(|_| format!("{} has control bytes", String::from_utf8_lossy(name)))
}

/// Has a request answered.
async fn answer(
    writer: &mut WriteHalf<Io>,
    id: u16,
    client: Arc<Client>,
    request: Request<Inbound>,
    head: bool,
) -> io::Result<()> {
    let Ok(response) = service::handle(client, request).await;
    let (parts, mut body): (_, Body) = response.into_parts();
    write(writer, id, &head_of(&Response::from_parts(parts, ()), body.size_hint().exact())).await?;
    while !head && let Some(frame) = body.frame().await {
        // An answer that breaks off ends without its end, by which the web server sees it.
        let frame = frame.map_err(|error| io::Error::other(error.to_string()))?;
        if let Ok(bytes) = frame.into_data() {
            write(writer, id, &bytes).await?;
        }
    }
    end(writer, id, End::Complete).await
}

/// The head of an answer (RFC 3875, 6.3).
fn head_of(response: &Response<()>, length: Option<u64>) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or("Status");
    let mut head = format!("Status: {} {reason}\r\n", status.as_str()).into_bytes();
    let headers = response.headers();
    for (name, value) in headers.iter().filter(|(name, _)| !matches!(name.as_str(), "connection" | "trailer"))
    {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 304);
    if let Some(length) = length.filter(|_| !bodiless && !headers.contains_key(CONTENT_LENGTH)) {
        head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

async fn write(writer: &mut WriteHalf<Io>, id: u16, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(fastcgi::MAX_CONTENT) {
        let header = fastcgi::stdout(id, u16::try_from(piece.len()).unwrap_or(u16::MAX));
        let mut both = Buf::chain(&header[..], piece);
        writer.write_all_buf(&mut both).await?;
    }
    writer.flush().await
}

async fn end(writer: &mut WriteHalf<Io>, id: u16, end: End) -> io::Result<()> {
    let mut bytes = fastcgi::stdout(id, 0).to_vec();
    fastcgi::put_end(&mut bytes, id, end);
    writer.write_all(&bytes).await?;
    writer.flush().await
}
