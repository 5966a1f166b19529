//! What monitors ask (rows ST-01…05, R-30): whether the server lives, whether it can take work, and what each worker does
//! at this moment. Over HTTP on an address of its own, over RPC, and for the server's own tools.
//!
//! `check.rs` decides, `view.rs` lists the workers, `plugin.rs` is the listener. What there is to look at comes from a
//! [`Source`], which the runtime has.
#![forbid(unsafe_code)]

mod check;
mod plugin;
mod view;

pub use check::methods;
pub use plugin::{Dials, Settings, StatusPlugin};
pub use view::{View, WorkerView};

use rr_pool::Pool;
use std::sync::Arc;

/// What there is to look at.
pub trait Source: Send + Sync {
    /// Plugins with workers, and their pools.
    fn pools(&self) -> Vec<(&'static str, Arc<Pool>)>;

    /// The server finishes what it has and takes no more.
    fn is_stopping(&self) -> bool;
}
