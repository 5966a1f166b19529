//! The methods: RoadRunner's over RPC (R-80…82), and what our own workers ask.

use crate::definition::{Definition, Kind};
use crate::error::{Cause, Operation};
use crate::registry::Registry;
use rr_pool::{Answer, Caller};
use rr_rpc::{Plain, Service};
use rr_wire::metrics::{Change, Record};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A change over RPC. Go finds fields in any case, its clients send small letters.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Metric {
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Value")]
    value: f64,
    #[serde(alias = "Labels")]
    labels: Option<Vec<String>>,
}

/// A declaration.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Collector")]
    collector: Collector,
    /// Label values of the series that a worker asks for; not part of RoadRunner's declaration.
    values: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Collector {
    #[serde(alias = "Type", rename = "type")]
    kind: String,
    #[serde(alias = "Namespace")]
    namespace: Option<String>,
    #[serde(alias = "Subsystem")]
    subsystem: Option<String>,
    #[serde(alias = "Help")]
    help: Option<String>,
    #[serde(alias = "Labels")]
    labels: Option<Vec<String>>,
    #[serde(alias = "Buckets")]
    buckets: Option<Vec<f64>>,
    #[serde(alias = "Objectives")]
    objectives: Objectives,
}

/// Quantiles: keys of a map, or a list, which is what PHP makes of an empty map.
#[derive(Debug, Default, Serialize)]
struct Objectives(Vec<f64>);

impl<'de> Deserialize<'de> for Objectives {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Objectives;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of quantiles to errors")
            }
            fn visit_unit<E>(self) -> Result<Objectives, E> {
                Ok(Objectives::default())
            }
            fn visit_none<E>(self) -> Result<Objectives, E> {
                Ok(Objectives::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Objectives, A::Error> {
                let mut quantiles = Vec::new();
                while let Some(quantile) = items.next_element()? {
                    quantiles.push(quantile);
                }
                Ok(Objectives(quantiles))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Objectives, A::Error> {
                let mut quantiles = Vec::new();
                while let Some((Quantile(quantile), _)) = map.next_entry::<Quantile, IgnoredAny>()? {
                    quantiles.push(quantile);
                }
                Ok(Objectives(quantiles))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The key of an objective: a number, or one in a text.
struct Quantile(f64);

impl<'de> Deserialize<'de> for Quantile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Quantile;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a quantile from 0 to 1")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Quantile, E> {
                Ok(Quantile(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Quantile, E> {
                Ok(Quantile(value as f64))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantile, E> {
                text.parse().map(Quantile).map_err(|_| E::custom(format!("{text:?} is no quantile")))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Named {
    fn definition(self) -> Result<(Definition, Vec<String>), Cause> {
        let Self { name, collector, values } = self;
        let kind = Kind::named(&collector.kind).ok_or(Cause::UnknownType(collector.kind))?;
        let definition = Definition {
            kind,
            namespace: collector.namespace.unwrap_or_default(),
            subsystem: collector.subsystem.unwrap_or_default(),
            help: collector.help.unwrap_or_default(),
            labels: collector.labels.unwrap_or_default(),
            buckets: collector.buckets.unwrap_or_default(),
            objectives: collector.objectives.0,
            name,
        };
        Ok((definition, values))
    }
}

/// What workers ask, which works without a section in the config: a library may count where nobody looks.
#[must_use]
pub fn native(registry: &Arc<Registry>) -> Service {
    let (series, record) = (Arc::clone(registry), Arc::clone(registry));
    Service::new("metrics")
        .native("series", move |caller, body| Answer::Now(grant(&series, caller, body)))
        .native("record", move |_, body| {
            match Record::parse(body) {
                Some(Record { change, series, value }) => record.record(change, series, value),
                None => tracing::warn!(target: "metrics", "a worker sent a change of a metric that is none"),
            }
            Answer::None
        })
        .native("unregister", {
            let registry = Arc::clone(registry);
            move |_, body| {
                let name = String::from_utf8_lossy(body);
                Answer::Now(
                    registry.unregister(&name).map(|()| Vec::new()).map_err(|error| error.cause.to_string()),
                )
            }
        })
}

fn grant(registry: &Registry, caller: &Caller, body: &[u8]) -> Result<Vec<u8>, String> {
    let named: Named = serde_json::from_slice(body).map_err(|error| format!("metrics.series: {error}"))?;
    let worker = (Arc::clone(&caller.pool), caller.worker);
    let granted =
        named.definition().and_then(|(definition, values)| registry.grant(&worker, definition, &values));
    granted.map(|grant| grant.encode()).map_err(|cause| cause.to_string())
}

/// All methods: RoadRunner's, and [`native`]'s.
#[must_use]
pub fn service(registry: &Arc<Registry>) -> Service {
    let change = |change: Change| {
        let registry = Arc::clone(registry);
        move |Plain(metric): Plain<Metric>| {
            let labels = metric.labels.unwrap_or_default();
            match registry.change(change, &metric.name, metric.value, &labels) {
                Ok(()) => Ok(Plain(true)),
                Err(error) => {
                    tracing::debug!(target: "metrics", "{error}");
                    Err(error.to_string())
                }
            }
        }
    };
    let (declare, unregister) = (Arc::clone(registry), Arc::clone(registry));
    native(registry)
        .method("Add", change(Change::Add))
        .method("Sub", change(Change::Sub))
        .method("Set", change(Change::Set))
        .method("Observe", change(Change::Observe))
        .method("Declare", move |Plain(named): Plain<Named>| {
            let name = named.name.clone();
            let declared = named
                .definition()
                .map_err(|cause| cause.during(Operation::Declare))
                .and_then(|(definition, _)| declare.declare(definition));
            match declared {
                Ok(true) => Ok(Plain(true)),
                Ok(false) => {
                    tracing::warn!(target: "metrics", name, "metric with provided name already exist");
                    Ok(Plain(true))
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .method("Unregister", move |Plain(name): Plain<String>| {
            unregister.unregister(&name).map(|()| Plain(true)).map_err(|error| error.to_string())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Limits;
    use rr_rpc::Codec;

    fn call(registry: &Arc<Registry>, method: &str, codec: Codec, body: &[u8]) -> Result<String, String> {
        let mut services = rr_rpc::Registry::default();
        services.add(service(registry));
        match services.call(&format!("metrics.{method}"), codec, body) {
            Answer::Now(result) => result.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            _ => panic!("not at once"),
        }
    }

    #[test]
    fn r_80_r_81_what_php_clients_send_is_understood() {
        let registry = Arc::new(Registry::new(Limits { series: 100 }));
        let json = |method: &str, body: &str| call(&registry, method, Codec::Json, body.as_bytes());
        let declare = r#"{"name":"s","collector":{"type":"summary","help":"h","labels":["a"],"buckets":[],
            "objectives":{"0.5":0.05},"namespace":"n","subsystem":null}}"#;
        assert_eq!(json("Declare", declare), Ok("true".to_owned()));
        assert_eq!(json("Declare", declare), Ok("true".to_owned()));
        assert_eq!(json("Observe", r#"{"name":"s","value":1,"labels":["x"]}"#), Ok("true".to_owned()));
        assert!(registry.text().contains("n_s{a=\"x\",quantile=\"0.5\"} "), "{}", registry.text());
        let empty = r#"{"name":"c","collector":{"type":"counter","objectives":[],"labels":[]}}"#;
        assert_eq!(json("Declare", empty), Ok("true".to_owned()));
        assert_eq!(json("Add", r#"{"name":"c","value":2,"labels":null}"#), Ok("true".to_owned()));
        assert_eq!(
            json("Add", r#"{"name":"c","value":-2,"labels":[]}"#),
            Err("metrics_plugin_add: counter cannot decrease in value".to_owned())
        );
        let unknown = r#"{"name":"x","collector":{"type":"meter"}}"#;
        assert_eq!(
            json("Declare", unknown),
            Err("metrics_plugin_declare: unknown collector type meter".to_owned())
        );
        // {"Name": "c", "Value": 3}
        let packed = b"\x82\xa4Name\xa1c\xa5Value\x03";
        assert_eq!(call(&registry, "Add", Codec::MsgPack, packed), Ok("\u{fffd}".to_owned()));
        assert!(registry.text().contains("\nc 5\n"));
        assert_eq!(json("Unregister", "\"c\""), Ok("true".to_owned()));
        assert!(json("Unregister", "\"c\"").is_err());
    }
}
