//! CFG-11: durations, sizes and weak types, as tables.

use std::time::Duration;

use super::{fault, load};
use crate::units::{NoDuration, parse_duration, parse_size, show_duration, show_size};

#[test]
fn cfg_11_durations() {
    let table = [
        ("0", Ok(0)),
        ("60s", Ok(60_000_000_000)),
        ("1m30s", Ok(90_000_000_000)),
        ("1h", Ok(3_600_000_000_000)),
        ("500ms", Ok(500_000_000)),
        ("1.5s", Ok(1_500_000_000)),
        (".5s", Ok(500_000_000)),
        ("1.s", Ok(1_000_000_000)),
        ("+5s", Ok(5_000_000_000)),
        ("-0s", Ok(0)),
        ("1us", Ok(1_000)),
        ("1µs", Ok(1_000)),
        ("1μs", Ok(1_000)),
        ("7ns", Ok(7)),
        ("0.1000000000000000000000001s", Ok(100_000_000)),
        ("1h2m3s4ms5us6ns", Ok(3_723_004_005_006)),
        ("60", Err(NoDuration::NoUnit)),
        ("1m30", Err(NoDuration::NoUnit)),
        ("-5s", Err(NoDuration::Negative)),
        ("", Err(NoDuration::Malformed)),
        ("s", Err(NoDuration::Malformed)),
        (".s", Err(NoDuration::Malformed)),
        ("-", Err(NoDuration::Malformed)),
        ("1 s", Err(NoDuration::Malformed)),
        ("1d", Err(NoDuration::Malformed)),
        ("1S", Err(NoDuration::Malformed)),
        ("ж", Err(NoDuration::Malformed)),
        ("99999999999h", Err(NoDuration::TooLong)),
        ("99999999999999999999999999999999999999999999h", Err(NoDuration::TooLong)),
    ];
    for (text, want) in table {
        assert_eq!(parse_duration(text), want.map(Duration::from_nanos), "{text}");
    }
    for text in ["0", "60s", "500ms", "7us", "3ns"] {
        assert_eq!(show_duration(parse_duration(text).unwrap()), text);
    }
}

#[test]
fn cfg_11_sizes() {
    let table = [
        ("10MB", Some(10 << 20)),
        ("64KB", Some(64 << 10)),
        ("64 kib", Some(64 << 10)),
        ("1G", Some(1 << 30)),
        ("512B", Some(512)),
        ("3", Some(3 << 20)),
        ("", None),
        ("MB", None),
        ("-1", None),
        ("1.5MB", None),
        ("1TB", None),
        ("99999999999999999999", None),
        ("9999999999999G", None),
    ];
    for (text, want) in table {
        assert_eq!(parse_size(text, 1 << 20), want, "{text}");
    }
    assert_eq!(
        (show_size(1000 << 20), show_size(65536), show_size(5)),
        ("1000MB".into(), "64KB".into(), "5".into())
    );
}

#[test]
fn cfg_11_numbers() {
    let number = |yaml: &str| {
        load(&format!("http: {{address: ':1', pool: {{max_jobs: {yaml}}}}}")).http.unwrap().pool.max_jobs
    };
    let table = [
        ("8", 8),
        ("'8'", 8),
        ("' 8 '", 8),
        ("0x10", 16),
        ("'0x10'", 16),
        ("0o17", 15),
        ("017", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("1e3", 1000),
        ("8.0", 8),
        ("true", 1),
        ("''", 0),
        ("'${NONE:-7}'", 7),
        ("null", 0),
    ];
    for (yaml, want) in table {
        assert_eq!(number(yaml), want, "{yaml}");
    }
    for yaml in
        ["-1", "x", "[1]", "{a: 1}", "1.5", "'1.5'", "99999999999999999999", ".inf", ".nan", "'--1'", "'0x'"]
    {
        assert!(
            fault(&format!("endure: {{watchdog_sec: {yaml}}}")).contains("endure.watchdog_sec: expected a"),
            "{yaml}"
        );
    }
}

#[test]
fn cfg_11_flags() {
    let flag = |yaml: &str| load(&format!("endure: {{print_graph: {yaml}}}")).endure.print_graph;
    for yaml in ["true", "True", "TRUE", "1", "'1'", "t", "'true'", "2", "1.0"] {
        assert!(flag(yaml), "{yaml}");
    }
    for yaml in ["false", "False", "0", "'0'", "f", "''", "null", "0.0"] {
        assert!(!flag(yaml), "{yaml}");
    }
    for yaml in ["yes", "on", "no", "off", "y", "[]", "{}"] {
        assert!(
            fault(&format!("endure: {{print_graph: {yaml}}}")).contains("expected true or false"),
            "{yaml}"
        );
    }
}

#[test]
fn cfg_11_lists_and_texts() {
    let list = |yaml: &str| {
        load(&format!("http: {{address: ':1', uploads: {{forbid: {yaml}}}}}"))
            .http
            .unwrap()
            .uploads
            .forbid
            .join("|")
    };
    let table = [
        ("[gzip, headers]", "gzip|headers"),
        ("gzip", "gzip"),
        ("'gzip, headers'", "gzip|headers"),
        ("'gzip,,'", "gzip"),
        ("7", "7"),
        ("[1, true, 2.5]", "1|1|2.5"),
        ("''", ""),
        ("[]", ""),
        ("{}", ""),
    ];
    for (yaml, want) in table {
        assert_eq!(list(yaml), want, "{yaml}");
    }
    let user = |yaml: &str| load(&format!("server: {{user: {yaml}}}")).server.user;
    assert_eq!(user("1000").as_deref(), Some("1000"));
    assert_eq!(user("''"), None);
}

#[test]
fn cfg_11_request_sizes() {
    let size = |yaml: &str| {
        load(&format!("http: {{address: ':1', max_request_size: {yaml}}}")).http.unwrap().max_request_size
    };
    assert_eq!((size("1"), size("'2'"), size("0")), (1 << 20, 2 << 20, 1000 << 20));
    assert_eq!((size("64KB"), size("10MB")), (64 << 10, 10 << 20));
    let mode =
        |yaml: &str| load(&format!("http: {{address: ':1', socket_mode: {yaml}}}")).http.unwrap().socket_mode;
    for yaml in ["0600", "'0600'", "'600'", "0o600", "'0o600'"] {
        assert_eq!(mode(yaml), 0o600, "{yaml}");
    }
}
