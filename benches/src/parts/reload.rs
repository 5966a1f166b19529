//! reload: SIGHUP after SIGHUP under load; every request must be answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::keeper::Keeper;
use crate::options::Options;
use crate::peer::{App, Peer};
use crate::proc::{self, Stat};
use crate::stats::Times;
use crate::wrk::{Report, Script, Wrk};
use crate::{Result, http};

const CONNECTIONS: usize = 64;
/// For one reload; the next begins all the same.
const LIMIT: Duration = Duration::from_secs(10);
/// For all of them. wrk ends by itself then.
const TOTAL: Duration = Duration::from_secs(300);

pub(crate) fn run(keeper: &Keeper, options: &Options) -> Result<()> {
    let peer = Peer::ours(keeper, options, App::Hello, 2)?;
    let mark = Mark::of(&peer)?;
    println!(
        "\nreload: {} reloads under wrk -c{CONNECTIONS}, one seen done by {}",
        options.repeats,
        mark.path()
    );
    let script = Script::get(keeper)?;
    let wrk = Wrk::start(keeper, &script, peer.address, "/", CONNECTIONS, TOTAL.as_secs())?;
    std::thread::sleep(Duration::from_millis(500));

    let end = Instant::now() + TOTAL - LIMIT;
    let usual = proc::tree(&peer.roots()).len();
    let mut times = Times::default();
    let mut late = 0;
    for _ in 0..options.repeats {
        if Instant::now() > end || wrk.ended() {
            break;
        }
        match reload(keeper, &peer, mark, usual)? {
            Some(time) => times.push(time),
            None => late += 1,
        }
    }
    let report = wrk.interrupt(keeper).map_err(|error| peer.explain(&error.to_string()))?;
    print(options, &times, late, &report);
    Ok(())
}

/// How a new generation is told from the one before.
#[derive(Clone, Copy, Debug)]
enum Mark {
    /// `GET /generation` answers something new.
    Generation,
    /// `GET /pid` answers a process that was not there before.
    Pid,
}

impl Mark {
    fn of(peer: &Peer) -> Result<Self> {
        let known = http::get(peer.address, "/generation", LIMIT)?;
        Ok(if known.status == 200 && known.text().parse::<u64>().is_ok() {
            Mark::Generation
        } else {
            Mark::Pid
        })
    }

    const fn path(self) -> &'static str {
        match self {
            Mark::Generation => "/generation",
            Mark::Pid => "/pid",
        }
    }

    fn read(self, peer: &Peer) -> Option<String> {
        let answer = http::get(peer.address, self.path(), LIMIT).ok()?;
        (answer.status == 200).then(|| answer.text())
    }

    fn is_new(self, now: &str, before: Option<&str>, tree: &BTreeMap<u32, Stat>) -> bool {
        match self {
            Mark::Generation => Some(now) != before,
            Mark::Pid => now.parse().is_ok_and(|pid| !tree.contains_key(&pid)),
        }
    }
}

/// Done when the new generation answers and the old one has left: as many processes as `usual`. `None` if late.
fn reload(keeper: &Keeper, peer: &Peer, mark: Mark, usual: usize) -> Result<Option<Duration>> {
    let tree = proc::tree(&peer.roots());
    let before = mark.read(peer);
    let start = Instant::now();
    if !keeper.signal("HUP", peer.master()?)? {
        return Err(peer.explain("the master is gone"));
    }
    let mut answered = None;
    while start.elapsed() < LIMIT {
        if answered.is_none()
            && mark.read(peer).is_some_and(|now| mark.is_new(&now, before.as_deref(), &tree))
        {
            answered = Some(start.elapsed());
        }
        if answered.is_some() && proc::tree(&peer.roots()).len() == usual {
            return Ok(answered);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

fn print(options: &Options, times: &Times, late: u32, report: &Report) {
    println!(
        "  {} of {} reloads done, {late} not within {} s",
        times.len(),
        options.repeats,
        LIMIT.as_secs()
    );
    println!("  signal to the first answer of the new generation: {times}");
    println!(
        "  {} requests ({:.0}/s); failed (bar 0): non-2xx {}, connect {}, read {}, write {}, timeout {}",
        report.requests,
        report.per_second(),
        report.bad_status,
        report.connect,
        report.read,
        report.write,
        report.timeout
    );
}
