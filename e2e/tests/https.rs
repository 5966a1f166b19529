//! The servers beside that of `http.address` (rows HS-01, HS-02, HS-12, HS-13): TLS, HTTP/2, redirects, client certificates,
//! certificates that change.

use e2e::{Options, Response, Server, certificates, curl, eventually, free_port, php, try_curl, workspace};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// A server with a handler, TLS on a free port, and these certificates.
fn options(body: &str, dir: &Path) -> Options {
    let file = |name: &str| format!("'{}'", dir.join(name).display());
    Options::handler(body)
        .set("http.ssl.address", "'127.0.0.1:0'")
        .set("http.ssl.cert", &file("server.crt"))
        .set("http.ssl.key", &file("server.key"))
}

/// The address of the server that shows itself so.
fn place<'a>(server: &'a Server, scheme: &str) -> &'a str {
    let found = server.addrs().iter().find(|address| address.starts_with(scheme));
    found.unwrap_or_else(|| panic!("no {scheme}: {:?}", server.addrs()))
}

fn https(server: &Server, dir: &Path, arguments: &[&str], target: &str) -> Result<Response, String> {
    let (ca, url) = (dir.join("ca.crt"), format!("{}{target}", place(server, "https://")));
    let trust = ["--cacert", ca.to_str().expect("a path"), &url];
    try_curl(&[&trust[..], arguments].concat())
}

#[test]
fn hs_01_servers_run_together_and_share_one_pool() {
    let dir = certificates();
    let worker = workspace().join("examples/roadrunner/worker.php");
    let yaml = format!(
        "version: '3'\nserver:\n  command: ['{}', '{}']\nhttp:\n  address: ${{HTTP_ADDRESS}}\n  pool: {{num_workers: 1}}\n  \
         ssl: {{address: '127.0.0.1:0', key: {2}/server.key, cert: {2}/server.crt}}\n  \
         http2: {{h2c: true}}\n  http3: {{address: '127.0.0.1:0'}}\n  fcgi: {{address: 'tcp://127.0.0.1:0'}}\n",
        php().display(),
        worker.display(),
        dir.path().display()
    );
    let source = "<?php RoadRunner\\Server::fromFile('.rr.yaml')->run();";
    let server = Options::source(source).file(".rr.yaml", &yaml).start();
    let shown: Vec<_> =
        server.addrs().iter().map(|one| one.split("://").next().unwrap_or_default()).collect();
    assert_eq!((shown.len(), &shown[1..]), (4, &["https", "fcgi", "https"][..]), "{:?}", server.addrs());
    let parsed = |response: Response| -> Value { serde_json::from_slice(&response.body).expect("JSON") };
    let plain = parsed(server.get("/a"));
    let over_tls = parsed(https(&server, dir.path(), &["--http1.1"], "/b?c=d").expect("an answer"));
    let two =
        parsed(https(&server, dir.path(), &["--http2", "-b", "a=1", "-b", "b=2"], "/c").expect("an answer"));
    let h2c = parsed(curl(&["--http2-prior-knowledge", &format!("http://{}/d", server.addr())]));
    let said = |answer: &Value| {
        let request = &answer["request"];
        format!("{} {}", request["protocol"].as_str().unwrap_or("?"), request["uri"].as_str().unwrap_or("?"))
    };
    // HTTP-05.
    let secure = place(&server, "https://");
    assert_eq!(said(&plain), "HTTP/1.1 http://test/a");
    assert_eq!(said(&over_tls), format!("HTTP/1.1 {secure}/b?c=d"));
    assert_eq!(said(&two), format!("HTTP/2.0 {secure}/c"));
    assert_eq!(said(&h2c), format!("HTTP/2.0 http://{}/d", server.addr()));
    for other in [&over_tls, &two, &h2c] {
        assert_eq!(other["pid"], plain["pid"], "one pool");
    }
    // One header of cookies, as everything behind expects.
    assert_eq!(two["request"]["cookies"], serde_json::json!({"a": "1", "b": "2"}));
    server.stop();
}

#[test]
fn a_server_needs_no_plain_http() {
    let dir = certificates();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let source = format!(
        "<?php RoadRunner\\Server::create(['http' => ['address' => '', 'pool' => ['num_workers' => 1],
            'ssl' => ['address' => '127.0.0.1:0', 'key' => '{}', 'cert' => '{}']]])
            ->http(null, fn ($request) => $request->uri() . ' ' . $request->protocol())->run();",
        file("server.key"),
        file("server.crt")
    );
    let server = Options::source(&source).start();
    assert_eq!(server.addrs().len(), 1);
    let answer = https(&server, dir.path(), &[], "/x").expect("an answer");
    assert_eq!(answer.text(), format!("{}/x HTTP/2.0", place(&server, "https://")));
    server.stop();
}

#[test]
fn hs_02_redirects_to_https() {
    let dir = certificates();
    let server = options("return 'secret';", dir.path())
        .set("http.ssl.redirect", "true")
        .set("http.middleware", "['headers']")
        .set("http.headers.response", "['x-app' => 'seen']")
        .start();
    let port = place(&server, "https://").rsplit(':').next().expect("a port").to_owned();
    let mut client = server.client();
    client.send("POST /a%20b?c=d&e HTTP/1.1\r\nHost: app.example:80\r\nContent-Length: 2\r\n\r\nhi");
    let response = client.read();
    assert_eq!(response.status, 308, "{}", response.head);
    assert_eq!(response.header("location"), Some(&*format!("https://app.example:{port}/a%20b?c=d&e")));
    let forever = "max-age=31536000; includeSubDomains; preload";
    assert_eq!(response.header("strict-transport-security"), Some(forever));
    assert!(!response.text().contains("secret"));
    // A name that could be read as another place is none.
    client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_eq!(client.read().status, 400);
    drop(client);
    let response = https(&server, dir.path(), &[], "/").expect("an answer");
    assert_eq!((response.status, &*response.text()), (200, "secret"));
    assert_eq!(response.header("strict-transport-security"), None);
    server.stop();
}

#[test]
fn hs_12_http_2_is_spoken_where_it_was_asked_for() {
    let dir = certificates();
    let body = "return $request->protocol() . ' ' . strlen($request->body());";
    let server = options(body, dir.path()).set("http.http2.h2c", "true").start();
    let said = |response: Response| {
        (response.head.split(' ').next().unwrap_or_default().to_owned(), response.text())
    };
    let over_tls = |flags: &[&str]| said(https(&server, dir.path(), flags, "/").expect("an answer"));
    assert_eq!(over_tls(&["--http2"]), ("HTTP/2".to_owned(), "HTTP/2.0 0".to_owned()));
    assert_eq!(over_tls(&["--http1.1"]), ("HTTP/1.1".to_owned(), "HTTP/1.1 0".to_owned()));
    assert_eq!(over_tls(&["--no-alpn"]).0, "HTTP/1.1");
    let plain = format!("http://{}/", server.addr());
    let file = dir.path().join("body");
    std::fs::write(&file, vec![b'x'; 3_000_000]).expect("a file");
    let data = format!("@{}", file.display());
    let upload =
        ["--http2-prior-knowledge", "-H", "content-type: text/plain", "--data-binary", &data, &plain];
    assert_eq!(said(curl(&upload)), ("HTTP/2".to_owned(), "HTTP/2.0 3000000".to_owned()));
    // The same port speaks HTTP/1, byte by byte, and pipelined.
    let mut client = server.client();
    for byte in b"PRI-ORITY / HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.read().text(), "HTTP/1.1 0");
    client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (client.read().text(), client.read().text()),
        ("HTTP/1.1 0".to_owned(), "HTTP/1.1 0".to_owned())
    );
    // What begins like HTTP/2 and is none.
    client = server.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0nonsense nonsense nonsense");
    drop(client);
    eventually("the server answers others", || server.get("/").status == 200);
    server.stop();
    // Without h2c it is not spoken.
    let server = Options::handler("return 'x';").start();
    assert!(try_curl(&["--http2-prior-knowledge", &format!("http://{}/", server.addr())]).is_err());
    server.stop();
}

#[test]
fn superglobals_say_https() {
    let dir = certificates();
    let source = format!(
        "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1],
            'ssl' => ['address' => '127.0.0.1:0', 'key' => '{0}/server.key', 'cert' => '{0}/server.crt']]])
            ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', getenv('MODE'))->run();",
        dir.path().display()
    );
    let index = "<?php foreach (['HTTPS', 'REQUEST_SCHEME', 'SERVER_PROTOCOL', 'SERVER_PORT', 'HTTP_HOST', 'HTTP_COOKIE', 'REQUEST_URI'] as $name) {
        echo $name, '=', $_SERVER[$name] ?? '-', ' ';
    }";
    for mode in ["globals", "classic"] {
        let server = Options::source(&source).file("public/index.php", index).env("MODE", mode).start();
        let address = place(&server, "https://").replace("https://", "");
        let port = address.rsplit(':').next().expect("a port").to_owned();
        let cookies = ["-H", "cookie: a=1", "-H", "cookie: b=2"];
        let text = https(&server, dir.path(), &cookies, "/x?y").expect("an answer").text();
        let expected = format!(
            "HTTPS=on REQUEST_SCHEME=https SERVER_PROTOCOL=HTTP/2.0 SERVER_PORT={port} HTTP_HOST={address} \
             HTTP_COOKIE=a=1; b=2 REQUEST_URI=/x?y "
        );
        assert_eq!(text, expected, "{mode}");
        assert!(server.text("/").starts_with("HTTPS=- REQUEST_SCHEME=http SERVER_PROTOCOL=HTTP/1.1"));
        server.stop();
    }
}

/// Two clients: one whose certificate the authority has signed, and one of somebody else.
fn clients(dir: &TempDir) -> [Vec<String>; 3] {
    let shows = |name: &str| {
        let file = |ending: &str| dir.path().join(format!("{name}.{ending}")).display().to_string();
        vec!["--cert".to_owned(), file("crt"), "--key".to_owned(), file("key")]
    };
    [Vec::new(), shows("other"), shows("server")]
}

#[test]
fn hs_13_clients_show_what_they_are_asked_for() {
    let dir = certificates();
    // Whether a client gets in that shows nothing, something, and what root_ca has signed.
    for (kind, lets_in) in [
        ("no_client_cert", [true, true, true]),
        ("no_client_certs", [true, true, true]),
        ("request_client_cert", [true, true, true]),
        ("require_any_client_cert", [false, true, true]),
        ("verify_client_cert_if_given", [true, false, true]),
        ("require_and_verify_client_cert", [false, false, true]),
    ] {
        let server = options("return 'in';", dir.path())
            .set("http.ssl.root_ca", &format!("'{}'", dir.path().join("ca.crt").display()))
            .set("http.ssl.client_auth_type", &format!("'{kind}'"))
            .start();
        for (client, lets_in) in clients(&dir).iter().zip(lets_in) {
            let arguments: Vec<&str> = client.iter().map(String::as_str).collect();
            for version in ["--http1.1", "--http2"] {
                let answer = https(&server, dir.path(), &[&arguments[..], &[version]].concat(), "/");
                let text = answer.map(|answer| answer.text());
                assert_eq!(text.as_deref() == Ok("in"), lets_in, "{kind} {client:?}: {text:?}");
            }
        }
        server.stop();
    }
}

#[test]
fn what_is_wrong_with_certificates_stops_the_start() {
    let dir = certificates();
    let refused = |key: &str, file: &str| {
        let path = format!("'{}'", dir.path().join(file).display());
        let finished = options("return 'x';", dir.path()).set(key, &path).expect_errors().finish();
        assert_eq!(finished.code, Some(1));
        finished.stderr
    };
    let said = refused("http.ssl.cert", "none.crt");
    assert!(said.contains("http.ssl.cert: ") && said.contains("none.crt: No such file"), "{said}");
    let said = refused("http.ssl.key", "other.key");
    assert!(said.contains("http.ssl.key: ") && said.contains("does not belong to the certificate"), "{said}");
    let said = refused("http.ssl.root_ca", "names");
    assert!(said.contains("http.ssl.root_ca: ") && said.contains("has no certificate"), "{said}");
}

#[test]
fn old_tls_and_slow_handshakes_are_refused() {
    let dir = certificates();
    let server = options("return 'x';", dir.path())
        .set("http.ssl.min_version", "'1.3'")
        .set("http.header_timeout", "'200ms'")
        .start();
    assert!(https(&server, dir.path(), &["--tls-max", "1.2"], "/").is_err());
    assert_eq!(
        https(&server, dir.path(), &["--tlsv1.3"], "/").map(|answer| answer.text()).as_deref(),
        Ok("x")
    );
    let address = place(&server, "https://").replace("https://", "");
    let mut silent = e2e::Client::connect(&address);
    silent.send([22, 3, 1]);
    assert!(silent.is_closed_within(e2e::SOON), "a client that does not go on with its handshake");
    let mut plain = e2e::Client::connect(&address);
    plain.send("GET / HTTP/1.1\r\n\r\n");
    assert!(plain.is_closed_within(e2e::SOON), "a client that does not speak TLS");
    server.stop();
}

#[test]
fn taken_addresses_are_named() {
    let dir = certificates();
    let port = free_port();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let address = format!("'127.0.0.1:{port}'");
    for key in ["http.ssl.address", "http.fcgi.address"] {
        let finished = options("return 'x';", dir.path()).set(key, &address).expect_errors().finish();
        assert!(finished.stderr.contains(&format!("{key}: cannot listen on")), "{}", finished.stderr);
    }
    let _taken = std::net::UdpSocket::bind(("127.0.0.1", port)).expect("a port");
    let finished =
        options("return 'x';", dir.path()).set("http.http3.address", &address).expect_errors().finish();
    assert!(finished.stderr.contains("http.http3.address: cannot listen on"), "{}", finished.stderr);
}

#[test]
fn certificates_that_change_are_served_without_a_reload() {
    let (first, second) = (certificates(), certificates());
    let names = ["server.crt", "server.key"];
    let server = options("return 'x';", first.path()).start();
    assert!(https(&server, first.path(), &[], "/").is_ok());
    assert!(https(&server, second.path(), &[], "/").is_err());
    for name in names {
        std::fs::copy(second.path().join(name), first.path().join(name)).expect("copies");
    }
    eventually("the new certificate is served", || https(&server, second.path(), &[], "/").is_ok());
    server.stop();
}
