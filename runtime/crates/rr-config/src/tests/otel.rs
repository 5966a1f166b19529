//! The section `otel`.

use super::{fault, load, try_load};
use crate::{Otel, OtelClient, OtelExporter};

#[test]
fn roadrunners_keys_are_read() {
    assert_eq!(load("http: {address: ':1'}").otel, None);
    assert_eq!(load("otel: {compress: false}").otel, Some(Otel::default()));
    let yaml = "otel: {insecure: true, compress: true, client: GRPC, exporter: stderr, custom_url: /x, endpoint: 'a:1',
        headers: {Api-Key: 5}, resource: {service_name: s, service_version: 2, service_namespace: n,
        service_instance_id: i}, metrics: true}";
    let otel = load(yaml).otel.unwrap();
    assert!(otel.insecure && otel.compress && otel.metrics);
    assert_eq!((otel.client, otel.exporter), (Some(OtelClient::Grpc), Some(OtelExporter::Stderr)));
    assert_eq!(otel.headers.len(), 1);
    assert!(otel.headers[0].0.eq_ignore_ascii_case("api-key") && otel.headers[0].1 == "5");
    assert_eq!(otel.resource.service_version.as_deref(), Some("2"));
    assert!(try_load(yaml).unwrap().warnings.is_empty());
}

#[test]
fn exporters_that_are_not_served_are_errors_that_say_so() {
    for name in ["jaeger", "jaeger_agent", "zipkin"] {
        let text = fault(&format!("otel: {{exporter: {name}}}"));
        assert!(text.contains(&format!("otel.exporter: {name} is not served; write otlp")), "{text}");
    }
    assert!(fault("otel: {exporter: kafka}").contains("expected one of otlp, stdout, stderr"));
    assert!(fault("otel: {client: tcp}").contains("expected one of http, grpc"));
    assert!(fault("otel: {headers: x}").contains("expected names with texts"));
}
