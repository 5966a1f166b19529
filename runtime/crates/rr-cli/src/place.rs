//! Where a command runs and with which settings (CFG-01): folder, variables, file.

use crate::args::Flags;
use rr_config::{Config, Loaded, Loader};
use std::path::{Path, PathBuf};

/// The settings of a command, and how to read them again.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file, absolute.
    pub config: PathBuf,
    /// Settings over it.
    pub overrides: Vec<String>,
    /// Nothing is said at the start.
    pub silent: bool,
    /// The file that has the process id, to be removed in the end.
    pub pid_file: Option<PathBuf>,
    /// What was in it.
    pub pid_before: Option<u32>,
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
            go(Path::new(folder)).map_err(|error| format!("-w {folder}: {error}"))?;
        }
        let config =
            std::path::absolute(&config).map_err(|error| format!("{}: {error}", config.display()))?;
        if flags.work_dir.is_none()
            && let Some(folder) = config.parent()
            && folder.is_dir()
        {
            go(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let dotenv = std::env::var("DOTENV_PATH").ok().filter(|path| !path.is_empty());
        if let Some(path) = dotenv.as_ref().or(flags.dotenv.as_ref()) {
            read_variables(Path::new(path), set_env)?;
        }
        if flags.experimental
            && let Some(file) = envfile(&config)
        {
            read_variables(&config.parent().unwrap_or(Path::new("")).join(file), set_env)?;
        }
        Ok(Self {
            config,
            overrides: flags.overrides.clone(),
            silent: flags.silent,
            pid_file: None,
            pid_before: None,
        })
    }

    /// The place of the server that has started this process.
    pub(crate) fn inherited(flags: &Flags) -> Option<Self> {
        let config = std::env::var_os(FILE)?.into();
        Some(Self {
            config,
            overrides: flags.overrides.clone(),
            silent: true,
            pid_file: None,
            pid_before: None,
        })
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

    fn has_version(&self) -> bool {
        let given = |line: &String| line.trim_start_matches([' ', '"', '\'']).starts_with("version=");
        let text = std::fs::read_to_string(&self.config).unwrap_or_default();
        self.overrides.iter().any(given)
            // What cannot be read is said where it is loaded.
            || rr_config::parse(&self.config.display().to_string(), &text)
                .map_or(true, |tree| tree.lookup("version").is_some())
    }

    /// Where a running server is asked (CLI-11). A file without a version does for that.
    ///
    /// # Errors
    /// The settings are wrong, or have no RPC.
    pub(crate) fn rpc(&self) -> Result<String, String> {
        // Octane asks with an empty file and `-o rpc.listen` alone.
        let mut asked = self.clone();
        if !self.has_version() {
            asked.overrides.push("version=3".to_owned());
        }
        let Config { rpc, .. } = asked.load()?.config;
        let rpc = rpc.ok_or_else(|| {
            format!(
                "{} has no section rpc, so the server cannot be asked; add rpc.listen",
                self.config.display()
            )
        })?;
        Ok(rpc.listen)
    }
}

fn go(folder: &Path) -> std::io::Result<()> {
    std::env::set_current_dir(folder)
}

/// CFG-01: what is set stays; a file that is not there is an error.
fn read_variables(path: &Path, set_env: &mut dyn FnMut(&str, &str)) -> Result<(), String> {
    let text = |error: dotenvy::Error| format!("{}: {error}", path.display());
    for pair in dotenvy::from_path_iter(path).map_err(text)? {
        let (name, value) = pair.map_err(text)?;
        if std::env::var_os(&name).is_none() {
            set_env(&name, &value);
        }
    }
    Ok(())
}

/// CFG-03: the file that the settings name for variables.
fn envfile(config: &Path) -> Option<String> {
    let text = std::fs::read_to_string(config).ok()?;
    let tree = rr_config::parse(&config.display().to_string(), &text).ok()?;
    tree.lookup("envfile")?.as_str().map(str::to_owned)
}
