//! What a start would find wrong with settings, without starting, opening or listening.

use crate::start;
use rr_config::Config;
use rr_http::{ErrorPages, HttpPlugin};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a server with these settings would not start for, and what `rr serve` would not although a script with a handler
/// of its own would. Relative files are below `here`.
#[must_use]
pub fn problems(config: &Config, here: &Path) -> (Vec<String>, Vec<String>) {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    problems.extend(start::user(config).err().map(|error| error.to_string()));
    match &config.http {
        Some(http) => {
            problems.extend(HttpPlugin::problems(http));
            problems.extend(ErrorPages::default().read(here, &http.error_pages).err());
            match &http.app.root {
                Some(root) if !here.join(root).is_dir() => {
                    problems.push(format!("http.app.root: there is no folder \"{root}\""));
                }
                Some(_) => {}
                None => {
                    let own = !http.pool.command.is_empty();
                    let (key, command) = match own {
                        true => ("http.pool.command", &http.pool.command),
                        false => ("server.command", &config.server.command),
                    };
                    if command.is_empty() {
                        let text = "server.command is missing, so rr serve has nobody to answer requests; a script that \
                                    gives Server::http() a handler has";
                        notes.push(text.to_owned());
                    } else {
                        problems.extend(no_program(key, command, here));
                        problems.extend(relay(config));
                    }
                }
            }
        }
        None if config.serves_without_workers() => {}
        None => problems.push(
            "there is nothing to serve; give a section http, with server.command or http.app.root, or one that needs no \
             workers (rpc, service, metrics, status)"
                .to_owned(),
        ),
    }
    if let Some(init) = &config.server.on_init {
        let missing = no_program("server.on_init.command", &init.command, here);
        // Otherwise its failure is a line in the log.
        if init.exit_on_error {
            problems.extend(missing)
        } else {
            notes.extend(missing)
        };
    }
    let mut listens = |key, address: &str| {
        problems.extend(rr_net::check(key, address).err().map(|error| error.to_string()));
    };
    if let Some(rpc) = &config.rpc {
        listens("rpc.listen", &rpc.listen);
    }
    if let Some(metrics) = &config.metrics {
        listens("metrics.address", &metrics.address);
    }
    if let Some(status) = &config.status {
        listens("status.address", &status.address);
    }
    (problems, notes)
}

fn relay(config: &Config) -> Option<String> {
    let relay = &config.server.relay;
    if relay == "pipes" {
        return None;
    }
    rr_net::check("server.relay", relay).err().map(|error| error.to_string())
}

/// A command of one word may have arguments in it.
fn no_program(key: &str, command: &[String], here: &Path) -> Option<String> {
    let first = match command {
        [line] => line.split_whitespace().next().unwrap_or_default(),
        [first, ..] => first,
        [] => "",
    };
    let runs = |path: PathBuf| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let found = match first.contains('/') {
        true => runs(here.join(first)),
        false => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| runs(folder.join(first)))
        }
    };
    (!found).then(|| format!("{key}: there is no program \"{first}\", or it may not be run"))
}
