//! The settings this version serves, one file per section. Each is a table (`section!`): struct, defaults,
//! decoding, known keys and reference come from it. Knows nothing of files, overrides or includes.

pub(crate) mod dev;
pub(crate) mod endure;
pub(crate) mod error_pages;
pub(crate) mod http;
pub(crate) mod https;
pub(crate) mod kv;
pub(crate) mod lock;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod middleware;
pub(crate) mod otel;
pub(crate) mod pool;
pub(crate) mod redis;
pub(crate) mod rpc;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod status;
