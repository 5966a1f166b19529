//! Sixty-four workers at the same key, the same lock and the same counter at once: what all of them saw fits one order
//! (`e2e::linear`). The seed chooses what each does; `LINEAR_SEED=n` plays one run again, as far as a machine does.

use e2e::linear::{Access, Event, Refused, Register, check};
use e2e::{Options, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const WORKERS: usize = 64;
/// Of each worker.
const OPERATIONS: usize = 500;
/// A search that takes longer than this would not end.
const STEPS: u64 = 300_000;

/// Each written number is written once (20 bits are for additions), so that what is read tells who wrote it.
const BODY: &str = r"
    $n = (int) substr($request->path(), 1);
    mt_srand($n + SEED * 1000);
    $kv = KeyValue::open('mem');
    $counter = Metrics::counter('hits_total');
    $seen = null;
    $out = '';
    // All at once.
    while (hrtime(true) < (int) $request->header('x-begin')) {
        usleep(500);
    }
    for ($i = 0; $i < OPERATIONS; $i++) {
        $new = ($n * OPERATIONS + $i + 1) << 20;
        $dice = mt_rand(0, 19);
        $start = hrtime(true);
        if ($dice < 6) {
            $seen = $kv->get('key');
            $line = ['get', $start, hrtime(true), $seen ?? 'none'];
        } elseif ($dice < 9) {
            $kv->set('key', $new);
            $line = ['set', $start, hrtime(true), $new];
            $seen = $new;
        } elseif ($dice < 13) {
            $seen = $kv->increment('key', 1 + $i % 3);
            $line = ['add', $start, hrtime(true), 1 + $i % 3, $seen];
        } elseif ($dice < 17) {
            $done = $kv->compareAndSet('key', $seen, $new);
            $line = ['cas', $start, hrtime(true), $seen ?? 'none', $new, (int) $done];
            $seen = $done ? $new : $kv->get('key');
        } elseif ($dice < 18) {
            $lock = Lock::acquire('lock', ttl: 60, wait: 60);
            $had = hrtime(true);
            // Nothing else keeps these two apart.
            file_put_contents('count', (string) (1 + (int) file_get_contents('count')));
            $gave = hrtime(true);
            $line = ['lock', $start, $had, $gave, $lock->token(), (int) $lock->release(), hrtime(true)];
        } else {
            $counter->inc(1 + $i % 3);
            $line = ['inc', $start, hrtime(true), 1 + $i % 3];
        }
        $out .= implode(' ', $line) . PHP_EOL;
    }
    return new Response($out);";

#[test]
fn sixty_four_workers_at_one_key_one_lock_and_one_counter_fit_one_order() {
    let _heavy = e2e::heavy();
    let seed = std::env::var("LINEAR_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("LINEAR_SEED={seed}");
    let body = BODY.replace("SEED", &seed.to_string()).replace("OPERATIONS", &OPERATIONS.to_string());
    let server = Options::handler(&body)
        .workers(WORKERS)
        .above("use RoadRunner\\{KeyValue, Lock, Metrics};")
        .set("kv.mem.driver", "'memory'")
        .set("metrics.address", "'127.0.0.1:0'")
        .file("count", "0")
        .descriptors_may_grow()
        .start();
    let begin = e2e::clock() + Duration::from_millis(500);
    let clients: Vec<_> = (0..WORKERS)
        .map(|n| {
            let mut client = server.client();
            client.patience(Duration::from_secs(120));
            std::thread::spawn(move || {
                let headers = format!("X-Begin: {}\r\n", begin.as_nanos());
                client.try_request("GET", &format!("/{n}"), &headers, b"").expect("taken");
                client.read().text()
            })
        })
        .collect();
    let mut seen = Seen::default();
    for (client, thread) in clients.into_iter().enumerate() {
        let text = thread.join().expect("no panic");
        assert_eq!(text.lines().count(), OPERATIONS, "seed {seed}: {text}");
        text.lines().for_each(|line| seen.take(client, line));
    }
    match check(&Register, &seen.key, STEPS) {
        Ok(order) => assert_eq!(order.len(), seen.key.len()),
        Err(why) => panic!("seed {seed}: the key: {why}"),
    }
    seen.key_is_refused_with_one_lost_update(seed);
    seen.check_lock(seed);
    assert_eq!(
        server.read("count"),
        seen.lock.len().to_string(),
        "seed {seed}: an update under the lock was lost"
    );
    let counted = scrape(&server).lines().find_map(|line| line.strip_prefix("hits_total ")?.parse().ok());
    assert_eq!(counted, Some(seen.counted), "seed {seed}: the counter");
    server.stop();
}

/// What one holder of the lock saw, in nanoseconds.
#[derive(Debug)]
struct Held {
    asked: u64,
    had: u64,
    gave: u64,
    token: u64,
    released: bool,
    ended: u64,
}

#[derive(Default)]
struct Seen {
    key: Vec<Event<Access>>,
    lock: Vec<Held>,
    counted: u64,
}

impl Seen {
    fn take(&mut self, client: usize, line: &str) {
        let mut words = line.split(' ');
        let what = words.next().expect("what was done");
        let numbers: Vec<Option<i64>> = words.map(|word| word.parse().ok()).collect();
        let time = |index: usize| u64::try_from(numbers[index].expect("a time")).expect("a time");
        let number = |index: usize| numbers[index].expect("a number");
        let access = match what {
            "get" => Access::Get(numbers[2]),
            "set" => Access::Set(number(2)),
            "add" => Access::Increment(number(2), number(3)),
            "cas" => Access::CompareAndSet(numbers[2], number(3), number(4) == 1),
            "lock" => {
                let [asked, had, gave, token, ended] = [0, 1, 2, 3, 5].map(time);
                return self.lock.push(Held { asked, had, gave, token, released: number(4) == 1, ended });
            }
            "inc" => return self.counted += time(2),
            other => panic!("{other}"),
        };
        self.key.push(Event { client, start: time(0), end: time(1), operation: access });
    }

    /// The lock is held by one at a time, and who has it later has a larger token.
    fn check_lock(&mut self, seed: u64) {
        self.lock.sort_by_key(|held| held.token);
        for pair in self.lock.windows(2) {
            let [one, next] = pair else { unreachable!("two") };
            assert!(one.token < next.token, "seed {seed}: a token twice: {one:?} and {next:?}");
            assert!(one.gave <= next.had, "seed {seed}: at once: {one:?} and {next:?}");
        }
        for (at, held) in self.lock.iter().enumerate() {
            assert!(held.released, "seed {seed}: {held:?}");
            let later = self.lock[at + 1..].iter().find(|later| later.ended < held.asked);
            assert!(later.is_none(), "seed {seed}: {later:?} was over before {held:?} was asked for");
        }
    }

    /// The check of this very history can fail.
    fn key_is_refused_with_one_lost_update(&mut self, seed: u64) {
        let sums = |events: &[Event<Access>]| {
            let sums = events.iter().enumerate().filter_map(|(index, event)| match event.operation {
                Access::Increment(by, sum) => Some((index, by, sum)),
                _ => None,
            });
            sums.collect::<Vec<_>>()
        };
        let sums = sums(&self.key);
        // One that another came right behind: had that one not seen it, its sum would be without it.
        let pair = sums.iter().find_map(|(_, _, sum)| {
            sums.iter().find(|(_, by, next)| next - by == *sum).map(|(index, by, _)| (*index, *by, *sum))
        });
        let Some((index, by, sum)) = pair else { return };
        let Access::Increment(before, _) =
            self.key[sums.iter().find(|(_, _, one)| *one == sum).expect("it").0].operation
        else {
            unreachable!("an addition")
        };
        let right =
            std::mem::replace(&mut self.key[index].operation, Access::Increment(by, sum - before + by));
        let found = check(&Register, &self.key, STEPS);
        assert!(
            matches!(found, Err(Refused::NoOrder(_))),
            "seed {seed}: a lost update is not seen: {found:?}"
        );
        self.key[index].operation = right;
    }
}

fn scrape(server: &Server) -> String {
    let address = server.addrs().iter().find(|address| address.ends_with("/metrics")).expect("an address");
    let mut stream = TcpStream::connect(address.trim_end_matches("/metrics")).expect("connects");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("asks");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    answer
}
