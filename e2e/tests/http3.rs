//! The HTTP/3 server (HS-01).

use bytes::{Buf, Bytes};
use e2e::{Options, Server, certificates, soon, try_curl};
use h3::client::SendRequest;
use h3_quinn::OpenStreams;
use http::{HeaderMap, Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn options(body: &str, dir: &Path) -> Options {
    let file = |name: &str| format!("'{}'", dir.join(name).display());
    Options::handler(body)
        .set("http.http3.address", "'127.0.0.1:0'")
        .set("http.http3.cert", &file("server.crt"))
        .set("http.http3.key", &file("server.key"))
        .descriptors_may_grow()
}

fn place(server: &Server) -> SocketAddr {
    let shown = server.addrs().iter().find_map(|address| address.strip_suffix(" (HTTP/3)"));
    let shown = shown.and_then(|address| address.strip_prefix("https://"));
    shown.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{:?}", server.addrs()))
}

struct Connected {
    requests: SendRequest<OpenStreams, Bytes>,
    quic: quinn::Connection,
    driver: JoinHandle<()>,
    _endpoint: quinn::Endpoint,
}

fn tls(dir: &Path, show: bool) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.crt")).expect("PEM")).expect("a root");
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = if show {
        let chain = vec![CertificateDer::from_pem_file(dir.join("server.crt")).expect("PEM")];
        let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).expect("PEM");
        builder.with_client_auth_cert(chain, key).expect("a certificate")
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h3".to_vec()];
    config
}

async fn connect(place: SocketAddr, config: rustls::ClientConfig) -> Result<Connected, String> {
    let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
    let config = QuicClientConfig::try_from(config).expect("TLS 1.3");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
    let connecting = endpoint.connect(place, "localhost").expect("a name");
    let quic = connecting.await.map_err(|error| error.to_string())?;
    let made = h3::client::new(h3_quinn::Connection::new(quic.clone())).await;
    let (mut driver, requests) = made.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(async move {
        let _ = std::future::poll_fn(|cx| driver.poll_close(cx)).await;
    });
    Ok(Connected { requests, quic, driver, _endpoint: endpoint })
}

impl Connected {
    async fn ask(&self, request: Request<()>, body: &[u8]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut requests = self.requests.clone();
        let mut stream = requests.send_request(request).await.expect("sent");
        for piece in body.chunks(100_000) {
            // The server may have answered without the rest.
            if stream.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                break;
            }
        }
        let _ = stream.finish().await;
        let response = stream.recv_response().await.expect("a response");
        let mut text = Vec::new();
        while let Some(mut piece) = stream.recv_data().await.expect("a body") {
            text.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
        }
        let (parts, ()) = response.into_parts();
        (parts.status, parts.headers, text)
    }

    async fn get(&self, target: &str) -> String {
        let (_, _, body) = self.ask(get(target), b"").await;
        String::from_utf8_lossy(&body).into_owned()
    }
}

fn get(target: &str) -> Request<()> {
    Request::get(format!("https://localhost{target}")).body(()).expect("a request")
}

#[test]
fn hs_01_http_3_is_served() {
    let dir = certificates();
    let body = "if ($request->path() === '/stream') {
            return new Response((function () { for ($i = 0; $i < 40; $i++) { yield str_repeat('x', 50000); } })());
        }
        if ($request->path() === '/none') { return new Response('', 204); }
        return new Response($request->protocol() . ' ' . $request->uri() . ' ' . strlen($request->body()) . ' '
            . $request->header('cookie'), 200, ['Connection' => 'close', 'X-App' => 'a']);";
    let server = options(body, dir.path()).workers(2).start();
    runtime().block_on(async {
        let client = connect(place(&server), tls(dir.path(), false)).await.expect("connects");
        let mut request = get("/a?b");
        request.headers_mut().append("cookie", http::HeaderValue::from_static("a=1"));
        request.headers_mut().append("cookie", http::HeaderValue::from_static("b=2"));
        let (status, headers, body) = client.ask(request, b"").await;
        assert_eq!((status.as_u16(), &*body), (200, &b"HTTP/3.0 https://localhost/a?b 0 a=1; b=2"[..]));
        assert_eq!(headers["content-length"].to_str().ok(), Some(&*body.len().to_string()));
        assert!(
            headers.contains_key("date") && headers["x-app"] == "a" && !headers.contains_key("connection")
        );
        let post = || Request::post("https://localhost/p").body(()).expect("a request");
        let (_, _, body) = client.ask(post(), &vec![b'x'; 3_000_000]).await;
        assert!(body.starts_with(b"HTTP/3.0 https://localhost/p 3000000"));
        let mut short = post();
        short.headers_mut().insert("content-length", http::HeaderValue::from_static("10"));
        assert_eq!(client.ask(short, b"abc").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(client.get("/stream").await.len(), 2_000_000);
        assert_eq!(client.ask(get("/none"), b"").await.0, StatusCode::NO_CONTENT);
        let head = Request::head("https://localhost/").body(()).expect("a request");
        assert!(client.ask(head, b"").await.2.is_empty());
        // Side by side.
        let all: Vec<_> = (0..100)
            .map(|index| {
                let target = format!("/{index}");
                async {
                    client.get(&target.clone()).await;
                    target
                }
            })
            .collect();
        for one in all {
            one.await;
        }
        client.quic.close(0_u32.into(), b"");
        let _ = client.driver.await;
    });
    server.stop();
}

#[test]
fn http_15_early_hints_come_before_the_answer() {
    let dir = certificates();
    let body = "$response = new Response('x', 418);
        $response->earlyHints(['Link' => '</a.css>; rel=preload']);
        $response->earlyHints(['Link' => '</b.js>; rel=preload']);
        return $response;";
    let server = options(body, dir.path()).start();
    runtime().block_on(async {
        let client = connect(place(&server), tls(dir.path(), false)).await.expect("connects");
        let mut stream = client.requests.clone().send_request(get("/")).await.expect("sent");
        stream.finish().await.expect("finished");
        for link in ["</a.css>; rel=preload", "</b.js>; rel=preload"] {
            let hints = stream.recv_response().await.expect("hints");
            assert_eq!((hints.status().as_u16(), hints.headers()["link"].to_str().ok()), (103, Some(link)));
        }
        assert_eq!(stream.recv_response().await.expect("a response").status().as_u16(), 418);
        client.quic.close(0_u32.into(), b"");
    });
    server.stop();
}

#[test]
fn clients_are_told_of_it_and_shown_what_ssl_asks_for() {
    let dir = certificates();
    let file = |name: &str| format!("'{}'", dir.path().join(name).display());
    let server = Options::handler("return $request->protocol();")
        .set("http.ssl.address", "'127.0.0.1:0'")
        .set("http.ssl.cert", &file("server.crt"))
        .set("http.ssl.key", &file("server.key"))
        .set("http.ssl.root_ca", &file("ca.crt"))
        .set("http.ssl.client_auth_type", "'require_and_verify_client_cert'")
        .set("http.http3.address", "'127.0.0.1:0'")
        .descriptors_may_grow()
        .start();
    let plain = |name: &str| dir.path().join(name).display().to_string();
    let url = server.addrs().iter().find(|address| address.starts_with("https://")).expect("https").clone();
    let (ca, cert, key) = (plain("ca.crt"), plain("server.crt"), plain("server.key"));
    let answer = try_curl(&["--cacert", &ca, "--cert", &cert, "--key", &key, &url]).expect("an answer");
    let port = place(&server).port();
    assert_eq!(answer.header("alt-svc"), Some(&*format!("h3=\":{port}\"; ma=86400")));
    assert_eq!(server.get("/").header("alt-svc"), None, "plain HTTP is no place to learn it");
    runtime().block_on(async {
        let client = connect(place(&server), tls(dir.path(), true)).await.expect("connects");
        assert_eq!(client.get("/").await, "HTTP/3.0");
        client.quic.close(0_u32.into(), b"");
        // Another way in is not one around it.
        if let Ok(stranger) = connect(place(&server), tls(dir.path(), false)).await {
            let mut requests = stranger.requests.clone();
            let asked = async {
                let mut stream = requests.send_request(get("/")).await.map_err(|error| error.to_string())?;
                stream.recv_response().await.map_err(|error| error.to_string())
            };
            assert!(asked.await.is_err(), "a client without a certificate");
        }
    });
    server.stop();
}

#[test]
fn clients_that_leave_and_clients_that_stand_still_hold_no_worker() {
    let dir = certificates();
    let body = "if ($request->path() === '/wait') {
            touch(__DIR__ . '/began');
            while (!$request->isCancelled()) { usleep(1000); }
            touch(__DIR__ . '/gone');
        }
        return 'x';";
    let server = options(body, dir.path()).set("http.read_timeout", "'400ms'").start();
    runtime().block_on(async {
        let client = connect(place(&server), tls(dir.path(), false)).await.expect("connects");
        let mut requests = client.requests.clone();
        let mut stream = requests.send_request(get("/wait")).await.expect("sent");
        stream.finish().await.expect("finished");
        soon("it runs", || server.file("began").exists()).await;
        client.quic.close(0_u32.into(), b"");
        let _ = client.driver.await;
        soon("the worker is told", || server.file("gone").exists()).await;
        let client = connect(place(&server), tls(dir.path(), false)).await.expect("connects");
        let mut requests = client.requests.clone();
        let request = Request::post("https://localhost/").body(()).expect("a request");
        let mut stream = requests.send_request(request).await.expect("sent");
        stream.send_data(Bytes::from_static(b"some")).await.expect("sent");
        let answer = tokio::time::timeout(e2e::SOON, stream.recv_response()).await.expect("in time");
        assert_eq!(answer.expect("a response").status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(client.get("/").await, "x");
        client.quic.close(0_u32.into(), b"");
    });
    server.stop();
}

#[test]
fn what_is_no_quic_does_no_harm_and_the_end_finishes_requests() {
    let dir = certificates();
    let body = "if ($request->path() !== '/wait') { return 'x'; }
        touch(__DIR__ . '/began');
        while (!file_exists(__DIR__ . '/go')) { usleep(1000); }
        return 'done';";
    let mut server = options(body, dir.path()).start();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut state = 0x1234_5678_9abc_def1_u64;
    for length in (0..1400).step_by(7) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                u8::try_from(state & 0xff).unwrap_or(0)
            })
            .collect();
        let _ = socket.send_to(&bytes, place(&server));
    }
    runtime().block_on(async {
        let client = connect(place(&server), tls(dir.path(), false)).await.expect("connects");
        assert_eq!(client.get("/").await, "x");
        let waiting = client.get("/wait");
        let meanwhile = async {
            soon("it runs", || server.file("began").exists()).await;
            server.signal(15);
            soon("the server stops", || server.logs.text().contains("stopping")).await;
            std::fs::write(server.file("go"), "").expect("a file");
        };
        let (text, ()) = tokio::join!(waiting, meanwhile);
        assert_eq!(text, "done");
    });
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}
