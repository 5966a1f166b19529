//! `rpc.listen`: the goridge listener.

use crate::connection;
use crate::service::Registry;
use rr_net::{Acceptor, BindError, Listener, Options};
use rr_plugin::{Background, Drain};
use rr_pool::BoxFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `tcp://host:port` or `unix://path`.
    pub listen: String,
    /// The longest payload of a frame, in bytes.
    pub max_message_size: u32,
    /// Connections at a time; more wait to be accepted.
    pub max_connections: usize,
}

/// The listener, bound.
#[derive(Debug)]
pub struct RpcPlugin {
    settings: Settings,
    listener: Listener,
    registry: Arc<Registry>,
}

impl RpcPlugin {
    /// Binds the address.
    ///
    /// # Errors
    /// It is malformed or taken.
    pub fn bind(settings: Settings, registry: Arc<Registry>) -> Result<Self, BindError> {
        let listener = rr_net::bind("rpc.listen", &settings.listen, &Options::default())?;
        Ok(Self { settings, listener, registry })
    }
}

impl Background for RpcPlugin {
    fn name(&self) -> &'static str {
        "rpc"
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.listener.to_string()]
    }

    fn serve(self: Box<Self>, drain: Drain) -> BoxFuture<()> {
        Box::pin(run(*self, drain))
    }
}

async fn run(plugin: RpcPlugin, mut drain: Drain) {
    let acceptor = match Acceptor::new(plugin.listener) {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!(target: "rpc", "the listening socket cannot be used: {error}"),
    };
    let places = Arc::new(Semaphore::new(plugin.settings.max_connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((acceptor.accept().await?, place))
        };
        tokio::select! {
            () = drain.wait() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accepted => match accepted {
                Ok(((stream, peer), place)) => {
                    let peer = peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
                    let (registry, limit) = (Arc::clone(&plugin.registry), plugin.settings.max_message_size);
                    connections.spawn(async move {
                        connection::serve(stream, peer, registry, limit).await;
                        drop(place);
                    });
                }
                // The client was gone before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::error!(target: "rpc", "no connection can be accepted: {error}; trying again in 100 ms");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // Clients keep their connections open for good: what they still want would never end.
    connections.shutdown().await;
}
