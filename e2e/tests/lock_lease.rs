//! Locks that a worker takes and gives back by itself are the same locks: whoever asks finds them, and they end as others
//! do (docs/lock.md).

use e2e::{Goridge, Options, Server, eventually, kill};
use std::thread::JoinHandle;

/// Workers that take the lock `a` as those do who come again, and then do what the path says.
fn borrowers(workers: usize) -> Options {
    let body = "
        parse_str($request->queryString(), $q);
        $n = $q['n'] ?? '';
        if ($request->path() === '/try') {
            $lock = Lock::acquire('a');
            return new Response($lock ? 'free' : 'taken');
        }
        if ($request->path() === '/wait') {
            $lock = Lock::acquire('a', wait: 20);
            return new Response($lock ? \"got {$lock->token()}\" : 'none');
        }
        Lock::acquire('a')->release();
        Lock::acquire('a')->release();
        $lock = Lock::acquire('a', ttl: (float) ($q['ttl'] ?? 0));
        if (isset($q['keep'])) {
            Keep::$it = $lock;
        }
        file_put_contents(\"held-$n\", $lock->token() . ' ' . getmypid() . \"\\n\");
        while (!file_exists(\"go-$n\")) {
            usleep(1000);
            clearstatcache();
        }
        return new Response(match ($request->path()) {
            '/release' => json_encode([$lock->isHeld(), $lock->release(), $lock->release()]),
            '/token' => (string) $lock->token(),
        });";
    Options::handler(body)
        .workers(workers)
        .set("logs.level", "'debug'")
        .set("rpc.listen", "'tcp://127.0.0.1:0'")
        .above("use RoadRunner\\Lock;\nfinal class Keep { public static mixed $it = null; }")
}

/// What the log says of a request that waits.
const WAITS: &str = "waits for a lock";

type Asked = JoinHandle<Option<String>>;

fn ask(server: &Server, target: &str) -> Asked {
    let mut client = server.client();
    let target = target.to_owned();
    std::thread::spawn(move || {
        let response = client.try_get(&target).ok()?;
        Some(format!("{} {}", response.status, response.text()))
    })
}

/// Asks for something that holds the lock. The token and the worker.
fn hold(server: &Server, path: &str, n: &str, more: &str) -> (Asked, u64, u32) {
    let asked = ask(server, &format!("{path}?n={n}{more}"));
    let file = format!("held-{n}");
    eventually("it is held", || server.read(&file).ends_with('\n'));
    let text = server.read(&file);
    let (token, pid) = text.trim_end().split_once(' ').expect("two numbers");
    (asked, token.parse().expect("a token"), pid.parse().expect("a process"))
}

fn go(server: &Server, n: &str) {
    std::fs::write(server.file(&format!("go-{n}")), "").expect("a file");
}

fn result(asked: Asked) -> String {
    asked.join().expect("no panic").expect("an answer")
}

fn client(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.starts_with("tcp://")).expect("an address");
    Goridge::connect(address)
}

fn rpc(client: &mut Goridge, method: &str, more: &str) -> bool {
    let argument = format!(r#"{{"resource": "a", "id": "rpc"{more}}}"#);
    let answer = client.json(&format!("lock.{method}"), &argument).expect("an answer");
    answer["ok"].as_bool().unwrap_or(false)
}

fn exists(client: &mut Goridge) -> bool {
    let answer = client.json("lock.Exists", r#"{"resource": "a", "id": "*"}"#).expect("an answer");
    answer["ok"].as_bool().unwrap_or(false)
}

#[test]
fn who_comes_again_has_tokens_of_its_own() {
    let body = "
        $take = function (string $name): int {
            $lock = Lock::acquire($name, wait: 1);
            $token = $lock->token();
            $lock->release();
            return $token;
        };
        $first = $take('a');
        $second = $take('a');
        $other = $take('b');
        $third = $take('a');
        $fourth = Lock::with('a', fn (Lock $lock) => $lock->token());
        $held = Lock::acquire('a');
        $more = Lock::acquire('a');
        return new Response(json_encode([
            $second > $first, $third - $second, $fourth - $third, $other > $fourth,
            $more, $held->isHeld(), $held->remaining() > 31555000, $held->refresh(5), $held->remaining() <= 5,
            $held->release(), $held->release(), Lock::exists('a'), $take('a') > $other,
        ]));";
    for (keep, wanted) in [
        (false, "[true,1,1,true,null,true,true,true,true,true,false,false,true]"),
        (true, "[true,2,1,false,null,true,true,true,true,true,false,false,true]"),
    ] {
        let server = Options::handler(body)
            .set("lock.keep_until_ttl", if keep { "true" } else { "false" })
            .above("use RoadRunner\\Lock;")
            .start();
        // The second time there is a lease from before.
        for _ in 0..2 {
            assert_eq!(server.text("/"), wanted, "keep_until_ttl: {keep}");
        }
        server.stop();
    }
}

#[test]
fn more_locks_than_a_lease_has_tokens_and_more_names_than_leases() {
    let body = "
        $last = [];
        for ($turn = 0; $turn < 10_000; $turn++) {
            // One often, forty by turns.
            $name = $turn % 2 ? 'a' : 'b' . intdiv($turn, 4) % 40;
            $lock = Lock::acquire($name);
            if ($lock === null || $lock->token() <= ($last[$name] ?? 0)) {
                return new Response(\"$turn: $name\", 500);
            }
            $last[$name] = $lock->token();
            if ($turn % 3 && !$lock->release()) {
                return new Response(\"$turn: $name was over\", 500);
            }
            unset($lock);
        }
        return new Response('fine');";
    let server = Options::handler(body).above("use RoadRunner\\Lock;").start();
    assert_eq!(server.text("/"), "fine");
    server.stop();
}

/// Two workers and a client of the RPC count in a file that nothing else protects.
#[test]
fn workers_and_a_client_exclude_each_other_in_the_order_of_tokens() {
    const ROUNDS: usize = 400;
    const CALLS: usize = 100;
    let body = "
        for ($round = 0; $round < ROUNDS; $round++) {
            $lock = Lock::acquire('a', ttl: 60, wait: 30);
            file_put_contents('count', (string) (1 + (int) file_get_contents('count')));
            file_put_contents('tokens', $lock->token() . \"\\n\", FILE_APPEND);
            if ($round % 2 && !$lock->release()) {
                return new Response('lost', 500);
            }
            $lock = null;
            // Alone for a while, so that there is something to recall.
            for ($turn = 0; $turn < $round % 7; $turn++) {
                Lock::acquire('a', wait: 30)->release();
            }
        }
        return new Response('fine');";
    let server = Options::handler(&body.replace("ROUNDS", &ROUNDS.to_string()))
        .workers(2)
        .set("rpc.listen", "'tcp://127.0.0.1:0'")
        .above("use RoadRunner\\Lock;")
        .file("count", "0")
        .file("tokens", "")
        .start();
    let asked = [ask(&server, "/"), ask(&server, "/")];
    let mut client = client(&server);
    for _ in 0..CALLS {
        assert!(rpc(&mut client, "Lock", r#", "ttl": 60000000, "wait": 30000000"#));
        let count: usize = server.read("count").parse().expect("a number");
        std::fs::write(server.file("count"), (count + 1).to_string()).expect("written");
        assert!(rpc(&mut client, "Release", ""));
    }
    drop(client);
    assert_eq!(asked.map(result), ["200 fine", "200 fine"]);
    assert_eq!(server.read("count"), (2 * ROUNDS + CALLS).to_string());
    let tokens = server.read("tokens");
    let tokens: Vec<u64> = tokens.lines().map(|token| token.parse().expect("a number")).collect();
    assert_eq!(tokens.len(), 2 * ROUNDS);
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]), "fencing");
    server.stop();
}

#[test]
fn clients_of_the_rpc_see_it_prolong_it_and_take_it() {
    let server = borrowers(2).start();
    let mut client = client(&server);
    let (asked, ..) = hold(&server, "/release", "1", "");
    assert!(exists(&mut client) && !rpc(&mut client, "Lock", "") && !rpc(&mut client, "Exists", ""));
    assert_eq!(server.text("/try"), "taken");
    go(&server, "1");
    assert_eq!(result(asked), "200 [true,true,false]");
    assert!(!exists(&mut client));
    let (asked, token, _) = hold(&server, "/release", "2", "");
    assert!(rpc(&mut client, "ForceRelease", "") && !rpc(&mut client, "ForceRelease", ""));
    assert!(rpc(&mut client, "Lock", "") && rpc(&mut client, "Release", ""));
    let next = server.text("/wait");
    assert!(
        next.strip_prefix("got ").and_then(|next| next.parse().ok()).is_some_and(|next: u64| next > token)
    );
    go(&server, "2");
    assert_eq!(result(asked), "200 [false,false,false]");
    drop(client);
    server.stop();
}

#[test]
fn the_ttl_ends_it_for_others_and_for_its_holder() {
    let server = borrowers(2).start();
    let (asked, token, _) = hold(&server, "/release", "1", "&ttl=0.05");
    // It waits for what is left of the ttl.
    let next = server.text("/wait");
    assert!(
        next.strip_prefix("got ").and_then(|next| next.parse().ok()).is_some_and(|next: u64| next > token)
    );
    go(&server, "1");
    assert_eq!(result(asked), "200 [false,false,false]");
    server.stop();

    let body = "
        Lock::acquire('a')->release();
        Lock::acquire('a')->release();
        $lock = Lock::acquire('a', ttl: 0.001);
        $until = hrtime(true) + 2_000_000;
        while (hrtime(true) < $until);
        return new Response(json_encode([$lock->release(), Lock::acquire('a')?->release()]));";
    let server = Options::handler(body).above("use RoadRunner\\Lock;").start();
    assert_eq!(server.text("/"), "[false,true]");
    server.stop();
}

#[test]
fn it_ends_with_the_request_whether_anybody_has_asked_or_not() {
    let server = borrowers(2).start();
    for n in ["1", "2", "3", "4"] {
        let (asked, ..) = hold(&server, "/token", n, "&keep");
        let waits = if n == "4" {
            let waits = ask(&server, "/wait");
            server.logs.expect(WAITS);
            Some(waits)
        } else {
            if n != "1" {
                assert_eq!(server.text("/try"), "taken");
            }
            None
        };
        go(&server, n);
        assert!(result(asked).starts_with("200"));
        match waits {
            Some(waits) => assert!(result(waits).starts_with("200 got")),
            // The object is still there.
            None => assert_eq!(server.text("/try"), "free"),
        }
    }
    server.stop();
}

#[test]
fn a_killed_holder_frees_it() {
    let server = borrowers(2).expect_errors().start();
    let (asked, _, pid) = hold(&server, "/token", "1", "");
    let waits = ask(&server, "/wait");
    server.logs.expect(WAITS);
    kill(pid, 9);
    assert!(result(waits).starts_with("200 got"), "who waits");
    assert!(asked.join().expect("no panic").is_none_or(|text| text.starts_with('5')));
    let (asked, _, pid) = hold(&server, "/token", "2", "");
    kill(pid, 9);
    assert!(asked.join().expect("no panic").is_none_or(|text| text.starts_with('5')));
    eventually("its end is seen", || server.logs.count("a worker died") == 2);
    assert_eq!(server.text("/try"), "free", "who comes later");
    server.stop();
}

#[test]
fn a_reload_ends_the_leases_of_those_who_leave() {
    let body = "
        if ($request->path() === '/mine') {
            Keep::$it = Lock::acquire('mine');
        }
        $take = function (): int {
            $lock = Lock::acquire('a');
            return $lock->token();
        };
        $take();
        return new Response($take() . ' ' . json_encode(Lock::exists('mine')));";
    let server = Options::handler(body)
        .above("use RoadRunner\\Lock;\nfinal class Keep { public static mixed $it = null; }")
        .start();
    let take = |path: &str| {
        let text = server.text(path);
        let (token, mine) = text.split_once(' ').expect("two");
        (token.parse::<u64>().expect("a token"), mine.to_owned())
    };
    let mut last = take("/mine").0;
    for reloads in 1..4 {
        server.signal(1);
        server.logs.expect_times("reloaded", reloads);
        let (token, mine) = take("/mine");
        assert!(token > last, "fencing across a reload");
        assert_eq!(mine, "true", "its own, not that of the worker before");
        last = token;
        eventually("the old ones leave", || server.processes().len() == 2);
        assert_eq!(take("/").1, "false");
    }
    server.stop();
}

/// A copy of the worker does not give back what is the worker's, and gets nothing by its lease.
#[test]
fn a_child_of_the_app_has_no_part_in_it() {
    let body = "
        Lock::acquire('a')->release();
        Lock::acquire('a')->release();
        $lock = Lock::acquire('a');
        $pid = pcntl_fork();
        if ($pid === 0) {
            $lock = null;
            posix_kill(getmypid(), SIGKILL);
        }
        pcntl_waitpid($pid, $status);
        return new Response(json_encode([$lock->isHeld(), $lock->release(), Lock::acquire('a') !== null]));";
    let server = Options::handler(body).above("use RoadRunner\\Lock;").start();
    assert_eq!(server.text("/"), "[true,true,true]");
    server.stop();
}
