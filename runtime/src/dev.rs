//! Development mode as the server lives it: a change of a file orders a reload, a reload opens or bars the gate.

use crate::admin::Order;
use crate::reactor;
use rr_dev::{Dev, Reloaded, Rules};
use rr_pool::{Limits, Pool};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Editors and checkouts write several files; a reload begins when nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(35);
/// Or after this long, whatever changes.
const BUSY: Duration = Duration::from_secs(2);
/// Requests that run old code for longer keep nobody waiting: streams of events last for ever.
const RESET: Duration = Duration::from_secs(5);

/// Development mode of `config`, when it is on.
pub(crate) fn of(config: &rr_config::Config, here: &Path, script: &Path, php: &str) -> Option<Arc<Dev>> {
    if !config.dev.enabled {
        return None;
    }
    let mut roots: Vec<PathBuf> = config.dev.watch.iter().map(|folder| here.join(folder)).collect();
    if roots.is_empty() {
        roots.push(script.to_owned());
        let root = config.http.as_ref().and_then(|http| http.app.root.as_deref());
        roots.extend(root.map(|root| here.join(root)));
    }
    for root in roots.iter().filter(|root| !root.is_dir()) {
        tracing::warn!(target: "dev", "dev.watch: there is no folder {}", root.display());
    }
    let roots: Vec<_> = roots.into_iter().filter_map(|root| root.canonicalize().ok()).collect();
    let inside = |root: &PathBuf| roots.iter().any(|other| other != root && root.starts_with(other));
    let mut outer: Vec<PathBuf> = roots.iter().filter(|root| !inside(root)).cloned().collect();
    outer.dedup();
    Some(Arc::new(Dev::new(Rules::of(&config.dev), outer, php)))
}

/// A pool whose old workers do not hold up a reload.
pub(crate) fn hurry(dev: Option<&Arc<Dev>>, limits: Limits) -> Limits {
    match dev {
        Some(_) => Limits { reset_timeout: limits.reset_timeout.min(RESET), ..limits },
        None => limits,
    }
}

/// What tells of changes; taken before the server says that it is up.
pub(crate) fn signal(dev: &Dev) -> Option<AsyncFd<OwnedFd>> {
    dev.signal().and_then(|signal| reactor::watch(signal).ok())
}

/// Orders a reload for each change.
pub(crate) async fn watch(dev: Arc<Dev>, signal: AsyncFd<OwnedFd>, orders: mpsc::UnboundedSender<Order>) {
    loop {
        tokio::select! {
            ready = signal.readable() => match ready {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return,
            },
            () = dev.touched() => {}
        }
        if !dev.wants_reload() {
            continue;
        }
        let mut count = dev.look();
        let began = Instant::now();
        loop {
            tokio::time::sleep(QUIET).await;
            let next = dev.look();
            if next == count || began.elapsed() > BUSY {
                break;
            }
            count = next;
        }
        // Another reload may have begun meanwhile, with these changes.
        if dev.wants_reload() && orders.send(Order::Reload(None)).is_err() {
            return;
        }
    }
}

/// A reload as development mode sees it.
pub(crate) struct Turn {
    dev: Option<Arc<Dev>>,
    begun: u64,
    over: bool,
}

impl Turn {
    pub(crate) fn begin(dev: Option<&Arc<Dev>>) -> Self {
        Self { begun: dev.map_or(0, |dev| dev.begin()), dev: dev.cloned(), over: false }
    }

    /// Resolves once no request that comes now meets the old code; never without development mode.
    pub(crate) async fn turned(&self, pool: &Pool, generation: u32) {
        match &self.dev {
            Some(_) => pool.turned(generation).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when the code that boots is out of date already; never without development mode.
    pub(crate) async fn outdated(&self) {
        let Some(dev) = &self.dev else { return std::future::pending().await };
        while !dev.is_outdated(self.begun) {
            tokio::time::sleep(QUIET).await;
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// The new code serves.
    pub(crate) fn open(&mut self) {
        let Some(dev) = self.dev.as_ref().filter(|_| !self.over) else { return };
        self.over = true;
        let Some(Reloaded { files, took }) = dev.end(self.begun, Ok(())) else { return };
        if !files.is_empty() {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(target: "dev", took_ms, files = names(dev, &files), "changed files are served");
        }
    }

    /// The new code does not boot. `true`: it is said here, or out of date.
    pub(crate) fn bar(&mut self, error: &str) -> bool {
        let Some(dev) = &self.dev else { return false };
        self.over = true;
        if let Some(Reloaded { files, .. }) = dev.end(self.begun, Err(error)) {
            tracing::error!(
                target: "dev", files = names(dev, &files),
                "the app does not boot; requests are answered with the error until it does: {error}"
            );
        }
        true
    }
}

fn names(dev: &Dev, files: &[PathBuf]) -> String {
    let short = |path: &PathBuf| {
        let below = dev.roots().iter().find_map(|root| path.strip_prefix(root).ok());
        below.unwrap_or(path).display().to_string()
    };
    let more = if files.len() > 5 { format!(" and {} more", files.len() - 5) } else { String::new() };
    files.iter().take(5).map(short).collect::<Vec<_>>().join(", ") + &more
}
