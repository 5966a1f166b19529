//! Responses of the handler modes: piece by piece, files, events, early hints, trailers.

use e2e::{Options, Server, eventually};

fn chunks(client: &mut e2e::Client) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let chunk = client.read_chunk().expect("a chunk");
        if chunk.is_empty() {
            return all;
        }
        all.push(String::from_utf8_lossy(&chunk).into_owned());
    }
}

fn get(server: &Server, headers: &str) -> e2e::Client {
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
    client
}

#[test]
fn a_response_is_written_piece_by_piece() {
    let server = Options::handler(
        "$response = new Response('end', 201, ['X-A' => '1']);
         $response->write('one ')->write(2)->flush()->write('three ')->flush();
         if ($request->query()['other'] ?? false) { return new Response('other'); }
         if ($request->query()['none'] ?? false) { return null; }
         return $response->write('four ');",
    )
    .expect_errors()
    .start();
    let mut client = get(&server, "");
    let head = client.read_head().expect("a head");
    assert_eq!((head.status, head.header("x-a")), (201, Some("1")));
    assert_eq!(chunks(&mut client).concat(), "one 2three four end");
    client.send("GET /?none=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read().text(), "one 2three ");
    // Another response than the one that has begun cannot be sent: the stream is broken off.
    client.send("GET /?other=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_head().expect("a head");
    assert!(client.skip_chunks().is_err());
    assert_eq!(server.get("/").text(), "one 2three four end");
    drop(client);
    server.stop();
}

#[test]
fn the_handler_goes_on_after_the_end_of_its_response() {
    for (name, end) in
        [("end", "$response->end();"), ("rr_finish_request", "$response->flush(); rr_finish_request();")]
    {
        let server = Options::handler(&format!(
            "if ($request->path() === '/next') {{ return 'next'; }}
             $response = new Response(); $response->write('done'); {end}
             usleep(200000); file_put_contents(__DIR__ . '/after', 'yes'); return 'unseen';"
        ))
        .start();
        assert_eq!(server.text("/"), "done", "{name}");
        assert_eq!(server.read("after"), "", "{name}: the response did not wait");
        assert_eq!(server.text("/next"), "next", "{name}");
        assert_eq!(server.read("after"), "yes", "{name}");
        server.stop();
    }
}

#[test]
fn a_body_may_be_a_stream_or_a_file() {
    let server = Options::handler(
        "return match ($request->path()) {
             '/stream' => new Response(fopen(__DIR__ . '/data.txt', 'r')),
             '/closed' => (function () { $f = tmpfile(); fclose($f); return new Response($f); })(),
             '/info' => new Response(new SplFileInfo(__DIR__ . '/data.txt'), 200, ['X-B' => '2']),
             '/file' => Response::file(__DIR__ . '/data.txt', ['Content-Type' => 'text/x-own', 'ETag' => '\"own\"']),
             '/x' => new Response('', 200, ['X-Sendfile' => __DIR__ . '/data.txt']),
             '/none' => Response::file(__DIR__ . '/none'),
             '/dir' => Response::file(__DIR__),
             default => 'other',
         };",
    )
    .file("data.txt", &"0123456789".repeat(20_000))
    .expect_errors()
    .start();
    let all = "0123456789".repeat(20_000);
    for target in ["/stream", "/info", "/file", "/x"] {
        let answer = server.get(target);
        assert_eq!((answer.status, answer.text() == all), (200, true), "{target}");
    }
    let info = server.get("/info");
    assert_eq!(info.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((info.header("x-b"), info.header("content-length")), (Some("2"), Some("200000")));
    assert!(info.header("etag").is_some());
    let file = server.get("/file");
    assert_eq!((file.header("content-type"), file.header("etag")), (Some("text/x-own"), Some("\"own\"")));
    assert!(server.get("/x").header("x-sendfile").is_none());
    let mut client = server.client();
    client.send("GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=10-14\r\n\r\n");
    let part = client.read();
    assert_eq!((part.status, part.text()), (206, "01234".to_owned()));
    assert_eq!((server.get("/none").status, server.get("/dir").status), (404, 404));
    assert_eq!(server.get("/closed").status, 500);
    assert_eq!(server.text("/"), "other");
    drop(client);
    server.stop();
}

#[test]
fn files_are_read_with_the_rights_of_the_worker() {
    let server = Options::handler("return Response::file('/etc/shadow');")
        .set("server.user", "'nobody'")
        .set("http.pool.num_workers", "1")
        .start();
    assert_eq!(server.get("/").status, 404);
    server.stop();
}

#[test]
fn events_are_a_stream_of_lines() {
    let server = Options::handler(
        "return Response::events((function () {
             yield \"two\nlines\"; yield ['event' => 'tick', 'id' => 7, 'data' => ['a' => 'ü']]; yield ['comment' => 'ping']; yield ['retry' => 5, 'data' => ''];
         })());",
    )
    .start();
    let mut client = get(&server, "");
    let head = client.read_head().expect("a head");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(
        chunks(&mut client).concat(),
        "data: two\ndata: lines\n\nevent: tick\nid: 7\ndata: {\"a\":\"ü\"}\n\n: ping\n\nretry: 5\ndata: \n\n"
    );
    drop(client);
    server.stop();
}

/// HTTP-15.
#[test]
fn early_hints_come_before_the_response_and_change_nothing_of_it() {
    let server = Options::handler(
        "$response = new Response('body', 404);
         $response->earlyHints(['Link' => ['</a.css>; rel=preload', '</b.js>; rel=preload']]);
         usleep(20000);
         $response->earlyHints(['Link' => '</c.js>; rel=preload']);
         return $response;",
    )
    .start();
    let mut client = get(&server, "");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..2 {
        let first = client.read_head().expect("hints");
        assert_eq!((first.status, first.header("link")), (103, Some("</a.css>; rel=preload")));
        assert!(first.head.contains("</b.js>"), "{}", first.head);
        let second = client.read_head().expect("hints");
        assert_eq!((second.status, second.header("link")), (103, Some("</c.js>; rel=preload")));
        let answer = client.read();
        assert_eq!((answer.status, answer.text()), (404, "body".to_owned()));
    }
    let mut old = server.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.read().status, 404);
    drop((client, old));
    server.stop();
}

#[test]
fn one_response_may_serve_many_requests() {
    let server = Options::handler(
        "static $response; $response ??= new Response('body');
         return $response->setTrailer('X-N', '1')->write($request->path());",
    )
    .start();
    for path in ["/a", "/b", "/c"] {
        assert_eq!(server.text(path), format!("{path}body"));
    }
    server.stop();
}

/// HTTP-13.
#[test]
fn trailers_follow_the_body() {
    let server = Options::handler(
        "$response = new Response(); $response->setTrailer('X-Sum', 'none');
         if ($request->path() === '/plain') { return $response->setBody('plain'); }
         if ($request->path() === '/head') { return new Response('head', 200, ['Trailer' => 'X-Sum', 'X-Sum' => 'given']); }
         return $response->setBody((function () use ($response) { yield 'body'; $response->setTrailer('X-Sum', '4'); })());",
    )
    .start();
    for (target, body, sum) in [("/", "body", "4"), ("/plain", "plain", "none"), ("/head", "head", "given")] {
        let mut client = server.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n"));
        let text = String::from_utf8_lossy(&client.read_to_end().expect("all")).to_lowercase();
        assert!(text.contains("trailer: x-sum"), "{target}: {text}");
        assert!(text.contains(&format!("{body}\r\n0\r\nx-sum: {sum}\r\n\r\n")), "{target}: {text}");
    }
    server.stop();
}

#[test]
fn a_client_that_goes_away_is_an_exception_of_the_next_flush() {
    let server = Options::handler(
        "if ($request->path() === '/next') { return 'next'; }
         $response = new Response(); $response->write('begin')->flush();
         try { for ($i = 0; $i < 5000; $i++) { usleep(1000); $response->write('x')->flush(); } }
         catch (ClientGoneException) { file_put_contents(__DIR__ . '/gone', $request->isCancelled() ? 'yes' : 'no'); }
         return $response;",
    )
    .start();
    let mut client = get(&server, "");
    client.read_head().expect("a head");
    drop(client);
    eventually("the handler has seen it", || server.read("gone") == "yes");
    assert_eq!(server.text("/next"), "next");
    server.stop();
}
