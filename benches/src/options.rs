//! The command line of `compare`: what to measure, how long, and where the extension is.

use std::path::PathBuf;
use std::str::FromStr;

use crate::Result;
use crate::parts::throughput::Case;
use crate::peer::Kind;

pub(crate) const USAGE: &str = "\
usage: compare [options]
  --seconds N      length of one wrk run (5)
  --rounds N       runs per peer and case, interleaved; medians are printed (3)
  --connections N  wrk connections in hello, big and echo (32)
  --repeats N      kills in replace, reloads in reload (100)
  --only LIST      of hello,big,echo,web,slim,replace,pss,idle,reload (all)
  --peers LIST     of ours,raw,fpm (all)
  --extension PATH the extension to measure
  --php PATH       the php to load it into (php)";

/// One figure or table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Throughput(Case),
    Web,
    Slim,
    Replace,
    Pss,
    Idle,
    Reload,
}

impl Part {
    const ALL: [Part; 9] = [
        Part::Throughput(Case::Hello),
        Part::Throughput(Case::Big),
        Part::Throughput(Case::Echo),
        Part::Web,
        Part::Slim,
        Part::Replace,
        Part::Pss,
        Part::Idle,
        Part::Reload,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Part::Throughput(case) => case.name(),
            Part::Web => "web",
            Part::Slim => "slim",
            Part::Replace => "replace",
            Part::Pss => "pss",
            Part::Idle => "idle",
            Part::Reload => "reload",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
    pub(crate) repeats: usize,
    pub(crate) parts: Vec<Part>,
    pub(crate) peers: Vec<Kind>,
    pub(crate) extension: Option<PathBuf>,
    pub(crate) php: String,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self {
            seconds: 5,
            rounds: 3,
            connections: 32,
            repeats: 100,
            parts: Part::ALL.to_vec(),
            peers: Kind::ALL.to_vec(),
            extension: None,
            php: "php".into(),
        };
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                return Ok(None);
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, words.next()),
            };
            let value = value.ok_or_else(|| format!("{name} wants a value"))?;
            match name.as_str() {
                "--seconds" => options.seconds = number(&name, &value, 600)?,
                "--rounds" => options.rounds = number(&name, &value, 1000)?,
                "--connections" => options.connections = number(&name, &value, 10_000)?,
                "--repeats" => options.repeats = number(&name, &value, 10_000)?,
                "--only" => options.parts = list(&name, &value, &Part::ALL, |part| part.name())?,
                "--peers" => options.peers = list(&name, &value, &Kind::ALL, |kind| kind.name())?,
                // A child may run elsewhere, and php looks for a bare name in its extension_dir.
                "--extension" => {
                    let path = std::fs::canonicalize(&value).map_err(|e| format!("{name} {value}: {e}"))?;
                    options.extension = Some(path);
                }
                "--php" => options.php = value,
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        if options.with_ours() && options.extension.is_none() {
            return Err("no extension to measure: give --extension PATH, or --peers raw,fpm".into());
        }
        Ok(Some(options))
    }

    pub(crate) fn with_ours(&self) -> bool {
        self.peers.contains(&Kind::Ours)
    }
}

fn number<T: FromStr + PartialOrd + From<u16>>(name: &str, value: &str, most: u16) -> Result<T> {
    match value.parse() {
        Ok(number) if number >= T::from(1) && number <= T::from(most) => Ok(number),
        _ => Err(format!("{name} wants a number from 1 to {most}, not {value:?}").into()),
    }
}

/// The members of `all` that are named, in the order of `all`.
fn list<T: Copy>(name: &str, value: &str, all: &[T], title: fn(T) -> &'static str) -> Result<Vec<T>> {
    let words: Vec<&str> = value.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if let Some(stranger) = words.iter().find(|word| !all.iter().any(|&item| title(item) == **word)) {
        let known: Vec<_> = all.iter().map(|&item| title(item)).collect();
        return Err(format!("{name}: no {stranger:?} among {}", known.join(",")).into());
    }
    let chosen: Vec<T> = all.iter().copied().filter(|&item| words.contains(&title(item))).collect();
    if chosen.is_empty() { Err(format!("{name} is empty").into()) } else { Ok(chosen) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn lists_keep_the_order_of_the_report() {
        let options = parse("--only idle,hello --peers=fpm,raw --rounds 1").ok().flatten();
        let options = options.expect("a valid line");
        assert_eq!(options.parts, [Part::Throughput(Case::Hello), Part::Idle]);
        assert_eq!(options.peers, [Kind::Raw, Kind::Fpm]);
        assert_eq!(options.rounds, 1);
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in
            ["--peers raw --only helo", "--seconds 0 --peers raw", "--what 1", "--seconds", "--peers ,", ""]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
