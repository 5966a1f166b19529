//! pss: memory of 16 forked workers of a booted application against 16 processes that booted it themselves.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::keeper::{Keeper, Running};
use crate::options::Options;
use crate::peer::{App, Peer, file};
use crate::{Result, http, proc};

const WORKERS: usize = 16;
/// Requests that each of as many clients sends; `heavy_plain.php` works as often.
const HITS: usize = 20;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(keeper: &Keeper, options: &Options) -> Result<()> {
    println!("\npss: {WORKERS} workers of a booted 150 MB application, Σ PSS");
    let (workers, with_zygote, all, seen) = ours(keeper, options)?;
    let plain = plain(keeper, options)?;
    println!("  exec'ed: {} of {WORKERS} x php heavy_plain.php", megabytes(plain));
    for (name, bytes, bar) in [
        ("workers", workers, " (bar ≤ 0.25)"),
        ("workers + zygote", with_zygote, ""),
        ("workers + zygote + master", all, ""),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "bytes far below 2^52")]
        let ratio = bytes as f64 / plain as f64;
        println!("  ours: {} of {name}, ratio {ratio:.3}{bar}", megabytes(bytes));
    }
    if seen != WORKERS {
        println!("  note: only {seen} of {WORKERS} workers answered a request; the others count as zygote");
    }
    Ok(())
}

/// Bytes of the workers, with the zygote, with the master; and how many workers there were.
fn ours(keeper: &Keeper, options: &Options) -> Result<(u64, u64, u64, usize)> {
    let peer = Peer::ours(keeper, options, App::Heavy, WORKERS)?;
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    // Nobody else is busy when a lone worker answers first, so that one round may miss some.
    for _ in 0..5 {
        seen.extend(hit(&peer).map_err(|error| peer.explain(&error.to_string()))?);
        if seen.len() >= WORKERS {
            break;
        }
    }
    let master = peer.master()?;
    let tree = proc::tree(&[master]);
    let (mut workers, mut zygote, mut count) = (0, 0, 0);
    for &pid in tree.keys().filter(|&&pid| pid != master) {
        let bytes = proc::pss(pid)?;
        if seen.contains(&pid) {
            count += 1;
            workers += bytes;
        } else {
            zygote += bytes;
        }
    }
    Ok((workers, workers + zygote, workers + zygote + proc::pss(master)?, count))
}

/// As many clients as workers at once, on fresh connections; the pids that answered.
fn hit(peer: &Peer) -> Result<BTreeSet<u32>> {
    let address = peer.address;
    let clients: Vec<_> = (0..WORKERS)
        .map(|_| {
            std::thread::spawn(move || {
                let mut pids: BTreeSet<u32> = BTreeSet::new();
                for _ in 0..HITS {
                    let answer = http::get(address, "/hit", LIMIT).map_err(|error| error.to_string())?;
                    let pid =
                        answer.text().parse().map_err(|_| format!("/hit answers {:?}", answer.text()))?;
                    pids.insert(pid);
                }
                Ok::<_, String>(pids)
            })
        })
        .collect();
    let mut pids: BTreeSet<u32> = BTreeSet::new();
    for client in clients {
        pids.extend(client.join().map_err(|_| "a client panicked")??);
    }
    Ok(pids)
}

fn plain(keeper: &Keeper, options: &Options) -> Result<u64> {
    let script = file("apps/heavy_plain.php")?;
    let processes: Vec<Running> = (0..WORKERS)
        .map(|_| {
            let mut command = Keeper::command(&options.php);
            command.args(["-d", "memory_limit=-1"]).arg(&script).stdin(Stdio::piped());
            keeper.start("heavy_plain", command)
        })
        .collect::<Result<_>>()?;
    let deadline = Instant::now() + LIMIT;
    for process in &processes {
        while !process.output().contains("ready") {
            if process.exited() || Instant::now() > deadline {
                return Err(format!("heavy_plain.php did not boot\n{}", process.tail()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    processes.iter().map(|process| proc::pss(process.pid())).sum()
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
