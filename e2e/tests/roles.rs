//! What runs in which process: boot, hooks, both ways to write a worker, and what fails outside of its role.

use e2e::{Options, Server, eventually};
use std::collections::BTreeSet;

const PID: &str = "if ($request->path() == '/pid') return new Response((string) getmypid());\n";

fn app(code: &str) -> Options {
    Options::handler(&format!("{PID}{code}"))
}

fn pid(server: &Server) -> String {
    server.text("/pid")
}

#[test]
fn getmypid_and_stdio_are_right_in_each_role() {
    let server = Options::handler(
        "file_put_contents('/proc/self/comm', 'e2e');
         return new Response(json_encode([getmypid(), posix_getppid(), $app, file_exists('/proc/self/fd/0'),
             readlink('/proc/self/fd/0'), fgets(STDIN), (int) explode(' ', file_get_contents('/proc/self/stat'))[0],
             getenv('RR_ASSIGNMENT'), count(glob('/proc/self/task/*'))]));",
    )
    .chain("->boot(fn () => getmypid())")
    .start();
    let text = server.text("/");
    let values: Vec<serde_json::Value> = serde_json::from_str(&text).expect("json");
    let zygotes = server.zygotes();
    assert_eq!(zygotes.len(), 1);
    assert_eq!(values[0], values[6], "getmypid() is the worker's: {text}");
    assert_eq!(values[1], zygotes[0].pid, "its parent is the zygote: {text}");
    assert_eq!(values[2], zygotes[0].pid, "boot ran in the zygote: {text}");
    assert_eq!(values[4], "/dev/null", "{text}");
    assert_eq!(values[5], false, "{text}");
    assert_eq!(values[8], 1, "one thread: {text}");
    server.stop();
}

#[test]
fn a_worker_has_none_of_the_masters_or_its_siblings_descriptors() {
    let server = Options::handler(
        "$all = []; foreach (scandir('/proc/self/fd') as $fd) $all[] = @readlink(\"/proc/self/fd/$fd\");
         return new Response(implode(\"\\n\", $all));",
    )
    .workers(4)
    .start();
    let mut client = server.client();
    let text = client.get("/").text();
    let segments = text.lines().filter(|line| line.contains("roadrunner-worker")).count();
    assert!(segments <= 1, "its own shared memory at most:\n{text}");
    assert!(!text.contains("eventpoll"), "{text}");
    let sockets = text.lines().filter(|line| line.starts_with("socket:")).count();
    assert_eq!(sockets, 0, "neither clients nor listeners nor the control socket:\n{text}");
    drop(client);
    server.stop();
}

#[test]
fn hooks_run_in_the_right_process() {
    let write = |name: &str| {
        format!(
            "fn ($app) => file_put_contents(__DIR__ . '/log', '{name} ' . getmypid() . ' ' . $app . \"\\n\", FILE_APPEND)"
        )
    };
    let server = Options::handler("return new Response((string) getmypid());")
        .chain("->boot(fn () => 'app')")
        .chain(&format!("->beforeFork({})", write("fork")))
        .chain(&format!("->onWorkerStart({})->onWorkerStart({})", write("start"), write("again")))
        .chain(&format!("->onWorkerStop({})", write("stop")))
        .start();
    let worker = server.text("/");
    let zygote = server.zygotes()[0].pid;
    let log = server.file("log");
    server.stop_then(|| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let want = format!("fork {zygote} app\nstart {worker} app\nagain {worker} app\nstop {worker} app\n");
        assert_eq!(text, want);
    });
}

#[test]
fn inherited_shutdown_functions_run_once_in_the_master() {
    let server = app("return new Response('x');")
        .above(
            "register_shutdown_function(fn () => file_put_contents(__DIR__ . '/log', getmypid() . \"\\n\", FILE_APPEND));",
        )
        .below("file_put_contents(__DIR__ . '/code', var_export($code, true));")
        .start();
    let before = pid(&server);
    e2e::kill(before.parse().expect("a pid"), 9);
    eventually("another worker", || server.get("/pid").status == 200 && pid(&server) != before);
    let (log, code) = (server.file("log"), server.file("code"));
    let master = server.pid();
    server.stop_then(|| {
        assert_eq!(std::fs::read_to_string(&log).unwrap_or_default(), format!("{master}\n"));
        assert_eq!(std::fs::read_to_string(&code).unwrap_or_default(), "0", "run() returns 0");
    });
}

const LOOP: &str = "while ($request = $worker->receive()) {
    switch ($request->path()) {
        case '/exit': exit;
        case '/throw': throw new Exception('loop words');
        case '/twice':
            $worker->respond(new Response('first'));
            try { $worker->respond(new Response('second')); }
            catch (RoadRunner\\Exception $error) { file_put_contents(__DIR__ . '/twice', get_class($error)); }
            break;
        case '/fail': $worker->fail('told words'); break;
        case '/nothing': break;
        case '/wrong': try { $worker->respond(5); } catch (RoadRunner\\Exception $e) { $worker->respond('caught'); } break;
        case '/stream': $worker->respond(new Response((function () { yield 'a'; yield 'b'; })())); break;
        default: $worker->respond(new Response($request->path() . ' ' . getmypid()));
    }
}
file_put_contents(__DIR__ . '/end', 'left the loop');";

#[test]
fn loop_mode_survives_what_php_does() {
    let server = Options::looping(LOOP).expect_errors().start();
    let mut client = server.client();
    let first = client.get("/a").text();
    let pid = first.strip_prefix("/a ").expect("the path").to_owned();
    assert_eq!(client.get("/exit").status, 200);
    assert_eq!(client.get("/throw").status, 500);
    assert_eq!(client.get("/fail").status, 500);
    assert_eq!(client.get("/nothing").status, 500);
    assert_eq!(client.get("/twice").text(), "first");
    assert_eq!(client.get("/wrong").text(), "caught");
    assert_eq!(client.get("/stream").text(), "ab");
    assert_eq!(client.get("/z").text(), format!("/z {pid}"), "the worker is the same");
    assert_eq!(server.read("twice"), "RoadRunner\\RoleException");
    server.logs.expect("loop words");
    drop(client);
    let end = server.file("end");
    server.stop_then(|| assert_eq!(std::fs::read_to_string(&end).unwrap_or_default(), "left the loop"));
}

#[test]
fn a_loop_that_ends_by_itself_is_a_worker_that_leaves() {
    let server =
        Options::looping("$r = $worker->receive(); $r && $worker->respond((string) getmypid());").start();
    let pids: BTreeSet<_> = (0..5).map(|_| server.text("/")).collect();
    assert_eq!(pids.len(), 5);
    server.stop();
}

#[test]
fn calls_outside_of_a_worker_are_role_exceptions() {
    let end = Options::source(
        "<?php
         foreach (['reload', 'stop', 'workers'] as $call) {
             try { RoadRunner\\Server::$call(); echo \"$call worked\\n\"; }
             catch (RoadRunner\\RoleException $error) { echo $call, ': ', $error->getMessage(), \"\\n\"; }
         }
         echo implode(',', class_parents('RoadRunner\\RoleException')), \"\\n\";
         $new = (new ReflectionClass('RoadRunner\\Worker'));
         try { $worker = $new->newInstanceWithoutConstructor(); $worker->receive(); echo 'received'; }
         catch (Throwable $error) { echo get_class($error), \"\\n\"; }",
    )
    .finish();
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    for call in ["reload", "stop", "workers"] {
        assert!(end.stdout.contains(&format!("{call}: this works inside a worker only")), "{}", end.stdout);
    }
    assert!(end.stdout.contains("RoadRunner\\Exception,RuntimeException,Exception"), "{}", end.stdout);
    assert!(!end.stdout.contains("received"), "{}", end.stdout);
}

#[test]
fn run_without_an_app_and_run_twice() {
    let end = Options::source(
        "<?php try { RoadRunner\\Server::create()->run(); }
         catch (RoadRunner\\ConfigException $error) { echo $error->getMessage(); }",
    )
    .finish();
    assert!(end.stdout.contains("nothing to serve"), "{} {}", end.stdout, end.stderr);
    let server = app(
        "try { (new ReflectionMethod('RoadRunner\\Server', 'run'))->invoke($GLOBALS['server']); return 'ran'; }
         catch (Throwable $error) { return get_class($error) . ': ' . $error->getMessage(); }",
    )
    .below(
        "try { $server->run(); } catch (RoadRunner\\RoleException $error) { file_put_contents(__DIR__ . '/twice', $error->getMessage()); }",
    )
    .start();
    let inside = server.text("/");
    assert!(inside.starts_with("RoadRunner\\RoleException"), "{inside}");
    let twice = server.file("twice");
    server.stop_then(|| {
        let text = std::fs::read_to_string(&twice).unwrap_or_default();
        assert!(text.contains("run() was called before"), "{text:?}");
    });
}

#[test]
fn a_boot_closure_that_fails_ends_the_start_with_the_php_error() {
    let cases = [
        ("->boot(function () { throw new DomainException('cannot boot'); })", "cannot boot"),
        ("->boot(function () { exit(0); })", "the boot closure called exit()"),
        ("->boot(function () { eval('class Two {} class Two {}'); })", "Cannot declare class Two"),
        ("->boot(function () { posix_kill(getmypid(), 9); })", "the app could not be booted"),
        ("->onWorkerStart(function () { throw new DomainException('cannot start'); })", "cannot start"),
        ("->onWorkerStart(function () { posix_kill(getmypid(), SIGSEGV); })", "SIGSEGV"),
        ("->beforeFork(function () { throw new DomainException('cannot fork'); })", "cannot fork"),
    ];
    for (chain, want) in cases {
        let end = app("return 'x';").chain(chain).finish();
        assert_eq!(end.code, Some(1), "{chain}: {}", end.stderr);
        assert!(end.stderr.contains(want), "{chain}: {}", end.stderr);
        assert!(!end.stderr.contains("panicked"), "{chain}: {}", end.stderr);
    }
}

#[test]
fn a_script_that_ends_before_run_in_the_zygote() {
    // The master comes here first, the zygote second.
    let once = "if (file_exists(__DIR__ . '/was')) { echo 'not again'; exit(0); } touch(__DIR__ . '/was');";
    let end = app("return 'x';").above(once).finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("the script ended before Server::run()"), "{}", end.stderr);
    let throws =
        "if (file_exists(__DIR__ . '/was')) { throw new Exception('second time'); } touch(__DIR__ . '/was');";
    let end = app("return 'x';").above(throws).finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("second time"), "{}", end.stderr);
}

#[test]
fn an_app_with_threads_gets_workers_of_their_own() {
    // A fork would copy one thread of several; such an app is started once per worker.
    let server = app("return new Response(getmypid() . ' ' . $app . ' ' . posix_getppid());")
        .workers(2)
        .chain(
            "->boot(function () {
                $c = FFI::cdef('int pthread_create(unsigned long *, void *, void *, void *); void *dlsym(void *, const char *);');
                $thread = $c->new('unsigned long');
                $c->pthread_create(FFI::addr($thread), null, $c->dlsym(null, 'pause'), null);
                return 'booted in ' . getmypid();
            })",
        )
        .start();
    server.logs.expect("an extension has started threads in the booted app");
    let text = server.text("/");
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[0], words[3], "it has booted the app itself: {text}");
    assert_eq!(words[4], server.pid().to_string(), "its parent is the master: {text}");
    let before = pid(&server);
    e2e::kill(before.parse().expect("a pid"), 9);
    eventually("three processes again", || server.processes().len() == 3);
    assert_eq!(server.get("/pid").status, 200);
    server.signal(1);
    server.logs.expect("reloaded");
    assert_ne!(server.text("/"), text);
    server.stop();
}
