//! Everything at once, at random, beside a map that knows when things end. Each run is made by its seed alone:
//! `KV_SEED=17 cargo test -p rr-kv simulation` plays one again.

use crate::memory::{Memory, Settings};
use crate::turns::Turn;
use crate::{Eviction, Item};
use rr_wire::kv::kind;
use std::collections::HashMap;
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

const SEEDS: u64 = 300;
const STEPS: usize = 400;
const KEYS: u64 = 6;
const WORKERS: u64 = 4;
/// What who takes over has for computing, see `turns.rs`.
const PATIENCE: u64 = 30_000;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

type Key = Vec<u8>;

/// Somebody who computes.
#[derive(Debug, Clone, Copy)]
struct Computes {
    number: u64,
    worker: u64,
    until: u64,
}

#[derive(Default)]
struct Model {
    values: HashMap<Key, (u32, Vec<u8>, u64)>,
    computing: HashMap<Key, Computes>,
    waiting: Vec<(Key, u64, Receiver<Turn>)>,
    computed: usize,
}

struct World {
    memory: Memory,
    model: Model,
    dice: Dice,
    now: u64,
}

fn end(ttl: u64, now: u64) -> u64 {
    if ttl == 0 { 0 } else { now + ttl }
}

impl World {
    fn new(seed: u64) -> Self {
        let settings = Settings { limit: 1 << 20, eviction: Eviction::None };
        let memory = Memory::create(settings, [seed, 1, 2, 3]).expect("memory");
        Self { memory, model: Model::default(), dice: Dice(seed), now: 1 }
    }

    fn key(&mut self) -> Key {
        format!("key {}", self.dice.below(KEYS)).into_bytes()
    }

    fn ttl(&mut self) -> u64 {
        if self.dice.below(2) == 0 { 0 } else { 1 + self.dice.below(100) }
    }

    fn model(&self, key: &[u8]) -> Option<(u32, Vec<u8>)> {
        let (kind, value, _) = self.model.values.get(key)?;
        Some((*kind, value.clone()))
    }

    /// What was waited for has come, or whoever waited is to compute now: each at most once, and never two at a time.
    fn answers(&mut self, key: &[u8], now: Option<&Item>) {
        let mut rest = Vec::new();
        for (of, worker, mut receiver) in std::mem::take(&mut self.model.waiting) {
            match receiver.try_recv() {
                Ok(Turn::Found(item)) => {
                    assert_eq!(of, key, "what came is what was set");
                    assert_eq!(Some(&item.value), now.map(|item| &item.value));
                }
                Ok(Turn::Compute(number)) => {
                    self.computes(&of, Computes { number, worker, until: self.now + PATIENCE });
                }
                Err(TryRecvError::Empty) => rest.push((of, worker, receiver)),
                // A worker that has gone waits for nothing.
                Err(TryRecvError::Closed) => {}
            }
        }
        self.model.waiting = rest;
    }

    fn computes(&mut self, key: &[u8], computes: Computes) {
        let before = self.model.computing.insert(key.to_vec(), computes);
        assert!(
            before.is_none_or(|before| before.until <= self.now),
            "two compute {key:?}: {before:?}, {computes:?}"
        );
        self.model.computed += 1;
    }

    fn set(&mut self, key: &[u8], value: Vec<u8>, ttl: u64) {
        self.memory.set(key, kind::STRING, &value, ttl, self.now).expect("room");
        self.model.values.insert(key.to_vec(), (kind::STRING, value.clone(), end(ttl, self.now)));
        self.model.computing.remove(key);
        self.answers(key, Some(&Item { kind: kind::STRING, value, ttl }));
        assert!(self.model.waiting.iter().all(|(of, ..)| of != key), "nobody waits for what is there");
    }

    fn step(&mut self) {
        let key = self.key();
        match self.dice.below(14) {
            0..2 => {
                let (length, ttl) = (self.dice.below(300) as usize, self.ttl());
                // Never a number: those can be incremented as text, too.
                let mut value = vec![self.dice.below(256).to_le_bytes()[0]; length];
                value.insert(0, b'x');
                self.set(&key, value, ttl);
            }
            2 => {
                let there = self.memory.delete(&key, self.now);
                assert_eq!(there, self.model.values.remove(&key).is_some());
            }
            3 => {
                let ttl = self.ttl();
                let there = self.memory.expire(&key, ttl, self.now);
                let value = self.model.values.get_mut(&key);
                assert_eq!(there, value.is_some());
                if let Some(value) = value {
                    value.2 = end(ttl, self.now);
                }
            }
            4 if self.dice.below(8) == 0 => {
                self.memory.clear();
                self.model.values.clear();
            }
            4..6 => self.increment(&key),
            6 => self.compare_and_set(&key),
            7..10 => self.compute(&key),
            10 => {
                // Whoever computes has a value, or has failed.
                let Some(computes) = self.model.computing.get(&key).copied() else { return };
                if self.dice.below(2) == 0 {
                    return self.set(&key, b"computed".to_vec(), 0);
                }
                if computes.until > self.now {
                    self.model.computing.remove(&key);
                }
                self.memory.give_up(&key, computes.number, PATIENCE, self.now);
                self.answers(&key, None);
            }
            11 => {
                let worker = self.dice.below(WORKERS);
                self.model.computing.retain(|_, computes| computes.worker != worker);
                self.memory.worker_gone(worker, self.now);
                self.answers(&key, None);
            }
            12 => {
                while self.memory.sweep(self.now).is_some_and(|next| next <= self.now) {}
                self.answers(&key, None);
            }
            _ => self.now += 1 + self.dice.below(60),
        }
    }

    fn increment(&mut self, key: &[u8]) {
        let (by, ttl) = (self.dice.below(20) as i64 - 10, self.ttl());
        let sum = self.memory.increment(key, by, ttl, self.now);
        match self.model.values.get_mut(key) {
            Some((kind::INT, value, _)) => {
                let old = i64::from_le_bytes(value[..].try_into().expect("a number"));
                assert_eq!(sum, Ok(old + by));
                *value = (old + by).to_le_bytes().to_vec();
            }
            Some(_) => assert!(sum.is_err()),
            None => {
                assert_eq!(sum, Ok(by));
                let number = by.to_le_bytes().to_vec();
                self.model.values.insert(key.to_vec(), (kind::INT, number, end(ttl, self.now)));
            }
        }
    }

    fn compare_and_set(&mut self, key: &[u8]) {
        let there = self.model(key);
        let right = self.dice.below(2) == 0;
        let expected = match (&there, right) {
            (Some((kind, value)), true) => Some((*kind, &value[..])),
            (Some(_), false) => Some((kind::STRING, &b"another"[..])),
            (None, true) => None,
            (None, false) => Some((kind::STRING, &b""[..])),
        };
        let ttl = self.ttl();
        let set = self.memory.compare_and_set(key, expected, (kind::STRING, b"swapped"), ttl, self.now);
        assert_eq!(set, Ok(right));
        if right {
            let value = (kind::STRING, b"swapped".to_vec(), end(ttl, self.now));
            self.model.values.insert(key.to_vec(), value);
        }
    }

    fn compute(&mut self, key: &[u8]) {
        let (worker, patience) = (self.dice.below(WORKERS), 1 + self.dice.below(200));
        match self.memory.compute(worker, key, patience, false, self.now).expect("a key") {
            Ok(Turn::Found(item)) => {
                assert_eq!(self.model(key), Some((item.kind, item.value)), "it is there");
            }
            Ok(Turn::Compute(number)) => {
                assert_eq!(self.model(key), None, "it is not there");
                self.computes(key, Computes { number, worker, until: self.now + patience });
            }
            Err(receiver) => {
                let computes = self.model.computing.get(key);
                assert!(computes.is_some_and(|computes| computes.until > self.now), "somebody computes it");
                self.model.waiting.push((key.to_vec(), worker, receiver));
            }
        }
    }

    fn check(&mut self) {
        let now = self.now;
        self.model.values.retain(|_, (_, _, expires)| *expires == 0 || *expires > now);
        for number in 0..KEYS {
            let key = format!("key {number}").into_bytes();
            let found = self.memory.get(&key, now).map(|item| (item.kind, item.value));
            assert_eq!(found, self.model(&key), "{}", String::from_utf8_lossy(&key));
        }
    }
}

fn run(seed: u64) -> usize {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
        world.check();
    }
    world.model.computed
}

#[test]
fn simulation() {
    if let Ok(seed) = std::env::var("KV_SEED") {
        run(seed.parse().expect("KV_SEED is a number"));
        return;
    }
    let mut computed = 0;
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| run(seed));
        computed += result.unwrap_or_else(|_| panic!("seed {seed}; again: KV_SEED={seed}"));
    }
    assert!(computed > 1000, "values are computed: {computed}");
}
