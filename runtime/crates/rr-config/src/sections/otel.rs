//! `otel`: where traces and metrics are sent. What is not written may come from OpenTelemetry's environment variables,
//! which this file does not read.

use crate::decode::{Decoder, Kind, section};
use crate::kinds::{Choice, Flag, Nested, Text, weak_text};
use crate::node::{Node, Value};
use crate::schema::Schema;

/// Who gets the spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtelExporter {
    /// A collector, in OpenTelemetry's own protocol.
    Otlp,
    /// The server's stdout.
    Stdout,
    /// The server's stderr.
    Stderr,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtelClient {
    /// Protobuf over HTTP/1.1.
    Http,
    /// gRPC.
    Grpc,
}

section! {
    /// Traces and metrics for OpenTelemetry.
    Otel {
        /// Who gets them: a collector, or the server's own output. Unset, `OTEL_TRACES_EXPORTER`, else `otlp`.
        exporter: Option<OtelExporter> = None => Exporters;
        /// How the collector is spoken to. Unset, `OTEL_EXPORTER_OTLP_PROTOCOL`, else `http`.
        client: Option<OtelClient> = None => Clients;
        /// The collector: `host:port` or a URL without a path. Unset, `OTEL_EXPORTER_OTLP_ENDPOINT`, else
        /// `127.0.0.1:4318`, with `client: grpc` `127.0.0.1:4317`.
        endpoint: Option<String> = None => Text;
        /// The path for traces in place of `/v1/traces`; for `client: http`.
        custom_url: Option<String> = None => Text;
        /// Speaks to the collector without TLS.
        insecure: bool = false => Flag;
        /// Compresses what is sent with gzip.
        compress: bool = false => Flag;
        /// Headers of each request to the collector.
        headers: Vec<(String, String)> = Vec::new() => Texts;
        /// What this server is called.
        resource: OtelResource = OtelResource::default() => Nested;
        /// As `resource.service_name`, its former place.
        service_name: Option<String> = None => Text;
        /// As `resource.service_version`, its former place.
        service_version: Option<String> = None => Text;
        /// Ours: sends the server's metrics to the collector, too; `OTEL_METRICS_EXPORTER=otlp` does the same.
        metrics: bool = false => Flag;
    }
}

section! {
    /// Attributes of everything that is sent.
    OtelResource {
        /// `service.name`. Unset, `OTEL_SERVICE_NAME`, else `RoadRunner`.
        service_name: Option<String> = None => Text;
        /// `service.version`; `1.0.0` unless given.
        service_version: Option<String> = None => Text;
        /// `service.namespace`; the name and a random id unless given.
        service_namespace: Option<String> = None => Text;
        /// `service.instance.id`; a random id unless given.
        service_instance_id: Option<String> = None => Text;
    }
}

const EXPORTERS: Choice<OtelExporter> = Choice(
    &[("otlp", OtelExporter::Otlp), ("stdout", OtelExporter::Stdout), ("stderr", OtelExporter::Stderr)],
    &[],
);
const CLIENTS: Choice<OtelClient> = Choice(&[("http", OtelClient::Http), ("grpc", OtelClient::Grpc)], &[]);

/// Exporters; those of RoadRunner that are not served are errors that name what to do.
struct Exporters;

impl Kind<Option<OtelExporter>> for Exporters {
    fn name(&self) -> String {
        EXPORTERS.name()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Option<OtelExporter>> {
        let text = weak_text(node).unwrap_or_default().to_lowercase();
        if matches!(&*text, "zipkin" | "jaeger" | "jaeger_agent") {
            let message =
                format!("{text} is not served; write otlp, which collectors and Jaeger itself take");
            return decoder.wrong(&node.at, path, message);
        }
        EXPORTERS.read(node, path, decoder).map(Some)
    }
    fn show(&self, _: &Option<OtelExporter>) -> String {
        String::new()
    }
}

/// See [`OtelClient`].
struct Clients;

impl Kind<Option<OtelClient>> for Clients {
    fn name(&self) -> String {
        CLIENTS.name()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Option<OtelClient>> {
        CLIENTS.read(node, path, decoder).map(Some)
    }
    fn schema(&self) -> Schema {
        CLIENTS.schema()
    }
    fn show(&self, _: &Option<OtelClient>) -> String {
        String::new()
    }
}

/// Names with texts, as they are written.
struct Texts;

impl Kind<Vec<(String, String)>> for Texts {
    fn name(&self) -> String {
        "map of texts".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, String)>> {
        let Value::Map(map) = &node.value else {
            return decoder.expected(node, path, "names with texts");
        };
        let mut texts = Vec::with_capacity(map.len());
        for (name, node) in map.iter() {
            match weak_text(node) {
                Some(text) => texts.push((name.to_owned(), text)),
                None => return decoder.expected(node, &format!("{path}.{name}"), "a text"),
            }
        }
        Some(texts)
    }
    fn schema(&self) -> Schema {
        Schema::map_of(Schema::text())
    }
    fn show(&self, _: &Vec<(String, String)>) -> String {
        String::new()
    }
}
