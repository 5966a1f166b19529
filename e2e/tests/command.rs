//! Command workers (rows WRK-01…13, HTTP-01…16, FR-10…14): the same app over pipes, sockets, and in forks whose relay is
//! in shared memory.

use e2e::command::{ALL, PROGRAMS, Way, example, faulty, json, options, php, post, sha1};
use e2e::{Client, Options, Process, Server, eventually, free_port, rr, skip, workspace};
use serde_json::Value;
use std::time::Duration;

#[test]
fn http_03_to_07_a_request_is_what_clients_of_roadrunner_read() {
    for way in ALL {
        let server = example(way, "").start();
        let mut client = server.client();
        client.send(
            b"GET /a%20b?x[y]=1&z=2 HTTP/1.1\r\nHost: app.test:8080\r\nX-foo-bar: 1\r\nX-Foo-Bar: 2\r\nCookie: a=b%20c; a=d+e\r\n\r\n",
        );
        let answer: Value = serde_json::from_slice(&client.read().body).expect("JSON");
        let request = &answer["request"];
        assert_eq!(request["uri"], "http://app.test:8080/a%20b?x[y]=1&z=2", "{way:?}");
        assert_eq!((&request["method"], &request["protocol"]), (&"GET".into(), &"HTTP/1.1".into()));
        assert_eq!(
            (&request["remoteAddr"], &request["rawQuery"]),
            (&"127.0.0.1".into(), &"x[y]=1&z=2".into())
        );
        assert_eq!(request["headers"]["X-Foo-Bar"], serde_json::json!(["1", "2"]));
        assert!(request["headers"].get("Host").is_none(), "HTTP-06");
        assert_eq!(request["cookies"]["a"], "d e", "HTTP-07");
        assert_eq!((&request["parsed"], &request["uploads"]), (&false.into(), &Value::Null));
        assert_eq!(answer["mode"], "http", "WRK-13");
        assert!(answer["version"].as_str().is_some_and(|version| version.starts_with("2025.1.")));
        server.stop();
    }
}

#[test]
fn wrk_01_a_worker_has_its_environment_arguments_and_folder() {
    let script = "<?php
        $answer = json_encode([$argv, getenv('FOO_BAR'), $_SERVER['FOO_BAR'], $_SERVER['RR_RELAY'], getcwd(),
            $_SERVER['SCRIPT_FILENAME'], PHP_SAPI, ini_get('precision'), $_SERVER['argc'],
            // CodeIgniter's sessions ask for it.
            headers_sent(), ini_set('session.save_path', '/tmp') !== false]);
        require 'serve.php';";
    let serve = "<?php
        $frame = fn (int $flags, array $options, string $payload): string =>
            ($head = pack('CCV', 16 | 3 + count($options), $flags, strlen($payload))) . pack('V', crc32($head)) . \"\\0\\0\"
            . pack('V*', ...$options) . $payload;
        while (strlen($prefix = fread(STDIN, 12)) === 12) {
            ['flags' => $flags, 'length' => $length] = unpack('x/Cflags/Vlength', $prefix);
            for ($rest = '', $left = $length + 4 * ((ord($prefix[0]) & 15) - 3); strlen($rest) < $left;) {
                $rest .= fread(STDIN, $left - strlen($rest));
            }
            if (str_contains($rest, 'stop')) { exit(0); }
            fwrite(STDOUT, $flags & 1 ? $frame(1, [], json_encode(['pid' => getmypid()]))
                : $frame(8, [14], '{\"status\":200}' . $answer));
            fflush(STDOUT);
        }";
    let mut answers = Vec::new();
    for way in [Way::Fork, Way::Pipes] {
        let command = format!("\"{} -d precision=7 worker -f=x -a\"", php());
        let server = options(way, &command, "")
            // As Octane's worker: no suffix, and a first line for the shell.
            .file("worker", &format!("#!/usr/bin/env php\n{script}"))
            .file("serve.php", serve)
            .start();
        let mut answer = json(&server, "/");
        let here = std::mem::take(&mut answer[4]);
        assert_eq!(here, server.dir().canonicalize().expect("a folder").display().to_string());
        answers.push(answer);
        server.stop();
    }
    let expected = serde_json::json!([
        ["worker", "-f=x", "-a"],
        "baz",
        "baz",
        "pipes",
        null,
        "worker",
        "cli",
        "7",
        3,
        false,
        true
    ]);
    assert_eq!(answers, [expected.clone(), expected]);
}

#[test]
fn http_08_to_11_bodies_are_raw_parsed_or_files() {
    for way in ALL {
        let server = example(way, "").start();
        let (status, answer) = post(
            &server,
            "/form",
            "application/x-www-form-urlencoded; charset=utf-8",
            b"a[b]=1&c[]=2&c[]=3&d=%C3%A4+x",
        );
        let expected = serde_json::json!({"a": {"b": "1"}, "c": ["2", "3"], "d": "\u{e4} x"});
        assert_eq!((status, &answer["body"]), (200, &expected), "{way:?}");
        assert_eq!(answer["request"]["parsed"], true);
        let form = b"--b\r\nContent-Disposition: form-data; name=\"f[x]\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nabc\r\n--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--b--\r\n";
        let (_, answer) = post(&server, "/up", "multipart/form-data; boundary=b", form);
        let file = &answer["request"]["uploads"]["f"]["x"];
        assert_eq!(
            (&file["name"], &file["mime"], &file["size"], &file["error"]),
            (&"a.txt".into(), &"text/plain".into(), &3.into(), &0.into())
        );
        assert_eq!(answer["body"], serde_json::json!({"n": "v"}));
        // No file was chosen; one has folders in its name; one is cut off.
        let part = |rest: &str| format!("--b\r\nContent-Disposition: form-data; {rest}");
        let none = part("name=\"e\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n");
        let climbs = part("name=\"f\"; filename=\"../../etc/passwd\"\r\n\r\nabc\r\n");
        let form = format!("{none}{climbs}--b--");
        let (_, several) = post(&server, "/up", "multipart/form-data; boundary=b", form.as_bytes());
        assert_eq!(several["body"], serde_json::json!({"e": ""}), "{way:?}");
        let uploads = &several["request"]["uploads"];
        assert_eq!((&uploads["f"]["name"], uploads.get("e")), (&"passwd".into(), None));
        let cut = post(&server, "/up", "multipart/form-data; boundary=b", climbs.as_bytes()).0;
        assert_eq!(cut, 400, "HTTP-10");
        let stored = file["tmpName"].as_str().expect("a path");
        eventually("the file goes with its request", || !std::path::Path::new(stored).exists());
        let (_, answer) = post(&server, "/empty", "application/x-www-form-urlencoded", b"");
        assert_eq!(
            (&answer["request"]["parsed"], &answer["length"]),
            (&true.into(), &2.into()),
            "HTTP-09: {{}}"
        );
        // Longer than a ring, a pipe and what is kept in memory.
        let long: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ 0x5a).collect();
        for length in [0, 1, 100_000, 140_000, 3_000_000] {
            let (status, answer) = post(&server, "/raw", "application/octet-stream", &long[..length]);
            assert_eq!((status, answer["length"].as_u64()), (200, Some(length as u64)), "{way:?}");
            assert_eq!(sha1(&answer).len(), 40);
        }
        for (body, status) in [("a=1&a[b]=2", 400), ("a=%zz", 400), ("a=1;b=2", 400)] {
            let got = post(&server, "/", "application/x-www-form-urlencoded", body.as_bytes()).0;
            assert_eq!(got, status, "HTTP-10: {body}");
        }
        server.stop();
    }
}

/// HTTP-06, HTTP-07, HTTP-14, HS-05: what Go's server does on the way of a request and back.
#[test]
fn what_the_app_leaves_to_the_server_is_as_with_roadrunner() {
    let server = faulty(Way::Pipes, "").start();
    let response = server.get("/");
    assert!(response.text().starts_with("pid "), "{}", response.text());
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    server.stop();

    let server = example(Way::Pipes, "").start();
    let mut client = server.client();
    client.send(
        "POST /a?b=c HTTP/1.1\r\nHost: x\r\nCookie: q=\"a b\"; bare\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n\
         3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n",
    );
    let answer: Value = serde_json::from_slice(&client.read().body).expect("JSON");
    let request = &answer["request"];
    assert_eq!(answer["length"], 3);
    assert_eq!(request["cookies"], serde_json::json!({"q": "a b", "bare": ""}));
    let names: Vec<&str> =
        request["headers"].as_object().expect("headers").keys().map(String::as_str).collect();
    assert_eq!(names, ["Cookie"]);
    let line = server.logs.wait_for(|record| record["msg"] == "http log", e2e::SOON).expect("a line");
    assert_eq!((&line["URI"], &line["URL"]), (&"/a?b=c".into(), &"/a?b=c".into()));
    client.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = client.read();
    assert_eq!((response.status, response.body.len()), (200, 0), "no worker is asked");
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_eq!(client.read().status, 400);
    server.stop();
}

#[test]
fn http_02_protobuf_is_spoken_on_request_and_either_is_read() {
    // The worker answers JSON to whatever it is asked.
    let server = faulty(Way::Pipes, "  codec: protobuf").start();
    assert!(server.get("/").text().starts_with("pid "));
    server.stop();
}

#[test]
fn wrk_05_an_error_is_a_500_and_its_worker_lives() {
    for way in ALL {
        let server = example(way, "").start();
        let pid = json(&server, "/")["pid"].clone();
        let response = server.get("/?do=error");
        assert_eq!(
            (response.status, response.text().contains("the app has failed")),
            (500, false),
            "{way:?}"
        );
        server.logs.expect("the app has failed");
        assert_eq!(json(&server, "/")["pid"], pid);
        server.stop();
    }
}

#[test]
fn wrk_07_a_stream_with_pings_comes_whole() {
    for way in ALL {
        let server = example(way, "").start();
        let expected: String = (1..=20).map(|line| format!("line {line}\n")).collect();
        for _ in 0..3 {
            assert_eq!(server.get("/?do=stream").text(), expected, "{way:?}");
        }
        server.stop();
    }
}

/// A worker that streams without end until it is told to stop, or once without end.
fn endless(way: Way) -> Options {
    let worker = rr::worker();
    let endless = worker
        .replace("$line <= 20", "$line > 0")
        .replace("\"line {$line}\\n\"", "str_repeat(\"line {$line}\\n\", 100)");
    assert_ne!(worker, endless);
    options(way, &format!("['{}', 'worker.php']", php()), "").file("worker.php", &endless)
}

#[test]
fn wrk_08_a_stream_that_its_client_leaves_is_stopped_and_its_worker_lives() {
    for way in ALL {
        let server = endless(way).start();
        let pid = json(&server, "/")["pid"].clone();
        for _ in 0..3 {
            let mut client = server.client();
            client.send(b"GET /?do=stream HTTP/1.1\r\nHost: a\r\n\r\n");
            client.read_head().expect("a head");
            let mut read = 0;
            while read < 100_000 {
                read += client.read_chunk().expect("a chunk").len();
            }
            drop(client);
            assert_eq!(json(&server, "/")["pid"], pid, "{way:?}");
        }
        server.stop();
    }
}

#[test]
fn wrk_06_a_worker_that_asks_to_be_replaced_loses_no_request() {
    for way in ALL {
        let mark = format!("rr-e2e-mark-{}-{way:?}", std::process::id());
        let server = faulty(way, "").env("MARK", mark.as_str()).start();
        let mark = std::env::temp_dir().join(mark);
        // Also one whose body was on its way.
        for length in [0, 1_000_000] {
            let mut client = server.client();
            let body = vec![b'x'; length];
            let head = format!("POST /?do=retry HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            client.send([head.as_bytes(), &body].concat());
            let response = client.read();
            assert_eq!(response.status, 200, "{way:?} {length}");
            let read: usize = response.text().trim_start_matches("second ").parse().expect("a length");
            assert!(read >= length);
            std::fs::remove_file(&mark).expect("the first worker has left its mark");
        }
        // After the answer, as Octane does it.
        for _ in 0..5 {
            assert_eq!(server.get("/?do=after").text(), "bye", "{way:?}");
            assert!(server.get("/").text().starts_with("pid "));
        }
        // Those that only ever ask do not go on for ever.
        assert_eq!(server.get("/?do=returns").status, 500);
        assert!(server.get("/").text().starts_with("pid "));
        server.stop();
    }
}

#[test]
fn http_16_a_client_that_leaves_does_not_disturb_the_app() {
    let script = rr::worker();
    let script = script.replace(
        "    if ($do === 'error') {",
        "    if ($do === 'sleep') {
        fwrite(STDERR, \"asleep\\n\");
        usleep(700_000);
        fwrite(STDERR, 'awake after ' . (hrtime(true) - $GLOBALS['began'] >= 700_000_000 ? 'all' : 'less') . \"\\n\");
    }
    if ($do === 'error') {",
    );
    let script = script.replace(
        "    parse_str($request['rawQuery']",
        "    $GLOBALS['began'] = hrtime(true);\n    parse_str($request['rawQuery']",
    );
    for way in ALL {
        let server =
            options(way, &format!("['{}', 'worker.php']", php()), "").file("worker.php", &script).start();
        let mut client = server.client();
        client.send(b"GET /?do=sleep HTTP/1.1\r\nHost: a\r\n\r\n");
        server.logs.expect("asleep");
        drop(client);
        server.logs.expect("awake after all");
        json(&server, "/");
        server.stop();
    }
}

#[test]
fn a_wrapper_may_start_the_worker() {
    // RoadRunner refuses it: the process that connects is not the one it has started.
    for way in PROGRAMS {
        let worker = workspace().join("e2e/php/roadrunner/faults.php");
        let command = format!("['sh', '-c', '{} {}; exit $?']", php(), worker.display());
        let server = options(way, &command, "").start();
        assert!(server.get("/").text().starts_with("pid "), "{way:?}");
        server.stop();
    }
}

#[test]
fn a_fork_is_what_a_plain_command_gets_and_others_say_why_not() {
    let names = |server: &Server| -> Vec<String> {
        server.processes().into_iter().map(|process: Process| process.name).collect()
    };
    let server = example(Way::Fork, "").start();
    assert!(names(&server).iter().any(|name| name == "rr-worker"), "{:?}", names(&server));
    server.stop();
    // The opcache of the server's PHP is on.
    let worker = workspace().join("examples/roadrunner/worker.php");
    let asks = format!("{} -d opcache.enable_cli=1 {}", php(), worker.display());
    let server = options(Way::Fork, &asks, "").start();
    assert!(names(&server).iter().any(|name| name == "rr-worker"), "{:?}", names(&server));
    server.stop();
    for (command, why) in [
        ("sh -c 'exec php WORKER'", "is not the PHP of the server"),
        ("php -n WORKER", "PHP's option -n"),
        ("php -d opcache.enable=0 WORKER", "opcache.enable can only be set when PHP starts"),
    ] {
        let worker = workspace().join("examples/roadrunner/worker.php").display().to_string();
        let words: Vec<String> = match command.split_once('\'') {
            Some((head, script)) => {
                let script = script.trim_end_matches('\'').replace("WORKER", &worker).replace("php", &php());
                head.split_whitespace().map(str::to_owned).chain([script]).collect()
            }
            None => command.split(' ').map(|word| word.replace("WORKER", &worker)).collect(),
        };
        let list =
            serde_json::to_string(&words).expect("JSON").replacen("\"php\"", &format!("\"{}\"", php()), 1);
        let server = options(Way::Fork, &list, "").start();
        server.logs.expect(why);
        json(&server, "/");
        server.stop();
    }
}

#[test]
fn a_reload_replaces_workers_and_loses_nothing() {
    for way in ALL {
        let server = example(way, "").start();
        let before = json(&server, "/")["pid"].clone();
        server.signal(1);
        server.logs.expect("reloaded");
        let after = json(&server, "/")["pid"].clone();
        assert_ne!(before, after, "{way:?}");
        server.stop();
    }
}

#[test]
fn a_script_that_calls_over_rpc_before_it_asks_for_work_gets_its_answer() {
    let port = free_port();
    let worker = rr::worker();
    let call = "$socket = stream_socket_client($_SERVER['RR_RPC']);
        $head = pack('CCV', 16 | 5, 8, 15);
        fwrite($socket, $head . pack('V', crc32($head)) . \"\\0\\0\" . pack('VV', 1, 11) . 'rpc.Versiontrue');
        fwrite(STDERR, 'answer: ' . substr(fread($socket, 100), 20) . \"\\n\");\n$relay = new Relay(";
    let worker = worker.replacen("$relay = new Relay(", call, 1);
    for way in [Way::Fork, Way::Pipes] {
        let more = format!("rpc: {{listen: 'tcp://127.0.0.1:{port}'}}");
        let server =
            options(way, &format!("['{}', 'worker.php']", php()), &more).file("worker.php", &worker).start();
        server.logs.expect("answer: rpc.Version\"2025.1.");
        json(&server, "/");
        server.stop();
    }
}

#[test]
fn on_init_runs_once_before_the_workers() {
    let options = |init: &str| {
        let worker = workspace().join("e2e/php/roadrunner/faults.php");
        let yaml = format!(
            "version: '3'\nserver:\n  command: ['{}', '{}']\n  on_init: {init}\nhttp: {{address: '127.0.0.1:0', pool: {{num_workers: 1}}}}",
            php(),
            worker.display()
        );
        Options::source("<?php RoadRunner\\Server::fromFile('.rr.yaml')->run();")
            .file(".rr.yaml", &yaml)
            .expect_errors()
            .descriptors_may_grow()
    };
    let server =
        options("{command: ['sh', '-c', 'echo prepared; printenv WORD; touch done'], env: {word: it}}")
            .start();
    server.logs.expect("on_init: prepared");
    server.logs.expect("on_init: it");
    assert!(server.file("done").exists());
    server.stop();
    let server = options("{command: ['sh', '-c', 'exit 4']}").start();
    server.logs.expect("the command failed, exit code 4");
    server.stop();
    let ended = options("{command: ['sh', '-c', 'echo why; exit 4'], exit_on_error: true}").finish();
    assert!(ended.code == Some(1) && ended.stderr.contains("exit code 4: why"), "{}", ended.stderr);
    let server = options("{command: sleep 1000, exec_timeout: 100ms}").start();
    server.logs.expect("it took longer than exec_timeout");
    server.stop();
}

#[test]
fn workers_run_as_the_user_that_the_config_names() {
    if !e2e::is_root() {
        return skip("only root can become another user");
    }
    for way in ALL {
        let script = "<?php\nfwrite(STDERR, 'I am ' . posix_getpwuid(posix_geteuid())['name'] . ' at home in ' . getenv('HOME') . \"\\n\");\nrequire 'worker.inc';";
        let worker = rr::worker();
        let worker = worker.replace("declare(strict_types=1);", "");
        let yaml = format!("['{}', 'start.php']\n  user: nobody", php());
        let server = options(way, &yaml, "").file("start.php", script).file("worker.inc", &worker).start();
        server.logs.expect("I am nobody at home in /nonexistent");
        json(&server, "/");
        server.stop();
    }
}

#[test]
fn a_slow_upload_holds_no_worker() {
    let server = example(Way::Fork, "").start();
    let mut slow = server.client();
    slow.send(
        b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\nContent-Type: text/plain\r\n\r\nbegin",
    );
    slow.send(vec![b'x'; 300_000]);
    for _ in 0..5 {
        json(&server, "/quick");
    }
    slow.send(vec![b'y'; 99_995]);
    let answer: Value = serde_json::from_slice(&slow.read().body).expect("JSON");
    assert_eq!(answer["length"], 400_000);
    server.stop();
}

#[test]
fn many_requests_find_many_workers() {
    for way in ALL {
        let more = "";
        let server = example(way, more).env("X", "1").start();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let address = server.addr().to_owned();
                std::thread::spawn(move || {
                    let mut client = Client::connect(&address);
                    client.patience(Duration::from_secs(60));
                    for index in 0..50 {
                        client.send(format!("GET /{index} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
                        let answer: Value = serde_json::from_slice(&client.read().body).expect("JSON");
                        assert_eq!(answer["request"]["uri"], format!("http://a/{index}"));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("all answered"));
        server.stop();
    }
}

#[test]
fn a_file_for_errors_has_them_in_a_fork_too() {
    let script = "<?php\ntrigger_error('said by PHP', E_USER_WARNING);\nrequire 'worker.inc';";
    let worker = rr::worker();
    let worker = worker.replace("declare(strict_types=1);", "");
    for (way, to_file) in [(Way::Fork, true), (Way::Fork, false), (Way::Pipes, true)] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("errors.log");
        let mut options = options(way, &format!("['{}', 'start.php']", php()), "")
            .file("start.php", script)
            .file("worker.inc", &worker)
            .env("PHP_INI_SCAN_DIR", format!(":{}", dir.path().display()));
        if to_file {
            let ini = format!("log_errors=1\nerror_log={}\ndisplay_errors=stderr\n", file.display());
            std::fs::write(dir.path().join("zz.ini"), ini).expect("a file");
            options = options.env("X", "1");
        }
        let server = options.start();
        json(&server, "/");
        // WRK-11.
        let line = server.logs.expect("said by PHP");
        assert_eq!((&line["level"], &line["logger"]), (&"info".into(), &"server".into()), "{line}");
        assert_eq!(server.logs.text().matches("said by PHP").count(), 1, "{way:?}: once");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text.contains("said by PHP"), to_file, "{way:?}: {text}");
        server.stop();
    }
}
