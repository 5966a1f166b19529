//! `http`: the listener, its limits, and its pool.

use std::time::Duration;

use super::error_pages::{ErrorPage, Pages};
use super::https::{self, FastCgi, Http2, Http3, Ssl};
use super::middleware::{self, Chain, Headers, Middleware, StaticFiles, Subnets, Tokens, Trusted};
use super::pool::Pool;
use crate::decode::{Decoder, Kind, section};
use crate::kinds::{Choice, Directives, Flag, Maybe, Names, Nested, Number, Size, Status, Text, Time};
use crate::node::{Map, Node, Value};
use crate::schema::Schema;

section! {
    /// The HTTP server.
    Http {
        /// Where to listen: `host:port`, `tcp://host:port` or `unix://file`; several as a list or with
        /// commas.
        address: Vec<String> = Vec::new() => Names;
        /// Status of answers to requests that a worker failed; unset, each cause has its own.
        internal_error_code: Option<u16> = None => Status;
        /// Largest request body; a larger one is refused with 413.
        max_request_size: u64 = 1000 << 20 => REQUEST;
        /// Hands multipart forms to the worker as they are, unparsed.
        raw_body: bool = false => Flag;
        /// Ours: how requests are written for command workers: `json`, which every client reads, `protobuf`, which
        /// clients of RoadRunner 2024 and later read too and which costs PHP more, or `auto`: JSON until a worker answers
        /// in protobuf.
        codec: Codec = Codec::Auto => CODECS;
        /// Logs every request with the fields of an access log.
        access_logs: bool = false => Flag;
        /// What requests pass on their way to the workers, and responses on their way back; the last name is the
        /// outermost.
        middleware: Vec<Middleware> = Vec::new() => Chain;
        /// Networks of proxies whose word about the client's address counts; ours: `unix` for peers on unix sockets.
        trusted_subnets: Vec<Trusted> = Vec::new() => Subnets;
        /// Ours: headers that are asked for the client's address, the first one that is there decides; `X-Forwarded-For`,
        /// `Forwarded`, `X-Real-Ip`, `True-Client-Ip`, `Cf-Connecting-Ip` unless given.
        trusted_headers: Vec<String> = Vec::new() => Tokens;
        /// Files of a folder, for the middleware `static`.
        static_files("static"): Option<StaticFiles> = None => Maybe;
        /// Headers and CORS, for the middleware `headers`.
        headers: Option<Headers> = None => Maybe;
        /// The HTTPS server.
        ssl: Option<Ssl> = None => Maybe;
        /// HTTP/2.
        http2: Http2 = Http2::default() => Nested;
        /// The HTTP/3 server.
        http3: Option<Http3> = None => Maybe;
        /// The FastCGI server, for web servers in front.
        fcgi: Option<FastCgi> = None => Maybe;
        /// The workers.
        pool: Pool = Pool::default() => Nested;
        /// Files that clients upload.
        uploads: Uploads = Uploads::default() => Nested;
        /// Ours: what waits for clients that take a streamed answer more slowly than it is made.
        buffering: Buffering = Buffering::default() => Nested;
        /// Ours: the PHP files that answer requests, where `Server::http()` or `httpLoop()` name no function.
        app: App = App::default() => Nested;
        /// Ours: files that are sent in place of the server's short texts for failures, by status: `404`, `5xx`,
        /// `4xx` or `default`.
        error_pages: Vec<ErrorPage> = Vec::new() => Pages;
        /// Ours: how long a client may take to send a request's head.
        header_timeout: Duration = Duration::from_secs(30) => Time::POSITIVE;
        /// Ours: how long a connection may stay without a request.
        idle_timeout: Duration = Duration::from_secs(75) => Time::POSITIVE;
        /// Ours: longest silence of a client inside a body.
        read_timeout: Duration = Duration::from_secs(60) => Time::POSITIVE;
        /// Ours: longest time a client may accept nothing of an answer.
        write_timeout: Duration = Duration::from_secs(60) => Time::POSITIVE;
        /// Ours: largest head of a request, from 8KB to 16MB.
        max_header_size: usize = 64 << 10 => HEADER;
        /// Ours: most header fields of a request.
        max_headers: usize = 100 => Number::within(1, 10_000).or_default();
        /// Ours: most connections at a time; 0 is no limit.
        max_connections: usize = 0 => Number::ANY;
        /// Ours: lets another server listen on the same address, as RoadRunner does.
        reuse_port: bool = false => Flag;
        /// Ours: connections that may wait to be accepted.
        backlog: u32 = 1024 => Number::within(1, i32::MAX as u64).or_default();
        /// Ours: permissions of a unix socket, in octal.
        socket_mode: u32 = 0o660 => Permissions;
    }
    unserved "cors", "cache", "new_relic", "gzip", "sendfile", "otel";
    finish check;
}

/// How contexts of command workers are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// JSON until a worker answers in protobuf.
    Auto,
    /// JSON (HTTP-03).
    Json,
    /// Messages of `http.v1` (HTTP-01).
    Protobuf,
}

const CODECS: Choice<Codec> = Choice(
    &[("auto", Codec::Auto), ("json", Codec::Json), ("protobuf", Codec::Protobuf)],
    &[("proto", Codec::Protobuf)],
);

section! {
    /// Files that clients upload.
    Uploads {
        /// Where they are stored while a request runs; the system's folder for temporary files unless given.
        dir: Option<String> = None => Text;
        /// Extensions that are refused, with or without a dot.
        forbid: Vec<String> = Vec::new() => Names;
        /// The only extensions that are taken; empty: all that are not forbidden.
        allow: Vec<String> = Vec::new() => Names;
        /// Ours: most files of a form; one with more is refused with 413.
        max_files: usize = 100 => Number::within(1, 1_000_000).or_default();
        /// Ours: most fields of a form that are no files; one with more is refused with 413.
        max_fields: usize = 10_000 => Number::within(1, 10_000_000).or_default();
        /// Ours: longest field of a form that is no file, up to 32MB; a longer one is refused with 413.
        max_field_size: usize = 8 << 20 => FIELD;
    }
}

section! {
    /// Streamed answers on their way to slow clients. Within these bounds no worker waits for a client.
    Buffering {
        /// Bytes of an answer that wait in memory.
        memory: u64 = 256 << 10 => ANY_SIZE;
        /// The same of all answers together.
        total_memory: u64 = 64 << 20 => ANY_SIZE;
        /// Bytes of an answer that wait on disk; 0: a worker waits for its client instead.
        disk: u64 = 1 << 30 => ANY_SIZE;
        /// The same of all answers together.
        total_disk: u64 = 8 << 30 => ANY_SIZE;
        /// Where, in files without a name; the system's folder for temporary files unless given.
        dir: Option<String> = None => Text;
    }
}

/// How the app's PHP files run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In a living worker, with superglobals.
    Globals,
    /// PHP's own request startup and shutdown around each request.
    Classic,
    /// A fresh fork of the booted app for each request.
    Snapshot,
}

const MODES: Choice<Mode> =
    Choice(&[("globals", Mode::Globals), ("classic", Mode::Classic), ("snapshot", Mode::Snapshot)], &[]);

section! {
    /// The PHP files that answer requests.
    App {
        /// `globals`: a living worker with superglobals; `classic`: as php-fpm; `snapshot`: a fresh fork of the
        /// booted app for each request.
        mode: Mode = Mode::Globals => MODES;
        /// The document root. Files in it that are no PHP are sent as they are.
        root: Option<String> = None => Text;
        /// The front controller, which answers what is no file; empty: such requests are 404.
        index: String = "index.php".into() => Text;
        /// PHP files other than the front controller answer too, as with php-fpm.
        scripts: bool = true => Flag;
        /// Sends files of the document root that are no PHP.
        serve_static("static"): bool = true => Flag;
        /// Follows symbolic links that lead out of the document root.
        symlinks: bool = false => Flag;
        /// Adds the functions of FrankenPHP's worker API (`frankenphp_handle_request()` and others) for apps that
        /// were written for it.
        frankenphp: bool = false => Flag;
        /// PHP settings of the workers, as `php_value` of a php-fpm pool.
        ini: Vec<(String, String)> = Vec::new() => Directives;
        /// PHP settings that scripts cannot change, as `php_admin_value`.
        admin_ini: Vec<(String, String)> = Vec::new() => Directives;
    }
}

const REQUEST: Size = Size { unit: 1 << 20, min: 1, max: u64::MAX, zero_default: true };
const ANY_SIZE: Size = Size { unit: 1, min: 0, max: 1 << 50, zero_default: false };
const FIELD: Size = Size { unit: 1, min: 1, max: 32 << 20, zero_default: true };
const HEADER: Size = Size { unit: 1, min: 8 << 10, max: 16 << 20, zero_default: true };

fn check(section: &mut Http, node: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    let key = format!("{path}.address");
    let written = map.get("address").filter(|node| !node.is_null());
    let at = written.map_or(&node.at, |node| &node.at);
    for address in &section.address {
        if !address.contains(':') {
            let message =
                format!("malformed http server address {address:?}; write host:port or unix://file");
            decoder.wrong::<()>(at, &key, message);
        }
    }
    let empty = |name: &str| map.get(name).and_then(Node::as_map).is_some_and(Map::is_empty);
    if empty("static") {
        section.static_files = None;
    }
    https::servers(section, node, map, path, decoder);
    let others = section.ssl.is_some() || section.http3.is_some() || section.fcgi.is_some();
    if section.address.is_empty() && !others && !decoder.is_wrong(&key) {
        let message = "is missing, so there is nothing to listen on; write e.g. \"127.0.0.1:8080\"";
        decoder.incomplete(at, &key, message);
    }
    middleware::pairs(section, map, path, node, decoder);
}

/// File permissions: `"0660"` or `0660`, both of which are octal.
struct Permissions;

impl Kind<u32> for Permissions {
    fn name(&self) -> String {
        "octal number".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<u32> {
        let mode = match &node.value {
            // YAML has read a leading 0 or 0o as octal already.
            Value::Int(mode) => u32::try_from(*mode).ok(),
            Value::Str(text) => u32::from_str_radix(text.trim().trim_start_matches("0o"), 8).ok(),
            _ => None,
        };
        let fits = mode.filter(|mode| *mode <= 0o777);
        fits.or_else(|| decoder.expected(node, path, "permissions in octal such as \"0660\""))
    }
    fn schema(&self) -> Schema {
        let text = serde_json::json!({"type": "string", "pattern": "^\\s*(0o)?[0-7]{1,4}\\s*$"});
        Schema::any_of([serde_json::json!({"type": "integer", "minimum": 0, "maximum": 0o777}), text])
    }
    fn show(&self, value: &u32) -> String {
        format!("\"{value:04o}\"")
    }
}
