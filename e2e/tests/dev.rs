//! Development mode: changed files are served by the next request, errors are pages, dumps are in the log; and none of
//! it without being asked for.

use e2e::{Load, Options, Response, Server};
use serde_json::Value;
use std::fs;

const BROWSER: &str = "Accept: text/html,*/*;q=0.8\r\n";
const EVIL: &str = "<script>alert(\"1\")</script>";

fn app(code: &str) -> Options {
    Options::handler("return new Response($app($request));")
        .chain("->boot(fn () => require __DIR__ . '/src/app.php')")
        .file("src/app.php", code)
}

fn answers(text: &str) -> String {
    format!("<?php\nreturn fn ($request) => '{text}';\n")
}

fn write(server: &Server, name: &str, code: &str) {
    fs::write(server.file(name), code).expect("a file");
}

fn ask(server: &Server, target: &str, headers: &str) -> Response {
    let mut client = server.client();
    client.try_request("GET", target, headers, b"").expect("the server takes the request");
    client.read()
}

/// Files in a mode, `index.php` given.
fn files(mode: &str, index: &str) -> Options {
    let source = format!(
        "<?php RoadRunner\\Server::create(['dev' => true, 'http' => ['pool' => ['num_workers' => 1]]])
             ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')->run();"
    );
    let options = Options::source(&source).file("public/index.php", index);
    if mode == "snapshot" { options.descriptors_may_grow() } else { options }
}

#[test]
fn the_next_request_sees_a_change() {
    let server = app(&answers("one")).arg("--dev").workers(2).start();
    assert!(server.banner()["dev"].as_str().is_some_and(|text| text.starts_with("watching ")));
    assert_eq!(server.text("/"), "one");
    for number in 0..5 {
        write(&server, "src/app.php", &answers(&format!("number {number}")));
        assert_eq!(server.text("/"), format!("number {number}"));
    }
    let line = server.logs.expect("changed files are served");
    assert_eq!(line["files"], "src/app.php");
    assert!(line["took_ms"].as_u64().is_some_and(|took| took < 10_000), "{line}");
    // As an editor does it, and a file that is new.
    fs::create_dir(server.file("lib")).expect("a folder");
    write(&server, "lib/new.php", "<?php return 'from a new file';");
    write(&server, "src/.app.php.tmp", "<?php return fn ($request) => require __DIR__ . '/../lib/new.php';");
    fs::rename(server.file("src/.app.php.tmp"), server.file("src/app.php")).expect("renames");
    assert_eq!(server.text("/"), "from a new file");
    server.stop();
}

#[test]
fn a_change_under_load_fails_no_request() {
    let _one = e2e::heavy();
    let server = app(&answers("r0")).env("RR_DEV", "1").workers(2).start();
    let load = Load::start(server.addr(), "/", 4);
    for number in 1..=5 {
        write(&server, "src/app.php", &answers(&format!("r{number}")));
        assert_eq!(server.text("/"), format!("r{number}"));
        load.advance(10);
    }
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{:?} {:?}", tally.statuses, tally.errors);
    server.stop();
}

#[test]
fn ignored_files_change_nothing() {
    let server = app(&answers("one"))
        .file("vendor/x.php", "<?php")
        .file("var/cache/x.php", "<?php")
        .file("tmp/x.php", "<?php")
        .set("dev", "['ignore' => ['tmp']]")
        .start();
    for name in ["vendor/x.php", "var/cache/x.php", "tmp/x.php", "src/note.txt"] {
        write(&server, name, "<?php // changed");
    }
    assert_eq!(server.text("/"), "one");
    write(&server, "src/app.php", &answers("two"));
    assert_eq!(server.text("/"), "two");
    assert_eq!(server.logs.expect("changed files are served")["files"], "src/app.php");
    assert_eq!(server.logs.count("reloading"), 1);
    server.stop();
}

#[test]
fn code_that_does_not_boot_is_a_page_until_it_does() {
    let server = app(&answers("one")).set("dev", "true").workers(2).expect_errors().start();
    assert_eq!(server.text("/"), "one");
    write(&server, "src/app.php", "<?php\n// before\nreturn fn ($request) => ];\n// after <b>\n");
    for _ in 0..2 {
        let response = ask(&server, "/", BROWSER);
        assert_eq!(response.status, 500);
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        let page = response.text();
        for part in ["Parse error", "Unmatched &#39;]&#39;", "src/app.php<b>:3</b>", "// after &lt;b&gt;"] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
    server.logs.expect("the app does not boot");
    write(&server, "src/app.php", "<?php\nthrow new DomainException('still not');\n");
    let response = server.get("/");
    assert_eq!(response.status, 500);
    assert!(
        response.text().starts_with("DomainException: still not\n  at src/app.php:2"),
        "{}",
        response.text()
    );
    write(&server, "src/app.php", &answers("two"));
    assert_eq!(server.text("/"), "two");
    server.stop();
}

#[test]
fn a_boot_that_hangs_is_given_up_when_the_file_changes() {
    let server = app(&answers("one")).set("dev", "true").start();
    write(&server, "src/app.php", "<?php touch(__DIR__ . '/hangs'); while (true) usleep(1000);");
    e2e::eventually("the new code hangs", || server.file("src/hangs").exists());
    write(&server, "src/app.php", &answers("two"));
    assert_eq!(server.text("/"), "two");
    server.stop();
}

#[test]
fn an_app_that_writes_its_own_files_is_served() {
    let code = |text: &str| {
        format!("<?php file_put_contents(__DIR__ . '/made.php', '<?php'); return fn () => '{text}';")
    };
    let server = app(&code("one")).set("dev", "true").start();
    assert_eq!(server.text("/"), "one");
    write(&server, "src/app.php", &code("two"));
    assert_eq!(server.text("/"), "two");
    server.logs.expect("files change whenever the app boots");
    write(&server, "src/app.php", &code("three"));
    assert_eq!(server.text("/"), "three");
    server.stop();
}

fn thrower() -> String {
    format!(
        "<?php\nfunction fails(int $number) {{\n    throw new LogicException('no {EVIL}', 7, new Exception('the cause'));\n}}\n"
    )
}

fn is_page(what: &str, server: &Server, file: &str) {
    let mut client = server.client();
    let headers =
        format!("{BROWSER}Cookie: sid=a%20b\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let body = format!("field={EVIL}");
    client.try_request("POST", "/path?key=%3Ci%3E", &headers, body.as_bytes()).expect("the server takes it");
    let response = client.read();
    assert_eq!(response.status, 500, "{what}");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
    let page = response.text();
    assert!(!page.contains("<script") && !page.contains("half a page"), "{what}: {page}");
    for part in [
        "LogicException",
        "no &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;",
        "code 7",
        &format!("{file}<b>:3</b>"),
        "<span class=\"here\"><i>3</i>",
        "fails(5)",
        "the cause",
        "<th>key</th><td>&lt;i&gt;</td>",
        "<th>sid</th><td>a b</td>",
        "<th>field</th><td>&lt;script&gt;",
        "roadrunner ",
    ] {
        assert!(page.contains(part), "{what}: {part} in {page}");
    }
    let response = ask(server, "/path", "Accept: application/json\r\n");
    assert_eq!((response.status, response.header("content-type")), (500, Some("application/json")), "{what}");
    let value: Value = serde_json::from_str(&response.text()).expect("json");
    assert_eq!(value["error"]["class"], "LogicException", "{what}");
    assert_eq!(value["error"]["line"], 3, "{what}");
    assert_eq!(value["previous"][0]["message"], "the cause", "{what}");
    let response = server.get("/path");
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
    assert!(response.text().contains("LogicException: no <script>"), "{what}: {}", response.text());
}

#[test]
fn an_exception_is_a_page_in_every_mode() {
    let options = |options: Options| options.file("lib.php", &thrower()).expect_errors();
    let handler = "require_once __DIR__ . '/lib.php'; fails(5);";
    let server = options(Options::handler(handler)).set("dev", "true").start();
    is_page("handler", &server, "lib.php");
    server.stop();
    let looping = "while ($request = $worker->receive()) { require_once __DIR__ . '/lib.php'; fails(5); }";
    let server = options(Options::looping(looping)).set("dev", "true").start();
    is_page("loop", &server, "lib.php");
    server.stop();
    for mode in ["globals", "classic", "snapshot"] {
        let index = "<?php require_once __DIR__ . '/../lib.php'; echo 'half ', 'a page'; fails(5);";
        let server = options(files(mode, index)).start();
        is_page(mode, &server, "lib.php");
        server.stop();
    }
}

#[test]
fn a_fatal_error_is_a_page_in_every_mode() {
    let fatal = "<?php\n\nabstract class A { abstract function b(); }\nclass C extends A {}\n";
    for mode in ["globals", "classic", "snapshot"] {
        let server = files(mode, fatal).expect_errors().start();
        let response = ask(&server, "/", BROWSER);
        assert_eq!(response.status, 500, "{mode}");
        let page = response.text();
        assert!(page.contains("Class C contains 1 abstract method"), "{mode}: {page}");
        assert!(page.contains("public/index.php<b>:4</b>"), "{mode}: {page}");
        write(&server, "public/index.php", "<?php echo 'fixed';");
        assert_eq!(server.text("/"), "fixed", "{mode}");
        write(&server, "public/index.php", "<?php\necho ];");
        assert!(ask(&server, "/", BROWSER).text().contains("Unmatched &#39;]&#39;"), "{mode}");
        server.stop();
    }
    let handler = "ini_set('memory_limit', '8M'); $all = []; while (true) $all[] = str_repeat('x', 100000);";
    let server = Options::handler(handler).set("dev", "true").expect_errors().start();
    let page = ask(&server, "/", BROWSER).text();
    assert!(page.contains("Allowed memory size of 8388608 bytes exhausted"), "{page}");
    server.stop();
}

#[test]
fn what_the_app_answers_itself_is_left_alone() {
    for mode in ["globals", "classic", "snapshot"] {
        let index = "<?php set_exception_handler(function ($e) { http_response_code(503); echo 'own: ', $e->getMessage(); });
                     throw new Exception('sorry');";
        let server = files(mode, index).start();
        let response = ask(&server, "/", BROWSER);
        assert_eq!((response.status, response.text()), (503, "own: sorry".to_owned()), "{mode}");
        server.stop();
    }
}

#[test]
fn without_development_mode_nothing_is_told() {
    let options = Options::handler(
        "if ($request->path() == '/dump') return new Response(function_exists('rr_dump') ? 'yes' : 'no');
         throw new LogicException('secret');",
    );
    let server = options.expect_errors().file("a.php", "<?php").start();
    let response = ask(&server, "/", BROWSER);
    assert_eq!((response.status, response.text()), (500, "Internal Server Error\n".to_owned()));
    assert_eq!(server.text("/dump"), "no");
    write(&server, "a.php", "<?php // changed");
    assert_eq!(server.text("/dump"), "no");
    assert_eq!(server.logs.count("reloading"), 0);
    assert!(server.banner()["dev"].is_null());
    server.stop();
    // The environment turns off what the settings turn on.
    let server = app(&answers("one")).set("dev", "true").env("RR_DEV", "0").start();
    assert!(server.banner()["dev"].is_null());
    assert_eq!(server.text("/"), "one");
    server.stop();
}

#[test]
fn error_pages_take_the_place_of_the_servers_texts() {
    let pages = "['5xx' => 'pages/5xx.html', 404 => 'pages/404.html', 'default' => 'pages/any.json']";
    let index = "<?php if (isset($_GET['own'])) { http_response_code(500); echo 'own'; return; }
                 if (isset($_GET['half'])) { echo 'half'; }
                 throw new Exception('x');";
    let source = format!(
        "<?php $http = ['pool' => ['num_workers' => 1], 'max_request_size' => '1MB', 'error_pages' => {pages}];
         RoadRunner\\Server::create(['http' => $http])->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public')->run();"
    );
    let server = Options::source(&source)
        .file("public/index.php", index)
        .file("pages/5xx.html", "<h1>sorry</h1>")
        .file("pages/404.html", "<h1>where?</h1>")
        .file("pages/any.json", "{\"any\": true}")
        .expect_errors()
        .start();
    let answer = |target: &str| {
        let response = server.get(target);
        let kind = response.header("content-type").unwrap_or_default().to_owned();
        assert_eq!(response.header("rr-failed"), None, "{target}");
        (response.status, kind, response.text())
    };
    let html = "text/html; charset=utf-8".to_owned();
    assert_eq!(answer("/"), (500, html.clone(), "<h1>sorry</h1>".to_owned()));
    assert_eq!(answer("/.hidden"), (404, html.clone(), "<h1>where?</h1>".to_owned()));
    assert_eq!(answer("/%").0, 400);
    assert_eq!(answer("/../x").2, "{\"any\": true}");
    assert_eq!(answer("/?own=1").2, "own");
    assert_eq!(answer("/?half=1").2, "half");
    write(&server, "pages/5xx.html", "<h1>later</h1>");
    assert_eq!(answer("/").2, "<h1>sorry</h1>");
    server.signal(1);
    server.logs.expect_times("reloaded", 1);
    assert_eq!(answer("/").2, "<h1>later</h1>");
    fs::remove_file(server.file("pages/404.html")).expect("removes");
    server.signal(1);
    let line = server.logs.expect("the reload failed");
    assert!(line["msg"].as_str().is_some_and(|text| text.contains("pages/404.html: No such file")), "{line}");
    assert_eq!(answer("/.hidden").2, "<h1>where?</h1>");
    server.stop();
    let finished = Options::source(&source).file("public/index.php", index).finish();
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("http.error_pages: ") && finished.stderr.contains("pages/"),
        "{}",
        finished.stderr
    );
}

#[test]
fn an_error_inside_a_stream_cuts_it_and_is_readable_in_the_log() {
    let handler =
        "return new Response((function () { yield 'begun'; throw new LogicException('too late'); })());";
    let server = Options::handler(handler).set("dev", "true").expect_errors().start();
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_head().expect("a head").status, 200);
    assert!(client.is_closed_within(e2e::SOON));
    let line = server.logs.expect("a response was cut off");
    let text = line["msg"].as_str().unwrap_or_default();
    assert!(text.starts_with("a response was cut off: LogicException: too late in /"), "{text}");
    server.stop();
}

#[test]
fn dumps_are_in_the_log_and_not_in_the_response() {
    let handler = "class Box { public $a = [1, 'two']; protected ?Box $self = null; private $secret = '<b>';
            function __construct() { $this->self = $this; } }
        $box = rr_dump(new Box());
        dump(1.5, null);
        return new Response(get_class($box));";
    let server = Options::handler(handler).set("dev", "true").start();
    assert_eq!(server.text("/some?path=1"), "Box");
    let line = server.logs.expect("Box {#");
    let text = line["msg"].as_str().unwrap_or_default();
    assert!(
        text.contains("server.php:") && text.contains("-secret: \"<b>\"") && text.contains("…}"),
        "{text}"
    );
    assert!(text.contains("    1 => \"two\"\n"), "{text}");
    assert_eq!(line["on"], "GET /some?path=1");
    server.logs.expect("1.5");
    server.stop();
    for mode in ["globals", "classic"] {
        let server = files(mode, "<?php rr_dump(['x' => 1]); echo 'page';").start();
        assert_eq!(server.text("/"), "page", "{mode}");
        let line = server.logs.expect("\"x\" => 1");
        assert_eq!(line["on"], "GET /", "{mode}");
        server.stop();
    }
}

#[test]
fn requests_are_logged_with_worker_and_time() {
    let server = files("globals", "<?php echo 'hello';").file("public/a.txt", "text").start();
    assert_eq!(server.text("/x"), "hello");
    let line = server.logs.wait_for(|record| record["URI"] == "/x", e2e::SOON).expect("a line");
    assert_eq!((&line["method"], &line["status"]), (&Value::from("GET"), &Value::from(200)));
    assert!(line["pid"].is_u64() && line["elapsed_us"].is_u64() && line["memory"].is_u64(), "{line}");
    assert_eq!(server.text("/a.txt"), "text");
    assert!(server.logs.wait_for(|record| record["URI"] == "/a.txt", e2e::SOON).is_some());
    server.stop();
}
