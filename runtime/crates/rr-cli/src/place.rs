//! Where a command runs and with which settings (CFG-01): folder, variables, file.

use crate::args::Flags;
use crate::dotenv;
use rr_config::{Loaded, Loader, Node};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where `-p` writes (CLI-07).
const PID_FILE: &str = ".pid";
/// Where the RPC of a section that says nothing is.
const DEFAULT_RPC: &str = "tcp://127.0.0.1:6001";

/// The settings of a command, and how to read them again.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file, absolute.
    pub config: PathBuf,
    /// Settings over it.
    pub overrides: Vec<String>,
    /// Nothing is said at the start.
    pub silent: bool,
    /// The file that has the process id, locked.
    pid_file: Option<(PathBuf, Arc<File>)>,
}

/// What a place is called in the environment, so that processes of the server find it without going there again.
const FILE: &str = "RR_CONFIG_FILE";

impl Place {
    /// Goes there: folder, variables, file. Only once, in the process that the user has started.
    ///
    /// # Errors
    /// The text of what is not there.
    pub(crate) fn enter(flags: &Flags, set_env: &mut dyn FnMut(&str, &str)) -> Result<Self, String> {
        let config = PathBuf::from(flags.config.as_deref().unwrap_or(".rr.yaml"));
        if let Some(folder) = &flags.work_dir {
            let logical = std::path::absolute(folder).map_err(|error| format!("-w {folder}: {error}"))?;
            go(Path::new(folder)).map_err(|error| format!("-w {folder}: {error}"))?;
            set_env("PWD", &logical.to_string_lossy());
        }
        let config =
            std::path::absolute(&config).map_err(|error| format!("{}: {error}", config.display()))?;
        if flags.work_dir.is_none()
            && let Some(folder) = config.parent()
            && folder.is_dir()
        {
            go(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            // With its symbolic links: a release that is switched is found at a reload.
            set_env("PWD", &folder.to_string_lossy());
        }
        let dotenv = std::env::var("DOTENV_PATH").ok().filter(|path| !path.is_empty());
        if let Some(path) = dotenv.as_ref().or(flags.dotenv.as_ref()) {
            read_variables(Path::new(path), set_env)?;
        }
        let place = Self { config, overrides: flags.overrides.clone(), silent: flags.silent, pid_file: None };
        if flags.experimental
            && let Some(file) = place.envfile()?
        {
            read_variables(&file, set_env)?;
        }
        Ok(place)
    }

    /// The place of the server that has started this process.
    pub(crate) fn inherited(flags: &Flags) -> Option<Self> {
        let config = std::env::var_os(FILE)?.into();
        Some(Self { config, overrides: flags.overrides.clone(), silent: true, pid_file: None })
    }

    /// Has processes of this server find it.
    pub(crate) fn hand_on(&self, set_env: &mut dyn FnMut(&str, &str)) {
        set_env(FILE, &self.config.to_string_lossy());
    }

    /// The settings.
    ///
    /// # Errors
    /// The text of what is wrong with them.
    pub(crate) fn load(&self) -> Result<Loaded, String> {
        // CFG-05: includes start where we are.
        let here = std::env::current_dir().unwrap_or_default();
        let loader = Loader::new().file(&self.config).cwd(&here).overrides(&self.overrides);
        loader.load().map_err(|error| error.to_string())
    }

    /// The settings as they are written, for who does not serve.
    fn merged(&self) -> Result<Node, String> {
        let here = std::env::current_dir().unwrap_or_default();
        let loader = Loader::new().file(&self.config).cwd(&here).overrides(&self.overrides);
        loader.merged().map_err(|error| error.to_string())
    }

    /// Where a running server is asked (CLI-11). Nothing else of the settings counts: drivers give what they need by `-o`.
    ///
    /// # Errors
    /// There are no settings, or they have no RPC.
    pub(crate) fn rpc(&self) -> Result<String, String> {
        let tree = self.merged()?;
        let none = || {
            format!(
                "{} has no section rpc, so the server cannot be asked; add rpc.listen",
                self.config.display()
            )
        };
        let section = tree.lookup("rpc").filter(|node| !node.is_null()).ok_or_else(none)?;
        match section.lookup("listen").filter(|node| !node.is_null()) {
            None => Ok(DEFAULT_RPC.to_owned()),
            Some(listen) => listen.as_str().map(str::to_owned).ok_or_else(|| {
                format!("{}: rpc.listen: expected an address, got {}", listen.at, listen.describe())
            }),
        }
    }

    /// CFG-03: the file that the settings name for variables.
    pub(crate) fn envfile(&self) -> Result<Option<PathBuf>, String> {
        // A file that is not there is said by who needs it.
        if !self.config.exists() {
            return Ok(None);
        }
        let tree = self.merged()?;
        let name = tree.lookup("envfile").and_then(|node| node.as_str()).map(PathBuf::from);
        Ok(name.map(|name| self.config.parent().unwrap_or(Path::new("")).join(name)))
    }

    /// Writes the process id (CLI-07), which is kept locked while the server lives, so that nobody else takes the file.
    ///
    /// # Errors
    /// Another server runs in this folder, or the file cannot be written.
    pub(crate) fn write_pid(&mut self) -> Result<(), String> {
        let path = std::path::absolute(PID_FILE).map_err(|error| format!("{PID_FILE}: {error}"))?;
        let text = |error: std::io::Error| format!("{}: {error}", path.display());
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(text)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("{}: another server that was started with -p runs here", path.display()));
            }
            Err(TryLockError::Error(error)) => return Err(text(error)),
        }
        file.set_len(0).map_err(text)?;
        file.write_all(std::process::id().to_string().as_bytes()).map_err(text)?;
        self.pid_file = Some((path, Arc::new(file)));
        Ok(())
    }

    /// Removes the process id.
    pub fn remove_pid(&self) {
        if let Some((path, _locked)) = &self.pid_file {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The process id of the server of this folder (CLI-07).
///
/// # Errors
/// The text of why there is none.
pub(crate) fn running() -> Result<u32, String> {
    let path = std::path::absolute(PID_FILE).unwrap_or_else(|_| PID_FILE.into());
    let missing = |error: std::io::Error| {
        format!(
            "{}: {error}; to create a .pid file, you must run RR with the following options: './rr serve -p'",
            path.display()
        )
    };
    let mut file = File::open(&path).map_err(missing)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| format!("{}: {error}", path.display()))?;
    let pid = text.trim().parse().map_err(|_| format!("{}: {text:?} is no process id", path.display()))?;
    // It is locked while its server lives: the number may be anybody's by now.
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return Err(format!(
            "{}: process {pid} is no server that was started here by rr serve -p, or has ended; remove the file if nothing runs",
            path.display()
        ));
    }
    Ok(pid)
}

fn go(folder: &Path) -> std::io::Result<()> {
    std::env::set_current_dir(folder)
}

/// CFG-01: what is set stays; a file that is not there is an error.
fn read_variables(path: &Path, set_env: &mut dyn FnMut(&str, &str)) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    let mut file = File::open(path).map_err(wrong)?.take(dotenv::MAX_SIZE + 1);
    if file.read_to_string(&mut text).map_err(wrong)? as u64 > dotenv::MAX_SIZE {
        return Err(format!("{}: is bigger than 1 MiB", path.display()));
    }
    for (name, value) in dotenv::parse(&text).map_err(|wrong| format!("{}: {wrong}", path.display()))? {
        if std::env::var_os(&name).is_none() {
            set_env(&name, &value);
        }
    }
    Ok(())
}
