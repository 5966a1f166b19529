//! A collector with its series: one per combination of label values.

use crate::definition::{Definition, Kind};
use crate::error::Cause;
use crate::summary::Summary;
use crate::text::{self, Page, put_label};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Bytes that the label values of a series may have together.
const MAX_VALUES: usize = 2048;

/// What the master itself has counted of a series.
#[derive(Debug)]
pub(crate) enum Value {
    /// A counter or gauge.
    Number(f64),
    /// Observations by bucket, the last is +Inf; their sum.
    Histogram(Vec<u64>, f64),
    /// Quantiles.
    Summary(Box<Summary>),
}

/// One combination of label values.
#[derive(Debug)]
pub(crate) struct Series {
    /// Its number; never given again.
    pub(crate) id: u32,
    /// `a="b",c="d"`.
    labels: String,
    /// The first cell in which workers count it, if there was room.
    pub(crate) cell: Option<usize>,
    pub(crate) value: Value,
}

/// A collector.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) definition: Definition,
    pub(crate) full_name: String,
    /// The `le` of each bucket.
    bounds: Vec<String>,
    /// The `quantile` of each objective.
    quantiles: Vec<String>,
    pub(crate) series: Vec<Series>,
    by_labels: HashMap<Arc<[String]>, usize>,
}

impl Family {
    pub(crate) fn new(definition: Definition) -> Self {
        let mut bounds: Vec<String> = definition.buckets.iter().copied().map(text::number).collect();
        bounds.push("+Inf".to_owned());
        Self {
            full_name: definition.full_name(),
            quantiles: definition.objectives.iter().copied().map(text::number).collect(),
            bounds,
            series: Vec::new(),
            by_labels: HashMap::new(),
            definition,
        }
    }

    /// Cells that workers need for a series of it; 0: it is counted in the master only.
    pub(crate) fn cells(&self) -> usize {
        match self.definition.kind {
            Kind::Counter => 1,
            // The buckets, +Inf, and the sum.
            Kind::Histogram => self.definition.buckets.len() + 2,
            Kind::Gauge | Kind::Summary => 0,
        }
    }

    /// Checks label values. A collector without labels takes any, and ignores them, as RoadRunner does.
    pub(crate) fn values<'a>(&self, values: &'a [String]) -> Result<&'a [String], Cause> {
        let expected = self.definition.labels.len();
        if expected == 0 {
            return Ok(&[]);
        }
        if values.is_empty() {
            let name = &self.definition.name;
            // Each as RoadRunner writes it.
            let quoted = self.definition.kind != Kind::Gauge;
            return Err(Cause::LabelsRequired(if quoted { format!("`{name}`") } else { name.clone() }));
        }
        if values.len() != expected {
            return Err(Cause::Cardinality { expected, given: values.len(), values: values.to_vec() });
        }
        let bytes: usize = values.iter().map(String::len).sum();
        if bytes > MAX_VALUES {
            let name = &self.definition.name;
            return Err(Cause::Invalid(format!(
                "collector {name}: label values of {bytes} bytes; {MAX_VALUES} are allowed"
            )));
        }
        Ok(values)
    }

    pub(crate) fn find(&self, values: &[String]) -> Option<usize> {
        self.by_labels.get(values).copied()
    }

    /// Adds a series.
    pub(crate) fn insert(&mut self, values: &[String], id: u32, cell: Option<usize>) -> usize {
        let mut labels = String::new();
        for (index, (label, value)) in self.definition.labels.iter().zip(values).enumerate() {
            put_label(&mut labels, index > 0, label, value);
        }
        let value = match self.definition.kind {
            Kind::Counter | Kind::Gauge => Value::Number(0.0),
            Kind::Histogram => Value::Histogram(vec![0; self.bounds.len()], 0.0),
            Kind::Summary => Value::Summary(Box::new(Summary::new())),
        };
        let index = self.series.len();
        self.series.push(Series { id, labels, cell, value });
        self.by_labels.insert(values.into(), index);
        index
    }

    /// Takes an observation of a histogram or summary.
    pub(crate) fn observe(&mut self, series: usize, value: f64, now: Instant) {
        let Self { definition, series: all, .. } = self;
        match &mut all[series].value {
            Value::Histogram(counts, sum) => {
                let bucket = definition.buckets.partition_point(|bound| *bound < value);
                counts[bucket] += 1;
                *sum += value;
            }
            Value::Summary(summary) => summary.observe(value, !definition.objectives.is_empty(), now),
            Value::Number(_) => {}
        }
    }

    /// Writes its lines; `cells` are the sums of what workers have counted.
    pub(crate) fn write(&mut self, page: &mut Page, cells: &[f64], now: Instant) {
        let Self { definition, full_name, bounds, quantiles, series, .. } = self;
        page.family(full_name, definition.kind, &definition.help);
        for series in series {
            let of_workers = |offset: usize| {
                series.cell.and_then(|first| cells.get(first + offset)).copied().unwrap_or(0.0)
            };
            let labels = &*series.labels;
            match &mut series.value {
                Value::Number(number) => page.line(full_name, "", labels, None, *number + of_workers(0)),
                Value::Histogram(counts, sum) => {
                    let mut total = 0.0;
                    for (index, (bound, count)) in bounds.iter().zip(&*counts).enumerate() {
                        total += *count as f64 + of_workers(index);
                        page.line(full_name, "_bucket", labels, Some(("le", bound)), total);
                    }
                    page.line(full_name, "_sum", labels, None, *sum + of_workers(counts.len()));
                    page.line(full_name, "_count", labels, None, total);
                }
                Value::Summary(summary) => {
                    let values = summary.quantiles(&definition.objectives, now);
                    for (quantile, value) in quantiles.iter().zip(values) {
                        page.line(full_name, "", labels, Some(("quantile", quantile)), value);
                    }
                    page.line(full_name, "_sum", labels, None, summary.sum);
                    page.line(full_name, "_count", labels, None, summary.count as f64);
                }
            }
        }
    }
}
