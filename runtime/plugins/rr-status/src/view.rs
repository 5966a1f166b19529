//! The workers as they are at this moment.

use crate::Source;
use rr_pool::{Trace, WorkerInfo};
use rr_wire::http::RequestView;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Reading the memory of many workers takes milliseconds: however many ask, it is read so often at most.
const FRESH: Duration = Duration::from_millis(200);
/// More of a target is not shown.
const TARGET: usize = 1024;

/// A worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerView {
    /// The plugin whose pool it is in.
    pub pool: String,
    /// Its number.
    pub id: u64,
    /// Its process id.
    pub pid: u32,
    /// The generation of the app that it runs.
    pub generation: u32,
    /// `booting`, `ready`, `working`, `draining` or `dead`.
    pub state: String,
    /// Requests that it has answered.
    pub served: u64,
    /// Milliseconds since it was made.
    pub age_ms: u64,
    /// Bytes that it shares with nobody; 0: not known.
    pub memory: u64,
    /// The method of the request that it runs; `null`: none, or it is no HTTP request.
    pub method: Option<String>,
    /// Its path and query.
    pub uri: Option<String>,
    /// Milliseconds that it has run for.
    pub busy_ms: Option<u64>,
}

impl WorkerView {
    fn of(pool: &str, info: &WorkerInfo, running: Option<&Trace>) -> Self {
        let request = running.and_then(|trace| RequestView::parse(trace.context()).ok());
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(TARGET)]).into_owned();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            pool: pool.to_owned(),
            id: info.id,
            pid: info.pid,
            generation: info.generation,
            state: info.state.name().to_owned(),
            served: info.served,
            age_ms: milliseconds(info.age),
            memory: rr_os::proc::private_memory(info.pid).unwrap_or(0),
            method: request.as_ref().map(|request| text(request.method())),
            uri: request.as_ref().map(|request| text(request.target())),
            busy_ms: info.busy_for.map(milliseconds),
        }
    }
}

/// All workers, for `/workers` and `server.Workers`.
pub struct View {
    source: Arc<dyn Source>,
    last: Mutex<Option<(Instant, Arc<[WorkerView]>)>>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

impl View {
    /// Of what `source` has.
    #[must_use]
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self { source, last: Mutex::default() }
    }

    /// The workers of a plugin, of all if that is empty: at most 200 ms old.
    ///
    /// # Errors
    /// The server ends.
    pub async fn workers(&self, plugin: &str) -> Result<Vec<WorkerView>, String> {
        let all = self.all().await?;
        Ok(all.iter().filter(|worker| plugin.is_empty() || worker.pool == plugin).cloned().collect())
    }

    async fn all(&self) -> Result<Arc<[WorkerView]>, String> {
        // Held while it is read: others want the same.
        let mut last = self.last.lock().await;
        if let Some((read, workers)) = &*last
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(workers));
        }
        let pools: Vec<_> =
            self.source.pools().into_iter().map(|(name, pool)| (name, pool.running())).collect();
        let read = move || {
            let of = |(name, workers): &(&'static str, Vec<(WorkerInfo, Option<Trace>)>)| {
                let view = |(info, running): &(WorkerInfo, Option<Trace>)| {
                    WorkerView::of(name, info, running.as_ref())
                };
                workers.iter().map(view).collect::<Vec<_>>()
            };
            pools.iter().flat_map(of).collect::<Arc<[_]>>()
        };
        let workers = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
        *last = Some((Instant::now(), Arc::clone(&workers)));
        Ok(workers)
    }
}
