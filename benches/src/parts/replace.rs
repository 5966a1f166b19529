//! replace: from SIGKILL of the only worker to the first byte of the one that takes its place.

use std::time::{Duration, Instant};

use crate::keeper::Keeper;
use crate::options::Options;
use crate::peer::{App, Peer};
use crate::stats::Times;
use crate::{Result, http};

/// For one replacement.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two kills, for what the replacement still does behind its answer.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn run(keeper: &Keeper, options: &Options) -> Result<()> {
    println!(
        "\nreplace: SIGKILL of the only worker to the first byte of its replacement, {} times",
        options.repeats
    );
    for (app, bar) in [(App::Hello, 2), (App::Heavy, 4)] {
        let peer = Peer::ours(keeper, options, app, 1)?;
        let mut times = Times::default();
        let mut retries = 0;
        let mut pid = worker(&peer)?;
        for _ in 0..options.repeats {
            let (time, tries, next) =
                replace(keeper, &peer, pid).map_err(|error| peer.explain(&error.to_string()))?;
            times.push(time);
            retries += tries;
            pid = next;
            std::thread::sleep(PAUSE);
        }
        println!("  {:15} {times}; {retries} retries (bar p50 ≤ {bar} ms, p99 ≤ 10 ms)", app.name());
    }
    Ok(())
}

/// The pid of the worker that answers.
fn worker(peer: &Peer) -> Result<u32> {
    let answer = http::get(peer.address, "/pid", LIMIT)?;
    let text = answer.text();
    match (answer.status, text.parse()) {
        (200, Ok(pid)) => Ok(pid),
        (status, _) => Err(format!("GET /pid answers {status} {text:?}, not a pid").into()),
    }
}

/// Time, requests lost to the dying worker, and the replacement. The clock starts before the signal is sent.
fn replace(keeper: &Keeper, peer: &Peer, pid: u32) -> Result<(Duration, u32, u32)> {
    let start = Instant::now();
    if !keeper.signal("KILL", pid)? {
        return Err(format!("worker {pid} was gone before it was killed").into());
    }
    let mut retries = 0;
    let mut last = String::new();
    while start.elapsed() < LIMIT {
        match http::get(peer.address, "/pid", LIMIT) {
            Ok(answer) if answer.status == 200 => match answer.text().parse() {
                Ok(next) if next != pid => return Ok((answer.first_byte - start, retries, next)),
                _ => last = format!("200 {:?}", answer.text()),
            },
            Ok(answer) => last = format!("{} {:?}", answer.status, answer.text()),
            Err(error) => last = error.to_string(),
        }
        retries += 1;
    }
    Err(format!("no replacement of worker {pid} within {} s; last answer: {last}", LIMIT.as_secs()).into())
}
