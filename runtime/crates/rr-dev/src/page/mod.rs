//! The page that says what went wrong, in the form that the client reads. All it shows is untrusted and escaped.

mod html;
mod plain;

use crate::Dev;
use crate::excerpt::{self, Excerpt};
use rr_wire::report::{Error, Frame, Report};
use std::path::Path;

/// Calls that are shown with their code.
const EXCERPTS: usize = 30;
/// Bytes of a request body that are shown.
const MAX_BODY: usize = 16 * 1024;

/// Names with values.
pub(crate) type Pairs = Vec<(String, String)>;

/// What is shown of the request.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was read before the app got it.
    pub body: Vec<u8>,
    /// More of it was to come.
    pub more: bool,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn query(&self) -> Pairs {
        self.target.split_once('?').map_or_else(Vec::new, |(_, query)| form(query))
    }

    fn cookies(&self) -> Pairs {
        let all = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let single = all.flat_map(|(_, value)| value.split(';'));
        single
            .filter_map(|one| one.split_once('='))
            .map(|(name, value)| (decode(name.trim()), decode(value)))
            .collect()
    }

    fn post(&self) -> Pairs {
        let kind = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        match kind.starts_with("application/x-www-form-urlencoded") {
            true => form(&self.raw()),
            false => Vec::new(),
        }
    }

    /// The body as text, cut.
    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(MAX_BODY)]).into_owned()
    }

    fn is_cut(&self) -> bool {
        self.more || self.body.len() > MAX_BODY
    }

    /// Which form the client reads.
    #[must_use]
    pub fn format(&self) -> Format {
        let accept = self.header("accept").unwrap_or_default().to_ascii_lowercase();
        let at = |name: &str| accept.find(name).unwrap_or(usize::MAX);
        let (html, json) = (at("text/html"), at("application/json").min(at("+json")));
        let script =
            self.header("x-requested-with").is_some_and(|value| value.eq_ignore_ascii_case("xmlhttprequest"));
        match (html < json, json < usize::MAX) {
            (true, _) => Format::Html,
            (false, true) => Format::Json,
            (false, false) if script => Format::Json,
            (false, false) => Format::Text,
        }
    }
}

/// The form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For browsers.
    Html,
    /// For programs.
    Json,
    /// For terminals.
    Text,
}

impl Format {
    /// The content type.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// A page, ready to be sent.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its form.
    pub format: Format,
    /// The body.
    pub body: String,
}

/// All there is to show.
pub(crate) struct View<'a> {
    pub(crate) status: u16,
    pub(crate) report: Report,
    pub(crate) seen: &'a Seen,
    dev: &'a Dev,
}

impl View<'_> {
    pub(crate) fn php(&self) -> &str {
        &self.dev.php
    }

    fn excerpt(&self, file: &str, line: u32, around: u32) -> Option<Excerpt> {
        excerpt::read(&self.dev.roots, file, line, around)
    }

    /// A path as the developer knows it: below the root where it is below one.
    pub(crate) fn short<'f>(&self, file: &'f str) -> &'f str {
        let below = self.dev.roots.iter().find_map(|root| Path::new(file).strip_prefix(root).ok()?.to_str());
        below.filter(|below| !below.is_empty()).unwrap_or(file)
    }

    /// The app's own code, not that of its packages.
    pub(crate) fn is_own(&self, file: &str) -> bool {
        self.dev.roots.iter().any(|root| {
            Path::new(file)
                .strip_prefix(root)
                .is_ok_and(|below| !below.components().any(|part| part.as_os_str() == "vendor"))
        })
    }

    pub(crate) fn main(&self) -> &Error {
        static NONE: Error = Error {
            class: String::new(),
            message: String::new(),
            code: String::new(),
            file: String::new(),
            line: 0,
            frames: Vec::new(),
        };
        self.report.errors.first().unwrap_or(&NONE)
    }
}

impl Page {
    pub(crate) fn make(dev: &Dev, status: u16, error: &str, seen: &Seen) -> Self {
        let report = Report::parse(error).unwrap_or_else(|| crate::plain::report(error));
        let view = View { status, report, seen, dev };
        let format = seen.format();
        let body = match format {
            Format::Html => html::render(&view),
            Format::Json => plain::json(&view),
            Format::Text => plain::text(&view),
        };
        Self { format, body }
    }
}

/// `a=1&b[]=2`, decoded.
fn form(text: &str) -> Pairs {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(500);
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.filter(|_| bytes[at] == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `file:line`, or where PHP itself calls.
pub(crate) fn place(view: &View<'_>, frame: &Frame) -> String {
    match frame.file.as_str() {
        "" => "[inside of PHP]".to_owned(),
        file => format!("{}:{}", view.short(file), frame.line),
    }
}

#[cfg(test)]
mod tests;
