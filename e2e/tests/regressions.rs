//! One test per bug that was found, named by what went wrong.

use e2e::Options;
use std::time::{Duration, Instant};

#[test]
fn an_exception_in_to_string_stays_with_its_request() {
    let server = Options::handler(
        "if ($request->path() === '/ok') return new Response('fine');
         return new Response(new class { function __toString(): string { throw new Exception('in text'); } });",
    )
    .expect_errors()
    .start();
    for _ in 0..3 {
        assert_eq!(server.get("/bad").status, 500);
        let next = server.get("/ok");
        assert_eq!((next.status, next.text()), (200, "fine".to_owned()));
    }
    server.stop();
}

#[test]
fn an_exception_in_a_destructor_stays_with_its_request() {
    let server = Options::handler(
        "if ($request->path() === '/ok') return new Response('fine');
         $late = new class { function __destruct() { throw new Exception('too late'); } };
         return new Response((function () use ($late) { yield 'body'; })());",
    )
    .expect_errors()
    .start();
    for _ in 0..3 {
        // Whether it throws in time to break the stream is not the point.
        let mut client = server.client();
        client.try_request("GET", "/bad", "", b"").expect("sent");
        let _ = client.read_head().map(|_| client.skip_chunks());
        drop(client);
        let next = server.get("/ok");
        assert_eq!((next.status, next.text()), (200, "fine".to_owned()));
    }
    server.stop();
}

#[test]
fn a_slow_stream_learns_that_its_client_has_gone() {
    let server = Options::handler(
        "if ($request->path() === '/ok') return new Response('fine');
         return new Response((function () { while (true) { yield 'tick'; usleep(20000); } })());",
    )
    .start();
    let mut client = server.client();
    client.try_request("GET", "/", "", b"").expect("sent");
    assert_eq!(client.read_head().expect("a head").status, 200);
    drop(client);
    let began = Instant::now();
    assert_eq!(server.get("/ok").text(), "fine");
    assert!(began.elapsed() < Duration::from_secs(10), "the worker was held by a stream to nobody");
    server.stop();
}

#[test]
fn set_time_limit_is_for_its_request() {
    let server = Options::handler(
        "if ($request->path() === '/limit') { set_time_limit(1); return new Response('set'); }
         $until = hrtime(true) + 1_500_000_000; while (hrtime(true) < $until);
         return new Response('worked');",
    )
    .start();
    assert_eq!(server.get("/limit").text(), "set");
    assert_eq!(server.get("/work").text(), "worked");
    server.stop();
}

#[test]
fn a_fatal_error_in_a_shutdown_function_ends_the_worker() {
    let server = Options::handler(
        "if ($request->path() === '/bad')
             register_shutdown_function(fn () => eval('class Twice {} class Twice {}'));
         return new Response((string) getmypid());",
    )
    .expect_errors()
    .start();
    let broken = server.get("/bad").text();
    assert_ne!(server.get("/").text(), broken, "it does not serve on");
    server.stop();
}

#[test]
fn exit_before_the_first_piece_is_an_empty_response() {
    let server = Options::handler("return new Response((function () { exit; yield 'never'; })());").start();
    for _ in 0..3 {
        let response = server.get("/");
        assert_eq!((response.status, response.text()), (200, String::new()));
    }
    server.stop();
}

/// A server of one script in this mode.
fn web(mode: &str, index: &str) -> Options {
    let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1], 'app' => ['ini' => ['html_errors' => '0']]]])
         ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', getenv('MODE'))->run();";
    let options = Options::source(source).env("MODE", mode).file("public/index.php", index).expect_errors();
    if mode == "snapshot" { options.descriptors_may_grow() } else { options }
}

#[test]
fn errors_are_shown_where_the_settings_say_so() {
    for mode in ["classic", "globals", "snapshot"] {
        let server = web(mode, "<?php echo 'a', $nothing, 'b';").ini("display_errors=1").start();
        let text = server.text("/");
        assert!(
            text.starts_with("a\nWarning: Undefined variable $nothing") && text.ends_with('b'),
            "{mode}: {text}"
        );
        server.stop();
    }
}

#[test]
fn getenv_knows_the_request() {
    let index = "<?php echo json_encode([getenv('REQUEST_METHOD'), getenv('QUERY_STRING'), getenv('HTTP_HOST'),
        getenv('REMOTE_ADDR'), getenv('HTTP_X_LEFT'), getenv('HTTP_PROXY'), getenv('PHP_SELF'), getenv('OF_THE_SERVER'),
        getenv('REQUEST_METHOD', true)]);";
    for mode in ["classic", "globals", "snapshot"] {
        let server = web(mode, index).env("OF_THE_SERVER", "yes").start();
        let mut client = server.client();
        client.try_request("GET", "/?a=1", "X-Left: 1\r\nProxy: evil\r\n", b"").expect("sent");
        let text = client.read().text();
        assert_eq!(text, r#"["GET","a=1","test","127.0.0.1","1",false,false,"yes",false]"#, "{mode}");
        assert!(client.get("/").text().contains("\"127.0.0.1\",false,"), "{mode}: nothing is left");
        drop(client);
        server.stop();
    }
}

#[test]
fn exit_255_is_no_error() {
    for mode in ["classic", "globals", "snapshot"] {
        let server = web(mode, "<?php echo 'done'; exit(255);").start();
        let answer = server.get("/");
        assert_eq!((answer.status, answer.text()), (200, "done".to_owned()), "{mode}");
        server.stop();
    }
}

#[test]
fn the_status_of_an_error_that_a_script_has_set_stays() {
    let index = "<?php http_response_code((int) $_GET['code']); throw new Exception('thrown');";
    for mode in ["classic", "globals", "snapshot"] {
        let server = web(mode, index).start();
        for (code, status) in [(404, 404), (503, 503), (200, 500), (302, 500)] {
            assert_eq!(server.get(&format!("/?code={code}")).status, status, "{mode} {code}");
        }
        server.stop();
    }
}

#[test]
fn max_input_time_is_that_of_the_settings() {
    for mode in ["classic", "globals", "snapshot"] {
        let server = web(mode, "<?php echo ini_get('max_input_time');").ini("max_input_time=44").start();
        assert_eq!(server.text("/"), "44", "{mode}");
        server.stop();
    }
}

#[test]
fn arguments_of_the_server_are_not_those_of_a_request() {
    for mode in ["classic", "globals", "snapshot"] {
        let index = "<?php echo json_encode([$_SERVER['argv'] ?? null, $_SERVER['argc'] ?? null]);";
        let server = web(mode, index).ini("register_argc_argv=1").arg("of-the-server").start();
        assert_eq!(server.text("/?a+b"), "[[\"a\",\"b\"],2]", "{mode}");
        assert_eq!(server.text("/"), "[[],0]", "{mode}");
        server.stop();
    }
}

#[test]
fn an_upload_tells_the_session_of_its_progress() {
    let index = "<?php session_start(); echo $_SESSION['upload_progress_up']['bytes_processed'] ?? 'none';";
    let body = "--e\r\nContent-Disposition: form-data; name=\"PHP_SESSION_UPLOAD_PROGRESS\"\r\n\r\nup\r\n\
                --e\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\ncontent\r\n--e--\r\n";
    let head =
        "Cookie: PHPSESSID=0123456789abcdef0123456789\r\nContent-Type: multipart/form-data; boundary=e\r\n";
    let sessions = tempfile::TempDir::with_prefix("rr-sessions-").expect("a temporary directory");
    for mode in ["classic", "globals", "snapshot"] {
        let server = web(mode, index)
            .ini(&format!("session.save_path={}", sessions.path().display()))
            .ini("session.upload_progress.enabled=1")
            .ini("session.upload_progress.cleanup=0")
            .ini("session.use_strict_mode=0")
            .start();
        for _ in 0..2 {
            let mut client = server.client();
            client.try_request("POST", "/", head, body.as_bytes()).expect("sent");
            assert_eq!(client.read().text(), body.len().to_string(), "{mode}");
        }
        server.stop();
    }
}
