//! Two answers to the same request, compared after what has to differ was taken out of both.

use crate::{Client, Response};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The bytes of a request. `Content-Length` is added when there is a body.
#[must_use]
pub fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: app.test\r\n{headers}{length}\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The answer to these bytes, on a connection of its own.
#[track_caller]
#[must_use]
pub fn ask(address: &str, bytes: &[u8]) -> Response {
    let mut client = Client::connect(address);
    let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    // A server may answer and close before it has read all.
    let sent = client.try_send(bytes);
    client.read_of(&String::from_utf8_lossy(method)).unwrap_or_else(|error| {
        panic!("no answer from {address}: {error}, sent: {sent:?}\n{}", String::from_utf8_lossy(bytes))
    })
}

/// Headers of the connection, of the server and of the moment.
const OF_THE_SERVER: [&str; 7] =
    ["server", "date", "connection", "keep-alive", "transfer-encoding", "x-powered-by", "content-length"];

/// What two answers may have different: a text that begins with `after` and goes on until `before`.
#[derive(Debug, Clone, Copy)]
pub struct Mask {
    /// What stands in front of it.
    pub after: &'static str,
    /// What ends it.
    pub before: &'static str,
    /// Bytes that it may have; what is longer is compared.
    pub most: usize,
}

/// A [`Mask`] of a word, such as a token or a time.
#[must_use]
pub const fn mask(after: &'static str, before: &'static str) -> Mask {
    Mask { after, before, most: 200 }
}

/// A [`Mask`] of a report.
#[must_use]
pub const fn report(after: &'static str, before: &'static str) -> Mask {
    Mask { after, before, most: 5000 }
}

/// `text` with what the masks stand for taken out.
#[must_use]
pub fn masked(text: &str, masks: &[Mask]) -> String {
    let mut text = text.to_owned();
    for Mask { after, before, most } in masks {
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(after) {
            let (head, tail) = rest.split_at(at + after.len());
            out.push_str(head);
            match tail.find(before).filter(|end| end <= most) {
                Some(end) => {
                    out.push('~');
                    rest = &tail[end..];
                }
                None => rest = tail,
            }
        }
        out.push_str(rest);
        text = out;
    }
    text
}

/// How answers are made comparable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    /// Texts in head and body that are of the moment.
    pub masks: &'a [Mask],
    /// Values of cookies are not compared; names and attributes are.
    pub cookies: bool,
    /// Headers that are not compared, lower case.
    pub headers: &'a [&'a str],
    /// The body is not compared.
    pub body: bool,
}

fn head_lines(response: &Response, rules: &Rules<'_>) -> Vec<String> {
    let mut lines: Vec<String> = response
        .head
        .lines()
        .skip(1)
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let name = name.to_ascii_lowercase();
            let skip = OF_THE_SERVER.contains(&&*name) || rules.headers.contains(&&*name);
            (!skip).then(|| {
                let mut value = value.trim().to_owned();
                if rules.cookies && name == "set-cookie" {
                    let (pair, attributes) = value.split_once(';').unwrap_or((&value, ""));
                    let key = pair.split('=').next().unwrap_or_default();
                    let attributes = attributes.split(';').filter(|part| {
                        !["expires", "max-age"]
                            .iter()
                            .any(|name| part.trim().to_lowercase().starts_with(name))
                    });
                    value = format!("{key}=~;{}", attributes.collect::<Vec<_>>().join(";"));
                }
                format!("{name}: {}", masked(&value, rules.masks))
            })
        })
        .collect();
    // Stable: the order of equal names says something, that of different ones does not.
    lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
    lines
}

/// What is different; empty when nothing is.
#[must_use]
pub fn differences(ours: &Response, theirs: &Response, rules: &Rules<'_>) -> String {
    let mut text = String::new();
    // A page of nginx's own, for which this server has one of its own.
    let own = theirs.status >= 300 && theirs.text().contains("<hr><center>nginx/");
    let own_rules = Rules {
        headers: &["content-type", "location", "last-modified", "accept-ranges", "etag", "allow"],
        body: true,
        ..*rules
    };
    let rules = if own { &own_rules } else { rules };
    if own && ours.header("location") != theirs.header("location") {
        let _ = writeln!(
            text,
            "location: {:?} here, {:?} there",
            ours.header("location"),
            theirs.header("location")
        );
    }
    if ours.status != theirs.status {
        let _ = writeln!(text, "status: {} here, {} there", ours.status, theirs.status);
    }
    let (here, there) = (head_lines(ours, rules), head_lines(theirs, rules));
    for line in here.iter().filter(|line| !there.contains(line)) {
        let _ = writeln!(text, "header here only: {line}");
    }
    for line in there.iter().filter(|line| !here.contains(line)) {
        let _ = writeln!(text, "header there only: {line}");
    }
    if text.is_empty() && here != there {
        let _ = writeln!(text, "headers in another order:\n{here:#?}\n{there:#?}");
    }
    let lengths = (ours.header("content-length"), theirs.header("content-length"));
    if let ((Some(one), Some(other)), false, true) = (lengths, rules.body, rules.masks.is_empty())
        && one != other
    {
        let _ = writeln!(text, "content-length: {one} here, {other} there");
    }
    if !rules.body {
        let (here, there) = (masked(&ours.text(), rules.masks), masked(&theirs.text(), rules.masks));
        if here != there || (rules.masks.is_empty() && ours.body != theirs.body) {
            text.push_str(&lines_apart(&here, &there));
        }
    }
    text
}

/// The first lines that are not the same.
fn lines_apart(here: &str, there: &str) -> String {
    let mut text = String::new();
    let (mut left, mut right): (Vec<&str>, Vec<&str>) = (here.lines().collect(), there.lines().collect());
    while left.first().is_some_and(|line| right.first() == Some(line)) {
        left.remove(0);
        right.remove(0);
    }
    while left.last().is_some_and(|line| right.last() == Some(line)) {
        left.pop();
        right.pop();
    }
    // Of long lines, what begins shortly before the first difference.
    let first = left.first().zip(right.first()).map_or(0, |(left, right)| {
        left.chars().zip(right.chars()).take_while(|(left, right)| left == right).count()
    });
    let cut = |line: &str| line.chars().skip(first.saturating_sub(80)).take(300).collect::<String>();
    for line in left.iter().take(5) {
        let _ = writeln!(text, "body here:  {}", cut(line));
    }
    for line in right.iter().take(5) {
        let _ = writeln!(text, "body there: {}", cut(line));
    }
    if text.is_empty() {
        let _ = writeln!(text, "body: {} bytes here, {} there", here.len(), there.len());
    }
    text
}

/// A client that keeps cookies and follows no redirects.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    address: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A client without cookies.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), cookies: BTreeMap::new() }
    }

    /// Sends a request with the cookies so far and keeps those of the answer.
    #[track_caller]
    pub fn send(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Response {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie =
            if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) };
        let answer = ask(&self.address, &request(method, target, &format!("{headers}{cookie}"), body));
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            let pair = value.split(';').next().unwrap_or_default().trim();
            if let Some((name, value)) = pair.split_once('=') {
                match value {
                    "" | "deleted" => self.cookies.remove(name),
                    _ => self.cookies.insert(name.to_owned(), value.to_owned()),
                };
            }
        }
        answer
    }

    /// GET.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.send("GET", target, "", b"")
    }

    /// POST of a form.
    #[track_caller]
    pub fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        let body: Vec<_> =
            fields.iter().map(|(name, value)| format!("{}={}", url(name), url(value))).collect();
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", target, kind, body.join("&").as_bytes())
    }
}

/// A text as a part of a URL.
#[must_use]
pub fn url(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What stands between two texts.
#[must_use]
pub fn between<'a>(text: &'a str, after: &str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(after)?;
    rest.split_once(before).map(|(found, _)| found)
}
