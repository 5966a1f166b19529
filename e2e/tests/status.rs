//! What monitors ask (rows ST-01…05, R-30), and the live view of the workers.

use e2e::{Client, Goridge, Options, Response, Server, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A request for `/wait` ends when the file `go` is there.
const HANDLER: &str = "
    if ($request->path() === '/wait') {
        touch(__DIR__ . '/waiting');
        while (!file_exists(__DIR__ . '/go')) { usleep(2000); clearstatcache(); }
    }
    return 'x';";

fn options() -> Options {
    Options::handler(HANDLER)
        .set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
        .set("status.address", "'127.0.0.1:0'")
}

fn address(server: &Server) -> &str {
    let found = server.addrs().iter().filter_map(|address| address.strip_prefix("tcp://")).next_back();
    found.expect("an address")
}

fn ask(server: &Server, target: &str) -> Response {
    Client::connect(address(server)).get(target)
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("no JSON: {}", response.text()))
}

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

fn go(server: &Server) {
    std::fs::write(server.file("go"), "").expect("a file");
}

/// A connection whose request waits in the worker.
fn waiting(server: &Server) -> Client {
    let mut client = server.client();
    client.send("GET /wait?secret=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the request runs", || server.file("waiting").exists());
    client
}

#[test]
fn st_01_to_st_03_health_and_readiness() {
    let server = options().start();
    let well = json!([{"plugin_name": "http", "error_message": "", "status_code": 200}]);
    for target in ["/health", "/ready", "/health?plugin=http", "/ready?plugin=http&plugin=http"] {
        let response = ask(&server, target);
        assert_eq!((response.status, body(&response)), (200, well.clone()), "{target}");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    for target in ["/health?plugin=nothing", "/ready?plugin=nothing"] {
        let response = ask(&server, target);
        assert_eq!((response.status, body(&response)), (200, json!([])), "ST-03: {target}");
    }
    let mut busy = waiting(&server);
    assert_eq!(ask(&server, "/health").status, 200, "a worker that works lives");
    let response = ask(&server, "/ready");
    let ill = json!([{"plugin_name": "http", "error_message": "internal server error, see logs", "status_code": 503}]);
    assert_eq!((response.status, body(&response)), (503, ill), "ST-02: a busy pool is not ready");
    go(&server);
    assert_eq!(busy.read().status, 200);
    eventually("it is ready again", || ask(&server, "/ready").status == 200);
    drop(busy);
    server.stop();
}

#[test]
fn st_02_the_status_of_what_is_unavailable() {
    let server = options().set("status.unavailable_status_code", "500").start();
    let mut busy = waiting(&server);
    let response = ask(&server, "/ready");
    assert_eq!((response.status, &body(&response)[0]["status_code"]), (500, &json!(500)));
    go(&server);
    assert_eq!(busy.read().status, 200);
    drop(busy);
    server.stop();
}

#[test]
fn st_04_a_server_that_stops_lives_and_is_not_ready() {
    let mut server = options().start();
    let mut busy = waiting(&server);
    server.note_processes();
    server.signal(15);
    server.logs.expect("stopping");
    for (target, status) in [("/health", 200), ("/ready", 503), ("/jobs", 503)] {
        let response = ask(&server, target);
        assert_eq!(
            (response.status, response.text().trim()),
            (status, "service is shutting down"),
            "{target}"
        );
    }
    go(&server);
    assert_eq!(busy.read().status, 200);
    drop(busy);
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn st_05_jobs_without_jobs_are_answered_in_full() {
    let server = options().start();
    let mut client = Client::connect(address(&server));
    let response = client.get("/jobs");
    assert_eq!((response.status, response.text().trim()), (503, "jobs plugin not found"));
    assert_eq!(ask(&server, "/health").status, 200);
    drop(client);
    server.stop();
}

#[test]
fn r_30_the_same_over_rpc() {
    let server = options().start();
    let mut client = rpc(&server);
    for method in ["Status", "Ready"] {
        let well = client.json(&format!("status.{method}"), r#"{"plugin": "http"}"#);
        assert_eq!(well, Ok(json!({"code": 200})), "{method}");
    }
    let unknown = client.json("status.Status", r#"{"plugin": "X"}"#);
    assert_eq!(unknown, Err("checker_rpc_status:\n\tchecker_plugin_status: no such plugin: X".to_owned()));
    let unknown = client.json("status.Ready", r#"{"plugin": "X"}"#);
    assert_eq!(unknown, Err("checker_rpc_ready:\n\tchecker_plugin_ready: no such plugin: X".to_owned()));
    let mut busy = waiting(&server);
    let mut code = |method: &str| {
        client.json(&format!("status.{method}"), r#"{"plugin": "http"}"#).expect("a status")["code"].clone()
    };
    assert_eq!((code("Status"), code("Ready")), (json!(200), json!(503)));
    go(&server);
    assert_eq!(busy.read().status, 200);
    drop((busy, client));
    server.stop();
    let server =
        Options::handler("return 'x';").set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'").start();
    let mut client = rpc(&server);
    let none = client.json("status.Status", r#"{"plugin": "http"}"#);
    assert_eq!(none, Err("rpc: can't find service status.Status".to_owned()), "only with the section");
    assert_eq!(client.json("server.Workers", "\"http\"").expect("workers").as_array().map(Vec::len), Some(1));
    drop(client);
    server.stop();
}

#[test]
fn workers_and_what_each_does_now() {
    let server = options().workers(2).start();
    for _ in 0..3 {
        assert_eq!(server.get("/").status, 200);
    }
    let mut busy = waiting(&server);
    let response = ask(&server, "/workers");
    let workers = body(&response);
    let workers = workers.as_array().expect("a list");
    assert_eq!(workers.len(), 2);
    let pids: Vec<u64> = server.processes().iter().map(|process| u64::from(process.pid)).collect();
    for worker in workers {
        assert!(pids.contains(&worker["pid"].as_u64().expect("a pid")), "{worker}");
        assert_eq!((&worker["pool"], &worker["generation"]), (&json!("http"), &json!(1)));
        assert!(worker["memory"].as_u64().is_some_and(|bytes| bytes > 10_000), "{worker}");
        assert!(worker["age_ms"].is_u64() && worker["id"].is_u64(), "{worker}");
    }
    let served: u64 = workers.iter().filter_map(|worker| worker["served"].as_u64()).sum();
    assert_eq!(served, 3);
    let works = workers.iter().find(|worker| worker["state"] == "working").expect("one works");
    assert_eq!((&works["method"], &works["uri"]), (&json!("GET"), &json!("/wait?secret=1")));
    assert!(works["busy_ms"].is_u64(), "{works}");
    let rests = workers.iter().find(|worker| worker["state"] == "ready").expect("one is ready");
    assert_eq!((&rests["uri"], &rests["busy_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(ask(&server, "/ready").status, 200, "one of two is free");
    assert_eq!(body(&ask(&server, "/workers?plugin=nothing")), json!([]));
    let mut client = rpc(&server);
    let same = client.json("server.Workers", "\"\"").expect("workers");
    assert_eq!(same.as_array().map(Vec::len), Some(2));
    assert!(same.as_array().is_some_and(|list| list.iter().any(|one| one["uri"] == "/wait?secret=1")));
    go(&server);
    assert_eq!(busy.read().status, 200);
    drop((busy, client));
    server.stop();
}

#[test]
fn other_paths_and_methods_are_refused() {
    let server = options().start();
    let lost = ask(&server, "/");
    assert_eq!(lost.status, 404);
    assert!(lost.text().contains("/health, /ready, /jobs and /workers"));
    let refused = Client::connect(address(&server)).post("/health", b"x");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    server.stop();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let end = Options::handler("return 'x';").set("status.address", &format!("'{address}'")).finish();
    assert_eq!(end.code, Some(1));
    assert!(end.stderr.contains("status.address: cannot listen on"), "{}", end.stderr);
}

#[test]
fn slow_and_hostile_clients_are_bounded() {
    let server = options().set("status.check_timeout", "'1s'").start();
    let began = Instant::now();
    let mut slow: Vec<Client> = (0..100).map(|_| Client::connect(address(&server))).collect();
    for client in &mut slow {
        client.send("GET /health HTTP/1.1\r\nX-Slow: ");
    }
    assert_eq!(ask(&server, "/health").status, 200, "others are served");
    for client in &mut slow {
        assert!(client.is_closed_within(Duration::from_secs(15)), "after check_timeout");
    }
    assert!(began.elapsed() < Duration::from_secs(15));
    for bytes in [
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(500)),
        "GET /health?plugin=%ff%zz%00&plugin HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
    ] {
        let mut client = Client::connect(address(&server));
        let _ = client.try_send(bytes);
        assert!(client.is_closed_within(Duration::from_secs(15)), "one answer, and the end");
    }
    // The answer is made five times a second, however often it is asked for.
    for _ in 0..200 {
        assert_eq!(ask(&server, "/workers").status, 200);
    }
    drop(slow);
    server.stop();
}
