//! `RoadRunner\Metrics`: counters, gauges, histograms and summaries without a message per count. What a collector is
//! goes to the server when one of its series is used first; the rules are in `rr-metrics`, the cells in `rr-worker`.

use super::exceptions::{Cause, of, of_session};
use crate::role::session;
use crate::zend;
use ext_php_rs::convert::FromZval;
use ext_php_rs::flags::DataType;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};
use rr_wire::metrics::Change;
use rr_worker::{Meter, SessionError};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Declares the metrics of the app: `Metrics::counter('hits', ['route'])->inc(1, ['/'])`.
///
/// A collector is made by the first call that names it, or stands in `metrics.collect` of the config; calls that name
/// it again get the same. Counting works inside a worker only; without a `metrics` section nobody can read it.
#[php_class]
#[php(name = "RoadRunner\\Metrics")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Metrics;

/// A number that only goes up.
#[php_class]
#[php(name = "RoadRunner\\Counter")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Counter(Handle);

/// A number that goes up and down.
#[php_class]
#[php(name = "RoadRunner\\Gauge")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Gauge(Handle);

/// Observations, counted in buckets.
#[php_class]
#[php(name = "RoadRunner\\Histogram")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Histogram(Handle);

/// Observations of the last ten minutes, as quantiles.
#[php_class]
#[php(name = "RoadRunner\\Summary")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Summary(Handle);

/// An int or a float.
#[derive(Clone, Copy)]
pub struct Number(f64);

impl FromZval<'_> for Number {
    const TYPE: DataType = DataType::Double;

    fn from_zval(value: &Zval) -> Option<Self> {
        value.double().or_else(|| value.long().map(|number| number as f64)).map(Self)
    }
}

/// A collector as this process knows it.
struct Family {
    /// The question for the server, without label values.
    collector: Value,
    name: String,
    labels: Vec<String>,
    /// Series in use, by label values; as many as the server grants.
    meters: RefCell<HashMap<Vec<String>, Rc<Series>>>,
}

/// A series: which one it is, and where it is counted, once that is known.
struct Series {
    request: Vec<u8>,
    meter: RefCell<Option<Meter>>,
}

/// What an object of PHP holds: a collector, and a series of it where that is settled.
struct Handle {
    family: Rc<Family>,
    bound: Option<Rc<Series>>,
}

/// Collectors that are remembered; others are declared anew by each call that names them.
const MAX_KNOWN: usize = 10_000;

thread_local! {
    static FAMILIES: RefCell<HashMap<(&'static str, String), Rc<Family>>> = RefCell::default();
}

fn refused(text: impl Into<String>) -> PhpException {
    of(Cause::Metrics, text)
}

fn texts(values: &ZendHashTable, what: &str) -> PhpResult<Vec<String>> {
    let text = |value: &Zval| match (value.dereference().zend_str(), value.dereference().long()) {
        (Some(text), _) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
        (None, number) => number.map(|number| number.to_string()),
    };
    values
        .values()
        .map(|value| text(value).ok_or_else(|| refused(format!("{what} are texts in UTF-8, or ints"))))
        .collect()
}

impl Family {
    fn series(&self, values: Vec<String>) -> PhpResult<Rc<Series>> {
        if let Some(series) = self.meters.borrow().get(&values) {
            return Ok(Rc::clone(series));
        }
        let request = json!({"name": self.name, "collector": self.collector, "values": values})
            .to_string()
            .into_bytes();
        let series = Rc::new(Series { request, meter: RefCell::new(None) });
        // Those that the server refuses must not pile up here.
        if session::is_there() {
            series.bind()?;
            self.meters.borrow_mut().insert(values, Rc::clone(&series));
        }
        Ok(series)
    }
}

impl Series {
    fn bind(&self) -> PhpResult<()> {
        let meter = session::with(|session| session.meter(&self.request))?.map_err(|error| match &error {
            SessionError::Refused(text) => refused(text),
            _ => of_session(&error),
        })?;
        self.meter.replace(Some(meter));
        Ok(())
    }

    /// Counts in this worker's cells, or has the server count.
    fn count(&self, change: Change, value: f64, cells: impl Fn(&Meter) -> bool) -> PhpResult<()> {
        if self.meter.borrow().as_ref().is_some_and(&cells) {
            return Ok(());
        }
        if !self.meter.borrow().as_ref().is_some_and(Meter::is_valid) {
            self.bind()?;
        }
        let meter = self.meter.borrow();
        let Some(meter) = meter.as_ref() else { return Ok(()) };
        if cells(meter) {
            return Ok(());
        }
        session::with(|session| session.record(meter, change, value))?.map_err(|error| of_session(&error))
    }
}

impl Handle {
    fn new(
        kind: &'static str,
        name: &str,
        labels: Option<&ZendHashTable>,
        help: Option<&str>,
        more: Value,
    ) -> PhpResult<Self> {
        let labels = labels.map_or_else(|| Ok(Vec::new()), |labels| texts(labels, "label names"))?;
        let key = (kind, name.to_owned());
        let known = FAMILIES.with(|families| families.borrow().get(&key).cloned());
        let known = known.filter(|family| labels.is_empty() || family.labels == labels);
        let family = known.unwrap_or_else(|| {
            let mut collector = json!({"type": kind, "labels": labels, "help": help});
            if let (Some(collector), Value::Object(more)) = (collector.as_object_mut(), more) {
                collector.extend(more);
            }
            let family = Family { collector, name: name.to_owned(), labels, meters: RefCell::default() };
            let family = Rc::new(family);
            // Names made up at each request must not pile up here.
            FAMILIES.with(|families| {
                let mut families = families.borrow_mut();
                if families.len() < MAX_KNOWN {
                    families.insert(key, Rc::clone(&family));
                }
            });
            family
        });
        Ok(Self { family, bound: None })
    }

    fn with(&self, labels: &ZendHashTable) -> PhpResult<Self> {
        let bound = self.family.series(texts(labels, "label values")?)?;
        Ok(Self { family: Rc::clone(&self.family), bound: Some(bound) })
    }

    /// Does `count` with the series of `labels`, or of this object.
    fn on(
        &mut self,
        labels: Option<&ZendHashTable>,
        count: impl FnOnce(&Series) -> PhpResult<()>,
    ) -> PhpResult<()> {
        match (labels.filter(|labels| !labels.is_empty()), &self.bound) {
            (Some(_), Some(_)) if !self.family.labels.is_empty() => {
                Err(refused(format!("collector {}: with() has given its labels", self.family.name)))
            }
            (Some(labels), _) => count(&*self.family.series(texts(labels, "label values")?)?),
            (None, Some(bound)) => count(bound),
            (None, None) => {
                let series = self.family.series(Vec::new())?;
                count(&series)?;
                self.bound = Some(series);
                Ok(())
            }
        }
    }

    fn change(&mut self, change: Change, value: f64, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        self.on(labels, |series| series.count(change, value, |_| false))
    }

    fn observe(&mut self, value: f64, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        if !value.is_finite() {
            return Err(refused(format!("collector {} takes finite numbers only", self.family.name)));
        }
        self.on(labels, |series| series.count(Change::Observe, value, |meter| meter.observe(value)))
    }
}

#[php_impl]
impl Metrics {
    /// A counter. Names in Prometheus' style end with `_total`.
    ///
    /// @param list<string> $labels names of its labels
    /// @throws MetricsException a label is no text
    pub fn counter(name: &str, labels: Option<&ZendHashTable>, help: Option<&str>) -> PhpResult<Counter> {
        zend::counter::install();
        Handle::new("counter", name, labels, help, Value::Null).map(Counter)
    }

    /// A gauge.
    ///
    /// @param list<string> $labels names of its labels
    /// @throws MetricsException a label is no text
    pub fn gauge(name: &str, labels: Option<&ZendHashTable>, help: Option<&str>) -> PhpResult<Gauge> {
        Handle::new("gauge", name, labels, help, Value::Null).map(Gauge)
    }

    /// A histogram.
    ///
    /// @param list<string> $labels names of its labels
    /// @param list<int|float> $buckets upper bounds, ascending; unset, those of Prometheus from 5 ms to 10 s
    /// @throws MetricsException a label is no text, or a bucket no number
    pub fn histogram(
        name: &str,
        labels: Option<&ZendHashTable>,
        buckets: Option<&ZendHashTable>,
        help: Option<&str>,
    ) -> PhpResult<Histogram> {
        let more = json!({"buckets": numbers(buckets, "buckets")?});
        Handle::new("histogram", name, labels, help, more).map(Histogram)
    }

    /// A summary.
    ///
    /// @param list<string> $labels names of its labels
    /// @param list<float> $quantiles from 0 to 1
    /// @throws MetricsException a label is no text, or a quantile no number
    pub fn summary(
        name: &str,
        labels: Option<&ZendHashTable>,
        quantiles: Option<&ZendHashTable>,
        help: Option<&str>,
    ) -> PhpResult<Summary> {
        let more = json!({"objectives": numbers(quantiles, "quantiles")?});
        Handle::new("summary", name, labels, help, more).map(Summary)
    }

    /// Forgets a collector and its numbers. Objects that count for it make it anew.
    ///
    /// @throws MetricsException there is none of that name
    /// @throws RoleException outside of a worker
    pub fn unregister(name: &str) -> PhpResult<()> {
        let answer = session::with(|session| session.call("metrics.unregister", name.as_bytes()))?;
        answer.map(drop).map_err(|error| match &error {
            SessionError::Refused(text) => refused(text),
            _ => of_session(&error),
        })
    }
}

fn numbers(values: Option<&ZendHashTable>, what: &str) -> PhpResult<Vec<f64>> {
    let Some(values) = values else { return Ok(Vec::new()) };
    let number = |value: &Zval| Number::from_zval(value.dereference()).map(|Number(number)| number);
    values
        .values()
        // It stands for itself, and is no JSON.
        .filter(|value| value.dereference().double() != Some(f64::INFINITY))
        .map(|value| number(value).filter(|number| number.is_finite()))
        .map(|number| number.ok_or_else(|| refused(format!("{what} are numbers"))))
        .collect()
}

impl Counter {
    /// Adds in this worker's cells; `false`: not now, `inc()` knows what to do.
    pub(crate) fn add(&self, by: f64) -> bool {
        let meter = self.0.bound.as_ref().and_then(|series| series.meter.try_borrow().ok());
        meter.as_ref().and_then(|meter| meter.as_ref()).is_some_and(|meter| meter.add(by))
    }
}

#[php_impl]
impl Counter {
    /// Adds to it, 1 unless given.
    ///
    /// @param list<string> $labels values of its labels, in their order, unless `with()` has given them
    /// @throws MetricsException it would go down, or the labels do not fit
    /// @throws RoleException outside of a worker
    pub fn inc(&mut self, by: Option<Number>, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        let Number(by) = by.unwrap_or(Number(1.0));
        if !(0.0..f64::INFINITY).contains(&by) {
            return Err(refused("counter cannot decrease in value"));
        }
        self.0.on(labels, |series| series.count(Change::Add, by, |meter| meter.add(by)))
    }

    /// The counter for these values of its labels: the fastest to count with.
    ///
    /// @param list<string> $labels
    /// @throws MetricsException the labels do not fit
    pub fn with(&self, labels: &ZendHashTable) -> PhpResult<Self> {
        self.0.with(labels).map(Self)
    }
}

#[php_impl]
impl Gauge {
    /// Sets it.
    ///
    /// @param list<string> $labels values of its labels, in their order, unless `with()` has given them
    /// @throws MetricsException the labels do not fit
    /// @throws RoleException outside of a worker
    pub fn set(&mut self, value: Number, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        self.0.change(Change::Set, value.0, labels)
    }

    /// Adds to it, 1 unless given.
    ///
    /// @param list<string> $labels values of its labels, in their order, unless `with()` has given them
    /// @throws MetricsException the labels do not fit
    /// @throws RoleException outside of a worker
    pub fn inc(&mut self, by: Option<Number>, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        self.0.change(Change::Add, by.unwrap_or(Number(1.0)).0, labels)
    }

    /// Takes from it, 1 unless given.
    ///
    /// @param list<string> $labels values of its labels, in their order, unless `with()` has given them
    /// @throws MetricsException the labels do not fit
    /// @throws RoleException outside of a worker
    pub fn dec(&mut self, by: Option<Number>, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        self.0.change(Change::Sub, by.unwrap_or(Number(1.0)).0, labels)
    }

    /// The gauge for these values of its labels.
    ///
    /// @param list<string> $labels
    /// @throws MetricsException the labels do not fit
    pub fn with(&self, labels: &ZendHashTable) -> PhpResult<Self> {
        self.0.with(labels).map(Self)
    }
}

#[php_impl]
impl Histogram {
    /// Takes an observation.
    ///
    /// @param list<string> $labels values of its labels, in their order, unless `with()` has given them
    /// @throws MetricsException it is not finite, or the labels do not fit
    /// @throws RoleException outside of a worker
    pub fn observe(&mut self, value: Number, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        self.0.observe(value.0, labels)
    }

    /// The histogram for these values of its labels.
    ///
    /// @param list<string> $labels
    /// @throws MetricsException the labels do not fit
    pub fn with(&self, labels: &ZendHashTable) -> PhpResult<Self> {
        self.0.with(labels).map(Self)
    }
}

#[php_impl]
impl Summary {
    /// Takes an observation.
    ///
    /// @param list<string> $labels values of its labels, in their order, unless `with()` has given them
    /// @throws MetricsException it is not finite, or the labels do not fit
    /// @throws RoleException outside of a worker
    pub fn observe(&mut self, value: Number, labels: Option<&ZendHashTable>) -> PhpResult<()> {
        self.0.observe(value.0, labels)
    }

    /// The summary for these values of its labels.
    ///
    /// @param list<string> $labels
    /// @throws MetricsException the labels do not fit
    pub fn with(&self, labels: &ZendHashTable) -> PhpResult<Self> {
        self.0.with(labels).map(Self)
    }
}
