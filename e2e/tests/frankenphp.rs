//! Worker scripts of FrankenPHP's API run as they are: stand-ins call what the frameworks' scripts call, in their order
//! (`e2e/php/frankenphp`), and the functions answer as FrankenPHP's do.

use e2e::{Load, Options, Server, eventually, heavy};
use serde_json::{Value, json};

fn options(worker: &str, workers: usize) -> Options {
    let source = format!(
        "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => {workers}], 'app' => ['frankenphp' => true]]])
            ->script(getenv('HTTP_ADDRESS'), __DIR__ . '/public/worker.php')->run();"
    );
    Options::source(&source).file("public/worker.php", worker)
}

fn stand_in(name: &str, workers: usize) -> Options {
    let path = e2e::workspace().join("e2e/php/frankenphp").join(name);
    options(&std::fs::read_to_string(path).expect("the stand-in"), workers)
}

/// A loop around the body of a handler.
fn looping(body: &str) -> Options {
    options(&format!("<?php while (frankenphp_handle_request(function () {{ {body} }}));"), 1)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lines(server: &Server, name: &str) -> Vec<String> {
    server.read(name).lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_script_like_codeigniters_finds_each_request_and_nothing_of_the_last() {
    let server = stand_in("codeigniter.php", 1)
        .env("OF_THE_SERVER", "words")
        .ini("output_buffering=0")
        .expect_errors()
        .start();
    let mut client = server.client();
    let first = json(&client.get("/a?x=1").text());
    let folder = server.file("public").to_string_lossy().into_owned();
    let want = json!({
        "n": 1, "web": true, "services": {"of": "/a?x=1"}, "server": null, "get": {"x": "1"}, "post": [], "cookie": [],
        "files": [], "request": {"x": "1"}, "uri": "/a?x=1", "own": null, "input": "", "zone": "Asia/Tokyo",
        "precision": "5", "abort": "1", "cwd": folder, "arguments": 0, "declared": "declared once", "level": 0,
        "pid": first["pid"], "env": "words", "worker": "1", "session": false,
    });
    assert_eq!(first, want);
    let printed = server.logs.expect("printed while booting");
    assert_eq!(printed["request"], 0, "{printed}");
    let kind = "Content-Type: application/x-www-form-urlencoded\r\nCookie: c=1\r\nX-Own: mine\r\n";
    client.try_request("POST", "/b", kind, b"p=1").expect("sent");
    let second = json(&client.read().text());
    let posted = ["get", "post", "cookie", "request", "own", "input"].map(|key| second[key].clone());
    assert_eq!(
        posted,
        [json!([]), json!({"p": "1"}), json!({"c": "1"}), json!({"p": "1"}), json!("mine"), json!("p=1")]
    );
    // What a request changes is put back to what the script has set up, not to what was there before it.
    for (count, target) in [(3, "/?do=change"), (4, "/c"), (5, "/c")] {
        let seen = json(&client.get(target).text());
        assert_eq!(seen["n"], count);
        if target == "/c" {
            let mut want = want.clone();
            for (key, value) in
                [("n", json!(count)), ("uri", json!("/c")), ("get", json!([])), ("request", json!([]))]
            {
                want[key] = value;
            }
            want["services"]["of"] = json!("/c");
            assert_eq!(seen, want);
        }
    }
    for (target, status, text) in [
        ("/?do=throw", 500, "RuntimeException: thrown"),
        ("/?do=warn", 500, "ErrorException: Undefined variable $undefined"),
        ("/?do=exit", 200, "left"),
        ("/?do=buffer", 200, "SHOUT"),
    ] {
        let answer = client.get(target);
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{target}");
    }
    assert_eq!(json(&client.get("/").text())["pid"], first["pid"], "all in one worker");
    assert_eq!(server.read("public/shutdown"), "", "what is for the end of the script waits for it");
    drop(client);
    let ended = server.file("public");
    server.stop_then(|| {
        let read = |name: &str| std::fs::read_to_string(ended.join(name)).unwrap_or_default();
        assert_eq!(read("ended"), "in order\n");
        assert_eq!(read("shutdown"), format!("{} no error\n", ended.display()));
    });
}

#[test]
fn a_script_like_codeigniters_makes_the_page_of_its_fatal_error() {
    let server = stand_in("codeigniter.php", 1).expect_errors().start();
    let before = json(&server.text("/"))["pid"].clone();
    let answer = server.get("/?do=fatal");
    assert_eq!((answer.status, answer.text().as_str()), (500, "a page of the app"));
    let after = json(&server.text("/"));
    assert_ne!(after["pid"], before, "another worker");
    assert_eq!((&after["n"], &after["precision"]), (&json!(1), &json!("5")));
    let shutdown = lines(&server, "public/shutdown");
    assert_eq!(shutdown.len(), 1);
    assert!(shutdown[0].contains("Allowed memory size"), "{shutdown:?}");
    server.stop();
}

#[test]
fn a_script_like_codeigniters_has_sessions() {
    let server = stand_in("codeigniter.php", 1).start();
    let mut client = server.client();
    let first = client.get("/?do=session");
    assert_eq!(first.text(), "1");
    let cookie =
        first.header("set-cookie").and_then(|line| line.split(';').next()).expect("a cookie").to_owned();
    for count in ["2", "3"] {
        client.try_request("GET", "/?do=session", &format!("Cookie: {cookie}\r\n"), b"").expect("sent");
        assert_eq!(client.read().text(), count);
    }
    assert_eq!(client.get("/?do=session").text(), "1", "nobody else's");
    assert_eq!(json(&client.get("/").text())["session"], false);
    drop(client);
    server.stop();
}

#[test]
fn a_script_like_octanes_ends_after_its_requests_and_another_worker_comes() {
    let server = stand_in("octane.php", 1).env("MAX_REQUESTS", "3").env("APP_ENV", "testing").start();
    let mut client = server.client();
    let mut pids = Vec::new();
    for count in [1, 2, 3, 1, 2, 3, 1] {
        let text = client.get("/").text();
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!((words[0], words[2], words[3]), (&*count.to_string(), "testing", "testing"), "{text}");
        pids.push(words[1].to_owned());
    }
    pids.dedup();
    assert_eq!(pids.len(), 3, "a process each");
    assert_eq!(lines(&server, "public/terminated"), [format!("{} 3", pids[0]), format!("{} 3", pids[1])]);
    let answer = client.get("/?do=throw");
    assert_eq!((answer.status, answer.text().as_str()), (500, "Internal Server Error: RuntimeException"));
    drop(client);
    let logs = server.stop();
    assert_eq!(logs.count("died"), 0, "nobody died:\n{}", logs.text());
}

#[test]
fn no_request_is_lost_when_scripts_end() {
    let _alone = heavy();
    let server = stand_in("octane.php", 2).env("MAX_REQUESTS", "5").env("APP_ENV", "testing").start();
    let load = Load::start(server.addr(), "/", 8);
    load.advance(300);
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{tally:?}");
    server.stop();
}

#[test]
fn a_script_like_octanes_has_its_time_limit_in_each_request() {
    let server = stand_in("octane.php", 1)
        .env("REQUEST_MAX_EXECUTION_TIME", "1")
        .env("APP_ENV", "testing")
        .expect_errors()
        .start();
    let pid = server.text("/").split(' ').nth(1).map(ToOwned::to_owned);
    let answer = server.get("/?do=busy");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (500, "Internal Server Error: RoadRunner\\TimeoutError")
    );
    assert_eq!(server.text("/").split(' ').nth(1).map(ToOwned::to_owned), pid, "the worker lives");
    server.stop();
}

#[test]
fn a_script_that_does_not_boot_takes_no_traffic() {
    let finished = stand_in("octane.php", 1).env("BROKEN", "1").finish();
    assert_ne!(finished.code, Some(0));
    assert!(finished.stderr.contains("it does not boot"), "{}", finished.stderr);
}

#[test]
fn a_script_like_symfonys_merges_what_it_was_started_with() {
    let server = stand_in("symfony.php", 1).env("FRANKENPHP_LOOP_MAX", "2").start();
    let mut client = server.client();
    let mut pids = Vec::new();
    for (target, own) in [("/a", "1"), ("/b?c=1", "2"), ("/d", "3")] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Own: {own}\r\n\r\n"));
        let hints = client.read_head().expect("hints");
        assert_eq!((hints.status, hints.header("link")), (103, Some("</style.css>; rel=preload; as=style")));
        let answer = client.read();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.head.to_ascii_lowercase().matches("link:").count(), 1, "{}", answer.head);
        let seen = json(&answer.text());
        pids.push(seen["pid"].clone());
        let want = json!({
            "uri": target, "method": "GET", "mode": "web=1&worker=1", "secret": "words", "script": "/worker.php",
            "address": "127.0.0.1", "own": own, "pid": seen["pid"],
        });
        assert_eq!(seen, want);
    }
    assert!(pids[0] == pids[1] && pids[1] != pids[2], "{pids:?}");
    eventually("all were terminated", || lines(&server, "public/terminated") == ["/a", "/b?c=1", "/d"]);
    drop(client);
    let logs = server.stop();
    assert_eq!(logs.count("died"), 0, "{}", logs.text());
}

#[test]
fn functions_have_frankenphps_signatures() {
    let server = looping(
        "foreach (['frankenphp_handle_request', 'headers_send', 'frankenphp_finish_request', 'fastcgi_finish_request',
            'frankenphp_request_headers', 'apache_request_headers', 'getallheaders', 'frankenphp_response_headers',
            'apache_response_headers', 'frankenphp_log'] as $name) {
            $function = new ReflectionFunction($name);
            $of = fn ($p) => $p->getType() . ' $' . $p->getName() . ($p->isOptional() ? ' = ' . json_encode($p->getDefaultValue()) : '');
            echo $name, '(', implode(', ', array_map($of, $function->getParameters())), '): ', $function->getReturnType(), \"\\n\";
        }
        foreach (['DEBUG', 'INFO', 'WARN', 'ERROR'] as $level) { echo constant(\"FRANKENPHP_LOG_LEVEL_$level\"), ' '; }",
    )
    .start();
    let want = "frankenphp_handle_request(callable $callback): bool\n\
        headers_send(int $status = 200): int\n\
        frankenphp_finish_request(): bool\n\
        fastcgi_finish_request(): bool\n\
        frankenphp_request_headers(): array\n\
        apache_request_headers(): array\n\
        getallheaders(): array\n\
        frankenphp_response_headers(): array|bool\n\
        apache_response_headers(): array|bool\n\
        frankenphp_log(string $message, int $level = 0, array $context = []): void\n\
        -4 0 4 8 ";
    assert_eq!(server.text("/"), want);
    server.stop();
}

#[test]
fn headers_are_sent_and_listed() {
    let server = looping(
        "switch ($_GET['do'] ?? '') {
            case 'hints':
                header('Link: </a.css>; rel=preload'); header('Link: </b.css>; rel=preload', false);
                header('Content-Length: 2'); http_response_code(404);
                $sent = headers_send(103); header_remove('Link'); header('X-Sent: ' . $sent . http_response_code()); echo 'ab'; return;
            case 'final':
                header('X-A: 1'); $sent = headers_send(418); var_dump($sent, headers_sent(), headers_send(103)); @header('X-B: 2'); return;
            case 'wrong': var_dump(headers_send(100), headers_send(101)); return;
            case 'list': header('X-A: 1'); header('X-B:2'); header('X-A: 3', false);
                echo json_encode([frankenphp_response_headers(), array_change_key_case(frankenphp_request_headers())]); return;
            case 'finish': echo 'a'; var_dump(frankenphp_finish_request()); file_put_contents(__DIR__ . '/again', json_encode(frankenphp_finish_request())); return;
        }",
    )
    .start();
    let mut client = server.client();
    client.send("GET /?do=hints HTTP/1.1\r\nHost: a\r\n\r\n");
    let hints = client.read_head().expect("hints");
    assert_eq!(hints.status, 103);
    assert!(hints.head.contains("</a.css>") && hints.head.contains("</b.css>"), "{}", hints.head);
    assert_eq!(hints.header("content-length"), None);
    let answer = client.read();
    assert_eq!((answer.status, answer.header("link"), answer.header("x-sent")), (404, None, Some("1404")));
    assert_eq!(answer.text(), "ab");
    let answer = client.get("/?do=final");
    assert_eq!((answer.status, answer.header("x-a"), answer.header("x-b")), (418, Some("1"), None));
    assert_eq!(answer.text(), "int(0)\nbool(true)\nint(3)\n");
    let answer = client.get("/?do=wrong");
    assert_eq!((answer.status, answer.text().as_str()), (200, "int(3)\nint(3)\n"));
    let list = json(&client.get("/?do=list").text());
    assert_eq!(
        (&list[0]["X-A"], &list[0]["X-B"], &list[1]["host"]),
        (&json!("3"), &json!("2"), &json!("test"))
    );
    assert_eq!(client.get("/?do=finish").text(), "a");
    eventually("the second one says no", || server.read("public/again") == "false");
    drop(client);
    server.stop();
}

#[test]
fn messages_are_logged_with_their_level_and_context() {
    let server = looping(
        "frankenphp_log('plain'); frankenphp_log('careful', FRANKENPHP_LOG_LEVEL_WARN, ['n' => 1, 'list' => [1, 'a'], 'x' => null]);
         frankenphp_log('broken', 9, ['bytes' => \"\\xff\", 'nested' => ['a' => ['b' => 1.5]]]); frankenphp_log('unseen', -4);
         frankenphp_log('objects', context: ['o' => new ArrayObject(), 'r' => STDERR, 'inf' => INF]); echo 'logged';",
    )
    .expect_errors()
    .start();
    assert_eq!(server.text("/"), "logged");
    let plain = server.logs.expect("plain");
    assert_eq!(
        (&plain["level"], &plain["context"], &plain["logger"]),
        (&json!("info"), &Value::Null, &json!("php"))
    );
    let careful = server.logs.expect("careful");
    assert_eq!((&careful["level"], &careful["msg"]), (&json!("warn"), &json!("careful")));
    assert_eq!(careful["context"], json!({"n": 1, "list": [1, "a"], "x": null}));
    assert!(careful["request"].as_u64().is_some(), "{careful}");
    let broken = server.logs.expect("broken");
    assert_eq!(broken["level"], "error");
    assert_eq!(broken["context"], json!({"bytes": "\u{fffd}", "nested": {"a": {"b": 1.5}}}));
    assert_eq!(server.logs.expect("objects")["context"], json!({"o": {}, "r": null, "inf": 0}));
    assert_eq!(server.logs.count("unseen"), 0);
    server.stop();
}

#[test]
fn the_functions_are_there_by_choice_only() {
    let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
        ->script(getenv('HTTP_ADDRESS'), __DIR__ . '/public/worker.php')->run();";
    let worker = "<?php while (rr_handle_request(function () {
        echo json_encode([array_filter(['headers_send', 'frankenphp_log', 'apache_response_headers'], function_exists(...)),
            defined('FRANKENPHP_LOG_LEVEL_INFO'), $_SERVER['OF_THE_SERVER'] ?? null, func_num_args()]); }));";
    let server =
        Options::source(source).file("public/worker.php", worker).env("OF_THE_SERVER", "words").start();
    assert_eq!(server.text("/"), "[[],false,null,0]");
    server.stop();
}
