//! `status`: the listener for monitors.

use std::time::Duration;

use crate::decode::{Decoder, section};
use crate::kinds::{Number, Text, Time};
use crate::node::{Map, Node};

section! {
    /// The listener for monitors: `/health`, `/ready`, `/jobs` and `/workers`. Without the section there is none.
    Status {
        /// Where to listen: `host:port`, `tcp://host:port` or `unix://file`.
        address: String = String::new() => Text;
        /// Status of the answer when a plugin does not live or is not ready.
        unavailable_status_code: u16 = 503 => Number::within(100, 599).or_default();
        /// How long a connection may take; a bare number counts seconds.
        check_timeout: Duration = Duration::from_secs(60) => Time::SECONDS_OR_DEFAULT;
    }
    finish needs_address;
}

fn needs_address(section: &mut Status, node: &Node, _: &Map, path: &str, decoder: &mut Decoder) {
    let key = format!("{path}.address");
    if section.address.is_empty() && !decoder.is_wrong(&key) {
        decoder.incomplete(&node.at, &key, "is missing; write host:port, or remove the section");
    }
}
