//! Locks on servers that several of ours share: the same rules with every driver, contenders on two servers, and servers
//! that go and come back.

use e2e::cluster::Cluster;
use e2e::{Daemon, Goridge, Options, Server, certificates, eventually, kill};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;

const KILL: i32 = 9;
const SECOND: u64 = 1_000_000;

/// What to set for a driver, and the server behind it.
struct Place {
    settings: Vec<(&'static str, String)>,
    daemon: Daemon,
    /// How its errors begin.
    name: &'static str,
}

fn redis() -> Place {
    let daemon = Daemon::redis();
    let settings = vec![
        ("lock.driver", "'redis'".to_owned()),
        ("lock.redis.addrs", format!("'{}'", daemon.address())),
        ("lock.redis.dial_timeout", "'2s'".to_owned()),
        ("lock.lease", "'1s'".to_owned()),
    ];
    Place { settings, daemon, name: "lock: redis: 127.0.0.1:" }
}

fn etcd() -> Place {
    let daemon = Daemon::etcd();
    let settings = vec![
        ("lock.driver", "'etcd'".to_owned()),
        ("lock.etcd.endpoints", format!("'{}'", daemon.address())),
        ("lock.etcd.dial_timeout", "'2s'".to_owned()),
        ("lock.lease", "'1s'".to_owned()),
    ];
    Place { settings, daemon, name: "lock: etcd: 127.0.0.1:" }
}

fn postgres() -> Place {
    let daemon = Daemon::postgres();
    let settings = vec![
        ("lock.driver", "'postgres'".to_owned()),
        ("lock.postgres.dsn", format!("'postgres://postgres@{}/postgres'", daemon.address())),
        ("lock.postgres.dial_timeout", "'2s'".to_owned()),
        ("lock.lease", "'1s'".to_owned()),
    ];
    Place { settings, daemon, name: "lock: postgres: 127.0.0.1:" }
}

const CODE: &str = "
    parse_str($request->queryString(), $q);
    $name = $q['name'] ?? 'a';
    switch ($request->path()) {
        case '/all': return json_encode(all());
        case '/try':
            try {
                $lock = Lock::acquire($name);
                return new Response($lock ? 'free' : 'taken');
            } catch (LockException $error) {
                return new Response($error->getMessage());
            }
        case '/count':
            $lock = Lock::acquire($name, wait: 50, ttl: 50) ?? throw new Exception('not in time');
            $file = $q['file'];
            $count = (int) @file_get_contents($file);
            usleep(200);
            file_put_contents($file, $count + 1);
            file_put_contents(\"$file.tokens\", $lock->token() . \"\\n\", FILE_APPEND);
            return new Response('done');
        case '/hold':
            $lock = Lock::acquire($name, wait: 20, shared: isset($q['shared']));
            file_put_contents('held', $lock ? 'yes' : 'no');
            while (!file_exists('go')) {
                usleep(1000);
                clearstatcache();
            }
            return new Response($lock?->isHeld() ? 'held' : 'lost');
    }
    return new Response('?', 404);";

/// The rules of `RoadRunner\Lock`.
const RULES: &str = "
    use RoadRunner\\{Lock, LockException};
    function all(): array {
        $lock = Lock::acquire('a', ttl: 10);
        $out[] = [$lock->name(), $lock->isHeld(), $lock->remaining() > 8.0, $lock->remaining() <= 10.0];
        $out[] = [Lock::acquire('a'), Lock::acquire('a', wait: 0.01), Lock::exists('a'), Lock::exists('b')];
        $out[] = [$lock->refresh(20), $lock->remaining() > 18.0, $lock->release(), $lock->release(), $lock->isHeld()];
        $out[] = [$lock->refresh(), $lock->remaining(), Lock::exists('a')];
        $next = Lock::acquire('a');
        $out[] = [$next->token() > $lock->token(), Lock::forceRelease('a'), Lock::forceRelease('a'), $next->isHeld()];
        $out[] = [$next->release(), $next->refresh()];
        $one = Lock::acquire('s', shared: true);
        $two = Lock::acquire('s', shared: true);
        $out[] = [$two->token() > $one->token(), Lock::acquire('s')];
        unset($one, $two);
        $out[] = [Lock::exists('s'), Lock::acquire('s') !== null, Lock::exists('s')];
        $short = Lock::acquire('t', ttl: 0.05);
        $waited = Lock::acquire('t', wait: 10);
        $out[] = [$waited !== null, $short->isHeld(), $short->release(), $waited->isHeld()];
        $out[] = [$waited->token() > $short->token()];
        try {
            Lock::acquire(str_repeat('x', 1025));
        } catch (LockException $error) {
            $out[] = $error->getMessage();
        }
        $out[] = Lock::with('w', fn (Lock $lock) => Lock::exists('w'), wait: 1);
        return $out;
    }";

fn wanted() -> Value {
    json!([
        ["a", true, true, true],
        [null, null, true, false],
        [true, true, true, false, false],
        [false, 0, false],
        [true, true, false, false],
        [false, false],
        [true, null],
        [false, true, false],
        [true, false, false, true],
        [true],
        "lock: a name of 1025 bytes; it may have 1024",
        true
    ])
}

fn start(place: &Place, workers: usize) -> Server {
    let mut options = Options::handler(CODE)
        .above(RULES)
        .workers(workers)
        .descriptors_may_grow()
        .set("logs.level", "'debug'")
        .set("rpc.listen", "'tcp://127.0.0.1:0'");
    for (key, value) in &place.settings {
        options = options.set(key, value);
    }
    options.start()
}

fn client(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.starts_with("tcp://")).expect("an address");
    Goridge::connect(address)
}

fn call(rpc: &mut Goridge, method: &str, resource: &str, id: &str, ttl: u64, wait: u64) -> bool {
    let body = json!({"resource": resource, "id": id, "ttl": ttl, "wait": wait}).to_string();
    rpc.json(&format!("lock.{method}"), &body).expect("an answer") == json!({"ok": true})
}

/// What both ways to a lock do, alike with every driver.
fn rules(place: &Place) {
    let server = start(place, 1);
    let all: Value = serde_json::from_str(&server.text("/all")).expect("JSON");
    assert_eq!(all, wanted());
    assert_eq!(server.text("/try?name=w"), "free", "what a request held has ended with it");
    let mut client = client(&server);
    let rpc = &mut client;
    assert!(call(rpc, "Lock", "r", "1", 0, 0));
    assert!(!call(rpc, "Lock", "r", "2", 0, 0) && !call(rpc, "Lock", "r", "1", 0, 1000), "not re-entrant");
    assert!(!call(rpc, "LockRead", "r", "2", 0, 1000) && server.text("/try?name=r") == "taken");
    assert!(call(rpc, "Exists", "r", "1", 0, 0) && call(rpc, "Exists", "r", "*", 0, 0));
    assert!(!call(rpc, "Exists", "r", "2", 0, 0) && !call(rpc, "Exists", "b", "*", 0, 0));
    assert!(!call(rpc, "Release", "r", "2", 0, 0) && !call(rpc, "Release", "b", "1", 0, 0));
    assert!(call(rpc, "UpdateTTL", "r", "1", 60 * SECOND, 0) && !call(rpc, "UpdateTTL", "r", "2", SECOND, 0));
    assert!(call(rpc, "Release", "r", "1", 0, 0) && !call(rpc, "Exists", "r", "*", 0, 0));
    assert!(!call(rpc, "ForceRelease", "r", "", 0, 0));
    assert!(call(rpc, "LockRead", "r", "1", 0, 0) && call(rpc, "LockRead", "r", "2", 0, 0));
    assert!(call(rpc, "ForceRelease", "r", "", 0, 0) && !call(rpc, "Exists", "r", "*", 0, 0));
    assert!(call(rpc, "LockRead", "r", "1", 0, 0) && call(rpc, "Lock", "r", "1", 0, 0), "LK-02");
    assert!(!call(rpc, "LockRead", "r", "2", 0, 0) && call(rpc, "Release", "r", "1", 0, 0));
    assert!(call(rpc, "LockRead", "r", "1", 0, 0) && call(rpc, "LockRead", "r", "1", 0, 0));
    assert!(call(rpc, "Release", "r", "1", 0, 0) && call(rpc, "Exists", "r", "1", 0, 0), "LK-04");
    assert!(call(rpc, "Release", "r", "1", 0, 0) && !call(rpc, "Release", "r", "1", 0, 0));
    assert!(call(rpc, "Lock", "r", "1", 50_000, 0), "a ttl");
    assert!(call(rpc, "Lock", "r", "2", 0, 20 * SECOND), "waits for the ttl");
    assert!(!call(rpc, "Release", "r", "1", 0, 0) && call(rpc, "Release", "r", "2", 0, 0));
    drop(client);
    server.stop();
}

/// Requests on two servers count in a file, one at a time and with growing tokens.
fn contenders(place: &Place) {
    let _heavy = e2e::heavy();
    let servers = [start(place, 4), start(place, 4)];
    let file = servers[0].file("count");
    let target = format!("/count?name=c&file={}", file.display());
    let rounds = 15;
    let asked: Vec<_> = (0..8)
        .map(|index| {
            let (mut client, target) = (servers[index % 2].client(), target.clone());
            std::thread::spawn(move || {
                for _ in 0..rounds {
                    assert_eq!(client.get(&target).text(), "done");
                }
            })
        })
        .collect();
    asked.into_iter().for_each(|asked| asked.join().expect("no panic"));
    let tokens = std::fs::read_to_string(file.with_file_name("count.tokens")).expect("tokens");
    let tokens: Vec<u64> = tokens.lines().map(|token| token.parse().expect("a number")).collect();
    assert_eq!(tokens.len(), 8 * rounds);
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("a count"), (8 * rounds).to_string());
    servers.into_iter().for_each(|server| drop(server.stop()));
}

/// A lock of another server is waited for, and is free once that server has died.
fn a_server_of_ours_dies(place: &Place) {
    let (one, two) = (start(place, 1), start(place, 1));
    let held = |server: &Server| eventually("it is held", || server.read("held") == "yes");
    let hold = |server: &Server| {
        let mut client = server.client();
        std::thread::spawn(move || client.try_get("/hold?name=d").map(|response| response.text()))
    };
    let first = hold(&one);
    held(&one);
    assert_eq!(two.text("/try?name=d"), "taken");
    let second = hold(&two);
    two.logs.expect_times("waits for a lock", 2);
    std::fs::write(one.file("go"), "").expect("a file");
    assert_eq!(first.join().expect("no panic").expect("an answer"), "held");
    held(&two);
    std::fs::write(two.file("go"), "").expect("a file");
    assert_eq!(second.join().expect("no panic").expect("an answer"), "held");
    std::fs::remove_file(one.file("go")).expect("a file");
    std::fs::remove_file(one.file("held")).expect("a file");
    let third = hold(&one);
    held(&one);
    std::fs::remove_file(two.file("held")).expect("a file");
    std::fs::remove_file(two.file("go")).expect("a file");
    let fourth = hold(&two);
    kill(one.pid(), KILL);
    assert!(third.join().expect("no panic").is_err(), "its server is gone");
    held(&two);
    std::fs::write(two.file("go"), "").expect("a file");
    assert_eq!(fourth.join().expect("no panic").expect("an answer"), "held");
    drop(one);
    two.stop();
}

/// The server of locks goes and comes back.
fn their_server_dies(place: &mut Place) {
    let server = start(place, 1);
    assert_eq!(server.text("/try"), "free");
    place.daemon.stop();
    let error = server.text("/try");
    assert!(error.starts_with(place.name), "{error}");
    let mut rpc = client(&server);
    let error = rpc.json("lock.Lock", r#"{"resource":"a","id":"1"}"#).expect_err("it is gone");
    assert!(error.starts_with(place.name), "{error}");
    place.daemon.restart();
    eventually("it is back, and so are we", || server.text("/try?name=b") == "free");
    drop(rpc);
    server.stop();
}

/// Answers that are none are errors.
fn garbage(settings: &[(&'static str, String)]) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n\0\xff");
        }
    });
    let mut options =
        Options::handler(CODE).above(RULES).descriptors_may_grow().set("rpc.listen", "'tcp://127.0.0.1:0'");
    for (key, value) in settings {
        options = options.set(key, &value.replace("ADDRESS", &address));
    }
    let server = options.start();
    let error = server.text("/try");
    assert!(error.starts_with("lock: ") && error.contains(&address), "{error}");
    server.stop();
}

#[test]
fn redis_has_the_same_rules() {
    rules(&redis());
}

#[test]
fn redis_contenders_on_two_servers() {
    contenders(&redis());
}

#[test]
fn redis_a_server_of_ours_dies() {
    a_server_of_ours_dies(&redis());
}

#[test]
fn redis_is_killed_and_back() {
    their_server_dies(&mut redis());
}

#[test]
fn redis_answers_garbage() {
    garbage(&[("lock.driver", "'redis'".to_owned()), ("lock.redis.addrs", "'ADDRESS'".to_owned())]);
}

#[test]
fn postgres_has_the_same_rules() {
    rules(&postgres());
}

#[test]
fn postgres_contenders_on_two_servers() {
    contenders(&postgres());
}

#[test]
fn postgres_a_server_of_ours_dies() {
    a_server_of_ours_dies(&postgres());
}

#[test]
fn postgres_is_killed_and_back() {
    their_server_dies(&mut postgres());
}

#[test]
fn postgres_answers_garbage() {
    let dsn = "'postgres://postgres@ADDRESS/postgres'".to_owned();
    garbage(&[("lock.driver", "'postgres'".to_owned()), ("lock.postgres.dsn", dsn)]);
}

#[test]
fn etcd_has_the_same_rules() {
    rules(&etcd());
}

#[test]
fn etcd_contenders_on_two_servers() {
    contenders(&etcd());
}

#[test]
fn etcd_a_server_of_ours_dies() {
    a_server_of_ours_dies(&etcd());
}

#[test]
fn etcd_is_killed_and_back() {
    their_server_dies(&mut etcd());
}

#[test]
fn etcd_answers_garbage() {
    garbage(&[("lock.driver", "'etcd'".to_owned()), ("lock.etcd.endpoints", "'ADDRESS'".to_owned())]);
}

#[test]
fn etcd_over_tls() {
    let dir = certificates();
    let path = |name: &str| dir.path().join(name).to_str().expect("a path").to_owned();
    let (crt, key, ca) = (path("server.crt"), path("server.key"), path("ca.crt"));
    let files = ["--cert-file", &crt, "--key-file", &key, "--client-cert-auth", "--trusted-ca-file", &ca];
    let daemon = Daemon::etcd_with("https", &files);
    let start = |root: &str| {
        let tls = format!("['cert' => '{crt}', 'key' => '{key}', 'root_ca' => '{}']", path(root));
        let settings = [
            ("lock.driver", "'etcd'".to_owned()),
            ("lock.etcd.endpoints", format!("'{}'", daemon.address())),
            ("lock.etcd.tls", tls),
        ];
        let options = Options::handler(CODE).above(RULES).descriptors_may_grow();
        settings.iter().fold(options, |options, (key, value)| options.set(key, value)).start()
    };
    let server = start("ca.crt");
    eventually("a lock", || server.text("/try") == "free");
    server.stop();
    let server = start("other.crt");
    let error = server.text("/try");
    assert!(error.starts_with("lock: etcd: ") && error.contains("certificate"), "{error}");
    server.stop();
}

/// Asks a server with these settings for a lock.
fn with(settings: &[(&str, String)]) -> Server {
    let options = Options::handler(CODE).above(RULES).descriptors_may_grow();
    settings.iter().fold(options, |options, (key, value)| options.set(key, value)).start()
}

#[test]
fn redis_as_a_cluster() {
    let mut cluster = Cluster::start();
    let addresses = cluster.nodes.iter().map(Daemon::address).collect::<Vec<_>>().join(",");
    let server = with(&[
        ("lock.driver", "'redis'".to_owned()),
        ("lock.redis.addrs", format!("'{addresses}'")),
        ("lock.redis.dial_timeout", "'2s'".to_owned()),
    ]);
    let all: Value = serde_json::from_str(&server.text("/all")).expect("JSON");
    assert_eq!(all, wanted());
    cluster.nodes.iter_mut().for_each(Daemon::stop);
    let error = server.text("/try");
    assert!(error.starts_with("lock: redis: 127.0.0.1:"), "{error}");
    cluster.nodes.iter_mut().for_each(Daemon::restart);
    cluster.ready();
    eventually("the cluster is back, and so are we", || server.text("/try") == "free");
    server.stop();
}

#[test]
fn etcd_with_three_members_goes_on_with_two() {
    let mut members = Daemon::etcd_of_three();
    let endpoints = members.iter().map(Daemon::address).collect::<Vec<_>>().join(",");
    let server = with(&[
        ("lock.driver", "'etcd'".to_owned()),
        ("lock.etcd.endpoints", format!("'{endpoints}'")),
        ("lock.etcd.dial_timeout", "'2s'".to_owned()),
    ]);
    eventually("a lock", || server.text("/try") == "free");
    for member in &mut members {
        member.stop();
        eventually("two of three decide", || server.text("/try") == "free");
        member.restart();
        let member = member.address();
        eventually("it is one of them again", || {
            e2e::Client::connect(&member).get("/health").text().contains("true")
        });
    }
    server.stop();
}

#[test]
fn postgres_over_tls() {
    let dir = certificates();
    let path = |name: &str| dir.path().join(name);
    let files = [path("server.crt"), path("server.key"), path("ca.crt")];
    let files = [&*files[0], &*files[1], &*files[2]];
    let daemon = Daemon::postgres_with(&files, &["ssl=on", "ssl_ca_file=ca.crt"]);
    let start = |root: &str| {
        with(&[
            ("lock.driver", "'postgres'".to_owned()),
            (
                "lock.postgres.dsn",
                format!("'postgres://postgres@{}/postgres?sslmode=require'", daemon.address()),
            ),
            ("lock.postgres.tls", format!("['root_ca' => '{}']", path(root).display())),
        ])
    };
    let server = start("ca.crt");
    let all: Value = serde_json::from_str(&server.text("/all")).expect("JSON");
    assert_eq!(all, wanted());
    server.stop();
    let server = start("other.crt");
    let error = server.text("/try");
    assert!(error.starts_with("lock: postgres: ") && error.contains("certificate"), "{error}");
    server.stop();
}
