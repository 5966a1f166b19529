//! From settings to a running program, whose group the sentry watches.

use crate::command;
use crate::services::Settings;
use rr_os::process::Exit;
use rr_os::sentry::{self, Foreign, Keeper};
use rr_os::user::Identity;
use rr_pool::BoxFuture;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Tells how a child of this process ends; asked as soon as there is one. Somebody else reaps it.
pub type Exits = Arc<dyn Fn(u32) -> BoxFuture<Exit> + Send + Sync>;

/// Starts programs.
pub struct Launcher {
    keeper: Arc<Keeper>,
    env: Vec<(Vec<u8>, Vec<u8>)>,
    cwd: CString,
    exits: Exits,
}

/// A program that runs.
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) exit: BoxFuture<Exit>,
    pub(crate) output: OwnedFd,
}

impl Launcher {
    /// For programs in folder `cwd` with an environment of `NAME=value` pairs.
    #[must_use]
    pub fn new(keeper: Arc<Keeper>, env: &[CString], cwd: CString, exits: Exits) -> Self {
        let pair = |pair: &CString| {
            let bytes = pair.as_bytes();
            let at = bytes.iter().position(|byte| *byte == b'=')?;
            Some((bytes[..at].to_vec(), bytes[at + 1..].to_vec()))
        };
        let env = env.iter().filter_map(pair).collect();
        Self { keeper, env, cwd, exits }
    }

    /// Starts a process of a service.
    pub(crate) fn start(&self, settings: &Settings) -> Result<Started, String> {
        let words = command::split(&settings.command)?;
        let whom = |user| rr_os::user::other(user, None).map_err(|error| format!("user: {error}"));
        let user = settings.user.as_deref().map(whom).transpose()?.flatten();
        let env = self.environment(settings, user.as_ref());
        let path = env.iter().rev().find(|(name, _)| name == b"PATH").map(|(_, path)| path.clone());
        let path = path.unwrap_or_else(|| b"/usr/local/bin:/usr/bin:/bin".to_vec());
        let cwd = Path::new(OsStr::from_bytes(self.cwd.as_bytes()));
        let file = command::find(&words[0], &String::from_utf8_lossy(&path), cwd)?;
        let text = |bytes: Vec<u8>| {
            CString::new(bytes).map_err(|_| "a NUL in the command or the environment".to_owned())
        };
        let program = text(file.as_os_str().as_bytes().to_vec())?;
        let args = words.into_iter().map(|word| text(word.into_bytes())).collect::<Result<Vec<_>, _>>()?;
        let env = env.into_iter().map(|(name, value)| text([name, value].join(&b'=')));
        let env = env.collect::<Result<Vec<_>, _>>()?;
        let (output, theirs) = sentry::output().map_err(|error| format!("a pipe for its output: {error}"))?;
        let foreign = Foreign {
            path: &program,
            args: &args,
            env: &env,
            cwd: &self.cwd,
            user: user.as_ref(),
            input: None,
            output: theirs.as_fd(),
            errors: None,
        };
        let pid = self.spawn(&foreign).map_err(|error| command::not_run(&file, &error))?;
        // Nothing is reaped before this task gives way, so that the news of a short life is not missed.
        let exit = (self.exits)(pid);
        Ok(Started { pid, exit, output })
    }

    fn spawn(&self, program: &Foreign<'_>) -> io::Result<u32> {
        let (pid, replaced) = self.keeper.spawn(program)?;
        if replaced {
            tracing::warn!(target: "service", "the process that ends services with a killed server was gone; there is another now");
        }
        Ok(pid)
    }

    /// The first process of a group has ended: so do the others.
    pub(crate) fn finish(&self, group: u32) {
        self.keeper.finish(group);
    }

    /// The environment: the server's, its user's home, then the service's own.
    fn environment(&self, settings: &Settings, user: Option<&Identity>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut env = self.env.clone();
        let home = user.map(|user| ("HOME", user.home.as_str()));
        let own = settings.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in home.into_iter().chain(own) {
            env.retain(|(other, _)| other != name.as_bytes());
            env.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        env
    }
}
