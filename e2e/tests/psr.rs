//! PSR-7, PSR-15 and PSR-17: the embedded classes against the common test suites, and handlers over HTTP with them
//! and with an app's own factories.

use e2e::compare::{Browser, Rules, differences};
use e2e::{Fpm, Options, Server, skip};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PHP: &str = "/usr/share/php";

/// Whether Debian's packages with these files are there, which `scripts/setup --test` installs.
fn have(files: &[&str]) -> bool {
    let missing = files.iter().find(|file| !Path::new(PHP).join(file).exists());
    if let Some(file) = missing {
        skip(&format!("{PHP}/{file} is missing; run scripts/setup --test"));
    }
    missing.is_none()
}

const INTERFACES: &str = "Psr/Http/Message/factory-autoload.php";

fn handler(factories: &str, code: &str) -> Options {
    let interface = e2e::workspace().join("e2e/php/psr/server-handler.php");
    let source = format!(
        "<?php
use Psr\\Http\\Message\\{{ResponseInterface, ServerRequestInterface}};
use RoadRunner\\Psr\\{{HttpFactory, Response, Stream}};
require 'Psr/Http/Message/autoload.php';
require 'Psr/Http/Message/factory-autoload.php';
require '{}';
$factories = {factories};
final class Handler implements Psr\\Http\\Server\\RequestHandlerInterface
{{
    public function handle(ServerRequestInterface $request): ResponseInterface
    {{
        {code}
    }}
}}
RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
    ->boot(fn () => new Handler())
    ->psr(getenv('HTTP_ADDRESS'), null, $factories)
    ->run();
",
        interface.display()
    );
    Options::source(&source)
}

const NYHOLM: &str = "(require 'Nyholm/Psr7/autoload.php') ? new Nyholm\\Psr7\\Factory\\Psr17Factory : null";

/// The built-in classes, and those of a package that have the same face.
fn both(code: &str, test: impl Fn(Server)) {
    if !have(&[INTERFACES]) {
        return;
    }
    test(handler("null", code).start());
    if have(&["Nyholm/Psr7/autoload.php"]) {
        test(handler(NYHOLM, code).start());
    }
}

#[test]
fn the_common_test_suites_pass() {
    if !have(&[INTERFACES, "Http/Psr7Test/autoload.php", "Interop/Http/Factory/autoload.php"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let tests = e2e::workspace().join("e2e/php/psr");
    let output = Command::new(e2e::php())
        .arg("-d")
        .arg(format!("extension={}", e2e::extension().display()))
        .arg("/usr/bin/phpunit")
        .arg("--no-configuration")
        .args(["--do-not-cache-result", "--bootstrap"])
        .arg(tests.join("bootstrap.php"))
        .arg(&tests)
        .current_dir(dir.path())
        .output()
        .expect("phpunit starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Tests: ") || text.contains("OK ("), "{text}");
}

#[test]
fn without_the_interfaces_the_package_is_named() {
    let classes = [
        ("Response", "psr/http-message"),
        ("SymfonyRuntime", "symfony/runtime"),
        ("SimpleCache", "psr/simple-cache"),
        ("CacheItemPool", "psr/cache"),
        ("SymfonyAdapter", "symfony/cache"),
    ];
    for (class, package) in classes {
        let server = Options::handler(&format!(
            "try {{ return new Response((string) new RoadRunner\\Psr\\{class}); }}
             catch (Error $error) {{ return new Response($error->getMessage()); }}"
        ))
        .start();
        for _ in 0..2 {
            let text = server.text("/");
            assert!(text.contains(&format!("composer require {package}")), "{text}");
        }
        server.stop();
    }
}

#[test]
fn a_class_that_is_not_there_is_left_to_the_app() {
    let server = Options::handler(
        "spl_autoload_register(function ($name) { if ($name === 'RoadRunner\\Psr\\Mine') eval('namespace RoadRunner\\Psr; class Mine {}'); });
         return new Response(json_encode([class_exists('RoadRunner\\Psr\\Mine'), class_exists('RoadRunner\\Psr\\Other')]));",
    )
    .start();
    assert_eq!(server.text("/"), "[true,false]");
    server.stop();
}

#[test]
fn a_server_without_a_handler_does_not_start() {
    if !have(&[INTERFACES]) {
        return;
    }
    let source = "<?php require 'Psr/Http/Message/autoload.php';
        RoadRunner\\Server::create()->boot(fn () => new ArrayObject)->psr('127.0.0.1:0')->run();";
    let finished = Options::source(source).finish();
    assert_ne!(finished.code, Some(0));
    assert!(
        finished
            .stderr
            .contains("expected a Psr\\\\Http\\\\Server\\\\RequestHandlerInterface, got ArrayObject")
            || finished
                .stderr
                .contains("expected a Psr\\Http\\Server\\RequestHandlerInterface, got ArrayObject"),
        "{}",
        finished.stderr
    );
    let finished =
        Options::source("<?php RoadRunner\\Server::create()->psr('127.0.0.1:0', fn () => 1)->run();")
            .finish();
    assert_ne!(finished.code, Some(0));
    assert!(finished.stderr.contains("composer require psr/http-message"), "{}", finished.stderr);
}

const SHOW: &str = "return new Response(200, ['Content-Type' => 'application/json'], json_encode([
    'method' => $request->getMethod(), 'uri' => (string) $request->getUri(), 'target' => $request->getRequestTarget(),
    'version' => $request->getProtocolVersion(), 'query' => $request->getQueryParams(),
    'cookies' => $request->getCookieParams(), 'server' => $request->getServerParams(),
    'parsed' => $request->getParsedBody(), 'body' => (string) $request->getBody(),
    'size' => $request->getBody()->getSize(), 'attributes' => $request->getAttributes(),
    'x' => $request->getHeader('X-List'), 'line' => $request->getHeaderLine('x-list'),
    'none' => [$request->hasHeader('x-none'), $request->getHeaderLine('x-none'), $request->getHeader('x-none')],
    'same' => (string) $request->withAttribute('a', 1)->getBody(),
]));";

#[test]
fn a_request_is_what_php_would_make_of_it() {
    both(SHOW, |server| {
        let mut client = server.client();
        let headers = "Cookie: a.b=1+%20; x[y]=2; q=1; q=2; bare\r\nX-List: one\r\nX-List: two\r\n\
                       Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
        client.try_request("POST", "/a%20b?c[d]=1&e=%20", headers, b"f=1&g[]=2").expect("it is taken");
        let show: Value = serde_json::from_slice(&client.read().body).expect("JSON");
        assert_eq!(show["method"], "POST");
        assert_eq!(show["uri"], "http://test/a%20b?c%5Bd%5D=1&e=%20");
        assert_eq!(show["version"], "1.1");
        assert_eq!(show["query"], serde_json::json!({"c": {"d": "1"}, "e": " "}));
        let cookies = serde_json::json!({"a_b": "1+ ", "x": {"y": "2"}, "q": "1", "bare": ""});
        assert_eq!(show["cookies"], cookies);
        assert_eq!(show["parsed"], serde_json::json!({"f": "1", "g": ["2"]}));
        assert_eq!((&show["body"], &show["same"]), (&"f=1&g[]=2".into(), &"f=1&g[]=2".into()));
        assert_eq!(show["size"], 9);
        assert_eq!(show["attributes"], serde_json::json!([]));
        assert_eq!(show["x"], serde_json::json!(["one", "two"]));
        assert_eq!(show["line"], "one, two");
        assert_eq!(show["none"], serde_json::json!([false, "", []]));
        let (port, params) = (server.addr().rsplit(':').next().unwrap_or_default(), &show["server"]);
        for (name, value) in [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/a%20b?c[d]=1&e=%20"),
            ("QUERY_STRING", "c[d]=1&e=%20"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("SERVER_ADDR", "127.0.0.1"),
            ("SERVER_PORT", port),
            ("SERVER_NAME", "test"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("HTTP_HOST", "test"),
            ("HTTP_X_LIST", "one, two"),
            ("CONTENT_LENGTH", "9"),
        ] {
            assert_eq!(params[name], value, "{name}");
        }
        assert!(params.get("HTTPS").is_none());
        assert!(params["REQUEST_TIME"].is_i64() && params["REQUEST_TIME_FLOAT"].is_f64());
        client
            .try_request("PUT", "/", "Content-Type: application/x-www-form-urlencoded\r\n", b"f=1")
            .expect("taken");
        let show: Value = serde_json::from_slice(&client.read().body).expect("JSON");
        assert_eq!((&show["parsed"], &show["body"]), (&Value::Null, &"f=1".into()));
        drop(client);
        server.stop();
    });
}

#[test]
fn responses_of_all_kinds() {
    let code = "$made = fn ($status, $headers = [], $body = '') => new Response($status, $headers, $body);
        switch ($request->getUri()->getPath()) {
            case '/cookies': return $made(200, ['Set-Cookie' => ['a=1', 'b=2']], 'x');
            case '/none': return $made(204);
            case '/same': return $made(304, ['ETag' => '\"a\"']);
            case '/file': return $made(200, [], new Stream(fopen(__FILE__, 'r')));
            case '/pipe': return $made(200, [], new Stream(popen('head -c 200000 /dev/zero', 'r')));
            case '/size': return $made(200, ['Content-Type' => 'text/plain', 'X-Number' => 5], str_repeat('x', 200000));
            case '/throw': throw new LogicException('secret words');
            case '/exit': exit;
            case '/wrong': return 5;
        }
        $response = new Response(201, ['Content-Type' => 'text/plain']);
        $response->getBody()->write('written');
        return $response;";
    if !have(&[INTERFACES]) {
        return;
    }
    let server = handler("null", code).expect_errors().start();
    let mut client = server.client();
    let response = client.get("/written");
    assert_eq!((response.status, response.text().as_str()), (201, "written"));
    assert_eq!(response.header("content-length"), Some("7"));
    assert_eq!(response.header("content-type"), Some("text/plain"));
    let head = client.get("/cookies").head.to_ascii_lowercase();
    assert!(head.contains("set-cookie: a=1") && head.contains("set-cookie: b=2"), "{head}");
    let response = client.get("/none");
    assert_eq!(
        (response.status, response.header("content-length"), response.text().as_str()),
        (204, None, "")
    );
    let response = client.get("/same");
    assert_eq!((response.status, response.header("etag")), (304, Some("\"a\"")));
    assert_eq!(client.get("/file").text(), server.read("server.php"));
    let response = client.get("/pipe");
    assert_eq!((response.body.len(), response.header("transfer-encoding")), (200_000, Some("chunked")));
    let response = client.get("/size");
    assert_eq!((response.body.len(), response.header("content-length")), (200_000, Some("200000")));
    assert_eq!(response.header("x-number"), Some("5"));
    for path in ["/throw", "/wrong"] {
        let response = client.get(path);
        assert_eq!(response.status, 500, "{path}");
        assert!(!response.text().contains("secret"));
    }
    server.logs.expect("secret words");
    assert_eq!(client.get("/exit").text(), "");
    assert_eq!(client.get("/written").text(), "written");
    drop(client);
    let mut client = server.client();
    client.send("HEAD /size HTTP/1.1\r\nHost: test\r\n\r\n");
    let response = client.read_head().expect("a head");
    assert_eq!((response.status, response.header("content-length")), (200, Some("200000")));
    drop(client);
    server.stop();
}

#[test]
fn a_long_body_is_read_as_it_comes_and_can_be_rewound_while_it_is_kept() {
    let code = "$body = $request->getBody();
        switch ($request->getUri()->getPath()) {
            case '/pieces':
                $size = 0;
                for ($hash = hash_init('md5'); !$body->eof(); $size += strlen($piece)) {
                    hash_update($hash, $piece = $body->read(8192));
                }
                try { $body->rewind(); $rewound = 'yes'; } catch (RuntimeException) { $rewound = 'no'; }
                return new Response(200, [], $size . ' ' . hash_final($hash) . ' ' . $rewound . ' ' . memory_get_peak_usage());
            case '/again': return new Response(200, [], md5((string) $body) . md5((string) $body));
            case '/seek':
                $body->read(3);
                $body->seek(-5, SEEK_END);
                $end = $body->getContents();
                $body->rewind();
                return new Response(200, [], $end . strlen((string) $body) . ' ' . $body->tell());
            case '/detach': return new Response(200, [], new Stream($body->detach()));
        }";
    both(code, |server| {
        let long: Vec<u8> = (0..30 << 20).map(|at| b'a' + (at % 23) as u8).collect();
        let mut client = server.client();
        let text = client.post("/pieces", &long).text();
        let parts: Vec<&str> = text.split(' ').collect();
        let (size, hash, rewound) = (parts[0], parts[1], parts[2]);
        assert_eq!((size, rewound), ("31457280", "no"), "{text}");
        let peak: u64 = parts[3].parse().expect("a number");
        assert!(peak < 10 << 20, "{peak}");
        assert_eq!(client.post("/again", &long).text(), format!("{hash}{hash}"));
        assert_eq!(client.post("/seek", b"0123456789").text(), "5678910 10");
        let end = String::from_utf8_lossy(&long[long.len() - 5..]).into_owned();
        assert_eq!(client.post("/seek", &long).text(), format!("{end}31457280 31457280"));
        assert!(client.post("/detach", &long).body == long);
        let short = client.post("/pieces", b"abc").text();
        assert!(short.starts_with("3 ") && short.contains(" yes "), "{short}");
        drop(client);
        server.stop();
    });
}

#[test]
fn uploads_are_a_tree() {
    let code = "if (!method_exists(RoadRunner\\Request::class, 'files')) return new Response(200, [], 'skip');
        $file = $request->getUploadedFiles()['f']['a'][0];
        $none = $request->getUploadedFiles()['none'];
        $to = __DIR__ . '/moved';
        $text = (string) $file->getStream();
        $file->moveTo($to);
        return new Response(200, [], json_encode([$request->getParsedBody(), $file->getClientFilename(),
            $file->getClientMediaType(), $file->getSize(), $text, file_get_contents($to), $none->getError()]));";
    both(code, |server| {
        let mut client = server.client();
        let body = "--b\r\nContent-Disposition: form-data; name=\"x[y]\"\r\n\r\n1\r\n\
            --b\r\nContent-Disposition: form-data; name=\"f[a][]\"; filename=\"n.txt\"\r\nContent-Type: text/plain\r\n\r\n\
            content\r\n--b\r\nContent-Disposition: form-data; name=\"none\"; filename=\"\"\r\n\r\n\r\n--b--\r\n";
        client
            .try_request("POST", "/", "Content-Type: multipart/form-data; boundary=b\r\n", body.as_bytes())
            .expect("it is taken");
        let text = client.read().text();
        if text == "skip" {
            skip("this build has no Request::files()");
        } else {
            let got: Value = serde_json::from_str(&text).expect("JSON");
            let want =
                serde_json::json!([{"x": {"y": "1"}}, "n.txt", "text/plain", 7, "content", "content", 4]);
            assert_eq!(got, want);
        }
        drop(client);
        server.stop();
    });
}

#[test]
fn a_function_makes_the_handler_and_loops_use_it_too() {
    if !have(&[INTERFACES]) {
        return;
    }
    let head = format!(
        "<?php require 'Psr/Http/Message/autoload.php'; require '{}';
         use RoadRunner\\{{Server, Worker}}; use RoadRunner\\Psr\\{{RequestHandler, Response}};
         final class Handler implements Psr\\Http\\Server\\RequestHandlerInterface {{
             function __construct(private string $app) {{}}
             function handle($request): Psr\\Http\\Message\\ResponseInterface {{
                 return new Response(200, [], $this->app . $request->getUri()->getPath());
             }}
         }}
         $server = Server::create(['http' => ['pool' => ['num_workers' => 1]]])->boot(fn () => 'app');
         $address = getenv('HTTP_ADDRESS');",
        e2e::workspace().join("e2e/php/psr/server-handler.php").display()
    );
    let ways = [
        "$server->psr($address, fn ($app) => new Handler($app))->run();",
        "$server->psr($address, new Handler('app'))->run();",
        "$server->psr($address, fn ($app) => new RequestHandler(
             fn ($request) => new Response(200, [], $app . $request->getUri()->getPath())))->run();",
        "$server->http($address, new Handler('app'))->run();",
        "$server->httpLoop($address, function (Worker $worker, $app) {
             $handler = new RequestHandler(new Handler($app));
             while ($request = $worker->receive()) $worker->respond($handler($request));
         })->run();",
        "$server->http($address, new RequestHandler(fn ($request) => (new Handler('app'))->handle($request)))->run();",
    ];
    for way in ways {
        let server = Options::source(&format!("{head}{way}")).start();
        for _ in 0..2 {
            assert_eq!(server.text("/path"), "app/path", "{way}");
        }
        server.stop();
    }
}

#[test]
fn slim_runs_with_its_own_messages() {
    if !have(&["Slim/App.php", "Psr/Http/Message/autoload.php"]) {
        return;
    }
    let source = "<?php
        require 'Psr/Http/Message/autoload.php';
        require 'Slim/autoload.php';
        use RoadRunner\\Psr\\RequestHandler;
        use Slim\\Http\\{Headers, Request, Response, Uri};
        RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])->boot(function () {
            $app = new Slim\\App();
            $app->get('/hello/{name}', fn ($request, $response, $args) => $response->write('Hello ' . $args['name']));
            $app->post('/form', fn ($request, $response) => $response->withJson($request->getParsedBody()));
            return $app;
        })->http(getenv('HTTP_ADDRESS'), function (RoadRunner\\Request $native, Slim\\App $app) {
            static $handler;
            $handler ??= new RequestHandler(function ($request) use ($app) {
                $own = new Request($request->getMethod(), Uri::createFromString((string) $request->getUri()),
                    new Headers($request->getHeaders()), $request->getCookieParams(), $request->getServerParams(),
                    $request->getBody(), $request->getUploadedFiles());
                return $app->process($own, new Response());
            });
            return $handler($native);
        })->run();";
    let server = Options::source(source).start();
    assert_eq!(server.text("/hello/World"), "Hello World");
    assert_eq!(server.get("/nope").status, 404);
    let mut client = server.client();
    client
        .try_request("POST", "/form", "Content-Type: application/x-www-form-urlencoded\r\n", b"a=1&b[]=2")
        .expect("it is taken");
    assert_eq!(client.read().text(), r#"{"a":"1","b":["2"]}"#);
    drop(client);
    server.stop();
}

/// The app of the benchmarks, with our requests and with Slim's own behind php-fpm.
#[test]
fn slim_answers_as_behind_php_fpm() {
    if !have(&["Slim/App.php", "Psr/Http/Message/autoload.php"]) {
        return;
    }
    let folder = e2e::workspace().join("benches/apps/slim");
    let server = Options::path(folder.join("server.php")).env("NUM_WORKERS", "1").start();
    let fpm = Fpm::start(&folder, &["expose_php=0"]);
    let (mut here, mut there) = (Browser::new(server.addr()), Browser::new(fpm.addr()));
    // Its pages for errors link to a URI without a path, which its own class and ours write in different ways.
    let json = "Accept: application/json\r\n";
    for (status, method, target, headers) in [
        (200, "GET", "/", ""),
        (200, "GET", "/list/all?below=50", "User-Agent: me\r\n"),
        (200, "GET", "/list/%3Cb%3E%20%C3%BC?below=3.5&x[]=1", ""),
        (200, "HEAD", "/list/all", ""),
        (200, "GET", "/things/3/7", ""),
        (404, "GET", "/things/3/x", json),
        (404, "GET", "/nope?x=1", json),
        (404, "POST", "/nope", json),
        (405, "POST", "/", json),
        (405, "DELETE", "/list/all", json),
    ] {
        let (ours, theirs) =
            (here.send(method, target, headers, b""), there.send(method, target, headers, b""));
        let found = differences(&ours, &theirs, &Rules::default());
        assert!(found.is_empty() && ours.status == status, "{method} {target}: {}\n{found}", ours.status);
    }
    fpm.stop();
    server.stop();
}

#[test]
fn a_closure_prints_the_body() {
    let server = Options::handler(
        "switch ($request->path()) {
             case '/short': return new Response(function () { echo 'short'; });
             case '/long': return new Response(function () { for ($at = 0; $at < 30000; $at++) echo \"line $at\\n\"; });
             case '/buffered': return new Response(function () {
                 ob_start(fn ($text) => strtoupper($text)); echo 'abc'; ob_start(); echo 'def';
             });
             case '/throw': return new Response(function () { ob_start(); echo 'lost'; throw new Exception('boo'); });
             case '/exit': return new Response(function () { ob_start(); echo 'kept'; exit; });
             case '/endless': return new Response(function () {
                 register_shutdown_function(fn () => error_log('has ended'));
                 while (true) { echo 'x'; flush(); usleep(1000); }
             });
         }",
    )
    .expect_errors()
    .start();
    let mut client = server.client();
    let response = client.get("/short");
    assert_eq!((response.text().as_str(), response.header("content-length")), ("short", Some("5")));
    let want: String = (0..30000).map(|at| format!("line {at}\n")).collect();
    assert!(client.get("/long").text() == want);
    assert_eq!(client.get("/buffered").text(), "ABCDEF");
    assert_eq!(client.get("/throw").status, 500);
    assert_eq!(client.get("/exit").text(), "kept");
    drop(client);
    let mut client = server.client();
    client.send("GET /endless HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.read_head().expect("a head").status, 200);
    drop(client);
    server.logs.expect("has ended");
    assert_eq!(server.text("/short"), "short");
    server.stop();
}

#[test]
fn psr_6_and_psr_16_pass_the_integration_tests_of_php_cache() {
    let packages = ["Cache/IntegrationTests", "Psr/SimpleCache", "Symfony/Component/Cache"];
    if !have(&packages.map(|at| format!("{at}/autoload.php")).each_ref().map(String::as_str)) {
        return;
    }
    let suites = ["SimpleCache", "CacheItemPool", "SymfonyAdapter"];
    let run = e2e::workspace().join("e2e/php/cache/run.php");
    // In workers, where storages are; each suite has one of its own, as they clear it, and a process of its own.
    let mut options = Options::handler(&format!(
        "return new Response((require {:?})(ltrim($request->path(), '/')));",
        run.display().to_string()
    ))
    .workers(suites.len())
    // Symfony looks at keys in an assert().
    .ini("zend.assertions=1");
    for suite in suites {
        options = options.set(&format!("kv.{suite}.driver"), "'memory'");
    }
    let server = options.start();
    let address = server.addr().to_owned();
    let threads = suites.map(|suite| {
        let address = address.clone();
        std::thread::spawn(move || (suite, e2e::Client::connect(&address).get(&format!("/{suite}")).text()))
    });
    for thread in threads {
        let (suite, text) = thread.join().expect("a client");
        assert!(text.starts_with("0\n") && text.contains("OK"), "{suite}: {text}");
    }
    server.stop();
}
