//! Defaults by section, and the reference that is made from them.

use std::time::Duration;

use super::load;
use crate::{DynamicAllocator, LogEncoding, LogLevel, LogMode, Pool, Supervisor, reference};

#[test]
fn defaults_of_http_and_pool() {
    let http = load("http: {address: ':1'}").http.unwrap();
    assert_eq!((http.max_request_size, http.internal_error_code, http.raw_body), (1000 << 20, None, false));
    assert_eq!((http.max_header_size, http.max_headers, http.max_connections), (65536, 100, 0));
    assert_eq!((http.reuse_port, http.backlog, http.socket_mode), (false, 1024, 0o660));
    let timeouts = [http.header_timeout, http.idle_timeout, http.read_timeout, http.write_timeout];
    assert_eq!(timeouts.map(|timeout| timeout.as_secs()), [30, 75, 60, 60]);
    let pool = http.pool;
    assert_eq!(pool, Pool::default());
    assert_eq!((pool.ring_size, pool.prefetch, pool.spin), (256 << 10, 8, Duration::ZERO));
    assert_eq!(pool.supervisor, Supervisor { watch_tick: Duration::from_secs(5), ..Supervisor::default() });
    assert!(pool.workers() >= 1);
    assert_eq!(Pool { num_workers: 3, ..pool }.workers(), 3);
}

#[test]
fn zero_is_the_default_where_roadrunner_says_so() {
    let yaml = "http:
  address: ':1'
  pool: {allocate_timeout: 0, reset_timeout: 0s, supervisor: {watch_tick: 0}, dynamic_allocator: {max_workers: 0}}";
    let pool = load(yaml).http.unwrap().pool;
    let allocator = Some(DynamicAllocator::default());
    assert_eq!(pool, Pool { dynamic_allocator: allocator, ..Pool::default() });
    assert_eq!(DynamicAllocator::default().max_workers, 10);
}

#[test]
fn defaults_of_logs() {
    let logs = load("").logs;
    assert_eq!(
        (logs.mode, logs.level, logs.encoding),
        (LogMode::Development, LogLevel::Info, LogEncoding::Auto)
    );
    assert_eq!(
        (logs.output, logs.err_output, logs.line_ending.as_str()),
        (vec!["stderr".to_owned()], vec!["stderr".to_owned()], "\n")
    );
    let level = |yaml: &str| load(&format!("logs: {{{yaml}}}")).logs.level;
    assert_eq!(level("mode: development"), LogLevel::Debug);
    assert_eq!(level("mode: development, level: warn"), LogLevel::Warn);
    assert_eq!(level("mode: production"), LogLevel::Info);
    assert_eq!(level("level: panic"), LogLevel::Error);
    assert_eq!(level("level: ''"), LogLevel::Info);
    assert_eq!(load("logs: {mode: none}").logs.mode, LogMode::Off);
    let yaml = "logs: {file_logger_options: {log_output: /x.log}, channels: {HTTP: {mode: raw}, jobs: {level: debug}}}";
    let logs = load(yaml).logs;
    let file = logs.file.unwrap();
    assert_eq!(
        (file.path().to_str(), file.max_size, file.max_age, file.max_backups),
        (Some("/x.log"), 100, 24, 10)
    );
    assert_eq!((logs.channels[0].0.as_str(), logs.channels[0].1.mode), ("http", LogMode::Raw));
    assert_eq!(logs.channels[1].1.level, LogLevel::Debug);
    let yaml =
        "logs: {level: warn, output: [a], channels: {x: {encoding: json}, y: {mode: raw, output: [b]}}}";
    let channels = load(yaml).logs.channels;
    let seen = channels.iter().map(|(_, logs)| (logs.level, logs.mode, logs.output[0].as_str()));
    let expected = [(LogLevel::Warn, LogMode::Development, "a"), (LogLevel::Info, LogMode::Raw, "b")];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert!(load("logs: {file_logger_options: {}}").logs.file.unwrap().path().ends_with("roadrunner.log"));
}

#[test]
fn defaults_of_server() {
    let server = load("").server;
    assert_eq!((server.relay.as_str(), server.command.len(), server.on_init), ("pipes", 0, None));
    let init = load("server: {on_init: {command: 'php init.php'}}").server.on_init.unwrap();
    assert_eq!((init.command.len(), init.exec_timeout.as_secs(), init.exit_on_error), (2, 60, false));
}

#[test]
fn the_reference_has_every_key() {
    let text = reference();
    for line in [
        "| `http.pool.num_workers` | number, 0 to 16384 | `0` | Worker processes; 0 is one per CPU. |",
        "| `http.pool.supervisor.watch_tick` | duration | `5s` | How often workers are looked at. |",
        "| `http.pool.dynamic_allocator` | section | `off` | Adds workers while requests wait, and removes them afterwards. |",
        "| `http.max_request_size` | size, a bare number is MB | `1000MB` | Largest request body; a larger one is refused with 413. |",
        "| `http.socket_mode` | octal number | `\"0660\"` | Ours: permissions of a unix socket, in octal. |",
        "| `logs.file_logger_options.max_size` | number | `100` | Megabytes at which the file is rotated. |",
        "| `server.relay` | text | `\"pipes\"` | How command workers are connected: `pipes`, `tcp://host:port` or `unix://file`. |",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\nnot in\n{text}");
    }
}
