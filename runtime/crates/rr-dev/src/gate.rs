//! The gate before the app: shut from a change of a file until the code on disk runs.

use crate::watch::Watcher;
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// A request waits no longer than this for new code; then it is given to the old.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so many boots in a row during which files changed, the app itself is what changes them.
const STUBBORN: u32 = 5;

#[derive(Debug, Clone)]
enum State {
    Open,
    Shut,
    /// The code on disk does not boot.
    Broken(Arc<str>),
}

#[derive(Debug)]
struct Changes {
    watcher: Watcher,
    count: u64,
    /// The count that the last reload began with, or took over.
    taken: u64,
    /// Boots in a row during which files changed.
    outdated: u32,
    files: Vec<PathBuf>,
    since: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Gate {
    changes: Mutex<Changes>,
    state: watch::Sender<State>,
    /// Changes were taken: the descriptor no longer tells of them.
    touched: Notify,
}

/// What a reload was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The files that had changed; empty when somebody asked for the reload.
    pub files: Vec<PathBuf>,
    /// From the first change to now.
    pub took: Duration,
}

impl Gate {
    pub(crate) fn new(watcher: Watcher) -> Self {
        let changes = Changes { watcher, count: 0, taken: 0, outdated: 0, files: Vec::new(), since: None };
        Self { changes: Mutex::new(changes), state: watch::Sender::new(State::Open), touched: Notify::new() }
    }

    pub(crate) fn signal(&self) -> Option<OwnedFd> {
        self.changes.lock().watcher.signal()
    }

    pub(crate) fn watched(&self) -> usize {
        self.changes.lock().watcher.watched()
    }

    pub(crate) fn look(&self) -> u64 {
        let mut changes = self.changes.lock();
        let files = changes.watcher.changed();
        if !files.is_empty() {
            changes.count += 1;
            changes.since.get_or_insert_with(Instant::now);
            for file in files {
                if changes.files.len() < 100 && !changes.files.contains(&file) {
                    changes.files.push(file);
                }
            }
            self.state.send_replace(State::Shut);
            self.touched.notify_one();
        }
        changes.count
    }

    pub(crate) fn end(&self, begun: u64, result: Result<(), &str>) -> Option<Reloaded> {
        let now = self.look();
        let mut changes = self.changes.lock();
        if now == begun {
            changes.outdated = 0;
        } else {
            changes.outdated += 1;
            if changes.outdated < STUBBORN {
                return None;
            }
            if changes.outdated == STUBBORN {
                let file = changes.files.last().map(|file| file.display().to_string()).unwrap_or_default();
                tracing::warn!(
                    target: "dev",
                    "files change whenever the app boots, the last of them {file}; such changes do not reload it any \
                     more: name what the app writes itself in dev.ignore"
                );
            }
            changes.taken = now;
        }
        let files = std::mem::take(&mut changes.files);
        let took = changes.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.state.send_replace(match result {
            Ok(()) => State::Open,
            Err(text) => State::Broken(text.into()),
        });
        Some(Reloaded { files, took })
    }

    pub(crate) fn begin(&self) -> u64 {
        let count = self.look();
        self.changes.lock().taken = count;
        count
    }

    pub(crate) fn is_outdated(&self, begun: u64) -> bool {
        self.look() != begun && self.changes.lock().outdated + 1 < STUBBORN
    }

    pub(crate) fn wants_reload(&self) -> bool {
        let count = self.look();
        self.changes.lock().taken != count
    }

    pub(crate) async fn touched(&self) {
        self.touched.notified().await;
    }

    pub(crate) fn release(&self) {
        self.state.send_replace(State::Open);
    }

    pub(crate) async fn pass(&self) -> Result<(), Arc<str>> {
        self.look();
        let mut state = self.state.subscribe();
        let known = tokio::time::timeout(PATIENCE, state.wait_for(|state| !matches!(state, State::Shut)));
        match known.await {
            Ok(Ok(state)) => match &*state {
                State::Broken(text) => Err(Arc::clone(text)),
                State::Open | State::Shut => Ok(()),
            },
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rules;
    use std::fs;

    #[test]
    fn an_app_that_changes_its_own_files_is_served_in_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let rules = Rules::of(&rr_config::Dev::default());
        let gate = Gate::new(Watcher::new(&[dir.path().to_owned()], rules));
        let mut boots = 0;
        fs::write(dir.path().join("a.php"), "1").expect("a file");
        while gate.wants_reload() {
            boots += 1;
            let begun = gate.begin();
            fs::write(dir.path().join("made.php"), "1").expect("a file");
            assert_eq!(gate.is_outdated(begun), boots < STUBBORN);
            assert_eq!(gate.end(begun, Ok(())).is_some(), boots == STUBBORN);
        }
        assert_eq!(boots, STUBBORN);
        fs::write(dir.path().join("a.php"), "2").expect("a file");
        assert!(gate.wants_reload());
        assert!(gate.end(gate.begin(), Ok(())).is_some());
        assert!(!gate.wants_reload());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_the_code_on_disk() {
        let dir = tempfile::tempdir().expect("a folder");
        let rules = Rules::of(&rr_config::Dev::default());
        let gate = Gate::new(Watcher::new(&[dir.path().to_owned()], rules));
        assert_eq!(gate.pass().await, Ok(()));
        let file = dir.path().join("a.php");
        fs::write(&file, "1").expect("a file");
        let waits = |gate: &Gate| {
            let mut pass = Box::pin(gate.pass());
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            pass.as_mut().poll(&mut cx).is_pending()
        };
        assert!(waits(&gate));
        let begun = gate.look();
        fs::write(&file, "2").expect("a file");
        assert_eq!(gate.end(begun, Ok(())), None, "the second change is not in the reload");
        assert!(waits(&gate));
        let begun = gate.look();
        assert_eq!(gate.end(begun, Err("no")).expect("over").files, std::slice::from_ref(&file));
        assert_eq!(gate.pass().await, Err("no".into()));
        fs::remove_file(&file).expect("removes");
        assert!(waits(&gate));
        assert!(gate.end(gate.look(), Ok(())).is_some());
        assert_eq!(gate.pass().await, Ok(()));
        fs::write(&file, "3").expect("a file");
        assert_eq!(gate.pass().await, Ok(()), "nobody waits for ever");
    }
}
