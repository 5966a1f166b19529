//! New generations: a fresh PHP with fresh code takes over, or everything stays as it is. Also the successor of a
//! zygote that died.

use crate::dev::{self, Turn};
use crate::generation::{Generation, Nursery};
use crate::live::{self, Live};
use crate::settings;
use crate::zygote::{self, Booted, Zygote};
use rr_config::{Config, Http, Loader};
use rr_dev::Dev;
use rr_http::ErrorPages;
use rr_pool::Pool;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What is served now.
pub(crate) struct Current {
    pub(crate) zygote: Arc<Zygote>,
    pub(crate) config: Config,
    /// Where relative files are.
    pub(crate) here: PathBuf,
    pub(crate) pages: Arc<ErrorPages>,
    /// What of the other sections follows a reload.
    pub(crate) live: Live,
    pub(crate) dev: Option<Arc<Dev>>,
}

/// Boots a generation, whose command workers are as `config` has them.
pub(crate) async fn boot(
    nursery: &Arc<Nursery>,
    config: &Config,
    number: u32,
    patience: Duration,
) -> Result<(Generation, Booted), String> {
    let (zygote, booted) = zygote::boot(&nursery.command, number, patience, &nursery.obituaries).await?;
    let exec = booted.threads > 1;
    if exec {
        tracing::warn!(
            target: "server", threads = booted.threads,
            "an extension has started threads in the booted app, so workers are not forked but started one by one, \
             which is slower and shares no memory; the threads: {}",
            thread_names(zygote.pid()),
        );
    }
    let commands = nursery.commands(config);
    Ok((Generation { zygote, exec, commands, nursery: Arc::clone(nursery) }, booted))
}

fn thread_names(pid: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect::<Vec<_>>().join(", ")
}

/// Replaces the app and its workers. Nothing changes when the new one does not boot.
///
/// # Errors
/// Why it did not, which is logged too.
pub(crate) async fn reload(
    pool: &Arc<Pool>,
    nursery: &Arc<Nursery>,
    current: &mut Current,
) -> Result<(), String> {
    let number = current.zygote.generation() + 1;
    tracing::info!(target: "server", generation = number, "reloading");
    let _ =
        rr_os::notify::notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", rr_os::notify::monotonic_usec()));
    let mut turn = Turn::begin(current.dev.as_ref());
    let replaced = replace(pool, nursery, current, number, &mut turn).await;
    match &replaced {
        Ok(took) => {
            turn.open();
            let boot_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(target: "server", generation = number, boot_ms, "reloaded");
        }
        Err(error) if turn.bar(error) => {}
        Err(error) => {
            let kept = current.zygote.generation();
            tracing::error!(target: "server", generation = number, kept, "the reload failed, the app goes on as it was: {error}");
        }
    }
    let _ = rr_os::notify::notify("READY=1");
    replaced.map(drop)
}

async fn replace(
    pool: &Arc<Pool>,
    nursery: &Arc<Nursery>,
    current: &mut Current,
    number: u32,
    turn: &mut Turn,
) -> Result<Duration, String> {
    let patience =
        current.config.http.as_ref().map_or(Duration::from_secs(60), |http| http.pool.allocate_timeout);
    let (mut generation, booted) = tokio::select! {
        booted = boot(nursery, &current.config, number, patience) => booted?,
        () = turn.outdated() => return Err("files have changed again".to_owned()),
    };
    let mut zygote = Arc::clone(&generation.zygote);
    let config = match read_settings(&booted.settings) {
        Ok(config) => config,
        Err(error) => {
            zygote.exit().await;
            return Err(format!("its settings: {error}"));
        }
    };
    generation.commands = nursery.commands(&config);
    let pages = config.http.as_ref().map_or(&[][..], |http| &http.error_pages);
    let read = current.pages.read(&current.here, pages);
    // Before the new workers count.
    if let Err(error) = read.and_then(|()| current.live.prepare(&current.config, &config)) {
        zygote.exit().await;
        return Err(format!("its settings: {error}"));
    }
    // With the section http taken away, or put there, the pool stays as it is until the next start.
    let asked =
        if config.http.is_some() == current.config.http.is_some() { &config } else { &current.config };
    let limits = settings::workers(asked).unwrap_or_default();
    let mut limits = dev::hurry(current.dev.as_ref(), limits);
    if nursery.company.is_some() {
        settings::for_commands(&mut limits);
    }
    let rolled = {
        let mut rolling = std::pin::pin!(pool.roll(Arc::new(generation), limits));
        loop {
            let dying = Arc::clone(&zygote);
            tokio::select! {
                rolled = &mut rolling => break rolled,
                () = turn.turned(pool, number), if !turn.is_over() => turn.open(),
                // Before its first worker is ready this ends the reload; after that the way back is closed.
                () = dying.gone(), if pool.generation() == number => {
                    zygote = successor(pool, nursery, &config, number).await;
                }
            }
        }
    };
    if let Err(error) = rolled {
        zygote.exit().await;
        return Err(error.to_string());
    }
    let keys = needs_restart(&current.config, &config).into_iter().map(str::to_owned);
    for key in keys.chain(live::needs_restart(&current.config, &config)) {
        tracing::warn!(target: "server", "{key} has changed; it takes effect at the next start of the server");
    }
    let old = std::mem::replace(&mut current.zygote, zygote);
    let before = std::mem::replace(&mut current.config, config);
    old.exit().await;
    current.live.follow(&before, &current.config).await;
    Ok(booted.took)
}

fn read_settings(text: &str) -> Result<Config, String> {
    let tree = rr_config::parse("Server::run()", text).map_err(|error| error.to_string())?;
    Ok(Loader::new().tree(tree).load().map_err(|error| error.to_string())?.config)
}

/// Keys that a running server does not take over.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    if old.http.is_some() != new.http.is_some() {
        keys.push("http");
    }
    let (Some(old_http), Some(new_http)) = (&old.http, &new.http) else { return keys };
    if old_http.address != new_http.address {
        keys.push("http.address");
    }
    let rest = |http: &Http| Http {
        address: Vec::new(),
        pool: rr_config::Pool::default(),
        error_pages: Vec::new(),
        ..http.clone()
    };
    if rest(old_http) != rest(new_http) {
        keys.push("http");
    }
    if (old_http.pool.ring_size, old_http.pool.spin) != (new_http.pool.ring_size, new_http.pool.spin) {
        keys.push("http.pool.ring_size or http.pool.spin");
    }
    let watched = |http: &Http| (http.pool.supervisor.clone(), http.pool.dynamic_allocator.is_some());
    if watched(old_http) != watched(new_http) {
        keys.push("http.pool.supervisor");
    }
    if old.server.relay != new.server.relay {
        keys.push("server.relay");
    }
    if old.server.user != new.server.user || old.server.group != new.server.group {
        keys.push("server.user or server.group");
    }
    if old.logs != new.logs {
        keys.push("logs");
    }
    keys
}

/// A zygote died: its workers go on, a new one of the same generation takes its place.
pub(crate) async fn succeed(pool: &Arc<Pool>, nursery: &Arc<Nursery>, current: &mut Current) {
    let number = current.zygote.generation();
    tracing::warn!(target: "server", generation = number, pid = current.zygote.pid(), "the zygote died; its workers go on, starting another");
    let config = current.config.clone();
    current.zygote = successor(pool, nursery, &config, number).await;
}

/// Boots a zygote of generation `number` until that works, and has the pool use it.
async fn successor(pool: &Arc<Pool>, nursery: &Arc<Nursery>, config: &Config, number: u32) -> Arc<Zygote> {
    let mut delay = Duration::from_millis(100);
    loop {
        match boot(nursery, config, number, Duration::from_secs(60)).await {
            Ok((generation, _)) => {
                let zygote = Arc::clone(&generation.zygote);
                pool.set_spawner(Arc::new(generation));
                return zygote;
            }
            Err(error) => {
                tracing::error!(target: "server", generation = number, "the zygote could not be replaced, trying again in {delay:?}: {error}");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(5));
            }
        }
    }
}
