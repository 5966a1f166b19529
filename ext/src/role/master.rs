//! The master: the script's main thread is parked here while the server runs.

use crate::api::exceptions::{self, Cause};
use crate::api::server::{App, Server};
use crate::role::dev;
use crate::zend;
use ext_php_rs::prelude::*;
use roadrunner_runtime::Launch;
use rr_config::Config;
use std::ffi::CString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Settings of a server's PHP, in front of those of the command line, which win.
const INI: [&str; 6] = [
    "opcache.enable=1",
    "opcache.enable_cli=1",
    // One message per error, on stderr, where the master reads it.
    "display_errors=stderr",
    "log_errors=0",
    "html_errors=0",
    "max_execution_time=0",
];

/// Arguments of those, without opcache's.
pub(crate) const OWN_ARGUMENTS: usize = 2 * INI.len();

/// What can be said before anything is started, as exceptions.
pub(crate) fn prepare(server: &Server) -> PhpResult<Launch> {
    if zend::script_path().is_none_or(|path| path == "-" || path == "Standard input code") && !has_code_flag()
    {
        return Err(wrong(
            "Server::run(): the script must be a file (or php -r), because the server starts it again",
        ));
    }
    let mut loaded = server.load().map_err(|error| wrong(&error.to_string()))?;
    loaded.config.dev.enabled = dev::wanted(loaded.config.dev.enabled);
    let dev = loaded.config.dev.enabled;
    let debug = loaded.config.http.as_ref().is_some_and(|http| http.pool.debug);
    let app = loaded.config.http.as_ref().map(|http| &http.app);
    let command = is_command(server, &loaded.config);
    if matches!(server.app, App::None) && loaded.config.serves_without_workers() {
        // There is nobody to ask for an app.
    } else if matches!(server.app, App::None) && !command {
        let Some(root) = app.and_then(|app| app.root.as_deref()) else {
            let text = "there is nothing to serve; give a section http, with server.command or http.app.root, or one that \
                        needs no workers (rpc, service, metrics, status), or call Server::http(), files() or the like";
            // What is there and not served may be what was meant.
            let warnings = loaded.warnings.iter().map(|warning| format!("\n{warning}"));
            return Err(wrong(&warnings.fold(text.to_owned(), |text, warning| text + &warning)));
        };
        if !super::web_plan::absolute(root).is_dir() {
            return Err(wrong(&format!("http.app.root: there is no folder \"{root}\"")));
        }
    } else if app.is_some_and(|app| app.mode == rr_config::Mode::Classic) {
        return Err(wrong("http.app.mode: classic runs files; give http.app.root and no function"));
    }
    let web = !command
        && loaded.config.http.is_some()
        && matches!(server.app, App::None | App::Globals(_) | App::Script(_));
    Ok(Launch {
        loaded,
        binary: binary().map_err(|error| wrong(&format!("the PHP binary: {error}")))?,
        args: arguments(dev, debug, command).map_err(|error| wrong(&format!("the command line: {error}")))?,
        env: environment(dev),
        cwd: working_directory(),
        script: script_folder(),
        php: describe_php(),
        web,
        command,
        announce: server.announce.clone(),
    })
}

/// Whether workers are the config's command: the script says nothing else, and there is no document root.
pub(crate) fn is_command(server: &Server, config: &Config) -> bool {
    let named = |http: &rr_config::Http| {
        http.app.root.is_none() && !(http.pool.command.is_empty() && config.server.command.is_empty())
    };
    matches!(server.app, App::None) && config.http.as_ref().is_some_and(named)
}

pub(crate) fn run(launch: Launch) -> PhpResult<i64> {
    match roadrunner_runtime::serve(launch) {
        Ok(0) => Ok(0),
        Ok(code) => {
            zend::exit_script(code);
            Ok(i64::from(code))
        }
        Err(error) => {
            eprintln!("roadrunner: {error}");
            zend::exit_script(1);
            Ok(1)
        }
    }
}

fn wrong(text: &str) -> PhpException {
    exceptions::of(Cause::Config, text)
}

fn has_code_flag() -> bool {
    rr_os::proc::command_line().is_ok_and(|args| args.iter().any(|arg| arg.starts_with(b"-r")))
}

/// This program, also when its file was replaced since it was started.
fn binary() -> std::io::Result<PathBuf> {
    let path = std::fs::read_link("/proc/self/exe")?;
    let replaced = path.as_os_str().as_bytes().strip_suffix(b" (deleted)");
    Ok(replaced.map_or(path.clone(), |bytes| Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned()))
}

/// The command line of this process with the INI settings of a server behind the program's name.
fn arguments(dev: bool, debug: bool, command: bool) -> std::io::Result<Vec<CString>> {
    let mut original = rr_os::proc::command_line()?.into_iter();
    let mut args = vec![original.next().unwrap_or_else(|| b"php".to_vec())];
    // A file of the user's own has them beside stderr.
    let own = command && zend::web::logs_to_file();
    let set =
        INI.iter().map(|setting| if own && *setting == "log_errors=0" { "log_errors=1" } else { setting });
    let mut ini: Vec<String> = set.map(str::to_owned).collect();
    if !zend::has_opcache() && Path::new(&zend::extension_dir()).join("opcache.so").exists() {
        ini.push("zend_extension=opcache".to_owned());
    }
    if dev {
        ini.extend(dev::INI.map(str::to_owned));
    }
    if debug {
        ini.extend(dev::FRESH.map(str::to_owned));
    }
    for setting in ini {
        args.push(b"-d".to_vec());
        args.push(setting.into_bytes());
    }
    args.extend(original);
    Ok(args.into_iter().filter_map(zend::c_string).collect())
}

/// The environment of the app: ours, with huge pages for PHP's heap, which make a fork of a large app cheap.
fn environment(dev: bool) -> Vec<CString> {
    let ours = std::env::vars_os().filter(|(name, _)| {
        // Meant for the master alone.
        !dev::is_variable(name)
            && ![
                "NOTIFY_SOCKET",
                "WATCHDOG_USEC",
                "WATCHDOG_PID",
                "LISTEN_FDS",
                "LISTEN_PID",
                "LISTEN_FDNAMES",
            ]
            .iter()
            .any(|hidden| name == hidden)
    });
    let mut pairs: Vec<Vec<u8>> = ours
        .map(|(name, value)| {
            let mut pair = name.into_vec();
            pair.push(b'=');
            pair.extend(value.into_vec());
            pair
        })
        .collect();
    if std::env::var_os("USE_ZEND_ALLOC_HUGE_PAGES").is_none() {
        pairs.push(b"USE_ZEND_ALLOC_HUGE_PAGES=1".to_vec());
    }
    if dev {
        pairs.push(dev::told(true));
    }
    pairs.into_iter().filter_map(zend::c_string).collect()
}

/// The folder of the script; where we are for `php -r`.
fn script_folder() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let script = zend::script_path().map(|path| here.join(path)).filter(|path| path.is_file());
    script.and_then(|path| path.parent().map(Path::to_owned)).unwrap_or(here)
}

/// `$PWD` if it is where we are, with its symlinks, so that a release switched underneath is found at a reload.
fn working_directory() -> CString {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let same = |path: &Path| match (path.metadata(), here.metadata()) {
        (Ok(left), Ok(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        _ => false,
    };
    let logical = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute() && same(path));
    let path = logical.unwrap_or(here);
    zend::c_string(path.into_os_string().into_vec()).unwrap_or_default()
}

fn describe_php() -> String {
    let opcache = if zend::has_opcache() { "opcache" } else { "no opcache" };
    format!("{} ({}, {opcache})", zend::php_version(), zend::sapi_name())
}
