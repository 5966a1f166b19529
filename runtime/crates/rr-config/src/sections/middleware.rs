//! `http.middleware` and the sections of its members. Owns the names, and what is refused before a server starts:
//! patterns, networks and headers that cannot be.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

use super::http::Http;
use crate::decode::{Decoder, Kind, section};
use crate::kinds::{Flag, Maybe, Names, Number, Text, weak_list, weak_text};
use crate::node::{Map, Node, Value};
use crate::schema::Schema;
use crate::suggest;

/// A member of `http.middleware`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Middleware {
    /// HS-06: files of a folder.
    Static,
    /// HS-08: headers of requests and responses, and CORS.
    Headers,
    /// HS-09: compressed responses.
    Gzip,
    /// HS-10: the client's address as trusted proxies say it.
    ProxyIpParser,
    /// HS-07: `X-Sendfile` of the workers of a command.
    Sendfile,
    /// HS-11: requests by status and duration.
    HttpMetrics,
    /// A span for each request.
    Otel,
}

/// Their names.
const MIDDLEWARE: &[(&str, Middleware)] = &[
    ("static", Middleware::Static),
    ("headers", Middleware::Headers),
    ("gzip", Middleware::Gzip),
    ("proxy_ip_parser", Middleware::ProxyIpParser),
    ("sendfile", Middleware::Sendfile),
    ("http_metrics", Middleware::HttpMetrics),
    ("otel", Middleware::Otel),
];

/// Names that builds of RoadRunner know and this server does not.
const ELSEWHERE: &[&str] = &["cache", "new_relic"];

impl Middleware {
    /// Its name in the list.
    pub fn name(self) -> &'static str {
        MIDDLEWARE.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }
}

/// The list. What is no middleware is told and left out (HS-02).
pub(crate) struct Chain;

impl Kind<Vec<Middleware>> for Chain {
    fn name(&self) -> String {
        let names: Vec<_> = MIDDLEWARE.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("list of {}", names.join(", "))
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<Middleware>> {
        let mut chain = Vec::new();
        for name in weak_list(node, path, decoder)? {
            let name = name.trim();
            let known = MIDDLEWARE.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            match known {
                Some((_, middleware)) if chain.contains(middleware) => {
                    decoder.warn(&node.at, path, format!("{name:?} is there twice; the first one counts"));
                }
                Some((_, middleware)) => chain.push(*middleware),
                None if name.is_empty() => {}
                None => decoder.warn(&node.at, path, unknown(name)),
            }
        }
        Some(chain)
    }
    fn schema(&self) -> Schema {
        Schema::texts()
    }
    fn show(&self, _: &Vec<Middleware>) -> String {
        String::new()
    }
}

fn unknown(name: &str) -> String {
    if ELSEWHERE.contains(&name) {
        return format!("the middleware {name:?} is not part of this server; requests pass without it");
    }
    let names = MIDDLEWARE.iter().map(|(name, _)| name);
    match suggest::nearest(name, names) {
        Some(near) => format!("there is no middleware {name:?}; did you mean {near:?}?"),
        None => format!("there is no middleware {name:?}; requests pass without it"),
    }
}

section! {
    /// Files of a folder that answer before the app (HS-06).
    StaticFiles {
        /// The folder, from where the server was started unless absolute; it must exist.
        dir: String = String::new() => Text;
        /// Extensions that are left to the app.
        forbid: Vec<String> = Vec::new() => Extensions;
        /// The only extensions that are sent; empty: all that are not forbidden.
        allow: Vec<String> = Vec::new() => Extensions;
        /// Makes the `ETag` of a file from its content.
        calculate_etag: bool = false => Flag;
        /// Makes the `ETag` from the file's name alone; a new content has the old tag then.
        weak: bool = false => Flag;
        /// Headers that are added to requests for files.
        request: Vec<(String, String)> = Vec::new() => Fields;
        /// Headers of files.
        response: Vec<(String, String)> = Vec::new() => Fields;
        /// Ours: follows symbolic links that lead out of the folder.
        symlinks: bool = false => Flag;
    }
    finish needs_dir;
}

fn needs_dir(section: &mut StaticFiles, node: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    let key = format!("{path}.dir");
    if map.is_empty() {
        decoder.warn(&node.at, path, "is empty, so no files are sent");
        return;
    }
    if section.dir.is_empty() && !decoder.is_wrong(&key) {
        let at = map.get("dir").map_or(&node.at, |node| &node.at);
        decoder.incomplete(at, &key, "is missing; give the folder whose files are sent");
    }
    if section.weak && !section.calculate_etag {
        let at = map.get("weak").map_or(&node.at, |node| &node.at);
        decoder.warn(at, &format!("{path}.weak"), "has no effect without calculate_etag");
    }
}

section! {
    /// Headers of requests and responses (HS-08).
    Headers {
        /// Rules for requests from pages of other origins.
        cors: Option<Cors> = None => Maybe;
        /// Headers that are added to requests.
        request: Vec<(String, String)> = Vec::new() => Fields;
        /// Headers of responses; a header that the app sends itself stays as it is.
        response: Vec<(String, String)> = Vec::new() => Fields;
    }
}

section! {
    /// Cross-origin resource sharing, with the rules of RoadRunner.
    Cors {
        /// Origins that are allowed, each with at most one `*`; all unless given.
        allowed_origin: Vec<String> = Vec::new() => Names;
        /// A regular expression for them, in place of `allowed_origin`. Without `^` and `$` it may match a part.
        allowed_origin_regex: Option<String> = None => Pattern;
        /// Request headers that are allowed, `*` for all; `Accept`, `Content-Type`, `Origin` and `X-Requested-With`
        /// unless given.
        allowed_headers: Vec<String> = Vec::new() => Tokens;
        /// Methods that are allowed; GET, POST and HEAD unless given.
        allowed_methods: Vec<String> = Vec::new() => Tokens;
        /// Allows cookies and the like.
        allow_credentials: bool = false => Flag;
        /// Response headers that scripts of other origins may read.
        exposed_headers: Vec<String> = Vec::new() => Tokens;
        /// Seconds that a browser may remember the answer to a preflight request; 0 leaves it to the browser.
        max_age: u64 = 0 => Seconds;
        /// Status of the answer to a preflight request.
        options_success_status: u16 = 200 => Number::within(200, 299).or_default();
        /// Logs what was refused, and why.
        debug: bool = false => Flag;
    }
    finish is_useful;
}

fn is_useful(section: &mut Cors, node: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    let place = |key: &str| map.get(key).map_or(&node.at, |node| &node.at);
    if let Some(pattern) = &section.allowed_origin_regex {
        if !pattern.starts_with('^') || !pattern.ends_with('$') {
            let key = format!("{path}.allowed_origin_regex");
            let message = "matches a part of an origin too; write ^…$ for the whole of it";
            decoder.warn(place("allowed_origin_regex"), &key, message);
        }
        if !section.allowed_origin.is_empty() {
            let message = "has no effect beside allowed_origin_regex";
            decoder.warn(place("allowed_origin"), &format!("{path}.allowed_origin"), message);
        }
    }
    let all = section.allowed_origin.is_empty() || section.allowed_origin.iter().any(|origin| origin == "*");
    if section.allow_credentials && all && section.allowed_origin_regex.is_none() {
        let message = "browsers refuse it beside all origins; name them in allowed_origin";
        decoder.warn(place("allow_credentials"), &format!("{path}.allow_credentials"), message);
    }
}

/// Whose word about a client's address counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// Peers with an address of this network.
    Network(IpNet),
    /// Peers on unix sockets.
    Unix,
}

/// Networks of proxies.
pub(crate) struct Subnets;

impl Kind<Vec<Trusted>> for Subnets {
    fn name(&self) -> String {
        "list of networks".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<Trusted>> {
        let mut networks = Vec::new();
        for text in weak_list(node, path, decoder)? {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let network = match text.parse::<IpNet>() {
                Ok(network) => Trusted::Network(canonical(network.trunc())),
                Err(_) if text.eq_ignore_ascii_case("unix") => Trusted::Unix,
                Err(_) => match text.parse::<IpAddr>() {
                    Ok(address) => Trusted::Network(address.to_canonical().into()),
                    Err(_) => {
                        let message = format!(
                            "{text:?} is no network; write e.g. 10.0.0.0/8, fc00::/7, an address or unix"
                        );
                        return decoder.wrong(&node.at, path, message);
                    }
                },
            };
            networks.push(network);
        }
        Some(networks)
    }
    fn show(&self, _: &Vec<Trusted>) -> String {
        String::new()
    }
}

/// A network of IPv4 that is written as one of IPv6: peers are looked up by their own kind of address.
fn canonical(network: IpNet) -> IpNet {
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), prefix @ 96..) if network.addr().is_ipv6() => {
            Ipv4Net::new(address, prefix - 96).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// Extensions in lower case, each with its dot.
struct Extensions;

impl Kind<Vec<String>> for Extensions {
    fn name(&self) -> String {
        "list of extensions".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<String>> {
        let names: Vec<String> = Names.read(node, path, decoder)?;
        Some(names.iter().map(|name| format!(".{}", name.trim_start_matches('.').to_lowercase())).collect())
    }
    fn show(&self, _: &Vec<String>) -> String {
        String::new()
    }
}

/// Headers that say where a message ends or what becomes of its connection; another value than the server's own would
/// split messages.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Headers with values. Nothing that would make two of one.
struct Fields;

impl Kind<Vec<(String, String)>> for Fields {
    fn name(&self) -> String {
        "map of headers".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, String)>> {
        let Value::Map(map) = &node.value else {
            return decoder.expected(node, path, "headers with values, such as {x-frame-options: deny}");
        };
        let mut fields = Vec::new();
        for (name, node) in map.iter() {
            let key = format!("{path}.{name}");
            let Some(value) = weak_text(node) else { return decoder.expected(node, &key, "a text") };
            if !is_token(name) {
                return decoder.wrong(&node.at, &key, "is no name of a header");
            }
            if FRAMING.contains(&name) {
                return decoder.wrong(&node.at, &key, "belongs to the server and cannot be given");
            }
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return decoder.wrong(&node.at, &key, "has control characters such as a line break");
            }
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Some(fields)
    }
    fn show(&self, _: &Vec<(String, String)>) -> String {
        String::new()
    }
}

/// Names of headers or methods.
pub(crate) struct Tokens;

impl Kind<Vec<String>> for Tokens {
    fn name(&self) -> String {
        "list of texts".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<String>> {
        let names: Vec<String> = Names.read(node, path, decoder)?;
        match names.iter().find(|name| !is_token(name)) {
            Some(name) => decoder.wrong(&node.at, path, format!("{name:?} is no header or method")),
            None => Some(names),
        }
    }
    fn show(&self, _: &Vec<String>) -> String {
        String::new()
    }
}

/// A regular expression.
struct Pattern;

impl Kind<Option<String>> for Pattern {
    fn name(&self) -> String {
        "regular expression".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Option<String>> {
        let pattern: Option<String> = Text.read(node, path, decoder)?;
        if let Some(text) = &pattern
            && let Err(error) = regex_lite::Regex::new(text)
        {
            return decoder.wrong(&node.at, path, format!("{text:?} is no regular expression: {error}"));
        }
        Some(pattern)
    }
    fn show(&self, _: &Option<String>) -> String {
        String::new()
    }
}

/// Seconds; what is below 0 counts as 0, as in RoadRunner.
struct Seconds;

impl Kind<u64> for Seconds {
    fn name(&self) -> String {
        "number".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<u64> {
        match &node.value {
            Value::Int(seconds) if *seconds < 0 => Some(0),
            _ => Number::ANY.read(node, path, decoder),
        }
    }
    fn show(&self, value: &u64) -> String {
        value.to_string()
    }
}

/// HS-02: a section without its name in the list does nothing, nor does a name without its section.
pub(crate) fn pairs(http: &Http, map: &Map, path: &str, node: &Node, decoder: &mut Decoder) {
    let sections = [
        ("static", Middleware::Static),
        ("headers", Middleware::Headers),
        ("trusted_subnets", Middleware::ProxyIpParser),
    ];
    for (section, middleware) in sections {
        let given = map.get(section).filter(|node| !node.is_null());
        let name = middleware.name();
        match (given, http.middleware.contains(&middleware)) {
            (Some(node), false) => {
                let message =
                    format!("has no effect, as in RoadRunner, until http.middleware names {name:?}");
                decoder.warn(&node.at, &format!("{path}.{section}"), message);
            }
            (None, true) => {
                let at = map.get("middleware").map_or(&node.at, |node| &node.at);
                let message = format!("{name:?} has no effect without {path}.{section}");
                decoder.warn(at, &format!("{path}.middleware"), message);
            }
            _ => {}
        }
    }
}
