//! Redis servers (KV-05): one, the master that sentinels name, or a cluster, with TLS or without. All calls share a
//! connection, which is made when it is first needed and anew when it has failed. Knows nothing of what is stored.
#![forbid(unsafe_code)]

mod settings;
mod target;
#[cfg(test)]
mod tests;

pub use redis::aio::PubSub;
pub use redis::{Cmd, FromRedisValue, cmd};
pub use settings::{Settings, Tls};

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{ErrorKind, Pipeline, RedisError, ServerErrorKind};
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use thiserror::Error;
use tokio::sync::Mutex;

/// What a server did not do, or what is wrong with the settings.
#[derive(Debug, Clone, Error)]
#[error("redis: {servers}: {cause}")]
pub struct Failed {
    /// Which servers.
    pub servers: String,
    /// What happened.
    pub cause: String,
    /// The request may have been done all the same.
    pub unknown: bool,
}

/// May a request be sent again if the connection has failed?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Doing it twice is as good as once.
    Yes,
    /// Only what a server has refused, and thus not done.
    No,
}

/// Servers. Clones share the connection.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    servers: String,
    target: Target,
    connect: Duration,
    /// For all of a call.
    patience: Duration,
    retries: u32,
    backoff: (Duration, Duration),
    /// By [`Again`]: a cluster's client repeats by itself, so what must not be repeated has one that does not.
    links: [Mutex<Option<Link>>; 2],
}

/// A connection.
#[derive(Clone)]
enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Redis").field(&self.0.servers).finish()
    }
}

impl Redis {
    /// Servers that are not connected yet.
    ///
    /// # Errors
    /// An address that is none, or a file of TLS that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Failed> {
        let servers = settings.addresses.join(", ");
        let target = Target::new(&settings).map_err(|cause| Failed {
            servers: servers.clone(),
            cause,
            unknown: false,
        })?;
        Ok(Self(Arc::new(Shared {
            servers,
            target,
            connect: settings.connect,
            patience: settings.connect.saturating_add(settings.answer),
            retries: settings.retries,
            backoff: settings.backoff,
            links: <[Mutex<Option<Link>>; 2]>::default(),
        })))
    }

    /// Whether the servers are a cluster, where a script may touch keys of one slot only.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.0.target, Target::Cluster { .. })
    }

    /// An error in this crate's words.
    #[must_use]
    pub fn failed(&self, cause: impl std::fmt::Display) -> Failed {
        Failed { servers: self.0.servers.clone(), cause: cause.to_string(), unknown: false }
    }

    fn link(&self, again: Again) -> &Mutex<Option<Link>> {
        let which = usize::from(self.is_cluster() && again == Again::No);
        &self.0.links[which]
    }

    /// The connection.
    async fn connected(&self, again: Again) -> Result<Link, RedisError> {
        let mut kept = self.link(again).lock().await;
        if let Some(link) = &*kept {
            return Ok(link.clone());
        }
        let made = match &self.0.target {
            Target::One(client, config) => {
                Link::One(client.get_multiplexed_async_connection_with_config(config).await?)
            }
            Target::Master(client, config) => {
                let master = client.lock().await.async_get_client().await?;
                Link::One(master.get_multiplexed_async_connection_with_config(config).await?)
            }
            Target::Cluster { repeats, once, .. } => {
                let client = if again == Again::Yes { repeats } else { once };
                Link::Cluster(client.get_async_connection().await?)
            }
        };
        *kept = Some(made.clone());
        Ok(made)
    }

    /// Sends commands at once, and gives what each of them gives, in order. A connection that has failed is made anew: the
    /// server may have been started again, or another may be the master. With an error some may have been done.
    ///
    /// # Errors
    /// No answer within the time for connecting and answering together, or an error of a server.
    pub async fn send<T: FromRedisValue>(&self, commands: Vec<Cmd>, again: Again) -> Result<Vec<T>, Failed> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        match tokio::time::timeout(self.0.patience, self.attempts(&commands, again)).await {
            Ok(result) => result,
            Err(_) => {
                self.forget(again).await;
                let cause = format!("no answer within {:?}", self.0.patience);
                Err(Failed { unknown: true, ..self.failed(cause) })
            }
        }
    }

    /// A connection of which nobody knows whether it still works.
    async fn forget(&self, again: Again) {
        // Who connects right now needs no reminder.
        if let Ok(mut link) = self.link(again).try_lock() {
            *link = None;
        }
    }

    async fn attempts<T: FromRedisValue>(&self, commands: &[Cmd], again: Again) -> Result<Vec<T>, Failed> {
        let mut pause = self.0.backoff.0;
        let mut left = self.0.retries;
        loop {
            let (error, sent) = match self.connected(again).await {
                Err(error) => (error, false),
                Ok(link) => match link.send(commands).await {
                    Ok(values) => return Ok(values),
                    Err(error) => (error, true),
                },
            };
            let refused = was_refused(&error);
            let cut = error.is_unrecoverable_error() || error.is_timeout() || error.is_io_error();
            if sent && (cut || refused) && self.replaces(&error) {
                self.forget(again).await;
            }
            // Nobody waits twice for a server that does not answer.
            let repeat = !sent || refused || (cut && again == Again::Yes);
            let hopeless = error.is_timeout() || error.kind() == ErrorKind::AuthenticationFailed;
            if left == 0 || hopeless || !repeat || (!sent && !is_passing(&error)) {
                return Err(Failed { unknown: sent && cut && !refused, ..self.failed(words(&error)) });
            }
            left -= 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.0.backoff.1);
        }
    }

    /// Whether a connection is of no use after this. A cluster's mends itself, unless it has lost all of its servers.
    fn replaces(&self, error: &RedisError) -> bool {
        !self.is_cluster() || error.kind() == ErrorKind::ClusterConnectionNotFound
    }

    /// A connection for messages of channels, to a server that hears those of all.
    ///
    /// # Errors
    /// No server took it within the time for connecting.
    pub async fn listen(&self) -> Result<PubSub, Failed> {
        let listening = async {
            match &self.0.target {
                Target::One(client, _) => client.get_async_pubsub().await,
                Target::Master(client, _) => {
                    let master = client.lock().await.async_get_client().await?;
                    master.get_async_pubsub().await
                }
                Target::Cluster { .. } => self.0.target.listen_to_any().await,
            }
        };
        match tokio::time::timeout(self.0.connect, listening).await {
            Ok(result) => result.map_err(|error| self.failed(words(&error))),
            Err(_) => Err(self.failed(format!("not connected within {:?}", self.0.connect))),
        }
    }
}

impl Link {
    async fn send<T: FromRedisValue>(&self, commands: &[Cmd]) -> Result<Vec<T>, RedisError> {
        match self {
            Self::One(connection) => {
                let mut connection = connection.clone();
                if let [command] = commands {
                    return Ok(vec![command.query_async(&mut connection).await?]);
                }
                let mut pipeline = Pipeline::with_capacity(commands.len());
                commands.iter().for_each(|command| {
                    pipeline.add_command(command.clone());
                });
                pipeline.query_async(&mut connection).await
            }
            // Each to the server of its slot, all at once.
            Self::Cluster(connection) => {
                let each = commands.iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { command.query_async::<T>(&mut connection).await }
                });
                try_join_all(each).await
            }
        }
    }
}

/// Whether a server has said that it has not done it, and that another one or a later time may.
fn was_refused(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly, TryAgain};
    matches!(
        error.kind(),
        ErrorKind::Server(Moved | Ask | TryAgain | ClusterDown | MasterDown | ReadOnly | BusyLoading)
    )
}

/// Whether connecting again at once may help.
fn is_passing(error: &RedisError) -> bool {
    was_refused(error)
        || error.is_connection_dropped()
        || matches!(
            error.kind(),
            ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::ClusterConnectionNotFound
        )
}

/// What to do about an error that says nothing of it.
fn words(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::MasterNameNotFoundBySentinel => {
            format!("{error}; do the sentinels know master_name, and is its master up?")
        }
        ErrorKind::AuthenticationFailed => format!("{error}; see username and password"),
        _ => error.to_string(),
    }
}
