//! Many workers and one lock: what they saw fits one order, and dead ones stand in nobody's way. `LOCK_SEED=n` plays one
//! run again, as far as a machine does.

use e2e::{Options, eventually, kill};
use std::time::Duration;

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
    let begin = (e2e::clock() + Duration::from_millis(500)).as_nanos();
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

/// Workers are killed at random while they hold the lock, wait for it or do neither. Whoever has it finds nobody in it
/// who still lives, and whoever waits gets it.
#[test]
fn killed_at_any_time_nobody_is_in_it_twice_and_nobody_waits_for_ever() {
    const KILLS: u64 = 40;
    let _heavy = e2e::heavy();
    let seed = std::env::var("LOCK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let body = "
        for ($i = 0; $i < 20; $i++) {
            $lock = Lock::acquire('a', wait: 30);
            if (!$lock) {
                return new Response('waited in vain', 503);
            }
            $last = (int) file_get_contents('inside');
            // A process that was killed is a zombie at most.
            $stat = $last ? (string) @file_get_contents(\"/proc/$last/stat\") : '';
            if ($stat !== '' && !preg_match('/\\) [ZX] /', $stat)) {
                return new Response(\"$last is still in it\", 500);
            }
            file_put_contents('inside', (string) getmypid());
            usleep(200);
            file_put_contents('inside', '0');
            $lock = null;
        }
        return new Response('fine');";
    let server = Options::handler(body)
        .workers(8)
        .above("use RoadRunner\\Lock;")
        .file("inside", "0")
        .expect_errors()
        .descriptors_may_grow()
        .start();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, stop) = (server.addr().to_owned(), std::sync::Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut fine = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let Ok(response) = e2e::Client::connect(&address).try_get("/") else { continue };
                    match (response.status, response.text()) {
                        (200, _) => fine += 1,
                        (status, text) if text.contains("still in it") || text.contains("in vain") => {
                            panic!("seed {seed}: {status} {text}")
                        }
                        // Its worker was killed.
                        _ => {}
                    }
                }
                fine
            })
        })
        .collect();
    let mut dice = seed;
    for _ in 0..KILLS {
        let before = server.logs.count("a worker died");
        let workers: Vec<u32> = server
            .processes()
            .into_iter()
            .filter(|process| process.name == "rr-worker")
            .map(|process| process.pid)
            .collect();
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if let Some(pid) = workers.get(usize::try_from(dice >> 33).expect("small") % workers.len().max(1)) {
            kill(*pid, 9);
            eventually("its end is seen", || server.logs.count("a worker died") > before);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let fine: usize = clients.into_iter().map(|client| client.join().expect("no violation")).sum();
    assert!(fine > 0, "some get through");
    server.stop();
}
