//! HTTP/1.1: listeners, connections with their limits and timeouts, and the way of a request to a worker and back.
//! Rows HTTP- and HS- of the compatibility contract.
#![forbid(unsafe_code)]

mod body;
mod command;
mod conditions;
mod connection;
mod error_pages;
mod failure;
mod files;
mod io;
mod multipart;
mod ranges;
mod resolve;
mod respond;
mod service;
mod spool;
mod traffic;
mod uploads;
mod watch;

pub use command::fuzz as fuzz_form;
pub use error_pages::ErrorPages;
pub use multipart::fuzz as fuzz_multipart;
pub use ranges::fuzz as fuzz_range;
pub use traffic::{BOUNDS, Counted, Traffic};

use rr_config::Http;
use rr_net::{BindError, Listener};
use rr_plugin::{Context, Plugin};
use rr_pool::BoxFuture;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The HTTP plugin, bound to its addresses.
#[derive(Debug)]
pub struct HttpPlugin {
    config: Arc<Http>,
    listeners: Vec<Listener>,
    pages: Arc<ErrorPages>,
    traffic: Option<Arc<Traffic>>,
}

impl HttpPlugin {
    /// Binds the addresses of `config`. Sockets that a service manager has opened take the place of addresses.
    ///
    /// # Errors
    /// An address is malformed or taken.
    pub fn bind(config: Http, inherited: Vec<OwnedFd>) -> Result<Self, BindError> {
        const KEY: &str = "http.address";
        let options = rr_net::Options {
            reuse_port: config.reuse_port,
            backlog: config.backlog,
            socket_mode: config.socket_mode,
        };
        let listeners = if inherited.is_empty() {
            let addresses = config.address.iter();
            addresses.map(|address| rr_net::bind(KEY, address, &options)).collect::<Result<_, _>>()?
        } else {
            inherited.into_iter().map(|socket| rr_net::adopt(KEY, socket)).collect::<Result<_, _>>()?
        };
        Ok(Self { config: Arc::new(config), listeners, pages: Arc::default(), traffic: None })
    }

    /// Answers failures with these pages, which may be read anew at any time.
    #[must_use]
    pub fn with_pages(self, pages: Arc<ErrorPages>) -> Self {
        Self { pages, ..self }
    }

    /// Counts requests there (HS-11).
    #[must_use]
    pub fn with_traffic(self, traffic: Option<Arc<Traffic>>) -> Self {
        Self { traffic, ..self }
    }
}

impl Plugin for HttpPlugin {
    fn name(&self) -> &'static str {
        "http"
    }

    fn addresses(&self) -> Vec<String> {
        let shown = |listener: &Listener| listener.to_string().replacen("tcp://", "http://", 1);
        self.listeners.iter().map(shown).collect()
    }

    fn serve(self: Box<Self>, context: Context) -> BoxFuture<()> {
        // Here and not in the task: its descriptor is there from the start.
        let resolver = resolve::Resolver::new(&self.config.app);
        let watchers = watch::Watchers::new(self.traffic, context.tracer.clone());
        Box::pin(connection::serve(self.listeners, self.config, resolver, self.pages, watchers, context))
    }
}
