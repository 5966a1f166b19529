//! Takes spans out of the queue in batches, and metrics when they are due, and sends them. Each kind of trouble is one
//! line when it begins and one when it is over.

use crate::Gather;
use crate::prometheus;
use crate::send::{NotTaken, Sender, Signal};
use crate::settings::{Settings, To};
use crate::tracer::Spans;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rr_plugin::Drain;
use serde::Serialize;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the rest may take to be sent when the server stops.
const FLUSH: Duration = Duration::from_secs(5);
/// Between two attempts: the first wait, which doubles, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Between two lines about dropped spans.
const RARELY: Duration = Duration::from_secs(10);

/// See above.
pub(crate) struct Exporter {
    outlet: Outlet,
    settings: Settings,
    spans: Spans,
    gather: Gather,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Where it goes.
#[derive(Debug, Clone)]
enum Outlet {
    Collector(Box<Sender>),
    Stdout,
    Stderr,
}

impl Outlet {
    fn new(to: &To) -> Result<Self, String> {
        Ok(match to {
            To::Collector(collector) => Self::Collector(Box::new(Sender::new((**collector).clone())?)),
            To::Stdout => Self::Stdout,
            To::Stderr => Self::Stderr,
        })
    }

    /// Sends a message, or writes it as one line of OTLP's JSON.
    async fn put(
        &self,
        signal: Signal,
        message: &(impl Message + Serialize),
    ) -> Result<Option<String>, NotTaken> {
        if let Self::Collector(sender) = self {
            return sender.send(signal, message).await;
        }
        let failed = |error: std::io::Error| NotTaken { why: error.to_string(), later: false, after: None };
        let mut line = serde_json::to_vec(message).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let out = matches!(self, Self::Stdout);
        // A reader may be slow.
        let written = tokio::task::spawn_blocking(move || {
            if out {
                std::io::stdout().lock().write_all(&line)
            } else {
                std::io::stderr().lock().write_all(&line)
            }
        });
        written.await.map_err(|error| failed(error.into()))?.map_err(failed)?;
        Ok(None)
    }
}

impl Exporter {
    /// # Errors
    /// The text of why the collector cannot be spoken to at all.
    pub(crate) fn new(settings: &Settings, spans: Spans, gather: Gather) -> Result<Self, String> {
        Ok(Self { outlet: Outlet::new(&settings.to)?, settings: settings.clone(), spans, gather })
    }

    /// Sends until it is drained, then what is left.
    pub(crate) async fn run(self, drain: Drain) {
        let Self { outlet, settings, spans, gather } = self;
        let to = settings.target();
        let (resource, period) = (settings.resource, settings.metrics);
        let metrics = Metrics {
            outlet: outlet.clone(),
            resource: resource.clone(),
            gather,
            began: now(),
            failing: false,
        };
        let traces = Traces {
            outlet,
            resource,
            most: settings.batch,
            room: settings.queue,
            delay: settings.delay,
            spans,
            at_hand: 0,
            trouble: Trouble::None,
            said: 0,
            said_at: None,
        };
        let sent = async {
            if let Some(period) = period {
                metrics.run(period, drain.clone(), &to).await;
            }
        };
        tokio::join!(traces.run(drain.clone(), &to), sent);
    }
}

/// What the log knows of the collector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    Waiting,
    Refused,
}

struct Traces {
    outlet: Outlet,
    resource: Resource,
    /// Spans of a batch at most.
    most: usize,
    /// Places of the queue.
    room: usize,
    /// How long a batch is waited for.
    delay: Duration,
    spans: Spans,
    /// Spans that were taken out of the queue and not sent yet.
    at_hand: usize,
    trouble: Trouble,
    /// Dropped spans that the log knows of, and since when.
    said: u64,
    said_at: Option<Instant>,
}

impl Traces {
    async fn run(mut self, drain: Drain, to: &str) {
        let mut end = drain.clone();
        let late = async {
            end.wait().await;
            tokio::time::sleep(FLUSH).await;
        };
        let in_time = tokio::select! {
            () = self.work(drain, to) => true,
            () = late => false,
        };
        self.say_dropped(true);
        let left = self.at_hand + self.spans.queue.len();
        if left > 0 {
            let why = if in_time { "the collector does not take them" } else { "it took too long" };
            tracing::warn!(target: "otel", left, to, "the last spans are lost: {why}");
        }
    }

    async fn work(&mut self, mut drain: Drain, to: &str) {
        let mut batch = Vec::new();
        while !drain.is_now() {
            tokio::select! {
                () = drain.wait() => break,
                more = self.fill(&mut batch) => if !more { break },
            }
            if !self.deliver(std::mem::take(&mut batch), &mut drain, to).await {
                return;
            }
        }
        self.spans.queue.close();
        loop {
            // What `fill` was interrupted in is still there.
            let space = self.most.saturating_sub(batch.len());
            if space > 0 {
                self.spans.queue.recv_many(&mut batch, space).await;
            }
            self.at_hand = batch.len();
            if batch.is_empty() || !self.deliver(std::mem::take(&mut batch), &mut drain, to).await {
                return;
            }
        }
    }

    /// Fills a batch, or waits for more than one span for as long as that may take. `false`: there will be none.
    async fn fill(&mut self, batch: &mut Vec<Span>) -> bool {
        if self.spans.queue.recv_many(batch, self.most).await == 0 {
            return false;
        }
        let full = async {
            while batch.len() < self.most {
                let space = self.most - batch.len();
                if self.spans.queue.recv_many(batch, space).await == 0 {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(self.delay, full).await;
        true
    }

    /// Sends a batch; again and again where that may help, but not when the server stops: `false` then, and it was not
    /// sent.
    async fn deliver(&mut self, batch: Vec<Span>, drain: &mut Drain, to: &str) -> bool {
        let count = batch.len();
        self.at_hand = count;
        let scope = InstrumentationScope { name: "roadrunner".to_owned(), ..InstrumentationScope::default() };
        let spans = ScopeSpans { scope: Some(scope), spans: batch, ..ScopeSpans::default() };
        let spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        };
        let request = ExportTraceServiceRequest { resource_spans: vec![spans] };
        let mut wait = AGAIN.0;
        loop {
            match self.outlet.put(Signal::Traces, &request).await {
                Ok(partly) => {
                    if let Some(partly) = partly {
                        tracing::warn!(target: "otel", to, "of {count} spans {partly}");
                    }
                    if std::mem::take(&mut self.trouble) != Trouble::None {
                        tracing::info!(target: "otel", to, "spans are sent again");
                    }
                    self.say_dropped(false);
                    self.at_hand = 0;
                    return true;
                }
                Err(error) if !error.later => {
                    if std::mem::replace(&mut self.trouble, Trouble::Refused) != Trouble::Refused {
                        let why = error.why;
                        tracing::warn!(target: "otel", to, "spans are refused, and dropped until they are taken: {why}");
                    }
                    self.spans.dropped.fetch_add(count as u64, Ordering::Relaxed);
                    self.at_hand = 0;
                    return true;
                }
                Err(NotTaken { why, after, .. }) => {
                    if std::mem::replace(&mut self.trouble, Trouble::Waiting) != Trouble::Waiting {
                        let room = self.room;
                        tracing::warn!(target: "otel", to, "spans cannot be sent, the latest {room} at most wait: {why}");
                    }
                    if drain.is_now() {
                        return false;
                    }
                    let pause = after.map_or(wait, |after| after.min(Duration::from_secs(60)));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        // Once more, then no more.
                        () = drain.wait() => {}
                    }
                    wait = (wait * 2).min(AGAIN.1);
                }
            }
        }
    }

    /// Says how many spans were dropped since it was said last, which is not often.
    fn say_dropped(&mut self, last: bool) {
        let dropped = self.spans.dropped.load(Ordering::Relaxed);
        let soon = self.said_at.is_some_and(|said| said.elapsed() < RARELY);
        if dropped > self.said && (last || !soon) {
            let room = self.room;
            let more = dropped - self.said;
            tracing::warn!(target: "otel", dropped = more, "spans were dropped: more came than the queue of {room} (OTEL_BSP_MAX_QUEUE_SIZE) holds, or the collector refused them");
            (self.said, self.said_at) = (dropped, Some(Instant::now()));
        }
    }
}

struct Metrics {
    outlet: Outlet,
    resource: Resource,
    gather: Gather,
    /// When the counters began.
    began: u64,
    failing: bool,
}

impl Metrics {
    async fn run(mut self, period: Duration, mut drain: Drain, to: &str) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(period) => self.send(to).await,
                () = drain.wait() => break,
            }
        }
        if tokio::time::timeout(FLUSH, self.send(to)).await.is_err() {
            tracing::warn!(target: "otel", to, "the last metrics are lost: it took too long");
        }
    }

    /// Sends all metrics as they are now. What is not taken is not kept: the next ones say more.
    async fn send(&mut self, to: &str) {
        let gather = Arc::clone(&self.gather);
        let span = prometheus::Span { began: self.began, now: now() };
        // Not on the thread that serves requests.
        let read = tokio::task::spawn_blocking(move || prometheus::metrics(&gather(), span)).await;
        let Ok(metrics) = read else { return };
        let scope = InstrumentationScope { name: "roadrunner".to_owned(), ..InstrumentationScope::default() };
        let metrics = ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
        let metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![metrics],
            ..ResourceMetrics::default()
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![metrics] };
        match self.outlet.put(Signal::Metrics, &request).await {
            Ok(partly) => {
                if let Some(partly) = partly {
                    tracing::warn!(target: "otel", to, "of the metrics {partly}");
                }
                if std::mem::take(&mut self.failing) {
                    tracing::info!(target: "otel", to, "metrics are sent again");
                }
            }
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                let why = error.why;
                tracing::warn!(target: "otel", to, "metrics cannot be sent: {why}");
            }
            Err(_) => {}
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
