//! idle: CPU time the peers use while nobody asks for anything.

use std::time::{Duration, Instant};

use crate::cpu::Snapshot;
use crate::keeper::Keeper;
use crate::options::Options;
use crate::peer::Peer;
use crate::{Result, http};

const SETTLE: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(10);

pub(crate) fn run(keeper: &Keeper, options: &Options) -> Result<()> {
    println!("\nidle: {} s without a request (bar 0 %)", TIME.as_secs());
    let mut peers = Vec::new();
    for &kind in &options.peers {
        peers.push(Peer::start(kind, keeper, options)?);
    }
    // Every worker has served: idle after work is what a server is most of its life.
    for peer in &peers {
        for _ in 0..20 {
            http::get(peer.address, "/", TIME).map_err(|error| peer.explain(&error.to_string()))?;
        }
    }
    std::thread::sleep(SETTLE);
    let start = Instant::now();
    let before: Vec<Snapshot> = peers.iter().map(|peer| Snapshot::take(&peer.roots())).collect();
    std::thread::sleep(TIME);
    let wall = start.elapsed();
    for (peer, before) in peers.iter().zip(before) {
        let used = before.until(&before.again(&peer.roots()));
        let percent = 100.0 * used.as_secs_f64() / wall.as_secs_f64();
        println!("  {:5} {:>10} ns of CPU, {percent:.3} % of one core", peer.kind.name(), used.as_nanos());
    }
    Ok(())
}
