//! Remote procedure calls (rows RP- of the compatibility contract): one registry of methods serves the goridge listener
//! (`rpc.listen`) and what workers ask on their call lane. A plugin makes a [`Service`]; each operation is written once
//! and stands there under its RoadRunner name, with arguments in any codec, and under a native name, whose body is the
//! plugin's own and whose handler knows who calls.
#![forbid(unsafe_code)]

mod codec;
mod connection;
pub mod message;
mod server;
mod service;

pub use codec::{Codec, CodecError, Message, Plain, Proto, Raw};
pub use connection::fuzz;
pub use server::{RpcPlugin, Settings};
pub use service::{Ends, Registry, Reply, Service, Traffic};
