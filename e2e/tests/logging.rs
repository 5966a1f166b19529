//! `RoadRunner\Log`, its PSR-3 adapter, `app.*` over RPC (rows R-90…92) and the `logs` section.

use e2e::goridge::PROTO;
use e2e::{Goridge, Logs, Options, Server, eventually};
use serde_json::{Value, json};

fn options(body: &str) -> Options {
    Options::handler(body).workers(1).set("rpc.listen", "'unix://' . __DIR__ . '/rpc.sock'")
}

fn rpc(server: &Server) -> Goridge {
    let address = server.addrs().iter().find(|address| address.contains("rpc.sock")).expect("an address");
    Goridge::connect(address)
}

fn in_file(server: &Server, name: &str, text: &str) -> Vec<Value> {
    eventually(&format!("{text:?} in {name}"), || server.read(name).contains(text));
    server.read(name).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn the_apps_records_have_fields_channel_and_request() {
    let body = r"
        RoadRunner\Log::info('paid', ['order' => 7, 'who' => ['name' => 'Ann'], 'pid' => 'mine', 'sum' => 1.5]);
        RoadRunner\Log::channel('billing')->critical('late', ['days' => [1, 2]]);
        RoadRunner\Log::notice(new class { function __toString() { return 'said'; } });
        RoadRunner\Log::warning('odd ' . chr(255), [
            'nan' => NAN, 'date' => new DateTimeImmutable('2026-01-02T03:04:05Z'), 'object' => new ArrayObject(),
            'error' => new LogicException('broken'), 'file' => fopen('php://memory', 'r'), 'none' => null,
        ]);
        try { RoadRunner\Log::log('loud', 'x'); } catch (RoadRunner\Exception $error) { return $error->getMessage(); }
        return 'none';";
    let server = options(body).expect_errors().start();
    let said = server.text("/");
    assert!(said.contains("\"loud\" is no level of the log; use emergency, alert"), "{said}");
    let paid = server.logs.expect("paid");
    assert_eq!((&paid["logger"], &paid["level"]), (&json!("app"), &json!("info")));
    assert_eq!(
        (&paid["order"], &paid["who"], &paid["sum"]),
        (&json!(7), &json!({"name": "Ann"}), &json!(1.5))
    );
    assert_eq!(paid["context.pid"], json!("mine"), "what says whose line it is cannot be faked");
    assert!(paid["pid"].is_u64() && paid["request"].as_u64().is_some_and(|request| request > 0), "{paid}");
    let late = server.logs.expect("late");
    assert_eq!((&late["logger"], &late["level"]), (&json!("billing"), &json!("error")));
    assert_eq!((&late["severity"], &late["days"]), (&json!("critical"), &json!([1, 2])));
    assert_eq!(server.logs.expect("said")["severity"], json!("notice"));
    let odd = server.logs.expect("odd \u{fffd}");
    assert_eq!(
        (&odd["nan"], &odd["object"], &odd["none"]),
        (&json!("NaN"), &json!("ArrayObject"), &Value::Null)
    );
    assert_eq!(odd["date"], json!("2026-01-02T03:04:05.000+00:00"));
    assert!(
        odd["error"].as_str().is_some_and(|error| error.starts_with("LogicException: broken in ")),
        "{odd}"
    );
    server.stop();
}

#[test]
fn channels_have_levels_and_outputs_of_their_own() {
    let body = r"
        foreach (['a', 'b', 'c'] as $name) {
            $channel = RoadRunner\Log::channel($name);
            $channel->debug($name . ' debug');
            $channel->info($name . ' info');
            $channel->error($name . ' error');
        }
        return 'x';";
    let server = options(body)
        .set("logs.level", "'info'")
        .set("logs.channels.a", "['level' => 'debug', 'output' => [__DIR__ . '/a.log']]")
        .set("logs.channels.b", "['level' => 'error']")
        .set("logs.channels.c", "['mode' => 'off']")
        .expect_errors()
        .start();
    assert_eq!(server.get("/").status, 200);
    let lines = in_file(&server, "a.log", "a error");
    let messages: Vec<_> = lines.iter().map(|line| line["msg"].as_str().unwrap_or_default()).collect();
    assert_eq!(messages, ["a debug", "a info", "a error"]);
    server.logs.expect("b error");
    for absent in ["a error", "b info", "c error"] {
        assert_eq!(server.logs.count(absent), 0, "{absent}");
    }
    server.stop();
}

#[test]
fn a_rotated_file_takes_the_place_of_the_outputs() {
    let body = r"
        for ($i = 0; $i < 400; $i++) { RoadRunner\Log::info('line ' . $i, ['fill' => str_repeat('x', 4000)]); }
        RoadRunner\Log::info('the end');
        return 'x';";
    let server = options(body)
        .set(
            "logs.channels.app.file_logger_options",
            "['log_output' => __DIR__ . '/logs/app.log', 'max_size' => 1]",
        )
        .start();
    assert_eq!(server.get("/").status, 200);
    let last = in_file(&server, "logs/app.log", "the end");
    let mut count = last.len();
    for entry in std::fs::read_dir(server.file("logs")).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let size = entry.metadata().expect("a file").len();
        assert!(size <= 1024 * 1024 && name.starts_with("app"), "{name}: {size}");
        if name != "app.log" {
            count += std::fs::read_to_string(entry.path()).expect("reads").lines().count();
        }
    }
    assert_eq!(count, 401, "every line is in one of the files");
    assert_eq!(server.logs.count("line "), 0);
    server.stop();
}

#[test]
fn r_90_to_r_92_lines_over_rpc() {
    let server = options("return 'x';").set("logs.level", "'debug'").expect_errors().start();
    let mut rpc = rpc(&server);
    for (method, level) in [("Error", "error"), ("Warning", "warn"), ("Info", "info"), ("Debug", "debug")] {
        let text = format!("over rpc {method}");
        assert_eq!(rpc.json(&format!("app.{method}"), &json!(text).to_string()), Ok(json!(true)));
        let line = server.logs.expect(&text);
        assert_eq!((&line["logger"], &line["level"]), (&json!("app"), &json!(level)));
        // LogEntry{message: "with", log_attrs: [{key: "k", value: "v"}]}
        let entry = b"\x0a\x04with\x12\x06\x0a\x01k\x12\x01v";
        assert_eq!(rpc.call(&format!("app.{method}WithContext"), PROTO, entry), Ok(Vec::new()));
        let is_it = |line: &Value| line["msg"] == "with" && line["level"] == level && line["k"] == "v";
        assert!(server.logs.wait_for(is_it, e2e::SOON).is_some(), "{}", server.logs.text());
    }
    assert_eq!(rpc.json("app.Log", "\"raw line\\n\""), Ok(json!(true)));
    let entry = b"\x0a\x03raw\x12\x06\x0a\x01k\x12\x01v\x12\x07\x0a\x01l\x12\x02w\n";
    assert_eq!(rpc.call("app.LogWithContext", PROTO, entry), Ok(Vec::new()));
    eventually("raw lines", || {
        let others = server.logs.others().join("\n");
        others.contains("raw line") && others.contains("raw k:v,l:w")
    });
    drop(rpc);
    server.stop();
}

#[test]
fn psr_3_with_placeholders() {
    let body = r"
        require_once '/usr/share/php/Psr/Log/autoload.php';
        $logger = new RoadRunner\Psr\Logger('shop');
        assert($logger instanceof Psr\Log\LoggerInterface);
        $logger->error('order {id} of {who} {missing} {list}', ['id' => 7, 'who' => 'Ann', 'list' => []]);
        try { $logger->log('loud', 'x'); } catch (Psr\Log\InvalidArgumentException $error) { return 'refused'; }
        return 'taken';";
    if !std::path::Path::new("/usr/share/php/Psr/Log/autoload.php").exists() {
        // Debian's php-psr-log; scripts/setup --test installs it.
        return;
    }
    let server = options(body).expect_errors().start();
    assert_eq!(server.text("/"), "refused");
    let line = server.logs.expect("order 7 of Ann {missing} [array]");
    assert_eq!((&line["logger"], &line["id"], &line["level"]), (&json!("shop"), &json!(7), &json!("error")));
    server.stop();
}

#[test]
fn a_flood_blocks_no_worker_for_good_and_what_is_lost_is_said() {
    let body = r"
        for ($i = 0; $i < 60000; $i++) { RoadRunner\Log::info('flood'); }
        return 'x';";
    let server = options(body).set("metrics.address", "'127.0.0.1:0'").start();
    assert_eq!(server.get("/").status, 200);
    // Each line is there, or counted where people and programs look.
    let lost = |logs: &Logs| -> usize {
        let notes = logs.records().into_iter().filter_map(|line| {
            let text = line["msg"]
                .as_str()?
                .strip_suffix(" log lines were lost: the outputs are too slow or failed")?;
            text.parse::<usize>().ok()
        });
        notes.sum()
    };
    eventually("all lines", || server.logs.count("flood") + lost(&server.logs) >= 60_000);
    assert_eq!(server.logs.count("flood") + lost(&server.logs), 60_000);
    server.stop();
}

#[test]
fn outside_of_a_worker_the_line_is_on_stderr() {
    let finished = Options::source(
        "<?php RoadRunner\\Log::warning('early', ['id' => 1]); RoadRunner\\Log::channel('x')->debug('late');",
    )
    .finish();
    assert_eq!(finished.stderr, "warn app early {\"id\":1}\ndebug x late");
}
