//! The log: tracing events, and records of PHP, as lines for people or as RoadRunner's JSON, written by a thread of their
//! own so that a slow terminal or disk stops nobody. Lines that do not fit the queue are counted, and the count is
//! written. A channel is a logger's name; each may have a level, a look and outputs of its own.
#![forbid(unsafe_code)]

mod dev;
mod format;
mod rotate;
mod sink;

pub use format::{Encoding, Style};
pub use rotate::Rotation;
pub use serde_json::{Map, Value};
pub use sink::{Output, SinkError};

use format::Fields;
use sink::{Route, Sink};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// How the lines of a channel are written.
#[derive(Debug, Clone)]
pub struct Channel {
    /// The least important level that is written; `None` writes nothing.
    pub level: Option<Level>,
    /// The look of a line.
    pub style: Style,
    /// Where lines go.
    pub outputs: Vec<Output>,
}

/// What to write, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Loggers without a channel of their own.
    pub main: Channel,
    /// Channels by the name of their logger.
    pub channels: Vec<(String, Channel)>,
    /// Where it is said that lines were lost.
    pub faults: Vec<Output>,
}

/// Keeps the writing thread; dropping it writes what is left.
#[derive(Debug)]
pub struct Guard(Arc<Sink>);

impl Guard {
    /// Waits until every line so far is written.
    pub fn flush(&self) {
        self.0.flush();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.flush();
    }
}

static LOG: OnceLock<Arc<Lines>> = OnceLock::new();

/// Makes `settings` the log of this process.
///
/// # Errors
/// An output cannot be opened, or the process has a log already.
pub fn install(settings: Settings) -> Result<Guard, SinkError> {
    let lines = Arc::new(Lines::open(settings)?);
    let sink = Arc::clone(&lines.sink);
    let subscriber = tracing_subscriber::registry().with(Events(Arc::clone(&lines)));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| SinkError::Installed)?;
    LOG.set(lines).map_err(|_| SinkError::Installed)?;
    Ok(Guard(sink))
}

/// Writes a record whose logger and fields are known at run time only. Never blocks.
pub fn write(level: Level, logger: &str, message: &str, fields: Map<String, Value>) {
    if let Some(lines) = LOG.get()
        && lines.wants(logger, level)
    {
        lines.write(level, logger, Fields { message: message.to_owned(), others: fields });
    }
}

/// Whether such a record would be written.
#[must_use]
pub fn is_enabled(level: Level, logger: &str) -> bool {
    LOG.get().is_some_and(|lines| lines.wants(logger, level))
}

/// Writes bytes as they are to stderr, behind the lines before them. Never blocks.
pub fn write_raw(bytes: Vec<u8>) {
    if let Some(lines) = LOG.get() {
        lines.sink.write(&lines.stderr, bytes);
    }
}

/// Lines that were lost since the start, because the outputs were too slow or failed.
#[must_use]
pub fn lost() -> u64 {
    LOG.get().map_or(0, |lines| lines.sink.lost())
}

/// A channel, with its outputs by number.
struct Routed {
    level: Option<Level>,
    style: Style,
    route: Route,
}

struct Lines {
    sink: Arc<Sink>,
    main: Routed,
    channels: Vec<(String, Routed)>,
    stderr: Route,
}

impl Lines {
    fn open(settings: Settings) -> Result<Self, SinkError> {
        let mut outputs: Vec<Output> = Vec::new();
        let mut route = |wanted: &[Output]| -> Route {
            let mut places = Vec::new();
            for output in wanted {
                // Two writers of one file would rotate it under each other.
                let place = outputs.iter().position(|known| known.is_same(output)).unwrap_or_else(|| {
                    outputs.push(output.clone());
                    outputs.len() - 1
                });
                places.push(place);
            }
            places.dedup();
            places.into()
        };
        let mut routed = |channel: Channel| Routed {
            level: channel.level,
            route: route(&channel.outputs),
            style: channel.style,
        };
        let main = routed(settings.main);
        let channels: Vec<_> =
            settings.channels.into_iter().map(|(name, channel)| (name, routed(channel))).collect();
        let (faults, stderr) = (route(&settings.faults), route(&[Output::Stderr]));
        let style = main.style.clone();
        let note = Box::new(move |lost: u64| {
            let message = format!("{lost} log lines were lost: the outputs are too slow or failed");
            style.render(Level::WARN, "logs", Fields { message, ..Fields::default() }, SystemTime::now())
        });
        let sink = Arc::new(Sink::open(&outputs, faults, note)?);
        Ok(Self { sink, main, channels, stderr })
    }

    fn channel(&self, logger: &str) -> &Routed {
        self.channels.iter().find(|(name, _)| name == logger).map_or(&self.main, |(_, channel)| channel)
    }

    fn wants(&self, logger: &str, level: Level) -> bool {
        self.channel(logger).level.is_some_and(|limit| level <= limit)
    }

    fn write(&self, level: Level, logger: &str, fields: Fields) {
        let channel = self.channel(logger);
        self.sink.write(&channel.route, channel.style.render(level, logger, fields, SystemTime::now()));
    }
}

/// What the server itself says, by tracing.
struct Events(Arc<Lines>);

impl<S: Subscriber> Layer<S> for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Libraries speak up when something is wrong; ours are the targets without a path.
        let library = metadata.target().contains("::") || metadata.target().starts_with("hyper");
        if library {
            return Some(Level::WARN).min(self.0.main.level).is_some_and(|limit| *metadata.level() <= limit);
        }
        self.0.wants(metadata.target(), *metadata.level())
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let named = fields.others.remove(format::LOGGER);
        let logger = named.as_ref().and_then(serde_json::Value::as_str).unwrap_or(target);
        self.0.write(level, logger, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_levels_looks_and_outputs_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| Output::File(folder.path().join(name).to_string_lossy().into_owned());
        let style = |encoding| Style { encoding, color: false, ending: "\n".to_owned(), dev: false };
        let channel = |level, encoding, name: &str| Channel {
            level: Some(level),
            style: style(encoding),
            outputs: vec![file(name)],
        };
        let settings = Settings {
            main: channel(Level::INFO, Encoding::Json, "main.log"),
            channels: vec![("jobs".to_owned(), channel(Level::DEBUG, Encoding::Raw, "jobs.log"))],
            faults: vec![Output::Stderr],
        };
        let lines = Lines::open(settings).expect("opens");
        for logger in ["jobs", "app"] {
            for level in [Level::DEBUG, Level::INFO] {
                if lines.wants(logger, level) {
                    let message = format!("{logger} {level}");
                    let others = Map::from_iter([("id".to_owned(), Value::from(7))]);
                    lines.write(level, logger, Fields { message, others });
                }
            }
        }
        lines.sink.flush();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("reads");
        assert_eq!(read("jobs.log"), "jobs DEBUG\njobs INFO\n");
        let main = read("main.log");
        assert!(main.contains(r#""logger":"app","msg":"app INFO","id":7}"#), "{main}");
        assert_eq!(main.lines().count(), 1);
    }
}
