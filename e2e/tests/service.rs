//! Services (rows SV-01…07, R-70…R-74): what runs beside the workers, and that nothing of it outlives the server.

use e2e::goridge::PROTO;
use e2e::{Goridge, Options, Process, SOON, Server, eventually, kill, until};
use serde_json::{Value, json};
use std::time::Instant;

fn options(services: &str) -> Options {
    let text = services.replace('\\', "\\\\").replace('\'', "\\'");
    let settings = format!("json_decode('{text}', true)");
    Options::handler("return 'x';")
        .set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
        .set("service", &settings)
}

fn client(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

fn named(server: &Server, name: &str) -> Vec<Process> {
    server.processes().into_iter().filter(|process| process.name == name).collect()
}

/// The process that a service has told of with `echo $$`.
fn told(server: &Server, text: &str) -> u32 {
    let line = server.logs.expect(text);
    let message = line["msg"].as_str().unwrap_or_default();
    message.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a process id")
}

fn ok() -> Result<Value, String> {
    Ok(json!({"ok": true}))
}

#[test]
fn sv_01_output_is_logged_by_line_under_the_services_name() {
    let server = options(
        r#"{"Plain": {"command": "sh -c \"echo to stdout; echo to stderr >&2; exec sleep 1000\"",
                      "env": {"word": "said"}},
            "named": {"command": "sh -c \"echo   $WORD  ; exec sleep 1000\"", "service_name_in_log": true,
                      "env": {"word": "said"}}}"#,
    )
    .start();
    for text in ["to stdout", "to stderr"] {
        let line = server.logs.expect(text);
        assert_eq!((&line["logger"], &line["level"]), (&json!("service"), &json!("info")), "{line}");
        assert_eq!((&line["service"], &line["msg"]), (&json!("plain"), &json!(text)), "{line}");
    }
    let line = server.logs.expect("said");
    assert_eq!((&line["logger"], &line["msg"]), (&json!("service.named"), &json!("said")), "{line}");
    server.stop();
}

#[test]
fn sv_02_an_end_is_said_and_followed_by_a_start_if_that_is_wanted() {
    let server = options(
        r#"{"again": {"command": "sh -c \"echo again $$; exit 3\"", "remain_after_exit": true, "restart_sec": 1},
            "once": {"command": "sh -c \"echo once\""}}"#,
    )
    .start();
    server.logs.expect_times("again ", 3);
    let end = server.logs.expect("exit code 3");
    assert_eq!((&end["service"], &end["level"]), (&json!("again"), &json!("warn")));
    assert_eq!(end["msg"], "a process has ended: exit code 3; it is started again in 1s");
    assert_eq!(server.logs.count("once"), 1);
    let mut rpc = client(&server);
    let once = rpc.json("service.Statuses", r#"{"name": "once"}"#).expect("a status");
    assert_eq!(once["status"][0]["status"]["message"], "exit code 0", "{once}");
    assert_eq!(rpc.json("service.Status", r#"{"name": "once"}"#), Err("exit code 0".to_owned()), "R-72");
    drop(rpc);
    server.stop();
}

#[test]
fn sv_03_exec_timeout_kills_and_runs_anew_after_a_restart() {
    let server = options(
        r#"{"slow": {"command": "sh -c \"trap : INT TERM; echo slow $$; while :; do sleep 1000; done\"",
                     "exec_timeout": "300ms", "remain_after_exit": true, "restart_sec": 1}}"#,
    )
    .start();
    server.logs.expect_times("exec_timeout (300ms)", 2);
    server.stop();
}

#[test]
fn sv_04_sigint_then_sigkill_and_all_at_the_same_time() {
    let server = options(
        r#"{"polite": {"command": "sh -c \"trap 'echo bye; exit 0' INT; echo up; while :; do sleep 1000 & wait; done\""},
            "deaf": {"command": "sh -c \"trap '' INT TERM; echo up; while :; do sleep 1000; done\"", "process_num": 4,
                     "timeout_stop_sec": 1}}"#,
    )
    .start();
    server.logs.expect_times("up", 5);
    let began = Instant::now();
    let logs = server.stop();
    // Four that are deaf, one second each, one after another, would be four.
    assert!(began.elapsed().as_secs_f64() < 3.5, "side by side: {:?}", began.elapsed());
    assert_eq!(logs.count("bye"), 1);
    assert_eq!(logs.count("did not stop within timeout_stop_sec (1s)"), 4);
}

#[test]
fn sv_05_a_reset_restarts_all_services() {
    let server =
        options(r#"{"a": {"command": "sleep 1000", "process_num": 2}, "b": {"command": "sleep 1000"}}"#)
            .start();
    let before = named(&server, "sleep");
    assert_eq!(before.len(), 3);
    let mut rpc = client(&server);
    assert_eq!(rpc.json("resetter.List", "true"), Ok(json!(["http", "service"])));
    assert_eq!(rpc.json("informer.List", "true"), Ok(json!(["http", "service"])));
    assert_eq!(rpc.json("resetter.Reset", "\"service\""), Ok(json!(true)));
    let after = named(&server, "sleep");
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|process| !before.contains(process)), "{before:?} {after:?}");
    let shown = rpc.json("informer.Workers", "\"service\"").expect("workers");
    let shown = shown["workers"].as_array().expect("a list");
    assert_eq!(shown.len(), 3);
    for process in shown {
        assert!(after.iter().any(|one| u64::from(one.pid) == process["pid"]), "{process}");
        assert_eq!(process["command"], "sleep 1000");
        assert!(process["memoryUsage"].as_u64().is_some_and(|bytes| bytes > 10_000), "{process}");
    }
    let refused = rpc.json("informer.AddWorker", "\"service\"").expect_err("R-13");
    assert_eq!(refused, "plugin service does not support workers management");
    drop(rpc);
    server.stop();
}

#[test]
fn sv_06_a_service_that_cannot_be_started_ends_the_start() {
    for (command, text) in [
        ("no-such-program x", "service.bad: no-such-program was not found in PATH"),
        ("./data", "chmod +x"),
        ("./garbage", "garbage cannot be run: Exec format error"),
        ("./lost", "the interpreter in its first line"),
        ("sh 'x", "without a second one"),
    ] {
        let services = format!(
            "{{\"good\": {{\"command\": \"sleep 1000\"}}, \"bad\": {{\"command\": {}}}}}",
            json!(command)
        );
        let end = options(&services)
            .file("data", "x")
            .file("garbage", "\u{1}\u{2}")
            .file("lost", "#!/nonexistent/interpreter\n")
            .above("foreach (['garbage', 'lost'] as $file) { chmod(__DIR__ . '/' . $file, 0755); }")
            .finish();
        assert_eq!(end.code, Some(1), "{}", end.stderr);
        assert!(end.stderr.contains(text), "{command}: {}", end.stderr);
    }
    let missing = options(r#"{"none": {"process_num": 2}}"#).finish();
    assert!(missing.stderr.contains("service.none.command") && missing.code != Some(0), "{}", missing.stderr);
    let user = options(r#"{"a": {"command": "sleep 1000", "user": "no-such-user"}}"#).finish();
    assert!(user.stderr.contains("service.a: user: unknown user \"no-such-user\""), "{}", user.stderr);
}

#[test]
fn sv_07_a_stop_during_the_pause_is_final() {
    let server = options(
        r#"{"pausing": {"command": "sh -c \"echo ran; exit 1\"", "remain_after_exit": true, "restart_sec": 2}}"#,
    )
    .start();
    server.logs.expect("it is started again in 2s");
    let mut rpc = client(&server);
    assert_eq!(rpc.json("service.Terminate", r#"{"name": "pausing"}"#), ok());
    assert_eq!(rpc.json("service.List", ""), Ok(json!({})));
    // One that would have come while this other one is restarted twice.
    let other = r#"{"name": "other", "command": "sh -c 'echo other; exit 1'", "process_num": 1,
                    "remain_after_exit": true, "restart_sec": 1}"#;
    assert_eq!(rpc.json("service.Create", other), ok());
    server.logs.expect_times("other", 4);
    assert_eq!(server.logs.count("ran"), 1);
    drop(rpc);
    server.stop();
}

#[test]
fn r_70_to_r_74_services_over_rpc() {
    let server = options("{}").start();
    let mut rpc = client(&server);
    let mut call = |method: &str, argument: &str| rpc.json(&format!("service.{method}"), argument);
    assert_eq!(call("List", ""), Ok(json!({})));
    let none = Err("the service with s name should have at least 1 process".to_owned());
    assert_eq!(call("Create", r#"{"name": "s", "command": "sleep 1000"}"#), none);
    let create = r#"{"name": "s", "command": "sh -c 'echo $Word; exec sleep 1000'", "process_num": 2,
                     "env": {"Word": "created"}, "service_name_in_logs": true}"#;
    assert_eq!(call("Create", create), ok());
    assert_eq!(server.logs.expect("created")["logger"], "service.s");
    assert_eq!(call("Create", create), Err("the service with s name already exists".to_owned()));
    assert_eq!(call("List", "{}"), Ok(json!({"services": ["s"]})));
    eventually("both have come to their sleep", || named(&server, "sleep").len() == 2);
    let before: Vec<u32> = named(&server, "sleep").iter().map(|process| process.pid).collect();
    let statuses = call("Statuses", r#"{"name": "s"}"#).expect("statuses");
    for status in statuses["status"].as_array().expect("a list") {
        let pid = status["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid");
        assert!(before.contains(&pid), "{status}");
        assert!(status["memory_usage"].as_u64().is_some_and(|bytes| bytes > 10_000), "{status}");
        assert_eq!(status["command"], "sh -c 'echo $Word; exec sleep 1000'");
        assert!(status.get("status").is_none(), "{status}");
    }
    assert!(call("Status", r#"{"name": "s"}"#).is_ok_and(|status| status["pid"].is_u64()));
    assert_eq!(call("Restart", r#"{"name": "s"}"#), ok());
    let after: Vec<u32> = named(&server, "sleep").iter().map(|process| process.pid).collect();
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
    for method in ["Restart", "Terminate", "Status", "Statuses"] {
        let unknown = Err("the service with t name doesn't exist".to_owned());
        assert_eq!(call(method, r#"{"name": "t"}"#), unknown, "{method}");
    }
    assert_eq!(call("Terminate", r#"{"name": "s"}"#), ok());
    assert!(named(&server, "sleep").is_empty());
    let refused = call("Create", r#"{"name": "bad", "command": "no-such-program", "process_num": 3}"#);
    assert!(refused.is_err_and(|text| text.starts_with("no-such-program was not found in PATH")));
    let many = call("Create", r#"{"name": "many", "command": "sleep 1000", "process_num": 1000000}"#);
    assert!(many.is_err_and(|text| text.contains("all services have 4096 at most")));
    assert_eq!(call("List", ""), Ok(json!({})), "what has failed leaves nothing");
    // The client's own codec.
    assert_eq!(rpc.call("service.List", PROTO, b""), Ok(Vec::new()));
    drop(rpc);
    server.stop();
}

#[test]
fn r_74_without_a_section_there_is_no_plugin() {
    let server =
        Options::handler("return 'x';").set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'").start();
    let mut rpc = client(&server);
    assert_eq!(rpc.json("service.List", ""), Err("rpc: can't find service service.List".to_owned()));
    assert!(named(&server, "rr-sentry").is_empty(), "and it costs nothing");
    drop(rpc);
    server.stop();
}

/// A shell that is deaf, with a child that is too.
const FAMILY: &str = r#"{"family": {"command":
    "sh -c \"trap '' INT TERM HUP; sh -c 'echo child $$; while :; do sleep 1000; done' & echo parent $$; wait\"",
    "timeout_stop_sec": 1}}"#;

#[test]
fn a_killed_server_leaves_nothing() {
    let server = options(FAMILY).start();
    let (parent, child) = (told(&server, "parent "), told(&server, "child "));
    assert!(e2e::is_alive(parent) && e2e::is_alive(child));
    server.signal(9);
    let gone = until(SOON, || (!e2e::is_alive(parent) && !e2e::is_alive(child)).then_some(()));
    assert!(gone.is_some(), "{parent} {child}");
    std::fs::remove_file(server.file("rpc.sock")).expect("nobody could");
    server.over();
}

#[test]
fn a_second_signal_does_not_wait_for_services() {
    let deaf = r#"{"deaf": {"command": "sh -c \"trap '' INT TERM; echo up; while :; do sleep 1000; done\"",
                            "timeout_stop_sec": 1000}}"#;
    let mut server = options(deaf).start();
    server.logs.expect("up");
    server.note_processes();
    server.signal(15);
    server.logs.expect("stopping");
    eventually("the workers are gone", || named(&server, "rr-worker").is_empty());
    server.signal(15);
    assert_eq!(server.wait().code(), Some(1), "{}", server.logs.text());
    server.over();
    // One that has the grace period for it is ended with the server.
    let mut server = options(deaf).set("endure.grace_period", "'1s'").start();
    server.logs.expect("up");
    server.note_processes();
    server.signal(15);
    assert_eq!(server.wait().code(), Some(0), "{}", server.logs.text());
    server.over();
}

#[test]
fn a_restart_goes_on_when_who_asked_for_it_is_gone() {
    let server = options(
        r#"{"slow": {"command": "sh -c \"trap '' INT; echo up $$; while :; do sleep 1000; done\"", "timeout_stop_sec": 1}}"#,
    )
    .start();
    let before = told(&server, "up ");
    let mut rpc = client(&server);
    rpc.send("service.Restart", e2e::goridge::JSON, br#"{"name": "slow"}"#);
    // The answer to another call: the first one is under way.
    rpc.send("service.List", e2e::goridge::JSON, b"");
    assert_eq!(rpc.read().method, "service.List");
    drop(rpc);
    server.logs.expect_times("up ", 2);
    assert!(!e2e::is_alive(before));
    server.stop();
}

#[test]
fn names_and_variables_that_are_none_are_refused() {
    let server = options("{}").start();
    let mut rpc = client(&server);
    let mut refused = |create: Value, text: &str| {
        let error = rpc.json("service.Create", &create.to_string()).expect_err("refused");
        assert!(error.contains(text), "{error}");
    };
    let create =
        |name: &str, env: Value| json!({"name": name, "command": "sleep 1000", "process_num": 1, "env": env});
    for name in ["", " ", "a\u{1b}[31m", &"x".repeat(257)] {
        refused(create(name, json!({})), "1 to 256 bytes, none of them a control character");
    }
    for variable in ["", "a=b"] {
        refused(create("s", json!({variable: "x"})), "is no name of a variable");
    }
    refused(create("s", json!({"a": "\0"})), "a NUL in the command or the environment");
    refused(json!({"name": "s", "command": "sleep 1", "process_num": -1}), "process_num is negative");
    refused(json!({"name": "s", "command": "sleep 1", "process_num": 1, "exec_timeout": -1}), "is negative");
    // Times beyond all clocks are taken.
    let far = json!({"name": "far", "command": "sleep 1000", "process_num": 1, "exec_timeout": i64::MAX,
                     "restart_sec": u64::MAX, "timeout_stop_sec": u64::MAX});
    assert_eq!(rpc.json("service.Create", &far.to_string()), ok());
    assert_eq!(rpc.json("service.Terminate", r#"{"name": "far"}"#), ok());
    drop(rpc);
    server.stop();
}

#[test]
fn children_of_a_service_end_with_it() {
    let server = options(FAMILY).start();
    let (parent, child) = (told(&server, "parent "), told(&server, "child "));
    kill(parent, 9);
    eventually("the child ends", || !e2e::is_alive(child));
    assert!(server.logs.expect("signal 9 (SIGKILL)")["service"] == "family");
    server.stop();
}

#[test]
fn another_sentry_takes_the_place_of_one_that_was_killed() {
    let server = options(FAMILY).start();
    let child = told(&server, "child ");
    let sentry = named(&server, "rr-sentry");
    assert_eq!(sentry.len(), 1);
    sentry[0].signal(9);
    eventually("it ends", || !sentry[0].lives());
    assert!(e2e::is_alive(child), "nothing else does");
    let mut rpc = client(&server);
    let create = r#"{"name": "next", "command": "sleep 1000", "process_num": 1}"#;
    assert_eq!(rpc.json("service.Create", create), ok());
    // It gives itself its name once it runs.
    eventually("there is another", || named(&server, "rr-sentry").len() == 1);
    server.signal(9);
    eventually("all end", || !e2e::is_alive(child));
    std::fs::remove_file(server.file("rpc.sock")).expect("nobody could");
    server.over();
}

#[test]
fn a_flood_of_output_is_bounded_and_harms_nobody() {
    let server =
        options(r#"{"flood": {"command": "yes"}, "long": {"command": "sh -c \"cat /dev/zero\""}}"#).start();
    server.logs.expect_times("it is slowed down", 2);
    let before = e2e::resident_memory(server.pid());
    for _ in 0..200 {
        assert_eq!(server.get("/").status, 200);
    }
    let grown = e2e::resident_memory(server.pid()).saturating_sub(before);
    assert!(grown < 30_000, "KiB: {grown}");
    server.stop();
}

#[test]
fn a_service_may_close_its_output_and_gets_nothing_of_the_server() {
    let server = options(
        r#"{"closed": {"command":
            "sh -c \"echo open $(ls /proc/self/fd); echo stdin $(wc -c); exec >&- 2>&- sleep 1000\""}}"#,
    )
    .start();
    // The standard streams, and the folder that `ls` reads.
    assert_eq!(server.logs.expect("open ")["msg"], "open 0 1 2 3");
    assert_eq!(server.logs.expect("stdin ")["msg"], "stdin 0");
    eventually("it goes on", || named(&server, "sleep").len() == 1);
    let mut rpc = client(&server);
    assert!(rpc.json("service.Status", r#"{"name": "closed"}"#).is_ok());
    drop(rpc);
    server.stop();
}

#[test]
fn services_have_the_user_they_are_given_and_workers_cannot_get_another() {
    if !e2e::is_root() {
        return e2e::skip("only root can start services as others");
    }
    let server = options(
        r#"{"given": {"command": "sh -c \"echo given $(id -un) $HOME; exec sleep 1000\"", "user": "nobody"},
            "own": {"command": "sh -c \"echo own $(id -un); exec sleep 1000\""}}"#,
    )
    .set("server.user", "'nobody'")
    .start();
    assert_eq!(server.logs.expect("given ")["msg"], "given nobody /nonexistent");
    assert_eq!(server.logs.expect("own ")["msg"], "own root");
    let mut rpc = client(&server);
    let create =
        r#"{"name": "s", "command": "sh -c 'echo asked $(id -un); exec sleep 1000'", "process_num": 1}"#;
    assert_eq!(rpc.json("service.Create", create), ok());
    assert_eq!(server.logs.expect("asked ")["msg"], "asked nobody");
    assert_eq!(rpc.json("service.Terminate", r#"{"name": "s"}"#), ok());
    drop(rpc);
    server.stop();
}

#[test]
fn php_has_them_as_a_class() {
    let server = Options::handler(
        "try {
             return json_encode(match ($request->path()) {
                 '/start' => Service::start('s', 'sh -c \"echo $Word; exec sleep 1000\"', processes: 2,
                                            env: ['Word' => 'hello', 'n' => 1], restart: true, named: true),
                 '/list' => Service::list(),
                 '/statuses' => Service::statuses('s'),
                 '/restart' => Service::restart('s'),
                 '/terminate' => Service::terminate('s'),
                 '/short' => [Service::start('short', 'sh -c \"exit 7\"'), Service::list()],
                 '/ended' => Service::statuses('short'),
                 '/negative' => Service::start('n', 'true', timeout: -1),
                 '/array' => Service::start('n', 'true', env: ['a' => []]),
             });
         } catch (RoadRunner\\ServiceException $e) {
             return 'failed: ' . $e->getMessage();
         }",
    )
    .above("use RoadRunner\\Service;")
    .set("service", "[]")
    .start();
    assert_eq!(server.text("/list"), "[]");
    assert_eq!(server.text("/start"), "null");
    assert_eq!(server.text("/start"), "failed: the service with s name already exists");
    assert_eq!(server.logs.expect("hello")["logger"], "service.s");
    assert_eq!(server.text("/list"), "[\"s\"]");
    let statuses = server.text("/statuses");
    let statuses: Value = serde_json::from_str(&statuses).expect("JSON");
    assert_eq!(statuses.as_array().map(Vec::len), Some(2), "{statuses}");
    assert!(statuses[0]["pid"].is_u64() && statuses[0]["error"].is_null(), "{statuses}");
    assert_eq!(server.text("/restart"), "null");
    assert_eq!(server.text("/terminate"), "null");
    assert_eq!(server.text("/statuses"), "failed: the service with s name doesn't exist");
    assert_eq!(server.text("/short"), "[null,[\"short\"]]");
    server.logs.expect("exit code 7");
    assert!(server.text("/ended").contains("\"pid\":null"));
    assert_eq!(server.text("/negative"), "failed: timeout: -1 seconds");
    assert_eq!(server.text("/array"), "failed: env: a: a text in UTF-8 is expected");
    server.stop();
    let server = Options::handler(
        "try { return RoadRunner\\Service::list(); } catch (RoadRunner\\ServiceException $e) { return $e->getMessage(); }",
    )
    .start();
    assert!(server.text("/").contains("add one, which may be empty: service: {}"));
    server.stop();
}
