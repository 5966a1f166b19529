//! Requests side by side on one connection of HTTP/2 (HS-12): what is given up, what stands still, what is too much, and
//! the end of the server.

use bytes::Bytes;
use e2e::{Options, Server, soon};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

type Sender = SendRequest<Full<Bytes>>;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn options(body: &str) -> Options {
    Options::handler(body).set("http.http2.h2c", "true")
}

/// A connection, and the task that ends with it. `window`: bytes of an answer that are taken unasked.
async fn connect(server: &Server, window: u32) -> (Sender, JoinHandle<bool>) {
    let stream = TcpStream::connect(server.addr()).await.expect("connects");
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    (sender, tokio::spawn(async move { connection.await.is_ok() }))
}

fn get(server: &Server, target: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://{}{target}", server.addr())).body(Full::default()).expect("a request")
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[test]
fn requests_of_a_connection_run_side_by_side_and_are_given_up_alone() {
    let body = "if ($request->path() === '/long') {
            touch(__DIR__ . '/began');
            try { while (true) { usleep(1000); if ($request->isCancelled()) { break; } } }
            finally { touch(__DIR__ . '/gone'); }
        }
        return $request->path();";
    let server = options(body).workers(2).start();
    runtime().block_on(async {
        let (mut sender, connection) = connect(&server, 1 << 16).await;
        let long = tokio::spawn(sender.send_request(get(&server, "/long")));
        soon("it runs", || server.file("began").exists()).await;
        for index in 0..50 {
            let target = format!("/{index}");
            let answer = sender.send_request(get(&server, &target)).await.expect("an answer");
            assert_eq!(text(answer).await, target);
        }
        assert!(!server.file("gone").exists());
        // A stream that its client resets is given up; its neighbours are not.
        long.abort();
        let _ = long.await;
        let mut gone = false;
        for _ in 0..2000 {
            let answer = sender.send_request(get(&server, "/x")).await.expect("an answer");
            assert_eq!(text(answer).await, "/x");
            gone = server.file("gone").exists();
            if gone {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(gone, "the worker was told");
        drop(sender);
        let _ = connection.await;
    });
    server.stop();
}

#[test]
fn a_stream_that_is_not_read_frees_its_worker_and_ends_in_time() {
    let body = "if ($request->path() !== '/big') { return 'small'; }
        return new Response((function () { for ($i = 0; $i < 64; $i++) { yield str_repeat('x', 65536); } touch(__DIR__ . '/said'); })());";
    let server = options(body).set("http.write_timeout", "'700ms'").descriptors_may_grow().start();
    runtime().block_on(async {
        let (mut sender, connection) = connect(&server, 1024).await;
        let big = sender.send_request(get(&server, "/big")).await.expect("a head");
        // Nobody reads it, and yet the only worker is there for others.
        let answer = sender.send_request(get(&server, "/")).await.expect("an answer");
        assert_eq!(text(answer).await, "small");
        assert!(server.file("said").exists());
        let ended = tokio::time::timeout(e2e::SOON, connection).await;
        assert!(ended.is_ok(), "the connection of a client that takes nothing");
        let mut big = big.into_body();
        while let Some(Ok(_)) = big.frame().await {}
    });
    assert_eq!(server.text("/"), "small");
    server.stop();
}

#[test]
fn a_paused_stream_does_not_end_those_that_go_on() {
    // A browser that has paused a film and loads other things.
    let body = "if ($request->path() !== '/big') { return 'small'; }
        return new Response((function () { for ($i = 0; $i < 8; $i++) { yield str_repeat('x', 65536); } })());";
    let server = options(body).set("http.write_timeout", "'400ms'").descriptors_may_grow().start();
    runtime().block_on(async {
        let (mut sender, _connection) = connect(&server, 1024).await;
        let big = sender.send_request(get(&server, "/big")).await.expect("a head");
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(1600) {
            let answer = sender.send_request(get(&server, "/")).await.expect("the connection is there");
            assert_eq!(text(answer).await, "small");
        }
        assert_eq!(text(big).await.len(), 8 * 65536);
    });
    server.stop();
}

#[test]
fn the_end_of_the_server_finishes_streams_that_run() {
    let body = "touch(__DIR__ . '/began');
        while (!file_exists(__DIR__ . '/go')) { usleep(1000); }
        return 'done';";
    let mut server = options(body).start();
    runtime().block_on(async {
        let (mut sender, connection) = connect(&server, 1 << 16).await;
        let answer = tokio::spawn(sender.send_request(get(&server, "/")));
        soon("it runs", || server.file("began").exists()).await;
        server.signal(15);
        soon("the server stops", || server.logs.text().contains("stopping")).await;
        std::fs::write(server.file("go"), "").expect("a file");
        let answer = answer.await.expect("a task").expect("an answer");
        assert_eq!(text(answer).await, "done");
        drop(sender);
        let ended = tokio::time::timeout(e2e::SOON, connection).await;
        assert!(ended.is_ok(), "the server says goodbye");
    });
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn hs_12_there_is_a_limit_of_streams_and_of_heads() {
    let server = options("usleep(20000); return 'x';").set("http.http2.max_concurrent_streams", "3").start();
    runtime().block_on(async {
        let (sender, _connection) = connect(&server, 1 << 16).await;
        // The first answer brings the limit; then the client waits for a place, and all are answered.
        let answer = sender.clone().send_request(get(&server, "/")).await.expect("an answer");
        assert_eq!(text(answer).await, "x");
        let all: Vec<_> = (0..12)
            .map(|_| {
                let mut sender = sender.clone();
                let request = get(&server, "/");
                tokio::spawn(async move {
                    sender.send_request(request).await.map(|answer| answer.status().as_u16())
                })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.expect("a task").expect("an answer"), 200);
        }
        let mut request = get(&server, "/");
        let long = http::HeaderValue::from_bytes(&vec![b'x'; 100 * 1024]).expect("a value");
        request.headers_mut().insert("x-long", long);
        let mut sender = sender.clone();
        match sender.send_request(request).await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 431),
            Err(error) => assert!(error.to_string().contains("http2"), "{error}"),
        }
    });
    assert_eq!(server.text("/"), "x");
    server.stop();
}

#[test]
fn a_worker_that_is_killed_costs_its_own_stream() {
    let body = "if ($request->path() === '/die') { posix_kill(getmypid(), 9); }
        if ($request->path() === '/half') {
            return new Response((function () { yield str_repeat('x', 100000); usleep(50000); posix_kill(getmypid(), 9); yield 'y'; })());
        }
        usleep(2000);
        return 'x';";
    let server = options(body).workers(3).expect_errors().descriptors_may_grow().start();
    runtime().block_on(async {
        let (sender, _connection) = connect(&server, 1 << 20).await;
        let all: Vec<_> = (0..60)
            .map(|index| {
                let mut sender = sender.clone();
                let target = match index % 20 {
                    7 => "/die",
                    13 => "/half",
                    _ => "/",
                };
                let request = get(&server, target);
                tokio::spawn(async move {
                    let answer = sender.send_request(request).await.expect("an answer");
                    (target, answer.status().as_u16(), answer.into_body().collect().await.is_ok())
                })
            })
            .collect();
        for one in all {
            let expected = match one.await.expect("a task") {
                ("/die", status, _) => status == 502,
                ("/half", status, whole) => status == 200 && !whole,
                (_, status, whole) => status == 200 && whole,
            };
            assert!(expected);
        }
    });
    server.stop();
}

#[test]
fn a_client_that_resets_again_and_again_is_no_burden() {
    let server = options("usleep(1000); return 'x';").workers(2).start();
    runtime().block_on(async {
        for _ in 0..5 {
            let (sender, connection) = connect(&server, 1 << 16).await;
            for _ in 0..1000 {
                let mut sender = sender.clone();
                let request = get(&server, "/");
                let asked = tokio::spawn(async move { sender.send_request(request).await });
                tokio::task::yield_now().await;
                asked.abort();
            }
            drop(sender);
            connection.abort();
        }
        let (mut sender, _connection) = connect(&server, 1 << 16).await;
        let answer = tokio::time::timeout(e2e::SOON, sender.send_request(get(&server, "/"))).await;
        assert_eq!(text(answer.expect("in time").expect("an answer")).await, "x");
    });
    assert_eq!(server.text("/"), "x");
    server.stop();
}

#[test]
fn frames_that_are_none_end_their_connection_only() {
    let server = options("return 'x';").set("http.idle_timeout", "'300ms'").start();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..200 {
        // A preface, settings, and what looks like frames.
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        for _ in 0..random() % 8 {
            let length = u8::try_from(random() % 40).unwrap_or(0);
            let [kind, flags, stream] =
                [random() % 11, random() % 64, random() % 4].map(|byte| u8::try_from(byte).unwrap_or(0));
            bytes.extend_from_slice(&[0, 0, length, kind, flags, 0, 0, 0, stream]);
            bytes.extend((0..length).map(|_| u8::try_from(random() & 0xff).unwrap_or(0)));
        }
        let mut client = server.client();
        let _ = client.try_send(&bytes);
    }
    assert_eq!(server.text("/"), "x");
    server.stop();
}

#[test]
fn hostnames_that_disagree_and_bodies_that_are_too_long_are_refused() {
    let server = options("return $request->header('host');").set("http.max_request_size", "1").start();
    runtime().block_on(async {
        let (mut sender, _connection) = connect(&server, 1 << 16).await;
        let mut request = get(&server, "/");
        request.headers_mut().insert("host", http::HeaderValue::from_static("another.example"));
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 400);
        let big = Full::new(Bytes::from(vec![b'x'; 3 << 20]));
        let request = Request::post(format!("http://{}/", server.addr())).body(big).expect("a request");
        match sender.send_request(request).await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 413),
            Err(error) => panic!("{error}"),
        }
        let answer = sender.send_request(get(&server, "/")).await.expect("an answer");
        assert_eq!(text(answer).await, server.addr());
    });
    server.stop();
}
