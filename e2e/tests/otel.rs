//! Section `otel`: spans of requests and metrics arrive at a collector, which may be slow, gone or unwilling.

use e2e::{Collector, Daemon, Options, SOON, eventually, text};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use std::process::Command;
use std::time::{Duration, Instant};

const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn options(collector: &Collector, body: &str) -> Options {
    Options::handler(body)
        .workers(1)
        .set("otel.insecure", "true")
        .set("otel.endpoint", &format!("'{}'", collector.address()))
        .set("http.middleware", "['otel']")
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        // A connection to the collector stays open.
        .descriptors_may_grow()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const ECHO: &str = "return $request->header('traceparent') . ' ' . $request->header('tracestate')
    . ' ' . $request->header('baggage') . ' ' . ($request->server()['HTTP_TRACEPARENT'] ?? 'none') . ' ' . getmypid();";

#[test]
fn a_span_has_the_clients_parent_and_php_goes_on_from_it() {
    let collector = Collector::start();
    let server = options(&collector, ECHO)
        .set("otel.resource.service_name", "'shop'")
        .set("otel.headers.x-key", "'secret'")
        .start();
    let mut client = server.client();
    let headers =
        format!("Traceparent: {CLIENT}\r\nTracestate: a=b\r\nBaggage: user=7\r\nUser-Agent: test/1\r\n");
    client.try_request("GET", "/some/path?q=1", &headers, b"").expect("taken");
    let said = client.read().text();
    let words: Vec<&str> = said.split(' ').collect();
    let [parent, state, baggage, of_server, pid] = words[..] else { panic!("{said}") };
    assert_eq!((state, baggage, of_server), ("a=b", "user=7", parent));
    let span = collector.span("/some/path");
    assert_eq!(parent, format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!((span.name.as_str(), span.kind), ("GET", 2));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    assert_eq!(span.status.as_ref().map(|status| status.code()), Some(StatusCode::Unset));
    let port = server.addr().rsplit_once(':').expect("a port").1;
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.query", "q=1"),
        ("url.scheme", "http"),
        ("client.address", "127.0.0.1"),
        ("server.address", "test"),
        ("server.port", port),
        ("user_agent.original", "test/1"),
        ("network.protocol.version", "1.1"),
        ("roadrunner.worker.pid", pid),
    ] {
        assert_eq!(text(&span.attributes, key).as_deref(), Some(value), "{key}");
    }
    let resource = collector.resource().expect("a resource").attributes;
    assert_eq!(text(&resource, "service.name").as_deref(), Some("shop"));
    assert_eq!(text(&resource, "process.pid"), Some(server.pid().to_string()));
    assert_eq!(collector.header("x-key").as_deref(), Some("secret"));
    // Without a parent it is a trace of its own.
    client
        .try_request("GET", "/alone", "Traceparent: 00-zz-1-01\r\nTracestate: x=y\r\n", b"")
        .expect("taken");
    let said = client.read().text();
    let span = collector.span("/alone");
    assert!(span.parent_span_id.is_empty());
    assert!(said.starts_with(&format!("00-{}-{}-01  ", hex(&span.trace_id), hex(&span.span_id))), "{said}");
    drop(client);
    server.stop();
}

#[test]
fn failures_are_errors_with_their_kind() {
    let collector = Collector::start();
    let body = "
        if ($request->path() === '/dies') { posix_kill(getmypid(), SIGKILL); }
        if ($request->path() === '/throws') { throw new RuntimeException('x'); }
        if ($request->path() === '/cut') { (new Response())->write('a')->flush(); usleep(1000); posix_kill(getmypid(), SIGKILL); }
        return new Response('x', (int) substr($request->path(), 1));";
    let server = options(&collector, body).expect_errors().start();
    for (path, status) in [("/503", 503), ("/404", 404), ("/throws", 500), ("/dies", 502)] {
        assert_eq!(server.get(path).status, status);
        let span = collector.span(path);
        assert_eq!(text(&span.attributes, "http.response.status_code"), Some(status.to_string()), "{path}");
        let code = span.status.as_ref().map(|status| status.code());
        assert_eq!(code == Some(StatusCode::Error), status >= 500, "{path}: {span:#?}");
    }
    let kind = |path: &str| text(&collector.span(path).attributes, "error.type").unwrap_or_default();
    assert_eq!(
        (kind("/503").as_str(), kind("/404").as_str(), kind("/dies").as_str()),
        ("503", "", "worker_died")
    );
    let said = collector.span("/dies").status.expect("a status").message;
    assert!(said.contains("SIGKILL"), "{said}");
    let mut client = server.client();
    client.try_request("GET", "/cut", "", b"").expect("taken");
    assert!(client.try_read().is_err(), "cut off");
    let cut = collector.span("/cut");
    assert_eq!(text(&cut.attributes, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(cut.status.as_ref().map(|status| status.code()), Some(StatusCode::Error));
    drop(client);
    server.stop();
}

#[test]
fn a_collector_may_go_and_come_back() {
    let collector = Collector::start();
    let address = collector.address().to_owned();
    let server = options(&collector, "return 'x';").start();
    assert_eq!(server.text("/before"), "x");
    let _ = collector.span("/before");
    drop(collector);
    for n in 0..20 {
        assert_eq!(server.text(&format!("/meanwhile/{n}")), "x");
    }
    server.logs.expect("spans cannot be sent");
    let collector = Collector::at(&address);
    assert_eq!(server.text("/after"), "x");
    let _ = collector.span("/after");
    for n in 0..20 {
        let _ = collector.span(&format!("/meanwhile/{n}"));
    }
    server.logs.expect("spans are sent again");
    assert_eq!(server.logs.count("spans cannot be sent"), 1, "one line, not one per attempt");
    // Unwilling for now, then for good.
    collector.answer(503);
    let before = collector.requests();
    assert_eq!(server.text("/later"), "x");
    eventually("it is tried again", || collector.requests() > before + 1);
    collector.answer(400);
    server.logs.expect("spans are refused, and dropped until they are taken: it answered 400");
    collector.answer(200);
    server.stop();
}

#[test]
fn what_is_left_is_sent_when_the_server_stops() {
    let collector = Collector::start();
    let server = options(&collector, "return 'x';").env("OTEL_BSP_SCHEDULE_DELAY", "3600000").start();
    for n in 0..20 {
        assert_eq!(server.text(&format!("/{n}")), "x");
    }
    server.stop();
    assert_eq!(collector.spans().len(), 20);
}

#[test]
fn a_silent_collector_holds_nobody_up_and_what_is_lost_is_said() {
    let collector = Collector::start();
    collector.fall_silent();
    let server = options(&collector, "return 'x';")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "4")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
        .start();
    for n in 0..20 {
        assert_eq!(server.text(&format!("/{n}")), "x");
    }
    let began = Instant::now();
    let logs = server.stop();
    assert!(began.elapsed() < SOON, "the end has a bound");
    let records = logs.records();
    let count = |msg: &str, field: &str| {
        let record =
            records.iter().find(|record| record["msg"].as_str().is_some_and(|text| text.contains(msg)));
        record.and_then(|record| record[field].as_u64()).unwrap_or_else(|| panic!("{msg}: {}", logs.text()))
    };
    assert_eq!(count("spans were dropped", "dropped") + count("the last spans are lost", "left"), 20);
}

#[test]
fn metrics_arrive_and_the_last_ones_too() {
    let collector = Collector::start();
    let body =
        "RoadRunner\\Metrics::counter('hits_total', ['path'])->with([$request->path()])->inc(2); return 'x';";
    let server = options(&collector, body)
        .set("otel.metrics", "true")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .start();
    eventually("they come", || collector.metric("rr_http_total_workers").is_some());
    assert_eq!(server.text("/a"), "x");
    let hits = || {
        let Some(Data::Sum(sum)) = collector.metric("hits_total")?.data else { panic!("no counter") };
        let point = sum.data_points.first()?.clone();
        assert_eq!(text(&point.attributes, "path").as_deref(), Some("/a"));
        assert!(sum.is_monotonic && point.start_time_unix_nano <= point.time_unix_nano);
        match point.value? {
            Value::AsDouble(number) => Some(number),
            Value::AsInt(_) => None,
        }
    };
    eventually("the counter comes", || hits() == Some(2.0));
    assert_eq!(server.text("/a"), "x");
    server.stop();
    assert_eq!(hits(), Some(4.0), "once more at the end");
}

#[test]
fn grpc_with_compression() {
    let collector = Collector::start();
    let server = options(&collector, ECHO)
        .set("otel.client", "'grpc'")
        .set("otel.compress", "true")
        .set("otel.metrics", "true")
        .start();
    assert_eq!(server.get("/g").status, 200);
    let span = collector.span("/g");
    assert_eq!(span.name, "GET");
    assert_eq!(collector.header("content-type").as_deref(), Some("application/grpc"));
    assert_eq!(collector.header("grpc-encoding").as_deref(), Some("gzip"));
    server.stop();
    assert!(collector.metric("rr_http_requests_queue").is_some());
}

#[test]
fn what_is_not_sampled_is_not_sent_and_php_is_told() {
    let collector = Collector::start();
    let server = options(&collector, ECHO)
        .env("OTEL_TRACES_SAMPLER", "traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0")
        .start();
    let said = server.text("/x");
    assert!(
        said.starts_with("00-") && said.split(' ').next().is_some_and(|parent| parent.ends_with("-00")),
        "{said}"
    );
    server.stop();
    assert!(collector.spans().is_empty());
}

#[test]
fn the_servers_own_output_and_what_is_said_of_settings() {
    let server = Options::handler("return 'x';")
        .set("otel.exporter", "'stdout'")
        .set("http.middleware", "['otel']")
        .env("OTEL_BSP_SCHEDULE_DELAY", "10")
        .env("OTEL_TRACES_SAMPLER", "xray")
        .start();
    assert_eq!(server.text("/out"), "x");
    eventually("it is written", || server.stdout.text().contains("\"/out\""));
    server.logs.expect("OTEL_TRACES_SAMPLER=xray is not followed");
    server.stop();
    let finished = Options::handler("return 'x';").set("otel.exporter", "'jaeger'").finish();
    assert_ne!(finished.code, Some(0));
    assert!(
        finished.stderr.contains("otel.exporter: jaeger is not served; write otlp"),
        "{}",
        finished.stderr
    );
    let server = Options::handler("return $request->header('traceparent') ?? 'none';")
        .set("otel.insecure", "true")
        .start();
    server.logs.expect("requests are traced with otel in http.middleware");
    assert_eq!(server.text("/"), "none");
    server.stop();
    let server = Options::handler("return 'x';").set("http.middleware", "['otel']").start();
    server.logs.expect("http.middleware: otel has no effect in this version; give an otel section");
    server.stop();
}

#[test]
fn tls_is_spoken_unless_it_is_said_otherwise() {
    let collector = Collector::start();
    let server = options(&collector, "return 'x';").set("otel.insecure", "false").start();
    assert_eq!(server.text("/"), "x");
    server.logs.expect("spans cannot be sent");
    let line =
        server.logs.wait_for(|record| record["logger"] == "otel", Duration::from_secs(20)).expect("a line");
    assert!(line["to"].as_str().is_some_and(|to| to.starts_with("https://")), "{line}");
    server.stop();
    assert!(collector.spans().is_empty());
}

/// nginx speaks TLS in front of a collector that does not; its certificate is the only one that the server trusts.
#[test]
fn a_collector_behind_tls_whose_certificate_is_trusted() {
    let collector = Collector::start();
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    let name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(name)
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let http = format!(
        "daemon off; master_process off; pid {}; error_log stderr crit; events {{}} http {{
            access_log off; client_body_temp_path {}; proxy_temp_path {}; fastcgi_temp_path {}; uwsgi_temp_path {};
            scgi_temp_path {};
            server {{ listen 127.0.0.1:PLACE ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
                location / {{ proxy_pass http://{}; }} }} }}",
        file("pid"), file("a"), file("b"), file("c"), file("d"), file("e"), collector.address()
    );
    let (template, config) = (file("nginx.template"), file("nginx.conf"));
    std::fs::write(&template, http).expect("a file");
    let run = format!("sed s/PLACE/PORT/ {template} > {config}; exec nginx -e stderr -c {config}");
    let nginx = Daemon::start("sh", &["-c", &run]);
    let server = options(&collector, "return 'x';")
        .set("otel.insecure", "false")
        .set("otel.endpoint", &format!("'{}'", nginx.address()))
        .env("SSL_CERT_FILE", &certificate)
        .start();
    assert_eq!(server.text("/tls"), "x");
    let _ = collector.span("/tls");
    server.stop();
    // Another server trusts the system's certificates only.
    let server = options(&collector, "return 'x';")
        .set("otel.insecure", "false")
        .set("otel.endpoint", &format!("'{}'", nginx.address()))
        .start();
    assert_eq!(server.text("/untrusted"), "x");
    server.logs.expect("invalid peer certificate");
    server.stop();
    assert_eq!(collector.spans().len(), 1);
}

#[test]
fn superglobals_have_the_context_and_files_and_lost_clients_have_spans() {
    let collector = Collector::start();
    let source = format!(
        "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1], 'middleware' => ['otel']],
            'otel' => ['insecure' => true, 'endpoint' => '{}']])
            ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', 'globals')->run();",
        collector.address()
    );
    let index =
        "<?php if (isset($_GET['wait'])) { touch(__DIR__ . '/../here'); while (!file_exists(__DIR__ . '/../go')) { usleep(1000); } }
        echo $_SERVER['HTTP_TRACEPARENT'];";
    let server = Options::source(&source)
        .file("public/index.php", index)
        .file("public/plain.txt", "plain")
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .descriptors_may_grow()
        .start();
    let said = server.text("/some");
    let span = collector.span("/some");
    assert_eq!(said, format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)));
    assert_eq!(server.text("/plain.txt"), "plain");
    let file = collector.span("/plain.txt");
    assert_eq!(text(&file.attributes, "roadrunner.worker.pid"), None, "no worker has seen it");
    let mut client = server.client();
    client.try_request("GET", "/left?wait=1", "", b"").expect("taken");
    eventually("it runs", || server.file("here").exists());
    drop(client);
    let left = collector.span("/left");
    assert_eq!(text(&left.attributes, "error.type").as_deref(), Some("client_gone"));
    std::fs::write(server.file("go"), "").expect("a file");
    server.stop();
}
