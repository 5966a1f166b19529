//! Clients that are broken, slow or hostile: each is refused or cut off, and the others notice nothing.

use e2e::{Client, Options, Server, eventually, limit_of_descriptors, skip};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Sends raw bytes and gives all that comes back until the server closes.
fn raw(server: &Server, bytes: impl AsRef<[u8]>) -> String {
    let mut client = server.client();
    client.patience(Duration::from_secs(20));
    let _ = client.try_send(bytes);
    let end = client.read_to_end();
    assert!(end.is_ok(), "the connection stays open: {end:?}");
    String::from_utf8_lossy(&end.unwrap_or_default()).into_owned()
}

fn probe() -> Options {
    Options::handler(
        "file_put_contents(__DIR__ . '/log', $request->path() . \"\\n\", FILE_APPEND);
         return new Response($request->path() . '|' . $request->body());",
    )
}

#[test]
fn malformed_requests_are_400_and_reach_no_worker() {
    let server = probe().start();
    let cases: [(&str, &[u8]); 17] = [
        ("no version", b"GET /\r\nHost: x\r\n\r\n"),
        ("wrong version", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
        ("no target", b"GET HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("blank in the target", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("no protocol at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        ("method with a blank", b"G ET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("NUL in a value", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"),
        ("NUL in a name", b"GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n"),
        ("blank before the colon", b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"),
        ("no colon", b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n"),
        ("folded line", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"),
        ("a lone CR", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"),
        ("length no number", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\na"),
        ("negative length", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        ("two lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ];
    for (what, bytes) in cases {
        let mut client = server.client();
        client.patience(Duration::from_secs(20));
        client.send(bytes);
        match client.try_read() {
            Ok(response) => assert!(matches!(response.status, 400..=499 | 505), "{what}: {response:?}"),
            Err(error) => panic!("{what}: no answer, {error}"),
        }
    }
    assert_eq!(server.read("log"), "", "a worker has seen one of them");
    assert_eq!(server.text("/fine"), "/fine|");
    server.stop();
}

#[test]
fn a_missing_host_is_400() {
    let server = probe().start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read().status, 400);
    drop(client);
    server.stop();
}

#[test]
fn both_lengths_smuggle_nothing() {
    let server = probe().start();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    // Seen as chunked, the body ends at once, and what follows would be a request of its own.
    let first = format!(
        "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        5 + smuggled.len()
    );
    let answer = raw(&server, first);
    assert!(!answer.contains("/smuggled"), "{answer}");
    let cases = [
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding : chunked",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: 5\r\nContent-Length: 10",
    ];
    for case in cases {
        let answer =
            raw(&server, format!("POST /te HTTP/1.1\r\nHost: x\r\n{case}\r\n\r\n0\r\n\r\n{smuggled}"));
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("/smuggled"), "{case}: {answer:?}");
    }
    assert!(!server.read("log").contains("smuggled"));
    assert_eq!(server.text("/fine"), "/fine|");
    server.stop();
}

#[test]
fn transfer_codings_that_are_not_served_are_refused() {
    // RFC 9112, 6.1: chunked comes once, and a coding that is not known is 501. Passed on as they are, such bodies
    // mean something else to a proxy in front than to the app.
    let server = probe().start();
    for value in ["chunked, chunked", "chunked\r\nTransfer-Encoding: chunked", "gzip, chunked"] {
        let mut client = server.client();
        client.send(format!("POST /te HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n"));
        let status = client.read().status;
        assert!(matches!(status, 400 | 501), "{value}: {status}");
    }
    server.stop();
}

#[test]
fn bare_line_feeds_smuggle_nothing() {
    let server = probe().start();
    // A bare LF may end a line (RFC 9112, 2.2), but what is in one value must not become two headers.
    for request in [
        "GET /lf HTTP/1.1\nHost: x\n\n",
        "GET /lf HTTP/1.1\r\nHost: x\r\nA: b\nInjected: c\r\n\r\n",
        "POST /chunk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    ] {
        let mut client = server.client();
        // One that waits for the rest of a line is as good as one that refuses.
        client.patience(Duration::from_millis(500));
        client.send(request);
        if let Ok(response) = client.try_read() {
            assert!(matches!(response.status, 200 | 400), "{request:?}: {response:?}");
        }
    }
    assert_eq!(server.text("/fine"), "/fine|");
    server.stop();
}

#[test]
fn wrong_chunks_end_the_request() {
    let server = Options::handler(
        "try { return new Response('all of ' . strlen($request->body())); }
         catch (ClientGoneException) { return new Response('gone'); }",
    )
    .start();
    for chunks in
        ["zz\r\nabc\r\n0\r\n\r\n", "-1\r\n", "ffffffffffffffffff\r\nabc", "3\r\nabcdef\r\n0\r\n\r\n"]
    {
        let answer =
            raw(&server, format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
        assert!(!answer.contains("all of"), "{chunks:?}: {answer}");
    }
    server.stop();
}

#[test]
fn a_header_of_1_mib_is_431() {
    let server = probe().start();
    let mut client = server.client();
    client.write_patience(Duration::from_secs(20));
    let _ = client.try_send("GET / HTTP/1.1\r\nHost: x\r\nX: ");
    let _ = client.try_send(vec![b'a'; 1 << 20]);
    // Sent on, the rest can make the kernel reset the connection before the answer is read.
    match client.try_read() {
        Ok(response) => assert_eq!(response.status, 431),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(70_000)));
    assert_eq!(client.read().status, 431, "just over http.max_header_size");
    let many: String = (0..150).map(|number| format!("X-{number}: y\r\n")).collect();
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"));
    assert_eq!(client.read().status, 431, "more than http.max_headers");
    let mut client = server.client();
    client.send(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000)));
    let status = client.read().status;
    assert!(matches!(status, 414 | 431), "a long target: {status}");
    assert_eq!(server.text("/fine"), "/fine|");
    server.stop();
}

#[test]
fn max_headers_can_be_raised() {
    let server = Options::handler("return new Response((string) count($request->headers()));")
        .set("http.max_headers", "300")
        .start();
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"));
    assert!(client.read().text().parse::<usize>().is_ok_and(|count| count >= 200));
    drop(client);
    server.stop();
}

#[test]
fn slow_loris_is_cut_off() {
    let server = probe().set("http.header_timeout", "'400ms'").start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    let began = Instant::now();
    // A byte now and then does not help.
    client.patience(Duration::from_millis(50));
    let closed = loop {
        if client.try_send("X").is_err() {
            break true;
        }
        match client.read_to_end() {
            Ok(_) => break true,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break true,
            Err(_) if began.elapsed() > Duration::from_secs(20) => break false,
            Err(_) => {}
        }
    };
    assert!(closed, "still open after {:?}", began.elapsed());
    assert_eq!(server.text("/fine"), "/fine|");
    server.stop();
}

#[test]
fn an_idle_connection_is_closed() {
    let server = probe().set("http.idle_timeout", "'300ms'").start();
    let mut fresh = server.client();
    assert!(fresh.is_closed_within(Duration::from_secs(20)), "one that never spoke");
    let mut used = server.client();
    assert_eq!(used.get("/a").text(), "/a|");
    assert!(used.is_closed_within(Duration::from_secs(20)), "one between requests");
    server.stop();
}

#[test]
fn a_client_that_leaves_its_body_is_no_error_of_the_app() {
    let server =
        Options::handler("return new Response(getmypid() . ' ' . strlen($request->body()));").start();
    let pid = server.text("/");
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    drop(client);
    let line = server.logs.expect("the client has gone away inside");
    assert_eq!(line["level"], "info");
    assert_eq!(server.text("/"), pid);
    server.stop();
}

#[test]
fn a_request_body_that_stalls_ends_with_408_or_a_gone_client() {
    let server = Options::handler(
        "try { return new Response('all ' . strlen($request->body())); }
         catch (ClientGoneException $gone) { file_put_contents(__DIR__ . '/gone', get_class($gone)); throw $gone; }",
    )
    .set("http.read_timeout", "'300ms'")
    .expect_errors()
    .start();
    // Small: no worker has it yet.
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(client.read().status, 408);
    // Large: a worker reads it already.
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    assert!(client.is_closed_within(Duration::from_secs(20)), "the connection cannot be used any more");
    eventually("PHP is told", || server.read("gone") == "RoadRunner\\ClientGoneException");
    server.stop();
}

/// HS-03.
#[test]
fn a_client_that_never_reads_is_cut_off_while_others_are_served() {
    let server = Options::handler(
        "if ($request->path() == '/') return new Response('fine');
         return new Response((function () { while (true) yield str_repeat('x', 65536); })());",
    )
    .workers(2)
    .set("http.write_timeout", "'500ms'")
    .start();
    let mut lazy = server.client();
    lazy.try_request("GET", "/endless", "", b"").expect("sent");
    let began = Instant::now();
    let mut client = server.client();
    // Its socket is taken from it; the rest of what the kernel holds can still be read.
    let cut = e2e::until(Duration::from_secs(20), || {
        assert_eq!(client.get("/").text(), "fine");
        (established(&server) == 1).then_some(())
    });
    assert!(cut.is_some(), "still connected after {:?}", began.elapsed());
    drop((lazy, client));
    server.stop();
}

fn established(server: &Server) -> usize {
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap_or_default();
    let port: u16 = server.addr().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let local = format!("0100007F:{port:04X}");
    let fields = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    fields.filter(|line| line.len() > 3 && line[1] == local && line[3] == "01").count()
}

#[test]
fn a_disconnect_inside_a_body_reaches_php_as_client_gone() {
    let server = Options::handler(
        "if ($request->path() == '/pid') return new Response((string) getmypid());
         try {
             while ($request->read() !== null) { file_put_contents(__DIR__ . '/reading', 'yes'); }
         } catch (ClientGoneException $gone) {
             file_put_contents(__DIR__ . '/gone', get_class($gone) . ($request->isCancelled() ? ' cancelled' : ''));
         }
         return new Response('whatever');",
    )
    .start();
    let pid = server.text("/pid");
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    eventually("PHP reads", || !server.read("reading").is_empty());
    drop(client);
    eventually("PHP is told", || server.read("gone").starts_with("RoadRunner\\ClientGoneException"));
    assert_eq!(server.text("/pid"), pid, "the worker goes on");
    server.stop();
}

#[test]
fn an_uncaught_client_gone_leaves_the_worker_alone() {
    let server = Options::handler(
        "if ($request->path() == '/pid') return new Response((string) getmypid());
         return new Response((string) strlen($request->body()));",
    )
    .expect_errors()
    .start();
    let pid = server.text("/pid");
    for _ in 0..3 {
        let mut client = server.client();
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        client.send(vec![b'x'; 500_000]);
        drop(client);
    }
    assert_eq!(server.text("/pid"), pid);
    server.stop();
}

#[test]
fn a_disconnect_inside_a_small_body_reaches_no_worker() {
    let server = probe().start();
    for _ in 0..5 {
        let mut client = server.client();
        client.send("POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
        drop(client);
    }
    assert_eq!(server.text("/fine"), "/fine|");
    assert_eq!(server.read("log"), "/fine\n");
    server.stop();
}

#[test]
fn ten_thousand_idle_connections() {
    let _one = e2e::heavy();
    const MANY: usize = 10_000;
    let limit = limit_of_descriptors();
    // Both ends are counted, but by processes of their own.
    if limit < MANY as u64 + 200 {
        return skip(&format!("the hard limit of descriptors is {limit}"));
    }
    let server = probe().set("http.backlog", "4096").start();
    let mut idle = Vec::with_capacity(MANY);
    for number in 0..MANY {
        match TcpStream::connect(server.addr()) {
            Ok(stream) => idle.push(stream),
            Err(error) => panic!("connection {number}: {error}"),
        }
    }
    let began = Instant::now();
    assert_eq!(server.text("/fine"), "/fine|");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // The first and the last of them can still be used.
    for at in [0, MANY - 1] {
        let stream = &mut idle[at];
        stream.write_all(b"GET /idle HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        assert!(text.ends_with("/idle|"), "{text}");
    }
    drop(idle);
    server.stop();
}

#[test]
fn max_connections_makes_the_rest_wait() {
    let server = probe().set("http.max_connections", "3").start();
    let mut held: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &mut held {
        assert_eq!(client.get("/held").text(), "/held|");
    }
    let mut fourth = server.client();
    fourth.try_request("GET", "/fourth", "", b"").expect("sent");
    fourth.patience(Duration::from_millis(200));
    assert!(fourth.try_read().is_err(), "it has to wait");
    held.pop();
    fourth.patience(Duration::from_secs(20));
    assert_eq!(fourth.read().text(), "/fourth|");
    drop((held, fourth));
    server.stop();
}

#[test]
fn random_bytes_hurt_nobody() {
    let server = probe().start();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..100 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random.to_le_bytes()[0]
            })
            .collect();
        let mut client = server.client();
        let _ = client.try_send(&bytes);
        client.finish();
    }
    assert_eq!(server.text("/fine"), "/fine|");
    server.stop();
}
