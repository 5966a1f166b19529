//! `endure`: how the application as a whole stops (CFG-13).

use std::time::Duration;

use crate::decode::{Decoder, Kind, section};
use crate::kinds::{Flag, Number, Text, Time};
use crate::node::Node;
use crate::schema::Schema;

section! {
    /// How the application as a whole stops. Unlike RoadRunner, which reads it from the bare file, this
    /// section takes part in environment variables, overrides and includes.
    Endure {
        /// How long work in progress may go on after a stop was asked for.
        grace_period: Duration = Duration::from_secs(30) => Time::ANY;
        /// Level of the messages about starting and stopping plugins: `debug`, `info`, `warn`, `error` or
        /// `panic`.
        log_level: String = "error".into() => Level;
        /// Kept for RoadRunner's files; there is no plugin graph to print.
        print_graph: bool = false => Flag;
        /// Interval of systemd's watchdog in seconds; 0 is off.
        watchdog_sec: u64 = 0 => Number::ANY;
    }
}

/// A level that RoadRunner only warns about when it is wrong.
struct Level;

impl Kind<String> for Level {
    fn name(&self) -> String {
        Kind::<String>::name(&Text)
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<String> {
        let level = Kind::<String>::read(&Text, node, path, decoder)?.to_lowercase();
        if matches!(level.as_str(), "debug" | "info" | "warn" | "error" | "panic") {
            return Some(level);
        }
        let message = format!(
            "{} is no level, \"error\" is used; write debug, info, warn, error or panic",
            node.describe()
        );
        decoder.warn(&node.at, path, message);
        None
    }
    fn schema(&self) -> Schema {
        Schema::text()
    }
    fn show(&self, value: &String) -> String {
        Text.show(value)
    }
}
