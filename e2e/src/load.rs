//! Clients that keep a server busy while a test does something to it.

use crate::Client;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Responses by status.
    pub statuses: BTreeMap<u16, usize>,
    /// Requests without a response, and why.
    pub errors: Vec<String>,
    /// Bodies by how often they came.
    pub bodies: BTreeMap<String, usize>,
}

impl Tally {
    /// Responses with status 200.
    #[must_use]
    pub fn fine(&self) -> usize {
        self.statuses.get(&200).copied().unwrap_or(0)
    }

    /// Everything else.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.statuses.values().sum::<usize>() - self.fine() + self.errors.len()
    }
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Has `clients` connections ask for `target`, each again and again on one connection.
    #[must_use]
    pub fn start(address: &str, target: &str, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let threads = (0..clients).map(|_| {
            let (address, target) = (address.to_owned(), target.to_owned());
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            std::thread::spawn(move || run(&address, &target, &stop, &done))
        });
        let threads = threads.collect();
        Self { stop, done, threads }
    }

    /// Requests that were answered so far.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until `count` more requests were answered.
    #[track_caller]
    pub fn advance(&self, count: usize) {
        let goal = self.done() + count;
        crate::eventually("the load goes on", || self.done() >= goal);
    }

    /// Ends it.
    #[must_use]
    pub fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for thread in self.threads {
            let tally = thread.join().expect("a client");
            for (status, count) in tally.statuses {
                *all.statuses.entry(status).or_default() += count;
            }
            for (body, count) in tally.bodies {
                *all.bodies.entry(body).or_default() += count;
            }
            all.errors.extend(tally.errors);
        }
        all
    }
}

fn run(address: &str, target: &str, stop: &AtomicBool, done: &AtomicUsize) -> Tally {
    let mut tally = Tally::default();
    let mut client = None;
    while !stop.load(Ordering::Relaxed) && tally.errors.len() < 1000 {
        let mut connection = match client.take().map_or_else(|| Client::try_connect(address), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                tally.errors.push(format!("connect: {error}"));
                continue;
            }
        };
        match connection.try_get(target) {
            Ok(response) => {
                *tally.statuses.entry(response.status).or_default() += 1;
                *tally.bodies.entry(response.text()).or_default() += 1;
                if response.header("connection") != Some("close") {
                    client = Some(connection);
                }
            }
            Err(error) => tally.errors.push(error.to_string()),
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    tally
}
