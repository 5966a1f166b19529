//! Command workers that do what no worker should (rows WRK-, FR-10 to 13, POOL-05): the server goes on, and only that worker
//! goes.

use e2e::command::{ALL, PROGRAMS, Way, example, faulty, json, options, php, post};
use e2e::{Client, Options, Server, descriptors, eventually, free_port, kill, rr};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

fn pids(server: &Server) -> BTreeSet<u32> {
    let alive = server.processes().into_iter().filter(|process| process.name.starts_with("php"));
    alive.map(|process| process.pid).collect()
}

#[test]
fn what_a_worker_says_wrong_ends_it_and_nothing_else() {
    for way in PROGRAMS {
        let server = faulty(way, "").start();
        for (fault, text) in [
            ("context", "a context of"),
            ("options", "options length should be equal 1"),
            ("close", "has closed its end of the relay"),
            ("status", "no JSON of one"),
        ] {
            assert_eq!(server.get(&format!("/?do={fault}")).status, 500, "{way:?} {fault}");
            server.logs.expect(text);
            assert!(server.get("/").text().starts_with("pid "), "{way:?} {fault}");
        }
        assert_eq!(server.get("/?do=twice").text(), "one");
        server.logs.expect("nobody asked for");
        assert!(server.get("/").text().starts_with("pid "));
        server.stop();
    }
}

#[test]
fn fr_13_a_promise_of_four_gigabytes_costs_nothing_and_ends_by_exec_ttl() {
    for way in ALL {
        let server = faulty(way, "    supervisor: {exec_ttl: 300ms}").start();
        let before = e2e::private_memory(server.pid());
        let mut client = server.client();
        client.send(b"GET /?do=huge HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        // What there is of it does not make a piece, or does.
        let _ = client.read_to_end();
        assert!(e2e::private_memory(server.pid()) < before + (64 << 20), "{way:?}");
        assert_eq!(server.get("/?do=never").status, 500, "POOL-05");
        assert!(server.get("/").text().starts_with("pid "));
        server.stop();
    }
}

#[test]
fn pool_05_a_worker_that_does_not_read_its_request_is_killed() {
    for way in ALL {
        let server = faulty(way, "    supervisor: {exec_ttl: 300ms}").env("FAULT", "deaf").start();
        for length in [0, 2_000_000] {
            let (status, _) = post(&server, "/", "text/plain", &vec![b'x'; length]);
            assert_eq!(status, 500, "{way:?} {length}");
        }
        server.logs.expect("took longer than exec_ttl");
        server.stop();
    }
}

/// Seeded: the number in the failure's text is the seed.
#[test]
fn frames_that_are_damaged_end_their_own_worker_only() {
    for way in PROGRAMS {
        let server = faulty(way, "    supervisor: {exec_ttl: 500ms}").env("WORKERS", "3").start();
        let mut seen = pids(&server);
        assert_eq!(seen.len(), 3, "{way:?}");
        let mut asked = 0;
        for seed in 0..25 {
            for fault in ["random", "noise"] {
                let mut client = server.client();
                client.send(
                    format!("GET /?do={fault}&seed={seed} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                        .as_bytes(),
                );
                let _ = client.read_to_end();
                asked += 1;
                eventually("three workers", || {
                    let now = pids(&server);
                    seen.extend(&now);
                    now.len() == 3
                });
                assert!(seen.len() <= 3 + asked, "{way:?} {fault} {seed}: each has cost one worker at most");
            }
        }
        server.stop();
    }
}

#[test]
fn handshakes_that_are_damaged_end_their_own_worker_only() {
    for way in PROGRAMS {
        let server =
            faulty(way, "    allocate_timeout: 1s").env("FAULT", "damaged").env("WORKERS", "2").start();
        std::fs::write(server.file("damage"), "").expect("a file");
        let steady = *pids(&server).first().expect("a worker");
        let other = *pids(&server).last().expect("another worker");
        kill(other, 9);
        // Some handshakes are still ones, for all the damage.
        for _ in 0..60 {
            // Whoever was just killed may have had the request.
            eventually("a worker answers", || server.get("/").text().starts_with("pid "));
            pids(&server).into_iter().filter(|pid| *pid != steady).for_each(|pid| kill(pid, 9));
        }
        assert!(pids(&server).contains(&steady), "{way:?}: the worker that did nothing wrong");
        std::fs::remove_file(server.file("damage")).expect("a file");
        eventually("the workers are complete again", || pids(&server).len() == 2);
        assert!(server.get("/").text().starts_with("pid "), "{way:?}");
        server.stop();
    }
}

#[test]
fn wrk_02_a_wrong_pid_counts_where_the_process_is_known_by_it() {
    // Over pipes it is known by its pipes, as with RoadRunner; what connects to a socket says who it is.
    for way in [Way::Pipes, Way::Fork] {
        let server = faulty(way, "").env("FAULT", "wrong-pid").start();
        assert!(server.get("/").text().starts_with("pid "), "{way:?}");
        server.stop();
    }
    for way in [Way::Tcp, Way::Unix] {
        let ended = faulty(way, "    allocate_timeout: 1s").env("FAULT", "wrong-pid").finish();
        assert_eq!(ended.code, Some(1), "{way:?}");
        assert!(ended.stderr.contains("is no worker that was started"), "{way:?}: {}", ended.stderr);
    }
}

/// Ticks of a hundredth of a second that a process has run.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[test]
fn waiting_for_workers_costs_no_processor() {
    for way in [Way::Tcp, Way::Unix] {
        let server = faulty(way, "    allocate_timeout: 30s").env("FAULT", "late").start();
        // The only worker has left, and the next one does not connect.
        std::fs::write(server.file("late"), "").expect("a file");
        server.signal(1);
        eventually("another worker is there", || pids(&server).len() == 2);
        let before = ticks(server.pid());
        // SLEEP: what is measured is how little happens.
        std::thread::sleep(Duration::from_secs(1));
        let spent = ticks(server.pid()) - before;
        // A loop that asks again and again takes a hundred.
        assert!(spent < 50, "{way:?}: {spent} of 100 ticks");
        std::fs::remove_file(server.file("late")).expect("a file");
        server.logs.expect("reloaded");
        assert!(server.get("/").text().starts_with("pid "), "{way:?}");
        server.stop();
    }
}

#[test]
fn fr_11_two_letters_are_shown_too() {
    // Too few for a frame, and its worker waits.
    let ended = faulty(Way::Pipes, "    allocate_timeout: 5s").env("FAULT", "short").finish();
    assert!(ended.code == Some(1) && ended.stderr.contains("invalid message: Hi"), "{}", ended.stderr);
}

#[test]
fn fr_11_what_is_printed_to_the_relay_is_shown() {
    let server = example(Way::Pipes, "").start();
    assert_eq!(server.get("/?do=print").status, 500);
    server.logs.expect("stdout-crc, invalid message: this breaks the protocol");
    json(&server, "/");
    server.stop();
    // A fork has a relay of its own: what is no frame goes to the log, and the request has its answer.
    let server = example(Way::Fork, "").start();
    let pid = json(&server, "/?do=print")["pid"].clone();
    server.logs.expect("this breaks the protocol");
    assert_eq!(json(&server, "/")["pid"], pid);
    server.stop();
}

#[test]
fn a_worker_that_is_killed_is_replaced_and_its_request_fails() {
    for way in ALL {
        let server = faulty(way, "").start();
        let pid: u32 = server.get("/").text().trim_start_matches("pid ").parse().expect("a pid");
        let mut client = server.client();
        client.send(b"GET /?do=never HTTP/1.1\r\nHost: a\r\n\r\n");
        server.logs.expect("for ever");
        kill(pid, 9);
        assert_eq!(client.read().status, 500, "{way:?}");
        let next: u32 = server.get("/").text().trim_start_matches("pid ").parse().expect("a pid");
        assert_ne!(next, pid);
        server.stop();
    }
}

#[test]
fn wrk_04_a_worker_that_does_not_come_up_says_why() {
    for way in ALL {
        for (fault, texts) in [
            ("die", &["exit code 7", "the database is not there"][..]),
            ("print", &["Warning: something at the start"]),
            ("no-pid", &["pid should be greater than 0"]),
            ("no-hello", &["no CONTROL flag"]),
            ("nonsense", &["a control frame that says \"hello\""]),
        ] {
            let sockets = matches!(way, Way::Tcp | Way::Unix);
            // A fork takes what is no frame for the log, and ends without a word.
            let texts = if way == Way::Fork && fault == "print" { &["exit code 0"][..] } else { texts };
            let ended = faulty(way, "    allocate_timeout: 3s").env("FAULT", fault).finish();
            assert_eq!(ended.code, Some(1), "{way:?} {fault}: {}", ended.stderr);
            let texts = if sockets && fault != "die" { &["server.relay"][..] } else { texts };
            for text in texts {
                assert!(ended.stderr.contains(text), "{way:?} {fault}, {text}: {}", ended.stderr);
            }
        }
    }
}

#[test]
fn a_command_that_cannot_be_run_says_why() {
    for (command, text) in [
        ("no-such-program x", "no-such-program was not found in PATH"),
        ("./data", "is not executable"),
        ("sh -c 'exit 3'", "exit code"),
        (&format!("{} missing.php", php()), "Could not open input file: missing.php"),
        (&format!("{} -d x=1", php()), "it was not ready within allocate_timeout"),
    ] {
        let ended = options(Way::Fork, &format!("\"{command}\""), "    allocate_timeout: 3s")
            .file("data", "x")
            .finish();
        assert_eq!(ended.code, Some(1), "{command}: {}", ended.stderr);
        assert!(ended.stderr.contains(text), "{command}: {}", ended.stderr);
    }
}

#[test]
fn a_relay_that_is_taken_is_an_error_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = taken.local_addr().expect("an address").port();
    let yaml = format!(
        "version: '3'\nserver: {{command: php worker.php, relay: 'tcp://127.0.0.1:{port}'}}\nhttp: {{address: '127.0.0.1:0'}}"
    );
    let ended = Options::source("<?php RoadRunner\\Server::fromFile('.rr.yaml')->run();")
        .file(".rr.yaml", &yaml)
        .finish();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("server.relay: cannot listen on"), "{}", ended.stderr);
}

#[test]
fn wrk_03_strangers_at_the_relay_disturb_nobody() {
    let port = free_port();
    let yaml_relay = format!("tcp://127.0.0.1:{port}");
    let server = faulty(Way::Tcp, "").env("RELAY", yaml_relay.as_str());
    let server = server.start();
    let relay = server.read(".rr.yaml");
    let relay = relay.lines().find_map(|line| line.trim().strip_prefix("relay: tcp://")).expect("the relay");
    let mut strangers: Vec<Client> = (0..20).map(|_| Client::connect(relay)).collect();
    for (index, stranger) in strangers.iter_mut().enumerate() {
        stranger.send(if index % 2 == 0 { &b"GET / HTTP/1.1\r\n\r\n"[..] } else { b"\x13" });
    }
    let pid: u32 = server.get("/").text().trim_start_matches("pid ").parse().expect("a pid");
    kill(pid, 9);
    eventually("another worker connects", || server.get("/").text() != format!("pid {pid}"));
    drop(strangers);
    server.stop();
}

/// HTTP-16.
#[test]
fn a_client_that_leaves_its_upload_does_not_disturb_the_worker() {
    let script = rr::worker();
    let script = script.replace(
        "        $payload = $length > 0",
        "        if ($length > 1_000_000) {
            fwrite(STDERR, \"it begins\\n\");
            // A pipe with a name: until somebody writes there.
            fclose(fopen('go', 'r'));
        }
        $payload = $length > 0",
    );
    for way in ALL {
        let command = format!("['{}', 'worker.php']", php());
        let server = options(way, &command, "").file("worker.php", &script).start();
        let made = std::process::Command::new("mkfifo").arg(server.file("go")).status();
        assert!(made.expect("runs").success());
        let pid = json(&server, "/")["pid"].clone();
        let mut client = server.client();
        let body = vec![b'x'; 3_000_000];
        client.send([b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n", &body[..]].concat());
        server.logs.expect("it begins");
        let open = descriptors(server.pid());
        drop(client);
        eventually("the server knows", || descriptors(server.pid()) < open);
        std::fs::write(server.file("go"), "").expect("a pipe");
        assert_eq!(json(&server, "/")["pid"], pid, "{way:?}");
        assert_eq!(server.logs.count("gone away"), 0, "{way:?}");
        server.stop();
    }
}
