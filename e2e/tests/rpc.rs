//! `rpc.listen` and `RoadRunner\Rpc`: the same methods by the same names (rows RP-, R-01…R-21).

use e2e::goridge::{GOB, JSON, MSGPACK, PROTO, RAW, frame};
use e2e::{Goridge, Options, Server, eventually};
use serde_json::{Value, json};

fn options(body: &str) -> Options {
    Options::handler(body).workers(2).set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
}

fn workers(server: &Server) -> Vec<e2e::Process> {
    server.processes().into_iter().filter(|process| process.name == "rr-worker").collect()
}

fn client(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

#[test]
fn r_01_r_02_version_and_config() {
    let server = options("return 'x';").start();
    let mut rpc = client(&server);
    assert_eq!(rpc.json("rpc.Version", "true"), Ok(json!("2025.1.15")));
    let config = rpc.call("rpc.Config", RAW, b"").expect("nothing is false");
    assert!(serde_json::from_slice::<Value>(&config).is_ok_and(|config| config["rpc"]["listen"].is_string()));
    let config = rpc.call("rpc.Config", RAW, b"1").expect_err("a switch is no bytes");
    assert!(config.contains("unknown Raw payload type"), "{config}");
    let config = rpc.json("rpc.Config", "true").expect("the config");
    assert!(config.as_str().is_some_and(|text| text.len() > 20), "base64, as Go writes bytes: {config}");
    assert_eq!(rpc.call("rpc.Version", MSGPACK, b"\xc3"), Ok(b"\xa92025.1.15".to_vec()));
    assert_eq!(rpc.json("rpc.Version", ""), Ok(json!("2025.1.15")), "RP-05");
    drop(rpc);
    server.stop();
}

#[test]
fn rp_01_to_rp_07_what_is_refused_and_how() {
    let server = options("return 'x';").start();
    let mut rpc = client(&server);
    assert_eq!(rpc.json("rpc.Nothing", "1"), Err("rpc: can't find method rpc.Nothing".to_owned()));
    assert_eq!(rpc.json("nothing.At", "1"), Err("rpc: can't find service nothing.At".to_owned()));
    let formed = Err("rpc: service/method request ill-formed: Nothing".to_owned());
    assert_eq!(rpc.json("Nothing", "1"), formed);
    let proto = rpc.call("rpc.Version", PROTO, b"\x08\x01").expect_err("no message");
    assert_eq!(proto, "goridge_read_request_body: message type is not a proto");
    assert!(rpc.json("rpc.Version", "{").is_err());
    let gob = rpc.call("rpc.Version", GOB, b"x").expect_err("not served");
    assert!(gob.contains("GOB codec") && gob.contains("use JSON"), "{gob}");
    // The connection is fine after all of that.
    assert_eq!(rpc.json("rpc.Version", "true"), Ok(json!("2025.1.15")));
    drop(rpc);
    server.stop();
}

#[test]
fn fr_13_frames_that_kill_roadrunner_end_their_connection_only() {
    let server = options("return 'x';").start();
    let mut other = client(&server);
    let name = b"rpc.Versiontrue";
    let mut checksum = frame(JSON, &[1, 11], name);
    checksum[7] ^= 1;
    let mut words = frame(JSON, &[1, 11], name);
    words[0] = 0x1e;
    let mut huge = frame(JSON, &[1, 11], name);
    huge[2..6].copy_from_slice(&u32::MAX.to_le_bytes());
    let sum = crc(&huge[..6]);
    huge[6..10].copy_from_slice(&sum.to_le_bytes());
    for bad in [
        frame(JSON, &[1], name),
        frame(JSON, &[1, 11, 0], name),
        frame(JSON, &[1, 4000], name),
        frame(JSON, &[1, u32::MAX], name),
        frame(JSON, &[1, 4], b"\xff\xfe\xfd\xfc"),
        checksum,
        words,
        huge,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"Could not open input file: worker.php".to_vec(),
    ] {
        let mut rpc = client(&server);
        rpc.send_bytes(&bad).expect("sent");
        assert!(rpc.is_closed(), "{bad:02x?}");
        assert_eq!(other.json("rpc.Version", "true"), Ok(json!("2025.1.15")));
    }
    assert_eq!(server.get("/").status, 200);
    drop(other);
    server.stop();
}

fn crc(bytes: &[u8]) -> u32 {
    let frame = frame(bytes[1], &[0; 2], &[]);
    assert_eq!(frame[0], bytes[0]);
    // CRC-32 again, by its definition: the one of the frame is of another length.
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[test]
fn rp_06_replies_come_when_they_are_ready_and_many_at_a_time() {
    let server = options("return 'x';").start();
    let mut rpc = client(&server);
    // A reload takes longer than a version.
    let slow = rpc.send("resetter.Reset", JSON, b"\"http\"");
    let quick: Vec<u32> = (0..500).map(|_| rpc.send("rpc.Version", JSON, b"true")).collect();
    let mut seen: Vec<u32> = (0..501).map(|_| rpc.read().sequence).collect();
    assert_ne!(seen[0], slow, "the slow one does not hold up the others");
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(std::iter::once(slow).chain(quick)), "each once");
    drop(rpc);
    server.stop();
}

#[test]
fn thousands_of_connections() {
    let server = options("return 'x';").start();
    let mut all: Vec<Goridge> = (0..2000).map(|_| client(&server)).collect();
    for rpc in &mut all {
        rpc.send("rpc.Version", JSON, b"true");
    }
    for rpc in &mut all {
        assert_eq!(rpc.read().body, b"\"2025.1.15\"");
    }
    drop(all);
    server.stop();
}

/// R-11, WRK-12.
#[test]
fn r_11_workers_with_roadrunners_fields() {
    let server = options("return 'x';").start();
    for _ in 0..4 {
        assert_eq!(server.get("/").status, 200);
    }
    let mut rpc = client(&server);
    assert_eq!(rpc.json("informer.List", "true"), Ok(json!(["http"])));
    let list = rpc.json("informer.Workers", "\"http\"").expect("workers");
    let shown = list["workers"].as_array().expect("a list");
    assert_eq!(shown.len(), 2);
    let pids: Vec<u64> = workers(&server).iter().map(|worker| u64::from(worker.pid)).collect();
    for worker in shown {
        assert!(pids.contains(&worker["pid"].as_u64().expect("a pid")), "{worker}");
        assert_eq!((&worker["status"], &worker["statusStr"]), (&json!(1), &json!("ready")));
        assert!(
            worker["created"].as_u64().is_some_and(|nanos| nanos > 1_600_000_000_000_000_000),
            "{worker}"
        );
        assert!(worker["memoryUsage"].as_u64().is_some_and(|bytes| bytes > 10_000), "{worker}");
        assert!(worker["CPUPercent"].is_number() && worker["command"].is_string(), "{worker}");
    }
    let served: u64 = shown.iter().filter_map(|worker| worker["numExecs"].as_u64()).sum();
    assert_eq!(served, 4);
    assert_eq!(rpc.json("informer.Workers", "\"nothing\""), Ok(json!({"workers": null})));
    assert_eq!(rpc.json("informer.Jobs", "\"jobs\""), Ok(Value::Null));
    drop(rpc);
    server.stop();
}

/// R-13, R-14, POOL-15.
#[test]
fn r_13_r_14_workers_more_and_less() {
    let server = options("return 'x';").start();
    let mut rpc = client(&server);
    let count = |wanted: usize| eventually("the number of workers", || workers(&server).len() == wanted);
    for wanted in 3..=4 {
        assert_eq!(rpc.json("informer.AddWorker", "\"http\""), Ok(json!(false)));
        count(wanted);
    }
    for wanted in [3, 2, 1, 1] {
        assert_eq!(rpc.json("informer.RemoveWorker", "\"http\""), Ok(json!(false)));
        count(wanted);
    }
    assert_eq!(server.get("/").status, 200, "the last one stays");
    let unknown = Err("plugin jobs does not support workers management".to_owned());
    assert_eq!(rpc.json("informer.AddWorker", "\"jobs\""), unknown);
    drop(rpc);
    server.stop();
}

#[test]
fn r_21_reset_answers_when_the_new_workers_serve() {
    let server = options("return (string) getmypid();").start();
    let before = server.text("/");
    let mut rpc = client(&server);
    assert_eq!(rpc.json("resetter.List", "true"), Ok(json!(["http"])));
    assert_eq!(rpc.json("resetter.Reset", "\"http\""), Ok(json!(true)));
    assert_ne!(server.text("/"), before, "no old worker is left");
    let unknown = rpc.json("resetter.Reset", "\"jobs\"").expect_err("there is none");
    assert!(unknown.contains("no such plugin: jobs"), "{unknown}");
    drop(rpc);
    server.stop();
}

#[test]
fn php_calls_the_same_methods_without_a_socket() {
    let server = Options::handler(
        "try {
             $argument = json_decode($request->body(), true);
             return json_encode(RoadRunner\\Rpc::call(substr($request->path(), 1), $argument));
         } catch (RoadRunner\\RpcException $e) {
             return 'failed: ' . $e->getMessage();
         }",
    )
    .start();
    let call = |method: &str, argument: &str| {
        server.client().post(&format!("/{method}"), argument.as_bytes()).text()
    };
    assert_eq!(call("rpc.Version", "true"), "\"2025.1.15\"");
    assert_eq!(call("informer.List", "true"), "[\"http\"]");
    assert!(call("informer.Workers", "\"http\"").contains("\"statusStr\":\"working\""));
    assert_eq!(call("no.Such", "null"), "failed: rpc: can't find service no.Such");
    assert!(call("rpc.Version", "\"text\"").starts_with("failed: goridge_read_request_body: invalid type"));
    server.stop();
}

#[test]
fn rp_10_workers_know_the_address_and_a_taken_one_is_said() {
    let server = options("return getenv('RR_RPC');").start();
    assert!(server.text("/").ends_with("/rpc.sock"));
    server.stop();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let end = Options::handler("return 'x';").set("rpc.listen", &format!("'tcp://{address}'")).finish();
    assert_eq!(end.code, Some(1));
    let text = end.stderr;
    assert!(text.contains("rpc.listen: cannot listen on") && text.contains("another process"), "{text}");
}

#[test]
fn the_rpc_outlives_workers_that_use_it() {
    let body = "touch(__DIR__ . '/began');
        while (!file_exists(__DIR__ . '/go')) { usleep(1000); }
        $socket = stream_socket_client(getenv('RR_RPC'));
        $head = pack('CCV', 16 | 5, 8, 15);
        fwrite($socket, $head . pack('V', crc32($head)) . \"\\0\\0\" . pack('VV', 1, 11) . 'rpc.Versiontrue');
        return substr(fread($socket, 100), 20);";
    let mut server = options(body).start();
    let mut http = server.client();
    http.try_request("GET", "/", "", b"").expect("taken");
    eventually("it runs", || server.file("began").exists());
    server.signal(15);
    eventually("it stops", || server.logs.text().contains("stopping"));
    std::fs::write(server.file("go"), "").expect("a file");
    assert!(http.read().text().contains("2025.1."), "asked after the signal");
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn the_example_serves_every_plugin() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = |name: &str| format!("unix://{}", dir.path().join(name).display());
    let server = Options::path(e2e::workspace().join("examples/rpc/server.php"))
        .env("RPC_LISTEN", socket("rpc.sock"))
        .env("METRICS_ADDRESS", socket("metrics.sock"))
        .env("STATUS_ADDRESS", socket("status.sock"))
        .start();
    let answer = |target: &str| serde_json::from_str::<Value>(&server.text(target)).expect("JSON");
    assert_eq!(answer("/"), json!({"visits": 1, "version": "2025.1.15"}));
    assert!(answer("/time")["computed"].is_string() && answer("/lock")["fencing token"].is_u64());
    assert_eq!((answer("/services").as_array().map(Vec::len), answer("/log")), (Some(1), json!("logged")));
    server.logs.expect("somebody asked for the log");
    assert_eq!(answer("/workers")["workers"].as_array().map(Vec::len), Some(2));
    let mut rpc = client(&server);
    assert_eq!(
        rpc.json("kv.Has", r#"{"storage":"cache","items":[{"key":"visits"}]}"#),
        Ok(json!({"items": [{"key": "visits"}]}))
    );
    assert_eq!(
        rpc.json("lock.Exists", r#"{"resource":"page","id":"*"}"#),
        Ok(json!({})),
        "it was given back"
    );
    assert_eq!(
        rpc.json("metrics.Add", r#"{"name":"visits_total","value":2,"labels":["/"]}"#),
        Ok(json!(true))
    );
    let metrics = server.addrs().iter().find(|address| address.contains("metrics.sock")).expect("an address");
    let text = e2e::Client::connect(metrics.trim_end_matches("/metrics")).get("/metrics").text();
    assert!(text.contains("\nvisits_total{page=\"/\"} 3\n"), "{text}");
    drop(rpc);
    server.stop();
}
