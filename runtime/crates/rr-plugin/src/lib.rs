//! All that a plugin may depend on. A plugin is registered from config, then serves until it is told to drain; no
//! plugin knows another. The list of plugins is in the composition root (`runtime/src/plugins.rs`).
#![forbid(unsafe_code)]

pub mod trace;

use rr_dev::Dev;
pub use rr_os::user::{Identity, open_as};
use rr_pool::{BoxFuture, Pool};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// What a plugin gets to serve with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Whom its workers run as, where that is not the master's own user.
    pub user: Option<Arc<Identity>>,
    /// Its workers use PHP's web side: superglobals, output as the response.
    pub web: bool,
    /// Its workers are programs that speak goridge frames.
    pub command: bool,
    /// Its pool.
    pub pool: Arc<Pool>,
    /// Becomes `true` when it should finish.
    pub drain: Drain,
    /// Development mode, when it is on.
    pub dev: Option<Arc<Dev>>,
    /// Traces its units of work, when that is wanted.
    pub tracer: Option<Arc<dyn trace::Tracer>>,
}

/// Tells when to finish.
#[derive(Debug, Clone)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// A drain and the end that triggers it.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether it is time to finish.
    #[must_use]
    pub fn is_now(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is time to finish.
    pub async fn wait(&mut self) {
        // A sender that is gone means the same.
        let _ = self.0.wait_for(|now| *now).await;
    }
}

/// A plugin that is ready to serve. What it needed from the system (addresses, files) it has taken before, so that
/// an error of that kind ends the start and not the running server.
pub trait Plugin: Send {
    /// Its name: config section, pool, log target.
    fn name(&self) -> &'static str;

    /// Where it can be reached, for the start banner.
    fn addresses(&self) -> Vec<String>;

    /// Serves until it is drained: returns once it has nothing in flight.
    fn serve(self: Box<Self>, context: Context) -> BoxFuture<()>;
}

/// A plugin without workers of its own: a listener beside those that serve the app. Addresses are taken before it
/// serves, as with [`Plugin`].
pub trait Background: Send {
    /// Its name: config section, log target.
    fn name(&self) -> &'static str;

    /// Where it can be reached, for the start banner.
    fn addresses(&self) -> Vec<String>;

    /// Whether workers need it before they are ready: it serves before they start then, and `start` is not called.
    fn is_early(&self) -> bool {
        false
    }

    /// Starts what must be there when the server says that it serves. Called once, before `serve`.
    ///
    /// # Errors
    /// The text of what is missing; the server does not start then.
    fn start(&mut self) -> BoxFuture<Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Serves until it is drained, which is after the plugins with workers are done. Should return soon then:
    /// `endure.grace_period` is waited for.
    fn serve(self: Box<Self>, drain: Drain) -> BoxFuture<()>;
}

/// A process that a plugin looks after beside the pools.
#[derive(Debug, Clone)]
pub struct Attended {
    /// Its process id.
    pub pid: u32,
    /// When it was started.
    pub since: Instant,
    /// How often it was started again before.
    pub restarts: u64,
    /// What it runs.
    pub command: String,
}

/// What `informer` and `resetter` do with a plugin that has processes of its own and no pool (rows R-10…R-21).
pub trait Attendant: Send + Sync {
    /// The plugin's name.
    fn name(&self) -> &'static str;

    /// Its processes.
    fn processes(&self) -> Vec<Attended>;

    /// Replaces them; resolves when the new ones run.
    fn reset(&self) -> BoxFuture<Result<(), String>>;
}
