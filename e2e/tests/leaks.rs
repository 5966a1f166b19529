//! The leak detector of development mode: what a request leaves behind in a living worker, named with the request; and
//! silence about what the worker puts back.

use e2e::{Options, Server};

fn said(server: &Server, text: &str) -> String {
    server.logs.expect(text)["msg"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_a_request_leaves_behind_is_named_once() {
    let handler = "static $kept = [];
        if ($request->path() == '/file') $kept[] = fopen(__FILE__, 'r');
        if ($request->path() == '/ini') ini_set('precision', '7');
        if ($request->path() == '/env') { putenv('LEFT=1'); chdir('/'); $GLOBALS['made'] = 1; }
        if ($request->path() == '/grow') $kept[] = str_repeat('x', 5000);
        return new Response('done');";
    let server = Options::handler(handler).set("dev", "['leaks' => true]").start();
    for target in ["/", "/file", "/file", "/", "/ini?a=1", "/ini?a=2", "/", "/env", "/"] {
        assert_eq!(server.text(target), "done");
    }
    let file = said(&server, "GET /file left behind: open descriptor ");
    assert!(file.contains("server.php"), "{file}");
    said(&server, "GET /ini?a=1 left behind: setting precision: 7");
    let env = said(&server, "GET /env left behind: ");
    for part in ["environment variable LEFT: 1", "working directory: / instead of", "global variable $made"] {
        assert!(env.contains(part), "{part} in {env}");
    }
    for _ in 0..25 {
        assert_eq!(server.text("/grow"), "done");
    }
    said(&server, "memory has grown in 20 requests in a row");
    assert_eq!(server.logs.count("GET /file left behind"), 1);
    assert_eq!(server.logs.count("GET /ini"), 1);
    assert_eq!(server.logs.count("GET / left behind"), 0);
    server.stop();
}

/// What handlers change and only they put back, each with what the log says of it.
const LEFT: [(&str, &str, &str); 8] = [
    ("errors", "set_error_handler('strlen');", "error handler: strlen"),
    ("exceptions", "set_exception_handler('Own::handle');", "exception handler: Own::handle"),
    ("locale", "setlocale(LC_ALL, 'C.UTF-8');", "locale: C.UTF-8 instead of "),
    ("zone", "date_default_timezone_set('Asia/Tokyo');", "time zone: Asia/Tokyo instead of UTC"),
    ("umask", "umask(0027);", "umask: 0027 instead of "),
    ("buffer", "ob_start(null, 0, 0);", "output buffers: 1 instead of 0"),
    ("alarm", "pcntl_alarm(1000);", "timer (alarm): armed instead of none"),
    ("setting", "ini_set('precision', '9');", "setting precision: 9"),
];

fn switch() -> String {
    let cases: String =
        LEFT.iter().map(|(name, code, _)| format!("case '/{name}': {code} break;\n")).collect();
    format!("switch ($path) {{\n{cases}}}")
}

#[test]
fn each_kind_of_left_state_is_named_with_its_request() {
    for looping in [false, true] {
        let class = "class Own { public static function handle($error) {} }";
        let code = format!("$path = $request->path(); {} ", switch());
        let options = if looping {
            Options::looping(&format!(
                "while ($request = $worker->receive()) {{ {code} $worker->respond(new Response('done')); }}"
            ))
        } else {
            Options::handler(&format!("{code} return new Response('done');"))
        };
        let options = options.above(class).ini("date.timezone=UTC").set("dev", "['leaks' => true]");
        let server = options.expect_errors().start();
        assert_eq!(server.text("/"), "done");
        for (name, _, text) in LEFT {
            assert_eq!(server.text(&format!("/{name}?a=1")), "done", "{name}");
            let line = said(&server, &format!("GET /{name}?a=1 left behind: "));
            assert!(line.contains(text), "{text:?} in {line:?}");
            // It is what the next request finds, and nothing that it has left.
            assert_eq!(server.text("/"), "done", "{name}");
        }
        assert_eq!(server.logs.count("GET / left behind"), 0);
        assert_eq!(server.logs.count("left behind"), LEFT.len());
        server.stop();
    }
}

#[test]
fn what_a_globals_worker_puts_back_is_not_named() {
    let index = format!(
        "<?php $path = strtok($_SERVER['REQUEST_URI'], '?'); {}
         if ($path === '/more') {{ chdir('/'); $left = 1; session_start(); header('X-A: 1'); }}
         if ($path === '/env') {{ putenv('LEFT=1'); }}
         if ($path === '/alarm') {{ pcntl_alarm(0); }}
         echo 'done';",
        switch()
    );
    let source = "<?php class Own { public static function handle($error) {} }
        RoadRunner\\Server::create(['dev' => ['leaks' => true], 'http' => ['pool' => ['num_workers' => 1]]])
            ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', 'globals')->run();";
    let server = Options::source(source).file("public/index.php", &index).start();
    assert_eq!(server.text("/"), "done");
    for (name, _, _) in LEFT {
        assert_eq!(server.text(&format!("/{name}")), "done", "{name}");
    }
    assert_eq!(server.text("/more"), "done");
    assert_eq!(server.text("/env"), "done");
    let line = said(&server, "GET /env left behind: ");
    assert!(line.ends_with("environment variable LEFT: 1"), "{line}");
    assert_eq!(server.logs.count("left behind"), 1, "{}", server.logs.text());
    server.stop();
}
