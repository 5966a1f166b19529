//! A pool with workers that the tests play by hand: channels in memory, processes that end when told to, and time
//! that is passed in. Nothing here sleeps: the runtime's clock is paused and stands still until all is quiet.

mod calls;
mod cancel;
mod death;
mod frames;
mod queue;
mod roll;
mod simulation;
mod supervise;

use crate::unit::{Exchange, ReplyFrame, Request};
use crate::{Answer, BoxFuture, Caller, Calls, Ended, Interrupt, Process, Spawn, Spawned};
use crate::{ExecError, Limits, Pool, Readable, Shard, State, WorkerInfo};
use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use rr_channel::mem::{self, MemWorker};
use rr_channel::{AnyChannel, Frame, Lane};
use rr_wire::rpc::Call;
use rr_wire::{Bits, Flags, Header};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What a frame of a channel in memory takes.
const MAX_PAYLOAD: usize = 4096;
const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// What new workers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    /// They say hello at once.
    Hello,
    /// The test says hello for them.
    Silent,
    /// They exit before they say hello.
    Die,
    /// They say hello and exit.
    HelloAndDie,
    /// There is no process.
    Fail,
}

/// A worker, played by the test.
#[derive(Debug)]
struct Hand {
    id: u64,
    slot: usize,
    generation: u32,
    end: MemWorker,
    pool: Weak<Pool>,
    killed: AtomicBool,
    interrupts: Mutex<Vec<(u32, Interrupt)>>,
    stopped: AtomicBool,
    exit: Mutex<Option<oneshot::Sender<Ended>>>,
}

/// A unit as a worker gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Work {
    sequence: u32,
    context: String,
    body: Vec<u8>,
    more: bool,
}

/// A frame of a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    More(Vec<u8>),
    Last(Vec<u8>),
    Aborted,
}

impl Hand {
    fn pid(&self) -> u32 {
        pid_of(self.id)
    }

    fn look(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.readable(self.slot);
        }
    }

    fn alive(&self) -> bool {
        self.exit.lock().is_some()
    }

    fn send(&self, header: Header, parts: [&[u8]; 2]) -> bool {
        let sent = self.end.send(Lane::Work, header, parts);
        self.look();
        sent
    }

    fn hello(&self) {
        let text = format!("{{\"pid\":{}}}", self.pid());
        assert!(self.send(Header::new(Flags::CONTROL, Bits::default(), &[], 0), [text.as_bytes(), b""]));
    }

    fn receive(&self) -> Option<Frame> {
        let frame = self.end.receive(Lane::Work);
        if self.end.take_ready() {
            self.look();
        }
        frame
    }

    /// The next unit, started. Skips what a real worker skips; leaves when told to.
    fn next(&self) -> Option<Work> {
        while let Some(frame) = self.receive() {
            if frame.header.flags.has(Flags::CONTROL) {
                assert_eq!(frame.payload, br#"{"stop":true}"#);
                self.stopped.store(true, Ordering::Relaxed);
                self.exit("exit code 0");
                return None;
            }
            let &[context, sequence, ..] = frame.header.options() else { panic!("{:?}", frame.header) };
            if context == 0 || !self.end.start(sequence) {
                continue;
            }
            let (context, body) = frame.payload.split_at(context as usize);
            let context = String::from_utf8(context.to_vec()).expect("text");
            let more = frame.header.bits.has(Bits::STREAM);
            return Some(Work { sequence, context, body: body.to_vec(), more });
        }
        None
    }

    /// The next unit, which has to be there.
    fn started(&self) -> Work {
        self.next().expect("a unit")
    }

    /// The next piece of the body of unit `sequence`.
    fn part(&self, sequence: u32) -> Option<Part> {
        let frame = self.receive()?;
        assert_eq!(frame.header.options(), [0, sequence], "a part of the running unit's body");
        Some(match frame.header.bits {
            bits if bits.has(Bits::STOP) => Part::Aborted,
            bits if bits.has(Bits::STREAM) => Part::More(frame.payload),
            _ => Part::Last(frame.payload),
        })
    }

    fn reply_taking(&self, sequence: u32, micros: u32, text: &str, more: bool) -> bool {
        let bits = if more { Bits::STREAM } else { Bits::default() };
        let context = if more { 0 } else { 1 };
        let header = Header::new(Flags::RAW, bits, &[context, sequence, micros], 0);
        let head: &[u8] = if more { b"" } else { b"c" };
        self.send(header, [head, text.as_bytes()])
    }

    /// Answers.
    fn reply(&self, sequence: u32, text: &str) {
        assert!(self.reply_taking(sequence, 5000, text, false));
    }

    /// A frame that others follow.
    fn stream(&self, sequence: u32, text: &str) -> bool {
        self.reply_taking(sequence, 5000, text, true)
    }

    fn fail(&self, sequence: u32, text: &str) {
        let header = Header::new(Flags::ERROR, Bits::default(), &[0, sequence, 5000], 0);
        assert!(self.send(header, [text.as_bytes(), b""]));
    }

    /// Starts the next unit and answers it with its own context.
    fn serve(&self) -> bool {
        let work = self.next();
        if let Some(work) = &work {
            self.reply(work.sequence, &work.context);
        }
        work.is_some()
    }

    fn call(&self, sequence: u32, method: &str, body: &[u8]) {
        let call = Call { sequence, method, body, failed: false };
        let header = Header::new(Flags::RAW, Bits::default(), &call.options(), 0);
        assert!(self.end.send(Lane::Call, header, [method.as_bytes(), body]));
        self.look();
    }

    /// The process ends.
    fn exit(&self, exit: &str) {
        if let Some(sender) = self.exit.lock().take() {
            let _ = sender.send(Ended { exit: exit.to_owned(), last_words: String::new() });
        }
    }
}

#[derive(Debug)]
struct Body(Arc<Hand>);

impl Process for Body {
    fn kill(&self) {
        self.0.killed.store(true, Ordering::Relaxed);
        self.0.exit("signal 9 (SIGKILL)");
    }

    fn interrupt(&self, sequence: u32, why: Interrupt) {
        self.0.interrupts.lock().push((sequence, why));
    }
}

/// Everything that all generations of workers share.
struct Crew {
    pool: OnceLock<Weak<Pool>>,
    hands: Mutex<Vec<Arc<Hand>>>,
    boot: Mutex<Boot>,
    spawns: Mutex<usize>,
    room: usize,
}

/// Makes the workers of one generation.
struct Maker {
    crew: Arc<Crew>,
    generation: u32,
    /// Instead of the crew's.
    boot: Option<Boot>,
}

const fn pid_of(worker: u64) -> u32 {
    1000 + worker as u32
}

impl Spawn for Maker {
    fn spawn(&self, worker: u64, slot: usize) -> BoxFuture<Result<Spawned, String>> {
        *self.crew.spawns.lock() += 1;
        let boot = self.boot.unwrap_or(*self.crew.boot.lock());
        if boot == Boot::Fail {
            return Box::pin(async { Err("no process".to_owned()) });
        }
        let (channel, end) = mem::pair(self.crew.room);
        let (sender, exit) = oneshot::channel();
        let hand = Arc::new(Hand {
            id: worker,
            slot,
            generation: self.generation,
            end,
            pool: self.crew.pool.get().cloned().expect("a pool"),
            killed: AtomicBool::new(false),
            interrupts: Mutex::default(),
            stopped: AtomicBool::new(false),
            exit: Mutex::new(Some(sender)),
        });
        if matches!(boot, Boot::Hello | Boot::HelloAndDie) {
            hand.hello();
        }
        if matches!(boot, Boot::Die | Boot::HelloAndDie) {
            hand.exit("exit code 255");
        }
        self.crew.hands.lock().push(Arc::clone(&hand));
        Box::pin(async move {
            let ended = async move { exit.await.expect("the hand is held by the crew") };
            let (channel, process) = (AnyChannel::Mem(channel), Arc::new(Body(hand)));
            Ok(Spawned { pid: pid_of(worker), channel, process, ended: Box::pin(ended) })
        })
    }

    fn generation(&self) -> u32 {
        self.generation
    }
}

/// Answers calls by their method.
#[derive(Default)]
struct Desk {
    seen: Mutex<Vec<(Caller, String, Vec<u8>)>>,
    /// Workers that are gone, and units of those that live that are over.
    ended: Mutex<Vec<(u64, Option<u64>)>>,
}

impl Calls for Desk {
    fn call(&self, caller: &Caller, _: Flags, method: &str, body: &[u8]) -> Answer {
        self.seen.lock().push((caller.clone(), method.to_owned(), body.to_vec()));
        match method {
            "now" => Answer::Now(Ok(body.to_vec())),
            "refused" => Answer::Now(Err("no".to_owned())),
            "later" => Answer::Later(Box::pin(async { Ok(b"later".to_vec()) })),
            _ => Answer::None,
        }
    }

    fn unit_ended(&self, _: &Arc<str>, worker: u64, unit: u64) {
        self.ended.lock().push((worker, Some(unit)));
    }

    fn worker_ended(&self, _: &Arc<str>, worker: u64) {
        self.ended.lock().push((worker, None));
    }
}

struct World {
    pool: Arc<Pool>,
    crew: Arc<Crew>,
    desk: Arc<Desk>,
}

/// Lets every task run until it waits for something that the test has to do.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

/// What a task ends with. The paused clock runs ahead when all tasks wait: one that never ends is found at once.
async fn done<T>(task: tokio::task::JoinHandle<T>) -> T {
    tokio::time::timeout(100_000 * SECOND, task).await.expect("it ends").expect("it joins")
}

impl World {
    fn new(limits: Limits, boot: Boot, room: usize) -> Self {
        let crew = Arc::new(Crew {
            pool: OnceLock::new(),
            hands: Mutex::default(),
            boot: Mutex::new(boot),
            spawns: Mutex::new(0),
            room,
        });
        let desk = Arc::new(Desk::default());
        let shard = Arc::new(Shard::create().expect("a shard"));
        let maker = Arc::new(Maker { crew: Arc::clone(&crew), generation: 1, boot: None });
        let pool = Pool::new("test", limits, MAX_PAYLOAD, shard, maker, Arc::clone(&desk) as Arc<dyn Calls>);
        crew.pool.set(Arc::downgrade(&pool)).expect("once");
        Self { pool, crew, desk }
    }

    /// A pool whose workers are ready.
    async fn started(limits: Limits) -> Self {
        let world = Self::new(limits, Boot::Hello, 8);
        world.pool.start().await.expect("starts");
        world
    }

    /// With `count` workers and no limits.
    async fn with(count: usize) -> Self {
        Self::started(Limits { num_workers: count, ..Limits::default() }).await
    }

    fn maker(&self, generation: u32, boot: Boot) -> Arc<dyn Spawn> {
        Arc::new(Maker { crew: Arc::clone(&self.crew), generation, boot: Some(boot) })
    }

    /// Worker number `id`; the first is 1.
    fn hand(&self, id: u64) -> Arc<Hand> {
        let hands = self.crew.hands.lock();
        Arc::clone(hands.iter().find(|hand| hand.id == id).expect("such a worker"))
    }

    /// Those whose processes live.
    fn alive(&self) -> Vec<Arc<Hand>> {
        self.crew.hands.lock().iter().filter(|hand| hand.alive()).cloned().collect()
    }

    fn submit(&self, context: &str) -> Exchange {
        self.try_submit(context).expect("taken")
    }

    fn try_submit(&self, context: &str) -> Result<Exchange, ExecError> {
        self.pool.submit(request(context, false))
    }

    fn submit_open(&self, context: &str) -> Exchange {
        self.pool.submit(request(context, true)).expect("taken")
    }

    fn info(&self, id: u64) -> Option<WorkerInfo> {
        self.pool.workers().into_iter().find(|worker| worker.id == id)
    }

    fn state(&self, id: u64) -> Option<State> {
        self.info(id).map(|worker| worker.state)
    }

    /// The numbers of the workers in `state`.
    fn ids(&self, state: State) -> Vec<u64> {
        let mut ids: Vec<u64> = self
            .pool
            .workers()
            .iter()
            .filter(|worker| worker.state == state)
            .map(|worker| worker.id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Shows that a worker is fast.
    fn warm(&self, hand: &Hand) {
        for _ in 0..60 {
            let mut exchange = self.submit("warm");
            let work = hand.started();
            assert!(hand.reply_taking(work.sequence, 0, "", false));
            assert!(answered(&mut exchange).is_ok());
        }
    }

    fn tick(&self, after: Duration) {
        let _ = self.pool.tick(Instant::now() + after);
    }
}

fn request(context: &str, more: bool) -> Request {
    Request {
        context: context.as_bytes().to_vec(),
        body: Bytes::new(),
        more,
        keep: None,
        ..Request::default()
    }
}

/// The next frame, if it is there.
fn poll(exchange: &mut Exchange) -> Option<Option<Result<ReplyFrame, ExecError>>> {
    exchange.next().now_or_never()
}

/// Everything up to the end, which has to be there: the bodies together, or the error.
fn answered(exchange: &mut Exchange) -> Result<String, ExecError> {
    let mut text = String::new();
    loop {
        match poll(exchange).expect("an end") {
            Some(Ok(frame)) => text.push_str(std::str::from_utf8(&frame.body).expect("text")),
            Some(Err(error)) => {
                assert_eq!(poll(exchange), Some(None), "nothing comes after an error");
                return Err(error);
            }
            None => return Ok(text),
        }
    }
}

fn pending(exchange: &mut Exchange) -> bool {
    poll(exchange).is_none()
}
