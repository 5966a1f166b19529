//! RoadRunner's lock methods as its PHP client calls them: protobuf over goridge (rows R-50…55, LK-01…06).

use e2e::goridge::{JSON, PROTO};
use e2e::{Goridge, Options, Server, eventually};
use serde_json::json;

const SECOND: u64 = 1_000_000;

fn start() -> Server {
    let body = "
        parse_str($request->queryString(), $q);
        $lock = RoadRunner\\Lock::acquire($q['name'] ?? 'a');
        $answer = RoadRunner\\Rpc::call('lock.Exists', ['resource' => $q['name'] ?? 'a', 'id' => '*']);
        return new Response(($lock ? 'free ' : 'taken ') . json_encode($answer));";
    Options::handler(body).set("rpc.listen", "'tcp://127.0.0.1:0'").start()
}

fn client(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.starts_with("tcp://")).expect("an address");
    Goridge::connect(address)
}

fn varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    into.push(u8::try_from(number).expect("seven bits"));
}

/// `lock.v1beta1.Request`, by its description.
fn message(resource: &str, id: &str, ttl: u64, wait: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, text) in [(0x0a, resource), (0x12, id)] {
        if !text.is_empty() {
            bytes.push(tag);
            varint(text.len() as u64, &mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    for (tag, number) in [(0x18, ttl), (0x20, wait)] {
        if number > 0 {
            bytes.push(tag);
            varint(number, &mut bytes);
        }
    }
    bytes
}

/// `lock.v1beta1.Response`: nothing is false.
fn ok(body: &[u8]) -> bool {
    assert!(body.is_empty() || body == [8, 1], "{body:?}");
    !body.is_empty()
}

fn call(rpc: &mut Goridge, method: &str, resource: &str, id: &str, ttl: u64, wait: u64) -> bool {
    let body = rpc.call(&format!("lock.{method}"), PROTO, &message(resource, id, ttl, wait));
    ok(&body.expect("an answer"))
}

#[test]
fn r_50_to_r_55_as_the_php_client_calls_them() {
    let server = start();
    let mut client = client(&server);
    let rpc = &mut client;
    assert!(call(rpc, "Lock", "a", "1", 0, 0));
    assert!(!call(rpc, "Lock", "a", "2", 0, 0), "LK-01: a wait of nothing is a millisecond");
    assert!(!call(rpc, "Lock", "a", "1", 0, 1000), "not re-entrant");
    assert!(!call(rpc, "LockRead", "a", "2", 0, 1000));
    assert!(call(rpc, "Exists", "a", "1", 0, 0) && call(rpc, "Exists", "a", "*", 0, 0));
    assert!(!call(rpc, "Exists", "a", "2", 0, 0) && !call(rpc, "Exists", "b", "*", 0, 0));
    assert!(!call(rpc, "Release", "a", "2", 0, 0) && !call(rpc, "Release", "b", "1", 0, 0));
    assert!(call(rpc, "UpdateTTL", "a", "1", 60 * SECOND, 0) && !call(rpc, "UpdateTTL", "a", "2", SECOND, 0));
    assert!(call(rpc, "Release", "a", "1", 0, 0) && !call(rpc, "Exists", "a", "*", 0, 0), "LK-05");
    assert!(!call(rpc, "ForceRelease", "a", "", 0, 0));
    assert!(call(rpc, "LockRead", "a", "1", 0, 0) && call(rpc, "LockRead", "a", "2", 0, 0));
    assert!(call(rpc, "ForceRelease", "a", "", 0, 0) && !call(rpc, "Exists", "a", "*", 0, 0));
    assert!(call(rpc, "LockRead", "a", "1", 0, 0) && call(rpc, "Lock", "a", "1", 0, 0), "LK-02");
    assert!(!call(rpc, "LockRead", "a", "2", 0, 0));
    for method in ["Lock", "LockRead", "Release", "Exists", "UpdateTTL"] {
        let error = rpc.call(&format!("lock.{method}"), PROTO, &message("a", "", 0, 0));
        assert_eq!(error, Err("empty ID is not allowed".to_owned()), "{method}");
    }
    assert_eq!(rpc.json("lock.Exists", r#"{"resource":"a","id":"1"}"#), Ok(json!({"ok": true})));
    assert_eq!(rpc.json("lock.Exists", r#"{"resource":"a","id":"2"}"#), Ok(json!({})));
    drop(client);
    server.stop();
}

#[test]
fn lk_01_a_ttl_in_microseconds_ends_it() {
    let server = start();
    let mut rpc = client(&server);
    assert!(call(&mut rpc, "Lock", "a", "1", 50_000, 0));
    assert!(call(&mut rpc, "Lock", "a", "2", 0, 20 * SECOND), "waits for the ttl");
    assert!(!call(&mut rpc, "Release", "a", "1", 0, 0));
    drop(rpc);
    server.stop();
}

#[test]
fn lk_03_all_who_wait_are_served_in_order() {
    let server = start();
    let mut rpc = client(&server);
    assert!(call(&mut rpc, "Lock", "a", "0", 0, 0));
    let body = |id: &str| message("a", id, 0, 30 * SECOND);
    let asked: Vec<u32> =
        (1..=5).map(|id: u32| rpc.send("lock.Lock", PROTO, &body(&id.to_string()))).collect();
    let mut other = client(&server);
    for (before, sequence) in asked.iter().enumerate() {
        assert!(call(&mut other, "Release", "a", &before.to_string(), 0, 0));
        let reply = rpc.read();
        assert_eq!(reply.sequence, *sequence);
        assert!(ok(&reply.body));
    }
    drop((rpc, other));
    server.stop();
}

#[test]
fn lk_04_a_reader_by_one_id_twice_can_be_released() {
    let server = start();
    let mut client = client(&server);
    let rpc = &mut client;
    assert!(call(rpc, "LockRead", "a", "1", 0, 0) && call(rpc, "LockRead", "a", "1", 0, 0));
    assert!(call(rpc, "Release", "a", "1", 0, 0) && call(rpc, "Exists", "a", "1", 0, 0));
    assert!(call(rpc, "Release", "a", "1", 0, 0) && !call(rpc, "Release", "a", "1", 0, 0));
    assert!(call(rpc, "Lock", "a", "2", 0, 0));
    drop(client);
    server.stop();
}

#[test]
fn lk_06_a_writer_that_waits_in_vain_leaves_the_lock_alive() {
    let server = start();
    let mut rpc = client(&server);
    assert!(call(&mut rpc, "LockRead", "a", "1", 0, 0) && call(&mut rpc, "LockRead", "a", "2", 0, 0));
    let writer = rpc.send("lock.Lock", PROTO, &message("a", "3", 0, SECOND / 2));
    let mut other = client(&server);
    assert!(call(&mut other, "UpdateTTL", "a", "1", 60 * SECOND, 0), "while the writer waits");
    assert!(call(&mut other, "Release", "a", "1", 0, 0));
    let reply = rpc.read();
    assert_eq!((reply.sequence, ok(&reply.body)), (writer, false));
    assert!(call(&mut other, "LockRead", "a", "4", 0, 0));
    assert!(call(&mut other, "Release", "a", "2", 0, 0) && call(&mut other, "Release", "a", "4", 0, 0));
    assert!(call(&mut other, "Lock", "a", "5", 0, 0));
    drop((rpc, other));
    server.stop();
}

#[test]
fn workers_and_clients_share_the_locks() {
    let server = start();
    let mut rpc = client(&server);
    assert_eq!(server.text("/"), r#"free {"ok":true}"#);
    assert!(call(&mut rpc, "Lock", "a", "1", 0, 0), "the request is over");
    assert_eq!(server.text("/"), r#"taken {"ok":true}"#);
    assert!(rpc.call("lock.acquire", JSON, b"{}").is_err(), "native methods are for workers");
    drop(rpc);
    eventually("LK-07: a lock stays when its client goes", || server.text("/").starts_with("taken"));
    server.stop();
}
