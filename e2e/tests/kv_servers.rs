//! Drivers `memcached` and `redis` against the real servers: the whole API, what other clients see, and servers that go and
//! come back (KV-05, KV-06); Redis as a cluster, behind sentinels and over TLS.

use e2e::cluster::{Cluster, tell};
use e2e::{Daemon, Goridge, Options, Server, certificates, eventually};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use tempfile::TempDir;

/// What all drivers do alike; `/ttl` is what they do not.
const CODE: &str = "
    $try = function (callable $run) {
        try { return $run(); } catch (RoadRunner\\KeyValueException $e) { return $e->getMessage(); }
    };
    switch ($request->path()) {
        case '/ttl': return json_encode([$try(fn () => $kv->ttl('a') === INF ? 'INF' : null), $try(fn () => round($kv->ttl('c') ?? -1))]);
        case '/one': return json_encode($try(function () use ($kv) { $kv->set('one', 1); return $kv->get('one'); }));
        case '/fill':
            $all = array_fill_keys(array_map(fn ($i) => \"k$i\", range(1, 200)), 'v');
            return json_encode($try(function () use ($kv, $all) { $kv->setMultiple($all, 60); return $kv->getMultiple(array_keys($all)) === $all; }));
        case '/clear': return json_encode($try(fn () => $kv->clear()));
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

fn sizes(cluster: &Cluster) -> Vec<String> {
    let size = |node: &Daemon| ask(&node.address(), "DBSIZE\r\n", 1).remove(0);
    cluster.nodes.iter().map(size).collect()
}

#[test]
fn kv_05_redis_cluster() {
    let mut cluster = Cluster::start();
    // The others are found.
    let addresses = format!("{},{}", cluster.nodes[0].address(), cluster.nodes[1].address());
    let server = options("redis", "addrs", &addresses).set("kv.far.config.dial_timeout", "'2s'").start();
    assert_eq!(json(&server, "/"), wanted());
    assert_eq!(json(&server, "/ttl"), json!(["INF", 60]));
    assert_eq!(json(&server, "/fill"), true);
    assert!(sizes(&cluster).iter().all(|size| size != ":0"), "{:?}", sizes(&cluster));
    assert_eq!(json(&server, "/clear"), Value::Null);
    assert_eq!(sizes(&cluster), [":0", ":0", ":0"]);
    cluster.nodes.iter_mut().for_each(Daemon::stop);
    let error = json(&server, "/fill");
    assert!(error.as_str().is_some_and(|text| text.starts_with("redis: 127.0.0.1:")), "{error}");
    cluster.nodes.iter_mut().for_each(Daemon::restart);
    cluster.ready();
    eventually("the cluster is back, and so are we", || json(&server, "/fill") == true);
    server.stop();
}

#[test]
fn kv_05_redis_sentinels_name_the_next_master() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("sentinel.conf");
    let folder = dir.path().to_str().expect("a path");
    let secret = ["--requirepass", "secret", "--masterauth", "secret", "--dir", folder];
    let mut master = Daemon::redis_with(&secret);
    let (host, port) =
        master.address().split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).expect("a port");
    let replica = Daemon::redis_with(&[&secret[..], &["--replicaof", &host, &port]].concat());
    eventually("the replica follows", || {
        tell(&replica.address(), "AUTH secret\r\nINFO replication").contains("master_link_status:up")
    });
    let lines = [
        "requirepass watch".to_owned(),
        format!("sentinel monitor main {host} {port} 1"),
        "sentinel auth-pass main secret".to_owned(),
        "sentinel down-after-milliseconds main 500".to_owned(),
    ];
    std::fs::write(&file, lines.join("\n")).expect("a file");
    let file = file.to_str().expect("a path");
    let sentinel =
        Daemon::start("redis-server", &[file, "--bind", "127.0.0.1", "--port", "PORT", "--sentinel"]);
    eventually("the sentinel knows both", || {
        tell(&sentinel.address(), "AUTH watch\r\nINFO sentinel").contains("status=ok,address=127.0.0.1:")
            && tell(&sentinel.address(), "AUTH watch\r\nINFO sentinel").contains("slaves=1")
    });
    let server = options("redis", "addrs", &sentinel.address())
        .set("kv.far.config.master_name", "'main'")
        .set("kv.far.config.sentinel_password", "'watch'")
        .set("kv.far.config.password", "'secret'")
        .start();
    assert_eq!(json(&server, "/"), wanted());
    eventually("the replica has it", || {
        tell(&replica.address(), "AUTH secret\r\nGET s").contains("s:4:\"text\";")
    });
    master.stop();
    let error = json(&server, "/one");
    assert!(
        error == 1 || error.as_str().is_some_and(|text| text.starts_with("redis: 127.0.0.1:")),
        "{error}"
    );
    eventually("the replica is the master", || json(&server, "/one") == 1);
    assert!(tell(&replica.address(), "AUTH secret\r\nGET one").contains("i:1;"));
    server.stop();
}

#[test]
fn kv_05_redis_over_tls_as_a_user() {
    let dir = certificates();
    let path = |name: &str| dir.path().join(name).to_str().expect("a path").to_owned();
    let (crt, key, ca) = (path("server.crt"), path("server.key"), path("ca.crt"));
    let files = ["--tls-cert-file", &crt, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let user = ["--user", "app", "on", ">secret", "~*", "+@all"];
    let redis = Daemon::start(
        "redis-server",
        &[&["--bind", "127.0.0.1", "--port", "0", "--tls-port", "PORT", "--save", ""][..], &files, &user]
            .concat(),
    );
    let start = |root: &str, shown: bool, password: &str| {
        let own = if shown { format!("'cert' => '{crt}', 'key' => '{key}', ") } else { String::new() };
        let options = options("redis", "addrs", &redis.address())
            .set("kv.far.config.tls", &format!("[{own}'root_ca' => '{}']", path(root)))
            .set("kv.far.config.username", "'app'")
            .set("kv.far.config.password", &format!("'{password}'"));
        options.start()
    };
    let server = start("ca.crt", true, "secret");
    assert_eq!(json(&server, "/"), wanted());
    server.stop();
    let refused = [
        ("other.crt", true, "secret", "certificate"),
        ("ca.crt", false, "secret", "redis: 127.0.0.1:"),
        ("ca.crt", true, "wrong", "see username and password"),
    ];
    for (root, shown, password, why) in refused {
        let server = start(root, shown, password);
        let error = json(&server, "/one");
        assert!(error.as_str().is_some_and(|text| text.contains(why)), "{root} {shown} {password}: {error}");
        server.stop();
    }
    let finished = options("redis", "addrs", &redis.address())
        .set("kv.far.config.tls.root_ca", "'none.crt'")
        .expect_errors()
        .finish();
    assert!(
        finished.stderr.contains("tls.root_ca") && finished.stderr.contains("none.crt"),
        "{}",
        finished.stderr
    );
}
