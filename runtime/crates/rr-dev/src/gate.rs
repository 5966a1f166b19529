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
        let changes = Changes { watcher, count: 0, files: Vec::new(), since: None };
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
        if self.look() != begun {
            return None;
        }
        let mut changes = self.changes.lock();
        let files = std::mem::take(&mut changes.files);
        let took = changes.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.state.send_replace(match result {
            Ok(()) => State::Open,
            Err(text) => State::Broken(text.into()),
        });
        Some(Reloaded { files, took })
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
        assert_eq!(gate.end(begun, Err("no")).expect("over").files, [file.clone()]);
        assert_eq!(gate.pass().await, Err("no".into()));
        fs::remove_file(&file).expect("removes");
        assert!(waits(&gate));
        assert!(gate.end(gate.look(), Ok(())).is_some());
        assert_eq!(gate.pass().await, Ok(()));
        fs::write(&file, "3").expect("a file");
        assert_eq!(gate.pass().await, Ok(()), "nobody waits for ever");
    }
}
