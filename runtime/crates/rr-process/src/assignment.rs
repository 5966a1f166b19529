//! How a process that the master exec's learns what it is: one environment variable, taken away at once.

use crate::message::Start;
use crate::role::Role;
use rr_os::user::Identity;
use serde::{Deserialize, Serialize};

/// The environment variable.
pub const VARIABLE: &str = "RR_ASSIGNMENT";

/// A user to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

impl From<Identity> for User {
    fn from(from: Identity) -> Self {
        Self { uid: from.uid, gid: from.gid, groups: from.groups, home: from.home }
    }
}

impl From<User> for Identity {
    fn from(from: User) -> Self {
        Self { uid: from.uid, gid: from.gid, groups: from.groups, home: from.home }
    }
}

/// What an exec'ed process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The version of the extension that gave it; another one does not understand it.
    pub version: String,
    /// The generation it belongs to.
    pub generation: u32,
    /// Whom to become before any script runs.
    pub user: Option<User>,
    /// It serves PHP's web side: superglobals, headers, output as the response.
    pub web: bool,
    /// The functions of FrankenPHP's worker API are there too.
    pub frankenphp: bool,
    /// Storages whose tables it reads, each by two further descriptors.
    pub tables: Vec<String>,
    /// Storages that it asks the server for.
    pub asked: Vec<String>,
    /// A worker's start message where the app cannot be forked; `None` for a zygote.
    pub worker: Option<Start>,
}

impl Assignment {
    /// An assignment of this version.
    #[must_use]
    pub fn new(generation: u32, user: Option<User>, worker: Option<Start>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation,
            user,
            web: false,
            frankenphp: false,
            tables: Vec::new(),
            asked: Vec::new(),
            worker,
        }
    }

    /// The same for PHP's web side.
    #[must_use]
    pub fn web(self, web: bool, frankenphp: bool) -> Self {
        Self { web, frankenphp: web && frankenphp, ..self }
    }

    /// The same with storages: those that have tables, and those that are asked for.
    #[must_use]
    pub fn storages(self, tables: Vec<String>, asked: Vec<String>) -> Self {
        Self { tables, asked, ..self }
    }

    /// The role it gives.
    #[must_use]
    pub const fn role(&self) -> Role {
        if self.worker.is_some() { Role::Worker } else { Role::Zygote }
    }

    /// The value of the variable.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the variable's value.
    ///
    /// # Errors
    /// It is not an assignment of this version: the extension was replaced under a running server.
    pub fn parse(value: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let ours = env!("CARGO_PKG_VERSION");
        let theirs: Version = serde_json::from_str(value).map_err(|error| error.to_string())?;
        if theirs.version != ours {
            return Err(format!(
                "the server runs version {} of the extension and PHP has loaded {ours}; restart the server",
                theirs.version
            ));
        }
        serde_json::from_str(value).map_err(|error| error.to_string())
    }
}

/// Numbers of the descriptors of a zygote, after the three standard ones.
pub mod zygote_fd {
    /// The control socket.
    pub const CONTROL: i32 = 3;
    /// The lifeline.
    pub const LIFELINE: i32 = 4;
}

/// The first descriptor of an exec'ed worker; the others follow in the order of [`crate::worker::Descriptors`].
pub const WORKER_FD: i32 = 3;
