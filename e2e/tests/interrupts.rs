//! A script learns that its client has gone away, or that its time is over, wherever it is.

use e2e::{Options, Server, eventually};
use std::time::{Duration, Instant};

const MODES: [&str; 3] = ["globals", "classic", "snapshot"];

fn files(mode: &str, settings: &str, index: &str) -> Options {
    let source = format!(
        "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1] {settings}]])
             ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')->run();"
    );
    let options = Options::source(&source).file("public/index.php", index);
    if mode == "snapshot" { options.descriptors_may_grow() } else { options }
}

fn begin(server: &Server, target: &str) -> e2e::Client {
    let mut client = server.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

/// A disconnect is seen within 100 ms; the bound here leaves room for a busy machine.
#[test]
fn a_script_that_sleeps_wakes_when_its_client_goes_away() {
    let index = "<?php if (isset($_GET['next'])) { echo 'next'; return; }
        file_put_contents(__DIR__ . '/../begun', 'yes');
        sleep(30);
        file_put_contents(__DIR__ . '/../woken', connection_aborted() . ' ' . connection_status());
        echo 'to nobody'; flush();
        file_put_contents(__DIR__ . '/../past', 'the script went on');";
    for mode in MODES {
        let server = files(mode, "", index).start();
        let client = begin(&server, "/");
        eventually("the script runs", || server.read("begun") == "yes");
        let gone = Instant::now();
        drop(client);
        eventually("the script is woken", || server.read("woken") == "1 1");
        assert!(gone.elapsed() < Duration::from_secs(5), "{mode}: {:?}", gone.elapsed());
        assert_eq!(server.text("/?next=1"), "next", "{mode}");
        assert_eq!(server.read("past"), "", "{mode}: its output ends the script");
        server.stop();
    }
    let server = Options::handler(
        "if ($request->path() === '/next') { return 'next'; }
         file_put_contents(__DIR__ . '/begun', 'yes'); sleep(30);
         file_put_contents(__DIR__ . '/woken', $request->isCancelled() ? 'yes' : 'no'); return 'to nobody';",
    )
    .start();
    let client = begin(&server, "/");
    eventually("the handler runs", || server.read("begun") == "yes");
    drop(client);
    eventually("the handler is woken", || server.read("woken") == "yes");
    assert_eq!(server.text("/next"), "next");
    server.stop();
}

#[test]
fn exec_ttl_ends_the_script_in_order_and_the_worker_lives() {
    let body = "try { if (isset($_GET['sleep']) || $sleep) { sleep(30); } while (true); } finally { file_put_contents($file, 'finally'); }";
    for mode in ["globals", "classic"] {
        let index = format!(
            "<?php if (isset($_GET['pid'])) {{ echo getmypid(); return; }} $sleep = false; $file = __DIR__ . '/../end'; {body}"
        );
        let settings = ", 'pool' => ['num_workers' => 1, 'supervisor' => ['exec_ttl' => '200ms', 'exec_grace' => '20s']]";
        let server = files(mode, settings, &index).expect_errors().start();
        let pid = server.text("/?pid=1");
        for target in ["/", "/?sleep=1"] {
            let _ = std::fs::remove_file(server.file("end"));
            assert_eq!(server.get(target).status, 504, "{mode} {target}");
            assert_eq!(server.read("end"), "finally", "{mode} {target}");
        }
        assert_eq!(server.text("/?pid=1"), pid, "{mode}: the worker lives");
        server.stop();
    }
    let server = Options::handler(&format!(
        "if ($request->path() === '/pid') {{ return (string) getmypid(); }} $sleep = $request->path() === '/sleep'; $file = __DIR__ . '/end'; {body}"
    ))
    .set("http.pool.supervisor.exec_ttl", "'200ms'")
    .set("http.pool.supervisor.exec_grace", "'20s'")
    .expect_errors()
    .start();
    let pid = server.text("/pid");
    for target in ["/", "/sleep"] {
        let _ = std::fs::remove_file(server.file("end"));
        assert_eq!(server.get(target).status, 504, "{target}");
        assert_eq!(server.read("end"), "finally", "{target}");
    }
    assert_eq!(server.text("/pid"), pid);
    server.stop();
}

#[test]
fn a_script_that_goes_on_is_ended_with_its_worker() {
    let server = Options::handler(
        "if ($request->path() === '/pid') { return (string) getmypid(); }
         try { while (true); } catch (RoadRunner\\TimeoutError $error) { while (true); }",
    )
    .set("http.pool.supervisor.exec_ttl", "'200ms'")
    .set("http.pool.supervisor.exec_grace", "'200ms'")
    .expect_errors()
    .start();
    let pid = server.text("/pid");
    assert_eq!(server.get("/").status, 504);
    assert_ne!(server.text("/pid"), pid);
    server.stop();
}

#[test]
fn a_timeout_can_be_caught_and_answered() {
    let server = Options::handler(
        "try { while (true); } catch (RoadRunner\\TimeoutError $error) { return new Response($error->getMessage(), 503); }",
    )
    .set("http.pool.supervisor.exec_ttl", "'200ms'")
    .start();
    for _ in 0..2 {
        let answer = server.get("/");
        assert_eq!(
            (answer.status, answer.text()),
            (503, "the request has run for longer than exec_ttl".to_owned())
        );
    }
    server.stop();
}

#[test]
fn max_execution_time_ends_a_living_workers_script_in_order() {
    let index = "<?php if (isset($_GET['pid'])) { echo getmypid(); return; }
        try { while (true); } finally { file_put_contents(__DIR__ . '/../end', 'finally'); }";
    let server = files("globals", "", index).ini("max_execution_time=1").expect_errors().start();
    let pid = server.text("/?pid=1");
    for _ in 0..2 {
        let _ = std::fs::remove_file(server.file("end"));
        assert_eq!(server.get("/").status, 500);
        assert_eq!(server.read("end"), "finally");
    }
    assert_eq!(server.text("/?pid=1"), pid);
    assert!(server.logs.text().contains("Maximum execution time of 1 second exceeded"));
    server.stop();
}
