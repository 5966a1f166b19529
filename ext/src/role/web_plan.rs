//! What a web pool's zygote must know before it forks: where the files are, and which PHP settings its workers have.

use crate::api::server::{App, Server};
use crate::zend;
use rr_config::Mode;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Settings that the command line's PHP forces, with what a web server's PHP has without a php.ini.
const FORCED: [(&str, &str); 6] = [
    ("html_errors", "1"),
    ("implicit_flush", "0"),
    ("max_execution_time", "30"),
    ("max_input_time", "-1"),
    ("output_buffering", "0"),
    ("register_argc_argv", "1"),
];

/// Where the app's files are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The document root.
    pub(crate) root: PathBuf,
    /// The script when the server has chosen none: the path below the root, with a leading `/`.
    pub(crate) script: String,
    /// PHP's own request startup and shutdown around each request.
    pub(crate) classic: bool,
    /// Apps of FrankenPHP's worker API shall find themselves in one.
    pub(crate) frankenphp: bool,
    /// `USER` and `HOME` of the worker's environment.
    pub(crate) owner: [Option<OsString>; 2],
}

/// The plan of a web pool.
pub(crate) struct Plan {
    pub(crate) place: Place,
    app: rr_config::App,
    uploads: Option<String>,
}

impl Plan {
    /// `None`: the pool does not use PHP's web side.
    pub(crate) fn of(server: &Server, http: rr_config::Http) -> Option<Self> {
        let (app, uploads) = (http.app, http.uploads.dir);
        let own = || zend::script_path().map_or_else(PathBuf::new, |path| absolute(&path));
        let split = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (path.parent().map(PathBuf::from).unwrap_or_default(), format!("/{name}"))
        };
        let (root, script) = match (&server.app, &app.root) {
            (App::Handler(_) | App::Adapted(_) | App::Loop(_), _) => return None,
            (App::None, None) => return None,
            (App::Script(path), _) => split(path.clone()),
            (App::Globals(_), None) => split(own()),
            (App::Globals(_) | App::None, Some(root)) => (absolute(root), format!("/{}", app.index)),
        };
        let classic = app.mode == Mode::Classic && matches!(server.app, App::None);
        let place = Place { root, script, classic, frankenphp: app.frankenphp, owner: [None, None] };
        Some(Self { place, app, uploads })
    }

    /// Gives PHP the settings of a web server: php.ini's where the command line's PHP forces others, then those of
    /// the config.
    pub(crate) fn directives(&self) {
        if std::env::var_os("USER").is_none()
            && let Some(user) = user_name()
        {
            zend::set_env("USER", &user);
        }
        let files: Vec<String> =
            zend::web::ini_files().iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        for (name, fallback) in FORCED {
            let found = files.iter().rev().find_map(|text| setting(text, name));
            let value = given(name).or(found).unwrap_or_else(|| fallback.to_owned());
            zend::web::directive(name, &value, false);
        }
        // Errors go to the log; a page that shows them is never taken for a good one.
        zend::web::directive(
            "display_errors",
            &given("display_errors").unwrap_or_else(|| "0".to_owned()),
            false,
        );
        zend::web::directive("log_errors", "1", false);
        // Debian's php.ini for the command line has no limit, which is none for a server.
        if zend::memory_limit().is_none() && given("memory_limit").is_none() {
            zend::web::directive("memory_limit", "128M", false);
        }
        if let Some(dir) = &self.uploads {
            zend::web::directive("upload_tmp_dir", &absolute(dir).to_string_lossy(), false);
        }
        for (settings, last) in [(&self.app.ini, false), (&self.app.admin_ini, true)] {
            for (name, value) in settings {
                if !zend::web::directive(name, value, last) {
                    let section = if last { "admin_ini" } else { "ini" };
                    eprintln!("http.app.{section}.{name}: PHP does not know this setting, or not this value");
                }
            }
        }
    }
}

/// The name of the user that the app runs as.
fn user_name() -> Option<String> {
    let id = rr_os::user::current().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
        (uid == id).then(|| name.to_owned())
    })
}

/// A setting of the user's command line: `-d name=value`. The server's own come first and do not count.
fn given(name: &str) -> Option<String> {
    let args = rr_os::proc::command_line().ok()?;
    let args: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    let own = super::master::OWN_ARGUMENTS;
    let mut value = None;
    let mut args = args.iter().skip(1 + own);
    while let Some(arg) = args.next() {
        let pair = match arg.strip_prefix("-d") {
            Some("") => args.next().map(String::as_str),
            Some(pair) => Some(pair),
            None => None,
        };
        let pair = pair.and_then(|pair| pair.split_once('='));
        if let Some((_, given)) = pair.filter(|(key, _)| *key == name) {
            value = Some(given.trim_matches('"').to_owned());
        }
    }
    value
}

/// A line of a php.ini.
fn setting(text: &str, name: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.split(';').next().unwrap_or_default().trim().trim_matches('"');
        let on = match value.to_ascii_lowercase().as_str() {
            "on" | "yes" | "true" => "1".to_owned(),
            "off" | "no" | "false" | "none" => "0".to_owned(),
            _ => value.to_owned(),
        };
        (key.trim() == name).then_some(on)
    })
}

/// An absolute path, with the symlinks it has.
pub(crate) fn absolute(path: &str) -> PathBuf {
    let joined = match std::env::var_os("PWD").map(PathBuf::from).filter(|here| same(here)) {
        Some(here) => here.join(path),
        None => std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)),
    };
    let text = joined.as_os_str().as_bytes();
    let end = text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    PathBuf::from(OsStr::from_bytes(&text[..end]))
}

fn same(here: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    here.is_absolute() && number(here).is_some() && number(here) == number(Path::new("."))
}
