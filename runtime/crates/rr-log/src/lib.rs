//! The log: tracing events as lines for people or as RoadRunner's JSON, written by a thread of their own so that
//! a slow terminal or disk stops nobody. Lines that do not fit the queue are counted, and the count is written.
#![forbid(unsafe_code)]

mod dev;
mod format;
mod sink;

pub use format::{Encoding, Style};
pub use sink::{Output, SinkError};

use sink::Sink;
use std::sync::Arc;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// What to write, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The least important level that is written; `None` writes nothing.
    pub level: Option<Level>,
    /// The look of a line.
    pub style: Style,
    /// Levels of single loggers, by target.
    pub channels: Vec<(String, Option<Level>)>,
    /// Where lines go.
    pub outputs: Vec<Output>,
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

/// Makes `settings` the log of this process.
///
/// # Errors
/// An output cannot be opened, or the process has a log already.
pub fn install(settings: Settings) -> Result<Guard, SinkError> {
    let sink = Arc::new(Sink::open(&settings.outputs)?);
    let lines = Lines { sink: Arc::clone(&sink), settings };
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| SinkError::Installed)?;
    Ok(Guard(sink))
}

struct Lines {
    sink: Arc<Sink>,
    settings: Settings,
}

impl Lines {
    fn level_of(&self, target: &str) -> Option<Level> {
        let channel = self.settings.channels.iter().find(|(name, _)| name == target);
        channel.map_or(self.settings.level, |(_, level)| *level)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Libraries speak up when something is wrong; ours are the targets without a path.
        let library = metadata.target().contains("::") || metadata.target().starts_with("hyper");
        let limit = if library {
            Some(Level::WARN).min(self.settings.level)
        } else {
            self.level_of(metadata.target())
        };
        limit.is_some_and(|limit| *metadata.level() <= limit)
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.sink.write(self.settings.style.line(event));
    }
}
