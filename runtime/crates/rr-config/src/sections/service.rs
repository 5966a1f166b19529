//! `service`: programs that run beside the workers.

use std::time::Duration;

use crate::decode::{Decoder, Kind, Row, Section, section};
use crate::kinds::{Environment, Flag, Number, Text, Time};
use crate::node::{Map, Node};
use crate::schema::Schema;

section! {
    /// `service.<name>`: a program that runs beside the workers. The section itself, which may be an empty map, has the
    /// server take services over RPC and from PHP.
    Service {
        /// What it runs. Blanks separate arguments; what belongs together stands in quotes.
        command: String = String::new() => Text;
        /// Processes of it.
        process_num: usize = 1 => Number::within(1, MAX_PROCESSES).or_default();
        /// How long a process may run before it is killed; 0 is no limit.
        exec_timeout: Duration = Duration::ZERO => Time::ANY;
        /// Whether a process that has ended, for whatever reason, is started again.
        remain_after_exit: bool = false => Flag;
        /// Seconds between an end and the start after it.
        restart_sec: u64 = 30 => Number::ANY.or_default();
        /// Seconds between SIGINT and SIGKILL when a process is to stop.
        timeout_stop_sec: u64 = 5 => Number::ANY.or_default();
        /// Further environment variables. Names become upper case.
        env: Vec<(String, String)> = Vec::new() => Environment;
        /// User it runs as; the server's own unless given.
        user: Option<String> = None => Text;
        /// Whether its lines are logged as `service.<name>` and not as `service`.
        service_name_in_log: bool = false => Flag;
    }
    finish needs_command;
}

/// More processes than this are a slip of the keyboard.
const MAX_PROCESSES: u64 = 1024;

fn needs_command(section: &mut Service, node: &Node, _: &Map, path: &str, decoder: &mut Decoder) {
    let key = format!("{path}.command");
    if section.command.trim().is_empty() && !decoder.is_wrong(&key) {
        decoder.incomplete(&node.at, &key, "is missing; give the command, or remove the service");
    }
}

/// The map of services.
pub(crate) struct Services;

impl Kind<Vec<(String, Service)>> for Services {
    fn name(&self) -> String {
        "map of name to service".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, Service)>> {
        let map = decoder.section(node, path)?;
        let mut services = Vec::new();
        for (name, node) in map.iter() {
            if let Some(service) = Service::decode(node, &format!("{path}.{name}"), decoder) {
                services.push((name.to_owned(), service));
            }
        }
        Some(services)
    }
    fn schema(&self) -> Schema {
        Schema::map_of(Service::schema())
    }
    fn show(&self, _: &Vec<(String, Service)>) -> String {
        String::new()
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        <Service as Section>::rows(path, rows);
    }
}
