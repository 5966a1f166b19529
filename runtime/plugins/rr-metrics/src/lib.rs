//! Metrics: collectors from config and from PHP, counted in the cells of workers and in the master, given out as
//! Prometheus text. Rows R-80…82 and ME-01…04 of the compatibility contract.
//!
//! Counters and histograms of PHP are counted by each worker in its own cells (`rr_shm::cells`): no message, no lock.
//! The master adds them up when somebody asks (`cellar`). Gauges and summaries live in the master (`registry`):
//! the last writer of a gauge is the last one only where all write to one place, and a quantile is no sum.
#![forbid(unsafe_code)]

mod cellar;
mod definition;
mod error;
mod family;
mod http;
mod own;
mod registry;
mod rpc;
mod summary;
mod text;

#[cfg(test)]
mod tests;

pub use definition::{Definition, Kind};
pub use error::{Cause, Error, Operation};
pub use http::MetricsPlugin;
pub use own::{PoolSeries, ProcessSeries};
pub use registry::{Collect, Limits, Registry};
pub use rpc::{native, service};
pub use rr_wire::metrics::{Change, Grant};
pub use text::Page;
