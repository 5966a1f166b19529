//! `http.middleware` and its sections: what is understood, what is warned of, what is refused.

use super::{fault, load, warnings};
use crate::{Middleware, Trusted};

fn http(rest: &str) -> String {
    format!("http:\n  address: ':1'\n  {rest}")
}

/// HS-02.
#[test]
fn hs_02_the_list_has_names_that_are_known() {
    let list = |yaml: &str| load(&http(&format!("middleware: {yaml}"))).http.unwrap().middleware;
    use Middleware::{Gzip, Headers, ProxyIpParser, Sendfile, Static};
    assert_eq!(list("gzip"), [Gzip]);
    assert_eq!(list("'gzip, Sendfile'"), [Gzip, Sendfile]);
    let all = "[static, headers, gzip, proxy_ip_parser, sendfile]";
    assert_eq!(list(all), [Static, Headers, Gzip, ProxyIpParser, Sendfile]);
    assert_eq!(list("[gzip, gzip, gizp, 7]"), [Gzip]);
    assert_eq!(
        warnings(&http("middleware: [gzip, gzip, gizp, cache, other]")),
        [
            ".rr.yaml:4: http.middleware: \"gzip\" is there twice; the first one counts",
            ".rr.yaml:4: http.middleware: there is no middleware \"gizp\"; did you mean \"gzip\"?",
            ".rr.yaml:4: http.middleware: the middleware \"cache\" is not part of this server; requests pass without it",
            ".rr.yaml:4: http.middleware: there is no middleware \"other\"; requests pass without it",
        ]
    );
}

/// HS-02, BRN-02.
#[test]
fn hs_02_a_section_and_its_name_need_each_other() {
    let burner = http("static:\n    dir: /x\n    forbid: ['.htaccess', php]\n    weak: false");
    assert_eq!(
        warnings(&burner),
        [".rr.yaml:5: http.static: has no effect, as in RoadRunner, until http.middleware names \"static\""]
    );
    let files = load(&burner).http.unwrap().static_files.unwrap();
    assert_eq!((files.dir.as_str(), files.forbid.join(" ").as_str()), ("/x", ".htaccess .php"));
    assert_eq!(
        warnings(&http("middleware: [headers, gzip]\n  trusted_subnets: [10.0.0.0/8]")),
        [
            ".rr.yaml:4: http.middleware: \"headers\" has no effect without http.headers",
            ".rr.yaml:5: http.trusted_subnets: has no effect, as in RoadRunner, until http.middleware names \"proxy_ip_parser\"",
        ]
    );
    let served = "middleware: [static, headers]\n  static: {dir: /x}\n  headers: {request: {a: b}}";
    assert!(warnings(&http(served)).is_empty());
}

/// HS-10.
#[test]
fn hs_10_networks_are_networks() {
    let trusted =
        load(&http("trusted_subnets: ['10.1.2.3/8', '::1', unix, fc00::/7, '::ffff:10.0.0.0/104']"))
            .http
            .unwrap();
    let shown: Vec<String> = trusted
        .trusted_subnets
        .iter()
        .map(|trusted| match trusted {
            Trusted::Network(network) => network.to_string(),
            Trusted::Unix => "unix".to_owned(),
        })
        .collect();
    assert_eq!(shown, ["10.0.0.0/8", "::1/128", "unix", "fc00::/7", "10.0.0.0/8"]);
    for wrong in ["10.0.0.0/33", "10.0.0/8", "localhost", "::/129"] {
        let text = format!(
            ".rr.yaml:4: http.trusted_subnets: \"{wrong}\" is no network; write e.g. 10.0.0.0/8, fc00::/7, an address or unix"
        );
        assert_eq!(fault(&http(&format!("trusted_subnets: ['::1', '{wrong}']"))), text);
    }
}

/// HS-06, HS-08.
#[test]
fn hs_08_headers_that_would_split_a_message_are_refused() {
    for (rest, want) in [
        (
            "headers: {response: {x-a: \"b\\r\\nset-cookie: c\"}}",
            "http.headers.response.x-a: has control characters such as a line break",
        ),
        ("headers: {request: {'x a': b}}", "http.headers.request.x a: is no name of a header"),
        ("headers: {request: {\"x\\n\": b}}", "http.headers.request.x\n: is no name of a header"),
        (
            "headers: {response: {Content-Length: 5}}",
            "http.headers.response.content-length: belongs to the server and cannot be given",
        ),
        (
            "static: {dir: /, response: {transfer-encoding: chunked}}",
            "http.static.response.transfer-encoding: belongs to the server and cannot be given",
        ),
        ("headers: {response: {x-a: [b]}}", "http.headers.response.x-a: expected a text, got a list"),
        (
            "headers: {response: [a]}",
            "http.headers.response: expected headers with values, such as {x-frame-options: deny}, got a list",
        ),
        ("static: {forbid: [php]}", "http.static.dir: is missing; give the folder whose files are sent"),
        (
            "headers: {cors: {allowed_headers: \"a, b\\r\\nc: d\"}}",
            "http.headers.cors.allowed_headers: \"b\\r\\nc: d\" is no header or method",
        ),
        (
            "headers: {cors: {options_success_status: 404}}",
            "http.headers.cors.options_success_status: expected a number from 200 to 299, got 404",
        ),
    ] {
        assert_eq!(fault(&http(rest)), format!(".rr.yaml:4: {want}"), "{rest}");
    }
}

/// HS-08.
#[test]
fn hs_08_rules_for_other_origins() {
    let yaml = "middleware: headers
  headers:
    cors:
      allowed_origin: 'https://a, https://b'
      allowed_methods: GET,PUT
      allow_credentials: true
      max_age: -5
      options_success_status: 0";
    let cors = load(&http(yaml)).http.unwrap().headers.unwrap().cors.unwrap();
    assert_eq!(cors.allowed_origin, ["https://a", "https://b"]);
    assert_eq!(cors.allowed_methods, ["GET", "PUT"]);
    assert_eq!((cors.max_age, cors.options_success_status), (0, 200));
    assert!(warnings(&http(yaml)).is_empty());
    let pattern = |text: &str| {
        http(&format!("middleware: headers\n  headers:\n    cors:\n      allowed_origin_regex: '{text}'"))
    };
    let wrong = fault(&pattern("https://(a"));
    assert!(
        wrong.starts_with(
            ".rr.yaml:7: http.headers.cors.allowed_origin_regex: \"https://(a\" is no regular expression: "
        ),
        "{wrong}"
    );
    assert!(warnings(&pattern("^https://a$")).is_empty());
    assert_eq!(
        warnings(&pattern("https://a")),
        [
            ".rr.yaml:7: http.headers.cors.allowed_origin_regex: matches a part of an origin too; write ^…$ for the whole of it"
        ]
    );
    let all = http("middleware: headers\n  headers: {cors: {allow_credentials: true}}");
    assert_eq!(
        warnings(&all),
        [
            ".rr.yaml:5: http.headers.cors.allow_credentials: browsers refuse it beside all origins; name them in allowed_origin"
        ]
    );
}
