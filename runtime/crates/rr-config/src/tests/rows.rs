//! One test or more per CFG row of the RoadRunner reference, named by its id.

use std::fs;
use std::path::Path;

use super::{env, fault, load, overridden, try_load, warnings};
use crate::expand::expand;
use crate::{ClientAuth, Loader, Map, Node, Position, Step, Value};

fn php(key: &str, value: Value) -> Node {
    let at = Position::new("Server::create()");
    let mut root = Node::empty(at.clone());
    root.set(&key.split('.').collect::<Vec<_>>(), Node::new(value, at));
    root
}

#[test]
fn cfg_02_yaml_and_json_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("rr.json");
    fs::write(&json, "{\n\t\"version\": \"3\",\n\t\"http\": {\"address\": \"127.0.0.1:1\"}\n}\n").unwrap();
    let config = Loader::new().file(&json).load().unwrap().config;
    assert_eq!(config.http.unwrap().address, ["127.0.0.1:1"]);
    let toml = dir.path().join("rr.toml");
    let text = "version = \"3\"\n[Http]\naddress = \"${NONE:-:1}\"\nmiddleware = [\"gzip\"]\n[http.pool]\nnum_workers = \"4\"\n\
                supervisor = {exec_ttl = \"3s\"}\n[[x]]\na = 1\n";
    fs::write(&toml, text).unwrap();
    let http = Loader::new().file(&toml).load().unwrap().config.http.unwrap();
    assert_eq!((http.address, http.pool.num_workers), (vec![":1".to_owned()], 4));
    assert_eq!(http.pool.supervisor.exec_ttl.as_secs(), 3);
    fs::write(&toml, "version = \"3\"\n\n[http]\naddress = \":1\"\nmax_headers = \"many\"\n").unwrap();
    let error = Loader::new().file(&toml).load().unwrap_err().to_string();
    assert!(error.ends_with("rr.toml:5: http.max_headers: expected a number, got \"many\""), "{error}");
    fs::write(&toml, "version = \"3\"\nhttp = {").unwrap();
    let error = Loader::new().file(&toml).load().unwrap_err().to_string();
    assert!(error.contains("rr.toml:2: "), "{error}");
    fs::write(&toml, format!("version = \"3\"\na = {}{}", "[".repeat(70), "]".repeat(70))).unwrap();
    assert!(Loader::new().file(&toml).load().unwrap_err().to_string().contains("nested deeper than"));
    let ini = dir.path().join("rr.ini");
    fs::write(&ini, "version = 3").unwrap();
    let error = Loader::new().file(&ini).load().unwrap_err();
    assert!(
        error.to_string().ends_with("ini files are not read; write the settings as .yaml, .json or .toml")
    );
}

#[test]
fn cfg_02_what_cannot_be_read_is_said() {
    let error = Loader::new().file(Path::new("/nowhere/.rr.yaml")).load().unwrap_err();
    assert_eq!(error.step, Step::Read);
    assert!(error.to_string().starts_with("/nowhere/.rr.yaml: cannot read /nowhere/.rr.yaml: No such file"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    fs::write(&file, b"a: 1\nb: \xff\n").unwrap();
    assert!(Loader::new().file(&file).load().unwrap_err().to_string().contains("line 2 is not UTF-8"));
    fs::write(&file, vec![b'#'; crate::MAX_SIZE + 10]).unwrap();
    assert!(Loader::new().file(&file).load().unwrap_err().to_string().contains("bigger than 1024 KiB"));
}

#[test]
fn cfg_03_steps_follow_each_other() {
    // Variables first, overrides over them, the version after the overrides, includes over all.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("more.yaml"), "version: '3'\nlogs: {level: error}\n").unwrap();
    let text = "include: [more.yaml]\nhttp: {address: '${HOST}:${PORT}'}\nlogs: {level: debug}";
    let flags = ["version=3".to_owned(), "http.pool.num_workers=3".into(), "logs.level=warn".into()];
    let loader = Loader::new().text(".rr.yaml", text).overrides(&flags).env(&env).cwd(dir.path());
    let config = loader.load().unwrap().config;
    let http = config.http.unwrap();
    assert_eq!((http.address[0].as_str(), http.pool.num_workers), ("0.0.0.0:8080", 3));
    assert_eq!(config.logs.level, crate::LogLevel::Error);
}

#[test]
fn cfg_04_version_must_be_there_and_a_text() {
    let text =
        |yaml: &str| Loader::new().text(".rr.yaml", yaml).load().map(|_| ()).map_err(|e| e.to_string());
    let missing = ".rr.yaml: rr configuration file should contain a version e.g: version: 3";
    assert_eq!(text("").unwrap_err(), missing);
    assert_eq!(text("version:").unwrap_err(), missing);
    let wrong = |line, kind: &str| {
        format!(".rr.yaml:{line}: version should be a string: `version: \"3\"`, actual type is: {kind}")
    };
    assert_eq!(text("# c\nversion: 3").unwrap_err(), wrong(2, "int"));
    assert_eq!(text("version: 2.7").unwrap_err(), wrong(1, "float64"));
    assert_eq!(text("version: true").unwrap_err(), wrong(1, "bool"));
    assert_eq!(text("version: ['3']").unwrap_err(), wrong(1, "[]interface {}"));
    assert_eq!(text("version: {a: b}").unwrap_err(), wrong(1, "map[string]interface {}"));
    assert_eq!(text("version: '3'"), Ok(()));
}

#[test]
fn cfg_04_other_versions_are_warned_of() {
    let warnings = |version| {
        let loaded = Loader::new().text(".rr.yaml", &format!("version: '{version}'")).load().unwrap();
        loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(warnings("3").is_empty());
    let old = ".rr.yaml:1: version: \"2.7\" is read as \"3\"; please change it to version: \"3\"";
    assert_eq!(warnings("2.7"), [old]);
    assert!(warnings("4")[0].contains("\"4\" is not a version known here"));
}

#[test]
fn cfg_05_an_include_replaces_whole_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".rr.yaml");
    fs::write(
        &file,
        "version: '3'\ninclude: [a.yaml, b.yaml]\nserver: {command: x, user: u}\nhttp: {address: ':1'}",
    )
    .unwrap();
    fs::write(dir.path().join("a.yaml"), "version: '3'\nserver: {command: 'php ${PORT}'}").unwrap();
    fs::write(dir.path().join("b.yaml"), "version: '3'\ninclude: c.yaml\nhttp: {address: ':3'}").unwrap();
    let flags = ["http.address=:2".to_owned()];
    let loaded = Loader::new().file(&file).overrides(&flags).env(&env).load().unwrap();
    assert_eq!(loaded.config.server.command, ["php", "8080"]);
    assert_eq!(loaded.config.server.user, None);
    assert_eq!(loaded.config.http.unwrap().address, [":3"]);
    let text =
        "b.yaml:2: include: an include inside an included file is not followed; name the file in the root";
    assert_eq!(loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
}

#[test]
fn cfg_05_an_include_needs_the_same_version() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), "version: '2.7'\n").unwrap();
    fs::write(dir.path().join("b.yaml"), "server: {}\n").unwrap();
    let load = |include: &str| {
        let flags = [format!("include={include}")];
        Loader::new().text(".rr.yaml", "version: '3'").overrides(&flags).cwd(dir.path()).load()
    };
    let error = |include| load(include).unwrap_err().to_string();
    assert_eq!(error("a.yaml"), "a.yaml:1: version in included file must be the same as in root");
    assert_eq!(error("b.yaml"), "b.yaml: rr configuration file should contain a version e.g: version: 3");
    assert!(error("\"b.yaml c.yaml\"").starts_with("b.yaml"));
    assert!(error("c.yaml").starts_with("-o: include: cannot read"));
    assert!(fault("include: {a: b}").starts_with(".rr.yaml:2: include: expected a list of files, got a map"));
}

#[test]
fn cfg_06_overrides() {
    let one = |flag: &str| {
        let loaded = overridden("version: '3'\nhttp: {address: ':1'}", &[flag]).unwrap();
        loaded.config.http.unwrap().address.join("|")
    };
    for flag in [
        "http.address=:9",
        " http.address=:9",
        "http.address = :9 ",
        "HTTP.Address=:9",
        "http.address=\":9\"",
        "http.address=':9'",
        "http.address=`:9`",
    ] {
        assert_eq!(one(flag), ":9", "{flag}");
    }
    assert_eq!(one("http.address=:${PORT}"), ":8080");
    assert_eq!(one("http.address=\":\\\"\""), ":\\", "the closing quotes go with the trim, as in RoadRunner");
    assert_eq!(one("http.address=:1=2"), ":1=2");
    let new = overridden("version: '3'", &["server.command=php a.php", "server.env.Foo=b"]).unwrap().config;
    assert_eq!(new.server.command, ["php", "a.php"]);
    assert_eq!(new.server.env, [("FOO".to_owned(), "b".to_owned())]);
}

#[test]
fn cfg_06_malformed_overrides_are_faults() {
    let error = |flag: &str| overridden("version: '3'", &[flag]).unwrap_err().to_string();
    assert_eq!(error("x"), "-o: invalid flag `x`, write it as -o key=value");
    assert!(error("=x").starts_with("-o: key should not be empty"));
    assert!(error("x=").starts_with("-o: value should not be empty"));
    assert!(error("x= ").starts_with("-o: value should not be empty"));
    assert!(error("a..b=1").starts_with("-o: invalid key `a..b`"));
    let deep = format!("{}a=1", "a.".repeat(100_000));
    assert!(error(&deep).starts_with("-o: invalid key `a.a."));
    let text = "-o: logs.encoding: expected one of auto, console, json, got \"loud\"";
    assert_eq!(error("logs.encoding=loud"), text);
}

#[test]
fn cfg_07_env_default() {
    let table = [
        ("$PORT", "8080"),
        ("${PORT}", "8080"),
        ("${HOST}:$PORT/", "0.0.0.0:8080/"),
        ("${NONE:-8080}", "8080"),
        ("${EMPTY:-full}", "full"),
        ("${EMPTY}", ""),
        ("${PORT:-1}", "8080"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("tcp://${NONE:-127.0.0.1}:${NONE:-1}", "tcp://127.0.0.1:1"),
        ("$NONE", ""),
        ("plain", "plain"),
        ("", ""),
        ("ж$PORTж", "ж8080ж"),
    ];
    for (text, want) in table {
        assert_eq!(expand(text, &env), want, "{text}");
    }
}

#[test]
fn cfg_08_a_default_does_not_empty_its_neighbours() {
    // RoadRunner makes "" of these; a documented difference.
    assert_eq!(expand("$HOST:${NONE:-1}", &env), "0.0.0.0:1");
    assert_eq!(expand("${HOST}:-${PORT}", &env), "0.0.0.0:-8080");
    assert_eq!(expand("$HOST:-x", &env), "0.0.0.0:-x");
}

#[test]
fn cfg_09_odd_corners() {
    let table = [
        ("$1", "one"),
        ("$12", "one2"),
        ("a$$b", "ab"),
        ("a$*b$#c$@d$!e$?f$-g", "abcdefg"),
        ("${1}", "one"),
        ("a$ b", "a$ b"),
        ("a$.b$", "a$.b$"),
        ("a${b", "ab"),
        ("a${}b", "ab"),
        ("$", "$"),
        ("$ж", "$ж"),
    ];
    for (text, want) in table {
        assert_eq!(expand(text, &env), want, "{text}");
    }
    let config = load("a: {b: [$PORT, x]}\nc: [{d: $PORT}]\nserver: {env: [{A: $PORT}]}\n$PORT: 1");
    let json = config.to_json();
    assert!(json.contains(r#""b":["8080","x"]"#), "{json}");
    assert!(json.contains(r#""c":[{"d":"$PORT"}]"#), "{json}");
    assert!(json.contains(r#""$port":1"#), "{json}");
    assert_eq!(config.server.env, [("A".to_owned(), "8080".to_owned())]);
}

#[test]
fn cfg_10_keys_ignore_case() {
    let config =
        load("HTTP: {Address: ':1', POOL: {Num_Workers: 2}}\nserver: {env: {FooBar: x, n: 1, t: true}}");
    assert_eq!(config.http.unwrap().pool.num_workers, 2);
    let env: Vec<_> = config.server.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["FOOBAR=x", "N=1", "T=1"]);
    let config = load("server: {env: [{a: 1}, {B: 2, A: 3}], on_init: {command: x, env: {q: z}}}");
    assert_eq!(config.server.env, [("A".to_owned(), "3".to_owned()), ("B".to_owned(), "2".to_owned())]);
    assert_eq!(config.server.on_init.unwrap().env, [("Q".to_owned(), "z".to_owned())]);
}

#[test]
fn cfg_12_command() {
    let command = |yaml: &str| load(&format!("server: {{command: {yaml}}}")).server.command.join("|");
    assert_eq!(command("php worker.php"), "php|worker.php");
    assert_eq!(command("'php worker.php\n'"), "php|worker.php");
    assert_eq!(command("php \"a b\""), "php|\"a|b\"");
    assert_eq!(command("[php, worker.php, 'a b']"), "php|worker.php|a b");
    assert_eq!(command("[php worker.php]"), "php|worker.php");
    assert_eq!(command("'php,worker.php,a b'"), "php|worker.php|a b");
    assert_eq!(command("''"), "");
    assert_eq!(command("'php  x'"), "php||x");
    assert!(warnings("server: {command: 'php  x'}")[0].contains("server.command: two blanks in a row"));
}

#[test]
fn cfg_13_endure() {
    let endure = load("").endure;
    assert_eq!((endure.grace_period.as_secs(), endure.log_level.as_str()), (30, "error"));
    let endure =
        load("endure: {grace_period: 5s, log_level: Debug, print_graph: true, watchdog_sec: 9}").endure;
    assert_eq!(
        (endure.grace_period.as_secs(), endure.log_level.as_str(), endure.watchdog_sec),
        (5, "debug", 9)
    );
    let loaded = try_load("endure: {log_level: loud}").unwrap();
    assert_eq!(loaded.config.endure.log_level, "error");
    assert!(loaded.warnings[0].to_string().starts_with(".rr.yaml:2: endure.log_level: \"loud\" is no level"));
}

#[test]
fn cfg_14_no_section_no_plugin() {
    assert_eq!(load("").http, None);
    assert_eq!(load("http:").http, None);
    assert!(load("http: {address: ':1'}").http.is_some());
}

#[test]
fn cfg_15_unknown_keys_are_warned_of() {
    let text = "http:\n  address: ':1'\n  pool:\n    num_worker: 3\n    supervisor: {tll: 1s, zzz: 1}\n";
    assert_eq!(
        warnings(text),
        [
            ".rr.yaml:5: http.pool.num_worker: unknown key; did you mean \"num_workers\"?",
            ".rr.yaml:6: http.pool.supervisor.tll: unknown key; did you mean \"ttl\"?",
            ".rr.yaml:6: http.pool.supervisor.zzz: unknown key, ignored",
        ]
    );
    assert_eq!(
        warnings("htpp: {}\njobs: {consume: []}\nwhatever: 1\nhttp: {address: ':1', new_relic: {}}"),
        [
            ".rr.yaml:2: htpp: unknown key; did you mean \"http\"?",
            ".rr.yaml:3: jobs: is not served by this version and is ignored",
            ".rr.yaml:4: whatever: unknown key, ignored",
            ".rr.yaml:5: http.new_relic: is not served by this version and is ignored",
        ]
    );
}

#[test]
fn cfg_16_address_is_checked_for_a_port() {
    let address = |yaml: &str| load(&format!("http: {{address: {yaml}}}")).http.unwrap().address;
    assert_eq!(address("'127.0.0.1:80, unix:///tmp/s'"), ["127.0.0.1:80", "unix:///tmp/s"]);
    assert_eq!(address("[':1', 'tcp://:2']"), [":1", "tcp://:2"]);
    assert!(fault("http: {address: localhost}").contains("malformed http server address \"localhost\""));
}

#[test]
fn hs_01_one_address_of_any_server_is_enough() {
    for server in [
        "ssl: {address: ':1', key: k, cert: c}",
        "ssl: {acme: {email: a@b, domains: [example.com]}}",
        "fcgi: {address: ':1'}",
        "http3: {address: ':1', key: k, cert: c}",
    ] {
        let http = load(&format!("http: {{{server}}}")).http.unwrap();
        assert!(
            http.address.is_empty() && (http.ssl.is_some() || http.fcgi.is_some() || http.http3.is_some())
        );
    }
    let text = "http: {ssl: {address: ':1'}, fcgi: {}}";
    assert!(fault(text).contains("http.address: is missing"));
    let text = "http: {address: ':1', ssl: {address: ':2', redirect: true}, fcgi: {address: ''}}";
    let http = load(text).http.unwrap();
    assert_eq!((http.ssl, http.fcgi), (None, None));
    assert_eq!(
        warnings(text),
        [".rr.yaml:2: http.ssl: has neither key and cert nor acme, so there is no HTTPS server"]
    );
}

#[test]
fn hs_13_tls_settings_are_checked() {
    let ssl = |text: &str| format!("http: {{ssl: {{{text}}}}}");
    assert!(fault(&ssl("key: k")).contains("http.ssl.cert: is missing"));
    assert!(fault(&ssl("cert: k")).contains("http.ssl.key: is missing"));
    assert!(fault(&ssl("key: k, cert: c, address: x")).contains("http.ssl.address: malformed address \"x\""));
    let text = "key: k, cert: c, client_auth_type: maybe";
    assert!(fault(&ssl(text)).contains("http.ssl.client_auth_type: expected one of no_client_cert, request"));
    for (word, auth) in [
        ("no_client_certs", ClientAuth::None),
        ("no_client_cert", ClientAuth::None),
        ("require_and_verify_client_cert", ClientAuth::RequireAndVerify),
    ] {
        let text = ssl(&format!("key: k, cert: c, root_ca: r, client_auth_type: {word}"));
        assert_eq!(load(&text).http.unwrap().ssl.unwrap().client_auth_type, auth);
    }
    assert!(fault(&ssl("acme: {domains: [a.b]}")).contains("http.ssl.acme.email: is missing"));
    assert!(fault(&ssl("acme: {email: a@b}")).contains("http.ssl.acme.domains: is missing"));
    for bad in ["'*.example.com'", "'../x'", "'a b'", "a..b"] {
        let text = ssl(&format!("acme: {{email: a@b, domains: [{bad}]}}"));
        assert!(fault(&text).contains("http.ssl.acme.domains: expected a list of domain names"), "{bad}");
    }
    assert!(
        fault("http: {http3: {address: ':1'}}")
            .contains("http.http3: needs key and cert, or those of http.ssl")
    );
}

#[test]
fn what_roadrunner_quietly_replaces_is_a_warning() {
    let text = "http:\n  address: ':1'\n  static: {}\n  pool:\n    dynamic_allocator: {max_workers: 500, spawn_rate: 101, \
                idle_timeout: 10ms}\nlogs: {level: loud, mode: fancy}\nserver: {relay: ''}";
    let config = load(text);
    let dynamic = config.http.as_ref().unwrap().pool.dynamic_allocator.clone().unwrap();
    assert_eq!((dynamic.max_workers, dynamic.spawn_rate, dynamic.idle_timeout.as_secs()), (100, 100, 1));
    assert_eq!((config.logs.level, config.server.relay.as_str()), (crate::LogLevel::Info, "pipes"));
    assert_eq!(config.http.unwrap().static_files, None);
    assert_eq!(
        warnings(text),
        [
            ".rr.yaml:4: http.static: is empty, so no files are sent",
            ".rr.yaml:4: http.static: has no effect, as in RoadRunner, until http.middleware names \"static\"",
            ".rr.yaml:6: http.pool.dynamic_allocator.max_workers: 500 is out of bounds; 100, the most there can be, is used",
            ".rr.yaml:6: http.pool.dynamic_allocator.spawn_rate: 101 is out of bounds; 100, the most there can be, is used",
            ".rr.yaml:6: http.pool.dynamic_allocator.idle_timeout: \"10ms\" is out of bounds; 1s, the least there can be, is used",
            ".rr.yaml:7: logs.mode: expected one of development, production, raw, off, none, got \"fancy\"; the default is used",
            ".rr.yaml:7: logs.level: expected one of debug, info, warn, error, panic, got \"loud\"; the default is used",
        ]
    );
}

#[test]
fn cfg_11_keys_with_dots_and_lists_of_maps_are_what_viper_makes_of_them() {
    let config = load(
        "http.address: ':1'\nhttp: {pool.num_workers: 9, pool: {num_workers: 2}}\nserver.env.A: b\nx..y: 1",
    );
    let http = config.http.unwrap();
    assert_eq!((http.address, http.pool.num_workers), (vec![":1".to_owned()], 2));
    assert_eq!(config.server.env, [("A".to_owned(), "b".to_owned())]);
    let text = "metrics: {address: ':1', collect: {t: {type: summary, objectives: [{0.5: 0.05}, {0.9: 0.01}, {1.4: 2.3}]}}}";
    assert_eq!(
        warnings(text),
        [".rr.yaml:2: metrics.collect.t.objectives.1.4: is left out: a quantile is a number from 0 to 1"]
    );
    assert_eq!(load(text).metrics.unwrap().collect[0].1.objectives, [0.5, 0.9]);
}

#[test]
fn cfg_17_json_of_everything() {
    let config = load("a: {B: [1, 2.5, null, true, \"x\\\"\\n\\u0001\\\\\"], c: '$PORT', d: .inf}");
    let want = r#"{"version":"3","a":{"b":[1,2.5,null,true,"x\"\n\u0001\\"],"c":"8080","d":null}}"#;
    assert_eq!(config.to_json(), want);
}

#[test]
fn settings_from_php_lie_over_the_file_and_under_overrides() {
    let text = "version: '3'\nhttp: {address: ':1', pool: {num_workers: 1, max_jobs: 7}}";
    let tree = php("HTTP.Pool.num_workers", Value::Int(5));
    let loaded = Loader::new().text(".rr.yaml", text).tree(tree.clone()).load().unwrap();
    let pool = loaded.config.http.unwrap().pool;
    assert_eq!((pool.num_workers, pool.max_jobs), (5, 7));
    let flags = ["http.pool.num_workers=6".to_owned()];
    let loaded = Loader::new().text(".rr.yaml", text).tree(tree).overrides(&flags).load().unwrap();
    assert_eq!(loaded.config.http.unwrap().pool.num_workers, 6);
}

#[test]
fn settings_from_php_alone_need_no_version() {
    let tree = php("http.address", Value::Str("$HOST:1".into()));
    let loaded =
        Loader::new().tree(tree).tree(php("http.pool.max_jobs", Value::Int(2))).env(&env).load().unwrap();
    let http = loaded.config.http.unwrap();
    assert_eq!((http.address[0].as_str(), http.pool.max_jobs), ("$HOST:1", 2));
    assert_eq!(loaded.warnings, []);
    let tree = php("http.address", Value::Map(Map::new()));
    assert_eq!(Loader::new().tree(tree).load().unwrap_err().step, Step::Incomplete);
    let tree = php("http.pool.num_workers", Value::Str("many".into()));
    let error =
        Loader::new().tree(php("http.address", Value::Str(":1".into()))).tree(tree).load().unwrap_err();
    let text = "Server::create(): http.pool.num_workers: expected a number, got \"many\"";
    assert_eq!(error.to_string(), text);
    assert!(Loader::new().load().is_ok());
}

#[test]
fn r_74_services_and_their_defaults() {
    assert_eq!(load("http: {address: ':0'}").service, None);
    assert_eq!(load("service: {}").service, Some(Vec::new()));
    let services = load(
        "service:\n  Node:\n    command: node 'a b.js'\n    process_num: 2\n    exec_timeout: 10s\n    remain_after_exit: true\n    restart_sec: 1\n    timeout_stop_sec: 2\n    env: {port: 80}\n    user: www-data\n    service_name_in_log: true\n  plain: {command: sleep 1, restart_sec: 0}\n",
    )
    .service
    .unwrap();
    let (name, node) = &services[0];
    assert_eq!((name.as_str(), node.command.as_str()), ("node", "node 'a b.js'"), "CFG-10");
    assert_eq!((node.process_num, node.exec_timeout.as_secs(), node.remain_after_exit), (2, 10, true));
    assert_eq!((node.restart_sec, node.timeout_stop_sec, node.service_name_in_log), (1, 2, true));
    assert_eq!((&node.env[0], node.user.as_deref()), (&("PORT".into(), "80".into()), Some("www-data")));
    let (_, plain) = &services[1];
    assert_eq!((plain.process_num, plain.restart_sec, plain.timeout_stop_sec), (1, 30, 5));
    assert!(fault("service: {a: {process_num: 1}}").contains("service.a.command: is missing"));
    assert!(fault("service: {a: }").contains("service.a"));
    assert!(warnings("service: {a: {command: x, restart: 1}}")[0].contains("service.a.restart"));
}

#[test]
fn st_02_the_listener_for_monitors() {
    assert_eq!(load("http: {address: ':0'}").status, None);
    let status = load("status: {address: '127.0.0.1:2114'}").status.unwrap();
    assert_eq!((status.unavailable_status_code, status.check_timeout.as_secs()), (503, 60));
    let status =
        load("status: {address: ':1', unavailable_status_code: 500, check_timeout: 5s}").status.unwrap();
    assert_eq!((status.unavailable_status_code, status.check_timeout.as_secs()), (500, 5));
    let status = load("status: {address: ':1', check_timeout: 60}").status.unwrap();
    assert_eq!(status.check_timeout.as_secs(), 60, "as RoadRunner counts them");
    assert!(fault("status: {}").contains("status.address: is missing"));
    assert!(fault("status: {address: ':1', unavailable_status_code: 1000}").contains("from 100 to 599"));
}
