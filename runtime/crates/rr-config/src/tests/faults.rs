//! A configuration wrong in many ways: each fault says where it is, what is wrong and what to do.

use super::{fault, try_load, warnings};

#[test]
fn wrong_in_many_ways_each_alone() {
    let http = |rest: &str| format!("http:\n  address: ':1'\n  {rest}");
    let table = [
        (http("pool: {num_workers: many}"), "4: http.pool.num_workers: expected a number, got \"many\""),
        (
            http("pool: {num_workers: -1}"),
            "4: http.pool.num_workers: expected a number from 0 to 16384, got -1",
        ),
        (
            http("pool: {num_workers: 16385}"),
            "4: http.pool.num_workers: expected a number from 0 to 16384, got 16385",
        ),
        (http("pool: {num_workers: 1.5}"), "4: http.pool.num_workers: expected a whole number, got 1.5"),
        (http("pool: 8"), "4: http.pool: expected a section, that is keys with values, got 8"),
        (
            http("pool: {allocate_timeout: '60'}"),
            "4: http.pool.allocate_timeout: \"60\" has no unit; write \"60s\" for seconds",
        ),
        (
            http("pool: {allocate_timeout: soon}"),
            "4: http.pool.allocate_timeout: expected a duration such as \"60s\" or \"1m30s\", got \"soon\"",
        ),
        (
            http("pool: {destroy_timeout: -5s}"),
            "4: http.pool.destroy_timeout: expected a duration that is not negative, got \"-5s\"",
        ),
        (http("pool: {debug: maybe}"), "4: http.pool.debug: expected true or false, got \"maybe\""),
        (http("pool: {command: {a: b}}"), "4: http.pool.command: expected a list of texts, got a map"),
        (http("pool: {command: [php, [x]]}"), "4: http.pool.command[1]: expected a text, got a list"),
        (
            http("pool: {dynamic_allocator: {max_workers: many}}"),
            "4: http.pool.dynamic_allocator.max_workers: expected a number, got \"many\"",
        ),
        (
            http("pool: {dynamic_allocator: {spawn_rate: -1}}"),
            "4: http.pool.dynamic_allocator.spawn_rate: expected a number that is not negative, got -1",
        ),
        (
            http("pool: {dynamic_allocator: {idle_timeout: soon}}"),
            "4: http.pool.dynamic_allocator.idle_timeout: expected a duration such as \"60s\" or \"1m30s\", got \"soon\"",
        ),
        (
            http("pool: {ring_size: 5000}"),
            "4: http.pool.ring_size: expected a power of two such as \"256KB\", got 5000",
        ),
        (
            http("pool: {ring_size: 1KB}"),
            "4: http.pool.ring_size: expected a size from 4KB to 64MB, got \"1KB\"",
        ),
        (http("pool: {prefetch: 16}"), "4: http.pool.prefetch: expected a number from 0 to 15, got 16"),
        (
            http("internal_error_code: 99"),
            "4: http.internal_error_code: expected a number from 100 to 599, got 99",
        ),
        (
            http("max_request_size: big"),
            "4: http.max_request_size: expected a size such as \"64KB\" or \"10MB\", got \"big\"",
        ),
        (http("read_timeout: 0"), "4: http.read_timeout: expected a duration of at least 1ms, got 0"),
        (
            http("socket_mode: 660"),
            "4: http.socket_mode: expected permissions in octal such as \"0660\", got 660",
        ),
        (
            "http: {pool: {}}".into(),
            "2: http.address: is missing, so there is nothing to listen on; write e.g. \"127.0.0.1:8080\"",
        ),
        (
            "http: {address: here}".into(),
            "2: http.address: malformed http server address \"here\"; write host:port or unix://file",
        ),
        ("http: {address: {a: b}}".into(), "2: http.address: expected a list of texts, got a map"),
        ("server: {user: [a]}".into(), "2: server.user: expected a text, got a list"),
        (
            "server: {relay: shm}".into(),
            "2: server.relay: expected pipes or a valid DSN (tcp://:6001, unix://file.sock), got \"shm\"",
        ),
        (
            "server: {env: [A=b]}".into(),
            "2: server.env: expected names with values, or a list of them, got \"A=b\"",
        ),
        ("server: {env: {a: [b]}}".into(), "2: server.env.a: expected a text, got a list"),
        (
            "server: {on_init: {exec_timeout: 1s}}".into(),
            "2: server.on_init.command: is missing; give the command, or remove on_init",
        ),
        (
            "logs: {encoding: loud}".into(),
            "2: logs.encoding: expected one of auto, console, json, got \"loud\"",
        ),
        (
            "logs:\n  channels:\n    http: {encoding: 7}".into(),
            "4: logs.channels.http.encoding: expected one of auto, console, json, got 7",
        ),
        ("endure: {watchdog_sec: x}".into(), "2: endure.watchdog_sec: expected a number, got \"x\""),
    ];
    for (yaml, want) in table {
        assert_eq!(fault(&yaml), format!(".rr.yaml:{want}"), "{yaml}");
    }
}

#[test]
fn wrong_in_ten_ways_at_once() {
    let yaml = "http:
  address: nowhere
  internal_error_code: 700
  max_request_size: -1
  pool:
    num_workers: many
    allocate_timeout: 60 seconds
    debug: perhaps
    supervisor:
      exec_ttl: '5'
      max_worker_memory: lots
logs:
  encoding: loud
server:
  relay: pigeons
";
    let text = fault(yaml);
    let lines: Vec<&str> = text.lines().map(|line| line.split(" expected").next().unwrap()).collect();
    let want = [
        ".rr.yaml:3: http.address: malformed http server address \"nowhere\"; write host:port or unix://file",
        ".rr.yaml:4: http.internal_error_code:",
        ".rr.yaml:5: http.max_request_size:",
        ".rr.yaml:7: http.pool.num_workers:",
        ".rr.yaml:8: http.pool.allocate_timeout:",
        ".rr.yaml:9: http.pool.debug:",
        ".rr.yaml:11: http.pool.supervisor.exec_ttl: \"5\" has no unit; write \"5s\" for seconds",
        ".rr.yaml:12: http.pool.supervisor.max_worker_memory:",
        ".rr.yaml:14: logs.encoding:",
        ".rr.yaml:16: server.relay:",
    ];
    assert_eq!(lines, want);
}

#[test]
fn a_number_that_wants_a_unit_is_warned_of() {
    let text = ".rr.yaml:2: endure.grace_period: 30 without a unit means nanoseconds; did you mean \"30s\"?";
    assert_eq!(warnings("endure: {grace_period: 30}"), [text]);
    assert!(warnings("endure: {grace_period: 0}").is_empty());
    assert!(warnings("endure: {grace_period: 30000000000}").is_empty());
}

#[test]
fn nonsense_does_not_flood_the_terminal() {
    let yaml: String = (0..30_000).map(|n| format!("unknown_{n}: 1\n")).collect();
    assert_eq!(try_load(&yaml).unwrap().warnings.len(), 100);
}
