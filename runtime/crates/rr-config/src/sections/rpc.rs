//! `rpc`: the goridge listener for clients of RoadRunner's RPC.

use crate::decode::{Decoder, section};
use crate::kinds::{Number, Size, Text};
use crate::node::{Map, Node};

section! {
    /// The goridge RPC listener. Without the section there is none; native calls of workers need none.
    Rpc {
        /// Where to listen: `tcp://host:port` or `unix://file`.
        listen: String = "tcp://127.0.0.1:6001".into() => Text;
        /// Ours: longest message, up to 1GB.
        max_message_size: u32 = 64 << 20 => MESSAGE;
        /// Ours: most connections at a time; more wait to be accepted.
        max_connections: usize = 10_000 => Number::within(1, 1_000_000).or_default();
    }
    finish has_a_scheme;
}

const MESSAGE: Size = Size { unit: 1, min: 1 << 10, max: 1 << 30, zero_default: true };

fn has_a_scheme(section: &mut Rpc, node: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    if section.listen.is_empty() {
        section.listen = Rpc::default().listen;
    }
    if !section.listen.contains("://") {
        let at = map.get("listen").map_or(&node.at, |node| &node.at);
        let message = format!("{:?} has no scheme; write tcp://host:port or unix://file", section.listen);
        decoder.wrong::<()>(at, &format!("{path}.listen"), message);
    }
}
