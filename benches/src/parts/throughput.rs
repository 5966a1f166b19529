//! hello, big, echo: requests per second, latency and CPU per request of each peer, in interleaved rounds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cpu::Snapshot;
use crate::keeper::Keeper;
use crate::options::Options;
use crate::peer::{Kind, Peer, file};
use crate::stats::median;
use crate::wrk::{Report, Script, Wrk};
use crate::{Result, http};

const ECHO_BYTES: usize = 10 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Hello,
    Big,
    Echo,
    /// What a page of an app costs.
    Slim,
}

impl Case {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Case::Hello => "hello",
            Case::Big => "big",
            Case::Echo => "echo",
            Case::Slim => "slim",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Case::Hello => "/",
            Case::Big => "/big",
            Case::Echo => "/echo",
            Case::Slim => "/list/all?below=50",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Case::Hello => "GET /, 13 bytes",
            Case::Big => "GET /big, 64 KiB",
            Case::Echo => "POST /echo, 10 KiB there and back",
            Case::Slim => "GET /list/all?below=50, a Slim app, 9 KB",
        }
    }

    /// CPU per request, ours / raw hyper.
    const fn bar_over_raw(self) -> f64 {
        match self {
            Case::Hello => 2.0,
            Case::Big | Case::Echo | Case::Slim => 1.5,
        }
    }

    const fn answer_bytes(self) -> usize {
        match self {
            Case::Hello => 13,
            Case::Big => 65536,
            Case::Echo => ECHO_BYTES,
            Case::Slim => 9127,
        }
    }
}

#[derive(Debug)]
struct Round {
    report: Report,
    cpu_micros: f64,
}

/// The ways to write an app beside each other, and php-fpm.
pub(crate) fn web(keeper: &Keeper, options: &Options) -> Result<()> {
    let kinds: Vec<Kind> =
        Kind::WEB.into_iter().filter(|kind| *kind != Kind::Fpm || options.peers.contains(kind)).collect();
    compare(keeper, options, Case::Hello, &kinds)
}

/// An app of a framework behind our server, behind php-fpm, and behind nothing at all: PHP that calls it in a loop.
pub(crate) fn slim(keeper: &Keeper, options: &Options) -> Result<()> {
    let kinds: &[Kind] =
        if options.peers.contains(&Kind::Fpm) { &[Kind::Slim, Kind::SlimFpm] } else { &[Kind::Slim] };
    let script = file("apps/slim/bare.php")?;
    let mut bare = Vec::new();
    let peers = measure(keeper, options, Case::Slim, kinds, || {
        let output = Command::new(&options.php)
            .args(["-d", "opcache.enable_cli=1"])
            .args([&script, Path::new(&options.seconds.to_string())])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        bare.push(text.trim().parse::<f64>().map_err(|_| format!("bare.php printed {text:?}"))?);
        Ok(())
    })?;
    print(options, Case::Slim, &peers);
    let bare = median(bare);
    println!("  bare: {bare:.1} µs, PHP alone calls the app in a loop");
    let cpu = |kind| {
        let (_, rounds) = peers.iter().find(|(peer, _)| peer.kind == kind)?;
        Some(median(rounds.iter().map(|round| round.cpu_micros).collect()))
    };
    if let Some(ours) = cpu(Kind::Slim) {
        println!("  slim/bare: CPU per request {:.2} (bar ≤ 1.15)", ours / bare);
        if let Some(fpm) = cpu(Kind::SlimFpm) {
            println!("  slim/slim-fpm: CPU per request {:.2} (bar ≤ 0.4)", ours / fpm);
        }
    }
    Ok(())
}

pub(crate) fn run(keeper: &Keeper, options: &Options, case: Case) -> Result<()> {
    compare(keeper, options, case, &options.peers)
}

fn compare(keeper: &Keeper, options: &Options, case: Case, kinds: &[Kind]) -> Result<()> {
    let peers = measure(keeper, options, case, kinds, || Ok(()))?;
    print(options, case, &peers);
    Ok(())
}

/// Measures each kind once a round, and then what has no server.
fn measure(
    keeper: &Keeper,
    options: &Options,
    case: Case,
    kinds: &[Kind],
    mut beside: impl FnMut() -> Result<()>,
) -> Result<Vec<(Peer, Vec<Round>)>> {
    let script = match case {
        Case::Echo => Script::post(keeper, ECHO_BYTES)?,
        Case::Hello | Case::Big | Case::Slim => Script::get(keeper)?,
    };
    let mut peers = Vec::new();
    for &kind in kinds {
        let peer = Peer::start(kind, keeper, options)?;
        check(&peer, case)?;
        peers.push((peer, Vec::new()));
    }
    let load = |peer: &Peer, seconds| {
        Wrk::start(keeper, &script, peer.address, case.path(), options.connections, seconds)?.finish()
    };
    for (peer, _) in &peers {
        load(peer, 1)?;
    }
    for _ in 0..options.rounds {
        for (peer, rounds) in &mut peers {
            let before = Snapshot::take(&peer.roots());
            let report = load(peer, options.seconds).map_err(|error| peer.explain(&error.to_string()))?;
            let used = before.until(&before.again(&peer.roots()));
            rounds.push(Round { cpu_micros: per_request(used, report.requests), report });
        }
        beside()?;
    }
    Ok(peers)
}

/// A peer that answers something else than the others would be fast for nothing.
fn check(peer: &Peer, case: Case) -> Result<()> {
    let limit = Duration::from_secs(10);
    let answer = match case {
        Case::Echo => http::request(peer.address, "POST", case.path(), &[b'x'; ECHO_BYTES], limit),
        Case::Hello | Case::Big | Case::Slim => http::get(peer.address, case.path(), limit),
    };
    match answer {
        Ok(answer) if answer.status == 200 && answer.body.len() == case.answer_bytes() => Ok(()),
        Ok(answer) => {
            let told = format!("{} answers {} with {} bytes", case.path(), answer.status, answer.body.len());
            Err(peer.explain(&told))
        }
        Err(error) => Err(peer.explain(&format!("{}: {error}", case.path()))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_request(used: Duration, requests: u64) -> f64 {
    used.as_secs_f64() * 1e6 / requests as f64
}

fn print(options: &Options, case: Case, peers: &[(Peer, Vec<Round>)]) {
    println!("\n{}: {}, {} connections", case.name(), case.title(), options.connections);
    println!(
        "  {:8} {:>9} {:>9} {:>9} {:>12} {:>17} {:>8} {:>14}",
        "peer", "req/s", "p50 ms", "p99 ms", "CPU µs/req", "min–max", "non-2xx", "socket errors"
    );
    for (peer, rounds) in peers {
        let of = |value: fn(&Round) -> f64| -> Vec<f64> { rounds.iter().map(value).collect() };
        let cpu = of(|round| round.cpu_micros);
        let span = format!(
            "{:.1}–{:.1}",
            cpu.iter().copied().fold(f64::INFINITY, f64::min),
            cpu.iter().copied().fold(0.0, f64::max)
        );
        println!(
            "  {:5} {:>9.0} {:>9.2} {:>9.2} {:>12.1} {:>17} {:>8} {:>14}",
            peer.kind.name(),
            median(of(|round| round.report.per_second())),
            median(of(|round| round.report.p50_millis())),
            median(of(|round| round.report.p99_millis())),
            median(cpu),
            span,
            rounds.iter().map(|round| round.report.bad_status).sum::<u64>(),
            rounds.iter().map(|round| round.report.socket_errors()).sum::<u64>(),
        );
    }
    let figure = |kind: Kind, value: fn(&Round) -> f64| {
        let (_, rounds) = peers.iter().find(|(peer, _)| peer.kind == kind)?;
        Some(median(rounds.iter().map(value).collect()))
    };
    let ratio = |above: Kind, below: Kind, value| Some(figure(above, value)? / figure(below, value)?);
    let cpu: fn(&Round) -> f64 = |round| round.cpu_micros;
    let speed: fn(&Round) -> f64 = |round| round.report.per_second();
    let pairs = [
        (Kind::Ours, Kind::Raw),
        (Kind::Fpm, Kind::Ours),
        (Kind::Fpm, Kind::Raw),
        (Kind::Classic, Kind::Fpm),
    ];
    for (above, below) in pairs {
        let (Some(cpu), Some(speed)) = (ratio(above, below, cpu), ratio(above, below, speed)) else {
            continue;
        };
        let bar = match (above, below, case) {
            (Kind::Ours, Kind::Raw, _) => format!(" (bar ≤ {:.1})", case.bar_over_raw()),
            (Kind::Fpm, Kind::Ours, Case::Hello) => " (bar ≥ 7.0)".into(),
            (Kind::Classic, Kind::Fpm, _) => " (bar ≤ 0.3)".into(),
            _ => String::new(),
        };
        println!("  {}/{}: CPU per request {cpu:.2}{bar}, req/s {speed:.2}", above.name(), below.name());
    }
    for (kind, bar) in [(Kind::Globals, 3.0), (Kind::Classic, 10.0)] {
        if let (Some(web), Some(handler)) = (figure(kind, cpu), figure(Kind::Ours, cpu)) {
            println!("  {} - handler: {:+.1} µs (bar ≤ +{bar:.0})", kind.name(), web - handler);
        }
    }
}
