//! `server`: the command workers run and what they inherit.

use std::time::Duration;

use crate::decode::{Decoder, section};
use crate::kinds::{Checked, Command, Environment, Flag, Maybe, Text, Time};
use crate::node::{Map, Node};

section! {
    /// The command that workers run, as whom, and in which environment.
    Server {
        /// Command of a worker. One text is split at single blanks, without regard to quotes; a list is
        /// used as it is.
        command: Vec<String> = Vec::new() => Command;
        /// User that workers run as.
        user: Option<String> = None => Text;
        /// Group that workers run as; the user's own group unless given.
        group: Option<String> = None => Text;
        /// Environment variables of the workers, a map or a list of maps. Names become upper case.
        env: Vec<(String, String)> = Vec::new() => Environment;
        /// How command workers are connected: `pipes`, `tcp://host:port` or `unix://file`.
        relay: String = "pipes".into() => RELAY;
        /// Ours: where the command is `php script arguments`, its workers are forks of a PHP that has started already,
        /// and their pipes are shared memory.
        fork: bool = true => Flag;
        /// A command that runs once before any worker.
        on_init: Option<OnInit> = None => Maybe;
    }
    // A key of RoadRunner 2 that RoadRunner itself dropped.
    unserved "relay_timeout";
    finish has_a_relay;
}

fn has_a_relay(section: &mut Server, _: &Node, _: &Map, _: &str, _: &mut Decoder) {
    if section.relay.is_empty() {
        section.relay = Server::default().relay;
    }
}

section! {
    /// A command that runs once before any worker.
    OnInit {
        /// The command; written as `server.command`.
        command: Vec<String> = Vec::new() => Command;
        /// How long it may take before it is killed.
        exec_timeout: Duration = Duration::from_secs(60) => Time::OR_DEFAULT;
        /// Whether its failure stops the start.
        exit_on_error: bool = false => Flag;
        /// Further environment variables.
        env: Vec<(String, String)> = Vec::new() => Environment;
        /// User it runs as.
        user: Option<String> = None => Text;
    }
    finish needs_command;
}

/// RoadRunner's words for a wrong one.
const RELAY: Checked<Text, String> =
    Checked(Text, valid_relay, "pipes or a valid DSN (tcp://:6001, unix://file.sock)");

fn valid_relay(relay: &String) -> bool {
    let rest = relay.strip_prefix("tcp://").or_else(|| relay.strip_prefix("unix://"));
    relay.is_empty() || relay == "pipes" || rest.is_some_and(|rest| !rest.is_empty())
}

fn needs_command(section: &mut OnInit, node: &Node, _: &Map, path: &str, decoder: &mut Decoder) {
    let key = format!("{path}.command");
    if section.command.is_empty() && !decoder.is_wrong(&key) {
        decoder.incomplete(&node.at, &key, "is missing; give the command, or remove on_init");
    }
}
