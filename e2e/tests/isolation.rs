//! What one request must not see of another, in the modes that share a process between them, that start PHP anew, and
//! that have a process for each.

use e2e::Options;

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
