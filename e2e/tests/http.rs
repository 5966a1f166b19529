//! HTTP/1.1 as clients see it: the example, framing both ways, addresses, limits.

use e2e::{Client, Load, Options, eventually};
use std::time::Duration;

#[test]
fn all_pages_of_the_example() {
    let server = Options::hello().expect_errors().start();
    let mut client = server.client();
    let hello = client.get("/");
    assert_eq!((hello.status, hello.text().as_str()), (200, "Hello, World!"));
    assert_eq!(hello.header("content-type"), Some("text/plain"));
    assert_eq!(hello.header("content-length"), Some("13"));
    let json = client.get("/json");
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.text(), r#"{"message":"Hello, World!","numbers":[1,2,3]}"#);
    assert_eq!(client.post("/echo", b"a\0body").body, b"a\0body");
    assert_eq!(client.get("/big").text(), "0123456789abcdef".repeat(4096));
    assert_eq!(client.get("/sleep?ms=1").text(), "slept");
    let boom = client.get("/boom");
    assert_eq!(boom.status, 500);
    assert!(!boom.text().contains("boom"), "{}", boom.text());
    assert_eq!(client.get("/exit").status, 200);
    assert_eq!(client.get("/fatal").status, 500);
    assert_eq!(client.get("/kill").status, 502);
    let pid: u32 = client.get("/pid").text().parse().expect("a pid");
    assert!(server.processes().iter().any(|process| process.pid == pid));
    let missing = client.get("/nowhere");
    assert_eq!((missing.status, missing.text().as_str()), (404, "Not Found\n"));
    drop(client);
    server.stop();
}

#[test]
fn the_banner_says_address_workers_and_how_to_stop() {
    let server = Options::hello().start();
    let banner = server.banner();
    assert_eq!(banner["workers"], 2);
    assert_eq!(banner["pid"], server.pid());
    assert_eq!(banner["level"], "info");
    assert_eq!(banner["logger"], "server");
    assert_eq!(banner["stop"], format!("kill -TERM {}", server.pid()));
    assert!(banner["php"].as_str().is_some_and(|php| php.contains("opcache")), "{banner}");
    assert!(banner["ts"].as_u64().is_some_and(|ts| ts > 1_600_000_000_000_000_000), "{banner}");
    server.stop();
}

#[test]
fn keep_alive_and_pipelining_keep_the_order() {
    let server = Options::handler("return new Response($request->path());").workers(2).start();
    let mut client = server.client();
    for round in 0..3 {
        assert_eq!(client.get(&format!("/{round}")).text(), format!("/{round}"));
    }
    client.send(
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
         GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(client.read().text(), "/a");
    assert_eq!(client.read().text(), "/b");
    let last = client.read();
    assert_eq!(last.text(), "/c");
    assert_eq!(last.header("connection"), Some("close"));
    assert_eq!(client.read_to_end().expect("closed"), b"");
    server.stop();
}

#[test]
fn http_05_what_a_request_tells() {
    let server = Options::handler(
        r"return new Response(json_encode([
            $request->method(), $request->uri(), $request->path(), $request->queryString(), $request->query(),
            $request->host(), $request->header('x-TWO'), $request->header('none'), $request->headers()['x-two'],
            $request->cookies(), $request->remoteAddress(), $request->protocol(), $request->isSecure(),
            $request->body(), $request->isCancelled(),
        ], JSON_UNESCAPED_SLASHES));",
    )
    .start();
    let mut client = server.client();
    client.send(
        "PUT /p%20a?a[b]=1&c=2+3 HTTP/1.1\r\nHost: example.org:81\r\nX-Two: one\r\nx-two: two\r\n\
         Cookie: a=1; b=x%20y+z; a=2\r\nContent-Length: 2\r\n\r\nhi",
    );
    let want = concat!(
        r#"["PUT","http://example.org:81/p%20a?a[b]=1&c=2+3","/p%20a","a[b]=1&c=2+3",{"a":{"b":"1"},"c":"2 3"},"#,
        r#""example.org:81","one, two",null,["one","two"],{"a":"2","b":"x y z"},"127.0.0.1","HTTP/1.1",false,"#,
        r#""hi",false]"#
    );
    assert_eq!(client.read().text(), want);
    // An absolute target wins over the Host header (RFC 9112, 3.2.2).
    client.send("GET http://other.org/x HTTP/1.1\r\nHost: example.org\r\n\r\n");
    let text = client.read().text();
    assert!(text.contains(r#""http://other.org/x","/x""#), "{text}");
    drop(client);
    server.stop();
}

#[test]
fn a_chunked_request_body_arrives_whole() {
    let server = Options::hello().start();
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.send("7;ext=1\r\n, world\r\n0\r\nTrailer: no\r\n\r\n");
    assert_eq!(client.read().text(), "hello, world");
    assert_eq!(client.get("/").text(), "Hello, World!");
    drop(client);
    server.stop();
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    let server = Options::hello().start();
    let mut client = server.client();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read_head().expect("an interim answer").status, 100);
    client.send("body");
    assert_eq!(client.read().text(), "body");
    drop(client);
    server.stop();
}

#[test]
fn head_has_the_length_and_no_body() {
    let server = Options::hello().start();
    let mut client = server.client();
    for (target, length) in [("/", "13"), ("/big", "65536")] {
        client.try_request("HEAD", target, "", b"").expect("sent");
        let head = client.read_of("HEAD").expect("a head");
        assert_eq!((head.status, head.header("content-length")), (200, Some(length)), "{target}");
    }
    // Nothing of a body lies in between.
    assert_eq!(client.get("/").text(), "Hello, World!");
    drop(client);
    server.stop();
}

#[test]
fn http_1_0_closes_unless_asked_to_keep_alive() {
    let server = Options::hello().start();
    let mut client = server.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let all = client.read_to_end().expect("closed");
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.ends_with("\r\n\r\nHello, World!"), "{text}");
    let mut client = server.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.read().text(), "Hello, World!");
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.read().text(), "Hello, World!");
    drop(client);
    server.stop();
}

#[test]
fn cfg_16_several_addresses_and_a_unix_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.sock");
    // A stale socket file is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale socket"));
    let socket = format!("unix://{}", path.display());
    let server = Options::handler("return new Response('from [' . $request->remoteAddress() . ']');")
        .set("http.address", &format!("['127.0.0.1:0', 'tcp://127.0.0.1:0', '{socket}']"))
        .address_from_settings()
        .start();
    assert_eq!(server.addrs().len(), 3, "{:?}", server.addrs());
    assert_eq!(server.addrs()[2], socket);
    for address in &server.addrs()[..2] {
        assert_eq!(Client::connect(address).get("/").text(), "from [127.0.0.1]");
    }
    assert_ne!(server.addrs()[0], server.addrs()[1]);
    assert_eq!(Client::connect(&socket).get("/").text(), "from []");
    server.stop();
    assert!(!path.exists(), "the socket file stays behind");
}

#[test]
fn a_taken_port_is_an_error_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let end = Options::hello().env("HTTP_ADDRESS", &address).finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(
        end.stderr.contains(&address) && end.stderr.contains("another process listens there"),
        "{}",
        end.stderr
    );
}

#[test]
fn a_living_unix_socket_is_not_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.sock");
    let _living = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let end = Options::hello().env("HTTP_ADDRESS", format!("unix://{}", path.display())).finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(path.exists());
}

#[test]
fn max_request_size_refuses_before_the_body_is_read() {
    let server = Options::handler("return new Response((string) strlen($request->body()));")
        .set("http.max_request_size", "1")
        .start();
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    assert_eq!(client.read().status, 413);
    assert!(
        client.is_closed_within(Duration::from_secs(10)),
        "the body that comes would be read as a request"
    );
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read_head().expect("an answer").status, 413, "no 100 before");
    assert_eq!(
        server.client().post("/", &vec![b'x'; 1 << 20]).text(),
        "1048576",
        "exactly the limit is fine"
    );
    server.stop();
}

#[test]
fn max_request_size_counts_chunks() {
    let server = Options::handler(
        "if ($request->path() == '/small') return new Response('fine');
         try { return new Response((string) strlen($request->body())); }
         catch (ClientGoneException $gone) { return new Response('cut off', 500); }",
    )
    .set("http.max_request_size", "1")
    .start();
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    for _ in 0..20 {
        if client.try_send(&chunk).is_err() {
            break;
        }
    }
    // A client that goes on sending may find the connection reset before it has read the answer.
    if let Ok(response) = client.try_read() {
        assert!(matches!(response.status, 413 | 500), "{response:?}");
    }
    assert_eq!(server.text("/small"), "fine");
    server.stop();
}

#[test]
fn a_small_chunked_body_over_the_limit_is_413() {
    // It fits beside the head, so no worker has seen it when the limit is passed.
    let server = Options::handler("return new Response('seen', 200);")
        .set("http.max_request_size", "1")
        .set("http.pool.ring_size", "'8MB'")
        .start();
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send([b"100001\r\n", &vec![b'x'; 0x10_0001][..], b"\r\n0\r\n\r\n"].concat());
    assert_eq!(client.read().status, 413);
    drop(client);
    server.stop();
}

#[test]
fn requests_of_many_connections_do_not_mix() {
    let _one = e2e::heavy();
    let server =
        Options::handler("return new Response($request->path() . $request->body());").workers(3).start();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let mut client = server.client();
            std::thread::spawn(move || {
                for number in 0..200 {
                    let target = format!("/{thread}-{number}");
                    let body = "b".repeat((number * 37) % 3000);
                    assert_eq!(client.post(&target, body.as_bytes()).text(), target + &body);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("all answers are right");
    }
    server.stop();
}

#[test]
fn a_disconnect_cancels_a_queued_request() {
    let server = Options::handler(
        "if ($request->path() == '/mark') { file_put_contents(__DIR__ . '/mark', 'ran'); }
         while ($request->path() == '/wait' && !file_exists(__DIR__ . '/go')) { usleep(1000); }
         file_put_contents(__DIR__ . '/log', $request->path() . \"\\n\", FILE_APPEND);
         return new Response($request->path());",
    )
    .start();
    let mut slow = server.client();
    slow.try_request("GET", "/wait", "", b"").expect("sent");
    eventually("the worker is busy", || busy(&server));
    let mut queued = server.client();
    queued.try_request("GET", "/mark", "", b"").expect("sent");
    let mut other = server.client();
    other.try_request("GET", "/other", "", b"").expect("sent");
    drop(queued);
    // The disconnect is behind these on the same thread of the server.
    eventually("the server has seen the disconnect", || connections(&server) == 2);
    std::fs::write(server.file("go"), "").expect("a file");
    assert_eq!(slow.read().text(), "/wait");
    assert_eq!(other.read().text(), "/other");
    assert_eq!(server.text("/last"), "/last");
    assert_eq!(server.read("mark"), "", "{}", server.read("log"));
    drop((slow, other));
    server.stop();
}

/// Whether a worker has called `file_exists` on a file that is not there, which nothing else does.
fn busy(server: &e2e::Server) -> bool {
    let workers = server.processes();
    workers.iter().filter(|process| process.name != "rr-zygote").any(|process| {
        let text = std::fs::read_to_string(format!("/proc/{}/wchan", process.pid)).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{}/syscall", process.pid)).unwrap_or_default();
        // clock_nanosleep or nanosleep: it is in usleep().
        text.contains("nanosleep") || stat.starts_with("230 ") || stat.starts_with("35 ")
    })
}

/// Sockets of the master that are no listeners.
fn connections(server: &e2e::Server) -> usize {
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap_or_default();
    let port: u16 = server.addr().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let local = format!("0100007F:{port:04X}");
    let fields = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    // 01 is ESTABLISHED, 08 CLOSE_WAIT.
    fields.filter(|line| line.len() > 3 && line[1] == local && (line[3] == "01" || line[3] == "08")).count()
}

/// HS-05.
#[test]
fn access_logs_have_the_fields_of_an_access_log() {
    let server = Options::handler("return new Response('hello');").set("http.access_logs", "true").start();
    server.client().get("/page?x=1");
    let line = server.logs.expect("http access log");
    assert_eq!(line["status"], 200);
    assert_eq!(line["method"], "GET");
    assert_eq!(line["write_bytes"], 5);
    assert_eq!(line["query"], "x=1");
    let remote = line["remote_address"].as_str().and_then(|text| text.strip_prefix("127.0.0.1:"));
    assert!(remote.is_some_and(|port| port.parse::<u16>().is_ok()), "{line}");
    for time in ["start", "request_time", "ts"] {
        assert!(line[time].as_u64().is_some_and(|nanos| nanos > 1_700_000_000_000_000_000), "{time}: {line}");
    }
    assert!(line["time_local"].as_str().is_some_and(|text| text.ends_with(" +0000")), "{line}");
    server.stop();
}

#[test]
fn load_leaves_no_descriptors() {
    let _one = e2e::heavy();
    let server = Options::hello().start();
    for _ in 0..3 {
        let load = Load::start(server.addr(), "/", 20);
        load.advance(1000);
        let tally = load.finish();
        assert_eq!(tally.failed(), 0, "{:?} {:?}", tally.statuses, tally.errors);
        server.check_descriptors();
    }
    server.stop();
}
