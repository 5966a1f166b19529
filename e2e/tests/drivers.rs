//! What drivers of frameworks call, in their order and words, against command workers: CodeIgniter4-Burner (rows BRN-02…05),
//! Laravel Octane, Symfony's runtimes, the harness of Temporal's SDK.

use e2e::rr::{Ended, Rr, Serving};
use e2e::{Client, eventually, free_port, kill, until, workspace};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

fn php() -> String {
    e2e::program(&[&e2e::php().display().to_string()]).display().to_string()
}

fn worker() -> String {
    fs::read_to_string(workspace().join("examples/roadrunner/worker.php")).expect("the worker")
}

/// The worker with PHP before its start, and what it answers beside the rest.
fn saying(before: &str, said: &str) -> String {
    worker()
        .replace("declare(strict_types=1);", before)
        .replace("$answer = [\n", &format!("$answer = ['said' => {said},\n"))
}

fn answer(address: &str, target: &str) -> Value {
    let response = Client::connect(address).get(target);
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).expect("JSON")
}

/// A shell that runs in the folder, as drivers have it by `popen()` and `exec()`.
fn shell(rr: &Rr, line: &str) -> Command {
    let mut command = Command::new("sh");
    rr.dress(command.args(["-c", line]));
    command
}

/// What `burner:init RoadRunner` writes, on free ports.
fn burner_yaml(root: &str, http: u16, rpc: u16) -> String {
    format!(
        "version: \"2.7\"\n\nrpc:\n  listen: tcp://127.0.0.1:{rpc}\n\nserver:\n  command: \"{} Worker.php \
         -f={root}/FrontLoader.php -a={root}/app/\"\n  # env:\n  #   XDEBUG_SESSION: 1\n\nhttp:\n  address: \
         \"0.0.0.0:{http}\"\n  static:\n    dir: \"{root}/public\"\n    forbid: [\".htaccess\", \".php\"]\n  pool:\n    \
         num_workers: 1\n    # max_jobs: 64\n    # debug: true\n\n# reload:\n#   interval: 1s\n#   patterns: [ \".php\" ]\n",
        php()
    )
}

/// BRN-02 to BRN-05; BRN-01 and BRN-06 are about its worker, whose dialect is that of `worker.php` here.
#[test]
fn brn_02_to_05_codeigniter_burner() {
    const DRIVER: &str = "vendor/monken/codeigniter4-burner-roadrunner/src";
    let (http, rpc) = (free_port(), free_port());
    let rr = Rr::new(&[("app/x", ""), ("public/style.css", "body {}")]);
    let root = rr.dir().display().to_string();
    let worker = saying("", "[getopt('f:a:'), getcwd()]");
    rr.write(&format!("{DRIVER}/Worker.php"), &worker);
    fs::create_dir_all(rr.file("vendor/bin")).expect("a folder");
    // As Composer links a package's program.
    symlink(workspace().join("composer/roadrunner-cli/bin/rr"), rr.file("vendor/bin/rr")).expect("a link");

    // burner:init
    rr.write(".rr.yaml", &burner_yaml(&root, http, rpc));
    let got = Ended::of(&mut shell(&rr, &format!("cd {root};./vendor/bin/rr get")));
    assert_eq!((got.code, got.stderr.as_str()), (Some(0), ""), "{got:?}");
    fs::rename(rr.file("rr"), rr.file("vendor/bin/rr_server")).expect("BRN-02: what it has got");
    // `realpath()` before each call.
    let server = rr.file("vendor/bin/rr_server").canonicalize().expect("it leads somewhere");
    let server = server.display();
    let place = format!("-w {root}/{DRIVER}/ -c {root}/.rr.yaml");

    // burner:start
    let serving = Serving::start(&mut shell(&rr, &format!("exec {server} serve {place}")));
    let address = format!("127.0.0.1:{http}");
    let first = answer(&address, "/");
    assert_eq!(
        first["said"][0],
        serde_json::json!({"f": format!("{root}/FrontLoader.php"), "a": format!("{root}/app/")})
    );
    assert_eq!(first["said"][1], format!("{root}/{DRIVER}"));
    assert_eq!(first["mode"], "http");
    // A section without its name in http.middleware does nothing (HS-02).
    assert_eq!(answer(&address, "/style.css")["request"]["uri"], "http://test/style.css");
    serving.stop();

    // burner:start --daemon: exec() returns at once, and .pid is in the driver's folder.
    let stderr = rr.file("stderr");
    let daemon = format!("{server} serve -p {place} > /dev/null 2> {} &", stderr.display());
    assert_eq!(Ended::of(&mut shell(&rr, &daemon)).code, Some(0));
    eventually("the daemon answers", || Client::try_connect(&address).is_ok());
    let pid = answer(&address, "/")["pid"].clone();
    assert!(!rr.read(&format!("{DRIVER}/.pid")).is_empty());
    // burner:rr reset
    let reset = Ended::of(&mut shell(&rr, &format!("{server} reset {place}")));
    assert_eq!(reset.stdout, "resetting plugin: [http]\nplugin reset: [http]\n", "{reset:?}");
    assert_ne!(answer(&address, "/")["pid"], pid, "BRN-05");
    let workers = Ended::of(&mut shell(&rr, &format!("{server} workers {place}")));
    assert!(workers.stdout.starts_with("Workers of [http]:"), "{workers:?}");
    // burner:stop
    let stopped = Ended::of(&mut shell(&rr, &format!("{server} stop {place}")));
    assert_eq!((stopped.code, stopped.stderr.as_str()), (Some(0), ""), "BRN-04");
    eventually("it has ended", || rr.processes().is_empty());
    assert!(!rr.file(DRIVER).join(".pid").exists());
    let errors = fs::read_to_string(stderr).expect("the log");
    assert!(!errors.contains("\"level\":\"error\""), "{errors}");
    rr.check_nothing_left();
}

#[test]
fn burner_keeps_its_cache_in_the_server() {
    // What of CodeIgniter the handler stands on.
    const BASE: &str = "namespace CodeIgniter\\Cache\\Handlers {
        abstract class BaseHandler {
            protected $prefix;
            public static function validateKey($key, $prefix = ''): string {
                if (! is_string($key) || $key === '') { throw new \\InvalidArgumentException('Cache key must be a string'); }
                return $prefix . $key;
            }
            abstract public function initialize();
            abstract public function get(string $key);
            abstract public function save(string $key, $value, int $ttl = 60);
            abstract public function delete(string $key);
            abstract public function increment(string $key, int $offset = 1);
            abstract public function decrement(string $key, int $offset = 1);
            abstract public function clean();
            abstract public function getCacheInfo();
            abstract public function getMetaData(string $key);
            abstract public function isSupported(): bool;
            public function remember(string $key, int $ttl, \\Closure $callback) {}
            public function deleteMatching(string $pattern) { throw new \\Exception('not implemented'); }
        }
    }";
    const STEPS: &str = "<?php
        $class = '\\\\Monken\\\\CIBurner\\\\RoadRunner\\\\Cache\\\\RoadRunnerHandler';
        $cache = new $class((object) ['prefix' => 'app_']);
        if (!$cache->isSupported()) return 'not supported';
        $cache->initialize();
        if (isset($query['shared'])) return [$cache->get('shared'), $cache->increment('counter')];
        $calls = 0;
        $steps = [
            $cache->get('none'), $cache->save('a', ['x' => 1.5]), $cache->get('a'),
            $cache->save('shared', 'by the first', 0), $cache->getMetaData('shared'),
            $cache->getMetaData('none'), abs($cache->getMetaData('a')['expire'] - time() - 60) < 5,
            $cache->delete('a'), $cache->delete('a'), $cache->get('a'),
            $cache->increment('n'), $cache->increment('n', 5), $cache->decrement('n', 2), $cache->get('n'),
            $cache->increment('shared'),
            $cache->remember('r', 60, function () use (&$calls) { return ++$calls; }),
            $cache->remember('r', 60, function () use (&$calls) { return ++$calls; }),
            RoadRunner\\KeyValue::open('burner')->get('app_n'), $cache->getCacheInfo(),
        ];
        return $steps;";
    let worker = saying(
        "require 'base.php'; require 'handler.php';",
        "(function () use ($query) { return require 'steps.php'; })()",
    );
    let handler = fs::read_to_string(workspace().join("composer/burner/RoadRunnerHandler.php")).expect("it");
    let yaml = format!(
        "version: '3'\nserver: {{command: ['{}', 'worker.php']}}\nkv: {{burner: {{driver: memory}}}}\nhttp: {{address: \
         '127.0.0.1:0', pool: {{num_workers: 2}}}}\n",
        php()
    );
    let rr = Rr::new(&[
        (".rr.yaml", &yaml),
        ("worker.php", &worker),
        ("base.php", &format!("<?php {BASE}")),
        ("handler.php", &handler),
        ("steps.php", STEPS),
    ]);
    let serving = rr.serve(&["serve"]);
    let first = answer(serving.address(), "/");
    let expected = serde_json::json!([
        null, true, {"x": 1.5}, true, {"expire": null, "mtime": null, "data": "by the first"}, null, true, true, false, null,
        1, 6, 4, 4, false, 1, 1, 4, null
    ]);
    assert_eq!(first["said"], expected, "{}", serving.stderr.text());
    for count in 1..=6 {
        let next = answer(serving.address(), "/?shared=1");
        assert_eq!(next["said"], serde_json::json!(["by the first", count]), "all workers have one cache");
    }
    serving.stop();
    rr.check_nothing_left();
}

/// What Octane makes of a line of stdout; `Err`: what ends it with an exception.
#[derive(Debug, PartialEq)]
enum Shown {
    Info(String),
    Stream(Value),
    Raw(String),
    Request { method: String, url: String, status: u64, elapsed: u64 },
    Nothing,
}

fn octane_reads(line: &str) -> Result<Shown, String> {
    let Ok(record @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(line) else {
        return Ok(Shown::Info(line.to_owned()));
    };
    // Neither may be missing: PHP's warning becomes an exception.
    let field = |name: &str| record[name].as_str().ok_or_else(|| format!("no {name}: {line}"));
    let message = field("msg")?;
    if let Ok(stream @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(message) {
        return Ok(Shown::Stream(stream));
    }
    if field("logger")? == "server" {
        return Ok(Shown::Raw(message.to_owned()));
    }
    if field("level")? == "info" && !record["remote_address"].is_null() && message == "http log" {
        let number = |name: &str| record[name].as_u64().ok_or_else(|| format!("no {name}: {line}"));
        return Ok(Shown::Request {
            method: field("method")?.to_owned(),
            url: field("URI")?.to_owned(),
            status: number("status")?,
            elapsed: number("elapsed")?,
        });
    }
    Ok(Shown::Nothing)
}

#[test]
fn laravel_octane() {
    let (http, rpc) = (free_port(), format!("tcp://127.0.0.1:{}", free_port()));
    let script = saying(
        "$relayed = $_ENV['LARAVEL_OCTANE_ROADRUNNER_RELAY'] ?? 'pipes';",
        "(function () use ($query) {
            if (isset($query['log'])) {
                fwrite(STDERR, json_encode(['type' => 'throwable', 'message' => 'oh']) . \"\\n\");
                fwrite(STDERR, \"a plain line\\n\");
            }
            return [getenv('LARAVEL_OCTANE'), $_SERVER['APP_ENV'], $_SERVER['APP_BASE_PATH'], $_SERVER['argv'][0]];
        })()",
    )
    .replace("<?php", "#!/usr/bin/env php\n<?php");
    // As in Laravel: a touched file, the worker of the package without a suffix.
    let mut rr =
        Rr::new(&[(".rr.yaml", ""), ("vendor/bin/roadrunner-worker", &script), ("public/robots.txt", "x")]);
    let root = rr.dir().display().to_string();
    // The installer: `php ./vendor/bin/rr get-binary -n --ansi`, whose output it looks through.
    let shim = workspace().join("composer/roadrunner-cli/bin/rr").display().to_string();
    let got = Ended::of(&mut shell(&rr, &format!("{} {shim} get-binary -n --ansi", php())));
    assert!(got.code == Some(0) && got.stdout.contains("has been installed into"), "{got:?}");
    rr.call(rr.file("rr"));
    let version = rr.done(&["--version"]);
    assert!(version.starts_with("rr version"));
    let third: Vec<u32> = version
        .split(' ')
        .nth(2)
        .expect("a word")
        .split('.')
        .map(|part| part.parse().expect("a number"))
        .collect();
    assert!(third >= vec![2023, 3, 0]);

    for (name, value) in [("APP_ENV", "local"), ("APP_BASE_PATH", &root), ("LARAVEL_OCTANE", "1")] {
        rr.env(name, value);
    }
    let overrides = [
        "version=3".to_owned(),
        format!("http.address=127.0.0.1:{http}"),
        format!("server.command={},{root}/vendor/bin/roadrunner-worker", php()),
        "http.pool.num_workers=0".to_owned(),
        "http.pool.max_jobs=500".to_owned(),
        format!("rpc.listen={rpc}"),
        "http.pool.supervisor.exec_ttl=30s".to_owned(),
        format!("http.static.dir={root}/public"),
        "http.middleware=static".to_owned(),
        "logs.mode=production".to_owned(),
        "logs.level=debug".to_owned(),
        "logs.output=stdout".to_owned(),
        "logs.encoding=json".to_owned(),
    ];
    let mut line = vec!["-c".to_owned(), format!("{root}/.rr.yaml")];
    overrides.iter().for_each(|one| line.extend(["-o".to_owned(), one.clone()]));
    line.push("serve".to_owned());
    let mut serving = rr.serve(&line);
    let address = format!("127.0.0.1:{http}");
    let first = answer(&address, "/hello?log=1&x=%20");
    assert_eq!(
        first["said"],
        serde_json::json!(["1", "local", root, format!("{root}/vendor/bin/roadrunner-worker")])
    );
    Client::connect(&address).post("/post", b"x=1");
    // Files of `public/` are not the app's.
    let file = Client::connect(&address).get("/robots.txt");
    assert_eq!((file.status, file.text().as_str()), (200, "x"));

    let shown = |serving: &Serving| -> Vec<Shown> {
        let lines = serving.stdout.text();
        lines.lines().map(|line| octane_reads(line).expect("Octane goes on")).collect()
    };
    let request = |shown: &[Shown], wanted: &str| {
        let found = shown.iter().any(|one| {
            matches!(one, Shown::Request { method, url, status: 200, elapsed: ..60_000 } if format!("{method} {url}") == wanted)
        });
        found.then_some(())
    };
    eventually("both requests are shown", || {
        let shown = shown(&serving);
        request(&shown, "GET /hello?log=1&x=%20").and(request(&shown, "POST /post")).is_some()
    });
    let all = until(e2e::SOON, || {
        let all = shown(&serving);
        let stream = all.contains(&Shown::Stream(serde_json::json!({"type": "throwable", "message": "oh"})));
        (stream && all.contains(&Shown::Raw("a plain line".to_owned()))).then_some(all)
    });
    let all = all.unwrap_or_else(|| panic!("the worker's lines: {}", serving.stdout.text()));
    assert!(
        all.iter().any(
            |one| matches!(one, Shown::Info(text) if text.starts_with("[INFO] RoadRunner server started"))
        )
    );

    // octane:reload takes any byte on stderr for a failure.
    let reload = rr.run(&["reset", "-o", &format!("rpc.listen={rpc}"), "-s"]);
    assert_eq!((reload.code, reload.stderr.as_str()), (Some(0), ""));
    assert_ne!(answer(&address, "/")["pid"], first["pid"]);
    // octane:stop signals the process that it has started, and asks whether that is there.
    assert!(e2e::is_alive(serving.pid()));
    kill(serving.pid(), 15);
    assert_eq!(serving.wait(), Some(0));
    // Lines of stderr are shown in red.
    assert_eq!(serving.stderr.text(), "");
    shown(&serving);
    rr.check_nothing_left();
}

#[test]
fn octane_reads_what_a_log_of_warnings_has() {
    let rr = Rr::new(&[(".rr.yaml", ""), ("worker", &format!("#!/usr/bin/env php\n{}", worker()))]);
    let command = format!("server.command={},worker", php());
    let overrides =
        ["version=3", "http.address=127.0.0.1:0", &command, "logs.level=warn", "logs.output=stdout"];
    let mut line: Vec<&str> = overrides.iter().flat_map(|one| ["-o", one]).collect();
    line.push("serve");
    let mut command = rr.command(&line);
    // Without a banner in the log, the line on stdout says that it serves.
    let log = tempfile::tempfile().expect("a file");
    let mut child = command.stdout(log.try_clone().expect("a descriptor")).spawn().expect("it starts");
    let text = || {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; 1 << 16];
        let count = log.read_at(&mut bytes, 0).expect("what it has said");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    eventually("it serves", || text().contains("RoadRunner server started"));
    kill(child.id(), 15);
    let ended = until(e2e::SOON, || child.try_wait().expect("wait")).expect("it ends");
    assert_eq!(ended.code(), Some(0));
    for line in text().lines() {
        assert!(octane_reads(line).is_ok_and(|shown| matches!(shown, Shown::Info(_))), "{line}");
    }
    rr.check_nothing_left();
}

#[test]
fn symfony_runtimes() {
    // As symfony/runtime: the front controller is required again by what it requires.
    let runtime = "<?php
        if (true === (require_once __DIR__ . '/autoload.php') || empty($_SERVER['SCRIPT_FILENAME'])) { return; }
        $app = require $_SERVER['SCRIPT_FILENAME'];
        if (!is_callable($app)) { throw new TypeError('the front controller gives nothing to call'); }
        $said = $app($_SERVER);
        require __DIR__ . '/worker.php';";
    let worker = worker()
        .replace("declare(strict_types=1);", "")
        .replace("$answer = [\n", "$answer = ['said' => $GLOBALS['said'],\n");
    let index = "<?php
        require_once dirname(__DIR__) . '/vendor/autoload_runtime.php';
        return fn (array $context) => [
            $context['APP_RUNTIME'], $context['RR_MODE'], getenv('RR_MODE'), getenv('APP_ENV'), $context['RR_RPC'],
            basename($context['SCRIPT_FILENAME']), PHP_SAPI, getenv('EMPTY'),
        ];";
    let mut answers = Vec::new();
    for fork in [true, false] {
        let yaml = format!(
            "version: '3'\nrpc: {{listen: 'tcp://127.0.0.1:${{RPC_PORT}}'}}\nserver:\n  command: '{} \
             public/index.php'\n  fork: {fork}\n  env:\n    - APP_RUNTIME: Runtime\\RoadRunner\n    - app_env: ${{NAME:-prod}}\n    - \
             EMPTY: ''\nhttp: {{address: '127.0.0.1:0', pool: {{num_workers: 1}}}}\n",
            php()
        );
        let mut rr = Rr::new(&[
            (".rr.yaml", &yaml),
            ("public/index.php", index),
            ("vendor/autoload_runtime.php", runtime),
            ("vendor/autoload.php", "<?php return new stdClass();"),
            ("vendor/worker.php", &worker),
        ]);
        let port = free_port();
        rr.env("RPC_PORT", port.to_string());
        let serving = rr.serve(&["serve"]);
        let mut said = answer(serving.address(), "/")["said"].take();
        assert_eq!(said[4], format!("tcp://127.0.0.1:{port}"), "{}", serving.stderr.text());
        said[4].take();
        answers.push(said);
        serving.stop();
        rr.check_nothing_left();
    }
    let expected =
        serde_json::json!(["Runtime\\RoadRunner", "http", "http", "prod", null, "index.php", "cli", ""]);
    assert_eq!(answers, [expected.clone(), expected]);
}

#[test]
fn temporals_harness() {
    // The harness has no section http.
    for http in ["http: {address: '127.0.0.1:0', pool: {num_workers: 1}}\n", ""] {
        temporals_harness_with(http);
    }
}

fn temporals_harness_with(http: &str) {
    let yaml = &format!(
        "version: '3'\nrpc: {{listen: 'tcp://127.0.0.1:${{RPC_PORT}}'}}\nserver: {{command: 'php worker.php'}}\n{http}temporal: \
         {{address: '127.0.0.1:7233'}}\nkv: {{test: {{driver: memory}}}}\n"
    );
    let mut rr = Rr::new(&[("tests/.rr.yaml", yaml), ("tests/worker.php", &worker())]);
    rr.env("RPC_PORT", free_port().to_string());
    let folder = rr.file("tests").display().to_string();
    let command = format!("server.command={},worker.php,--tls=no", php());
    let mut serving =
        rr.serve(&["serve", "-w", &folder, "-o", "temporal.address=127.0.0.1:1", "-o", &command]);
    // It waits for this line, then for that of `workers`.
    eventually("the line", || serving.stdout.text().contains("RoadRunner server started"));
    let file = format!("{folder}/.rr.yaml");
    assert!(rr.run(&["workers", "-c", &file]).stdout.contains("Workers of"));
    assert!(rr.run(&["workers", "-c", &file, "-w", &folder]).stdout.contains("Workers of"));
    // SIGTERM, which must be enough within its ten seconds.
    kill(serving.pid(), 15);
    assert_eq!(serving.wait(), Some(0));
    rr.check_nothing_left();
}
