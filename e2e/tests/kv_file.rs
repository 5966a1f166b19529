//! Driver `boltdb`: a file that outlives the server, and keeps what it has acknowledged whatever happens (KV-07).

use e2e::{Goridge, Options, Server, kill};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

fn options(file: &Path, code: &str) -> Options {
    Options::handler(&format!(
        "$kv = RoadRunner\\KeyValue::open('disk');
         parse_str((string) parse_url($request->uri(), PHP_URL_QUERY), $q);
         $path = $request->path();
         {code}"
    ))
    .workers(4)
    .set("kv.disk.driver", "'boltdb'")
    .set("kv.disk.config.file", &format!("'{}'", file.display()))
}

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

#[test]
fn kv_07_the_whole_api_on_a_file_that_outlives_the_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rr.db");
    let code = "if ($path === '/again') return json_encode($kv->getMultiple(['a', 'n', 'o', 'soon', 'moved']));
         $kv->setMultiple(['a' => [1, null], 'n' => 41, 'o' => 1.5, 'cas' => 'x', 'no' => 1]);
         $kv->set('soon', 1, 0.001);
         $kv->set('now', 1, 0);
         $kv->set('moved', 'm');
         usleep(2000);
         return json_encode([
             $kv->get('a'), $kv->get('nothing', 'default'), $kv->has('o'), $kv->has('soon'), $kv->has('now'), $kv->increment('n'),
             $kv->increment('new', 5, 60), round($kv->ttl('new')), $kv->ttl('a') === INF, $kv->ttl('soon'),
             $kv->compareAndSet('cas', 'y', 'z'), $kv->compareAndSet('cas', 'x', 'z'), $kv->compareAndSet('none', null, 1),
             $kv->expire('moved', 60), $kv->expire('nothing', 60), $kv->delete('no'), $kv->deleteMultiple(['no', 'cas', 'none']),
             $kv->getOrCompute('c', fn () => 'computed', 60, 60), $kv->getOrCompute('c', fn () => 'again', 60, 60), $kv->get('c'),
             $kv->getMultiple([]), $kv->getMultiple(['n', 'zz'], 0),
         ]);";
    let server = options(&file, code).set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'").start();
    let wanted = json!([
        [1, null], "default", true, false, false, 42, 5, 60, true, null, false, true, true, true, false, true, 2,
        "computed", "computed", "computed", [], {"n": 42, "zz": 0}
    ]);
    assert_eq!(serde_json::from_str::<Value>(&server.text("/")).expect("JSON"), wanted);
    let mut rpc = rpc(&server);
    let ask = |keys: &[&str]| {
        json!({"storage": "disk", "items": keys.iter().map(|key| json!({"key": key})).collect::<Vec<_>>()})
            .to_string()
    };
    assert_eq!(rpc.json("kv.Has", &ask(&["n", "no"])), Ok(json!({"items": [{"key": "n"}]})));
    let ttl = rpc.json("kv.TTL", &ask(&["moved"])).expect("times");
    assert!(ttl["items"][0]["timeout"].as_str().is_some_and(|time| time.starts_with("20")), "{ttl}");
    let blank = rpc.json("kv.Has", &ask(&[" "])).expect_err("blank");
    assert_eq!(blank, "rpc_has:\n\tboltdb_driver_has: key can't be empty string");
    drop(rpc);
    server.stop();
    let server = options(&file, code).start();
    assert_eq!(server.text("/again"), "{\"a\":[1,null],\"n\":42,\"o\":1.5,\"soon\":null,\"moved\":\"m\"}");
    server.stop();
}

/// Kills the server while eight clients write, again and again. A long run: `RR_KILLS=1000 cargo test -p e2e --test kv_file
/// kill_9`, about a quarter of a second each.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    let _one = e2e::heavy();
    let rounds = std::env::var("RR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rr.db");
    let code = "if ($path === '/set') { $kv->set($q['key'], str_repeat($q['value'], 50)); return 'ok'; }
         $wrong = [];
         foreach ($kv->getMultiple(array_keys($q)) as $key => $value) {
             if ((int) substr((string) $value, 0, 8) < (int) $q[$key]) $wrong[] = \"$key: $value\";
         }
         return $wrong ? implode(', ', $wrong) : 'whole';";
    // The latest value that was acknowledged, of each key. Values grow.
    let known = Arc::new(Mutex::new(std::collections::BTreeMap::<String, u64>::new()));
    let counter = Arc::new(AtomicU64::new(10_000_000));
    for round in 0..rounds {
        let server = options(&file, code).expect_errors().start();
        let query = {
            let known = known.lock().expect("no panic");
            known.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
        };
        assert_eq!(server.text(&format!("/check?{query}")), "whole", "round {round}");
        let before = counter.load(Ordering::Relaxed);
        let mut connections: Vec<_> = (0..8).map(|_| server.client()).collect();
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let (known, counter) = (Arc::clone(&known), Arc::clone(&counter));
                // Before the first of them writes, which may be what ends the server.
                let mut connection = connections.pop().expect("one each");
                thread::spawn(move || {
                    loop {
                        let value = counter.fetch_add(1, Ordering::Relaxed);
                        let key = format!("k{client}x{}", value % 7);
                        let path = format!("/set?key={key}&value={value}");
                        match connection.try_get(&path) {
                            Ok(response) if response.text() == "ok" => {
                                known.lock().expect("no panic").insert(key, value);
                            }
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        // Another moment each time, by what has been written and not by the clock.
        let writes = 20 + (round * 37) % 200;
        e2e::eventually("writes", || counter.load(Ordering::Relaxed) - before > writes);
        kill(server.pid(), 9);
        clients.into_iter().for_each(|client| client.join().expect("a client"));
        server.over();
    }
    assert!(known.lock().expect("no panic").len() > 20);
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start_and_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("rr.db");
    std::fs::write(&file, "bolt").expect("written");
    let end = options(&file, "return '';").finish();
    assert!(
        end.stderr.contains("kv.disk: boltdb: ") && end.stderr.contains("it is no file of this server"),
        "{}",
        end.stderr
    );
}

/// A small disk of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where nobody may mount.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_error_of_the_calls_that_need_room() {
    let Some(disk) = Disk::mount("3M").filter(|_| e2e::is_root()) else {
        return e2e::skip("only root can mount a small disk");
    };
    let code = "$texts = [];
         for ($i = 0; $i < 40; $i++) {
             try { $kv->set(\"k$i\", str_repeat('x', 100000)); $texts[] = 'ok'; }
             catch (RoadRunner\\KeyValueException $e) { $texts[] = $e->getMessage(); }
         }
         $kv->set('small', 1);
         $read = strlen($kv->get('k0'));
         $kv->clear();
         $kv->set('after', str_repeat('x', 100000));
         return json_encode([array_values(array_unique($texts)), $read, strlen($kv->get('after'))]);";
    let server = options(&disk.0.path().join("rr.db"), code).start();
    let text = server.text("/");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert!(found[0][0] == "ok" && found[1] == 100_000 && found[2] == 100_000, "{text}");
    assert!(found[0][1].as_str().is_some_and(|text| text.contains("No space left on device")), "{text}");
    server.stop();
}
