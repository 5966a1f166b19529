//! `rpc.listen`: the goridge listener.

use crate::connection;
use crate::service::Registry;
use rr_net::{Acceptor, BindError, Listener, Options};
use rr_plugin::{Background, Drain};
use rr_pool::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;

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
    /// Worker scripts may call before they ask for work.
    fn is_early(&self) -> bool {
        true
    }

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
    let serve = |stream, peer: Option<SocketAddr>| {
        let peer = peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
        connection::serve(stream, peer, Arc::clone(&plugin.registry), plugin.settings.max_message_size)
    };
    let limit = plugin.settings.max_connections;
    let mut connections = rr_net::serve_each(&acceptor, "rpc", limit, drain.wait(), serve).await;
    // Clients keep their connections open for good: what they still want would never end.
    connections.shutdown().await;
}
