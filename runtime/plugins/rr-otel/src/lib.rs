//! OpenTelemetry: a span for each unit of work, and the server's metrics, sent to a collector in OTLP or written to the
//! server's own output. Section `otel`; names and defaults as RoadRunner, the rest as OpenTelemetry's specification.
//!
//! A span that is over is put into a queue of fixed size (`tracer`), from which a task takes batches and sends them
//! (`export`, `send`). Requests never wait for a collector: what the queue cannot hold is counted and said.
#![forbid(unsafe_code)]

mod export;
mod prometheus;
mod send;
mod settings;
mod tracer;

pub use settings::{Made, Settings};

use rr_plugin::trace::Tracer;
use rr_plugin::{Background, Drain};
use rr_pool::BoxFuture;
use std::sync::Arc;

/// Gives the server's metrics as Prometheus reads them.
pub type Gather = Arc<dyn Fn() -> String + Send + Sync>;

/// The plugin: sends what its tracer has made.
#[derive(Debug)]
pub struct OtelPlugin {
    exporter: export::Exporter,
}

impl OtelPlugin {
    /// The plugin, and the tracer that it sends the spans of; `None` for the latter where no traces are wanted. `gather` is
    /// asked when metrics are due.
    ///
    /// # Errors
    /// The text of what cannot be made of the settings.
    pub fn new(settings: Settings, gather: Gather) -> Result<(Self, Option<Arc<dyn Tracer>>), String> {
        let (tracer, spans) = tracer::Otel::new(&settings);
        let exporter = export::Exporter::new(&settings, spans, gather)?;
        let tracer = settings.traces.then(|| Arc::new(tracer) as Arc<dyn Tracer>);
        Ok((Self { exporter }, tracer))
    }
}

impl Background for OtelPlugin {
    fn name(&self) -> &'static str {
        "otel"
    }

    fn addresses(&self) -> Vec<String> {
        // It listens to nobody.
        Vec::new()
    }

    fn serve(self: Box<Self>, drain: Drain) -> BoxFuture<()> {
        Box::pin(self.exporter.run(drain))
    }
}
