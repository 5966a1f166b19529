//! Drivers `memcached` and `redis` against the real servers: the whole API, what other clients see, and servers that go and
//! come back (KV-05, KV-06).

use e2e::{Daemon, Goridge, Options, Server};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// What all drivers do alike; `/ttl` is what they do not.
const CODE: &str = "
    $try = function (callable $run) {
        try { return $run(); } catch (RoadRunner\\KeyValueException $e) { return $e->getMessage(); }
    };
    switch ($request->path()) {
        case '/ttl': return json_encode([$try(fn () => $kv->ttl('a') === INF ? 'INF' : null), $try(fn () => round($kv->ttl('c') ?? -1))]);
        case '/one': return json_encode($try(function () use ($kv) { $kv->set('one', 1); return $kv->get('one'); }));
        case '/bad': return json_encode($try(fn () => $kv->set('a b', 1)));
    }
    $kv->clear();
    $kv->setMultiple(['a' => [1, null], 'n' => 41, 'o' => 1.5, 'cas' => 'x', 'no' => 1, 's' => 'text', 'b' => true]);
    $kv->set('now', 1, 0);
    $kv->set('c', 'end', 60);
    return json_encode([
        $kv->get('a'), $kv->get('nothing', 'default'), $kv->has('o'), $kv->has('now'), $kv->increment('n'), $kv->get('n'),
        $kv->increment('new', 5, 60), $kv->increment('new', -7), $kv->compareAndSet('cas', 'y', 'z'),
        $kv->compareAndSet('cas', 'x', 'z'), $kv->compareAndSet('none', null, 1), $kv->compareAndSet('none', null, 1),
        $kv->expire('s', 60), $kv->expire('nothing', 60), $kv->delete('no'), $kv->delete('no'),
        $kv->deleteMultiple(['no', 'cas', 'none']), $kv->getOrCompute('g', fn () => 'computed', 60, 60),
        $kv->getOrCompute('g', fn () => 'again', 60, 60), $kv->get('g'), $kv->getMultiple([]),
        $kv->getMultiple(['s', 'b', 'zz'], 0), $try(fn () => $kv->increment('s')),
    ]);";

fn wanted() -> Value {
    json!([
        [1, null], "default", true, false, 42, 42, 5, -2, false, true, true, false, true, false, true, false, 2,
        "computed", "computed", "computed", [], {"s": "text", "b": true, "zz": 0},
        "the value of \"s\" is no int and cannot be incremented"
    ])
}

fn options(driver: &str, address: &str, addresses: &str) -> Options {
    Options::handler(&format!("$kv = RoadRunner\\KeyValue::open('far', 'php'); {CODE}"))
        .workers(2)
        // Connections are kept.
        .descriptors_may_grow()
        .set("kv.far.driver", &format!("'{driver}'"))
        .set(&format!("kv.far.config.{address}"), &format!("'{addresses}'"))
        .set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
}

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

fn json(server: &Server, path: &str) -> Value {
    serde_json::from_str(&server.text(path)).expect("JSON")
}

/// Lines that a server answers to a request, until one is `last` or so many have come.
fn ask(address: &str, request: &str, count: usize) -> Vec<String> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("sent");
    BufReader::new(stream).lines().take(count).map(|line| line.expect("a line")).collect()
}

#[test]
fn kv_06_memcached() {
    let (one, mut two) = (Daemon::memcached(), Daemon::memcached());
    let addresses = format!("{},{}", one.address(), two.address());
    let server = options("memcached", "addr", &addresses).start();
    assert_eq!(json(&server, "/"), wanted());
    let no_ttl = "not valid request for memcached, see https://github.com/memcached/memcached/issues/239";
    assert_eq!(json(&server, "/ttl"), json!([no_ttl, no_ttl]));
    let blank = "memcached: the key \"a b\" is longer than 250 bytes, or has blanks or control characters";
    assert_eq!(json(&server, "/bad"), blank);
    let error = rpc(&server).json("kv.TTL", r#"{"storage":"far","items":[{"key":"a"}]}"#).expect_err("R-44");
    assert!(
        error.starts_with("rpc_ttl:\n\tmemcached_plugin_ttl: not valid request for memcached"),
        "{error}"
    );
    // On the server that RoadRunner would choose, as RoadRunner's client stores it.
    let homes = [&one, &two].map(|home| ask(&home.address(), "get s\r\n", 1).remove(0) != "END");
    assert_eq!(homes.iter().filter(|home| **home).count(), 1);
    let home = if homes[0] { &one } else { &two };
    assert_eq!(ask(&home.address(), "get s\r\n", 3), ["VALUE s 0 11", "s:4:\"text\";", "END"]);
    // CRC-32 of "one" is odd: it is on the second of two.
    assert_eq!(json(&server, "/one"), 1);
    two.stop();
    let error = json(&server, "/one");
    assert!(error.as_str().is_some_and(|text| text.starts_with("memcached: 127.0.0.1:")), "{error}");
    two.restart();
    assert_eq!(json(&server, "/one"), 1, "it is back, and so are we");
    server.stop();
}

#[test]
fn kv_05_redis() {
    let mut redis = Daemon::redis();
    let server = options("redis", "addrs", &redis.address()).start();
    assert_eq!(json(&server, "/"), wanted());
    assert_eq!(json(&server, "/ttl"), json!(["INF", 60]));
    assert_eq!(json(&server, "/bad"), Value::Null, "any key will do");
    let ttl = rpc(&server)
        .json("kv.TTL", r#"{"storage":"far","items":[{"key":"c"},{"key":"nothing"}]}"#)
        .expect("times");
    let items = ttl["items"].as_array().expect("a list");
    assert!(
        items.len() == 1 && items[0]["timeout"].as_str().is_some_and(|time| time.starts_with("20")),
        "{ttl}"
    );
    // As RoadRunner's client stores it.
    assert_eq!(ask(&redis.address(), "GET s\r\n", 2), ["$11", "s:4:\"text\";"]);
    ask(&redis.address(), "RPUSH one x\r\n", 1);
    assert_eq!(json(&server, "/one"), 1, "another type is replaced");
    redis.stop();
    let error = json(&server, "/one");
    assert!(error.as_str().is_some_and(|text| text.starts_with("redis: 127.0.0.1:")), "{error}");
    redis.restart();
    assert_eq!(json(&server, "/one"), 1, "it is back, and so are we");
    // Anew between two calls: nobody notices.
    redis.restart();
    assert_eq!(json(&server, "/one"), 1);
    server.stop();
}
