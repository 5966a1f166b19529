//! A reload reads the sections `service`, `metrics` and `status` anew: what can follow does, the rest is said.

use e2e::{Client, Goridge, Options, Process, Server, eventually};
use std::fs;

const SCRIPT: &str = r"<?php
    use RoadRunner\{Metrics, Request, Response, Server};
    Server::fromFile(__DIR__ . '/.rr.yaml')
        ->http(null, function (Request $request) {
            if ($request->path() === '/count') { Metrics::counter('added')->inc(1, ['x']); }
            return new Response('fine');
        })
        ->run();";

fn yaml(sections: &str) -> String {
    format!(
        "version: '3'\nhttp: {{address: '127.0.0.1:0', pool: {{num_workers: 1}}}}\nrpc: {{listen: 'unix://rpc.sock'}}\n{sections}\n"
    )
}

fn start(sections: &str) -> Server {
    Options::source(SCRIPT).yaml(&yaml(sections)).expect_errors().start()
}

/// Gives the server other settings, and waits until they are taken.
fn reload(server: &Server, sections: &str) {
    let before = server.logs.count("reloaded");
    fs::write(server.file(".rr.yaml"), yaml(sections)).expect("the settings");
    server.signal(1);
    server.logs.expect_times("reloaded", before + 1);
}

fn sleeps(server: &Server, seconds: &str) -> Vec<Process> {
    let mut all: Vec<_> = server.processes().into_iter().filter(|process| process.name == "sleep").collect();
    let line = format!("sleep\0{seconds}\0");
    all.retain(|process| {
        fs::read_to_string(format!("/proc/{}/cmdline", process.pid)).is_ok_and(|it| it == line)
    });
    all
}

fn address<'a>(server: &'a Server, part: &str) -> &'a str {
    let address = server.addrs().iter().find(|address| address.contains(part)).expect("an address");
    address.trim_end_matches("/metrics")
}

fn get(address: &str, path: &str) -> (u16, String) {
    let response = Client::connect(address.trim_start_matches("tcp://")).get(path);
    (response.status, response.text())
}

#[test]
fn services_follow_one_by_one() {
    let server = start(
        "service: {stays: {command: sleep 1001}, changes: {command: sleep 1002}, goes: {command: sleep 1003},
            ended: {command: sleep 1004}}",
    );
    eventually("all run", || sleeps(&server, "1003").len() == 1 && sleeps(&server, "1002").len() == 1);
    let mut rpc = Goridge::connect(&format!("unix://{}", server.file("rpc.sock").display()));
    assert!(
        rpc.json("service.Create", r#"{"name": "rpc", "command": "sleep 1005", "process_num": 1}"#).is_ok()
    );
    // In the place of one of the settings: it is another now.
    assert!(rpc.json("service.Terminate", r#"{"name": "ended"}"#).is_ok());
    assert!(
        rpc.json("service.Create", r#"{"name": "ended", "command": "sleep 1006", "process_num": 1}"#).is_ok()
    );
    let kept = ["1001", "1005", "1006"].map(|seconds| sleeps(&server, seconds));
    reload(
        &server,
        "service: {stays: {command: sleep 1001}, changes: {command: sleep 1012, process_num: 2},
            new: {command: sleep 1013}, broken: {command: no-such-program}}",
    );
    assert_eq!(["1001", "1005", "1006"].map(|seconds| sleeps(&server, seconds)), kept);
    let counts = ["1002", "1003", "1004", "1012", "1013"].map(|seconds| sleeps(&server, seconds).len());
    assert_eq!(counts, [0, 0, 0, 2, 1]);
    let line = server.logs.expect("after the reload: service.broken:");
    assert!(line["msg"].as_str().is_some_and(|text| text.contains("no-such-program")), "{line}");
    assert_eq!(server.logs.count("takes effect at the next start"), 0);
    let listed = rpc.json("service.List", "{}").expect("a list");
    assert_eq!(listed["services"], serde_json::json!(["changes", "ended", "new", "rpc", "stays"]));
    reload(&server, "");
    eventually("those of the settings are gone", || {
        ["1001", "1012", "1013"].iter().all(|seconds| sleeps(&server, seconds).is_empty())
    });
    assert_eq!(sleeps(&server, "1005").len(), 1, "nobody has ended it");
    drop(rpc);
    server.stop();
}

#[test]
fn services_that_come_without_a_section_before_are_said() {
    let server = start("");
    reload(&server, "service: {new: {command: sleep 1021}}");
    server.logs.expect("service has changed; it takes effect at the next start of the server");
    assert!(sleeps(&server, "1021").is_empty());
    server.stop();
}

#[test]
fn collectors_that_are_new_are_declared_and_others_stay() {
    let metrics = |collect: &str| format!("metrics: {{address: '127.0.0.1:0', collect: {{{collect}}}}}");
    let server = start(&metrics("old: {type: counter}"));
    let scrape = || get(address(&server, "/metrics"), "/").1;
    reload(&server, &metrics("old: {type: counter}, added: {type: counter, labels: [who], namespace: app}"));
    assert_eq!(server.text("/count"), "fine");
    assert!(scrape().contains("app_added{who=\"x\"} 1"), "{}", scrape());
    assert_eq!(server.logs.count("takes effect at the next start"), 0);
    reload(&server, &metrics("added: {type: gauge}"));
    server.logs.expect("metrics.collect.old has changed; it takes effect at the next start of the server");
    server.logs.expect("metrics.collect.added has changed; it takes effect at the next start of the server");
    assert!(scrape().contains("app_added{who=\"x\"} 1"), "nothing is lost");
    fs::write(server.file(".rr.yaml"), yaml(&metrics("'not valid': {type: counter}"))).expect("the settings");
    server.signal(1);
    server.logs.expect("the reload failed");
    assert!(
        server.logs.text().contains("its settings: metrics.collect.not valid:"),
        "{}",
        server.logs.text()
    );
    assert_eq!(server.text("/"), "fine");
    reload(&server, "metrics: {address: '127.0.0.1:1'}");
    server.logs.expect("metrics.address has changed; it takes effect at the next start of the server");
    assert!(scrape().contains("app_added"));
    server.stop();
}

#[test]
fn status_answers_with_the_new_status_at_the_old_address() {
    let server = start("status: {address: '127.0.0.1:0'}");
    let addresses = server.addrs().to_vec();
    let status = addresses.iter().find(|address| address.starts_with("tcp://")).expect("an address");
    assert_eq!(get(status, "/jobs").0, 503);
    reload(&server, "status: {address: '127.0.0.1:0', unavailable_status_code: 500, check_timeout: 5s}");
    assert_eq!(get(status, "/jobs").0, 500);
    assert_eq!(server.logs.count("takes effect at the next start"), 0);
    reload(&server, "status: {address: '127.0.0.1:1', unavailable_status_code: 502}");
    server.logs.expect("status.address has changed; it takes effect at the next start of the server");
    assert_eq!(get(status, "/jobs").0, 502);
    server.stop();
}
