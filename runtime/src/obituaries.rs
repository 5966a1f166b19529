//! How processes ended: from the zygote, whose children workers are, or from the master's own reaping.

use parking_lot::Mutex;
use rr_os::process::Exit;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long to wait for news of a process that has ended.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who waits for news of whom, by process id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Obituaries(Arc<Mutex<HashMap<u32, oneshot::Sender<Exit>>>>);

/// News of one process.
#[derive(Debug)]
pub(crate) struct Obituary(oneshot::Receiver<Exit>);

impl Obituaries {
    /// Expects news of process `pid`.
    pub(crate) fn expect(&self, pid: u32) -> Obituary {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().insert(pid, sender);
        Obituary(receiver)
    }

    /// Brings news.
    pub(crate) fn publish(&self, pid: u32, exit: Exit) {
        if let Some(sender) = self.0.lock().remove(&pid) {
            let _ = sender.send(exit);
        }
    }

    /// Reaps what has ended: zygotes and exec'ed workers, and orphans of theirs.
    pub(crate) fn reap(&self) {
        while let Some((pid, exit)) = rr_os::process::reap_any() {
            self.publish(pid, exit);
        }
    }
}

impl Obituary {
    /// The news, whenever they come.
    pub(crate) async fn news(self) -> Exit {
        self.0.await.unwrap_or(Exit::Unknown)
    }

    /// The news of a process that is known to have ended.
    pub(crate) async fn read(self) -> Exit {
        match tokio::time::timeout(PATIENCE, self.0).await {
            Ok(Ok(exit)) => exit,
            _ => Exit::Unknown,
        }
    }
}
