//! The FastCGI server (HS-13), behind nginx and behind whatever else may come.

use e2e::{Client, Daemon, Options, Server, curl, eventually};
use rr_wire::fastcgi::{Kind, Pairs, Record, put_pair};
use std::time::Duration;

const ECHO: &str = "if ($request->path() === '/stream') {
        return new Response((function () { for ($i = 0; $i < 40; $i++) { yield str_repeat('x', 50000); } })());
    }
    if ($request->path() === '/304') { return new Response('', 304, ['ETag' => '\"a\"']); }
    if ($request->path() === '/throw') { throw new Exception('no'); }
    return new Response(json_encode(['uri' => $request->uri(), 'method' => $request->method(),
        'remote' => $request->remoteAddress(), 'protocol' => $request->protocol(), 'agent' => $request->header('user-agent'),
        'length' => strlen($request->body()), 'files' => count($request->files()), 'form' => $request->form()]),
        201, ['Content-Type' => 'application/json', 'Set-Cookie' => ['a=1', 'b=2']]);";

fn options(body: &str) -> Options {
    Options::handler(body)
        .set("http.fcgi.address", "'tcp://127.0.0.1:0'")
        .expect_errors()
        .descriptors_may_grow()
}

fn place(server: &Server) -> &str {
    let found = server.addrs().iter().find_map(|address| address.strip_prefix("fcgi://"));
    found.unwrap_or_else(|| panic!("no FastCGI: {:?}", server.addrs()))
}

fn nginx(server: &Server, more: &str) -> Daemon {
    Daemon::nginx(&format!(
        "upstream app {{ server {}; keepalive 4; }} server {{ listen 127.0.0.1:PORT; client_max_body_size 0; location / {{
            include /etc/nginx/fastcgi_params; fastcgi_pass app; fastcgi_keep_conn on; {more} }} }}",
        place(server)
    ))
}

#[test]
fn hs_13_nginx_hands_requests_on() {
    let server = options(ECHO).start();
    let nginx = nginx(&server, "fastcgi_param HTTP_HOST $http_host;");
    let url = |path: &str| format!("http://{}{path}", nginx.address());
    let parsed = |arguments: &[&str]| -> serde_json::Value {
        let response = curl(arguments);
        assert_eq!((response.status, response.header("content-type")), (201, Some("application/json")));
        assert_eq!(response.head.to_lowercase().matches("set-cookie: ").count(), 2, "{}", response.head);
        serde_json::from_slice(&response.body).expect("JSON")
    };
    let said = parsed(&[&url("/a%20b?c=d"), "-A", "me"]);
    assert_eq!(said["uri"], format!("{}?c=d", url("/a%20b")));
    assert_eq!(
        (&said["method"], &said["remote"], &said["agent"]),
        (&"GET".into(), &"127.0.0.1".into(), &"me".into())
    );
    assert_eq!(said["protocol"], "HTTP/1.1");
    // On connections that are kept.
    for index in 0..20 {
        let body = "x".repeat(index * 7000);
        let file = server.file("body");
        std::fs::write(&file, &body).expect("a file");
        let data = format!("@{}", file.display());
        let said = parsed(&[&url("/post"), "-H", "content-type: text/plain", "--data-binary", &data]);
        assert_eq!((said["length"].as_u64(), &said["method"]), (Some(body.len() as u64), &"POST".into()));
    }
    let said = parsed(&[&url("/form"), "-F", "a=b", "-F", "f=@/proc/self/status"]);
    assert_eq!((&said["files"], &said["form"]), (&1.into(), &serde_json::json!({"a": "b"})));
    let chunked = parsed(&[
        &url("/"),
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "content-type: text/plain",
        "-d",
        "hello",
    ]);
    assert_eq!(chunked["length"], 5);
    assert_eq!(curl(&[&url("/stream")]).body.len(), 2_000_000);
    let head = curl(&["-I", &url("/x")]);
    // curl shows the head itself then.
    assert!(head.status == 201 && !head.text().contains('{'), "{}", head.text());
    let not_modified = curl(&[&url("/304")]);
    assert_eq!((not_modified.status, not_modified.body.len()), (304, 0));
    assert_eq!(curl(&[&url("/throw")]).status, 500);
    drop(nginx);
    server.stop();
}

#[test]
fn https_in_front_and_clients_that_leave_are_seen() {
    let body = "if ($request->path() === '/wait') {
            touch(__DIR__ . '/began');
            while (!$request->isCancelled()) { usleep(1000); }
            touch(__DIR__ . '/gone');
        }
        return $request->uri();";
    let server = options(body).start();
    let nginx = nginx(&server, "fastcgi_param HTTPS on; fastcgi_param HTTP_HOST app.example;");
    let url = format!("http://{}/x", nginx.address());
    assert_eq!(curl(&[&url]).text(), "https://app.example/x");
    let mut client = Client::connect(&nginx.address());
    client.try_request("GET", "/wait", "", b"").expect("taken");
    eventually("it runs", || server.file("began").exists());
    drop(client);
    eventually("the worker is told", || server.file("gone").exists());
    assert_eq!(curl(&[&url]).text(), "https://app.example/x");
    drop(nginx);
    server.stop();
}

fn record(kind: u8, id: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, kind];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(content.len()).expect("short").to_be_bytes());
    bytes.extend_from_slice(&[3, 0]);
    bytes.extend_from_slice(content);
    // What stands in the padding is nobody's.
    bytes.extend_from_slice(b"pad");
    bytes
}

fn begin(id: u16, role: u8, flags: u8) -> Vec<u8> {
    record(1, id, &[0, role, flags, 0, 0, 0, 0, 0])
}

fn params(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    pairs.iter().for_each(|(name, value)| put_pair(&mut bytes, name.as_bytes(), value.as_bytes()));
    bytes
}

/// A whole request without a body.
fn request(id: u16, flags: u8, pairs: &[(&str, &str)]) -> Vec<u8> {
    [begin(id, 1, flags), record(4, id, &params(pairs)), record(4, id, b""), record(5, id, b"")].concat()
}

/// Reads the answer to a request: what it says, and how it ended.
fn answer(client: &mut Client) -> (String, Option<u8>) {
    let (mut bytes, mut text) = (Vec::new(), Vec::new());
    loop {
        while let Ok(Some(record)) = Record::parse(&bytes) {
            match record.kind {
                Kind::Other(6) => text.extend_from_slice(record.content),
                Kind::Other(3) => {
                    return (String::from_utf8_lossy(&text).into_owned(), record.content.get(4).copied());
                }
                other => panic!("a record of type {other:?}"),
            }
            let length = record.length;
            bytes.drain(..length);
        }
        match client.read_some() {
            Ok(more) if !more.is_empty() => bytes.extend_from_slice(&more),
            _ => return (String::from_utf8_lossy(&text).into_owned(), None),
        }
    }
}

const GET: &[(&str, &str)] = &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/a"), ("HTTP_HOST", "h")];

#[test]
fn what_the_protocol_says_is_done() {
    let server =
        options("return $request->method() . ' ' . $request->uri() . ' ' . $request->body();").start();
    let mut client = Client::connect(place(&server));
    // Kept, byte by byte, and then not kept.
    for byte in request(7, 1, GET) {
        client.send([byte]);
    }
    let (text, end) = answer(&mut client);
    assert!(text.starts_with("Status: 200 OK\r\n") && text.ends_with("\r\n\r\nGET http://h/a "), "{text}");
    assert_eq!(end, Some(0));
    // Without REQUEST_URI and HTTP_HOST, and a body that is longer than was said.
    let pairs = [
        ("REQUEST_METHOD", "POST"),
        ("SCRIPT_NAME", "/s"),
        ("PATH_INFO", "/p"),
        ("QUERY_STRING", "q=1"),
        ("SERVER_NAME", "name"),
        ("SERVER_PORT", "8080"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "4"),
    ];
    client.send([begin(1, 1, 1), record(4, 1, &params(&pairs)), record(4, 1, b"")].concat());
    client
        .send([record(5, 1, b"ab"), record(5, 1, b"cdef"), record(5, 1, b"gh"), record(5, 1, b"")].concat());
    let (text, _) = answer(&mut client);
    assert!(text.ends_with("POST http://name:8080/s/p?q=1 abcd"), "{text}");
    // A role that is not played here, and a question.
    client.send(begin(2, 2, 1));
    assert_eq!(answer(&mut client), (String::new(), Some(3)));
    client.send(record(9, 0, &params(&[("FCGI_MPXS_CONNS", ""), ("FCGI_MAX_CONNS", "")])));
    let said = client.read_some().expect("an answer");
    let said = Record::parse(&said).expect("a record").expect("whole");
    let said: Vec<_> = Pairs(said.content).map(|pair| pair.expect("a pair")).collect();
    assert_eq!(said, [(&b"FCGI_MPXS_CONNS"[..], &b"0"[..]), (b"FCGI_MAX_CONNS", b"65535")]);
    client.send(request(3, 0, GET));
    assert_eq!(answer(&mut client).1, Some(0));
    assert!(client.is_closed_within(e2e::SOON), "it was not to be kept");
    drop(client);
    server.stop();
}

#[test]
fn the_end_of_the_server_finishes_a_request_on_a_connection_that_is_kept() {
    let body = "touch(__DIR__ . '/began');
        while (!file_exists(__DIR__ . '/go')) { usleep(1000); }
        return 'done';";
    let mut server = options(body).set("endure.grace_period", "'30s'").start();
    let mut client = Client::connect(place(&server));
    client.send(request(1, 1, GET));
    eventually("it runs", || server.file("began").exists());
    server.signal(15);
    eventually("it stops", || server.logs.text().contains("stopping"));
    std::fs::write(server.file("go"), "").expect("a file");
    assert!(answer(&mut client).0.ends_with("done"));
    assert!(client.is_closed_within(Duration::from_secs(10)), "and is not waited for");
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn what_is_no_fastcgi_ends_its_connection_only() {
    let server = options("return 'x';")
        .set("http.header_timeout", "'500ms'")
        .set("http.idle_timeout", "'500ms'")
        .start();
    let fcgi = place(&server).to_owned();
    let long = "x".repeat(60_000);
    let many: Vec<u8> = (0..4).flat_map(|_| record(4, 1, &params(&[("HTTP_LONG", &long)]))).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a short beginning", record(1, 1, b"")),
        (
            "pairs that are cut short",
            [begin(1, 1, 0), record(4, 1, &[200, 1, 2]), record(4, 1, b"")].concat(),
        ),
        ("too many variables", [begin(1, 1, 0), many].concat()),
        ("a request inside another", [begin(1, 1, 0), begin(1, 1, 0)].concat()),
        ("no method", request(1, 0, &[("REQUEST_URI", "/")])),
        ("a bad length", request(1, 0, &[("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", "-1")])),
        ("a header that is none", request(1, 0, &[("REQUEST_METHOD", "GET"), ("HTTP_A", "b\r\nc: d")])),
        ("half a record", vec![1, 1, 0, 1, 0xff, 0xff]),
        ("silence", Vec::new()),
    ];
    for (name, bytes) in cases {
        let mut client = Client::connect(&fcgi);
        let _ = client.try_send(&bytes);
        let (text, _) = answer(&mut client);
        assert!(text.is_empty() || text.starts_with("Status: 400 "), "{name}: {text}");
        assert_eq!(server.text("/"), "x", "{name}");
    }
    // A body that does not come.
    let mut client = Client::connect(&fcgi);
    let pairs = [
        ("REQUEST_METHOD", "POST"),
        ("HTTP_HOST", "h"),
        ("CONTENT_LENGTH", "10"),
        ("CONTENT_TYPE", "text/plain"),
    ];
    client.send(
        [begin(1, 1, 0), record(4, 1, &params(&pairs)), record(4, 1, b""), record(5, 1, b"ab")].concat(),
    );
    client.finish();
    client.patience(Duration::from_secs(10));
    let (text, end) = answer(&mut client);
    assert!(text.is_empty() && end.is_none(), "{text}");
    drop(client);
    assert_eq!(server.text("/"), "x");
    server.stop();
}

#[test]
fn random_bytes_do_no_harm() {
    let server = options("return 'x';").set("http.header_timeout", "'100ms'").start();
    let fcgi = place(&server).to_owned();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = [
        begin(1, 1, 1),
        record(4, 1, &params(GET)),
        record(4, 1, b""),
        record(5, 1, b"body"),
        record(5, 1, b""),
    ]
    .concat();
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=random() % 4 {
            let place = usize::try_from(random()).unwrap_or(0) % bytes.len();
            bytes[place] = u8::try_from(random() & 0xff).unwrap_or(0);
        }
        bytes.truncate(usize::try_from(random()).unwrap_or(0) % (bytes.len() + 1));
        let mut client = Client::connect(&fcgi);
        let _ = client.try_send(&bytes);
    }
    assert_eq!(server.text("/"), "x");
    server.check_descriptors();
    server.stop();
}
