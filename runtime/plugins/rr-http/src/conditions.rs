//! Conditional requests for a file (RFC 9110, 13): whether it is sent, and whether a part of it may be. Pure.

use http::header::{AsHeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::request::Parts;
use http::{HeaderMap, Method};
use std::time::UNIX_EPOCH;

/// What is known of the file that a client may have already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validators<'a> {
    /// `ETag`.
    pub(crate) tag: &'a str,
    /// `Last-Modified`.
    pub(crate) date: Option<&'a str>,
}

/// What follows from the request's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The file, or the part that `Range` asks for.
    Send,
    /// All of the file, whatever `Range` asks for.
    SendAll,
    /// 304.
    Unchanged,
    /// 412.
    Failed,
}

/// Seconds since the epoch; `None`: no date.
fn seconds(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a list of tags has one that `same` accepts; `None`: there is no such header.
fn any(headers: &HeaderMap, name: impl AsHeaderName, same: impl Fn(&str) -> bool) -> Option<bool> {
    let mut lists = headers.get_all(name).iter().peekable();
    lists.peek()?;
    Some(
        lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || same(tag)),
    )
}

/// RFC 9110, 8.8.3.2.
fn strong(one: &str, other: &str) -> bool {
    one == other && !one.starts_with("W/")
}

fn weak(one: &str, other: &str) -> bool {
    let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    bare(one) == bare(other)
}

/// In the order of RFC 9110, 13.2.2. Methods other than GET and HEAD had their conditions judged by whoever did their
/// work.
pub(crate) fn judge(request: &Parts, validators: Validators<'_>) -> Verdict {
    let Validators { tag, date } = validators;
    let headers = &request.headers;
    if request.method != Method::GET && request.method != Method::HEAD {
        return Verdict::SendAll;
    }
    let modified = date.and_then(seconds);
    // What is no date is not there; nor is a condition on a date that the file does not have.
    let since = |name| Some((text(headers, name).and_then(seconds)?, modified?));
    let may = any(headers, IF_MATCH, |have| strong(have, tag))
        .or_else(|| since(IF_UNMODIFIED_SINCE).map(|(limit, modified)| modified <= limit));
    if may == Some(false) {
        return Verdict::Failed;
    }
    let unchanged = any(headers, IF_NONE_MATCH, |have| weak(have, tag))
        .or_else(|| since(IF_MODIFIED_SINCE).map(|(limit, modified)| modified <= limit));
    if unchanged == Some(true) {
        return Verdict::Unchanged;
    }
    let same = text(headers, IF_RANGE).is_none_or(|have| strong(have, tag) || date == Some(have));
    if same && request.method == Method::GET { Verdict::Send } else { Verdict::SendAll }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const TAG: &str = "\"one\"";
    const DATE: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
    const BEFORE: &str = "Sun, 31 Dec 2023 23:59:59 GMT";
    const AFTER: &str = "Mon, 01 Jan 2024 00:00:01 GMT";

    fn judged_as(method: &str, headers: &[(&str, &str)], validators: Validators<'_>) -> Verdict {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        judge(&request.body(()).expect("a request").into_parts().0, validators)
    }

    fn judged(headers: &[(&str, &str)]) -> Verdict {
        judged_as("GET", headers, Validators { tag: TAG, date: Some(DATE) })
    }

    #[test]
    fn conditions_are_those_of_the_rfc() {
        for (headers, verdict) in [
            (&[][..], Verdict::Send),
            (&[("if-match", "\"one\"")], Verdict::Send),
            (&[("if-match", "*")], Verdict::Send),
            (&[("if-match", "\"two\", \"one\"")], Verdict::Send),
            (&[("if-match", "\"two\""), ("if-match", "\"one\"")], Verdict::Send),
            (&[("if-match", "W/\"one\"")], Verdict::Failed),
            (&[("if-match", "\"two\"")], Verdict::Failed),
            (&[("if-match", "")], Verdict::Failed),
            (&[("if-unmodified-since", DATE)], Verdict::Send),
            (&[("if-unmodified-since", AFTER)], Verdict::Send),
            (&[("if-unmodified-since", BEFORE)], Verdict::Failed),
            (&[("if-unmodified-since", "yesterday")], Verdict::Send),
            (&[("if-match", "\"one\""), ("if-unmodified-since", BEFORE)], Verdict::Send),
            (&[("if-none-match", "\"one\"")], Verdict::Unchanged),
            (&[("if-none-match", "W/\"one\"")], Verdict::Unchanged),
            (&[("if-none-match", "*")], Verdict::Unchanged),
            (&[("if-none-match", "\"two\"")], Verdict::Send),
            (&[("if-modified-since", DATE)], Verdict::Unchanged),
            (&[("if-modified-since", BEFORE)], Verdict::Send),
            (&[("if-none-match", "\"two\""), ("if-modified-since", AFTER)], Verdict::Send),
            (&[("if-match", "\"two\""), ("if-none-match", "\"one\"")], Verdict::Failed),
            (&[("if-match", "\"one\""), ("if-none-match", "\"one\"")], Verdict::Unchanged),
            (&[("if-unmodified-since", BEFORE), ("if-modified-since", AFTER)], Verdict::Failed),
            (&[("if-range", "\"one\"")], Verdict::Send),
            (&[("if-range", DATE)], Verdict::Send),
            (&[("if-range", "W/\"one\"")], Verdict::SendAll),
            (&[("if-range", AFTER)], Verdict::SendAll),
        ] {
            assert_eq!(judged(headers), verdict, "{headers:?}");
        }
    }

    #[test]
    fn other_methods_and_weak_tags_have_no_parts() {
        let validators = Validators { tag: TAG, date: None };
        assert_eq!(judged_as("HEAD", &[("if-match", "\"two\"")], validators), Verdict::Failed);
        assert_eq!(judged_as("HEAD", &[], validators), Verdict::SendAll);
        assert_eq!(judged_as("POST", &[("if-none-match", "\"one\"")], validators), Verdict::SendAll);
        assert_eq!(judged_as("GET", &[("if-unmodified-since", BEFORE)], validators), Verdict::Send);
        let validators = Validators { tag: "W/\"one\"", date: None };
        assert_eq!(judged_as("GET", &[("if-match", "W/\"one\"")], validators), Verdict::Failed);
        assert_eq!(judged_as("GET", &[("if-none-match", "\"one\"")], validators), Verdict::Unchanged);
        assert_eq!(judged_as("GET", &[("if-range", "W/\"one\"")], validators), Verdict::SendAll);
    }
}
