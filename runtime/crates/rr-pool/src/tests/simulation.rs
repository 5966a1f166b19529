//! Everything at once, at random, again and again. Each run is made by its seed alone:
//! `POOL_SEED=17 cargo test -p rr-pool simulation` plays one again, with every step on stderr.

use super::*;
use crate::{BodySender, Dynamic};
use std::collections::HashMap;

const SEEDS: u64 = 400;
const STEPS: usize = 120;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).expect("small")
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }
}

/// A unit as its client sees it.
struct Client {
    name: String,
    exchange: Exchange,
    sender: Option<BodySender>,
    parts: usize,
    frames: usize,
}

/// A unit as its worker sees it.
struct Job {
    work: Work,
    frames: usize,
    parts: usize,
    body: bool,
}

struct Simulation {
    dice: Dice,
    world: World,
    limits: Limits,
    clients: Vec<Client>,
    jobs: HashMap<u64, Job>,
    /// How often a unit was started.
    starts: HashMap<String, usize>,
    submitted: usize,
    ended: usize,
    generation: u32,
    roll: Option<tokio::task::JoinHandle<Result<(), crate::StartError>>>,
    loud: bool,
}

fn limits(dice: &mut Dice) -> Limits {
    let dynamic = Dynamic { max_workers: 2, spawn_rate: 1, idle_timeout: SECOND, grow_after: 5 * MS };
    Limits {
        num_workers: 1 + dice.below(4),
        max_jobs: [0, 0, 1, 5, 20][dice.below(5)],
        max_queue_size: [0, 0, 3][dice.below(3)],
        prefetch: dice.below(4),
        exec_ttl: [Duration::ZERO, 30 * SECOND][dice.below(2)],
        stream_timeout: 20 * SECOND,
        debug: dice.one_in(10),
        dynamic: dice.one_in(3).then_some(dynamic),
        ..Limits::default()
    }
}

impl Simulation {
    async fn new(seed: u64, loud: bool) -> Self {
        let mut dice = Dice(seed);
        let limits = limits(&mut dice);
        let world = World::new(limits.clone(), Boot::Hello, 2 + dice.below(6));
        world.pool.start().await.expect("starts");
        Self {
            dice,
            world,
            limits,
            clients: Vec::new(),
            jobs: HashMap::new(),
            starts: HashMap::new(),
            submitted: 0,
            ended: 0,
            generation: 1,
            roll: None,
            loud,
        }
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.loud {
            eprintln!("{}", text());
        }
    }

    fn submit(&mut self) {
        let name = format!("unit {}", self.submitted);
        let more = self.dice.one_in(5);
        match self.world.pool.submit(request(&name, more)) {
            Ok(exchange) => {
                self.say(|| format!("submit {name} more {more}"));
                let sender = more.then(|| exchange.body_sender());
                self.clients.push(Client { name, exchange, sender, parts: 0, frames: 0 });
                self.submitted += 1;
            }
            Err(ExecError::QueueFull(waiting)) => assert!(waiting >= self.limits.max_queue_size),
            Err(error) => panic!("refused: {error}"),
        }
    }

    /// A client reads what is there.
    fn read(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        let over = match poll(&mut client.exchange) {
            None => return false,
            Some(Some(Ok(frame))) => {
                let expected = format!("{}/{}", client.name, client.frames);
                assert_eq!(frame.body, expected, "its own frames, each once, in order");
                client.frames += 1;
                false
            }
            Some(Some(Err(error))) => {
                assert_ne!(error, ExecError::Stopped);
                assert_eq!(poll(&mut client.exchange), Some(None), "one end");
                true
            }
            Some(None) => true,
        };
        if over {
            let client = self.clients.swap_remove(index);
            self.say(|| format!("{} is over", client.name));
            self.ended += 1;
        }
        true
    }

    /// A client sends a part of its body, or its end.
    fn write(&mut self, index: usize, finish: bool) {
        let client = &mut self.clients[index];
        let Some(sender) = &client.sender else { return };
        let sent = if finish {
            sender.finish().now_or_never()
        } else {
            sender.send(Bytes::from(client.parts.to_string())).now_or_never()
        };
        match sent {
            None => {}
            Some(Ok(())) if !finish => client.parts += 1,
            Some(_) => client.sender = None,
        }
    }

    fn cancel(&mut self, index: usize) {
        let client = self.clients.swap_remove(index);
        self.say(|| format!("cancel {}", client.name));
        self.ended += 1;
    }

    /// A worker does something sensible.
    fn work(&mut self, hand: &Hand, finish: bool) -> bool {
        let Some(job) = self.jobs.get_mut(&hand.id) else {
            let Some(work) = hand.next() else { return false };
            self.say(|| format!("worker {} starts {}", hand.id, work.context));
            let starts = self.starts.entry(work.context.clone()).or_default();
            *starts += 1;
            assert_eq!(*starts, 1, "{} is run once", work.context);
            let body = work.more;
            self.jobs.insert(hand.id, Job { work, frames: 0, parts: 0, body });
            return true;
        };
        if job.body
            && (finish || self.dice.one_in(2))
            && let Some(frame) = hand.receive()
        {
            let &[context, sequence] = frame.header.options() else { panic!("{:?}", frame.header) };
            // A unit that was taken back may lie between.
            if sequence == job.work.sequence {
                assert_eq!(context, 0, "a part of the body");
                job.body = frame.header.bits.has(Bits::STREAM);
                if job.body {
                    assert_eq!(frame.payload, job.parts.to_string().as_bytes(), "each part once, in order");
                    job.parts += 1;
                }
            }
            return true;
        }
        let more = !finish && self.dice.one_in(2);
        let text = format!("{}/{}", job.work.context, job.frames);
        let micros = [0, 0, 0, 5000][self.dice.below(4)];
        let sent = if self.dice.one_in(10) && !more {
            let header = Header::new(Flags::ERROR, Bits::default(), &[0, job.work.sequence, micros], 0);
            hand.send(header, [b"soft", b""])
        } else {
            hand.reply_taking(job.work.sequence, micros, &text, more)
        };
        job.frames += usize::from(sent);
        if sent && !more {
            self.say(|| format!("worker {} is done", hand.id));
            self.jobs.remove(&hand.id);
        }
        sent
    }

    /// A worker ends, or does what it must not.
    fn misbehave(&mut self, hand: &Hand) {
        let what = self.dice.below(5);
        self.say(|| format!("worker {} misbehaves: {what}", hand.id));
        let raw = |options: &[u32]| Header::new(Flags::RAW, Bits::default(), options, 0);
        match what {
            0 => drop(hand.send(raw(&[0, 9999, 0]), [b"", b""])),
            1 => drop(hand.send(raw(&[]), [b"", b""])),
            2 => drop(hand.send(Header::new(Flags::CONTROL, Bits::default(), &[], 0), [b"{}", b""])),
            _ => hand.exit("exit code 255"),
        }
    }

    fn reload(&mut self) {
        if self.roll.as_ref().is_some_and(|roll| !roll.is_finished()) {
            return;
        }
        self.generation += 1;
        let boot = [Boot::Hello, Boot::Hello, Boot::Die, Boot::HelloAndDie, Boot::Fail][self.dice.below(5)];
        self.say(|| format!("roll to {} {boot:?}", self.generation));
        let maker =
            Arc::new(Maker { crew: Arc::clone(&self.world.crew), generation: self.generation, boot: None });
        // The first one of the generation boots like this, and so do the others if it comes that far.
        let maker: Arc<dyn Spawn> =
            if boot == Boot::Hello { maker } else { self.world.maker(self.generation, boot) };
        let (pool, limits) = (Arc::clone(&self.world.pool), self.limits.clone());
        self.roll = Some(tokio::spawn(async move { pool.roll(maker, limits).await }));
    }

    async fn step(&mut self) {
        let (alive, clients) = (self.world.alive(), self.clients.len());
        match self.dice.below(40) {
            0..8 => self.submit(),
            8..11 if clients > 0 => {
                let index = self.dice.below(clients);
                self.cancel(index);
            }
            11..18 if clients > 0 => {
                let index = self.dice.below(clients);
                self.read(index);
            }
            18..21 if clients > 0 => {
                let (index, finish) = (self.dice.below(clients), self.dice.one_in(3));
                self.write(index, finish);
            }
            21..33 => {
                if let Some(hand) = self.dice.pick(&alive) {
                    self.work(&hand, false);
                }
            }
            33 if self.dice.one_in(2) => {
                if let Some(hand) = self.dice.pick(&alive) {
                    self.misbehave(&hand);
                }
            }
            34 if self.dice.one_in(3) => self.reload(),
            35 if self.dice.one_in(3) => {
                let ids: Vec<u64> = alive.iter().map(|hand| hand.id).collect();
                let id = self.dice.pick(&ids);
                self.world.pool.over_memory(id.as_slice());
            }
            36 => {
                let far = [10, 100, 2_000, 25_000, 40_000, 70_000][self.dice.below(6)];
                self.world.tick(far * MS);
                self.world.pool.core.lock().supervise(Instant::now() + far * MS);
            }
            37..39 => self.world.tick(u32::try_from(self.dice.below(10)).expect("small") * MS),
            _ => settle().await,
        }
        self.check();
    }

    fn check(&self) {
        let core = self.world.pool.core.lock();
        let waiting = core.queue.iter().filter(|unit| unit.state.lock().place == crate::unit::Place::Queued);
        assert_eq!(waiting.count(), core.waiting, "units that wait are counted");
        for worker in core.workers.iter().flatten() {
            assert!(worker.held.len() <= 1 + self.limits.prefetch, "{worker:?}");
            assert!(worker.held.is_empty() || worker.state.get() != State::Ready, "{worker:?}");
        }
        drop(core);
        assert_eq!(self.submitted, self.ended + self.clients.len());
    }

    /// Everybody behaves until nothing is left.
    async fn finish(&mut self) {
        self.say(|| "finish".to_owned());
        for round in 0..2000 {
            settle().await;
            for hand in self.world.alive() {
                self.work(&hand, true);
            }
            for index in (0..self.clients.len()).rev() {
                if self.clients[index].sender.is_some() {
                    self.write(index, true);
                }
            }
            for index in (0..self.clients.len()).rev() {
                self.read(index);
            }
            self.check();
            // Beyond every back-off, within every limit on units.
            self.world.tick(if round % 2 == 0 { 6 * SECOND } else { MS });
            if round % 8 == 0 {
                self.world.pool.core.lock().supervise(Instant::now() + 60 * SECOND);
            }
            let rolled = self.roll.as_ref().is_none_or(tokio::task::JoinHandle::is_finished);
            let quiet = self.world.pool.workers().iter().all(|worker| worker.state == State::Ready);
            let wanted = if self.limits.debug { 0 } else { self.limits.num_workers };
            let complete = self.world.ids(State::Ready).len() == wanted;
            if self.clients.is_empty() && rolled && quiet && complete {
                return self.at_rest();
            }
        }
        let core = self.world.pool.core.lock();
        panic!("it does not come to rest: {} clients, {core:#?}", self.clients.len());
    }

    fn at_rest(&self) {
        let core = self.world.pool.core.lock();
        assert_eq!((core.waiting, core.pending, core.extra), (0, 0, 0));
        let generations: Vec<u32> = core.workers.iter().flatten().map(|worker| worker.generation).collect();
        assert!(generations.iter().all(|generation| *generation == core.generation), "{generations:?}");
        drop(core);
        assert_eq!((self.world.pool.queue_len(), self.submitted), (0, self.ended));
    }
}

fn run(seed: u64, loud: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut simulation = Simulation::new(seed, loud).await;
        for _ in 0..STEPS {
            simulation.step().await;
        }
        simulation.finish().await;
    });
}

/// Every unit ends exactly once, is run at most once, gets its own frames in order; nothing is left over, and the
/// workers are complete again.
#[test]
fn simulation() {
    if let Ok(seed) = std::env::var("POOL_SEED") {
        return run(seed.parse().expect("a number"), true);
    }
    for seed in 0..SEEDS {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed, false)) {
            eprintln!("again with POOL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
