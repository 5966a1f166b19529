//! HTTP/1.1, 2 and 3, over TLS or without, and FastCGI: listeners, connections with their limits and timeouts, and the way of a request to a worker and back.
//! Rows HTTP- and HS- of the compatibility contract.
#![forbid(unsafe_code)]

mod body;
mod command;
mod conditions;
mod connection;
mod door;
mod error_pages;
mod failure;
mod fastcgi;
mod files;
#[cfg(feature = "http3")]
mod http3;
mod inbound;
mod io;
mod middleware;
mod multipart;
mod ranges;
mod redirect;
mod resolve;
mod respond;
mod root;
mod service;
mod sniff;
mod spool;
mod traffic;
mod uploads;
mod watch;

pub use command::fuzz as fuzz_form;
pub use error_pages::ErrorPages;
pub use middleware::forwarded::fuzz as fuzz_forwarded;
pub use multipart::fuzz as fuzz_multipart;
pub use ranges::fuzz as fuzz_range;
pub use traffic::{BOUNDS, Counted, Traffic};

use rr_config::Http;
use rr_net::BindError;
use rr_plugin::{Context, Plugin};
use rr_pool::BoxFuture;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Why the plugin cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// An address is malformed or taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] rr_tls::TlsError),
    /// A middleware lacks something; the text begins with its key.
    #[error("{0}")]
    Middleware(String),
}

/// The HTTP plugin, bound to its addresses.
#[derive(Debug)]
pub struct HttpPlugin {
    config: Arc<Http>,
    doors: door::Doors,
    chain: Option<middleware::Chain>,
    pages: Arc<ErrorPages>,
    traffic: Option<Arc<Traffic>>,
}

impl HttpPlugin {
    /// Binds the addresses of `config`. Sockets that a service manager has opened take the place of addresses.
    ///
    /// # Errors
    /// An address is malformed or taken, or a middleware lacks something.
    pub fn bind(config: Http, inherited: Vec<OwnedFd>) -> Result<Self, HttpError> {
        let chain = middleware::Chain::new(&config).map_err(HttpError::Middleware)?;
        let doors = door::Doors::bind(&config, inherited)?;
        Ok(Self { config: Arc::new(config), doors, chain, pages: Arc::default(), traffic: None })
    }

    /// What [`HttpPlugin::bind`] would refuse, but for what only listening shows.
    #[must_use]
    pub fn problems(config: &Http) -> Vec<String> {
        let chain = middleware::Chain::new(config).err();
        chain.into_iter().chain(door::problems(config)).collect()
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
        self.doors.shown()
    }

    fn serve(self: Box<Self>, context: Context) -> BoxFuture<()> {
        // Here and not in the task: its descriptor is there from the start.
        let resolver = resolve::Resolver::new(&self.config.app);
        let watchers = watch::Watchers::new(self.traffic, context.tracer.clone());
        let serving = connection::Serving {
            doors: self.doors,
            config: self.config,
            resolver,
            chain: self.chain,
            pages: self.pages,
            watchers,
        };
        Box::pin(connection::serve(serving, context))
    }
}
