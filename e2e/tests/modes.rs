//! Apps written for php-fpm: superglobals, headers, output and sessions in a living worker, with PHP's own request
//! startup and shutdown, and in a fork for each request.

use e2e::{Client, Options, eventually};

const MODES: [&str; 3] = ["globals", "classic", "snapshot"];

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_request_is_in_the_superglobals_in_every_mode() {
    for mode in MODES {
        let server = Options::example(mode).start();
        let mut client = server.client();
        let body = b"x[y][]=1&x[y][]=two+words&z=%26";
        client.send(
            format!(
                "POST /some/path?q[a]=1&q[b]=2 HTTP/1.1\r\nHost: example.org:8080\r\nCookie: one=1%202\r\nCookie: two=2\r\n\
                 X-Multi: a\r\nX-Multi: b\r\nx_under: no\r\nProxy: no\r\nAuthorization: Basic dTpw\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        client.send(body);
        let answer = json(&client.read().text());
        assert_eq!(answer["get"]["q"]["b"], "2", "{mode}");
        assert_eq!(answer["post"]["x"]["y"][1], "two words", "{mode}");
        assert_eq!(answer["post"]["z"], "&", "{mode}");
        assert_eq!(answer["cookie"], json(r#"{"one": "1 2", "two": "2"}"#), "{mode}");
        let of = &answer["server"];
        for (key, value) in [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/some/path?q[a]=1&q[b]=2"),
            ("QUERY_STRING", "q[a]=1&q[b]=2"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_NAME", "example.org"),
            ("HTTP_HOST", "example.org:8080"),
            ("HTTP_X_MULTI", "a, b"),
            ("HTTP_COOKIE", "one=1%202; two=2"),
            ("SCRIPT_NAME", "/index.php"),
            ("PHP_SELF", "/index.php"),
            ("CONTENT_LENGTH", "31"),
            ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("PHP_AUTH_USER", "u"),
            ("PHP_AUTH_PW", "p"),
            ("REMOTE_USER", "u"),
            ("PATH_INFO", ""),
            ("REDIRECT_STATUS", "200"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
        ] {
            assert_eq!(of[key], value, "{mode}: {key}");
        }
        assert!(of["REQUEST_TIME"].is_i64() && of["REQUEST_TIME_FLOAT"].is_f64(), "{mode}: {of}");
        assert!(of.get("HTTP_X_UNDER").is_none() && of.get("HTTP_PROXY").is_none(), "{mode}: {of}");
        drop(client);
        server.stop();
    }
}

#[test]
fn an_end_of_any_kind_ends_the_request_and_the_next_one_is_served() {
    for mode in MODES {
        let server = Options::example(mode).start();
        for _ in 0..2 {
            let exit = server.get("/?do=exit");
            assert_eq!((exit.status, exit.text()), (200, "before exit".to_owned()), "{mode}");
            let fatal = server.get("/?do=fatal");
            assert_eq!((fatal.status, fatal.text()), (500, "before the error".to_owned()), "{mode}");
            assert_eq!(server.get("/?do=oom").status, 500, "{mode}");
            assert_eq!(server.get("/").status, 200, "{mode}");
        }
        server.stop();
    }
}

#[test]
fn output_streams_when_it_is_flushed() {
    for mode in MODES {
        let server = Options::example(mode).start();
        let mut client = server.client();
        client.send("GET /?do=stream HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.read_head().expect("a head");
        assert_eq!(head.header("transfer-encoding"), Some("chunked"), "{mode}");
        assert_eq!(client.read_chunk().expect("a chunk"), b"piece 1\n", "{mode}");
        drop(client);
        server.stop();
    }
}

#[test]
fn a_stream_that_fails_is_broken_off_and_never_looks_whole() {
    let index =
        "<?php if (isset($_GET['fine'])) { echo 'fine'; return; } while (ob_get_level()) { ob_end_flush(); } echo str_repeat('x', 100000); flush(); if (isset($_GET['throw'])) throw new Exception('late');
        $f = fn () => str_repeat('y', PHP_INT_MAX >> 8); ini_set('memory_limit', '16M'); $f();";
    for mode in MODES {
        for target in ["/", "/?throw=1"] {
            let server = Options::files(mode, index).expect_errors().start();
            let mut client = server.client();
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let head = client.read_head().expect("a head");
            assert_eq!(head.status, 200, "{mode} {target}");
            assert!(client.skip_chunks().is_err(), "{mode} {target}: the stream looked whole");
            assert_eq!(server.text("/?fine=1"), "fine", "{mode} {target}: served again");
            drop(client);
            server.stop();
        }
    }
}

#[test]
fn the_script_goes_on_after_the_response() {
    let index = "<?php
        if (isset($_GET['wait'])) { echo 'done'; header('X-Done: 1'); var_dump(fastcgi_finish_request()); echo 'unseen'; usleep(300000);
            file_put_contents(__DIR__ . '/../after', 'yes'); return; }
        echo json_encode(getallheaders());";
    for mode in MODES {
        let server = Options::files(mode, index).start();
        let answer = server.get("/?wait=1");
        assert_eq!((answer.status, answer.text()), (200, "done".to_owned()), "{mode}");
        assert_eq!(server.read("after"), "", "{mode}: the response did not wait");
        let headers = json(&server.text("/"));
        assert_eq!(headers["Host"], "test", "{mode}: {headers}");
        eventually("the script has ended", || server.read("after") == "yes");
        server.stop();
    }
}

#[test]
fn a_worker_script_loops_by_itself() {
    let worker = "<?php $n = 0; if (!($_SERVER['FRANKENPHP_WORKER'] ?? false)) { exit(1); }
        while (frankenphp_handle_request(function () use (&$n) {
            header('X-N: ' . ++$n . ($_SERVER['FRANKENPHP_WORKER'] === '1' ? '' : ' not in a worker')); echo $_GET['name'] ?? 'nobody';
            if (isset($_GET['exit'])) { exit; }
        }) && $n < 4);";
    let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1], 'app' => ['frankenphp' => true]]])
        ->script(getenv('HTTP_ADDRESS'), __DIR__ . '/worker.php')->run();";
    let server = Options::source(source).file("worker.php", worker).start();
    for (target, text, count) in [
        ("/?name=a", "a", "1"),
        ("/?name=b&exit=1", "b", "2"),
        ("/", "nobody", "3"),
        ("/", "nobody", "4"),
        ("/", "nobody", "1"),
    ] {
        let answer = server.get(target);
        assert_eq!((answer.text(), answer.header("x-n")), (text.to_owned(), Some(count)), "{target}");
    }
    server.stop();
}

#[test]
fn settings_of_php_hold_for_a_pool() {
    let index =
        "<?php echo json_encode([ini_get('precision'), ini_set('precision', '5'), ini_get('memory_limit'),
        ini_set('memory_limit', '1G'), ini_get('max_execution_time')]);";
    let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1], 'app' => [
            'ini' => ['precision' => 7], 'admin_ini' => ['memory_limit' => '77M']]]])
        ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', getenv('MODE'))->run();";
    for mode in MODES {
        let options = Options::source(source)
            .env("MODE", mode)
            .ini("max_execution_time=17")
            .file("public/index.php", index);
        let server = options.in_mode(mode).start();
        for _ in 0..2 {
            assert_eq!(server.text("/"), "[\"7\",\"7\",\"77M\",false,\"17\"]", "{mode}");
        }
        server.stop();
    }
}

#[test]
fn a_body_longer_than_the_channel_is_read_as_a_stream() {
    let index = "<?php $in = fopen('php://input', 'r'); $n = 0; $hash = hash_init('sha1');
        while (!feof($in)) { $piece = fread($in, 65536); $n += strlen($piece); hash_update($hash, $piece); }
        echo $n, ' ', hash_final($hash) === sha1(file_get_contents('php://input'));";
    for mode in MODES {
        let server = Options::files(mode, index).start();
        let mut client = Client::connect(server.addr());
        let body = vec![b'a'; 3 << 20];
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        assert_eq!(client.read().text(), "3145728 1", "{mode}");
        drop(client);
        server.stop();
    }
}

#[test]
fn a_document_root_has_scripts_and_files() {
    let large: String = (0..200_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    for mode in MODES {
        let show =
            "<?php echo basename(__FILE__), ' ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['PATH_INFO'], ' ',
            $_SERVER['PHP_SELF'], ' ', basename(getcwd());";
        let server = Options::files(mode, show)
            .file("public/admin/index.php", show)
            .file("public/other.php", show)
            .file("public/style.css", &large)
            .file("public/.env", "secret")
            .file("secret.txt", "secret")
            .start();
        for (target, text) in [
            ("/", "index.php /index.php  /index.php public"),
            ("/any/route", "index.php /index.php  /index.php public"),
            ("/other.php/a%20b?x", "other.php /other.php /a b /other.php/a b public"),
            ("/admin/", "index.php /admin/index.php  /admin/index.php admin"),
        ] {
            assert_eq!(server.text(target), text, "{mode} {target}");
        }
        let css = server.get("/style.css");
        assert_eq!(css.header("content-type"), Some("text/css; charset=utf-8"), "{mode}");
        assert_eq!(css.text(), large, "{mode}");
        let mut client = server.client();
        client.send("GET /style.css HTTP/1.1\r\nHost: a\r\nRange: bytes=100000-100025\r\n\r\n");
        let part = client.read();
        assert_eq!((part.status, part.text()), (206, large[100_000..100_026].to_owned()), "{mode}");
        assert_eq!(part.header("content-range"), Some("bytes 100000-100025/200000"), "{mode}");
        let tag = css.header("etag").expect("a tag");
        client.send(format!("GET /style.css HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n"));
        assert_eq!(client.read().status, 304, "{mode}");
        client.send("POST /style.css HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.read().status, 405, "{mode}");
        let moved = server.get("/admin?q=1");
        assert_eq!((moved.status, moved.header("location")), (301, Some("/admin/?q=1")), "{mode}");
        for (target, status) in
            [("/.env", 404), ("/../secret.txt", 400), ("/%2e%2e/secret.txt", 400), ("/a%00", 400)]
        {
            let answer = server.get(target);
            assert_eq!(answer.status, status, "{mode} {target}");
            assert!(!answer.text().contains("secret\n") && answer.text() != "secret", "{mode} {target}");
        }
        drop(client);
        server.stop();
    }
}

#[test]
fn classic_reads_user_ini_files_from_the_root_down() {
    let show = "<?php echo ini_get('precision'), ' ', ini_get('serialize_precision'), ' ', ini_get('auto_prepend_file');";
    let server = Options::files("classic", show)
        .file("public/.user.ini", "precision = 5\nserialize_precision = 6\nopcache.enable = 0\n")
        .file("public/deep/index.php", show)
        .file("public/deep/.user.ini", "precision = 9\nauto_prepend_file = before.php\n")
        .file("public/deep/before.php", "<?php echo 'before ';")
        .start();
    for _ in 0..2 {
        assert_eq!(server.text("/"), "5 6 ");
        assert_eq!(server.text("/deep/"), "before 9 6 before.php");
    }
    server.stop();
}

#[test]
fn max_execution_time_holds_for_each_request() {
    let index = "<?php if (isset($_GET['long'])) { set_time_limit(30); } $until = microtime(true) + (isset($_GET['spin']) ? 20 : 0);
        while (microtime(true) < $until); echo 'done ', ini_get('max_execution_time');";
    for mode in MODES {
        let server = Options::files(mode, index).ini("max_execution_time=1").expect_errors().start();
        assert_eq!(server.text("/?long=1"), "done 30", "{mode}");
        for _ in 0..2 {
            let started = std::time::Instant::now();
            assert_eq!(server.get("/?spin=1").status, 500, "{mode}");
            assert!(
                started.elapsed() < std::time::Duration::from_secs(15),
                "{mode}: not stopped by the limit"
            );
            assert_eq!(server.text("/"), "done 1", "{mode}");
        }
        server.stop();
    }
}

#[test]
fn a_client_that_goes_away_ends_the_script_unless_it_goes_on() {
    let index = "<?php if (isset($_GET['next'])) { echo 'next'; return; }
        register_shutdown_function(fn () => file_put_contents(__DIR__ . '/../end', \"ended \" . connection_aborted()));
        ignore_user_abort(isset($_GET['ignore']));
        while (ob_get_level()) { ob_end_flush(); }
        echo 'begin'; flush();
        for ($i = 0; $i < 5000 && !connection_aborted(); $i++) { echo 'x'; flush(); usleep(1000); }
        if (isset($_GET['ignore'])) { file_put_contents(__DIR__ . '/../on', 'went on'); }";
    for mode in MODES {
        let server = Options::files(mode, index).start();
        for (target, on) in [("/", ""), ("/?ignore=1", "went on")] {
            let _ = std::fs::remove_file(server.file("end"));
            let mut client = server.client();
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client.read_head().expect("a head");
            client.read_chunk().expect("a chunk");
            drop(client);
            eventually("the script has ended", || server.read("end") == "ended 1");
            assert_eq!(server.read("on"), on, "{mode} {target}");
            assert_eq!(server.text("/?next=1"), "next", "{mode} {target}");
        }
        server.stop();
    }
}

#[test]
fn hints_files_and_events_are_functions_in_every_mode() {
    let index = "<?php switch ($_GET['do'] ?? '') {
            case 'hints': var_dump(rr_early_hints(['Link' => ['</a.css>; rel=preload']])); http_response_code(404); echo 'body'; flush();
                var_dump(rr_early_hints(['Link' => 'late'])); return;
            case 'file': header('Content-Disposition: attachment'); rr_send_file(__DIR__ . '/../data.txt'); echo 'unseen'; return;
            case 'header': header('X-Sendfile: ' . realpath(__DIR__ . '/../data.txt')); header('Content-Type: text/own'); return;
            case 'events': ob_start(); rr_send_event('one'); rr_send_event(['event' => 'e', 'data' => [1]]); return;
        } echo 'plain';";
    for mode in MODES {
        let server = Options::files(mode, index).file("data.txt", "0123456789").start();
        let mut client = server.client();
        client.send("GET /?do=hints HTTP/1.1\r\nHost: a\r\n\r\n");
        let hints = client.read_head().expect("hints");
        assert_eq!((hints.status, hints.header("link")), (103, Some("</a.css>; rel=preload")), "{mode}");
        let answer = client.read();
        assert_eq!(
            (answer.status, answer.text()),
            (404, "bool(true)\nbodybool(false)\n".to_owned()),
            "{mode}"
        );
        let file = server.get("/?do=file");
        assert_eq!((file.status, file.text()), (200, "0123456789".to_owned()), "{mode}");
        assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"), "{mode}");
        assert_eq!(file.header("content-disposition"), Some("attachment"), "{mode}");
        let own = server.get("/?do=header");
        assert_eq!(
            (own.text(), own.header("content-type")),
            ("0123456789".to_owned(), Some("text/own;charset=UTF-8")),
            "{mode}"
        );
        client.send("GET /?do=file HTTP/1.1\r\nHost: a\r\nRange: bytes=-3\r\n\r\n");
        let part = client.read();
        assert_eq!((part.status, part.text()), (206, "789".to_owned()), "{mode}");
        let events = server.get("/?do=events");
        assert_eq!(events.header("content-type"), Some("text/event-stream;charset=UTF-8"), "{mode}");
        assert_eq!(events.text(), "data: one\n\nevent: e\ndata: [1]\n\n", "{mode}");
        assert_eq!(server.text("/"), "plain", "{mode}");
        drop(client);
        server.stop();
    }
}
