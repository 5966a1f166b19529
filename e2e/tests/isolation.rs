//! What one request must not see of another, in the modes that share a process between them, that start PHP anew, and
//! that have a process for each.

use e2e::{Options, eventually};

const MODES: [&str; 3] = ["globals", "classic", "snapshot"];

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn sessions_are_of_the_client_and_of_nobody_else() {
    for mode in MODES {
        let server = Options::example(mode).start();
        let first = server.get("/?do=session");
        let cookie =
            first.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        assert_eq!(json(&first.text())["session"]["visits"], 1, "{mode}");
        assert_eq!(json(&server.text("/"))["session"], serde_json::Value::Null, "{mode}");
        let mut client = server.client();
        client.send(format!("GET /?do=session HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
        assert_eq!(json(&client.read().text())["session"]["visits"], 2, "{mode}");
        assert_eq!(
            json(&server.text("/?do=session"))["session"]["visits"],
            1,
            "{mode}: a client without a cookie"
        );
        drop(client);
        server.stop();
    }
}

#[test]
fn nothing_of_a_request_is_there_for_the_next_one() {
    let index = "<?php
        if (isset($_GET['dirty'])) {
            ini_set('precision', '3'); ini_set('memory_limit', '64M'); setlocale(LC_ALL, 'C.UTF-8'); date_default_timezone_set('Asia/Tokyo');
            set_error_handler(fn () => true); set_error_handler(fn () => false); set_exception_handler(fn () => null);
            chdir('/'); umask(0); ob_start(); ob_start(); echo 'buffered'; header('X-Left: 1'); setcookie('left', '1');
            http_response_code(418); session_start(); $_SESSION['left'] = 1; $_GET['left'] = $_POST['left'] = 1; $left = 1;
            register_shutdown_function(function () { echo ' and shut down'; }); error_reporting(0); ignore_user_abort(true);
            trigger_error('left');
            return;
        }
        echo json_encode([ini_get('precision'), ini_get('memory_limit'), setlocale(LC_ALL, 0), date_default_timezone_get(),
            set_error_handler(null), set_exception_handler(null), getcwd(), umask(), ob_get_level(), headers_list(),
            http_response_code(), $_SESSION ?? null, session_id(), $_GET, $_POST, $_COOKIE, $_FILES, $_REQUEST, isset($left), error_reporting(),
            ignore_user_abort(), error_get_last(), headers_sent(), php_sapi_name(), PHP_SAPI, $_SERVER['HTTP_X_LEFT'] ?? null]);";
    for mode in MODES {
        let server = Options::files(mode, index).start();
        let clean = server.text("/");
        for _ in 0..3 {
            let mut client = server.client();
            client.send("GET /?dirty=1 HTTP/1.1\r\nHost: a\r\nX-Left: 1\r\nCookie: left=1\r\n\r\n");
            let dirty = client.read();
            assert_eq!((dirty.status, dirty.text()), (418, "buffered and shut down".to_owned()), "{mode}");
            assert!(dirty.header("x-left").is_some() && dirty.header("set-cookie").is_some(), "{mode}");
            assert_eq!(server.text("/"), clean, "{mode}");
        }
        assert!(clean.contains("\"fpm-fcgi\",\"fpm-fcgi\""), "{mode}: {clean}");
        server.stop();
    }
}

#[test]
fn a_living_worker_keeps_statics_and_others_do_not() {
    let index = "<?php class Counter { public static int $n = 0; } echo ++Counter::$n, ' ', getmypid();";
    let living = "<?php echo ++Counter::$n, ' ', getmypid();";
    let class = "class Counter { public static int $n = 0; }";
    let source = format!(
        "<?php {class} RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
             ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', 'globals')->run();"
    );
    let server = Options::source(&source).file("public/index.php", living).start();
    let texts: Vec<String> = (0..3).map(|_| server.text("/")).collect();
    assert!(texts[0].starts_with("1 ") && texts[2].starts_with("3 "), "{texts:?}");
    server.stop();
    let server = Options::files("classic", index).start();
    let texts: Vec<String> = (0..3).map(|_| server.text("/")).collect();
    assert!(texts.iter().all(|text| text.starts_with("1 ")), "{texts:?}");
    assert_eq!(texts[0], texts[2], "one process");
    server.stop();
    let server = Options::files("snapshot", index).start();
    let texts: Vec<String> = (0..3).map(|_| server.text("/")).collect();
    assert!(texts.iter().all(|text| text.starts_with("1 ")), "{texts:?}");
    assert!(texts[0] != texts[1] && texts[1] != texts[2], "a process each: {texts:?}");
    server.stop();
}

/// An app that first leaves all it can, in one of the ways in which a request ends, and is asked what it finds.
const APP: &str = "<?php
    $end = $_GET['dirty'] ?? null;
    if ($end !== null) {
        foreach (['_GET', '_POST', '_COOKIE', '_FILES', '_REQUEST', '_SERVER', '_ENV'] as $name) { $GLOBALS[$name]['left'] = 'left'; }
        if (isset($_FILES['f'])) { touch($_FILES['f']['tmp_name'] . '.seen'); unlink($_FILES['f']['tmp_name'] . '.seen'); }
        session_name('OTHER'); session_start(); $_SESSION['left'] = 'left';
        ini_set('precision', '3'); ini_set('include_path', '/left'); ini_set('user_agent', 'left'); ini_set('memory_limit', '77M');
        set_time_limit(77); set_include_path('/left'); error_reporting(E_ERROR); ignore_user_abort(true);
        setlocale(LC_ALL, 'C.UTF-8'); date_default_timezone_set('Asia/Tokyo'); chdir('/'); umask(0);
        if ($end !== 'throw') { ob_implicit_flush(); set_exception_handler(fn () => print 'of another'); }
        set_error_handler(fn () => true); register_shutdown_function(fn () => print '');
        header('X-Left: 1'); setcookie('left', '1'); http_response_code(418); header_register_callback(fn () => header('X-Called: 1'));
        output_add_rewrite_var('left', '1'); ob_start(fn ($text) => $text . ' packed'); ob_start();
        @trigger_error('left'); trigger_error('left'); echo 'dirty';
        match ($end) { 'exit' => exit, 'throw' => throw new Exception('left'), 'finish' => fastcgi_finish_request(), default => null };
        return;
    }
    $seen = ['get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE, 'files' => $_FILES, 'request' => $_REQUEST, 'env' => $_ENV['left'] ?? null,
        'server' => array_diff_key($_SERVER, ['REQUEST_TIME' => 0, 'REQUEST_TIME_FLOAT' => 0, 'REMOTE_PORT' => 0]),
        'session' => [$_SESSION ?? null, session_id(), session_name(), session_status()],
        'ini' => [ini_get('precision'), ini_get('include_path'), ini_get('user_agent'), ini_get('memory_limit'), ini_get('max_execution_time'), get_include_path()],
        'errors' => [error_reporting(), error_get_last(), set_error_handler(null), set_exception_handler(null)],
        'abort' => [ignore_user_abort(), connection_status()], 'locale' => setlocale(LC_ALL, 0), 'zone' => date_default_timezone_get(),
        'place' => [getcwd(), umask()], 'output' => [ob_get_level(), ob_get_status(true)],
        'headers' => [headers_list(), http_response_code(), headers_sent()], 'input' => file_get_contents('php://input'),
        'uploads' => [is_uploaded_file($_GET['path'] ?? ''), ini_get('upload_tmp_dir')]];
    restore_error_handler(); restore_exception_handler();
    output_add_rewrite_var('own', '2'); echo json_encode($seen), '<form></form>';";

/// Ways to run it in a process that lives on, and the one that does not.
const KINDS: [(&str, &str); 4] = [
    ("file", "->files($address, __DIR__ . '/public', 'globals')"),
    ("function", "->globals($address, function () { require __DIR__ . '/public/index.php'; })"),
    ("script", "->script($address, __DIR__ . '/worker.php')"),
    ("snapshot", "->files($address, __DIR__ . '/public', 'snapshot')"),
];

fn server_of(kind: &str, call: &str, app: &str) -> Options {
    let source = format!(
        "<?php $address = getenv('HTTP_ADDRESS'); ini_set('date.timezone', 'UTC');
         RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]]){call}->run();"
    );
    let worker = "<?php while (rr_handle_request(function () { require __DIR__ . '/public/index.php'; }));";
    Options::source(&source).file("public/index.php", app).file("worker.php", worker).in_mode(kind)
}

#[test]
fn whatever_a_request_leaves_and_however_it_ends_the_next_one_finds_nothing() {
    let form = "--edge\r\nContent-Disposition: form-data; name=\"p\"\r\n\r\n1\r\n\
        --edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\ncontent\r\n--edge--\r\n";
    let head = "Cookie: c=1\r\nX-Own: 1\r\nAuthorization: Basic dTpw\r\nContent-Type: multipart/form-data; boundary=edge\r\n";
    for (kind, call) in KINDS {
        let server = server_of(kind, call, APP).expect_errors().start();
        let mut client = server.client();
        let mut clean = || {
            client.send("GET /?own=1 HTTP/1.1\r\nHost: a\r\n\r\n");
            let answer = client.read();
            assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
            for name in ["x-left", "x-called", "set-cookie"] {
                assert_eq!(answer.header(name), None, "{kind}");
            }
            let text = answer.text();
            assert!(
                text.ends_with("<form><input type=\"hidden\" name=\"own\" value=\"2\" /></form>"),
                "{kind}: {text}"
            );
            text
        };
        let first = clean();
        let found = json(first.split("<form").next().unwrap_or_default());
        assert_eq!(found["get"], json(r#"{"own": "1"}"#), "{kind}");
        assert_eq!(found["zone"], "UTC", "{kind}");
        for end in ["return", "exit", "throw", "finish", "return"] {
            let mut other = server.client();
            other.send(format!(
                "POST /?dirty={end} HTTP/1.1\r\nHost: b\r\n{head}Content-Length: {}\r\n\r\n{form}",
                form.len()
            ));
            let dirty = other.read();
            assert_eq!(dirty.status, 418, "{kind} {end}: {}", dirty.text());
            assert_eq!(dirty.header("x-called"), Some("1"), "{kind} {end}");
            assert_eq!(clean(), first, "{kind} after {end}");
        }
        drop(client);
        server.stop();
    }
}

#[test]
fn snapshots_do_not_see_each_other() {
    // What a living worker would keep.
    let app = "<?php
        if (!class_exists('Kept')) { class Kept { public static $n = 0; } function counted() { static $n = 0; return ++$n; } }
        if (isset($_GET['dirty'])) {
            Kept::$n = counted(); counted(); define('LEFT', 1); putenv('LEFT=1'); $GLOBALS['left'] = 1; App::$booted->n++;
            $GLOBALS['file'] = fopen(__FILE__, 'r'); $GLOBALS['lock'] = fopen(__DIR__ . '/lock', 'c'); flock($GLOBALS['lock'], LOCK_EX);
            stream_wrapper_register('left', 'Kept'); spl_autoload_register('strlen'); mb_internal_encoding('EUC-JP'); libxml_use_internal_errors(true);
            require_once __DIR__ . '/more.php'; mt_srand(7); gc_disable(); stream_context_set_default(['http' => ['user_agent' => 'left']]);
            register_tick_function('strlen'); pcntl_signal(SIGUSR1, SIG_IGN); pcntl_alarm(1000);
            setlocale(LC_ALL, 'C.UTF-8'); ini_set('precision', '3'); chdir('/'); umask(0); set_error_handler(fn () => true);
            date_default_timezone_set('Asia/Tokyo'); echo getmypid(); return;
        }
        $open = []; foreach (scandir('/proc/self/fd') as $n) { $open[] = preg_replace('/\\\\d+/', 'n', (string) @readlink(\"/proc/self/fd/$n\")); }
        sort($open);
        if (isset($_GET['lock'])) { echo flock(fopen(__DIR__ . '/lock', 'c'), LOCK_EX | LOCK_NB) ? 'free' : 'taken'; return; }
        echo json_encode([Kept::$n, counted(), defined('LEFT'), getenv('LEFT'), isset($left), App::$booted->n, $open,
            in_array('left', stream_get_wrappers()), spl_autoload_functions(), mb_internal_encoding(), libxml_use_internal_errors(),
            array_map('basename', get_included_files()), function_exists('more'), gc_enabled(), stream_context_get_options(stream_context_get_default()),
            pcntl_signal_get_handler(SIGUSR1), pcntl_alarm(0), setlocale(LC_ALL, 0), ini_get('precision'), getcwd(), umask(),
            set_error_handler(null), date_default_timezone_get()]);";
    let source = "<?php ini_set('date.timezone', 'UTC'); class App { public static $booted; public $n = 0; }
        RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
            ->boot(function () { App::$booted = new App(); })
            ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', 'snapshot')->run();";
    let server = Options::source(source)
        .file("public/index.php", app)
        .file("public/more.php", "<?php function more() {}")
        .file("public/lock", "")
        .in_mode("snapshot")
        .start();
    let first = server.text("/");
    assert!(first.starts_with("[0,1,false,false,false,0,["), "{first}");
    let mut processes = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let process = server.text("/?dirty=1");
        assert!(process.parse::<u32>().is_ok() && processes.insert(process.clone()), "{process}");
        assert_eq!(server.text("/"), first);
        // Its process ends behind its response.
        eventually("the lock is free", || server.text("/?lock=1") == "free");
    }
    server.stop();
}

#[test]
fn a_handler_that_exits_costs_no_worker() {
    let app = "<?php
        set_exception_handler(function ($error) {
            http_response_code(503); echo $error->getMessage(); if (isset($_GET['exit'])) { exit(1); }
            if (isset($_GET['throw'])) { throw new Exception('again'); }
        });
        if (isset($_GET['fail'])) { throw new Exception('caught ' . getmypid()); }
        echo 'caught ', getmypid();";
    for (kind, call) in &KINDS[..3] {
        let server = server_of(kind, call, app).expect_errors().start();
        let worker = server.text("/");
        for target in ["/?fail=1&exit=1", "/?fail=1", "/?fail=1&exit=2"] {
            let answer = server.get(target);
            assert_eq!((answer.status, answer.text()), (503, worker.clone()), "{kind} {target}");
            assert_eq!(server.text("/"), worker, "{kind} after {target}");
        }
        let answer = server.get("/?fail=1&throw=1");
        assert_eq!((answer.status, answer.text()), (503, worker.clone()), "{kind}");
        assert_eq!(server.get("/").status, 200, "{kind}");
        server.logs.expect_times("Uncaught Exception: again", 1);
        server.stop();
    }
}

/// php.ini's are run by the server's own script as well; those of the pool are of requests only.
#[test]
fn a_file_around_requests_may_declare_functions_once() {
    let before = "<?php require_once __DIR__ . '/functions.php'; echo around(), ' ';";
    for mode in MODES {
        let source = "<?php $app = ['ini' => ['auto_prepend_file' => __DIR__ . '/before.php', 'auto_append_file' => 'after.php',
                'include_path' => __DIR__]];
            RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1], 'app' => $app]])
                ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', getenv('MODE'))->run();";
        let server = Options::source(source)
            .env("MODE", mode)
            .file("before.php", before)
            .file("functions.php", "<?php function around() { return 'around'; }")
            .file("after.php", "<?php echo ' after';")
            .file("public/index.php", "<?php echo 'index'; if (isset($_GET['exit'])) exit;")
            .in_mode(mode)
            .start();
        for _ in 0..2 {
            assert_eq!(server.text("/"), "around index after", "{mode}");
            assert_eq!(server.text("/?exit=1"), "around index", "{mode}");
        }
        server.stop();
    }
}
