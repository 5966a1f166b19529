//! The wall clock is set while the server runs: nothing that lasts a while becomes longer or shorter by it.

use e2e::goridge::JSON;
use e2e::{Goridge, Options, Server, eventually};
use serde_json::{Value, json};
use std::path::Path;

/// Of Debian's libfaketime: the wall clock of a process is what a file says.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

const HANDLER: &str = "
    $kv = RoadRunner\\KeyValue::open('mem');
    parse_str($request->queryString(), $q);
    switch ($request->path()) {
        case '/set': $kv->set($q['key'], 'v', 60); return 'set';
        case '/ttl': return json_encode($kv->ttl($q['key']));
        case '/time': return (string) time();
        case '/lock':
            static $lock;
            $lock = RoadRunner\\Lock::acquire('native', ttl: 60);
            return json_encode($lock->remaining());
        case '/wait':
            touch(__DIR__ . '/waits');
            while (!file_exists(__DIR__ . '/go')) { usleep(2000); clearstatcache(); }
            return 'waited';
    }
    return 'x';";

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

fn time(server: &Server) -> i64 {
    server.text("/time").parse().expect("a time")
}

/// Sets the clock of the server, and waits until its workers have it.
fn set(server: &Server, clock: &Path, by: i64) {
    let whole = clock.with_extension("new");
    std::fs::write(&whole, format!("{by:+}")).expect("a file");
    std::fs::rename(&whole, clock).expect("a file");
    let real = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        i64::try_from(since.as_secs()).expect("a time")
    };
    eventually("the clock is another", || (time(server) - real() - by).abs() < 30);
}

#[test]
fn a_clock_that_jumps_ends_nothing_and_keeps_nothing_alive() {
    if !Path::new(LIBRARY).exists() {
        e2e::skip(&format!("{LIBRARY} is missing; run scripts/setup --test"));
        return;
    }
    let extension = e2e::extension().canonicalize().expect("the extension");
    let folder = tempfile::TempDir::with_prefix("rr-clock-").expect("a temporary directory");
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").expect("a file");
    let server = Options::handler(HANDLER)
        .workers(2)
        .set("kv.mem.driver", "'memory'")
        .set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
        .set("http.pool.supervisor", "['exec_ttl' => '30s', 'ttl' => '1000s', 'idle_ttl' => '1000s']")
        .set("service", "['one' => ['command' => 'sleep 1000', 'exec_timeout' => '1000s', 'env' => ['LD_PRELOAD' => '']]]")
        // PHP has extensions bind to the C library first, unless they are there before it.
        .env("LD_PRELOAD", format!("{LIBRARY}:{}", extension.display()))
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start();
    let mut rpc = rpc(&server);
    assert_eq!(server.text("/set?key=a"), "set");
    let taken = json!({"resource": "over rpc", "id": "me", "ttl": 60_000_000, "wait": 0}).to_string();
    assert_eq!(rpc.json("lock.Lock", &taken).expect("an answer")["ok"], true);
    let service = rpc.json("service.Statuses", r#"{"name":"one"}"#).expect("it runs");
    let mut waits = server.client();
    waits.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("a request runs", || server.file("waits").exists());
    for by in [3600, -7200, 400 * 86400, 0] {
        set(&server, &clock, by);
        let left: f64 = server.text("/ttl?key=a").parse().expect("seconds");
        assert!((1.0..=60.0).contains(&left), "{by}: {left}");
        assert_eq!(rpc.json("lock.Exists", &taken).expect("an answer")["ok"], true, "{by}");
        // A time that a client gives is one of its own clock, which is the machine's.
        let end = server.text("/time").parse::<i64>().expect("a time") + 30;
        let end = format!("@{end}");
        let end = String::from_utf8(
            std::process::Command::new("date")
                .args(["-u", "-d", &end, "+%Y-%m-%dT%H:%M:%SZ"])
                .output()
                .expect("date")
                .stdout,
        )
        .expect("text");
        let item = json!({"storage": "mem", "items": [{"key": "b", "value": "dg==", "timeout": end.trim()}]});
        rpc.json("kv.Set", &item.to_string()).expect("set");
        let left: f64 = server.text("/ttl?key=b").parse().expect("seconds");
        assert!((25.0..=31.0).contains(&left), "{by}: {left}");
        let all = rpc.call("informer.Workers", JSON, b"\"http\"").expect("workers");
        let all: Value = serde_json::from_slice(&all).expect("JSON");
        assert_eq!(all["workers"].as_array().map(Vec::len), Some(2), "{by}: {all}");
        let now = rpc.json("service.Statuses", r#"{"name":"one"}"#).expect("it runs");
        assert_eq!(now["status"][0]["pid"], service["status"][0]["pid"], "{by}: the same process");
    }
    assert!(server.text("/lock").parse::<f64>().is_ok_and(|left| left > 50.0));
    std::fs::write(server.file("go"), "").expect("a file");
    assert_eq!(waits.read().text(), "waited", "no limit has ended it");
    drop((rpc, waits));
    // What the library makes for itself.
    for name in ["faketime_shm_", "sem.faketime_sem_"] {
        std::fs::remove_file(format!("/dev/shm/{name}{}", server.pid())).expect("it is there");
    }
    server.stop();
}
