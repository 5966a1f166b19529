//! `.pid` and `rr stop` (row CLI-07).

use e2e::rr::{Rr, worker, yaml};
use e2e::{Client, eventually, is_alive, kill};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn cli_07_stop_ends_the_server_of_the_pid_file() {
    let rr = Rr::app();
    let ended = rr.run(&["stop"]);
    ended.refused(&["to create a .pid file, you must run RR with the following options: './rr serve -p'"]);
    let mut serving = rr.serve(&["serve", "-p"]);
    assert_eq!(rr.read(".pid"), serving.pid().to_string(), "decimal, no newline");
    assert_eq!(rr.done(&["stop"]), "");
    assert_eq!(serving.wait(), Some(0));
    assert!(!rr.file(".pid").exists());
    // Without -p there is nothing to read, nor to remove.
    rr.write(".pid", "1");
    rr.serve(&["serve"]).stop();
    assert_eq!(rr.read(".pid"), "1");
    rr.check_nothing_left();
}

#[test]
fn cli_07_stop_with_f_asks_twice() {
    let rr = Rr::new(&[
        (".rr.yaml", &yaml("")),
        ("worker.php", &worker().replace("$answer = [\n", "touch('busy'); sleep(1000); $answer = [\n")),
    ]);
    let mut serving = rr.serve(&["serve", "-p"]);
    let mut client = Client::connect(serving.address());
    client.try_request("GET", "/", "", b"").expect("sent");
    eventually("the worker is busy", || rr.file("busy").exists());
    assert_eq!(rr.done(&["stop", "-f"]), "");
    assert_eq!(serving.wait(), Some(1), "as by a second signal");
    // Nothing to do: one is enough.
    rr.write("worker.php", &worker());
    let mut serving = rr.serve(&["serve", "-p"]);
    rr.done(&["-f", "stop"]);
    assert_eq!(serving.wait(), Some(0));
    rr.check_nothing_left();
}

#[test]
fn cli_07_a_stranger_with_the_number_lives() {
    let rr = Rr::app();
    let other = Rr::new(&[(".rr.yaml", &yaml("")), ("worker.php", &worker())]);
    let elsewhere = other.serve(&["serve"]);
    let mut strangers = Vec::new();
    for name in ["sleep", "RoadRunner\\Cli::main serve"] {
        let mut command = Command::new("sleep");
        rr.dress(command.arg0(name).arg("1000"));
        strangers.push(command.spawn().expect("sleep"));
    }
    let mut pids: Vec<u32> = strangers.iter().map(std::process::Child::id).collect();
    pids.extend([elsewhere.pid(), std::process::id()]);
    for pid in pids {
        rr.write(".pid", &pid.to_string());
        rr.run(&["stop", "-f"]).refused(&["is no server that was started here", &pid.to_string()]);
        assert!(is_alive(pid));
    }
    for stranger in &mut strangers {
        assert!(stranger.try_wait().expect("wait").is_none(), "it has no signal");
        stranger.kill().and_then(|()| stranger.wait()).expect("it ends");
    }
    // Workers are none that can be stopped so, and a number that is over is nobody's.
    let serving = rr.serve(&["serve"]);
    for process in e2e::descendants(serving.pid()) {
        rr.write(".pid", &process.pid.to_string());
        if process.name == "rr-worker" || process.name == "rr-zygote" {
            let _ = rr.run(&["stop"]);
        }
    }
    assert!(serving.text("/").contains("\"mode\":\"http\""));
    serving.stop();
    for text in ["", "x", "-1", "0", "99999999999", "2147483647"] {
        rr.write(".pid", text);
        rr.run(&["stop"]).refused(&[".pid"]);
    }
    elsewhere.stop();
    other.check_nothing_left();
    // One that was killed leaves its file, which the next overwrites.
    let mut killed = rr.serve(&["serve", "-p"]);
    kill(killed.pid(), 9);
    killed.wait();
    assert_eq!(rr.read(".pid"), killed.pid().to_string());
    eventually("its workers end", || rr.processes().is_empty());
    rr.run(&["stop"]).refused(&["has ended"]);
    let _ = fs::remove_file(rr.file("rpc.sock"));
    let mut next = rr.serve(&["serve", "-p"]);
    assert_eq!(rr.read(".pid"), next.pid().to_string());
    rr.done(&["stop"]);
    assert_eq!(next.wait(), Some(0));
    rr.check_nothing_left();
}

#[test]
fn cli_07_a_second_server_of_a_folder_leaves_the_first_its_file() {
    let rr = Rr::app();
    let mut first = rr.serve(&["serve", "-p"]);
    let line = ["serve", "-p", "-o", "rpc.listen=unix://second.sock"];
    rr.run(&line).refused(&["another server that was started with -p runs here"]);
    assert_eq!(rr.read(".pid"), first.pid().to_string());
    // Without -p there is nothing to quarrel about.
    rr.serve(&["serve", "-o", "rpc.listen=unix://second.sock"]).stop();
    rr.done(&["stop"]);
    assert_eq!(first.wait(), Some(0));
    assert!(!rr.file(".pid").exists());
    rr.check_nothing_left();
}
