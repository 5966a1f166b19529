//! Which servers, and how they are spoken to.

use std::path::PathBuf;
use std::time::Duration;

/// Which servers. Several without a master's name are a cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, or `unix:///path` for one server: the server, the sentinels, or some of a cluster.
    pub addresses: Vec<String>,
    /// The name that the sentinels have for the master.
    pub master: Option<String>,
    /// The sentinels' password.
    pub sentinel_password: Option<String>,
    /// The user, if it is not the default one.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The database's number.
    pub db: u32,
    /// With TLS.
    pub tls: Option<Tls>,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// How often a request is sent again if the connection has failed.
    pub retries: u32,
    /// The first pause before that, and the longest; each is twice the one before.
    pub backoff: (Duration, Duration),
    /// A cluster's replicas may be read, which may be behind.
    pub replicas: bool,
}

/// Files in PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The client's certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Who signs the servers' certificates; `None`: whom the system trusts.
    pub root_ca: Option<PathBuf>,
}
