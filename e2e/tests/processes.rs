//! Any process may be killed at any time: what it did is lost, and nothing else is.

use e2e::{Load, Options, Process, Server, eventually, is_alive, is_root, kill, skip, status_field, until};
use std::collections::BTreeSet;
use std::time::Duration;

const APP: &str = "switch ($request->path()) {
    case '/pid': return new Response((string) getmypid());
    case '/spin': file_put_contents(__DIR__ . '/busy', '1'); while (true);
    case '/wait': file_put_contents(__DIR__ . '/busy', '1');
        while (!file_exists(__DIR__ . '/go')) usleep(1000);
        return new Response('waited ' . getmypid());
    case '/ignore': pcntl_signal(SIGTERM, SIG_IGN); pcntl_signal(SIGINT, SIG_IGN); return new Response('ignored');
}
return new Response('Hello');";

/// Ends a server whose master was killed; all of it must go by itself.
#[track_caller]
fn gone(server: Server, seen: &[Process]) {
    let left = until(Duration::from_secs(10), || seen.iter().all(|process| !process.lives()).then_some(()));
    assert!(
        left.is_some(),
        "still there: {:?}",
        seen.iter().filter(|process| process.lives()).collect::<Vec<_>>()
    );
    server.over();
}

#[test]
fn kill_9_of_the_master_ends_all() {
    let server = Options::handler(APP).workers(3).start();
    let seen = server.processes();
    assert_eq!(seen.len(), 4, "a zygote and three workers: {seen:?}");
    kill(server.pid(), 9);
    gone(server, &seen);
}

#[test]
fn kill_9_of_the_master_ends_a_worker_in_an_endless_loop() {
    let server = Options::handler(APP).workers(2).start();
    let mut client = server.client();
    client.try_request("GET", "/spin", "", b"").expect("sent");
    eventually("the worker spins", || !server.read("busy").is_empty());
    let seen = server.processes();
    kill(server.pid(), 9);
    gone(server, &seen);
}

#[test]
fn kill_9_of_master_and_zygote_at_once_ends_the_workers() {
    for order in [true, false] {
        let server = Options::handler(APP).workers(2).start();
        let mut client = server.client();
        client.try_request("GET", "/spin", "", b"").expect("sent");
        eventually("the worker spins", || !server.read("busy").is_empty());
        let seen = server.processes();
        let (master, zygote) = (server.pid(), server.zygotes()[0].pid);
        for pid in if order { [master, zygote] } else { [zygote, master] } {
            kill(pid, 9);
        }
        gone(server, &seen);
    }
}

#[test]
fn kill_9_of_the_zygote_costs_no_request() {
    let _one = e2e::heavy();
    let server = Options::handler(APP).workers(2).expect_errors().descriptors_may_grow().start();
    let load = Load::start(server.addr(), "/", 4);
    load.advance(50);
    for _ in 0..3 {
        let zygote = server.zygotes()[0].clone();
        zygote.signal(9);
        eventually("a new zygote", || {
            let zygotes = server.zygotes();
            zygotes.len() == 1 && zygotes[0] != zygote
        });
        load.advance(50);
        // The new one replaces workers, those of the old one included.
        let before: u32 = server.text("/pid").parse().expect("a pid");
        kill(before, 9);
        eventually("the worker is gone", || !is_alive(before));
        eventually("two workers again", || server.processes().len() == 3);
    }
    let tally = load.finish();
    assert!(tally.failed() <= 3 * 2, "{:?} {:?}", tally.statuses, tally.errors);
    server.logs.expect("the zygote died");
    server.stop();
}

#[test]
fn kill_9_of_a_worker_fails_its_request_only() {
    let server = Options::handler(APP).workers(2).expect_errors().start();
    let mut slow = server.client();
    slow.try_request("GET", "/wait", "", b"").expect("sent");
    eventually("the worker is busy", || !server.read("busy").is_empty());
    let idle = server.text("/pid");
    let victims = server.processes().into_iter().filter(|process| process.name != "rr-zygote");
    let victim = victims.into_iter().find(|process| process.pid.to_string() != idle).expect("the busy one");
    let mut other = server.client();
    assert_eq!(other.get("/").text(), "Hello");
    victim.signal(9);
    let response = slow.read();
    assert_eq!(response.status, 502);
    assert_eq!(other.get("/").text(), "Hello");
    server.logs.expect("SIGKILL");
    eventually("it is replaced", || server.processes().len() == 3);
    // The connection itself is fine.
    assert_eq!(slow.get("/").text(), "Hello");
    drop((slow, other));
    server.stop();
}

#[test]
fn a_worker_that_dies_inside_a_stream_breaks_its_connection_only() {
    let server = Options::handler(
        "if ($request->path() == '/') return new Response('Hello');
         return new Response((function () { yield 'one'; yield 'two'; posix_kill(getmypid(), SIGKILL); yield 'three'; })());",
    )
    .expect_errors()
    .start();
    let mut client = server.client();
    client.try_request("GET", "/stream", "", b"").expect("sent");
    let end = client.read_of("GET");
    assert!(end.as_ref().is_err() || end.as_ref().is_ok_and(|response| response.status == 502), "{end:?}");
    assert_eq!(server.text("/"), "Hello");
    drop(client);
    server.stop();
}

#[test]
fn a_stopped_worker_is_killed_and_what_it_had_not_begun_is_served() {
    let server =
        Options::handler(APP).set("http.pool.supervisor.exec_ttl", "'500ms'").expect_errors().start();
    let worker: u32 = server.text("/pid").parse().expect("a pid");
    kill(worker, 19);
    // It was given to the stopped worker, which has not begun with it: another one can.
    assert_ne!(server.text("/pid"), worker.to_string());
    // Its successor does not wait until the kernel is done with it.
    eventually("the stopped worker is gone", || !is_alive(worker));
    server.stop();
}

#[test]
fn kill_9_of_the_master_ends_workers_that_want_no_signals() {
    let server = Options::handler(
        "for ($signal = 1; $signal < 65; $signal++) { if (!in_array($signal, [9, 19, 32, 33])) @pcntl_signal($signal, SIG_IGN); }
         pcntl_sigprocmask(SIG_BLOCK, array_values(array_diff(range(1, 64), [9, 19, 32, 33])));
         file_put_contents(__DIR__ . '/busy', '1');
         while (true);",
    )
    .start();
    let mut client = server.client();
    client.try_request("GET", "/", "", b"").expect("sent");
    eventually("the worker spins", || !server.read("busy").is_empty());
    let seen = server.processes();
    kill(server.pid(), 9);
    gone(server, &seen);
}

#[test]
fn shared_memory_that_cannot_be_made_is_an_error() {
    let end = Options::handler(APP).shell("trap '' XFSZ; ulimit -f 8").finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("shared memory") && !end.stderr.contains("panicked"), "{}", end.stderr);
}

#[test]
fn killed_workers_under_load_fail_one_request_each() {
    let _one = e2e::heavy();
    let server = Options::handler("usleep(500); return new Response((string) getmypid());")
        .workers(4)
        .expect_errors()
        .start();
    let load = Load::start(server.addr(), "/", 8);
    let kills = 20;
    for round in 0..kills {
        load.advance(40);
        let workers: Vec<_> =
            server.processes().into_iter().filter(|process| process.name != "rr-zygote").collect();
        if let Some(worker) = workers.get(round % workers.len().max(1)) {
            worker.signal(9);
        }
    }
    load.advance(100);
    let tally = load.finish();
    assert!(tally.failed() <= kills, "{} of {:?}, {:?}", tally.failed(), tally.statuses, tally.errors);
    assert!(tally.errors.is_empty(), "a connection is never lost: {:?}", tally.errors);
    assert!(tally.statuses.keys().all(|status| matches!(status, 200 | 502)), "{:?}", tally.statuses);
    eventually("four workers again", || server.processes().len() == 5);
    server.stop();
}

#[test]
fn an_idle_worker_that_dies_is_replaced_at_once() {
    let server = Options::handler(APP).expect_errors().start();
    for _ in 0..5 {
        let before = server.text("/pid");
        kill(before.parse().expect("a pid"), 9);
        // A request may find the dying worker; it must not be lost silently.
        eventually("another worker answers", || {
            let response = server.get("/pid");
            assert!(matches!(response.status, 200 | 502), "{response:?}");
            response.status == 200 && response.text() != before
        });
    }
    server.stop();
}

#[test]
fn group_signals_do_not_end_zygote_and_workers() {
    // Ctrl+C in a terminal and a service manager's stop reach the whole group: only the master decides.
    let server = Options::handler(APP).workers(2).start();
    let seen = server.processes();
    for signal in [2, 15, 1, 3] {
        for process in &seen {
            process.signal(signal);
        }
    }
    for _ in 0..20 {
        assert_eq!(server.text("/"), "Hello");
    }
    assert_eq!(server.processes(), seen, "signals of the group end nobody but the master");
    server.stop();
}

#[test]
fn a_worker_that_ignores_signals_still_ends() {
    let server = Options::handler(APP).start();
    assert_eq!(server.text("/ignore"), "ignored");
    server.stop();
}

#[test]
fn crash_loops_back_off_and_say_why() {
    // The first start is fine, later ones are not.
    let server = Options::handler(APP)
        .chain(
            "->onWorkerStart(function () { if (file_exists(__DIR__ . '/broken')) {
                file_put_contents(__DIR__ . '/tries', '.', FILE_APPEND); throw new Exception('will not start'); } })",
        )
        .expect_errors()
        .start();
    let before = server.text("/pid");
    std::fs::write(server.file("broken"), "").expect("a file");
    kill(before.parse().expect("a pid"), 9);
    server.logs.expect("will not start");
    eventually("several tries", || server.read("tries").len() >= 3);
    assert!(server.read("tries").len() < 20, "it does not back off");
    let mut waiting = server.client();
    waiting.try_request("GET", "/", "", b"").expect("sent");
    std::fs::remove_file(server.file("broken")).expect("removed");
    assert_eq!(waiting.read().text(), "Hello", "a request that waited is served");
    drop(waiting);
    server.stop();
}

#[test]
fn server_user_drops_privileges() {
    if !is_root() {
        return skip("not root");
    }
    let ids = "return new Response(json_encode([posix_getuid(), posix_geteuid(), posix_getgid(), posix_getegid(),
        posix_getgroups(), getenv('HOME'), @posix_setuid(0), @file_get_contents('/etc/shadow') === false, $app]));";
    let passwd = std::fs::read_to_string("/etc/passwd").expect("users");
    let nobody: Vec<&str> =
        passwd.lines().find(|line| line.starts_with("nobody:")).expect("nobody").split(':').collect();
    let (uid, gid): (u32, u32) = (nobody[2].parse().expect("uid"), nobody[3].parse().expect("gid"));
    let server =
        Options::handler(ids).set("server.user", "'nobody'").chain("->boot(fn () => posix_getuid())").start();
    let want = format!("[{uid},{uid},{gid},{gid},[{gid}],{:?},false,true,{uid}]", nobody[5]);
    assert_eq!(server.text("/").replace("\\/", "/"), want);
    let zygote = server.zygotes()[0].pid;
    assert_eq!(status_field(zygote, "Uid:"), Some([uid.to_string().as_str(); 4].join("\t")));
    assert_eq!(
        status_field(server.pid(), "Uid:").as_deref(),
        Some("0\t0\t0\t0"),
        "the master stays who it is"
    );
    // And they still end with the master, whose signals they could not get by themselves.
    let seen = server.processes();
    kill(server.pid(), 9);
    gone(server, &seen);
}

#[test]
fn server_group_is_the_group_of_workers() {
    if !is_root() {
        return skip("not root");
    }
    let name = "return new Response(posix_getgrgid(posix_getegid())['name']);";
    let server =
        Options::handler(name).set("server.user", "'nobody'").set("server.group", "'daemon'").start();
    assert_eq!(server.text("/"), "daemon");
    server.stop();
    let end = Options::handler(APP).set("server.group", "'daemon'").finish();
    assert!(end.code == Some(1) && end.stderr.contains("server.group"), "{}", end.stderr);
}

#[test]
fn an_unknown_user_is_an_error() {
    if !is_root() {
        return skip("not root");
    }
    let end = Options::handler(APP).set("server.user", "'no-such-user'").finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("server.user") && end.stderr.contains("no-such-user"), "{}", end.stderr);
}

#[test]
fn only_root_can_change_users() {
    if !is_root() {
        return skip("not root");
    }
    let end = Options::handler(APP)
        .set("server.user", "'daemon'")
        .wrap(&["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("only root"), "{}", end.stderr);
}

#[test]
fn no_more_processes_is_an_error_at_the_start() {
    if !is_root() {
        return skip("not root");
    }
    // The limit counts all processes and threads of the user, so one is taken that has none.
    for limit in [1, 3, 4] {
        let end = Options::handler(APP)
            .workers(4)
            .wrap(&[
                "prlimit",
                &format!("--nproc={limit}"),
                "setpriv",
                "--reuid=54321",
                "--regid=54321",
                "--clear-groups",
            ])
            .finish();
        assert_eq!(end.code, Some(1), "{limit}: {}", end.stderr);
        let clear =
            end.stderr.contains("Resource temporarily unavailable") || end.stderr.contains("os error 11");
        assert!(clear && !end.stderr.contains("panicked"), "{limit}: {}", end.stderr);
    }
}

#[test]
fn no_more_processes_later_is_waited_out() {
    if !is_root() {
        return skip("not root");
    }
    let server = Options::handler(APP)
        .wrap(&["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups"])
        .expect_errors()
        .start();
    let before = server.text("/pid");
    let limit = |pid: u32, limit: &str| {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=54322", "--regid=54322", "--clear-groups", "prlimit", "--pid"]);
        let set = command.arg(pid.to_string()).arg(limit).status();
        assert!(set.is_ok_and(|status| status.success()));
    };
    let zygote = server.zygotes()[0].pid;
    limit(zygote, "--nproc=1:");
    kill(before.parse().expect("a pid"), 9);
    server.logs.expect("a worker could not be started");
    limit(zygote, "--nproc=1000:");
    assert_eq!(server.text("/"), "Hello", "a request waits until there is a worker again");
    server.stop();
}

#[test]
fn out_of_descriptors_at_the_start_is_an_error() {
    // Too few for anything, and too few for so many workers.
    for limit in [12, 24, 32, 40] {
        let end = Options::handler(APP).workers(16).shell(&format!("ulimit -n {limit}")).finish();
        assert_eq!(end.code, Some(1), "{limit}: {}", end.stderr);
        let texts = ["open descriptors; a server needs 32", "Too many open files", "os error 24"];
        let clear = texts.iter().any(|text| end.stderr.contains(text));
        assert!(clear && !end.stderr.contains("panicked"), "{limit}: {}", end.stderr);
    }
}

#[test]
fn out_of_descriptors_later_is_survived() {
    let server = Options::handler(APP).shell("ulimit -n 60").expect_errors().start();
    let mut first = server.client();
    assert_eq!(first.get("/").text(), "Hello");
    let more: Vec<_> = (0..80).map(|_| server.client()).collect();
    server.logs.expect("no connection can be accepted");
    assert_eq!(first.get("/").text(), "Hello", "who is connected is served");
    // A worker that dies now cannot be replaced until there is room.
    let worker: u32 = first.get("/pid").text().parse().expect("a pid");
    kill(worker, 9);
    eventually("it is gone", || !is_alive(worker));
    drop(more);
    eventually("service is back", || {
        let response = server.get("/");
        assert!(matches!(response.status, 200 | 502 | 503), "{response:?}");
        response.status == 200
    });
    drop(first);
    server.stop();
}

#[test]
fn workers_that_scribble_are_replaced() {
    let _one = e2e::heavy();
    let scribble = "if ($request->path() == '/pid') return new Response((string) getmypid());
        mt_srand((int) $request->query()['seed']);
        $maps = [];
        foreach (file('/proc/self/maps') as $line) {
            if (preg_match('/^([0-9a-f]+)-([0-9a-f]+) rw.*memfd:([^ ]*)/', $line, $m) && str_contains($m[3], 'worker')) {
                $maps[] = [hexdec($m[1]), hexdec($m[2])];
            }
        }
        if (!$maps) throw new Exception('no shared memory found');
        $memory = fopen('/proc/self/mem', 'r+b');
        stream_set_write_buffer($memory, 0);
        $much = mt_rand(0, 3);
        for ($i = 0; $i < [1, 20, 300, 3000][$much]; $i++) {
            [$from, $to] = $maps[mt_rand(0, count($maps) - 1)];
            // The first pages hold the rings' positions: hit them more often.
            $at = mt_rand(0, 1) ? mt_rand(0, min(16384, $to - $from - 64)) : mt_rand(0, $to - $from - 64);
            fseek($memory, $from + $at);
            $bytes = '';
            for ($n = mt_rand(1, 64); $n > 0; $n--) $bytes .= chr(mt_rand(0, 255));
            fwrite($memory, $bytes);
        }
        return new Response('scribbled');";
    let server = Options::handler(scribble)
        .workers(2)
        .set("http.pool.supervisor.exec_ttl", "'2s'")
        .set("http.pool.supervisor.watch_tick", "'1s'")
        .expect_errors()
        .start();
    let mut statuses = BTreeSet::new();
    let seeds = std::env::var("RR_E2E_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    for seed in 0..seeds {
        let mut client = server.client();
        client.patience(Duration::from_secs(30));
        // Garbage may well be a valid answer to HTTP's eyes; what counts is that there is an end.
        match client.try_get(&format!("/scribble?seed={seed}")) {
            Ok(response) => statuses.insert(response.status),
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "seed {seed}: no answer");
                statuses.insert(0)
            }
        };
        assert!(is_alive(server.pid()), "seed {seed} has ended the master");
        for _ in 0..2 {
            let response = server.get("/pid");
            assert!(matches!(response.status, 200 | 502 | 504), "seed {seed}: {response:?}");
        }
    }
    assert!(!server.logs.text().contains("no shared memory found"), "{}", server.logs.text());
    eventually("two workers that answer", || {
        let pids: BTreeSet<_> = (0..10).map(|_| server.get("/pid")).map(|response| response.status).collect();
        pids == BTreeSet::from([200]) && server.processes().len() == 3
    });
    eprintln!("statuses of scribblers: {statuses:?}");
    server.stop();
}
