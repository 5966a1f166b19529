//! Development mode in the master: which files have changed, whether the app that runs is the one on disk, and the
//! page that says what went wrong. Knows neither HTTP nor PHP nor processes; nothing of it runs in a worker.
#![forbid(unsafe_code)]

mod excerpt;
mod gate;
mod page;
mod plain;
mod rules;
mod watch;

pub use gate::Reloaded;
pub use page::{Format, Page, Seen};
pub use rules::Rules;

use gate::Gate;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use watch::Watcher;

/// Requests whose names are remembered, for lines of the log that belong to them.
const NAMES: usize = 512;

/// Development mode.
#[derive(Debug)]
pub struct Dev {
    roots: Vec<PathBuf>,
    php: String,
    gate: Gate,
    names: Mutex<VecDeque<(u64, Arc<str>)>>,
}

impl Dev {
    /// Watches `roots` from now on. What cannot be watched is said in the log; the rest works.
    #[must_use]
    pub fn new(rules: Rules, roots: Vec<PathBuf>, php: &str) -> Self {
        let roots: Vec<_> = roots.into_iter().map(|root| root.canonicalize().unwrap_or(root)).collect();
        let watcher = Watcher::new(&roots, rules);
        Self { roots, php: php.to_owned(), gate: Gate::new(watcher), names: Mutex::default() }
    }

    /// A descriptor that is readable when files may have changed; `None` when nothing is watched.
    #[must_use]
    pub fn signal(&self) -> Option<OwnedFd> {
        self.gate.signal()
    }

    /// The watched folders.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Folders that are watched, those below the roots included.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.gate.watched()
    }

    /// Takes note of what has changed. A number that is higher after each change.
    pub fn look(&self) -> u64 {
        self.gate.look()
    }

    /// Resolves after a look that found changes. For one waiter: the descriptor is silent once a look has taken them.
    pub async fn touched(&self) {
        self.gate.touched().await;
    }

    /// A reload begins; what has changed until now is in it. The number is for [`Dev::end`].
    pub fn begin(&self) -> u64 {
        self.gate.begin()
    }

    /// Whether the boot that began with `begun` is out of date; not for ever, if the app changes its own files.
    #[must_use]
    pub fn is_outdated(&self, begun: u64) -> bool {
        self.gate.is_outdated(begun)
    }

    /// Whether files have changed that are in no reload yet.
    #[must_use]
    pub fn wants_reload(&self) -> bool {
        self.gate.wants_reload()
    }

    /// The reload that began with `begun` is over, or the app does not boot. `None` when files have changed since:
    /// another reload will say.
    pub fn end(&self, begun: u64, result: Result<(), &str>) -> Option<Reloaded> {
        self.gate.end(begun, result)
    }

    /// The server stops: nobody waits for new code any more.
    pub fn release(&self) {
        self.gate.release();
    }

    /// Waits until the app that runs is the one on disk.
    ///
    /// # Errors
    /// It does not boot; the text says why.
    pub async fn pass(&self) -> Result<(), Arc<str>> {
        self.gate.pass().await
    }

    /// Remembers what request a unit of work is.
    pub fn name(&self, unit: u64, name: &str) {
        let mut names = self.names.lock();
        if names.len() >= NAMES {
            names.pop_front();
        }
        names.push_back((unit, name.into()));
    }

    /// The request of a unit of work.
    #[must_use]
    pub fn named(&self, unit: u64) -> Option<Arc<str>> {
        let names = self.names.lock();
        names.iter().rev().find(|(known, _)| *known == unit).map(|(_, name)| Arc::clone(name))
    }

    /// The page for a request that failed with `error`, which is a report of a worker or any text.
    #[must_use]
    pub fn page(&self, status: u16, error: &str, seen: &Seen) -> Page {
        Page::make(self, status, error, seen)
    }
}
