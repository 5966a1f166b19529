//! `metrics.address`, `metrics.*` over RPC and `RoadRunner\Metrics` (rows R-80…82, ME-01…04).

use e2e::goridge::MSGPACK;
use e2e::{Goridge, Load, Options, Server, eventually};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

fn options(body: &str) -> Options {
    Options::handler(body)
        .set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
        .set("metrics.address", "'127.0.0.1:0'")
}

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

fn address(server: &Server) -> &str {
    let address = server.addrs().iter().find(|address| address.ends_with("/metrics")).expect("an address");
    address.trim_end_matches("/metrics")
}

#[track_caller]
fn scrape(server: &Server) -> String {
    let mut stream = TcpStream::connect(address(server)).expect("connects");
    stream.write_all(b"GET /any/path HTTP/1.1\r\nHost: x\r\n\r\n").expect("asks");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok())
}

fn promtool(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Debian's package prometheus; scripts/setup --test installs it.
    let Ok(mut child) = command.spawn() else { return };
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("writes");
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

/// Requests of several clients at once; how many were answered, all of them well.
fn hammer(server: &Server) -> f64 {
    let _one = e2e::heavy();
    let load = Load::start(server.addr(), "/", 8);
    load.advance(1000);
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{tally:?}");
    tally.fine() as f64
}

const COUNT: &str = r"
    static $hits = null;
    $hits ??= RoadRunner\Metrics::counter('hits_total', ['route'], 'Hits.')->with(['/']);
    for ($i = 0; $i < 10; $i++) { $hits->inc(); }
    return 'x';";

#[test]
fn a_counter_that_many_workers_hammer_sums_exactly() {
    let server = options(COUNT).workers(4).start();
    let answered = hammer(&server);
    assert_eq!(value(&scrape(&server), "hits_total{route=\"/\"}"), Some(10.0 * answered));
    server.stop();
}

#[test]
fn kill_9_loses_nothing_and_counts_nothing_twice() {
    let body = r"
        $hits = RoadRunner\Metrics::counter('hits_total');
        $seconds = RoadRunner\Metrics::histogram('run_seconds', [], [0.5, 1]);
        for ($i = 0; $i < 100; $i++) { $hits->inc(2); $seconds->observe(0.75); }
        if ($request->path() === '/die') { posix_kill(getmypid(), SIGKILL); }
        return 'x';";
    let server = options(body).workers(2).expect_errors().start();
    let mut expected = 0.0;
    for round in 0..12 {
        let dies = round % 3 == 0;
        let response = server.get(if dies { "/die" } else { "/" });
        assert_eq!(response.status == 200, !dies);
        expected += 100.0;
        // The scrape may come before the end of the worker is noticed, or after.
        let seen = scrape(&server);
        assert_eq!(value(&seen, "hits_total"), Some(2.0 * expected), "{seen}");
        assert_eq!(value(&seen, "run_seconds_bucket{le=\"1\"}"), Some(expected));
        assert_eq!(value(&seen, "run_seconds_bucket{le=\"0.5\"}"), Some(0.0));
        assert_eq!(value(&seen, "run_seconds_sum"), Some(0.75 * expected));
    }
    server.stop();
}

#[test]
fn me_01_collectors_of_the_config_count_from_php_and_over_rpc_together() {
    let body = r"
        RoadRunner\Metrics::counter('jobs')->inc(1.5, ['mail']);
        RoadRunner\Metrics::gauge('depth')->set(7);
        RoadRunner\Metrics::gauge('depth')->dec(2);
        RoadRunner\Metrics::summary('size')->observe(10);
        RoadRunner\Metrics::histogram('named_seconds', buckets: [1, 2.5, INF], help: 'Named.')->observe(2);
        return 'x';";
    let server = options(body)
        .workers(1)
        .set(
            "metrics.collect.jobs",
            "['type' => 'counter', 'namespace' => 'app', 'help' => 'Jobs.', 'labels' => ['queue']]",
        )
        .set("metrics.collect.depth", "['type' => 'gauge', 'help' => 'Depth.']")
        .set(
            "metrics.collect.size",
            "['type' => 'summary', 'help' => 'Size.', 'objectives' => ['0.5' => 0.05]]",
        )
        .start();
    assert_eq!(server.get("/").status, 200);
    let mut rpc = rpc(&server);
    assert_eq!(rpc.json("metrics.Add", r#"{"name":"jobs","value":2,"labels":["mail"]}"#), Ok(json!(true)));
    let packed = b"\x83\xa4name\xa5depth\xa5value\x01\xa6labels\xc0";
    assert_eq!(rpc.call("metrics.Add", MSGPACK, packed), Ok(b"\xc3".to_vec()));
    eventually("the gauge arrives", || value(&scrape(&server), "depth") == Some(6.0));
    let seen = scrape(&server);
    assert_eq!(value(&seen, "app_jobs{queue=\"mail\"}"), Some(3.5), "{seen}");
    assert_eq!(value(&seen, "size_count"), Some(1.0));
    assert_eq!(value(&seen, "named_seconds_bucket{le=\"2.5\"}"), Some(1.0), "{seen}");
    assert!(value(&seen, "size{quantile=\"0.5\"}").is_some_and(|size| (9.8..10.2).contains(&size)), "{seen}");
    drop(rpc);
    server.stop();
}

#[test]
fn r_80_r_82_declared_over_rpc_and_refused_with_roadrunners_texts() {
    let server = options("return 'x';").workers(1).start();
    let mut rpc = rpc(&server);
    let declare = r#"{"name":"c","collector":{"type":"counter","help":"h","labels":["a"],"buckets":[],"objectives":[]}}"#;
    assert_eq!(rpc.json("metrics.Declare", declare), Ok(json!(true)));
    assert_eq!(rpc.json("metrics.Declare", declare), Ok(json!(true)), "as it is, with a warning");
    server.logs.expect("metric with provided name already exist");
    let add = |rpc: &mut Goridge, value: i32, label: &str| {
        rpc.json("metrics.Add", &json!({"name": "c", "value": value, "labels": [label]}).to_string())
    };
    assert_eq!(add(&mut rpc, 3, "x"), Ok(json!(true)));
    let down = Err("metrics_plugin_add: counter cannot decrease in value".to_owned());
    assert_eq!(add(&mut rpc, -1, "x"), down, "ME-02 kills RoadRunner");
    let undefined = rpc.json("metrics.Set", r#"{"name":"none","value":1,"labels":[]}"#);
    assert_eq!(undefined, Err("metrics_plugin_set: undefined collector none".to_owned()));
    assert_eq!(value(&scrape(&server), "c{a=\"x\"}"), Some(3.0));
    assert_eq!(rpc.json("metrics.Unregister", "\"c\""), Ok(json!(true)));
    assert_eq!(value(&scrape(&server), "c{a=\"x\"}"), None);
    drop(rpc);
    server.stop();
}

#[test]
fn what_php_gets_wrong_is_an_exception_that_says_so() {
    let body = r"
        $wrong = [
            fn () => Metrics::counter('a')->inc(-1),
            fn () => Metrics::counter('a')->inc(NAN),
            fn () => Metrics::counter('not valid')->inc(),
            fn () => Metrics::counter('b', ['x'])->inc(),
            fn () => Metrics::counter('b', ['x'])->inc(1, ['1', '2']),
            fn () => Metrics::gauge('b')->set(1, ['1']),
            fn () => Metrics::counter('rr_http_total_workers')->inc(),
            fn () => Metrics::histogram('h', [], [2, 1])->observe(1),
            fn () => Metrics::counter('b', ['x'])->with([chr(255)]),
            fn () => Metrics::unregister('nothing'),
        ];
        $out = [];
        foreach ($wrong as $call) {
            try { $call(); $out[] = 'none'; } catch (MetricsException $error) { $out[] = $error->getMessage(); }
        }
        return implode(PHP_EOL, $out);";
    let body = body
        .replace("Metrics::", "RoadRunner\\Metrics::")
        .replace("(MetricsException", "(RoadRunner\\MetricsException");
    let server = options(&body).workers(1).start();
    let said = server.text("/");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 10, "{said}");
    let expected = [
        "counter cannot decrease in value",
        "counter cannot decrease in value",
        "is not a valid metric name",
        "required labels for collector `b`",
        "expected 1 label values but got 2",
        "collector b is a counter with the labels x, not a gauge",
        "duplicate metrics collector registration attempted",
        "buckets must be in increasing order",
        "label values are texts in UTF-8",
        "undefined collector nothing",
    ];
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{line:?} does not say {part:?}");
    }
    server.stop();
}

#[test]
fn an_unregistered_collector_is_found_gone_by_every_worker() {
    let body = r"
        static $counter = null;
        $counter ??= RoadRunner\Metrics::counter('c_total');
        if ($request->path() === '/off') { RoadRunner\Metrics::unregister('c_total'); return 'off'; }
        $counter->inc();
        return 'x';";
    let server = options(body).workers(2).start();
    let answered = hammer(&server);
    assert_eq!(value(&scrape(&server), "c_total"), Some(answered));
    assert_eq!(server.get("/off").status, 200);
    assert_eq!(value(&scrape(&server), "c_total"), None);
    let answered = hammer(&server);
    assert_eq!(value(&scrape(&server), "c_total"), Some(answered), "made anew, from zero");
    server.stop();
}

#[test]
fn me_04_our_own_series_and_promtool_has_nothing_to_say() {
    let server = options(COUNT).workers(2).start();
    assert_eq!(server.get("/").status, 200);
    // A worker tells of itself once the response is sent.
    eventually("PHP's memory", || scrape(&server).contains("php_memory_bytes{pool=\"http\",worker="));
    let seen = scrape(&server);
    promtool(&seen);
    assert_eq!(value(&seen, "rr_http_total_workers"), Some(2.0));
    assert_eq!(value(&seen, "rr_http_workers_ready"), Some(2.0));
    assert!(value(&seen, "rr_http_workers_memory_bytes").is_some_and(|bytes| bytes > 10_000.0), "{seen}");
    assert!(value(&seen, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(value(&seen, "php_gc_runs_total").is_some());
    if server.banner()["php"].as_str().is_some_and(|php| php.contains("opcache")) {
        eventually("OPcache", || {
            value(&scrape(&server), "php_opcache_used_bytes").is_some_and(|bytes| bytes > 0.0)
        });
    }
    server.stop();
}

#[test]
fn plugins_without_workers_have_series_of_their_own() {
    let server = options(
        "$kv = RoadRunner\\KeyValue::open('small');
         if ($request->path() === '/fill') {
             for ($i = 0; $i < 2000; $i++) { $kv->set(\"key:$i\", str_repeat('v', 1000)); }
         }
         static $lock; $lock = RoadRunner\\Lock::acquire('held', shared: true);
         return 'x';",
    )
    .workers(1)
    .set("kv.small", "['driver' => 'memory', 'config' => ['max_memory' => '1MB']]")
    .set("service.sleeps", "['command' => 'sleep 1000', 'process_num' => 2]")
    .start();
    let mut rpc = rpc(&server);
    let held = r#"{"resource":"r","id":"1","ttl":60000000,"wait":0}"#;
    assert_eq!(rpc.json("lock.Lock", held).expect("an answer")["ok"], true);
    assert!(rpc.json("kv.Has", r#"{"storage":"none"}"#).is_err());
    assert_eq!(server.text("/fill"), "x");
    let seen = scrape(&server);
    promtool(&seen);
    let of = |series: &str| value(&seen, series).unwrap_or_else(|| panic!("no {series} in {seen}"));
    assert!(
        of("rr_kv_items{storage=\"small\"}") > 100.0
            && of("rr_kv_evictions_total{storage=\"small\"}") > 100.0
    );
    assert_eq!(of("rr_kv_limit_bytes{storage=\"small\"}"), 1_048_576.0);
    assert!(of("rr_kv_used_bytes{storage=\"small\"}") <= 1_048_576.0);
    assert_eq!((of("rr_lock_held"), of("rr_lock_waiting")), (1.0, 0.0), "the request's has ended with it");
    assert_eq!(of("rr_service_processes{service=\"sleeps\"}"), 2.0);
    assert_eq!(of("rr_service_restarts_total{service=\"sleeps\"}"), 0.0);
    assert_eq!(
        (of("rr_rpc_connections"), of("rr_rpc_calls_total"), of("rr_rpc_errors_total")),
        (1.0, 2.0, 1.0)
    );
    drop(rpc);
    eventually("it is closed", || value(&scrape(&server), "rr_rpc_connections") == Some(0.0));
    server.stop();
}

#[test]
fn slow_and_strange_scrapers_are_bounded() {
    let server = options("return 'x';").workers(1).start();
    let patience = Some(Duration::from_secs(20));
    // More than there are places, and none of them ever asks.
    let idle: Vec<_> = (0..31).map(|_| TcpStream::connect(address(&server)).expect("connects")).collect();
    assert!(scrape(&server).contains("rr_http_total_workers"));
    drop(idle);
    let mut post = TcpStream::connect(address(&server)).expect("connects");
    post.set_read_timeout(patience).expect("a timeout");
    post.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").expect("asks");
    let mut answer = String::new();
    let _ = post.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let mut long = TcpStream::connect(address(&server)).expect("connects");
    long.set_read_timeout(patience).expect("a timeout");
    let _ = long.write_all(&[&b"GET /"[..], &vec![b'a'; 64 * 1024], b" HTTP/1.1\r\n\r\n"].concat());
    let _ = long.read(&mut [0; 64]);
    assert!(scrape(&server).contains("rr_http_total_workers"));
    server.stop();
}

#[test]
fn without_a_section_php_counts_for_nobody_and_there_are_no_methods() {
    let body = r"
        RoadRunner\Metrics::counter('c')->inc();
        try { RoadRunner\Rpc::call('metrics.Add', ['name' => 'c', 'value' => 1]); return 'there'; }
        catch (RoadRunner\RpcException $error) { return $error->getMessage(); }";
    let server = Options::handler(body).workers(1).start();
    assert_eq!(server.text("/"), "rpc: can't find method metrics.Add");
    server.stop();
}

#[test]
fn hs_11_http_metrics_count_by_status_and_time() {
    let body = r"
        return match ($request->path()) {
            '/gone' => new Response('no', 404),
            '/fails' => throw new RuntimeException('x'),
            '/dies' => posix_kill(getmypid(), SIGKILL) ? '' : '',
            '/slow' => (function () { usleep(30000); return 'slow'; })(),
            '/stream' => (new Response())->write('a')->write('b'),
            default => 'fine',
        };";
    let server = options(body)
        .workers(2)
        .expect_errors()
        .set("http.middleware", "['http_metrics']")
        .set("http.pool.allocate_timeout", "'10s'")
        .start();
    let statuses =
        ["/", "/", "/", "/slow", "/stream", "/gone", "/fails", "/dies"].map(|path| server.get(path).status);
    assert_eq!(statuses, [200, 200, 200, 200, 200, 404, 500, 502]);
    // Counted once the answer is out, which its client may have read before.
    eventually("all are counted", || {
        value(&scrape(&server), "rr_http_request_total{status=\"200\"}") == Some(5.0)
            && value(&scrape(&server), "rr_http_request_total{status=\"502\"}").is_some()
    });
    let seen = scrape(&server);
    promtool(&seen);
    for status in ["404", "500", "502"] {
        assert_eq!(
            value(&seen, &format!("rr_http_request_total{{status=\"{status}\"}}")),
            Some(1.0),
            "{seen}"
        );
    }
    let duration = |end: &str| value(&seen, &format!("rr_http_request_duration_seconds{end}"));
    assert_eq!(duration("_count{status=\"200\"}"), Some(5.0));
    assert_eq!(duration("_bucket{status=\"200\",le=\"+Inf\"}"), Some(5.0));
    assert!(duration("_bucket{status=\"200\",le=\"0.025\"}").is_some_and(|count| count <= 4.0), "{seen}");
    assert!(duration("_sum{status=\"200\"}").is_some_and(|sum| sum >= 0.03), "{seen}");
    assert_eq!(value(&seen, "rr_http_requests_queue"), Some(0.0));
    assert_eq!(value(&seen, "rr_http_no_free_workers_total"), Some(0.0));
    assert!(value(&seen, "rr_http_uptime_seconds").is_some());
    server.stop();
}

#[test]
fn hs_11_no_free_worker_and_clients_that_leave_are_counted() {
    let server = options("while (!file_exists(__DIR__ . '/go')) { usleep(1000); } return 'x';")
        .workers(1)
        .expect_errors()
        .set("http.middleware", "['http_metrics']")
        .set("http.pool.allocate_timeout", "'1s'")
        .start();
    let mut first = server.client();
    first.try_request("GET", "/", "", b"").expect("taken");
    eventually("it runs", || value(&scrape(&server), "rr_http_workers_working") == Some(1.0));
    assert_eq!(server.get("/").status, 503);
    let mut leaves = server.client();
    leaves.try_request("GET", "/", "", b"").expect("taken");
    let count = |seen: &str, status: &str| {
        value(seen, &format!("rr_http_request_total{{status=\"{status}\"}}")).unwrap_or(0.0)
    };
    eventually("it waits, or has waited", || {
        let seen = scrape(&server);
        value(&seen, "rr_http_requests_queue") == Some(1.0) || count(&seen, "503") == 2.0
    });
    drop(leaves);
    eventually("both are counted", || {
        let seen = scrape(&server);
        count(&seen, "503") + count(&seen, "499") == 2.0
    });
    assert!(value(&scrape(&server), "rr_http_no_free_workers_total").is_some_and(|count| count >= 1.0));
    std::fs::write(server.file("go"), "").expect("a file");
    assert_eq!(first.read().status, 200);
    drop(first);
    server.stop();
}

#[test]
fn hs_11_without_the_middleware_there_are_no_such_series() {
    let server = options("return 'x';").workers(1).start();
    assert_eq!(server.text("/"), "x");
    assert!(!scrape(&server).contains("rr_http_request_total"));
    server.stop();
}
