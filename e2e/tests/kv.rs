//! Key-value storages: values from PHP and over RPC, reads in shared memory beside writers, ends, limits, dead workers
//! (rows KV-, R-40…R-46).

use e2e::goridge::{JSON, PROTO};
use e2e::{Client, Goridge, Options, Server, eventually, kill};
use serde_json::{Value, json};
use std::thread;

/// `/op?…`: the handler's storage is `$kv`, its arguments `$q`.
fn options(code: &str) -> Options {
    Options::handler(&format!(
        "$kv = RoadRunner\\KeyValue::open('mem');
         parse_str((string) parse_url($request->uri(), PHP_URL_QUERY), $q);
         $path = $request->path();
         {code}"
    ))
    .workers(2)
    .set("kv.mem.driver", "'memory'")
    .set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
}

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

/// A request with items, in JSON as Go writes it.
fn items(all: &[(&str, &str, &str)]) -> String {
    let item =
        |(key, value, timeout): &(&str, &str, &str)| json!({"key": key, "value": value, "timeout": timeout});
    json!({"storage": "mem", "items": all.iter().map(item).collect::<Vec<_>>()}).to_string()
}

#[test]
fn values_keep_their_types() {
    let server = options(
        "$object = new ArrayObject(['x' => 1]);
         $values = [0, -1, PHP_INT_MAX, 1.5, -0.0, INF, true, false, null, '', 's', \"b\\0\\xff\", [], ['a' => [1, null]],
             $object, str_repeat('L', 1 << 20), 'i:5;', 'N;'];
         foreach ($values as $n => $value) {
             $kv->set('key', $value);
             $got = $kv->get('key', 'missing');
             if (is_object($value) ? $got != $value : $got !== $value) return \"value $n: \" . var_export($got, true);
         }
         foreach (['k', ' k ', \"\\0\", \"\\xff\\xfe\", str_repeat('k', 60000)] as $key) {
             $kv->set($key, 'v');
             if ($kv->get($key) !== 'v' || !$kv->delete($key) || $kv->has($key)) return 'key ' . bin2hex($key);
         }
         $kv->setMultiple(['a' => 1, 7 => 'seven', \"\\xff\" => [2]]);
         // An empty key is nowhere; it once killed the worker.
         if ($kv->getMultiple([''], 'none') !== ['' => 'none']) return 'the empty key';
         return json_encode([count($kv->getMultiple(['a', '7', \"\\xff\", 'b'])), $kv->getMultiple([7, 'b'], 'none')]);",
    )
    .start();
    assert_eq!(server.text("/"), "[4,{\"7\":\"seven\",\"b\":\"none\"}]");
    server.stop();
}

#[test]
fn what_is_refused_and_how() {
    let server = options(
        "$texts = [];
         foreach ([
             fn () => $kv->set('', 1),
             fn () => $kv->set(str_repeat('k', 70000), 1),
             fn () => $kv->set('large', str_repeat('x', 1 << 20)),
             fn () => RoadRunner\\KeyValue::open('none'),
             fn () => RoadRunner\\KeyValue::open('mem', 'xml'),
             fn () => RoadRunner\\KeyValue::open('mem', 'raw')->set('k', 5),
             fn () => [$kv->set('text', 'abc'), $kv->increment('text')],
             fn () => [$kv->set('max', PHP_INT_MAX), $kv->increment('max')],
             fn () => $kv->set('k', 1, NAN),
         ] as $try) {
             try { $try(); $texts[] = 'fine'; } catch (RoadRunner\\KeyValueException $e) { $texts[] = $e->getMessage(); }
         }
         $closure = null;
         try { $kv->set('k', fn () => 1); } catch (Exception $e) { $closure = get_class($e) . ': ' . $e->getMessage(); }
         return json_encode([...$texts, $closure]);",
    )
    .set("kv.mem.config.max_memory", "'512KB'")
    .start();
    let texts: Vec<String> = serde_json::from_str(&server.text("/")).expect("JSON");
    let starts = [
        "key can't be empty string",
        "a key of 70000 bytes; the longest is 65536",
        "a key or value of 1048581 bytes is larger than a storage of 524288 bytes can hold",
        "there is no storage \"none\" in the kv section; it has mem",
        "serializer \"xml\": write",
        "a storage opened as raw takes strings",
        "the value of \"text\" is no int",
        "the value of \"max\" would be too large",
        "a time to live that is no number",
        "Exception: Serialization of 'Closure' is not allowed",
    ];
    for (text, start) in texts.iter().zip(starts) {
        assert!(text.starts_with(start), "{text:?} instead of {start:?}");
    }
    assert_eq!(texts.len(), starts.len());
    server.stop();
}

#[test]
fn entries_end_when_they_should() {
    let server = options(
        "$kv->set('soon', 1, 0.05);
         $kv->set('later', 1, 60);
         $kv->set('never', 1);
         $kv->set('now', 1);
         $kv->set('now', 1, 0);
         $ttls = [$kv->ttl('soon') <= 0.05, round($kv->ttl('later')), $kv->ttl('never') === INF, $kv->ttl('now')];
         usleep(51000);
         $gone = [$kv->has('soon'), $kv->get('soon'), $kv->ttl('soon'), $kv->expire('soon', 5)];
         $moved = [$kv->expire('later', 0.001), $kv->expire('never', 60), $kv->expire('never', null), $kv->ttl('never') === INF];
         usleep(2000);
         return json_encode([$ttls, $gone, $moved, $kv->has('later')]);",
    )
    .start();
    let wanted = json!([[true, 60, true, null], [false, null, null, false], [true, true, true, true], false]);
    assert_eq!(serde_json::from_str::<Value>(&server.text("/")).expect("JSON"), wanted);
    server.stop();
}

#[test]
fn r_40_to_r_46_the_same_storage_over_rpc() {
    let server = options(
        // Arrays in a form that the client reads, whether igbinary is loaded or not.
        "$kv = RoadRunner\\KeyValue::open('mem', 'php');
         if ($path === '/set') $kv->setMultiple(['i' => 5, 'f' => 0.5, 'b' => true, 's' => 'text', 'a' => [1]]);
         return json_encode($kv->getMultiple(['php', 'raw', 'i']));",
    )
    .start();
    let mut rpc = rpc(&server);
    // What PHP sets is what the stock client's serializer reads.
    assert_eq!(server.text("/set"), "{\"php\":null,\"raw\":null,\"i\":5}");
    let asked =
        items(&[("i", "", ""), ("f", "", ""), ("b", "", ""), ("s", "", ""), ("a", "", ""), ("no", "", "")]);
    let found = rpc.json("kv.MGet", &asked).expect("items");
    let values: Vec<&str> =
        found["items"].as_array().expect("a list").iter().filter_map(|item| item["value"].as_str()).collect();
    // i:5; d:0.5; b:1; s:4:"text"; a:1:{i:0;i:1;}
    assert_eq!(
        values,
        ["aTo1Ow==", "ZDowLjU7", "Yjox", "czo0OiJ0ZXh0Ijs=", "YToxOntpOjA7aToxO30="].map(|text| match text {
            "Yjox" => "YjoxOw==",
            other => other,
        })
    );
    // What the client sets PHP reads: serialized, or as it is.
    rpc.json(
        "kv.Set",
        &items(&[("php", "YToxOntpOjA7aToxO30=", ""), ("raw", "aGVsbG8=", "2999-01-01T00:00:00Z")]),
    )
    .expect("set");
    assert_eq!(server.text("/"), "{\"php\":[1],\"raw\":\"hello\",\"i\":5}");
    let ttl = rpc.json("kv.TTL", &items(&[("raw", "", ""), ("php", "", "")])).expect("times");
    assert!(ttl["items"][0]["timeout"].as_str().is_some_and(|time| time.starts_with("299")), "{ttl}");
    assert_eq!(ttl["items"][1], json!({"key": "php"}));
    rpc.json("kv.MExpire", &items(&[("raw", "", "2001-01-01T00:00:00Z")]))
        .expect("KV-04: RoadRunner dies here");
    rpc.json("kv.Delete", &items(&[("php", "", "")])).expect("deleted");
    assert_eq!(
        rpc.json("kv.Has", &items(&[("raw", "", ""), ("php", "", ""), ("i", "", "")])),
        Ok(json!({"items": [{"key": "i"}]}))
    );
    // The same in protobuf, and junk.
    let wire = b"\x0a\x03mem\x12\x03\x0a\x01i";
    assert_eq!(rpc.call("kv.MGet", PROTO, wire), Ok(b"\x0a\x09\x0a\x01i\x12\x04i:5;".to_vec()));
    for junk in [&b"\x12\xff\xff\xff\xff\x0f"[..], b"\x0a\x80", b"\xff"] {
        assert!(rpc.call("kv.MGet", PROTO, junk).is_err());
    }
    assert_eq!(rpc.json("kv.Has", r#"{"storage":"x"}"#), Err("rpc_has: no such storage: x".to_owned()));
    assert!(rpc.call("kv.Clear", JSON, br#"{"storage":"mem"}"#).is_ok());
    assert_eq!(server.text("/"), "{\"php\":null,\"raw\":null,\"i\":null}");
    drop(rpc);
    server.stop();
}

#[test]
fn many_workers_count_and_compare_and_lose_nothing() {
    let _one = e2e::heavy();
    let server = options(
        "if ($path === '/sum') return json_encode([$kv->get('count'), $kv->get('cas')]);
         for ($i = 0; $i < 200; $i++) {
             $kv->increment('count');
             do { $old = $kv->get('cas'); } while (!$kv->compareAndSet('cas', $old, ($old ?? 0) + 1));
         }
         return 'done';",
    )
    .workers(8)
    .start();
    let address = server.addr().to_owned();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let address = address.clone();
            thread::spawn(move || {
                (0..3).for_each(|_| assert_eq!(Client::connect(&address).get("/").text(), "done"))
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a client");
    }
    assert_eq!(server.text("/sum"), "[4800,4800]");
    server.stop();
}

#[test]
fn one_computes_while_others_wait_or_take_what_is_stale() {
    let _one = e2e::heavy();
    let server = options(
        "if ($path === '/calls') return (string) $kv->get('calls', 0);
         if ($path === '/fail') {
             try { return $kv->getOrCompute('bad', fn () => throw new LogicException('no')); }
             catch (LogicException $e) { return 'threw ' . $e->getMessage(); }
         }
         if ($path === '/good') return $kv->getOrCompute('bad', fn () => 'good');
         if ($path === '/hang') return $kv->getOrCompute('hung', function () use ($kv) {
             $kv->set('pid', getmypid());
             for (;;) usleep(1000);
         });
         if ($path === '/pid') return (string) $kv->get('pid', 0);
         if ($path === '/after') return $kv->getOrCompute('hung', fn () => 'after');
         return $kv->getOrCompute('key', function () use ($kv) {
             $kv->increment('calls');
             usleep(100000);
             return 'value ' . $kv->get('calls');
         }, ttl: 0.3, stale: 60);",
    )
    .workers(6)
    .expect_errors()
    .start();
    let ask = || {
        let address = server.addr().to_owned();
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let address = address.clone();
                thread::spawn(move || Client::connect(&address).get("/").text())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect::<Vec<_>>()
    };
    assert_eq!(ask(), vec!["value 1"; 6], "one computes, five wait");
    // SLEEP: until the value is stale by its own clock; nothing happens then.
    thread::sleep(std::time::Duration::from_millis(310));
    let stale = ask();
    assert!(stale.iter().filter(|text| *text == "value 1").count() >= 4, "{stale:?}");
    assert_eq!(server.text("/calls"), "2");
    assert_eq!(server.text("/fail"), "threw no");
    assert_eq!(server.text("/good"), "good", "a failure is not kept, and holds up nobody");
    // A worker that dies while it computes: who waits is to compute.
    let mut hangs = server.client();
    hangs.try_request("GET", "/hang", "", b"").expect("sent");
    eventually("it computes", || server.text("/pid") != "0");
    let mut after = server.client();
    after.try_request("GET", "/after", "", b"").expect("sent");
    kill(server.text("/pid").parse().expect("a pid"), 9);
    assert_eq!(after.read().text(), "after");
    drop((hangs, after));
    server.stop();
}

#[test]
fn what_is_stored_survives_a_reload_and_ends_with_the_server() {
    let server =
        options("if ($path === '/set') $kv->set('k', 'v'); return var_export($kv->get('k'), true);").start();
    assert_eq!(server.text("/set"), "'v'");
    let mut rpc = rpc(&server);
    assert_eq!(rpc.json("resetter.Reset", "\"http\""), Ok(json!(true)));
    assert_eq!(server.text("/"), "'v'");
    drop(rpc);
    server.stop();
    let server = options("return var_export($kv->get('k'), true);").start();
    assert_eq!(server.text("/"), "NULL");
    server.stop();
}

#[test]
fn workers_killed_at_any_moment_leave_the_storage_whole() {
    let _one = e2e::heavy();
    let server = options(
        "if ($path === '/check') {
             for ($i = 0; $i < 50; $i++) {
                 $value = $kv->get(\"k$i\");
                 if ($value !== null && $value !== str_repeat($value[0], strlen($value))) return \"torn: k$i\";
             }
             return 'whole';
         }
         $pids = RoadRunner\\KeyValue::open('pids');
         if ($path === '/pid') return (string) $pids->get($q['round'], '');
         $pids->set($q['round'], getmypid());
         while (!$request->isCancelled()) {
             $i = mt_rand(0, 49);
             $kv->set(\"k$i\", str_repeat(chr(mt_rand(65, 90)), mt_rand(1, 20000)));
             $kv->get('k' . mt_rand(0, 49));
         }
         return 'cancelled';",
    )
    .workers(4)
    .set("kv.pids.driver", "'memory'")
    .set("kv.mem.config.max_memory", "'512KB'")
    .expect_errors()
    .start();
    for round in 0..10 {
        let mut client = server.client();
        client.try_request("GET", &format!("/?round={round}"), "", b"").expect("sent");
        let looping = || server.text(&format!("/pid?round={round}")).parse().ok();
        let pid = e2e::until(e2e::SOON, looping).expect("it loops for ever, and says who it is");
        kill(pid, 9);
        assert_eq!(server.text("/check"), "whole", "round {round}");
    }
    server.stop();
}

#[test]
fn outside_of_a_server_it_says_what_it_needs() {
    let script = "<?php try { RoadRunner\\KeyValue::open('mem'); } catch (RoadRunner\\Exception $e) { echo $e->getMessage(); }";
    let end = Options::source(script).finish();
    assert!(
        end.stdout.contains("this works in the app of a server whose kv section has it"),
        "{}",
        end.stdout
    );
}
