//! Requests to the scripts in `tests/data/parity`.

use crate::Case;
use e2e::compare::request;
use std::fmt::Write;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// The path and what a script may learn from a request.
pub(crate) fn seen() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "/dump.php",
        "/dump.php?",
        "/dump.php?a=1&b[]=2&b[]=3&c[x][y]=4",
        "/dump.php?a=1;b=2",
        "/dump.php?a+b=c+d&e%20f=g%2Bh&100%=%zz",
        "/dump.php?=1&&x&y=&[z]=1&a.b=1&a[b=1&a]b=2",
        "/dump.php?q=%00nul&u=%C3%A4%FF",
        "/dump.php?a=1?b=2#c",
        "/dump.php/path/info?x=1",
        "/dump.php/",
        "/dump.php/with%20space/%C3%A4/a%2Fb",
        "/dump.php/a.php/b",
        "/dump.php/../dump.php",
        "//dump.php",
        "/sub//../dump.php",
        "/./dump.php",
        "/%64ump.php",
        "/sub/",
        "/sub/?a=1",
        "/sub/index.php",
        "/",
        "/?a=1",
        "/no/such/page?x=1",
        "/no%20such/p%C3%A4ge",
        "/index.php/info",
        "/missing.php",
        "/missing.php/info",
        "/order.php",
        "/allheaders.php",
        "/scope.php",
        "/includes.php",
        "/includes.php?again",
        "/scope.php?after",
        "/scope.php/last",
        "/sapi.php",
        "/ini.php",
        "/output.php?do=level",
        "/dump.phpx",
        "/DUMP.PHP",
    ]
    .into_iter()
    .map(Case::get)
    .collect();
    let mut add = |name: &str, bytes: Vec<u8>| cases.push(Case::new(name, bytes));
    for (name, cookie) in [
        ("cookies", "Cookie: a=1; b=2%20x; c=\"q\"; a=3\r\n"),
        ("cookies in two lines", "Cookie: a=1\r\nCookie: b=2; a=3\r\n"),
        (
            "odd names of cookies",
            "Cookie: a.b=1; c d=2; [e]=3; f[g]=4; f[h]=5; =6; j; k=; __Host-l=1; __Secure-m=2; %6e=1; o[=7\r\n",
        ),
        ("odd values of cookies", "Cookie: a=x=y; b=+1+; c=%; d=%00e;f=1;;g=2; ;h=3,i=4\r\n"),
        ("cookies like protected ones", "Cookie: __Host-a=1; ..Host-a=2; [_Host-a=3; __Host[a]=4\r\n"),
        (
            "headers",
            "X-Multi: a\r\nX-Multi: b\r\nx-lower: c\r\nX-Empty:\r\nX-Trim:   t  \r\nX-Digit-1: 1\r\n",
        ),
        ("names with an underscore", "X_Under: 1\r\nX-Under: 2\r\n"),
        ("proxy", "Proxy: http://evil/\r\n"),
        (
            "usual headers",
            "User-Agent: test/1\r\nAccept: text/html\r\nAccept-Language: de\r\nReferer: http://app.test/x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Requested-With: XMLHttpRequest\r\nOrigin: null\r\nDNT: 1\r\nRange: bytes=0-1\r\n",
        ),
        (
            "doubled headers of which one can be",
            "Accept: a\r\nAccept: b\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\n",
        ),
        ("doubled headers of which one cannot be", "If-Match: \"a\"\r\nIf-Match: \"b\"\r\n"),
        ("a header of Latin letters", "X-Latin: \u{e4}\u{f6}\r\n"),
        (
            "connection headers",
            "Connection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nTE: trailers\r\n",
        ),
        ("upgrade", "Upgrade: h2c\r\n"),
        ("content type without a body", "Content-Type: text/x; charset=y\r\n"),
    ] {
        add(name, request("GET", "/dump.php?g=1", cookie, b""));
    }
    for (name, method, headers, body) in [
        ("post", "POST", FORM, &b"a=1&b[]=2&b[]=3&c+d=e+f&g=%41&h=a;b"[..]),
        (
            "post of nothing",
            "POST",
            "Content-Length: 0\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            b"",
        ),
        ("post without a type", "POST", "", b"a=1&b=2"),
        ("post of JSON", "POST", "Content-Type: application/json\r\n", b"{\"a\": 1}"),
        (
            "post with a charset",
            "POST",
            "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
            b"a=%C3%A4",
        ),
        (
            "post with a type in capitals",
            "POST",
            "Content-Type: Application/X-WWW-Form-Urlencoded\r\n",
            b"a=1",
        ),
        (
            "post of odd names",
            "POST",
            FORM,
            b"a.b=1&a b=2&[c=3&d]=4&e[f=5&g[h]i=6&=7&%00=8&j%00k=9&l=%00&&m&n[=1&o[][p]=2&o[][p]=3",
        ),
        ("post and get", "POST", FORM, b"g=post&a=1"),
        ("put", "PUT", FORM, b"a=1"),
        ("patch", "PATCH", "Content-Type: application/json\r\n", b"[]"),
        ("delete", "DELETE", "", b""),
        ("delete with a body", "DELETE", FORM, b"a=1"),
        ("options", "OPTIONS", "", b""),
        ("own method", "PURGE", "", b""),
        ("method in small letters", "get", "", b""),
        ("get with a body", "GET", FORM, b"a=1"),
        ("chunked", "POST", "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n", b""),
    ] {
        let bytes = if name == "chunked" {
            let mut bytes = request(method, "/dump.php?g=1", headers, b"");
            bytes.extend_from_slice(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
            bytes
        } else {
            request(method, "/dump.php?g=1", headers, body)
        };
        add(name, bytes);
    }
    add("chunked form", {
        let mut bytes = request("POST", "/dump.php", &format!("{FORM}Transfer-Encoding: chunked\r\n"), b"");
        bytes.extend_from_slice(b"8\r\na=1&b=23\r\n0\r\n\r\n");
        bytes
    });
    add("head", request("HEAD", "/dump.php", "", b""));
    add("HTTP/1.0", b"GET /dump.php HTTP/1.0\r\nHost: app.test\r\n\r\n".to_vec());
    add("HTTP/1.0 without a host", b"GET /dump.php HTTP/1.0\r\n\r\n".to_vec());
    add("host with a port", b"GET /dump.php HTTP/1.1\r\nHost: app.test:8080\r\n\r\n".to_vec());
    add("host in capitals", b"GET /dump.php HTTP/1.1\r\nHost: APP.test\r\n\r\n".to_vec());
    add("absolute target", b"GET http://app.test/dump.php?a=1 HTTP/1.1\r\nHost: app.test\r\n\r\n".to_vec());
    for (name, value) in [
        ("basic", "Basic dTpw"),
        ("basic without a password", "Basic dQ=="),
        ("basic with colons", "Basic dTpwOnE6cg=="),
        ("basic in small letters", "basic dTpw"),
        ("basic of garbage", "Basic !!!"),
        ("basic of an empty user", "Basic OnB3"),
        ("bearer", "Bearer abc"),
        ("digest", "Digest username=\"u\", realm=\"r\""),
    ] {
        add(name, request("GET", "/auth.php", &format!("Authorization: {value}\r\n"), b""));
        add(
            &format!("{name}, all"),
            request("GET", "/dump.php", &format!("Authorization: {value}\r\n"), b""),
        );
    }
    add("no authorization", request("GET", "/auth.php", "", b""));
    cases
}

fn of(script: &str, doings: &[&str]) -> Vec<Case> {
    doings.iter().map(|what| Case::get(&format!("/{script}.php?do={what}"))).collect()
}

/// How scripts answer.
pub(crate) fn answers() -> Vec<Case> {
    let mut cases = of(
        "headers",
        &[
            "many",
            "line",
            "line404",
            "Status",
            "location",
            "location201",
            "location307",
            "www",
            "type",
            "typecharset",
            "notype",
            "removetype",
            "json",
            "mimetype",
            "charset",
            "length",
            "short",
            "newline",
            "nul",
            "folded",
            "colon",
            "badname",
            "callback",
            "list",
            "sent",
            "204",
            "304",
            "304body",
            "204body",
            "cache",
            "encoding",
            "connection",
            "link",
            "cookies",
        ],
    );
    for code in [
        100, 103, 199, 200, 201, 226, 299, 300, 301, 303, 400, 401, 404, 410, 418, 422, 451, 499, 500, 503,
        599, 600, 999, 0,
    ] {
        cases.push(Case::get(&format!("/headers.php?do=status&code={code}")));
    }
    cases
        .push(Case::new("location of a post", request("POST", "/headers.php?do=locationpost", FORM, b"a=1")));
    cases.extend(ends());
    for (name, headers) in [
        ("not conditional", ""),
        ("conditional", "If-None-Match: \"v1\"\r\n"),
        ("conditional, another", "If-None-Match: \"v2\"\r\n"),
        ("since", "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n"),
        ("range of a script", "Range: bytes=0-2\r\n"),
        ("gzip", "Accept-Encoding: gzip\r\n"),
    ] {
        cases.push(Case::new(name, request("GET", "/conditional.php", headers, b"")));
        cases.push(Case::new(format!("head, {name}"), request("HEAD", "/conditional.php", headers, b"")));
    }
    for what in ["gz", "zlib"] {
        let target = format!("/output.php?do={what}");
        cases.push(Case::new(
            format!("{what}, taken"),
            request("GET", &target, "Accept-Encoding: gzip\r\n", b""),
        ));
    }
    for what in ["large", "shutdown", "exception", "flush"] {
        cases.push(Case::new(
            format!("head, {what}"),
            request("HEAD", &format!("/output.php?do={what}"), "", b""),
        ));
    }
    cases
}

/// How scripts end.
pub(crate) fn ends() -> Vec<Case> {
    of(
        "output",
        &[
            "nested",
            "callback",
            "chunks",
            "shutdown",
            "shutdownbuffer",
            "exit",
            "exittext",
            "exitcode",
            "exit255",
            "die",
            "exitshutdown",
            "exception",
            "exceptionheaders",
            "exception404",
            "handler",
            "handlerplain",
            "handlerexit",
            "handlershutdown",
            "handlerthrows",
            "handlerstatus",
            "shutdownexception",
            "undefined",
            "error",
            "warning",
            "parse",
            "require",
            "oom",
            "errorhandler",
            "lasterror",
            "large",
            "flush",
            "finish",
            "generator",
            "stdout",
            "level",
            "rewrite",
            "empty",
            "highlight",
            "phpinfo",
            "gz",
            "zlib",
            "tick",
            "assert",
            "printr",
        ],
    )
}

fn files_of(count: usize, size: usize) -> Vec<u8> {
    let mut body = String::new();
    for n in 0..count {
        let _ = write!(
            body,
            "--edge\r\nContent-Disposition: form-data; name=\"f{n}\"; filename=\"{n}.txt\"\r\n\r\n{}\r\n",
            "x".repeat(size)
        );
    }
    body.push_str("--edge--\r\n");
    body.into_bytes()
}

/// What is too much.
pub(crate) fn limits() -> Vec<Case> {
    let multipart = "Content-Type: multipart/form-data; boundary=edge\r\n";
    let form =
        |count: usize| (0..count).map(|n| format!("v{n}={n}")).collect::<Vec<_>>().join("&").into_bytes();
    let fields = |count: usize| {
        let parts = (0..count)
            .map(|n| format!("--edge\r\nContent-Disposition: form-data; name=\"v{n}\"\r\n\r\n{n}\r\n"));
        (parts.collect::<String>() + "--edge--\r\n").into_bytes()
    };
    let deep = |depth: usize| format!("a{}=1&b=2", "[x]".repeat(depth)).into_bytes();
    let post = |name: &str, headers: &str, body: Vec<u8>| {
        Case::new(name, request("POST", "/upload.php", headers, &body))
    };
    vec![
        post("form over post_max_size", FORM, [b"a=".to_vec(), vec![b'x'; 30_000]].concat()),
        post("other body over post_max_size", "Content-Type: text/plain\r\n", vec![b'x'; 30_000]),
        post("multipart over post_max_size", multipart, files_of(1, 30_000)),
        post("form at post_max_size", FORM, [b"a=".to_vec(), vec![b'x'; 19_998]].concat()),
        post("a file over upload_max_filesize", multipart, files_of(1, 5001)),
        post("a file at upload_max_filesize", multipart, files_of(1, 5000)),
        post("files over max_file_uploads", multipart, files_of(5, 10)),
        post("empty files over max_file_uploads", multipart, files_of(5, 0)),
        post("files without names over max_file_uploads", multipart, {
            let text = String::from_utf8(files_of(6, 0)).unwrap_or_default();
            let mut text = text;
            for n in 0..4 {
                text = text.replace(&format!("filename=\"{n}.txt\""), "filename=\"\"");
            }
            text.into_bytes()
        }),
        post("form at max_input_vars", FORM, form(20)),
        post("form over max_input_vars", FORM, form(22)),
        post("multipart over max_input_vars", multipart, fields(22)),
        Case::get(&format!("/dump.php?{}", String::from_utf8_lossy(&form(22)))),
        Case::new(
            "cookies over max_input_vars",
            request(
                "GET",
                "/dump.php",
                &format!("Cookie: {}\r\n", String::from_utf8_lossy(&form(22)).replace('&', "; ")),
                b"",
            ),
        ),
        post("names 60 deep", FORM, deep(60)),
        post("names 64 deep", FORM, deep(64)),
        post("names 65 deep", FORM, deep(65)),
        post("names 80 deep", FORM, deep(80)),
        Case::get(&format!("/dump.php?{}", String::from_utf8_lossy(&deep(80)))),
        Case::new(
            "cookies 80 deep",
            request(
                "GET",
                "/dump.php",
                &format!("Cookie: {}\r\n", String::from_utf8_lossy(&deep(80)).replace('&', "; ")),
                b"",
            ),
        ),
        post("a long name", FORM, [vec![b'n'; 3000], b"=1".to_vec()].concat()),
    ]
}

/// Files beside the scripts.
pub(crate) fn files() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "/style.css",
        "/page.html",
        "/code.js",
        "/data.json",
        "/note.txt",
        "/blob.bin",
        "/empty.txt",
        "/.well-known/token",
        "/.hidden",
        "/style.css?v=1",
        "/sub",
        "/sub?a=1",
        "/style.css/",
        "/style.css/more",
        "/%73tyle.css",
        "/sub/../note.txt",
        "/broken.inc",
        "/..%2fnote.txt",
        "/../note.txt",
        "/%2e%2e/%2e%2e/note.txt",
        "/note.txt%00",
        "/%",
        "/note%zz.txt",
    ]
    .into_iter()
    .map(Case::get)
    .collect();
    for range in [
        "bytes=0-9",
        "bytes=10-",
        "bytes=-10",
        "bytes=0-0",
        "bytes=2299-2400",
        "bytes=2300-",
        "bytes=-0",
        "bytes=-5000",
        "bytes=9-5",
        "bytes=0-1,5-6",
        "bytes=5-6, 0-1,-1",
        "bytes=0-1,5000-",
        "bytes=5000-,6000-",
        "bytes=0-,0-",
        "bytes=0-500,1200-1700,1100-1101,-90",
        "bytes=a-b",
        "lines=1-2",
        "bytes = 0-1",
        "bytes=",
    ] {
        cases.push(Case::new(range, request("GET", "/style.css", &format!("Range: {range}\r\n"), b"")));
    }
    for (name, method, headers) in [
        ("head", "HEAD", ""),
        ("head of a range", "HEAD", "Range: bytes=0-9\r\n"),
        ("post to a file", "POST", "Content-Length: 0\r\n"),
        ("delete of a file", "DELETE", ""),
        ("options of a file", "OPTIONS", ""),
        ("not since long", "GET", "If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n"),
        ("since a date of garbage", "GET", "If-Modified-Since: yesterday\r\n"),
        ("another tag", "GET", "If-None-Match: \"other\"\r\n"),
        ("any tag", "GET", "If-None-Match: *\r\n"),
        ("range of another tag", "GET", "Range: bytes=0-9\r\nIf-Range: \"other\"\r\n"),
        ("unmodified since long", "GET", "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n"),
        ("match of another tag", "GET", "If-Match: \"other\"\r\n"),
        ("match of any tag", "GET", "If-Match: *\r\n"),
        ("head, match of another tag", "HEAD", "If-Match: \"other\"\r\n"),
        ("match of another tag and of none", "GET", "If-Match: \"other\"\r\nIf-None-Match: *\r\n"),
        ("unmodified until long", "GET", "If-Unmodified-Since: Mon, 01 Jan 2035 00:00:00 GMT\r\n"),
        ("unmodified since garbage", "GET", "If-Unmodified-Since: yesterday\r\n"),
        (
            "unmodified and modified since long",
            "GET",
            "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\nIf-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT\r\n",
        ),
        ("a range of a match", "GET", "Range: bytes=0-9\r\nIf-Match: *\r\n"),
    ] {
        cases.push(Case::new(name, request(method, "/style.css", headers, b"")));
    }
    cases
}
