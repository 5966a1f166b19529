//! From the section `otel` and OpenTelemetry's environment variables to what the rest takes. The section goes first, as
//! with RoadRunner; the variables are those of the specification.

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler};
use rr_config::{Otel, OtelClient, OtelExporter};
use std::time::Duration;

/// Where it all goes.
#[derive(Debug, Clone)]
pub(crate) enum To {
    /// A collector.
    Collector(Box<Collector>),
    /// The server's stdout.
    Stdout,
    /// The server's stderr.
    Stderr,
}

/// A collector, and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) grpc: bool,
    pub(crate) traces: Uri,
    pub(crate) metrics: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) compress: bool,
    /// How long one request may take.
    pub(crate) timeout: Duration,
}

/// What the plugin works with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) to: To,
    pub(crate) resource: Resource,
    pub(crate) sampler: Sampler,
    pub(crate) traces: bool,
    /// How often metrics are sent, if they are.
    pub(crate) metrics: Option<Duration>,
    /// Spans that wait to be sent at most.
    pub(crate) queue: usize,
    /// Spans of a batch at most.
    pub(crate) batch: usize,
    /// How long a batch is waited for.
    pub(crate) delay: Duration,
}

/// Settings, and what of the environment is not followed.
#[derive(Debug)]
pub struct Made {
    /// `None`: `OTEL_SDK_DISABLED` or the exporters turn everything off.
    pub settings: Option<Settings>,
    /// One text each, with the name of the variable.
    pub warnings: Vec<String>,
}

/// Environment variables, and what was found wrong with them.
struct Environment<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl Environment<'_> {
    /// An empty variable counts as none.
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn warn(&mut self, name: &str, text: &str, instead: &str) {
        self.warnings.push(format!("{name}={text} is not followed; {instead}"));
    }

    fn number(&mut self, name: &str, most: u64, default: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.unwrap_or_else(|| {
            self.warn(name, &text, &format!("expected a number from 1 to {most}, {default} is taken"));
            default
        })
    }

    fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

impl Settings {
    /// From the section and from `get`, which gives environment variables.
    ///
    /// # Errors
    /// The text of what is wrong with the section, with its key, or with a variable it depends on.
    pub fn make(section: &Otel, get: &dyn Fn(&str) -> Option<String>) -> Result<Made, String> {
        let mut env = Environment { get, warnings: Vec::new() };
        let settings = Self::of(section, &mut env)?;
        Ok(Made { settings, warnings: env.warnings })
    }

    /// Where it all goes, for a log line.
    pub(crate) fn target(&self) -> String {
        match &self.to {
            To::Collector(collector) => collector.traces.to_string(),
            To::Stdout => "stdout".to_owned(),
            To::Stderr => "stderr".to_owned(),
        }
    }

    fn of(section: &Otel, env: &mut Environment<'_>) -> Result<Option<Self>, String> {
        if env.is_true("OTEL_SDK_DISABLED") {
            env.warnings.push("OTEL_SDK_DISABLED is true: nothing is traced".to_owned());
            return Ok(None);
        }
        let (exporter, traces) = exporter(section, env);
        let metrics = section.metrics || metrics_from(env);
        if !traces && !metrics {
            return Ok(None);
        }
        if let Some(text) = env.text("OTEL_PROPAGATORS")
            && text.split(',').any(|name| !matches!(name.trim(), "tracecontext" | "baggage"))
        {
            env.warn("OTEL_PROPAGATORS", &text, "tracecontext and baggage are understood");
        }
        let to = match exporter {
            OtelExporter::Otlp => To::Collector(Box::new(collector(section, env)?)),
            OtelExporter::Stdout => To::Stdout,
            OtelExporter::Stderr => To::Stderr,
        };
        let interval = env.number("OTEL_METRIC_EXPORT_INTERVAL", 86_400_000, 60_000);
        let queue = env.number("OTEL_BSP_MAX_QUEUE_SIZE", 1_000_000, 2048);
        Ok(Some(Self {
            to,
            resource: resource(section, env),
            sampler: sampler(env),
            traces,
            metrics: metrics.then(|| Duration::from_millis(interval)),
            queue: size(queue),
            batch: size(env.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 10_000, 512.min(queue))),
            delay: Duration::from_millis(env.number("OTEL_BSP_SCHEDULE_DELAY", 3_600_000, 5_000)),
        }))
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn exporter(section: &Otel, env: &mut Environment<'_>) -> (OtelExporter, bool) {
    const NAME: &str = "OTEL_TRACES_EXPORTER";
    let named = env.text(NAME);
    let traces = named.as_deref() != Some("none");
    let exporter = section.exporter.unwrap_or_else(|| match named.as_deref() {
        Some("console") => OtelExporter::Stdout,
        Some("otlp" | "none") | None => OtelExporter::Otlp,
        Some(other) => {
            env.warn(NAME, other, "otlp is taken");
            OtelExporter::Otlp
        }
    });
    (exporter, traces)
}

fn metrics_from(env: &mut Environment<'_>) -> bool {
    const NAME: &str = "OTEL_METRICS_EXPORTER";
    match env.text(NAME).as_deref() {
        Some("otlp") => true,
        // Those of the section `metrics`.
        Some("none" | "prometheus") | None => false,
        Some(other) => {
            env.warn(NAME, other, "no metrics are sent");
            false
        }
    }
}

fn collector(section: &Otel, env: &mut Environment<'_>) -> Result<Collector, String> {
    let grpc = match section.client {
        Some(client) => client == OtelClient::Grpc,
        None => match env.text("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
            Some("grpc") => true,
            Some("http/protobuf") | None => false,
            Some(other) => {
                env.warn("OTEL_EXPORTER_OTLP_PROTOCOL", other, "http/protobuf is taken");
                false
            }
        },
    };
    let insecure = section.insecure || env.is_true("OTEL_EXPORTER_OTLP_INSECURE");
    let default = if grpc { "127.0.0.1:4317" } else { "127.0.0.1:4318" };
    let (base, key) = match (&section.endpoint, env.text("OTEL_EXPORTER_OTLP_ENDPOINT")) {
        (Some(endpoint), _) => (endpoint.clone(), "otel.endpoint"),
        (None, Some(endpoint)) => (endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (None, None) => (default.to_owned(), "otel.endpoint"),
    };
    let place = |signal: &str, path: &str, env: &Environment<'_>| {
        let name = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        match env.text(&name).filter(|_| section.endpoint.is_none()) {
            Some(whole) if !grpc => uri(&whole, "", insecure, &name),
            Some(whole) => uri(&whole, path, insecure, &name),
            None => uri(&base, path, insecure, key),
        }
    };
    let (traces, metrics) = if grpc {
        const SERVICES: &str = "/opentelemetry.proto.collector";
        (
            format!("{SERVICES}.trace.v1.TraceService/Export"),
            format!("{SERVICES}.metrics.v1.MetricsService/Export"),
        )
    } else {
        let path = section.custom_url.as_deref().unwrap_or("/v1/traces");
        (format!("/{}", path.trim_start_matches('/')), "/v1/metrics".to_owned())
    };
    let mut headers = Vec::new();
    for (name, value) in pairs(&env.text("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default()) {
        let Some(header) = header(&name, &value) else {
            env.warnings.push(format!("OTEL_EXPORTER_OTLP_HEADERS: {name} is no header and is left out"));
            continue;
        };
        headers.push(header);
    }
    for (name, value) in &section.headers {
        let header = header(name, value).ok_or_else(|| format!("otel.headers.{name}: is no header"))?;
        headers.retain(|(other, _)| *other != header.0);
        headers.push(header);
    }
    let compress = section.compress
        || match env.text("OTEL_EXPORTER_OTLP_COMPRESSION").as_deref() {
            Some("gzip") => true,
            Some("none") | None => false,
            Some(other) => {
                env.warn("OTEL_EXPORTER_OTLP_COMPRESSION", other, "nothing is compressed");
                false
            }
        };
    Ok(Collector {
        grpc,
        traces: place("TRACES", &traces, env)?,
        metrics: place("METRICS", &metrics, env)?,
        headers,
        compress,
        timeout: Duration::from_millis(env.number("OTEL_EXPORTER_OTLP_TIMEOUT", 600_000, 10_000)),
    })
}

/// A URL from `host:port` or a URL, with `path` behind it.
fn uri(base: &str, path: &str, insecure: bool, key: &str) -> Result<Uri, String> {
    let scheme = if insecure { "http://" } else { "https://" };
    let base = base.trim_end_matches('/');
    let whole = if base.contains("://") { format!("{base}{path}") } else { format!("{scheme}{base}{path}") };
    let uri: Uri = whole.parse().map_err(|error| format!("{key}: {base:?} is no address: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(format!("{key}: {base:?}: write host:port, or a URL with http or https"));
    }
    Ok(uri)
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    // Keys of collectors are secrets.
    value.set_sensitive(true);
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
}

/// `a=b,c=d`, percent-encoded, as headers and resource attributes are written in variables.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn resource(section: &Otel, env: &Environment<'_>) -> Resource {
    let of_env = pairs(&env.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    let said = |name: &str| of_env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let given = &section.resource;
    let name = given.service_name.clone().or_else(|| section.service_name.clone());
    let name = name.or_else(|| env.text("OTEL_SERVICE_NAME")).or_else(|| said("service.name"));
    let name = name.unwrap_or_else(|| "RoadRunner".to_owned());
    let version = given.service_version.clone().or_else(|| section.service_version.clone());
    let version = version.or_else(|| said("service.version")).unwrap_or_else(|| "1.0.0".to_owned());
    let namespace = given.service_namespace.clone().or_else(|| said("service.namespace"));
    let instance = given.service_instance_id.clone().or_else(|| said("service.instance.id"));
    let mut attributes = vec![
        ("service.namespace".to_owned(), namespace.unwrap_or_else(|| format!("{name}-{}", random_id()))),
        ("service.instance.id".to_owned(), instance.unwrap_or_else(random_id)),
        ("service.name".to_owned(), name),
        ("service.version".to_owned(), version),
        ("telemetry.sdk.name".to_owned(), "opentelemetry".to_owned()),
        ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
        ("process.pid".to_owned(), std::process::id().to_string()),
        ("os.type".to_owned(), std::env::consts::OS.to_owned()),
        ("host.arch".to_owned(), std::env::consts::ARCH.to_owned()),
    ];
    for (key, value) in of_env {
        if !attributes.iter().any(|(other, _)| *other == key) {
            attributes.push((key, value));
        }
    }
    let attributes = attributes.into_iter().map(|(key, value)| {
        let value = match (&*key, value.parse()) {
            ("process.pid", Ok(pid)) => Value::IntValue(pid),
            _ => Value::StringValue(value),
        };
        KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    });
    Resource { attributes: attributes.collect(), ..Resource::default() }
}

/// A random UUID.
fn random_id() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn sampler(env: &mut Environment<'_>) -> Sampler {
    const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
    let parent = |root: Sampler| Sampler::ParentBased(Box::new(root));
    let name = env.text("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
    let ratio = |env: &mut Environment<'_>| {
        let text = env.text(ARG).unwrap_or_else(|| "1".to_owned());
        let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        Sampler::TraceIdRatioBased(ratio.unwrap_or_else(|| {
            env.warn(ARG, &text, "expected a number from 0 to 1, all is sampled");
            1.0
        }))
    };
    match &*name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => ratio(env),
        "parentbased_always_on" => parent(Sampler::AlwaysOn),
        "parentbased_always_off" => parent(Sampler::AlwaysOff),
        "parentbased_traceidratio" => parent(ratio(env)),
        other => {
            env.warn("OTEL_TRACES_SAMPLER", other, "parentbased_always_on is taken");
            parent(Sampler::AlwaysOn)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    fn make(yaml: &str, env: &[(&str, &str)]) -> Result<Made, String> {
        let text = format!("version: '3'\notel: {yaml}");
        let config = rr_config::Loader::new().text("test", &text).load().unwrap().config;
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::make(&config.otel.unwrap(), &get)
    }

    fn collector_of(yaml: &str, env: &[(&str, &str)]) -> Box<Collector> {
        let made = make(yaml, env).unwrap();
        assert!(made.warnings.is_empty(), "{:?}", made.warnings);
        let To::Collector(collector) = made.settings.unwrap().to else { panic!("a collector") };
        collector
    }

    fn attribute(settings: &Settings, key: &str) -> String {
        let found = settings.resource.attributes.iter().find(|attribute| attribute.key == key).unwrap();
        match found.value.clone().unwrap().value.unwrap() {
            Value::StringValue(text) => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_made_as_roadrunner_and_the_specification_make_them() {
        assert_eq!(collector_of("{metrics: false}", &[]).traces, "https://127.0.0.1:4318/v1/traces");
        let plain = collector_of("{insecure: true, endpoint: 'otel:1', custom_url: in}", &[]);
        assert_eq!(plain.traces, "http://otel:1/in");
        assert_eq!(plain.metrics, "http://otel:1/v1/metrics");
        let grpc = collector_of("{client: grpc, insecure: true}", &[]);
        assert_eq!(
            grpc.traces,
            "http://127.0.0.1:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/")];
        assert_eq!(collector_of("{compress: true}", &env).metrics, "http://c:4318/base/v1/metrics");
        let env = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/whole")];
        assert_eq!(collector_of("{compress: true}", &env).traces, "http://c:1/whole");
        // The section goes first.
        assert_eq!(collector_of("{endpoint: 'https://a:1'}", &env).traces, "https://a:1/v1/traces");
        let wrong = make("{endpoint: 'ftp://a'}", &[]).unwrap_err();
        assert!(wrong.starts_with("otel.endpoint: \"ftp://a\""), "{wrong}");
    }

    #[test]
    fn headers_of_both_places_are_sent() {
        let env = [("OTEL_EXPORTER_OTLP_HEADERS", "a=1%202, x-key=old")];
        let collector = collector_of("{headers: {X-Key: new}}", &env);
        let sent: Vec<_> =
            collector.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(sent, [("a", "1 2"), ("x-key", "new")]);
        assert!(make("{headers: {'a b': c}}", &[]).unwrap_err().starts_with("otel.headers.a b"));
    }

    #[test]
    fn the_resource_has_roadrunners_defaults() {
        let settings = make("{metrics: false}", &[]).unwrap().settings.unwrap();
        assert_eq!(attribute(&settings, "service.name"), "RoadRunner");
        assert_eq!(attribute(&settings, "service.version"), "1.0.0");
        assert!(attribute(&settings, "service.namespace").starts_with("RoadRunner-"));
        assert_eq!(attribute(&settings, "service.instance.id").len(), 36);
        let env = [("OTEL_SERVICE_NAME", "env"), ("OTEL_RESOURCE_ATTRIBUTES", "team=a,service.version=2")];
        let settings = make("{service_version: '3'}", &env).unwrap().settings.unwrap();
        assert_eq!(attribute(&settings, "service.name"), "env");
        assert_eq!(attribute(&settings, "service.version"), "3");
        assert_eq!(attribute(&settings, "team"), "a");
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let env = [
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_METRICS_EXPORTER", "console"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ];
        let made = make("{compress: true}", &env).unwrap();
        assert_eq!(made.warnings.len(), env.len(), "{:?}", made.warnings);
        for (name, _) in env {
            assert!(made.warnings.iter().any(|warning| warning.starts_with(name)), "{name}");
        }
    }

    #[test]
    fn samplers_and_switches() {
        let of = |env: &[(&str, &str)]| make("{compress: true}", env).unwrap().settings;
        let sampler = of(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")]);
        assert!(matches!(sampler.unwrap().sampler, Sampler::TraceIdRatioBased(ratio) if ratio == 0.25));
        assert!(of(&[("OTEL_SDK_DISABLED", "true")]).is_none());
        assert!(of(&[("OTEL_TRACES_EXPORTER", "none")]).is_none());
        let settings = of(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "otlp")]).unwrap();
        assert!(!settings.traces);
        assert_eq!(settings.metrics, Some(Duration::from_secs(60)));
    }
}
