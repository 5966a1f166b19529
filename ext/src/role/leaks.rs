//! What a request leaves behind in a living worker: open descriptors, settings, handlers, globals, memory. Compared
//! after each request, in development mode with `dev.leaks`, and said once per kind of request.

use crate::role::{dev, hooks};
use crate::zend;
use rr_wire::http::RequestView;
use rr_wire::log::Level;
use rr_worker::Unit;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

/// Requests in a row after which growing memory is said.
const GROWTH: u32 = 20;
/// Different findings that are remembered.
const MAX_SAID: usize = 1000;

/// Names with values.
type Facts = BTreeMap<String, String>;

#[derive(Default)]
struct Watch {
    before: Facts,
    request: String,
    path: String,
    said: HashSet<String>,
    memory: usize,
    grown: u32,
    grown_from: usize,
    /// How many requests in a row are said next.
    limit: u32,
    /// Each request is taken to the folder of its script.
    moves: bool,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// In a zygote, before it forks.
pub(crate) fn enable(wanted: bool) {
    if wanted && dev::is_on() {
        WATCH.with(|watch| watch.replace(Some(Watch { limit: GROWTH, ..Watch::default() })));
    }
}

/// In a worker that takes each request to the folder of its script: where it was left says nothing.
pub(crate) fn requests_move() {
    with(|watch| watch.moves = true);
}

fn with(work: impl FnOnce(&mut Watch)) {
    WATCH.with(|watch| {
        if let Ok(mut watch) = watch.try_borrow_mut()
            && let Some(watch) = watch.as_mut()
        {
            work(watch);
        }
    });
}

/// A request begins.
pub(crate) fn begin(unit: &Unit) {
    with(|watch| {
        let context = unit.payload.get(..unit.context).unwrap_or_default();
        let Ok(view) = RequestView::parse(context) else { return };
        let target = String::from_utf8_lossy(view.target()).into_owned();
        watch.request = format!("{} {target}", String::from_utf8_lossy(view.method()));
        watch.path = target.split('?').next().unwrap_or_default().to_owned();
        if watch.before.is_empty() {
            watch.before = look(watch.moves);
            watch.memory = zend::dev::memory();
        }
    });
}

/// A request is over, and the engine is in order again.
pub(crate) fn check() {
    with(|watch| {
        if watch.request.is_empty() {
            return;
        }
        let after = look(watch.moves);
        let mut found = Vec::new();
        for (name, value) in &after {
            let before = watch.before.get(name);
            if before == Some(value) {
                continue;
            }
            let text = match (before, value.as_str()) {
                (_, "") => name.clone(),
                (None, value) => format!("{name}: {value}"),
                (Some(before), value) => format!("{name}: {value} instead of {before}"),
            };
            // The number of a descriptor is not its kind.
            let kind = if name.starts_with(DESCRIPTOR) { value } else { name };
            if watch.said.len() < MAX_SAID && watch.said.insert(format!("{} {kind}", watch.path)) {
                found.push(text);
            }
        }
        for name in
            watch.before.keys().filter(|name| !after.contains_key(*name) && !name.starts_with(DESCRIPTOR))
        {
            if watch.said.len() < MAX_SAID && watch.said.insert(format!("{} -{name}", watch.path)) {
                found.push(format!("{name}: gone"));
            }
        }
        watch.before = after;
        if !found.is_empty() {
            let text = format!("{} left behind: {}", watch.request, found.join("; "));
            hooks::write(Level::Warn, text.as_bytes());
        }
        memory(watch);
        watch.request.clear();
    });
}

fn memory(watch: &mut Watch) {
    let now = zend::dev::memory();
    if now <= watch.memory {
        watch.grown = 0;
        watch.grown_from = now;
    } else {
        if watch.grown == 0 {
            watch.grown_from = watch.memory;
        }
        watch.grown += 1;
    }
    watch.memory = now;
    if watch.grown >= watch.limit {
        let text = format!(
            "memory has grown in {} requests in a row, from {} to {} KB; the last was {}",
            watch.grown,
            watch.grown_from >> 10,
            now >> 10,
            watch.request
        );
        hooks::write(Level::Warn, text.as_bytes());
        watch.limit = watch.limit.saturating_mul(4);
    }
}

const DESCRIPTOR: &str = "open descriptor ";

fn look(moves: bool) -> Facts {
    let mut facts: Facts = zend::dev::state().into_iter().collect();
    let own = format!("/proc/{}/fd", rr_os::process::id());
    for entry in std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        if target != own {
            facts.insert(format!("{DESCRIPTOR}{}", entry.file_name().to_string_lossy()), target);
        }
    }
    for (name, value) in std::env::vars_os() {
        let name = format!("environment variable {}", name.to_string_lossy());
        facts.insert(name, value.to_string_lossy().into_owned());
    }
    if let Some(here) = std::env::current_dir().ok().filter(|_| !moves) {
        facts.insert("working directory".to_owned(), here.display().to_string());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(mask) = status.lines().find_map(|line| line.strip_prefix("Umask:")) {
        facts.insert("umask".to_owned(), mask.trim().to_owned());
    }
    facts
}
