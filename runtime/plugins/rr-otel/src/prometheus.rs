//! From the text that Prometheus reads to OpenTelemetry's metrics. Reads what this server writes (version 0.0.4, each
//! family in one piece), pure; a line that it cannot read is left out.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, Summary,
    SummaryDataPoint, metric::Data, number_data_point,
};
use std::collections::BTreeMap;

/// When the counters began and when they were read, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) began: u64,
    pub(crate) now: u64,
}

type Labels = Vec<(String, String)>;

/// A line: name, labels, value.
struct Sample<'a> {
    name: &'a str,
    labels: Labels,
    value: f64,
}

/// The metrics of a text.
pub(crate) fn metrics(text: &str, span: Span) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut help = "";
    let mut family: Option<(&str, &str, &str, Vec<Sample<'_>>)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            metrics.extend(family.take().and_then(|family| metric(family, span)));
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            family = Some((name, kind, std::mem::take(&mut help), Vec::new()));
        } else if let (Some((.., samples)), Some(sample)) = (&mut family, sample(line)) {
            samples.push(sample);
        }
    }
    metrics.extend(family.and_then(|family| metric(family, span)));
    metrics
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = match rest.trim() {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample { name, labels, value })
}

fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let attribute = |(key, value): &(String, String)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    labels.iter().map(attribute).collect()
}

fn metric((name, kind, help, samples): (&str, &str, &str, Vec<Sample<'_>>), span: Span) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match kind {
        "counter" => Data::Sum(Sum {
            data_points: numbers(&samples, span, true),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        "histogram" => Data::Histogram(Histogram {
            data_points: by_labels(name, &samples, "le").into_iter().map(|row| row.histogram(span)).collect(),
            aggregation_temporality: cumulative,
        }),
        "summary" => Data::Summary(Summary {
            data_points: by_labels(name, &samples, "quantile")
                .into_iter()
                .map(|row| row.summary(span))
                .collect(),
        }),
        _ => Data::Gauge(Gauge { data_points: numbers(&samples, span, false) }),
    };
    let (name, description) = (name.to_owned(), help.replace("\\n", "\n").replace("\\\\", "\\"));
    (!samples.is_empty()).then(|| Metric { name, description, data: Some(data), ..Metric::default() })
}

fn numbers(samples: &[Sample<'_>], span: Span, began: bool) -> Vec<NumberDataPoint> {
    let point = |sample: &Sample<'_>| NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: if began { span.began } else { 0 },
        time_unix_nano: span.now,
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    };
    samples.iter().map(point).collect()
}

/// The lines of one histogram or summary.
#[derive(Default)]
struct Row {
    labels: Labels,
    /// Buckets or quantiles, as they are written.
    steps: Vec<(f64, f64)>,
    sum: f64,
    count: f64,
}

fn by_labels(name: &str, samples: &[Sample<'_>], step: &str) -> Vec<Row> {
    let mut rows: BTreeMap<Labels, Row> = BTreeMap::new();
    for sample in samples {
        let (own, labels): (Labels, Labels) =
            sample.labels.iter().cloned().partition(|(label, _)| label == step);
        let row = rows.entry(labels.clone()).or_insert_with(|| Row { labels, ..Row::default() });
        match (sample.name.strip_prefix(name), own.first()) {
            (Some("_sum"), _) => row.sum = sample.value,
            (Some("_count"), _) => row.count = sample.value,
            (_, Some((_, bound))) => {
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or(f64::NAN) };
                row.steps.push((bound, sample.value));
            }
            _ => {}
        }
    }
    rows.into_values().collect()
}

impl Row {
    fn histogram(self, span: Span) -> HistogramDataPoint {
        let mut before = 0.0;
        let mut bucket_counts = Vec::with_capacity(self.steps.len());
        for (_, total) in &self.steps {
            bucket_counts.push(whole(total - before));
            before = *total;
        }
        HistogramDataPoint {
            attributes: attributes(&self.labels),
            start_time_unix_nano: span.began,
            time_unix_nano: span.now,
            count: whole(self.count),
            sum: Some(self.sum),
            bucket_counts,
            explicit_bounds: self
                .steps
                .iter()
                .map(|(bound, _)| *bound)
                .filter(|bound| bound.is_finite())
                .collect(),
            ..HistogramDataPoint::default()
        }
    }

    fn summary(self, span: Span) -> SummaryDataPoint {
        let value = |(quantile, value): (f64, f64)| ValueAtQuantile { quantile, value };
        SummaryDataPoint {
            attributes: attributes(&self.labels),
            start_time_unix_nano: span.began,
            time_unix_nano: span.now,
            count: whole(self.count),
            sum: self.sum,
            quantile_values: self.steps.into_iter().map(value).collect(),
            ..SummaryDataPoint::default()
        }
    }
}

/// The conversion saturates.
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP jobs_total Jobs \\\\ done.
# TYPE jobs_total counter
jobs_total{queue=\"a\\\"b\\\\c\\nd\",x=\"\"} 3
jobs_total{queue=\"}\"} 4.5
# TYPE depth gauge
depth -1
# TYPE run_seconds histogram
run_seconds_bucket{r=\"/\",le=\"0.5\"} 1
run_seconds_bucket{r=\"/\",le=\"+Inf\"} 3
run_seconds_sum{r=\"/\"} 2.5
run_seconds_count{r=\"/\"} 3
# TYPE size summary
size{quantile=\"0.5\"} 10
size_sum 20
size_count 2
# TYPE empty gauge
nonsense
";

    #[test]
    fn each_type_becomes_its_like() {
        let all = metrics(TEXT, Span { began: 1, now: 2 });
        let names: Vec<_> = all.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["jobs_total", "depth", "run_seconds", "size"]);
        assert_eq!(all[0].description, "Jobs \\ done.");
        let Some(Data::Sum(sum)) = &all[0].data else { panic!("{all:?}") };
        assert!(sum.is_monotonic);
        assert_eq!(
            sum.data_points[0].attributes,
            attributes(
                &vec![("queue".to_owned(), "a\"b\\c\nd".to_owned()), ("x".to_owned(), String::new()),]
            )
        );
        assert_eq!(sum.data_points[1].value, Some(number_data_point::Value::AsDouble(4.5)));
        assert_eq!((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano), (1, 2));
        let Some(Data::Histogram(histogram)) = &all[2].data else { panic!("{all:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((point.bucket_counts.clone(), point.explicit_bounds.clone()), (vec![1, 2], vec![0.5]));
        assert_eq!((point.count, point.sum), (3, Some(2.5)));
        let Some(Data::Summary(summary)) = &all[3].data else { panic!("{all:?}") };
        assert_eq!(summary.data_points[0].quantile_values.len(), 1);
        assert_eq!(summary.data_points[0].count, 2);
    }

    #[test]
    fn broken_lines_are_left_out() {
        for line in ["", "x", "x{", "x{a=", "x{a=\"", "x{a=\"b\\", "x{a=\"b\"} y", "x{} "] {
            assert!(sample(line).is_none(), "{line:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived_and_any_label_is_read(text in "\\PC*", value in "(\\PC|\n)*") {
            let _ = metrics(&format!("# TYPE x counter\n{text}"), Span { began: 0, now: 0 });
            let _ = sample(&text);
            let written = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            let line = format!("x{{l=\"{written}\"}} 1");
            let read = sample(&line).expect("a sample");
            proptest::prop_assert_eq!(read.labels, vec![("l".to_owned(), value)]);
        }
    }
}
