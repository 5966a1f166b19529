//! Bodies larger than the channel, in both directions, and bodies that come piece by piece.

use e2e::{Options, Server, eventually, peak_memory, reset_peak};
use std::time::Duration;

const MB: usize = 1 << 20;
const LARGE: usize = 50 * MB;
/// KiB that a process may grow by while 50 MB pass through it.
const ROOM: u64 = 32 * 1024;

/// Starts to look at the memory of all processes of the server.
fn peaks(server: &Server) -> Vec<(u32, String, u64)> {
    let mut pids = vec![(server.pid(), "master".to_owned())];
    pids.extend(server.processes().into_iter().map(|process| (process.pid, process.name)));
    let peak = |(pid, name): (u32, String)| {
        reset_peak(pid);
        (pid, name, peak_memory(pid))
    };
    pids.into_iter().map(peak).collect()
}

#[track_caller]
fn check(before: &[(u32, String, u64)]) {
    for (pid, name, was) in before {
        let now = peak_memory(*pid);
        assert!(now < was + ROOM, "{name} {pid} grew from {was} to {now} KiB");
    }
}

#[test]
fn a_50_mb_upload_streams_through() {
    let _one = e2e::heavy();
    let server = Options::handler(
        "$sum = 0; $hash = hash_init('crc32b');
         while (($piece = $request->read()) !== null) { $sum += strlen($piece); hash_update($hash, $piece); }
         return new Response($sum . ' ' . hash_final($hash));",
    )
    .start();
    let small = server.client().post("/", b"warm").text();
    assert!(small.starts_with("4 "), "{small}");
    let before = peaks(&server);
    let piece: Vec<u8> = (0..MB).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect();
    let mut client = server.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n"));
    for _ in 0..50 {
        client.send(&piece);
    }
    let text = client.read().text();
    assert!(text.starts_with(&format!("{LARGE} ")), "{text}");
    // The same through PHP in one piece gives the same checksum: nothing was lost or swapped.
    assert_eq!(text.split(' ').nth(1), Some(crc32b(&piece, 50).as_str()));
    check(&before);
    drop(client);
    server.stop();
}

fn crc32b(piece: &[u8], times: usize) -> String {
    let table: Vec<u32> = (0..256_u32)
        .map(|index| (0..8).fold(index, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }))
        .collect();
    let mut crc = u32::MAX;
    for byte in std::iter::repeat_n(piece, times).flatten() {
        crc = (crc >> 8) ^ table[usize::from(crc.to_le_bytes()[0] ^ byte)];
    }
    format!("{:08x}", !crc)
}

#[test]
fn a_50_mb_download_streams_through() {
    let _one = e2e::heavy();
    let server = Options::handler(
        "$pieces = $request->path() == '/small' ? 1 : 800;
         return new Response((function () use ($pieces) {
             for ($i = 0; $i < $pieces; $i++) yield str_repeat(chr(65 + $i % 26), 65536);
         })());",
    )
    .start();
    assert_eq!(server.get("/small").status, 200);
    let before = peaks(&server);
    let mut client = server.client();
    client.try_request("GET", "/", "", b"").expect("sent");
    let head = client.read_head().expect("a head");
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.skip_chunks().expect("all of it"), LARGE);
    check(&before);
    // The connection is fine for another one.
    assert_eq!(client.get("/small").body.len(), 65536);
    drop(client);
    server.stop();
}

#[test]
fn a_50_mb_string_is_sent_with_its_length() {
    let _one = e2e::heavy();
    let server =
        Options::handler("return new Response(str_repeat('x', 50 << 20));").ini("memory_limit=256M").start();
    let mut client = server.client();
    client.try_request("GET", "/", "", b"").expect("sent");
    let response = client.read();
    assert_eq!(response.header("content-length"), Some("52428800"));
    assert!(response.body.len() == LARGE && response.body.iter().all(|byte| *byte == b'x'));
    drop(client);
    server.stop();
}

#[test]
fn a_large_body_at_once_is_echoed() {
    let _one = e2e::heavy();
    let server = Options::handler("return new Response($request->body());").start();
    // Around the size of the ring, where splits and wrap-arounds lie.
    for size in [65_535, 65_536, 131_000, 262_143, 262_144, 262_145, 600_000, 3_000_001] {
        let body: Vec<u8> = (0..size).map(|at: usize| (at * 31 + at / 257).to_le_bytes()[0]).collect();
        let echo = server.client().post("/", &body);
        assert_eq!(echo.status, 200, "{size}");
        assert!(echo.body == body, "a body of {size} bytes comes back changed, {} bytes", echo.body.len());
    }
    server.stop();
}

#[test]
fn http_14_pieces_of_a_stream_arrive_as_they_are_made() {
    let server = Options::handler(
        "return new Response((function () {
             yield 'one';
             while (!file_exists(__DIR__ . '/go')) { usleep(1000); }
             yield 'two';
         })(), 200, ['Content-Type' => 'text/event-stream']);",
    )
    .start();
    let mut client = server.client();
    client.try_request("GET", "/", "", b"").expect("sent");
    assert_eq!(client.read_head().expect("a head").header("content-type"), Some("text/event-stream"));
    assert_eq!(client.read_chunk().expect("the first piece"), b"one");
    std::fs::write(server.file("go"), "").expect("a file");
    assert_eq!(client.read_chunk().expect("the second piece"), b"two");
    assert_eq!(client.read_chunk().expect("the end"), b"");
    drop(client);
    server.stop();
}

#[test]
fn pieces_of_an_upload_reach_php_as_they_come() {
    let server = Options::handler(
        "$first = $request->read();
         file_put_contents(__DIR__ . '/seen', strlen($first));
         $sum = strlen($first);
         while (($piece = $request->read()) !== null) $sum += strlen($piece);
         return new Response((string) $sum);",
    )
    .start();
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    client.send(vec![b'x'; 1_000_000]);
    eventually("PHP has read the first piece", || !server.read("seen").is_empty());
    client.send(vec![b'x'; 1_000_000]);
    assert_eq!(client.read().text(), "2000000");
    drop(client);
    server.stop();
}

#[test]
fn other_iterables_are_streams_too() {
    let server = Options::handler(
        "switch ($request->path()) {
             case '/array': return new Response(['a', 'b', 3]);
             case '/iterator': return new Response(new ArrayIterator(['x', '', 'y']));
             case '/empty': return new Response((function () { yield from []; })());
             case '/nothing': return new Response([]);
             case '/stringable': return new Response(new class { function __toString() { return 'str'; } });
             case '/null': return null;
             case '/string': return 'plain';
         }",
    )
    .start();
    let mut client = server.client();
    let cases = [("array", "ab3"), ("iterator", "xy"), ("empty", ""), ("nothing", ""), ("stringable", "str")];
    for (path, want) in cases.into_iter().chain([("string", "plain")]) {
        let response = client.get(&format!("/{path}"));
        assert_eq!((response.status, response.text().as_str()), (200, want), "{path}");
    }
    assert_eq!(client.get("/null").status, 204);
    drop(client);
    server.stop();
}

#[test]
fn http_17_an_exception_inside_a_stream_breaks_the_connection() {
    let server = Options::handler(
        "return new Response((function () { yield 'some'; throw new Exception('midway'); })());",
    )
    .expect_errors()
    .start();
    let mut client = server.client();
    client.try_request("GET", "/", "", b"").expect("sent");
    assert_eq!(client.read_head().expect("a head").status, 200);
    let rest = client.skip_chunks();
    assert!(rest.is_err(), "the client must not take it for a whole answer: {rest:?}");
    server.logs.expect("midway");
    assert_eq!(server.processes().len(), 2, "the worker is fine");
    server.stop();
}

#[test]
fn an_exception_before_the_first_piece_is_a_500() {
    let server = Options::handler(
        "return new Response((function () { throw new Exception('at once'); yield 'never'; })());",
    )
    .expect_errors()
    .start();
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 500);
    }
    drop(client);
    server.stop();
}

#[test]
fn exit_inside_a_stream_ends_the_stream() {
    let server = Options::handler("return new Response((function () { yield 'some'; exit; })());").start();
    let mut client = server.client();
    assert_eq!(client.get("/").text(), "some");
    assert_eq!(client.get("/").text(), "some");
    drop(client);
    server.stop();
}

#[test]
fn http_16_a_client_that_leaves_a_stream_frees_the_worker() {
    let server = Options::handler(
        "if ($request->path() == '/') return new Response('fine');
         return new Response((function () use ($request) {
             try { while (true) { yield str_repeat('x', 10000); } }
             finally { file_put_contents(__DIR__ . '/end', 'closed'); }
         })());",
    )
    .start();
    let pid = server.processes();
    let mut client = server.client();
    client.try_request("GET", "/endless", "", b"").expect("sent");
    client.read_head().expect("a head");
    client.read_chunk().expect("a piece");
    drop(client);
    assert_eq!(server.text("/"), "fine");
    eventually("the generator is destroyed", || server.read("end") == "closed");
    assert_eq!(server.processes(), pid, "the worker is the same");
    server.stop();
}

#[test]
fn a_body_that_nobody_reads_does_not_reach_the_next_request() {
    let _one = e2e::heavy();
    let server = Options::handler(
        "return new Response($request->method() . ' ' . strlen((string) $request->header('x')));",
    )
    .start();
    let mut client = server.client();
    client.patience(Duration::from_secs(20));
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    // The server may answer and close before it has all of it.
    let all = client.try_send(vec![b'G'; 3_000_000]);
    if let Ok(response) = client.try_read() {
        assert_eq!(response.text(), "POST 0");
    } else {
        assert!(all.is_err(), "all was taken, and there was no answer");
    }
    for _ in 0..3 {
        assert_eq!(server.text("/"), "GET 0");
    }
    // A server that has read the whole body keeps the connection.
    drop(client);
    server.stop();
}
