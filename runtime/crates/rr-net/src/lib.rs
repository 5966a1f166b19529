//! Addresses of the config, the sockets that listen on them, and the connections they accept.
#![forbid(unsafe_code)]

mod listen;
mod serve;
mod stream;

pub use listen::{BindError, Listener, Options, SocketFile, adopt, bind, bind_udp, check};
pub use serve::serve_each;
pub use stream::{Acceptor, Stream};
