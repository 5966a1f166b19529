//! Settings from files and from PHP: what is wrong is said with its place, and nothing starts.

use e2e::{Client, Options};

const SCRIPT: &str = "<?php
use RoadRunner\\{Request, Response, Server};
$overrides = json_decode(getenv('OVERRIDES') ?: '[]');
Server::fromFile(__DIR__ . '/' . (getenv('FILE') ?: '.rr.yaml'), $overrides)
    ->http(null, fn (Request $request) => new Response((string) getmypid()))
    ->run();";

fn with(yaml: &str) -> Options {
    Options::source(SCRIPT).yaml(yaml)
}

const GOOD: &str = "version: '3'\nhttp:\n  address: 127.0.0.1:0\n  pool:\n    num_workers: 1\n";

#[test]
fn ten_wrong_settings_are_ten_located_errors() {
    let pool = |line: &str| format!("{GOOD}    {line}\n");
    let http = |line: &str| format!("version: '3'\nhttp:\n  address: 127.0.0.1:0\n  {line}\n");
    // Each with the line it is in and what the message must say.
    let cases = [
        ("http: {}\n".to_owned(), "", "version"),
        ("version: 3\nhttp:\n  address: 127.0.0.1:0\n".to_owned(), ":1", "version should be a string"),
        ("version: '3'\nhttp:\n\tbad: tab\n".to_owned(), ":3", ""),
        (http("pool: {num_workers: many}"), ":4", "http.pool.num_workers"),
        (pool("max_jobs: -1"), ":6", "http.pool.max_jobs"),
        (pool("allocate_timeout: 5 parsecs"), ":6", "http.pool.allocate_timeout"),
        (pool("ring_size: 5000"), ":6", "a power of two"),
        (http("pool: 5"), ":4", "http.pool"),
        (http("internal_error_code: 1000"), ":4", "http.internal_error_code"),
        (http("max_request_size: huge"), ":4", "http.max_request_size"),
        ("version: '3'\nhttp:\n  address: localhost\n".to_owned(), ":3", "malformed http server address"),
        ("version: '3'\nhttp:\n  address: ''\n".to_owned(), ":3", "nothing to listen on"),
        (format!("{GOOD}logs:\n  encoding: loud\n"), ":7", "logs.encoding"),
        (format!("{GOOD}logs:\n  encoding: xml\n"), ":7", "logs.encoding"),
        (format!("{GOOD}server:\n  relay: carrier-pigeon\n"), ":7", "server.relay"),
        (http("socket_mode: '999'"), ":4", "http.socket_mode"),
        (format!("{GOOD}endure:\n  grace_period: soon\n"), ":7", "endure.grace_period"),
        (http("access_logs: perhaps"), ":4", "http.access_logs"),
        (format!("{GOOD}include: [missing.yaml]\n"), "", "missing.yaml"),
        ("version: '3'\nhttp: [1, 2]\n".to_owned(), ":2", "http"),
    ];
    for (yaml, line, what) in cases {
        let end = with(&yaml).finish();
        let text = &end.stderr;
        assert!(end.code.is_some_and(|code| code != 0), "{yaml}\nstarts, or dies: {:?} {text}", end.code);
        assert!(text.contains("ConfigException"), "{yaml}\n{text}");
        assert!(text.contains(what), "{yaml}\n{what:?} is not in: {text}");
        assert!(
            text.contains(&format!(".rr.yaml{line}")) || line.is_empty(),
            "{yaml}\nno place {line} in: {text}"
        );
    }
}

#[test]
fn a_missing_file_is_an_error_with_its_name() {
    let end = Options::source(SCRIPT).env("FILE", "nowhere.yaml").finish();
    assert_ne!(end.code, Some(0));
    assert!(end.stderr.contains("nowhere.yaml"), "{}", end.stderr);
}

#[test]
fn several_wrong_settings_are_told_at_once() {
    let end =
        with("version: '3'\nhttp:\n  address: x\n  max_headers: many\n  pool:\n    debug: 7x\n").finish();
    for part in ["malformed http server address", "http.max_headers", "http.pool.debug"] {
        assert!(end.stderr.contains(part), "{part}: {}", end.stderr);
    }
}

#[test]
fn wrong_settings_from_php_are_exceptions_where_they_are_given() {
    let end = Options::source(
        "<?php use RoadRunner\\{ConfigException, Server};
         $cases = [
             fn () => Server::create(['http' => ['pool' => ['num_workers' => 'many']]]),
             fn () => Server::create(['logs' => ['encoding' => 'loud']]),
             fn () => Server::create()->set('http.pool.max_jobs', -3),
             fn () => Server::create()->set('http.pool', new stdClass),
             fn () => Server::create()->http('127.0.0.1:0', 'no_such_function'),
             fn () => Server::create()->boot(5),
             fn () => Server::fromFile('/nonexistent.yaml'),
             fn () => Server::create([[[[5]]]])->set('a.b', str_repeat('x', 10)),
         ];
         foreach ($cases as $number => $case) {
             try { $case(); echo \"$number fine\\n\"; }
             catch (ConfigException $error) { echo \"$number: \", $error->getMessage(), \"\\n\"; }
         }",
    )
    .finish();
    let text = &end.stdout;
    assert_eq!(end.code, Some(0), "{text} {}", end.stderr);
    let parts = ["http.pool.num_workers", "logs.encoding", "http.pool.max_jobs", "expected a callable"];
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
    for number in 0..=6 {
        assert!(text.contains(&format!("{number}: ")), "{number}: {text}");
    }
}

#[test]
fn run_without_an_address_ends_with_1() {
    for (address, part) in
        [("null", "there is nothing to serve"), ("'nonsense'", "malformed http server address")]
    {
        let code = format!("<?php RoadRunner\\Server::create()->http({address}, fn () => 'x')->run();");
        let end = Options::source(&code).finish();
        assert!(end.code.is_some_and(|code| code != 0), "{address}: {:?}", end.code);
        assert!(end.stderr.contains(part), "{address}: {}", end.stderr);
    }
}

#[test]
fn cfg_15_an_unknown_key_warns_with_a_suggestion() {
    let server = with(&format!("{GOOD}    max_job: 5\n    zzz: 1\nhtpp: {{}}\n")).start();
    let warning = server.logs.expect("max_jobs");
    assert_eq!((&warning["level"], &warning["logger"]), (&"warn".into(), &"config".into()));
    assert!(
        warning["msg"].as_str().is_some_and(|text| text.contains("max_job") && text.contains(":6")),
        "{warning}"
    );
    server.logs.expect("zzz");
    let warning = server.logs.expect("htpp");
    assert!(warning["msg"].as_str().is_some_and(|text| text.contains("http")), "{warning}");
    assert_eq!(server.get("/").status, 200);
    server.stop();
}

#[test]
fn cfg_07_environment_in_values() {
    let yaml = "version: '3'\nhttp:\n  address: ${MY_HOST:-127.0.0.1}:${MY_PORT:-0}\n  pool:\n    num_workers: ${MY_WORKERS}\n    max_jobs: ${UNSET:-7}\n";
    let server = with(yaml).env("MY_WORKERS", "3").start();
    assert_eq!(server.banner()["workers"], 3);
    server.stop();
    let end = with(yaml).env("MY_WORKERS", "three").finish();
    assert_ne!(end.code, Some(0));
    assert!(end.stderr.contains("http.pool.num_workers"), "{}", end.stderr);
}

#[test]
fn cfg_06_overrides_win() {
    let server = with(GOOD)
        .env("OVERRIDES", r#"["http.pool.num_workers=2", "http.pool.max_jobs=1", "logs.level=debug"]"#)
        .start();
    assert_eq!(server.banner()["workers"], 2);
    assert_ne!(server.text("/"), server.text("/"), "max_jobs: a worker per request");
    server.stop();
    for wrong in [r#"["nonsense"]"#, r#"["http.pool.num_workers=x"]"#] {
        let end = with(GOOD).env("OVERRIDES", wrong).finish();
        assert_ne!(end.code, Some(0));
        assert!(end.stderr.contains("ConfigException"), "{}", end.stderr);
    }
}

#[test]
fn cfg_05_includes_replace_sections() {
    let server = with(&format!("{GOOD}include: [more.yaml]\n"))
        .file("more.yaml", "version: '3'\nhttp:\n  address: 127.0.0.1:0\n  pool:\n    num_workers: 3\n")
        .start();
    assert_eq!(server.banner()["workers"], 3);
    server.stop();
    let end = with(&format!("{GOOD}include: [more.yaml]\n")).file("more.yaml", "version: '2.7'\n").finish();
    assert_ne!(end.code, Some(0));
    assert!(end.stderr.contains("version in included file must be the same as in root"), "{}", end.stderr);
}

#[test]
fn cfg_04_version_2_7_is_accepted() {
    let server = with(&GOOD.replace("'3'", "'2.7'")).start();
    assert_eq!(server.get("/").status, 200);
    server.stop();
}

#[test]
fn cfg_14_a_roadrunner_file_with_other_plugins_starts() {
    let yaml = format!(
        "{GOOD}server:\n  command: 'php worker.php'\nrpc:\n  listen: tcp://127.0.0.1:6001\njobs:\n  pool: {{num_workers: 1}}\n\
         kv:\n  local: {{driver: memory, config: {{}}}}\nlogs:\n  mode: production\n  level: info\n  encoding: json\n"
    );
    let server = with(&yaml).start();
    assert_eq!(server.get("/").status, 200);
    server.stop();
}

#[test]
fn check_tells_warnings_and_errors_without_starting() {
    let script = "<?php
        foreach (['good', 'unknown', 'wrong'] as $name) {
            try { echo $name, ': ', json_encode(RoadRunner\\Server::check(__DIR__ . \"/$name.yaml\")), \"\\n\"; }
            catch (RoadRunner\\ConfigException $error) { echo $name, ' wrong: ', $error->getMessage(), \"\\n\"; }
        }";
    let end = Options::source(script)
        .file("good.yaml", GOOD)
        .file("unknown.yaml", &format!("{GOOD}    max_job: 1\n"))
        .file("wrong.yaml", &format!("{GOOD}    max_jobs: x\n"))
        .finish();
    assert!(end.stdout.contains("good: []\n"), "{} {}", end.stdout, end.stderr);
    assert!(end.stdout.contains("unknown: [\""), "{}", end.stdout);
    assert!(
        end.stdout.contains("wrong wrong: ") && end.stdout.contains("http.pool.max_jobs"),
        "{}",
        end.stdout
    );
}

#[test]
fn json_files_are_read_too() {
    let json = r#"{"version": "3", "http": {"address": "127.0.0.1:0", "pool": {"num_workers": 2}}}"#;
    let server = Options::source(SCRIPT).file("rr.json", json).env("FILE", "rr.json").start();
    assert_eq!(server.banner()["workers"], 2);
    server.stop();
}

#[test]
fn log_modes_and_files() {
    let server = with(&format!("{GOOD}logs:\n  encoding: json\n  output: [stderr, log.txt]\n")).start();
    assert_eq!(server.get("/").status, 200);
    e2e::eventually("the file has the lines too", || {
        server.read("log.txt").contains("RoadRunner server started")
    });
    server.stop();
    let end = with(&format!("{GOOD}logs:\n  output: /nonexistent/dir/log.txt\n")).finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(end.stderr.contains("/nonexistent/dir/log.txt"), "{}", end.stderr);
}

#[test]
fn an_address_nobody_has_is_an_error() {
    for (address, part) in [
        ("192.0.2.77:0", "192.0.2.77"),
        ("127.0.0.1:99999", "no address"),
        ("unix:///nonexistent/x.sock", "x.sock"),
    ] {
        let end = Options::handler("return 'x';").env("HTTP_ADDRESS", address).finish();
        assert_eq!(end.code, Some(1), "{address}: {}", end.stderr);
        assert!(end.stderr.contains(part), "{address}: {}", end.stderr);
    }
}

#[test]
fn reuse_port_lets_two_servers_share_an_address() {
    let first = Options::handler("return 'first';").set("http.reuse_port", "true").start();
    let address = first.addr().to_owned();
    let second = Options::handler("return 'second';")
        .set("http.reuse_port", "true")
        .env("HTTP_ADDRESS", &address)
        .start();
    let mut seen = std::collections::BTreeSet::new();
    e2e::eventually("both answer", || {
        seen.insert(Client::connect(&address).get("/").text());
        seen.len() == 2
    });
    second.stop();
    first.stop();
}
