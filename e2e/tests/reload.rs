//! A new release goes live without a lost request, or not at all.

use e2e::{Load, Options, Server, eventually};
use std::fs;
use std::os::unix::fs::symlink;

const APP: &str = "if ($request->path() == '/wait') {
        file_put_contents(__DIR__ . '/busy', '1');
        while (!file_exists(__DIR__ . '/go')) usleep(1000);
        return new Response('old ' . $app);
    }
    if ($request->path() == '/reload') { Server::reload(); return new Response('ordered'); }
    if ($request->path() == '/workers') return new Response(Server::workers());
    return new Response($app);";

fn release(name: &str) -> String {
    format!("<?php return '{name}';")
}

fn app() -> Options {
    Options::handler(APP)
        .chain("->boot(fn () => require __DIR__ . '/release.php')")
        .file("release.php", &release("one"))
}

fn write(server: &Server, name: &str) {
    fs::write(server.file("release.php"), release(name)).expect("the release");
}

#[test]
fn signals_and_a_call_reload_the_code() {
    let server = app().workers(2).start();
    assert_eq!(server.text("/"), "one");
    write(&server, "two");
    assert_eq!(server.text("/"), "one", "nothing changes by itself");
    server.signal(1);
    server.logs.expect_times("reloaded", 1);
    assert_eq!(server.text("/"), "two");
    write(&server, "three");
    server.signal(12);
    server.logs.expect_times("reloaded", 2);
    assert_eq!(server.text("/"), "three");
    write(&server, "four");
    assert_eq!(server.text("/reload"), "ordered");
    server.logs.expect_times("reloaded", 3);
    assert_eq!(server.text("/"), "four");
    eventually("the old zygotes and workers leave", || server.processes().len() == 3);
    let workers: serde_json::Value = serde_json::from_str(&server.text("/workers")).expect("json");
    let generations: Vec<_> =
        workers.as_array().into_iter().flatten().map(|one| one["generation"].clone()).collect();
    assert_eq!(generations, [4, 4]);
    server.stop();
}

#[test]
fn thirty_reloads_under_load_lose_no_request() {
    let _one = e2e::heavy();
    let server = app().workers(2).start();
    let load = Load::start(server.addr(), "/", 8);
    for number in 1..=30 {
        write(&server, &format!("r{number}"));
        server.signal(1);
        server.logs.expect_times("reloaded", number);
        load.advance(10);
    }
    let tally = load.finish();
    assert_eq!(tally.failed(), 0, "{:?} {:?}", tally.statuses, tally.errors);
    assert!(tally.bodies.contains_key("r30") && tally.bodies.len() > 20, "{:?}", tally.bodies);
    eventually("only the last generation is left", || server.processes().len() == 3);
    server.stop();
}

#[test]
fn reloads_that_come_together_are_one_after_another() {
    let server = app().start();
    write(&server, "last");
    for _ in 0..20 {
        server.signal(1);
    }
    eventually("the last code is served", || server.text("/") == "last");
    eventually("no reload is under way", || server.processes().len() == 2);
    assert_eq!(server.logs.count("the reload failed"), 0);
    server.stop();
}

#[test]
fn a_release_that_does_not_boot_changes_nothing() {
    let server = app().workers(2).expect_errors().start();
    let before = server.processes();
    let broken = [
        ("<?php throw new Exception('bad release');", "bad release"),
        ("<?php return ];", "Parse error"),
        ("<?php exit(0);", "exit()"),
        ("<?php posix_kill(getmypid(), 9);", "the reload failed"),
    ];
    for (number, (code, want)) in broken.into_iter().enumerate() {
        fs::write(server.file("release.php"), code).expect("the release");
        server.signal(1);
        server.logs.expect_times("the reload failed", number + 1);
        assert!(server.logs.count(want) > 0, "{want}:\n{}", server.logs.text());
        assert_eq!(server.text("/"), "one");
    }
    eventually("nothing of them is left", || server.processes().len() == before.len());
    assert_eq!(server.processes(), before, "the old generation is untouched");
    write(&server, "good");
    server.signal(1);
    server.logs.expect_times("reloaded", 1);
    assert_eq!(server.text("/"), "good");
    server.stop();
}

#[test]
fn a_release_whose_workers_do_not_start_changes_nothing() {
    let server = app()
        .chain("->onWorkerStart(function () { if (file_exists(__DIR__ . '/broken')) throw new Exception('no start'); })")
        .expect_errors()
        .start();
    fs::write(server.file("broken"), "").expect("a file");
    write(&server, "two");
    server.signal(1);
    server.logs.expect("the reload failed");
    server.logs.expect("no start");
    assert_eq!(server.text("/"), "one");
    fs::remove_file(server.file("broken")).expect("removed");
    server.signal(1);
    server.logs.expect("reloaded");
    assert_eq!(server.text("/"), "two");
    eventually("one generation is left", || server.processes().len() == 2);
    server.stop();
}

#[test]
fn a_script_that_fails_above_run_changes_nothing() {
    let server = app()
        .above("if (file_exists(__DIR__ . '/broken')) throw new Exception('above run');")
        .expect_errors()
        .start();
    fs::write(server.file("broken"), "").expect("a file");
    server.signal(1);
    server.logs.expect("the reload failed");
    assert!(server.logs.count("above run") > 0, "{}", server.logs.text());
    assert_eq!(server.text("/"), "one");
    server.stop();
}

#[test]
fn settings_that_are_wrong_change_nothing_and_new_ones_count() {
    let server = Options::handler(APP)
        .chain("->boot(fn () => 'x')")
        .above("$workers = (int) file_get_contents(__DIR__ . '/workers');")
        .file("workers", "1")
        .set("http.pool.num_workers", "$workers")
        .expect_errors()
        .start();
    assert_eq!(server.processes().len(), 2);
    fs::write(server.file("workers"), "3").expect("a file");
    server.signal(1);
    server.logs.expect_times("reloaded", 1);
    eventually("three workers", || server.processes().len() == 4);
    fs::write(server.file("workers"), "-5").expect("a file");
    server.signal(1);
    server.logs.expect("the reload failed");
    assert!(server.logs.text().contains("num_workers"), "{}", server.logs.text());
    assert_eq!(server.text("/"), "x");
    fs::write(server.file("workers"), "1").expect("a file");
    server.signal(1);
    server.logs.expect_times("reloaded", 2);
    eventually("one worker", || server.processes().len() == 2);
    server.stop();
}

#[test]
fn a_request_that_runs_survives_a_reload() {
    let server = app().workers(2).start();
    let mut slow = server.client();
    slow.try_request("GET", "/wait", "", b"").expect("sent");
    eventually("the worker is busy", || !server.read("busy").is_empty());
    write(&server, "two");
    server.signal(1);
    eventually("new code is served", || server.text("/") == "two");
    fs::write(server.file("go"), "").expect("a file");
    assert_eq!(slow.read().text(), "old one");
    server.logs.expect("reloaded");
    assert_eq!(slow.get("/").text(), "two", "the connection goes on");
    drop(slow);
    server.stop();
}

#[test]
fn pool_10_reset_timeout_ends_what_runs_too_long() {
    let server = app().set("http.pool.reset_timeout", "'500ms'").expect_errors().start();
    let mut slow = server.client();
    slow.try_request("GET", "/wait", "", b"").expect("sent");
    eventually("the worker is busy", || !server.read("busy").is_empty());
    write(&server, "two");
    server.signal(1);
    assert_eq!(slow.read().status, 502);
    assert_eq!(server.text("/"), "two");
    server.logs.expect("reloaded");
    drop(slow);
    server.stop();
}

#[test]
fn a_release_symlink_is_followed_anew() {
    let root = tempfile::tempdir().expect("a directory");
    for name in ["r1", "r2"] {
        let dir = root.path().join(name);
        fs::create_dir(&dir).expect("a release");
        let script = format!(
            "<?php use RoadRunner\\{{Request, Response, Server}};
             Server::create(['http' => ['pool' => ['num_workers' => 1]]])
                 ->http(getenv('HTTP_ADDRESS'), fn () => new Response('{name} ' . basename(__DIR__)))->run();"
        );
        fs::write(dir.join("server.php"), script).expect("a script");
    }
    let current = root.path().join("current");
    let switch = |name: &str| {
        let next = root.path().join("next");
        symlink(name, &next).expect("a symlink");
        fs::rename(&next, &current).expect("switched");
    };
    switch("r1");
    // Started as `cd current && php server.php`, with PWD as a shell sets it, and as `php current/server.php`.
    for options in [
        Options::path("server.php").dir(&current),
        Options::path("current/server.php").dir(root.path()),
        Options::path(current.join("server.php")),
    ] {
        switch("r1");
        let server = options.start();
        assert_eq!(server.text("/"), "r1 r1");
        switch("r2");
        server.signal(1);
        server.logs.expect("reloaded");
        assert_eq!(server.text("/"), "r2 r2");
        // The old release can be removed: its processes are gone.
        eventually("the old generation is gone", || server.processes().len() == 2);
        switch("r1");
        server.signal(12);
        server.logs.expect_times("reloaded", 2);
        assert_eq!(server.text("/"), "r1 r1");
        server.stop();
    }
}

#[test]
fn many_reloads_leave_no_descriptors_and_no_memory() {
    let _one = e2e::heavy();
    let server = app().workers(2).start();
    for number in 1..=5 {
        server.signal(1);
        server.logs.expect_times("reloaded", number);
    }
    server.check_descriptors();
    let before = e2e::resident_memory(server.pid());
    for number in 6..=25 {
        server.signal(1);
        server.logs.expect_times("reloaded", number);
    }
    server.check_descriptors();
    let after = e2e::resident_memory(server.pid());
    assert!(after < before + 2048, "the master grew from {before} to {after} KiB");
    server.stop();
}
