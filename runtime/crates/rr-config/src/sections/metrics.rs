//! `metrics`: the listener for Prometheus, and the collectors of the app.

use crate::decode::{Decoder, Kind, Row, Section, section};
use crate::kinds::{Choice, Names, Number, Text, weak_text};
use crate::node::{Map, Node, Value};
use crate::schema::Schema;

/// The type of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectorType {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
    /// Observations as quantiles.
    Summary,
}

const TYPES: Choice<CollectorType> = Choice(
    &[
        ("histogram", CollectorType::Histogram),
        ("gauge", CollectorType::Gauge),
        ("counter", CollectorType::Counter),
        ("summary", CollectorType::Summary),
    ],
    &[],
);

section! {
    /// Metrics for Prometheus.
    Metrics {
        /// Where Prometheus reads them, on any path: `host:port` or `unix://file`.
        address: String = "127.0.0.1:2112".into() => Text;
        /// The app's collectors, by name.
        collect: Vec<(String, Collector)> = Vec::new() => Collectors;
        /// Ours: most series (combinations of label values) of all collectors together; more are errors.
        max_series: usize = 50_000 => Number::within(1, 10_000_000).or_default();
    }
    finish has_an_address;
}

section! {
    /// A collector of the app.
    Collector {
        /// Its type.
        kind("type"): CollectorType = CollectorType::Counter => TYPES;
        /// What it means.
        help: String = String::new() => Text;
        /// Names of its labels; values are given in this order.
        labels: Vec<String> = Vec::new() => Names;
        /// Upper bounds of a histogram's buckets; unset, those of Prometheus from 5 ms to 10 s.
        buckets: Vec<f64> = Vec::new() => Numbers;
        /// Quantiles of a summary and their errors, such as `0.9: 0.01`.
        objectives: Vec<f64> = Vec::new() => Quantiles;
        /// Stands before its name for Prometheus.
        namespace: String = String::new() => Text;
        /// Between namespace and name.
        subsystem: String = String::new() => Text;
    }
    finish has_a_type;
}

fn has_an_address(section: &mut Metrics, _: &Node, _: &Map, _: &str, _: &mut Decoder) {
    if section.address.is_empty() {
        section.address = Metrics::default().address;
    }
}

fn has_a_type(_: &mut Collector, node: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    if map.get("type").is_none_or(Node::is_null) {
        let message = "is missing; write counter, gauge, histogram or summary";
        decoder.wrong::<()>(&node.at, &format!("{path}.type"), message);
    }
}

/// Collectors by name.
struct Collectors;

impl Kind<Vec<(String, Collector)>> for Collectors {
    fn name(&self) -> String {
        "map of sections".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<(String, Collector)>> {
        let map = decoder.section(node, path)?;
        let mut collectors = Vec::with_capacity(map.len());
        for (name, node) in map.iter().filter(|(_, node)| !node.is_null()) {
            if let Some(collector) = Collector::decode(node, &format!("{path}.{name}"), decoder) {
                collectors.push((name.to_owned(), collector));
            }
        }
        Some(collectors)
    }
    fn schema(&self) -> Schema {
        Schema::map_of(Collector::schema())
    }
    fn show(&self, _: &Vec<(String, Collector)>) -> String {
        String::new()
    }
    fn rows(&self, path: &str, rows: &mut Vec<Row>) {
        Collector::rows(&format!("{path}.<name>"), rows);
    }
}

fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => weak_text(node)?.trim().parse().ok(),
    }
    .filter(|number| !number.is_nan())
}

/// Numbers, whole or not.
struct Numbers;

impl Kind<Vec<f64>> for Numbers {
    fn name(&self) -> String {
        "list of numbers".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<f64>> {
        let Value::List(items) = &node.value else {
            return decoder.expected(node, path, "a list of numbers");
        };
        let mut numbers = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match number(item) {
                Some(number) => numbers.push(number),
                None => return decoder.expected(item, &format!("{path}[{index}]"), "a number"),
            }
        }
        Some(numbers)
    }
    fn show(&self, _: &Vec<f64>) -> String {
        String::new()
    }
}

/// Quantiles as keys. Their errors are read and not used: ours are always small.
struct Quantiles;

impl Kind<Vec<f64>> for Quantiles {
    fn name(&self) -> String {
        "map of numbers".into()
    }
    fn read(&self, node: &Node, path: &str, decoder: &mut Decoder) -> Option<Vec<f64>> {
        // A list of maps is one map (CFG-11).
        let maps: Vec<&Map> = match &node.value {
            Value::List(items) => {
                items.iter().map(|item| decoder.section(item, path)).collect::<Option<_>>()?
            }
            _ => vec![decoder.section(node, path)?],
        };
        let mut quantiles = Vec::new();
        for (key, node) in maps.into_iter().flat_map(Map::iter) {
            let path = format!("{path}.{key}");
            match key.trim().parse::<f64>().ok() {
                Some(quantile) if (0.0..=1.0).contains(&quantile) => quantiles.push(quantile),
                // As in the file that comes with RoadRunner, whose Prometheus takes it for nothing.
                Some(_) => decoder.warn(&node.at, &path, "is left out: a quantile is a number from 0 to 1"),
                None => return decoder.wrong(&node.at, &path, "is no quantile: write a number from 0 to 1"),
            }
            if number(node).is_none() {
                return decoder.expected(node, &path, "a number");
            }
        }
        Some(quantiles)
    }
    fn show(&self, _: &Vec<f64>) -> String {
        String::new()
    }
}
