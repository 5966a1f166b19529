//! `RoadRunner\Lock` and RoadRunner's lock methods: the same locks (rows R-50…55, LK-01…07), and what becomes of them
//! when those who hold them or wait for them end.

use e2e::{Options, Server, eventually, kill};
use serde_json::Value;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the log says of a request that waits.
const WAITS: &str = "waits for a lock";
const KILL: i32 = 9;

/// A server whose requests take the lock `a` (or `name`) and hold it until the file `go-N` is there.
fn holders(workers: usize) -> Options {
    let body = "
        parse_str($request->queryString(), $q);
        $n = $q['n'] ?? '';
        $name = $q['name'] ?? 'a';
        switch ($request->path()) {
            case '/hold':
                file_put_contents(\"waits-$n\", getmypid());
                $lock = Lock::acquire($name, ttl: (float) ($q['ttl'] ?? 0), wait: 20, shared: isset($q['shared']));
                if (!$lock) {
                    return new Response('none');
                }
                file_put_contents('order', $n, FILE_APPEND);
                file_put_contents(\"held-$n\", getmypid());
                while (!file_exists(\"go-$n\")) {
                    usleep(1000);
                    clearstatcache();
                }
                if (isset($q['exit'])) {
                    Keep::$it = $lock;
                    exit;
                }
                if (isset($q['keep'])) {
                    Keep::$it = $lock;
                }
                return new Response((string) $lock->token());
            case '/try':
                $lock = Lock::acquire($name);
                return new Response($lock ? 'free' : 'taken');
            case '/exists':
                return new Response(Lock::exists($name) ? 'held' : 'free');
        }
        return new Response('?', 404);";
    Options::handler(body)
        .workers(workers)
        .set("logs.level", "'debug'")
        .above("use RoadRunner\\Lock;\nfinal class Keep { public static mixed $it = null; }")
}

/// Asks for it in a thread of its own, once whoever came before is there.
fn hold(server: &Server, n: &str, more: &str) -> JoinHandle<Option<String>> {
    let mut client = server.client();
    let target = format!("/hold?n={n}{more}");
    let asked = std::thread::spawn(move || {
        let response = client.try_get(&target).ok()?;
        Some(format!("{} {}", response.status, response.text()))
    });
    eventually("the request is with a worker", || !server.read(&format!("waits-{n}")).is_empty());
    asked
}

/// The worker that holds it for `n`.
fn holder(server: &Server, n: &str) -> u32 {
    let file = format!("held-{n}");
    eventually("it is held", || !server.read(&file).is_empty());
    server.read(&file).parse().expect("a number")
}

fn go(server: &Server, n: &str) {
    std::fs::write(server.file(&format!("go-{n}")), "").expect("a file");
}

fn result(asked: JoinHandle<Option<String>>) -> String {
    asked.join().expect("no panic").expect("an answer")
}

#[test]
fn all_there_is() {
    let body = "
        $lock = Lock::acquire('a', ttl: 10);
        $out[] = [$lock->name(), $lock->isHeld(), $lock->remaining() > 9.0, $lock->remaining() <= 10.0];
        $out[] = [Lock::acquire('a'), Lock::acquire('a', wait: 0.01), Lock::exists('a'), Lock::exists('b')];
        $out[] = [$lock->refresh(20), $lock->remaining() > 19.0, $lock->release(), $lock->release(), $lock->isHeld()];
        $out[] = [$lock->refresh(), $lock->remaining(), Lock::exists('a')];
        $next = Lock::acquire('a');
        $out[] = [$next->token() > $lock->token(), Lock::forceRelease('a'), Lock::forceRelease('a'), $next->isHeld()];
        $out[] = [$next->release(), $next->refresh()];
        $one = Lock::acquire('s', shared: true);
        $two = Lock::acquire('s', shared: true);
        $out[] = [$two->token() > $one->token(), Lock::acquire('s')];
        unset($one, $two);
        $out[] = [Lock::exists('s'), Lock::acquire('s') !== null, Lock::exists('s')];
        $short = Lock::acquire('t', ttl: 0.05);
        $waited = Lock::acquire('t', wait: 10);
        $out[] = [$waited !== null, $short->isHeld(), $short->release(), $waited->isHeld()];
        foreach ([[-1, 0], [0, -0.5], [NAN, 0]] as [$ttl, $wait]) {
            try {
                Lock::acquire('n', $ttl, $wait);
            } catch (LockException $error) {
                $out[] = $error->getMessage();
            }
        }
        try {
            Lock::acquire(str_repeat('x', 1025));
        } catch (LockException $error) {
            $out[] = $error->getMessage();
        }
        return new Response(json_encode($out));";
    let server = Options::handler(body).above("use RoadRunner\\{Lock, LockException};").start();
    let text = server.text("/");
    let out: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    let wanted = serde_json::json!([
        ["a", true, true, true],
        [null, null, true, false],
        [true, true, true, false, false],
        [false, 0, false],
        [true, true, false, false],
        [false, false],
        [true, null],
        [false, true, false],
        [true, false, false, true],
        "a ttl of -1 seconds; it must be 0 or more",
        "a wait of -0.5 seconds; it must be 0 or more",
        "a ttl of NaN seconds; it must be 0 or more",
        "lock: a name of 1025 bytes; it may have 1024",
    ]);
    assert_eq!(out, wanted);
    server.stop();
}

#[test]
fn with_releases_however_the_callback_ends() {
    let body = "
        $path = $request->path();
        if ($path === '/free') {
            return new Response(Lock::exists('a') ? 'held' : 'free');
        }
        if ($path === '/taken') {
            $lock = Lock::acquire('a');
            try {
                return Lock::with('a', fn () => 'called', wait: 0.01);
            } catch (LockException $error) {
                return new Response($error->getMessage());
            }
        }
        try {
            return new Response(Lock::with('a', function (Lock $lock) use ($path) {
                Keep::$it = $lock;
                return match ($path) {
                    '/value' => $lock->isHeld() ? 'value' : 'not held',
                    '/throw' => throw new LogicException('thrown'),
                    '/exit' => exit,
                    '/nested' => Lock::with('b', fn () => exit),
                    '/fatal' => str_repeat('x', PHP_INT_MAX),
                    '/early' => json_encode([$lock->release(), Lock::exists('a')]),
                };
            }, ttl: 60));
        } catch (LogicException $error) {
            return new Response($error->getMessage() . (Lock::exists('a') ? ' held' : ' free'));
        }";
    let server = Options::handler(body)
        .above("use RoadRunner\\{Lock, LockException};\nfinal class Keep { public static mixed $it = null; }")
        .expect_errors()
        .start();
    let get = |path: &str| {
        let response = server.get(path);
        assert_eq!(server.text("/free"), "free", "after {path}");
        (response.status, response.text())
    };
    assert_eq!(get("/value"), (200, "value".to_owned()));
    assert_eq!(get("/throw"), (200, "thrown free".to_owned()));
    assert_eq!(get("/exit"), (200, String::new()));
    assert_eq!(get("/nested"), (200, String::new()));
    assert_eq!(get("/early"), (200, "[true,false]".to_owned()));
    let message = "the lock \"a\" was not free within 0.01 seconds; nothing was done";
    assert_eq!(get("/taken"), (200, message.to_owned()));
    assert_eq!(get("/fatal").0, 500);
    server.stop();
}

#[test]
fn a_lock_ends_with_its_request() {
    let server = holders(2).start();
    for (n, more) in [("1", "&keep"), ("2", "&exit")] {
        let asked = hold(&server, n, more);
        holder(&server, n);
        assert_eq!(server.text("/try"), "taken");
        go(&server, n);
        assert!(result(asked).starts_with("200"));
        // The object is still there.
        assert_eq!(server.text("/try"), "free");
    }
    server.stop();
}

#[test]
fn keep_until_ttl_is_as_roadrunner() {
    let server = holders(2).set("lock.keep_until_ttl", "true").expect_errors().start();
    let asked = hold(&server, "1", "&ttl=2&keep");
    let pid = holder(&server, "1");
    go(&server, "1");
    assert!(result(asked).starts_with("200"));
    assert_eq!(server.text("/exists"), "held");
    kill(pid, KILL);
    eventually("the worker is gone", || !e2e::is_alive(pid));
    assert_eq!(server.text("/exists"), "held");
    eventually("the ttl is over", || server.text("/exists") == "free");
    server.stop();
}

#[test]
fn a_killed_holder_frees_its_lock_at_once() {
    let server = holders(3).expect_errors().start();
    let first = hold(&server, "1", "");
    let pid = holder(&server, "1");
    let second = hold(&server, "2", "");
    server.logs.expect(WAITS);
    kill(pid, KILL);
    let begin = Instant::now();
    holder(&server, "2");
    assert!(begin.elapsed() < Duration::from_secs(5), "not by a timeout");
    go(&server, "2");
    assert!(result(second).starts_with("200"));
    assert!(first.join().expect("no panic").is_none_or(|text| text.starts_with('5')));
    server.stop();
}

#[test]
fn a_killed_waiter_stands_in_nobodys_way() {
    let server = holders(4).expect_errors().start();
    let reader = hold(&server, "1", "&shared");
    holder(&server, "1");
    let writer = hold(&server, "2", "");
    let pid = server.read("waits-2").parse().expect("a number");
    server.logs.expect(WAITS);
    let next = hold(&server, "3", "&shared");
    server.logs.expect_times(WAITS, 2);
    // The writer is before the second reader until it is gone.
    kill(pid, KILL);
    holder(&server, "3");
    assert!(writer.join().expect("no panic").is_none_or(|text| text.starts_with('5')));
    go(&server, "1");
    go(&server, "3");
    assert!(result(reader).starts_with("200") && result(next).starts_with("200"));
    assert_eq!(server.text("/try"), "free");
    server.stop();
}

#[test]
fn who_waits_is_served_in_order() {
    let server = holders(6).start();
    let mut asked = vec![hold(&server, "0", "")];
    holder(&server, "0");
    for n in ["1", "2", "3", "4", "5"] {
        asked.push(hold(&server, n, ""));
        server.logs.expect_times(WAITS, asked.len() - 1);
    }
    for n in ["0", "1", "2", "3", "4", "5"] {
        holder(&server, n);
        go(&server, n);
    }
    let tokens: Vec<String> = asked.into_iter().map(result).collect();
    assert_eq!(server.read("order"), "012345");
    assert!(tokens.is_sorted(), "{tokens:?}");
    server.stop();
}

/// Sixty-four workers and one lock. Each writes down when it asked, had it and gave it back; the clock is the same for
/// all. `LOCK_SEED=n` chooses who reads and who writes.
#[test]
fn sixty_four_workers_one_lock_and_a_check_of_what_they_saw() {
    const WORKERS: usize = 64;
    const ROUNDS: usize = 25;
    let _heavy = e2e::heavy();
    let seed = std::env::var("LOCK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let body = "
        $n = (int) substr($request->path(), 1);
        mt_srand($n + SEED * 1000);
        // All at once.
        while (hrtime(true) < (int) $request->header('x-begin')) {
            usleep(500);
        }
        $out = '';
        for ($i = 0; $i < ROUNDS; $i++) {
            $shared = mt_rand(0, 3) === 0;
            $asked = hrtime(true);
            $lock = Lock::acquire('a', ttl: 60, wait: 60, shared: $shared);
            $had = hrtime(true);
            if (!$shared) {
                // Nothing else keeps these two apart.
                $count = (int) file_get_contents('count');
                file_put_contents('count', (string) ($count + 1));
            }
            $gave = hrtime(true);
            $released = $lock->release();
            $out .= implode(' ', [$asked, $had, $gave, hrtime(true), $lock->token(), (int) $shared, (int) $released]) . \"\\n\";
        }
        return new Response($out);";
    let body = body.replace("SEED", &seed.to_string()).replace("ROUNDS", &ROUNDS.to_string());
    let server = Options::handler(&body)
        .workers(WORKERS)
        .above("use RoadRunner\\Lock;")
        .file("count", "0")
        .descriptors_may_grow()
        .start();
    let begin = begin_in(Duration::from_millis(500));
    let clients: Vec<_> = (0..WORKERS)
        .map(|n| {
            let mut client = server.client();
            client.patience(Duration::from_secs(120));
            std::thread::spawn(move || {
                let headers = format!("X-Begin: {begin}\r\n");
                client.try_request("GET", &format!("/{n}"), &headers, b"").expect("taken");
                client.read().text()
            })
        })
        .collect();
    let mut rounds: Vec<Round> = clients
        .into_iter()
        .flat_map(|client| {
            let text = client.join().expect("no panic");
            text.lines().map(Round::parse).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(rounds.len(), WORKERS * ROUNDS, "seed {seed}");
    rounds.sort_by_key(|round| round.token);
    assert!(rounds.windows(2).all(|pair| pair[0].token < pair[1].token), "tokens are given once");
    for (at, round) in rounds.iter().enumerate() {
        assert!(round.released, "seed {seed}: {round:?}");
        // Of two that exclude each other, the one with the smaller token was over before the other had it, and
        // nobody was granted what another had asked for and got after it was over.
        for later in &rounds[at + 1..] {
            let apart = round.shared && later.shared || round.gave <= later.had;
            assert!(apart, "seed {seed}: {round:?} and {later:?} at once");
            assert!(round.asked <= later.ended, "seed {seed}: {round:?} is before {later:?} was asked for");
        }
    }
    let writers = rounds.iter().filter(|round| !round.shared).count();
    assert_eq!(server.read("count"), writers.to_string(), "seed {seed}: an update was lost");
    server.stop();
}

/// A time of the workers' clock.
fn begin_in(span: Duration) -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("a clock");
    let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an uptime")]
    let nanos = (seconds * 1e9) as u64;
    nanos + u64::try_from(span.as_nanos()).expect("short")
}

/// What a worker saw of one lock, in nanoseconds.
#[derive(Debug)]
struct Round {
    asked: u64,
    had: u64,
    gave: u64,
    ended: u64,
    token: u64,
    shared: bool,
    released: bool,
}

impl Round {
    fn parse(line: &str) -> Self {
        let numbers: Vec<u64> = line.split(' ').map(|text| text.parse().expect("a number")).collect();
        let [asked, had, gave, ended, token, shared, released] = numbers[..] else { panic!("{line}") };
        Self { asked, had, gave, ended, token, shared: shared == 1, released: released == 1 }
    }
}

/// Symfony's own classes around the store, with Debian's package.
#[test]
fn symfony_lock_store() {
    if !std::path::Path::new("/usr/share/php/Symfony/Component/Lock/autoload.php").exists() {
        return e2e::skip("Symfony Lock is missing; run scripts/setup --test");
    }
    let body = "
        $factory = new LockFactory(new RoadRunner\\Psr\\LockStore(60));
        $one = $factory->createLock('a', 30);
        $two = $factory->createLock('a', 30);
        $out[] = [$one->acquire(), $one->isAcquired(), $two->acquire(), $two->isAcquired(), $one->acquire()];
        $out[] = [$one->getRemainingLifetime() > 29, RoadRunner\\Lock::exists('a')];
        $one->refresh(5);
        $out[] = [$one->getRemainingLifetime() < 6, $one->release(), $two->acquire(true), $two->release()];
        $out[] = [$one->acquireRead(), $two->acquireRead(), $one->acquire(), $two->release(), $one->acquire()];
        $out[] = [$two->acquireRead(), $one->release(), $two->acquireRead(true), $two->release()];
        $key = new Key('b');
        $kept = $factory->createLockFromKey($key, 30, false);
        $out[] = [$kept->acquire(), $kept->isAcquired()];
        $again = $factory->createLockFromKey(unserialize(serialize($key)), 30);
        $out[] = [$again->isAcquired(), $again->release(), $kept->isAcquired()];
        $short = $factory->createLock('c', 0.2, false);
        $out[] = [$short->acquire(), $factory->createLock('c', 30)->acquire(true), $short->isAcquired()];
        try {
            $short->refresh();
        } catch (Symfony\\Component\\Lock\\Exception\\ExceptionInterface $error) {
            $out[] = get_class($error);
        }
        return new Response(json_encode($out));";
    let server = Options::handler(body)
        .above(
            "require 'Symfony/Component/Lock/autoload.php';
            use Symfony\\Component\\Lock\\{Key, LockFactory};",
        )
        .start();
    let text = server.text("/");
    let out: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    let wanted = serde_json::json!([
        [true, true, false, false, true],
        [true, true],
        [true, null, true, null],
        [true, true, false, null, true],
        [false, null, true, null],
        [true, true],
        [true, null, false],
        [true, true, false],
        "Symfony\\Component\\Lock\\Exception\\LockConflictedException",
    ]);
    assert_eq!(out, wanted);
    server.stop();
}

#[test]
fn in_every_mode_a_lock_ends_with_its_request() {
    let above = "use RoadRunner\\Lock;\nfinal class Keep { public static mixed $it = null; }";
    let looping = "
        while ($request = $worker->receive()) {
            if ($request->path() === '/keep') {
                Keep::$it = Lock::acquire('a');
            }
            $held = Lock::exists('a') ? 'held' : 'free';
            $worker->respond($held);
        }";
    let server = Options::looping(looping).above(above).start();
    assert_eq!((server.text("/keep"), server.text("/")), ("held".to_owned(), "free".to_owned()));
    server.stop();

    let file = "<?php
        if ($_SERVER['REQUEST_URI'] === '/keep') {
            $GLOBALS['kept'] = RoadRunner\\Lock::acquire('a');
        }
        echo RoadRunner\\Lock::exists('a') ? 'held' : 'free';";
    for mode in ["classic", "globals", "snapshot"] {
        let source = format!(
            "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
                ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')->run();"
        );
        let server = Options::source(&source).file("public/index.php", file).start();
        let seen = (server.text("/keep"), server.text("/"), server.text("/keep"));
        assert_eq!(seen, ("held".to_owned(), "free".to_owned(), "held".to_owned()), "{mode}");
        server.stop();
    }
}
