//! Clients that take a streamed answer more slowly than it is made: they hold no worker, and they get every byte.

use e2e::{Client, Options, Server, eventually};
use std::time::Duration;

/// A body of numbered lines of 16 bytes, as many as the path says, and a short one.
const LINES: &str = "
    if ($request->path() === '/quick') return 'quick';
    $lines = (int) substr($request->path(), 1);
    return new Response((function () use ($lines) {
        for ($at = 0; $at < $lines; $at += 1024) {
            $piece = '';
            for ($n = $at; $n < min($lines, $at + 1024); $n++) $piece .= sprintf(\"%015d\\n\", $n);
            yield $piece;
        }
    })());";
const MB: usize = 1 << 20;
/// Lines that make a megabyte.
const PER_MB: usize = MB / 16;

/// On a unix socket, where the kernel keeps little of what is not read.
fn options(handler: &str) -> Options {
    Options::handler(handler)
        .set("http.address", "'unix://' . __DIR__ . '/http.sock'")
        .address_from_settings()
}

fn server(settings: &[(&str, &str)]) -> Server {
    let options = options(LINES).workers(2);
    settings.iter().fold(options, |options, (key, value)| options.set(key, value)).start()
}

fn ask(server: &Server, lines: usize) -> Client {
    let mut client = server.client();
    client.try_request("GET", &format!("/{lines}"), "", b"").expect("sent");
    client
}

#[track_caller]
fn check(mut client: Client, lines: usize) {
    let body = client.read().body;
    assert_eq!(body.len(), lines * 16);
    for (number, line) in body.chunks(16).enumerate() {
        assert_eq!(line, format!("{number:015}\n").as_bytes());
    }
    assert_eq!(client.get("/quick").text(), "quick", "the connection is fine");
}

#[test]
fn slow_readers_hold_no_worker() {
    let _one = e2e::heavy();
    let server = server(&[("http.buffering.memory", "'64KB'"), ("http.buffering.total_memory", "'2MB'")]);
    let clients: Vec<Client> = (0..100).map(|_| ask(&server, 2 * PER_MB)).collect();
    assert_eq!(server.get("/quick").text(), "quick");
    for client in clients {
        check(client, 2 * PER_MB);
    }
    server.stop();
}

#[test]
fn a_reader_now_and_then_gets_everything_in_order() {
    let _one = e2e::heavy();
    let server = server(&[("http.buffering.memory", "'16KB'"), ("http.buffering.disk", "'1MB'")]);
    let lines = 8 * PER_MB + 7;
    let mut client = ask(&server, lines);
    assert_eq!(client.read_head().expect("a head").header("transfer-encoding"), Some("chunked"));
    // In and out of the file, several times: the others go on between two pieces.
    let mut body = Vec::new();
    loop {
        let chunk = client.read_chunk().expect("a chunk");
        if chunk.is_empty() {
            break;
        }
        if body.len() / MB != (body.len() + chunk.len()) / MB {
            assert_eq!(server.get("/quick").text(), "quick");
        }
        body.extend(chunk);
    }
    assert_eq!(body.len(), lines * 16);
    assert!(body.chunks(16).enumerate().all(|(number, line)| line == format!("{number:015}\n").as_bytes()));
    drop(client);
    server.stop();
}

#[test]
fn without_a_disk_a_worker_waits_for_its_client() {
    let _one = e2e::heavy();
    let server = server(&[("http.buffering.disk", "0")]);
    let clients = [ask(&server, 4 * PER_MB), ask(&server, 4 * PER_MB)];
    let mut quick = server.client();
    quick.patience(Duration::from_millis(300));
    quick.try_request("GET", "/quick", "", b"").expect("sent");
    assert!(quick.try_read().is_err(), "both workers wait for their clients");
    for client in clients {
        check(client, 4 * PER_MB);
    }
    drop(quick);
    server.stop();
}

#[test]
fn what_cannot_be_written_waits_and_is_not_lost() {
    let _one = e2e::heavy();
    let full =
        "mount -t tmpfs -o size=512k none \"$(dirname \"$(ls -d /tmp/rr-e2e-*/full | tail -1)\")/full\"";
    let server = options(LINES)
        .workers(1)
        .set("http.buffering.dir", "__DIR__ . '/full'")
        .file("full/.keep", "")
        .wrap(&["unshare", "--mount", "sh", "-c", &format!("{full} && exec \"$@\""), "sh"])
        .start();
    let client = ask(&server, 4 * PER_MB);
    server.logs.expect("workers wait for slow clients");
    check(client, 4 * PER_MB);
    assert_eq!(server.logs.count("workers wait for slow clients"), 1);
    server.stop();
}

#[test]
fn a_folder_that_is_not_there_is_said_and_does_no_harm() {
    let server = server(&[("http.buffering.dir", "'/nowhere/at/all'")]);
    let client = ask(&server, 4 * PER_MB);
    server.logs.expect("/nowhere/at/all");
    check(client, 4 * PER_MB);
    server.stop();
}

#[test]
fn what_came_before_a_crash_is_sent_and_then_cut_off() {
    let server = options(
        "return new Response((function () {
             for ($i = 0; $i < 32; $i++) yield str_repeat('x', 65536);
             posix_kill(posix_getpid(), SIGKILL);
         })());",
    )
    .expect_errors()
    .start();
    let mut client = ask(&server, 1);
    // All of it is out of the worker's hands before the first byte is read.
    server.logs.expect("killed by");
    client.read_head().expect("a head");
    let mut length = 0;
    let error = loop {
        match client.read_chunk() {
            Ok(chunk) if chunk.is_empty() => panic!("a whole body"),
            Ok(chunk) => length += chunk.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((length, error.kind()), (32 * 65536, std::io::ErrorKind::UnexpectedEof));
    drop(client);
    server.stop();
}

#[test]
fn a_client_that_goes_away_leaves_nothing_behind() {
    let server = server(&[]);
    let before = e2e::descriptors(server.pid());
    let clients: Vec<Client> = (0..8).map(|_| ask(&server, 4 * PER_MB)).collect();
    assert_eq!(server.get("/quick").text(), "quick");
    drop(clients);
    eventually("the files are closed", || e2e::descriptors(server.pid()) <= before);
    server.stop();
}
