//! Whatever PHP code does: the request gets an answer, the next one is right, nothing leaks from one to another.

use e2e::{Client, Options, Server};
use std::collections::BTreeSet;

fn pid(server: &Server) -> String {
    server.text("/pid")
}

const PID: &str = "if ($request->path() == '/pid') return new Response((string) getmypid());\n";

fn app(code: &str) -> Options {
    Options::handler(&format!("{PID}{code}"))
}

#[test]
fn exit_ends_the_request_and_not_the_worker() {
    let server = app("if ($request->path() == '/die') die('words'); exit(3);").start();
    let before = pid(&server);
    let mut client = server.client();
    for path in ["/exit", "/die", "/exit"] {
        let response = client.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, ""), "{path}");
    }
    assert_eq!(pid(&server), before);
    server.logs.expect("exit() was called before there was a response");
    server.logs.expect("words");
    drop(client);
    server.stop();
}

#[test]
fn an_exception_is_a_500_without_its_trace() {
    let server = app("throw new LogicException('secret words');").expect_errors().start();
    let before = pid(&server);
    let response = server.get("/");
    assert_eq!(response.status, 500);
    assert!(
        !response.text().contains("secret") && !response.text().contains("server.php"),
        "{}",
        response.text()
    );
    let line = server.logs.expect("secret words");
    assert_eq!(
        (&line["level"], &line["logger"], &line["pool"]),
        (&"error".into(), &"php".into(), &"http".into())
    );
    assert_eq!(line["pid"].to_string(), before);
    assert!(line["request"].as_u64().is_some_and(|request| request > 0), "{line}");
    assert!(line["msg"].as_str().is_some_and(|text| text.contains("#0 ") && text.contains("LogicException")));
    assert_eq!(pid(&server), before);
    server.stop();
}

#[test]
fn pool_13_debug_shows_the_trace_and_takes_a_new_worker_each_time() {
    let server = app("throw new LogicException('shown words');")
        .set("http.pool.debug", "true")
        .expect_errors()
        .start();
    let text = server.get("/").text();
    assert!(text.contains("shown words") && text.contains("#0 ") && text.contains("server.php"), "{text}");
    let pids: BTreeSet<_> = (0..5).map(|_| pid(&server)).collect();
    assert_eq!(pids.len(), 5, "a worker per request");
    server.stop();
}

#[test]
fn hs_04_internal_error_code_is_the_status_of_failures() {
    let server = Options::hello().expect_errors().env("NUM_WORKERS", "1").start();
    assert_eq!(server.get("/boom").status, 500);
    server.stop();
    let server =
        app("throw new Exception('x');").set("http.internal_error_code", "503").expect_errors().start();
    assert_eq!(server.get("/").status, 503);
    server.stop();
}

#[test]
fn an_error_of_the_engine_is_a_500_too() {
    let server = app("return undefined_function();").expect_errors().start();
    let before = pid(&server);
    assert_eq!(server.get("/").status, 500);
    server.logs.expect("Call to undefined function undefined_function()");
    assert_eq!(pid(&server), before);
    server.stop();
}

#[test]
fn a_fatal_error_is_a_500_and_a_new_worker() {
    let server = app("eval('class Twice {} class Twice {}');").expect_errors().start();
    for _ in 0..3 {
        let before = pid(&server);
        assert_eq!(server.get("/").status, 500);
        assert_ne!(pid(&server), before);
    }
    server.logs.expect("Cannot declare class Twice");
    server.stop();
}

#[test]
fn out_of_memory_is_a_500_and_the_next_request_is_right() {
    let server =
        app("if ($request->path() == '/oom') { $all = []; while (true) $all[] = str_repeat('x', 1 << 20); }
         if ($request->path() == '/one') { return new Response(str_repeat('x', 1 << 30)); }
         return new Response('right');")
        .ini("memory_limit=32M")
        .expect_errors()
        .start();
    for path in ["/oom", "/one", "/oom"] {
        assert_eq!(server.get(path).status, 500, "{path}");
        for _ in 0..5 {
            assert_eq!(server.text("/"), "right");
        }
    }
    server.logs.expect("Allowed memory size of 33554432 bytes exhausted");
    server.stop();
}

#[test]
fn out_of_memory_in_a_catch_block_and_in_a_destructor() {
    let server = app(
        "if ($request->path() == '/') return new Response('right');
         class_exists('Bad') || eval('class Bad { function __destruct() { $a = str_repeat(\"x\", 1 << 30); } }');
         $bad = new Bad;
         try { throw new Exception; } finally { $b = str_repeat('x', 1 << 30); }",
    )
    .ini("memory_limit=32M")
    .expect_errors()
    .start();
    for _ in 0..3 {
        let status = server.get("/bad").status;
        assert!(matches!(status, 500 | 502), "{status}");
        assert_eq!(server.text("/"), "right");
    }
    server.stop();
}

#[test]
fn a_segfault_is_a_502_and_is_named_in_the_log() {
    let server =
        app("if ($request->path() == '/') return new Response('right'); posix_kill(getmypid(), SIGSEGV);")
            .expect_errors()
            .start();
    for _ in 0..3 {
        let before = pid(&server);
        assert_eq!(server.get("/crash").status, 502);
        assert_eq!(server.text("/"), "right");
        assert_ne!(pid(&server), before);
    }
    server.logs.expect_times("SIGSEGV", 3);
    server.stop();
}

#[test]
fn endless_recursion_hurts_one_request_only() {
    let server = app("if ($request->path() == '/') return new Response('right');
         $f = function () use (&$f) { return array_map($f, [1]); };
         $f();")
    .ini("memory_limit=-1")
    .expect_errors()
    .start();
    let status = server.get("/deep").status;
    assert!(matches!(status, 500 | 502), "{status}");
    assert_eq!(server.text("/"), "right");
    server.stop();
}

#[test]
fn echo_goes_to_the_log_with_the_request_and_is_explained_once() {
    let server = app("echo \"printed \"; print($request->path() . \"\\n\"); var_dump(1); echo 'tail';
         return new Response('answer');")
    .start();
    for path in ["/one", "/two"] {
        assert_eq!(server.text(path), "answer");
    }
    let one = server.logs.expect("printed /one");
    let two = server.logs.expect("printed /two");
    assert_eq!((&one["level"], &one["logger"]), (&"info".into(), &"php".into()));
    assert_eq!(one["request"].as_u64().map(|number| number + 1), two["request"].as_u64());
    server.logs.expect_times("tail", 2);
    assert_eq!(server.logs.count("a handler printed something"), 1);
    let logs = server.stop();
    assert_eq!(logs.count("a handler printed something"), 1);
}

#[test]
fn warnings_and_error_log_go_to_the_log_with_their_level() {
    let server = app(
        "echo $undefined; error_log('logged words'); trigger_error('a notice'); fwrite(STDERR, \"to stderr\\n\");
         return new Response('answer');",
    )
    .start();
    assert_eq!(server.text("/"), "answer");
    let warning = server.logs.expect("Undefined variable $undefined");
    assert_eq!(warning["level"], "warn");
    assert!(warning["request"].as_u64() > Some(0));
    server.logs.expect("logged words");
    server.logs.expect("a notice");
    let stderr = server.logs.expect("to stderr");
    assert!(stderr["pid"].as_u64() > Some(0), "{stderr}");
    server.stop();
}

#[test]
fn output_buffers_and_php_headers_do_not_leak() {
    let server = app(
        "ob_start(); echo 'left ', $request->path(); ob_start(fn ($text) => strtoupper($text)); echo 'deep';
         header('X-Leak: yes'); http_response_code(418);
         return new Response(ob_get_level() . '');",
    )
    .start();
    for path in ["/a", "/b", "/c"] {
        let response = server.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, "2"), "{path}");
        assert_eq!(response.header("x-leak"), None);
    }
    server.logs.expect("left /a");
    server.stop();
}

#[test]
fn header_injection_is_a_500() {
    let server = app(
        "$all = [
             '/value' => ['X' => \"a\\r\\nInjected: 1\"], '/lf' => ['X' => \"a\\nInjected: 1\"],
             '/nul' => ['X' => \"a\\0b\"], '/name' => [\"X\\r\\nInjected\" => '1'], '/blank' => ['A B' => '1'],
             '/empty' => ['' => '1'], '/list' => ['X' => ['fine', \"b\\r\\nInjected: 1\"]],
             '/number' => ['X' => 5], '/latin' => ['X' => \"caf\\xe9\"],
             '/framing' => ['Transfer-Encoding' => 'chunked', 'Content-Length' => '3', 'Connection' => 'x'],
         ];
         return new Response('body', 200, $all[$request->path()]);",
    )
    .expect_errors()
    .start();
    for path in ["/value", "/lf", "/nul", "/name", "/blank", "/empty", "/list"] {
        let response = server.get(path);
        assert!(response.status == 500 || response.status == 502, "{path}: {response:?}");
        assert!(!response.head.contains("Injected"), "{path}: {}", response.head);
    }
    assert_eq!(server.get("/number").header("x"), Some("5"));
    assert_eq!(server.get("/latin").status, 200);
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(client.get("/framing").text(), "body", "the framing is the server's");
    }
    drop(client);
    server.stop();
}

#[test]
fn a_wrong_return_value_is_a_500_with_a_clear_line() {
    let server = app("switch ($request->path()) {
             case '/object': return new ArrayObject();
             case '/int': return 5;
             case '/status': return new Response('x', 99);
             case '/interim': return new Response('x', 103);
             case '/high': return new Response('x', 600);
             case '/body': return new Response(new stdClass);
         }
         return true;")
    .expect_errors()
    .start();
    for path in ["/object", "/int", "/bool", "/status", "/interim", "/high", "/body"] {
        assert_eq!(server.get(path).status, 500, "{path}");
    }
    server.logs.expect("must return RoadRunner\\Response, a string or null; it returned ArrayObject");
    server.logs.expect("a response with status 99: expected 200 to 599");
    server.stop();
}

#[test]
fn shutdown_functions_run_after_each_request() {
    let server = app("$path = $request->path();
         register_shutdown_function(function () use ($path) {
             file_put_contents(__DIR__ . '/log', $path . \"\\n\", FILE_APPEND);
             if ($path == '/throws') throw new Exception('late');
             if ($path == '/exits') exit;
         });
         if ($path == '/exit') exit;
         if ($path == '/boom') throw new Exception('boom');
         return new Response($path);")
    .expect_errors()
    .start();
    let before = pid(&server);
    for path in ["/a", "/exit", "/boom", "/throws", "/exits", "/b"] {
        let _ = server.get(path);
    }
    assert_eq!(pid(&server), before);
    assert_eq!(server.read("log"), "/a\n/exit\n/boom\n/throws\n/exits\n/b\n");
    server.stop();
}

#[test]
fn siblings_have_different_random_numbers() {
    let server = app("while (!file_exists(__DIR__ . '/go')) usleep(1000);
         return new Response(mt_rand() . ' ' . lcg_value() . ' ' . rand() . ' ' . uniqid('', true) . ' '
             . random_int(0, PHP_INT_MAX) . ' ' . $app);")
    .workers(4)
    .chain("->boot(fn () => mt_rand() . '|' . lcg_value())")
    .start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        client.try_request("GET", "/", "", b"").expect("sent");
    }
    std::fs::write(server.file("go"), "").expect("a file");
    let texts: Vec<Vec<String>> = clients
        .iter_mut()
        .map(|client| client.read().text().split(' ').map(ToOwned::to_owned).collect())
        .collect();
    for column in 0..5 {
        let different: BTreeSet<_> = texts.iter().map(|text| &text[column]).collect();
        assert_eq!(different.len(), 4, "column {column} of {texts:?}");
    }
    let booted: BTreeSet<_> = texts.iter().map(|text| &text[5]).collect();
    assert_eq!(booted.len(), 1, "one boot for all: {texts:?}");
    drop(clients);
    server.stop();
}

#[test]
fn extensions_that_work_in_php_work_in_a_worker() {
    let server = app(
        "switch ($request->path()) {
             case '/exec': return new Response(trim(shell_exec('echo from a shell')));
             case '/proc': $p = proc_open(['sh', '-c', 'read x; echo got $x; exit 3'], [['pipe', 'r'], ['pipe', 'w']], $io);
                 fwrite($io[0], \"in\\n\"); fclose($io[0]); $out = trim(stream_get_contents($io[1]));
                 return new Response($out . ' ' . proc_close($p));
             case '/sqlite': $db = new PDO('sqlite::memory:'); return new Response((string) $db->query('select 6*7')->fetchColumn());
             case '/fork': $pid = pcntl_fork(); if ($pid == 0) { posix_kill(getmypid(), SIGKILL); }
                 pcntl_waitpid($pid, $status); return new Response('child ' . pcntl_wtermsig($status));
             case '/alarm': pcntl_async_signals(true); $hit = 0; pcntl_signal(SIGALRM, function () use (&$hit) { $hit++; });
                 pcntl_alarm(1); $until = microtime(true) + 10; while (!$hit && microtime(true) < $until) usleep(10000);
                 return new Response(\"alarm $hit\");
         }",
    )
    .start();
    assert_eq!(server.text("/exec"), "from a shell");
    assert_eq!(server.text("/proc"), "got in 3");
    assert_eq!(server.text("/sqlite"), "42");
    assert_eq!(server.text("/fork"), "child 9");
    assert_eq!(server.text("/alarm"), "alarm 1");
    server.stop();
}

#[test]
fn set_time_limit_is_a_fatal_error_as_in_php() {
    let server = app("if ($request->path() == '/') { set_time_limit(1); while (true); } return 'next';")
        .expect_errors()
        .start();
    assert_eq!(server.get("/").status, 500);
    server.logs.expect("Maximum execution time of 1 second exceeded");
    assert_eq!(server.text("/next"), "next");
    server.stop();
}

#[test]
fn thousands_of_requests_of_each_kind_leave_memory_where_it_was() {
    let _one = e2e::heavy();
    let server = Options::handler(
        "switch ($request->path()) {
             case '/json': return new Response(json_encode(['numbers' => range(1, 50)]), 200, ['Content-Type' => 'application/json']);
             case '/echo': return new Response($request->body());
             case '/boom': throw new RuntimeException('boom');
             case '/exit': exit('bye');
             case '/stream': return new Response((function () { yield 'a'; yield 'b'; })());
             case '/all': $request->headers(); $request->query(); $request->cookies(); ob_start();
                 register_shutdown_function(fn () => 1); return new Response($request->uri());
             case '/memory': return new Response(getmypid() . ' ' . memory_get_usage());
         }
         return new Response('Hello');",
    )
    .set("logs.channels", "['php' => ['mode' => 'off']]")
    .expect_errors()
    .start();
    let mut client = server.client();
    let look = |client: &mut Client| {
        let text = client.get("/memory").text();
        let (pid, used) = text.split_once(' ').expect("two numbers");
        let (pid, used): (u32, u64) = (pid.parse().expect("a pid"), used.parse().expect("a number"));
        (pid, used, e2e::private_memory(pid))
    };
    let run = |client: &mut Client, path: &str, count: usize| {
        for number in 0..count {
            let response = if path == "/echo" {
                client.post(path, b"body")
            } else if path == "/all" {
                client.try_request("GET", "/all?a=1&b[]=2", "Cookie: a=b\r\nX-Y: z\r\n", b"").expect("sent");
                client.read()
            } else {
                client.get(path)
            };
            assert_eq!(response.status, if path == "/boom" { 500 } else { 200 }, "{path} {number}");
        }
    };
    for path in ["/", "/json", "/echo", "/boom", "/exit", "/stream", "/all"] {
        run(&mut client, path, 100);
        let (pid, used, private) = look(&mut client);
        run(&mut client, path, 2000);
        let (same, after, private_after) = look(&mut client);
        assert_eq!(pid, same, "{path}");
        assert!(after <= used + 2048, "{path}: PHP's memory grew from {used} to {after}");
        assert!(
            private_after <= private + 400,
            "{path}: private memory grew from {private} to {private_after} KiB"
        );
    }
    let master = e2e::resident_memory(server.pid());
    for path in ["/", "/boom", "/exit"] {
        run(&mut client, path, 1000);
    }
    let after = e2e::resident_memory(server.pid());
    assert!(after <= master + 1024, "the master grew from {master} to {after} KiB");
    drop(client);
    server.stop();
}
