//! Servers with command workers, connected in each way there is.

use crate::{Options, Server, free_port};
use serde_json::Value;

/// How workers are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In a fork, over shared memory.
    Fork,
    /// As a program, over its pipes.
    Pipes,
    /// Over a TCP socket.
    Tcp,
    /// Over a unix socket.
    Unix,
}

/// All of them.
pub const ALL: [Way; 4] = [Way::Fork, Way::Pipes, Way::Tcp, Way::Unix];
/// Those whose bytes the master reads itself.
pub const PROGRAMS: [Way; 3] = [Way::Pipes, Way::Tcp, Way::Unix];

/// The PHP under test, as a text.
#[must_use]
pub fn php() -> String {
    crate::php().display().to_string()
}

/// A server with this command and one worker. `more` are lines of YAML.
#[must_use]
pub fn options(way: Way, command: &str, more: &str) -> Options {
    let relay = match way {
        Way::Fork => "pipes\n  fork: true".to_owned(),
        Way::Pipes => "pipes\n  fork: false".to_owned(),
        Way::Tcp => format!("tcp://127.0.0.1:{}", free_port()),
        Way::Unix => "unix://relay.sock".to_owned(),
    };
    let yaml = format!(
        "version: '3'\nserver:\n  command: {command}\n  relay: {relay}\n  env:\n    - Foo_Bar: baz\nhttp:\n  \
         address: ${{HTTP_ADDRESS}}\n  pool:\n    num_workers: ${{WORKERS:-1}}\n{more}"
    );
    let source = "<?php RoadRunner\\Server::fromFile('.rr.yaml')->run();";
    // The relay of a worker is two descriptors more while it is replaced.
    Options::source(source).file(".rr.yaml", &yaml).expect_errors().descriptors_may_grow()
}

/// A server with the example worker.
#[must_use]
pub fn example(way: Way, more: &str) -> Options {
    let worker = crate::workspace().join("examples/roadrunner/worker.php");
    options(way, &format!("['{}', '{}', '-x', 'a b']", php(), worker.display()), more)
}

/// A server with a worker that does what no worker should.
#[must_use]
pub fn faulty(way: Way, more: &str) -> Options {
    let worker = crate::workspace().join("e2e/php/roadrunner/faults.php");
    options(way, &format!("['{}', '{}']", php(), worker.display()), more)
}

/// What is answered to a GET, which must be 200 with JSON.
pub fn json(server: &Server, target: &str) -> Value {
    let response = server.get(target);
    assert_eq!(response.status, 200, "{}\n{}", response.text(), server.logs.text());
    serde_json::from_slice(&response.body).expect("JSON")
}

/// What is answered to a POST.
pub fn post(server: &Server, target: &str, kind: &str, body: &[u8]) -> (u16, Value) {
    let mut client = server.client();
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: app.test\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    client.send([head.as_bytes(), body].concat());
    let response = client.read();
    (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
}

/// The checksum in an answer.
#[must_use]
pub fn sha1(value: &Value) -> &str {
    value["sha1"].as_str().unwrap_or_default()
}
