//! `http.middleware`: rows HS-02 and HS-06 to HS-10, with every way of writing an app.

use e2e::{Client, Options, Response, eventually, workspace};
use flate2::write::GzDecoder;
use std::io::Write;

/// A server of an app in any mode with these settings of `http`, which are PHP. The app says who asks, which `X-In`
/// came, and 20 KB more.
fn app(mode: &str, settings: &str) -> Options {
    let index = "<?php header('Content-Type: text/plain'); header('X-Own: app');
        if (($_GET['own'] ?? '') === 'csp') { header('X-Frame-Options: own'); }
        echo $_SERVER['REMOTE_ADDR'], '|', $_SERVER['HTTP_X_IN'] ?? '', '|', str_repeat('0123456789', 2000);";
    let handler = "$all = static fn ($request) => new RoadRunner\\Response(
            $request->remoteAddress() . '|' . $request->header('x-in') . '|' . str_repeat('0123456789', 2000),
            200, ['Content-Type' => 'text/plain', 'X-Own' => 'app']
                + (($request->query()['own'] ?? '') === 'csp' ? ['X-Frame-Options' => 'own'] : []));";
    let serve = match mode {
        "handler" => "->http(getenv('HTTP_ADDRESS'), $all)",
        "loop" => {
            "->httpLoop(getenv('HTTP_ADDRESS'), function ($worker) use ($all) {
                 while ($request = $worker->receive()) { $worker->respond($all($request)); }
             })"
        }
        _ => &format!("->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')"),
    };
    let source = format!(
        "<?php {handler} RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]] + [{settings}]]){serve}->run();"
    );
    Options::source(&source).file("public/index.php", index).in_mode(mode)
}

fn ask(client: &mut Client, method: &str, target: &str, headers: &str) -> Response {
    client.try_request(method, target, headers, b"").expect("the server takes the request");
    client.read_of(method).expect("a response")
}

fn plain(response: &Response) -> String {
    assert_eq!(response.header("content-encoding"), Some("gzip"), "{}", response.head);
    let mut decoder = GzDecoder::new(Vec::new());
    decoder.write_all(&response.body).expect("it is gzip");
    String::from_utf8(decoder.finish().expect("all of it")).expect("text")
}

/// Headers of a name, in order.
fn all(response: &Response, name: &str) -> Vec<String> {
    let lines = response.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

/// HS-02, HS-08, HS-09, HS-10.
#[test]
fn hs_02_requests_and_responses_pass_the_chain_in_every_mode() {
    let settings = "'middleware' => ['headers', 'gzip', 'proxy_ip_parser'], 'trusted_subnets' => ['127.0.0.0/8'],
        'headers' => ['request' => ['X-In' => 'config'], 'response' => ['X-Frame-Options' => 'deny', 'X-Own' => 'config']]";
    for mode in ["handler", "loop", "globals", "classic", "snapshot"] {
        let server = app(mode, settings).start();
        let mut client = server.client();
        let from = "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n";
        let answer = ask(&mut client, "GET", "/", &format!("{from}Accept-Encoding: gzip\r\n"));
        let text = plain(&answer);
        assert!(text.starts_with("198.51.100.7|config|0123456789"), "{mode}: {}", &text[..60]);
        assert_eq!(text.len(), "198.51.100.7|config|".len() + 20_000, "{mode}");
        assert_eq!(all(&answer, "x-frame-options"), ["deny"], "{mode}");
        assert_eq!(all(&answer, "x-own"), ["app"], "{mode}: what the app says stays");
        assert_eq!(all(&answer, "vary"), ["Accept-Encoding"], "{mode}");
        let answer = ask(&mut client, "GET", "/?own=csp", "X-In: client\r\n");
        assert!(answer.text().starts_with("127.0.0.1|client"), "{mode}: {}", &answer.text()[..40]);
        assert_eq!(all(&answer, "x-frame-options"), ["own"], "{mode}");
        assert_eq!((answer.header("content-encoding"), all(&answer, "vary").len()), (None, 1), "{mode}");
        drop(client);
        server.stop();
    }
}

/// HS-02, BRN-02.
#[test]
fn hs_02_sections_and_names_without_each_other_are_said_once_and_do_nothing() {
    let server = app(
        "handler",
        "'middleware' => ['gizp', 'cache', 'headers'], 'static' => ['dir' => '/nowhere/at/all', 'forbid' => ['.php']]",
    )
    .file("public/a.txt", "a file")
    .start();
    assert!(server.text("/public/a.txt").contains("0123456789"), "it is the app's");
    for text in [
        "there is no middleware \"gizp\"; did you mean \"gzip\"?",
        "the middleware \"cache\" is not part of this server",
        "\"headers\" has no effect without http.headers",
        "http.static: has no effect, as in RoadRunner, until http.middleware names \"static\"",
    ] {
        assert_eq!(server.logs.count(text), 1, "{text}:\n{}", server.logs.text());
    }
    server.stop();
}

/// HS-06.
#[test]
fn hs_06_files_of_a_folder_answer_before_the_app() {
    let server = app(
        "handler",
        "'middleware' => ['static'], 'static' => ['dir' => 'site', 'forbid' => ['.secret'], 'calculate_etag' => true,
            'response' => ['Cache-Control' => 'max-age=60', 'X-Static' => 'yes']]",
    )
    .file("site/a.txt", "hello")
    .file("site/empty.txt", "")
    .file("site/sub/b c.css", &"b{}\n".repeat(50_000))
    .file("site/x.secret", "no")
    .file("site/code.php", "<?php no")
    .file("site/.env.txt", "no")
    .file("outside.txt", "no")
    .start();
    std::os::unix::fs::symlink("../outside.txt", server.file("site/link.txt")).expect("a link");
    let mut client = server.client();
    let file = ask(&mut client, "GET", "/a.txt?v=1", "");
    assert_eq!((file.status, file.text()), (200, "hello".to_owned()));
    assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((file.header("cache-control"), file.header("x-static")), (Some("max-age=60"), Some("yes")));
    let tag = file.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with("\"5-") && file.header("x-own").is_none(), "{}", file.head);

    let unchanged = ask(&mut client, "GET", "/a.txt", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = ask(&mut client, "GET", "/a.txt", "Range: bytes=1-2\r\n");
    assert_eq!(
        (part.status, part.text(), part.header("content-range")),
        (206, "el".to_owned(), Some("bytes 1-2/5"))
    );
    let head = ask(&mut client, "HEAD", "/a.txt", "");
    assert_eq!(
        (head.status, head.header("content-length"), head.header("etag")),
        (200, Some("5"), Some(&*tag))
    );
    let long = ask(&mut client, "GET", "/sub/b%20c.css", "");
    assert_eq!((long.status, long.body.len()), (200, 200_000));
    let empty = ask(&mut client, "GET", "/empty.txt", "");
    assert_eq!((empty.status, empty.header("etag"), empty.body.len()), (200, None, 0));

    for path in ["/../a.txt", "/%2e%2e/a.txt", "/sub/.%2E/a.txt", "/sub%2f..%2fa.txt", "/x/..%5c..%5ca.txt"] {
        assert_eq!(ask(&mut client, "GET", path, "").status, 403, "{path}");
    }
    for path in [
        "/",
        "/a",
        "/none.txt",
        "/sub.d",
        "/x.secret",
        "/code.php",
        "/.env.txt",
        "/link.txt",
        "/a.txt/",
        "/a%00.txt",
        "/%252e%252e/outside.txt",
    ] {
        assert!(ask(&mut client, "GET", path, "").text().starts_with("127.0.0.1|"), "{path} is for the app");
    }
    client.try_request("POST", "/a.txt", "", b"x").expect("sent");
    assert!(client.read().text().starts_with("127.0.0.1|"), "POST is for the app");
    drop(client);
    server.stop();
}

/// HS-06.
#[test]
fn hs_06_a_folder_that_is_not_there_is_an_error_at_the_start() {
    let over =
        app("handler", "'middleware' => ['static'], 'static' => ['dir' => '/nowhere/at/all']").finish();
    assert_eq!(over.code, Some(1));
    let text = over.stdout + &over.stderr;
    assert!(text.contains("http.static.dir: /nowhere/at/all: No such file or directory"), "{text}");
}

/// HS-07.
#[test]
fn hs_07_own_workers_may_always_name_a_file() {
    for list in ["", "'middleware' => 'sendfile'"] {
        let source = format!(
            "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]] + [{list}]])
                 ->http(getenv('HTTP_ADDRESS'), fn () => new RoadRunner\\Response('', 200, ['X-Sendfile' => __DIR__ . '/f.txt']))->run();"
        );
        let server = Options::source(&source).file("f.txt", "content").start();
        let file = server.get("/");
        let kind = file.header("content-type").map(str::to_owned);
        assert_eq!(
            (file.text().as_str(), kind.as_deref()),
            ("content", Some("text/plain; charset=utf-8")),
            "{list}"
        );
        server.stop();
    }
}

/// A server whose workers are this script, started for each of them or forked. `http` are lines of YAML.
fn command(script: &str, fork: bool, http: &str) -> Options {
    let (php, script) = (e2e::php(), workspace().join(script));
    let yaml = format!(
        "version: '3'\nserver: {{command: ['{}', '{}'], relay: pipes, fork: {fork}}}\nhttp:\n  \
         address: ${{HTTP_ADDRESS}}\n  pool: {{num_workers: 1}}\n{http}",
        php.display(),
        script.display()
    );
    let source = "<?php RoadRunner\\Server::fromFile('.rr.yaml')->run();";
    Options::source(source).file(".rr.yaml", &yaml)
}

/// HS-02, HS-08, HS-09, HS-10.
#[test]
fn hs_02_command_workers_are_behind_the_chain_too() {
    let http = "  middleware: [headers, gzip, proxy_ip_parser]\n  trusted_subnets: [127.0.0.0/8]\n  \
                headers: {request: {X-In: config}, response: {X-Frame-Options: deny, X-Worker: config}}\n";
    let padding = "a".repeat(2000);
    for fork in [false, true] {
        let server = command("examples/roadrunner/worker.php", fork, http).start();
        let mut client = server.client();
        let headers = "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\nAccept-Encoding: gzip\r\n";
        let answer = ask(&mut client, "GET", &format!("/?{padding}"), headers);
        let seen: serde_json::Value = serde_json::from_str(&plain(&answer)).expect("JSON");
        assert_eq!(seen["request"]["remoteAddr"], "198.51.100.7", "{fork}");
        assert_eq!(seen["request"]["headers"]["X-In"], serde_json::json!(["config"]), "{fork}");
        assert_eq!(all(&answer, "x-frame-options"), ["deny"], "{fork}");
        assert_eq!(all(&answer, "x-worker"), [seen["pid"].to_string()], "{fork}: what the app says stays");
        assert_eq!(all(&answer, "vary"), ["Accept-Encoding"], "{fork}");
        drop(client);
        server.stop();
    }
}

/// HS-07.
#[test]
fn hs_07_workers_of_a_command_name_files_only_by_the_list() {
    let script = "e2e/php/roadrunner/faults.php";
    let content = std::fs::read_to_string(workspace().join(script)).expect("the script");
    for (http, heeded) in [("", false), ("  middleware: [gzip]\n", false), ("  middleware: sendfile\n", true)]
    {
        let server = command(script, false, http).expect_errors().descriptors_may_grow().start();
        let answer = server.get("/?do=sendfile");
        assert_eq!(answer.status, 200, "{http:?}");
        assert_eq!(answer.header("x-sendfile").is_some(), !heeded, "{http:?}: {}", answer.head);
        assert_eq!(answer.text(), if heeded { content.as_str() } else { "the body" }, "{http:?}");
        // The name by which the extension says it is no way around the list, nor beside it.
        let answer = server.get("/?do=own-file");
        assert_eq!(answer.status, 500, "{http:?}: {}", answer.text());
        assert!(!answer.text().contains("<?php"), "{http:?}");
        server.stop();
    }
}

/// HS-08.
#[test]
fn hs_08_pages_of_other_origins_are_told_what_they_may() {
    let server = app(
        "handler",
        "'middleware' => ['headers'], 'max_request_size' => '1KB',
         'headers' => ['response' => ['X-Frame-Options' => 'deny'], 'cors' => ['allowed_origin_regex' => '^https://(a|b)\\.example$',
            'allowed_methods' => 'GET,PUT', 'allowed_headers' => 'X-Token', 'allow_credentials' => true, 'max_age' => 600]]",
    )
    .start();
    let mut client = server.client();
    let preflight = |origin: &str, more: &str| {
        format!("Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\n{more}")
    };
    let told = ask(
        &mut client,
        "OPTIONS",
        "/x",
        &preflight("https://a.example", "Access-Control-Request-Headers: x-token\r\n"),
    );
    assert_eq!((told.status, told.body.len()), (200, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "x-token"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("x-frame-options", "deny"),
    ] {
        assert_eq!(told.header(name), Some(value), "{name}");
    }
    assert!(told.header("x-own").is_none(), "no worker was asked");
    for origin in ["https://aXexample", "https://a.example.net", "null", "https://(a|b).example"] {
        let refused = ask(&mut client, "OPTIONS", "/x", &preflight(origin, ""));
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (200, None), "{origin}");
    }
    let simple = ask(&mut client, "GET", "/", "Origin: https://b.example\r\n");
    assert_eq!(simple.header("access-control-allow-origin"), Some("https://b.example"));
    assert_eq!((simple.header("vary"), simple.header("x-own")), (Some("Origin"), Some("app")));
    let own = ask(&mut client, "OPTIONS", "/", "Origin: https://b.example\r\n");
    assert_eq!(own.header("x-own"), Some("app"), "no preflight request");
    let large = ask(&mut client, "PUT", "/", "Origin: https://b.example\r\nContent-Length: 5000\r\n");
    assert_eq!((large.status, large.header("access-control-allow-origin")), (413, Some("https://b.example")));
    drop(client);
    server.stop();
}

/// HS-09: an event is with the client when the app has said it.
#[test]
fn hs_09_events_are_not_held_back() {
    let server = Options::handler(
        "return Response::events((function () {
             foreach (['one', 'two', 'three'] as $event) {
                 yield $event;
                 while (!file_exists(__DIR__ . '/' . $event)) { usleep(1000); }
             }
         })());",
    )
    .set("http.middleware", "['gzip']")
    .start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = client.read_head().expect("a head");
    assert_eq!(
        (head.header("content-encoding"), head.header("vary")),
        (Some("gzip"), Some("Accept-Encoding"))
    );
    let mut decoder = GzDecoder::new(Vec::new());
    for event in ["one", "two", "three"] {
        let line = format!("data: {event}\n\n");
        // It comes though the app waits for this test.
        while !decoder.get_ref().ends_with(line.as_bytes()) {
            let chunk = client.read_chunk().expect("a chunk");
            assert!(!chunk.is_empty(), "{event}: the stream has ended");
            decoder.write_all(&chunk).expect("gzip");
            decoder.flush().expect("gzip");
        }
        std::fs::write(server.file(event), "").expect("a file");
    }
    loop {
        let chunk = client.read_chunk().expect("a chunk");
        if chunk.is_empty() {
            break;
        }
        decoder.write_all(&chunk).expect("gzip");
    }
    assert_eq!(decoder.finish().expect("a whole"), b"data: one\n\ndata: two\n\ndata: three\n\n");
    drop(client);
    server.stop();
}

/// HS-09.
#[test]
fn hs_09_what_is_worth_it_is_compressed_for_those_who_want_it() {
    let server = Options::handler(
        "$kind = $request->query()['kind'] ?? 'text/plain';
         $body = str_repeat('0123456789', (int) ($request->query()['tens'] ?? 2000));
         $status = (int) ($request->query()['status'] ?? 200);
         if ($request->path() === '/break') { $r = new Response('', 200, ['Content-Type' => $kind]); $r->write($body)->flush(); throw new Exception('broken'); }
         if ($request->path() === '/stream') { $r = new Response('', 200, ['Content-Type' => $kind]); for ($i = 0; $i < 100; $i++) { $r->write($body); $r->flush(); } return $r; }
         return new Response($status === 204 ? '' : $body, $status, ['Content-Type' => $kind, 'ETag' => '\"t\"']);",
    )
    .set("http.middleware", "['gzip', 'static']")
    .set("http.static", "['dir' => __DIR__ . '/site']")
    .file("site/big.css", &"a{b:c}\n".repeat(100_000))
    .expect_errors()
    .start();
    let mut client = server.client();
    let mut get = |target: &str, accepted: &str| {
        ask(&mut client, "GET", target, &format!("Accept-Encoding: {accepted}\r\n"))
    };
    let answer = get("/", "br;q=1.0, gzip;q=0.8");
    assert_eq!(plain(&answer), "0123456789".repeat(2000));
    assert_eq!((answer.header("etag"), answer.header("vary")), (Some("W/\"t\""), Some("Accept-Encoding")));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let short = get("/?tens=200", "gzip");
    assert_eq!((plain(&short).len(), short.header("transfer-encoding")), (2000, None), "it has a length");
    let large = get("/?tens=20000", "gzip");
    assert!(plain(&large).len() == 200_000 && large.body.len() < 20_000);
    let stream = get("/stream", "gzip");
    assert_eq!(plain(&stream).len(), 2_000_000);
    for (target, accepted) in [
        ("/", "identity"),
        ("/", "gzip;q=0"),
        ("/", "gzip;q=0, *"),
        ("/?tens=102", "gzip"),
        ("/?kind=image/png", "gzip"),
        ("/?status=204&tens=0", "gzip"),
        ("/?status=206", "gzip"),
    ] {
        let answer = get(target, accepted);
        assert_eq!(
            (answer.header("content-encoding"), answer.header("etag")),
            (None, Some("\"t\"")),
            "{target} {accepted}"
        );
    }
    let bomb = get("/", &"gzip;q=0.1,".repeat(5000));
    assert_eq!(plain(&bomb).len(), 20_000);
    let file = get("/big.css", "gzip");
    assert_eq!(
        (file.header("content-encoding"), file.body.len()),
        (None, 700_000),
        "static is outside of gzip here"
    );
    let head = ask(&mut client, "HEAD", "/", "Accept-Encoding: gzip\r\n");
    assert_eq!((head.status, head.header("content-encoding")), (200, None));
    client.send("GET /break HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    client.read_head().expect("a head");
    assert!(client.skip_chunks().is_err(), "a stream that broke does not end well");
    drop(client);
    server.stop();
}

/// HS-09: files are compressed while they are read, and nothing is left when a client leaves in the middle.
#[test]
fn hs_09_files_are_compressed_as_they_are_read() {
    let server = app("handler", "'middleware' => ['static', 'gzip'], 'static' => ['dir' => 'site']")
        .file("site/big.css", &(0..600_000).map(|n| format!("a{n}{{}}\n")).collect::<String>())
        .start();
    let mut client = server.client();
    let file = ask(&mut client, "GET", "/big.css", "Accept-Encoding: gzip\r\n");
    let text = plain(&file);
    assert_eq!(text.len(), (0..600_000).map(|n: u32| format!("a{n}{{}}\n").len()).sum::<usize>());
    let tag = file.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with("W/") && file.header("accept-ranges").is_none(), "{}", file.head);
    let same =
        ask(&mut client, "GET", "/big.css", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n"));
    assert_eq!(
        (same.status, same.header("etag"), same.header("vary")),
        (304, Some(&*tag), Some("Accept-Encoding"))
    );
    let part = ask(&mut client, "GET", "/big.css", "Accept-Encoding: gzip\r\nRange: bytes=0-1999\r\n");
    assert_eq!((part.status, part.header("content-encoding"), part.body.len()), (206, None, 2000));
    for _ in 0..20 {
        let mut gone = server.client();
        gone.send("GET /big.css HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
        gone.read_head().expect("a head");
    }
    eventually("the server answers still", || server.get("/").status == 200);
    drop(client);
    server.stop();
}

/// HS-10.
#[test]
fn hs_10_the_client_is_who_a_trusted_proxy_says() {
    let with = |subnets: &str| {
        app(
            "globals",
            &format!(
                "'middleware' => ['proxy_ip_parser'], 'access_logs' => true, 'trusted_subnets' => {subnets}"
            ),
        )
    };
    let server = with("['127.0.0.0/8', '10.0.0.0/8', '2001:db8:1::/48']").start();
    let mut client = server.client();
    let mut who = |headers: &str| {
        let text = ask(&mut client, "GET", "/", headers).text();
        text.split('|').next().unwrap_or_default().to_owned()
    };
    for (headers, want) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 198.51.100.7\r\n", "198.51.100.7"),
        ("X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.1.1.1\r\n", "198.51.100.7"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 198.51.100.7:4711\r\n", "198.51.100.7"),
        ("X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1"),
        ("X-Forwarded-For: [2001:db8:2::1]:80, 2001:db8:1::5\r\n", "2001:db8:2::1"),
        ("Forwarded: for=6.6.6.6, for=\"[2001:db8:2::1]:80\";proto=https\r\n", "2001:db8:2::1"),
        ("Forwarded: for=\"6.6.6.6, for=198.51.100.7\r\n", "198.51.100.7"),
        ("Forwarded: for=_hidden\r\n", "127.0.0.1"),
        ("X-Real-Ip: 198.51.100.8\r\n", "198.51.100.8"),
        ("True-Client-Ip: 198.51.100.9\r\n", "198.51.100.9"),
        ("Cf-Connecting-Ip: 198.51.100.10\r\n", "198.51.100.10"),
    ] {
        assert_eq!(who(headers), want, "{headers}");
    }
    // As many entries as a head may have.
    assert_eq!(who(&format!("X-Forwarded-For: 6.6.6.6{}\r\n", ",10.0.0.1".repeat(6000))), "10.0.0.1");
    drop(client);
    let seen = server.logs.wait_for(|record| record["remote_address"] == "198.51.100.10", e2e::SOON);
    assert!(seen.is_some(), "the log knows the client too");
    server.stop();

    let server = with("['10.0.0.0/8']").start();
    let answer = ask(&mut server.client(), "GET", "/", "X-Forwarded-For: 198.51.100.7\r\n");
    assert!(answer.text().starts_with("127.0.0.1|"), "the peer is no proxy");
    server.stop();
}

/// HS-10: ours.
#[test]
fn hs_10_a_unix_socket_is_trusted_by_name() {
    for (subnets, want) in [("['unix']", "198.51.100.7"), ("['10.0.0.0/8']", "")] {
        let options =
            app("handler", &format!("'middleware' => ['proxy_ip_parser'], 'trusted_subnets' => {subnets}"));
        let server = options.env("HTTP_ADDRESS", "unix://rr.sock").start();
        let mut client = Client::connect(&format!("unix://{}", server.file("rr.sock").display()));
        let text = ask(&mut client, "GET", "/", "X-Forwarded-For: 198.51.100.7\r\n").text();
        assert_eq!(text.split('|').next(), Some(want), "{subnets}");
        drop(client);
        server.stop();
    }
}

/// HTTP-05: an address of IPv4 is one, also where a listener is for both families.
#[test]
fn http_05_addresses_of_ipv4_are_written_as_such() {
    if std::net::TcpListener::bind("[::]:0").is_err() {
        // No IPv6 here.
        return;
    }
    let server = app("globals", "'middleware' => ['proxy_ip_parser'], 'trusted_subnets' => ['127.0.0.1/32']")
        .env("HTTP_ADDRESS", "[::]:0")
        .start();
    let port = server.addr().rsplit(':').next().expect("a port").to_owned();
    let mut client = Client::connect(&format!("127.0.0.1:{port}"));
    assert!(ask(&mut client, "GET", "/", "").text().starts_with("127.0.0.1|"));
    let answer = ask(&mut client, "GET", "/", "X-Forwarded-For: ::ffff:198.51.100.7\r\n");
    assert!(answer.text().starts_with("198.51.100.7|"), "{}", &answer.text()[..40]);
    drop(client);
    server.stop();
}
