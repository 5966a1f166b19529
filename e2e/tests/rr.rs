//! The command line `bin/rr` as a user calls it (rows CLI-01…11, CFG-01, CFG-03).

use e2e::rr::{Rr, Serving, php, worker, yaml};
use e2e::{Client, eventually, is_alive, kill, workspace};
use std::fs;

/// A worker that answers with what PHP says.
fn saying(code: &str) -> String {
    worker().replace("$answer = [\n", &format!("$answer = ['said' => {code},\n"))
}

fn said(serving: &Serving) -> serde_json::Value {
    let answer: serde_json::Value = serde_json::from_str(&serving.text("/")).expect("JSON");
    answer["said"].clone()
}

#[test]
fn cli_01_flags_stand_before_and_after_the_command() {
    let rr = Rr::new(&[("other.yaml", "version: '3'\nlogs: {level: warn}\n")]);
    let shown = |line: &[&str]| -> serde_json::Value { serde_json::from_str(&rr.done(line)).expect("JSON") };
    let flags =
        ["-c", "other.yaml", "-o", "a.b=1", "--override", "a.c=\"x y\"", "-s", "-d", "-e", "-f", "-p"];
    let before = shown(&[&flags[..], &["config", "show"]].concat());
    let after = shown(&[&["config", "show"], &flags[..]].concat());
    let between = shown(&["config", "--config=other.yaml", "show", "-o=a.b=1", "-oa.c=x y"]);
    assert_eq!(
        before,
        serde_json::json!({"version": "3", "logs": {"level": "warn"}, "a": {"b": "1", "c": "x y"}})
    );
    assert_eq!((&before, &before), (&after, &between));
    assert!(!rr.file(".pid").exists(), "only serve writes it");
    assert_eq!(rr.done(&["-h"]), rr.done(&["--help"]));
    assert_eq!(rr.done::<&str>(&[]), rr.done(&["help"]));
    assert!(rr.done(&["workers", "--help"]).starts_with("rr workers [-i]"));
}

#[test]
fn cli_01_what_is_wrong_with_a_command_line_is_said() {
    let rr = Rr::new(&[("other.yaml", "version: '3'\n"), ("no.yaml", "version: '3'\n  x: 1")]);
    for (line, texts) in [
        (&["serve", "--nope"][..], &["'--nope'", "rr --help"][..]),
        (&["-c"], &["-c", "missing argument"]),
        (&["sreve"], &["unknown command \"sreve\"; there are serve, stop"]),
        (&["config"], &["expected check or show"]),
        (&["serve"], &[".rr.yaml", "No such file"]),
        (&["workers", "-c", "there/is/none.yaml"], &["there/is/none.yaml", "No such file"]),
        (&["serve", "-c", "no.yaml"], &["no.yaml:2"]),
        (&["serve", "-w", "nowhere"], &["-w nowhere", "No such file"]),
        (&["serve", "-c", "other.yaml", "-o", "x"], &["invalid flag `x`"]),
        (&["serve", "-c", "other.yaml"], &["nothing to serve"]),
    ] {
        let ended = rr.run(line);
        ended.refused(texts);
        assert_eq!(ended.stdout, "", "{line:?}");
    }
}

#[test]
fn cfg_01_the_folder_is_that_of_w_or_of_the_config() {
    let rr = Rr::new(&[
        ("app/.rr.yaml", &yaml("")),
        ("app/worker.php", &saying("getcwd()")),
        ("src/worker.php", &saying("getcwd()")),
        ("beside.yaml", &yaml("")),
    ]);
    for (line, folder) in [
        (&["-c", "app/.rr.yaml", "serve", "-p"][..], "app"),
        (&["serve", "-w", "src", "-c", "../app/.rr.yaml", "-p"], "src"),
        (&["serve", "-w", "src/", "-c", rr.file("beside.yaml").to_str().expect("text"), "-p"], "src"),
        (&["serve", "-w", "app", "-p"], "app"),
    ] {
        let serving = rr.serve(line);
        assert_eq!(said(&serving), rr.file(folder).display().to_string(), "{line:?}");
        assert_eq!(rr.read(&format!("{folder}/.pid")), serving.pid().to_string(), "CLI-07");
        // The other commands go where it has gone.
        let ask: Vec<&str> = line.iter().copied().filter(|word| !["serve", "-p"].contains(word)).collect();
        let workers = rr.done(&[&["workers"], &ask[..]].concat());
        assert!(workers.starts_with("Workers of [http]:"), "{workers}");
        serving.stop();
        assert!(!rr.file(folder).join(".pid").exists());
    }
    rr.check_nothing_left();
}

#[test]
fn cfg_01_variables_of_a_file_are_set_where_none_are() {
    let mut rr = Rr::new(&[
        (".rr.yaml", &format!("{}logs: {{level: '${{LEVEL:-info}}'}}\n", yaml(""))),
        ("worker.php", &saying("[getenv('FROM_FILE'), $_SERVER['KNOWN'], getenv('QUOTED')]")),
        ("vars", "FROM_FILE=1\nKNOWN=file\nQUOTED=\"a b # c\"\nLEVEL=debug\n"),
        ("vars2", "FROM_FILE=2\n"),
    ]);
    rr.env("KNOWN", "before");
    let serving = rr.serve(&["serve", "--dotenv", "vars"]);
    assert_eq!(said(&serving), serde_json::json!(["1", "before", "a b # c"]));
    serving.stop();
    let level = |rr: &Rr, line: &[&str]| {
        let shown: serde_json::Value = serde_json::from_str(&rr.done(line)).expect("JSON");
        shown["logs"]["level"].as_str().expect("text").to_owned()
    };
    assert_eq!(level(&rr, &["config", "show"]), "info");
    assert_eq!(level(&rr, &["config", "show", "--dotenv", "vars"]), "debug");
    rr.run(&["serve", "--dotenv", "none"]).refused(&["none", "No such file"]);
    rr.env("DOTENV_PATH", "vars2");
    assert_eq!(level(&rr, &["config", "show", "--dotenv", "vars"]), "info", "DOTENV_PATH wins");
    rr.env("DOTENV_PATH", "gone");
    rr.run(&["config", "show"]).refused(&["gone", "No such file"]);
}

#[test]
fn cfg_03_envfile_counts_with_e_only() {
    let rr = Rr::new(&[
        ("app/.rr.yaml", "version: '3'\nenvfile: conf/vars\nlogs: {level: '${LEVEL:-info}'}\n"),
        ("app/conf/vars", "LEVEL=debug\n"),
        ("elsewhere/x", ""),
    ]);
    let level = |line: &[&str]| {
        let shown: serde_json::Value = serde_json::from_str(&rr.done(line)).expect("JSON");
        shown["logs"]["level"].as_str().expect("text").to_owned()
    };
    assert_eq!(level(&["config", "show", "-c", "app/.rr.yaml"]), "info");
    assert_eq!(level(&["config", "show", "-c", "app/.rr.yaml", "-e"]), "debug");
    assert_eq!(level(&["-e", "-w", "elsewhere", "-c", "../app/.rr.yaml", "config", "show"]), "debug");
    rr.write("app/.rr.yaml", "version: '3'\nenvfile: gone\n");
    rr.run(&["config", "show", "-e", "-c", "app/.rr.yaml"]).refused(&["gone", "No such file"]);
}

#[test]
fn an_empty_file_and_overrides_are_enough() {
    let rr = Rr::new(&[(".rr.yaml", ""), ("worker.php", &worker())]);
    let command = format!("server.command={},worker.php", php());
    let serving = rr.serve(&["-o", "version=3", "-o", "http.address=127.0.0.1:0", "-o", &command, "serve"]);
    assert!(serving.text("/").contains("\"mode\":\"http\""));
    serving.stop();
    rr.run(&["serve"]).refused(&["should contain a version"]);
    rr.check_nothing_left();
}

#[test]
fn cfg_14_a_server_without_the_section_http_has_no_workers() {
    let yaml = |http: &str, seconds: u32| {
        format!(
            "version: '3'\nrpc: {{listen: 'unix://rpc.sock'}}\nkv: {{cache: {{driver: memory, config: {{}}}}}}\n\
             server: {{command: 'php gone.php'}}\nservice: {{one: {{command: 'sleep {seconds}'}}}}\n{http}"
        )
    };
    let rr = Rr::new(&[(".rr.yaml", &yaml("", 3001))]);
    let serving = rr.serve(&["serve"]);
    let started = serving.stderr.expect("RoadRunner server started");
    assert_eq!(started["workers"], 0, "{started}");
    let workers = rr.done(&["workers"]);
    assert!(workers.contains("sleep 3001") && !workers.contains("[http]"), "{workers}");
    assert_eq!(rr.done(&["reset"]), "resetting plugin: [service]\nplugin reset: [service]\n");
    rr.write(".rr.yaml", &yaml("http: {address: '127.0.0.1:0'}\n", 3002));
    kill(serving.pid(), 1);
    serving.stderr.expect("http has changed; it takes effect at the next start");
    serving.stderr.expect("reloaded");
    eventually("the service is the new one", || rr.done(&["workers"]).contains("sleep 3002"));
    serving.stop();
    rr.check_nothing_left();
}

/// BRN-07, CFG-12.
#[test]
fn blanks_and_quotes_are_part_of_a_name() {
    let name = "it's a \"folder\" of $HOME; x";
    let config = "the 'config' \"file\" $(x).yaml";
    let rr = Rr::below(name, &[(config, &yaml("")), ("worker.php", &saying("getcwd()"))]);
    let serving = rr.serve(&["serve", "-p", "-c", config]);
    assert_eq!(said(&serving), rr.dir().display().to_string());
    assert!(rr.done(&["reset", "-c", config]).contains("plugin reset: [http]"));
    assert_eq!(said(&serving), rr.dir().display().to_string());
    let mut serving = serving;
    rr.done(&["stop", "-c", config]);
    assert_eq!(serving.wait(), Some(0));
    rr.check_nothing_left();
}

#[test]
fn cli_02_stdout_has_the_line_that_programs_wait_for() {
    let rr = Rr::app();
    let announced = |serving: &Serving| {
        eventually("the line", || !serving.stdout.text().is_empty());
        serving.stdout.text()
    };
    let serving = rr.serve(&["serve"]);
    let line = announced(&serving);
    let rest = line.strip_prefix("[INFO] RoadRunner server started; version: 2025.1.").expect(&line);
    assert!(rest.contains(", buildtime: ") && !line.contains('\n'), "{line}");
    let others = serving.stderr.others();
    assert!(others.is_empty(), "{others:?}");
    serving.stop();
    let mut serving = rr.serve(&["serve", "-s"]);
    rr.done(&["reset", "-s"]);
    kill(serving.pid(), 15);
    assert_eq!((serving.wait(), serving.stdout.text().as_str()), (Some(0), ""));
    drop(serving);
    let serving = rr.serve(&["serve", "-s", "-o", "logs.output=stdout"]);
    assert!(serving.stdout.others().is_empty() && serving.stderr.text().is_empty());
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_03_a_second_signal_forces_the_end() {
    for signal in [2, 15, 3] {
        let rr = Rr::new(&[
            (".rr.yaml", &yaml("")),
            ("worker.php", &worker().replace("$answer = [\n", "touch('busy'); sleep(1000); $answer = [\n")),
        ]);
        let mut serving = rr.serve(&["serve", "-p"]);
        let mut client = Client::connect(serving.address());
        client.try_request("GET", "/", "", b"").expect("sent");
        eventually("the worker is busy", || rr.file("busy").exists());
        kill(serving.pid(), signal);
        serving.stderr.expect("stopping");
        assert!(is_alive(serving.pid()), "it waits for the request");
        kill(serving.pid(), signal);
        assert_eq!(serving.wait(), Some(1), "signal {signal}");
        serving.stderr.expect("exit forced");
        assert!(!rr.file(".pid").exists());
        rr.check_nothing_left();
    }
}

#[test]
fn cli_04_what_does_not_start_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = format!("http.address={}", taken.local_addr().expect("an address"));
    let rr = Rr::app();
    let ended = rr.run(&["serve", "-p", "-o", &address]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("http.address"), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(!rr.file(".pid").exists(), "nobody is there to be stopped");
    rr.write("worker.php", "<?php exit(3);");
    let ended = rr.run(&["serve"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("exit code 3"), "{ended:?}");
    rr.check_nothing_left();
}

#[test]
fn cli_05_sigusr2_is_a_reload_without_a_gap() {
    let rr = Rr::app();
    let serving = rr.serve(&["serve"]);
    kill(serving.pid(), 12);
    serving.stderr.expect("reloaded");
    assert!(serving.text("/").contains("\"mode\":\"http\""));
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_06_the_service_manager_hears_of_the_process_that_it_has_started() {
    let mut rr = Rr::app();
    let path = rr.file("notify.sock");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(e2e::SOON)).expect("a timeout");
    rr.env("NOTIFY_SOCKET", &path);
    let mut serving = rr.serve(&["serve"]);
    let mut bytes = [0; 1000];
    let mut read = || {
        let count = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let mut text = read();
    while !text.contains("READY=1") {
        text = read();
    }
    assert!(text.contains(&format!("MAINPID={}", serving.pid())), "{text}");
    kill(serving.pid(), 15);
    while !text.contains("STOPPING=1") {
        text = read();
    }
    assert_eq!(serving.wait(), Some(0));
    fs::remove_file(path).expect("it was ours");
    rr.check_nothing_left();
}

#[test]
fn cli_08_reset_replaces_workers_and_says_what_goes_wrong() {
    let rr = Rr::app();
    let serving = rr.serve(&["serve"]);
    let pid = || serde_json::from_str::<serde_json::Value>(&serving.text("/")).expect("JSON")["pid"].clone();
    let first = pid();
    assert_eq!(rr.done(&["reset"]), "resetting plugin: [http]\nplugin reset: [http]\n");
    let second = pid();
    assert_ne!(first, second);
    assert_eq!(
        rr.done(&["reset", "http", "-s"]),
        "",
        "and nothing on stderr, which Octane takes for a failure"
    );
    let third = pid();
    assert_ne!(second, third);
    let ended = rr.run(&["reset", "nope", "http"]);
    ended.refused(&["plugin [nope] was not reset", "no such plugin"]);
    assert!(ended.stdout.ends_with("plugin reset: [http]\n"), "the others are: {}", ended.stdout);
    let fourth = pid();
    rr.write("worker.php", "<?php fwrite(STDERR, 'the new code is wrong'); exit(9);");
    for silent in [&["reset"][..], &["reset", "-s"]] {
        let ended = rr.run(silent);
        ended.refused(&["plugin [http] was not reset", "exit code 9"]);
        assert!(!ended.stdout.contains("plugin reset"), "{}", ended.stdout);
    }
    assert_eq!(pid(), fourth, "the old app serves on");
    rr.write("worker.php", &worker());
    rr.done(&["reset"]);
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_09_workers_are_a_table() {
    let rr = Rr::app();
    let serving = rr.serve(&["serve", "-o", "http.pool.num_workers=2"]);
    let answer: serde_json::Value = serde_json::from_str(&serving.text("/")).expect("JSON");
    for line in [&["workers"][..], &["workers", "http"]] {
        let table = rr.done(line);
        let mut lines = table.lines();
        assert_eq!(lines.next(), Some("Workers of [http]:"));
        let words = |line: &str| -> Vec<String> {
            line.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
        };
        let mut rows = lines.filter(|line| line.starts_with('|')).map(words);
        assert_eq!(
            rows.next().expect("a head")[..6],
            ["PID", "STATUS", "EXECS", "MEMORY", "CPU%", "CREATED"]
        );
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows.len(), 2, "{table}");
        let served = rows
            .iter()
            .find(|row| answer["pid"] == row[0].parse::<u64>().expect("a number"))
            .expect("that one");
        assert_eq!((served[1].as_str(), served[2].as_str()), ("ready", "1"), "{table}");
        let created = &served[5];
        assert!(served[3].ends_with("B") && (created == "now" || created.ends_with(" ago")), "{table}");
    }
    rr.run(&["workers", "nope"]).refused(&["nope"]);
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_10_jobs_without_the_plugin_says_so() {
    let rr = Rr::app();
    let serving = rr.serve(&["serve"]);
    for line in [&["jobs"][..], &["jobs", "--list"], &["jobs", "--pause", "a,b"], &["jobs", "--destroy=a"]] {
        rr.run(line).refused(&["there is no jobs plugin in this server"]);
    }
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_11_who_asks_finds_the_server_by_the_same_settings() {
    let rr = Rr::app();
    for line in [&["workers"][..], &["workers", "-i"], &["reset"], &["jobs"]] {
        rr.run(line).refused(&["no server answers at unix://rpc.sock", "is it running?"]);
    }
    rr.write("plain.yaml", "version: '3'\n");
    rr.run(&["workers", "-c", "plain.yaml"]).refused(&["plain.yaml has no section rpc", "add rpc.listen"]);
    // As Octane asks: an empty file, and the address on the command line.
    rr.write("empty.yaml", "");
    let serving = rr.serve(&["serve"]);
    let asked = ["-o", "rpc.listen=unix://rpc.sock", "-c", "empty.yaml"];
    assert!(rr.done(&[&["workers"], &asked[..]].concat()).contains("ready"));
    // By an include.
    rr.write("more.yaml", "version: '3'\nrpc: {listen: 'unix://rpc.sock'}\n");
    rr.write("outer.yaml", "version: '3'\ninclude: [more.yaml]\n");
    assert!(rr.done(&["workers", "-c", "outer.yaml"]).contains("ready"));
    // Somebody who speaks something else.
    let other = format!("rpc.listen=tcp://{}", serving.address());
    rr.run(&["workers", "-o", &other]).refused(&["does not answer"]);
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_13_settings_are_checked_without_a_start() {
    let rr = Rr::app();
    let good = rr.done(&["config", "check"]);
    assert!(good.ends_with(".rr.yaml: the settings are good\n") && good.lines().count() == 1, "{good}");
    rr.write("warn.yaml", &yaml("htpp: {x: 1}\n"));
    let warned = rr.done(&["config", "check", "-c", "warn.yaml"]);
    assert!(warned.contains("warning: ") && warned.contains("did you mean \"http\"?"), "{warned}");
    rr.write("wrong.yaml", "version: '3'\nhttp:\n  address: 127.0.0.1:0\n  pool:\n    num_workers: many\n");
    rr.run(&["config", "check", "-c", "wrong.yaml"]).refused(&[
        "wrong.yaml:5",
        "http.pool.num_workers",
        "many",
    ]);
    // What only a start would find, without one.
    for (text, said) in [
        (
            "server: {command: nonesuch worker.php}\nhttp: {address: ':0'}",
            "server.command: there is no program \"nonesuch\"",
        ),
        (
            "server: {command: ./worker.php}\nhttp: {address: ':0'}",
            "server.command: there is no program \"./worker.php\"",
        ),
        ("server: {command: php x, user: nonesuch}\nhttp: {address: ':0'}", "server.user: "),
        (
            "server: {command: php x}\nhttp: {address: 'nonesuch.invalid:80'}",
            "http.address: \"nonesuch.invalid:80\" is no address",
        ),
        (
            "server: {command: php x}\nhttp: {address: ':0', middleware: [static], static: {dir: nonesuch}}",
            "http.static.dir",
        ),
        (
            "server: {command: php x}\nhttp: {ssl: {key: nonesuch, cert: nonesuch}}",
            "http.ssl.cert: nonesuch: ",
        ),
        (
            "server: {command: php x, on_init: {command: nonesuch, exit_on_error: true}}\nhttp: {address: ':0'}",
            "server.on_init.command: ",
        ),
        ("http: {address: ':0', app: {root: nonesuch}}", "http.app.root: there is no folder \"nonesuch\""),
        ("kv: {a: {driver: memory}}", "there is nothing to serve"),
    ] {
        rr.write("start.yaml", &format!("version: '3'\n{text}\n"));
        rr.run(&["config", "check", "-c", "start.yaml"]).refused(&[said]);
    }
    rr.write("native.yaml", "version: '3'\nhttp: {address: ':0'}\n");
    let native = rr.done(&["config", "check", "-c", "native.yaml"]);
    assert!(native.contains("warning: server.command is missing, so rr serve has nobody"), "{native}");
    let shown: serde_json::Value = serde_json::from_str(&rr.done(&["config", "show"])).expect("JSON");
    assert_eq!(shown["http"]["pool"]["num_workers"], 1);
}

#[test]
fn a_server_that_a_worker_starts_has_its_own_settings() {
    let rr = Rr::app();
    rr.write("inner/.rr.yaml", &yaml("").replace("unix://rpc.sock", "unix://inner.sock"));
    rr.write("inner/worker.php", &saying("'inner'"));
    let inner = format!(
        "service: {{inner: {{command: '{} serve -c inner/.rr.yaml', process_num: 1}}}}\n",
        workspace().join("bin/rr").display()
    );
    rr.write(".rr.yaml", &yaml(&inner));
    let serving = rr.serve(&["serve"]);
    eventually("the inner server answers", || {
        let workers = rr.run(&["workers", "-c", "inner/.rr.yaml"]);
        workers.code == Some(0) && workers.stdout.contains("ready")
    });
    serving.stop();
    eventually("both have ended", || rr.processes().is_empty());
    rr.check_nothing_left();
}
