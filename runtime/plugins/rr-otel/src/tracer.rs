//! Spans: made by OpenTelemetry's SDK, put into a queue when they are over. Knows nothing of who takes them out.

use crate::settings::Settings;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer as _, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanProcessor};
use rr_plugin::trace::{Span, Tracer, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// Longest text of an attribute, in bytes; a queue of spans has a bound in bytes, too.
const MAX_TEXT: usize = 4096;
/// Longest `tracestate` that is carried on; the specification wants 512.
const MAX_STATE: usize = 4096;

/// Spans that are over.
#[derive(Debug)]
pub(crate) struct Spans {
    pub(crate) queue: mpsc::Receiver<Sent>,
    /// How many did not fit the queue.
    pub(crate) dropped: Arc<AtomicU64>,
}

/// Makes spans.
#[derive(Debug)]
pub(crate) struct Otel {
    tracer: SdkTracer,
    /// Ends the tracer when it is dropped.
    _provider: SdkTracerProvider,
    propagator: TraceContextPropagator,
}

impl Otel {
    pub(crate) fn new(settings: &Settings) -> (Self, Spans) {
        let (sender, queue) = mpsc::channel(settings.queue);
        let dropped = Arc::new(AtomicU64::new(0));
        let processor = Queue { sender, dropped: Arc::clone(&dropped) };
        let provider = SdkTracerProvider::builder()
            .with_sampler(settings.sampler.clone())
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("roadrunner");
        (
            Self { tracer, _provider: provider, propagator: TraceContextPropagator::new() },
            Spans { queue, dropped },
        )
    }
}

/// Takes spans that are over. Never waits.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<Sent>,
    dropped: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(span.into()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The headers of a client, as the propagator reads them.
struct Carried<'a>(&'a [Option<String>]);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let index = [PARENT, STATE].iter().position(|name| *name == key)?;
        let value = self.0.get(index)?.as_deref()?;
        (key != STATE || value.len() <= MAX_STATE).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT, STATE]
    }
}

impl Tracer for Otel {
    fn carriers(&self) -> &'static [&'static str] {
        &[PARENT, STATE]
    }

    fn begin(&self, name: &str, carried: &[Option<String>]) -> Box<dyn Span> {
        let parent = self.propagator.extract_with_context(&Context::new(), &Carried(carried));
        let builder = SpanBuilder::from_name(name.to_owned()).with_kind(SpanKind::Server);
        Box::new(Begun(self.tracer.build_with_context(builder, &parent)))
    }
}

/// Ends when it is dropped. One that is not sampled is there to be carried on: those behind it decide as it did.
#[derive(Debug)]
struct Begun(opentelemetry_sdk::trace::Span);

impl Span for Begun {
    fn is_recorded(&self) -> bool {
        self.0.is_recording()
    }

    fn carry(&self) -> Vec<(&'static str, String)> {
        let context = self.0.span_context();
        if !context.is_valid() {
            return Vec::new();
        }
        let flags = context.trace_flags().to_u8() & 1;
        let parent = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
        let state = Some(context.trace_state().header()).filter(|state| !state.is_empty());
        [(PARENT, Some(parent)), (STATE, state)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    fn set(&mut self, key: &'static str, value: Value<'_>) {
        self.0.set_attribute(match value {
            Value::Text(text) => KeyValue::new(key, short(text).to_owned()),
            Value::Number(number) => KeyValue::new(key, number),
        });
    }

    fn fail(&mut self, kind: &str, text: &str) {
        self.0.set_attribute(KeyValue::new("error.type", kind.to_owned()));
        self.0.set_status(Status::error(short(text).to_owned()));
    }
}

fn short(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

    fn otel(env: &[(&str, &str)]) -> (Otel, Spans) {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Otel::new(&Settings::make(&rr_config::Otel::default(), &get).unwrap().settings.unwrap())
    }

    const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_span_continues_what_its_client_began() {
        let (otel, mut spans) = otel(&[]);
        let mut span = otel.begin("GET", &[Some(CLIENT.to_owned()), Some("a=b".to_owned())]);
        assert!(span.is_recorded());
        let carried = span.carry();
        assert_eq!(carried[1], ("tracestate", "a=b".to_owned()));
        let (name, parent) = &carried[0];
        assert_eq!(*name, "traceparent");
        assert!(
            parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent.ends_with("-01"),
            "{parent}"
        );
        assert!(!parent.contains("b7ad6b7169203331"), "its own id");
        span.set("url.path", ("x".repeat(MAX_TEXT - 1) + "\u{e4}").as_str().into());
        span.fail("worker_died", "why");
        drop(span);
        let sent = spans.queue.try_recv().unwrap();
        assert_eq!(sent.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
        assert_eq!(sent.status.unwrap().code, StatusCode::Error as i32);
        let attribute = |key: &str| sent.attributes.iter().any(|attribute| attribute.key == key);
        assert!(attribute("url.path") && attribute("error.type"));
    }

    #[test]
    fn what_is_no_context_begins_a_trace() {
        let (otel, mut spans) = otel(&[]);
        for text in [
            "",
            "00-0-0-01",
            "nonsense",
            &CLIENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        ] {
            let span = otel.begin("GET", &[Some(text.to_owned()), Some("x".repeat(100_000))]);
            assert_eq!(span.carry().len(), 1, "{text}");
            drop(span);
            assert!(spans.queue.try_recv().unwrap().parent_span_id.is_empty());
        }
    }

    #[test]
    fn a_client_that_is_not_sampled_is_carried_on_as_that() {
        let (otel, mut spans) = otel(&[]);
        let span = otel.begin("GET", &[Some(CLIENT.replace("-01", "-00")), None]);
        assert!(!span.is_recorded());
        assert!(span.carry()[0].1.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert!(span.carry()[0].1.ends_with("-00"));
        drop(span);
        assert!(spans.queue.try_recv().is_err());
    }

    #[test]
    fn what_the_queue_cannot_hold_is_counted() {
        let (otel, spans) = otel(&[("OTEL_BSP_MAX_QUEUE_SIZE", "2")]);
        for _ in 0..5 {
            drop(otel.begin("GET", &[None, None]));
        }
        assert_eq!((spans.queue.len(), spans.dropped.load(Ordering::Relaxed)), (2, 3));
    }
}
