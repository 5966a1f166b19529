//! What a collector is: its type, names, labels, buckets and objectives, and what of that Prometheus would not take.

use crate::error::Cause;
use std::fmt;

/// The type of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations, counted in buckets.
    Histogram,
    /// Observations of the last ten minutes, as quantiles.
    Summary,
}

impl Kind {
    /// The type of a name in config or in a declaration.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Histogram, Self::Summary]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A collector as declared (ME-01).
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The name it is called by: its key in `metrics.collect`, or the name of its declaration.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Stands before the name for Prometheus: `namespace_subsystem_name`.
    pub namespace: String,
    /// Between namespace and name.
    pub subsystem: String,
    /// What it means.
    pub help: String,
    /// Names of its labels; values are given in this order (ME-03).
    pub labels: Vec<String>,
    /// Upper bounds of a histogram's buckets, ascending, without +Inf; empty: `DEFAULT_BUCKETS`.
    pub buckets: Vec<f64>,
    /// Quantiles of a summary, 0 to 1. RoadRunner's second number, the allowed error, is always met better than that
    /// by a sketch whose values are 1 % off at most; it is not used.
    pub objectives: Vec<f64>,
}

/// Those of Prometheus, in seconds.
pub(crate) const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds that no honest collector meets, so that a declaration has a size.
const MAX_NAME: usize = 255;
const MAX_HELP: usize = 4096;
const MAX_LABELS: usize = 32;
const MAX_BUCKETS: usize = 256;
const MAX_OBJECTIVES: usize = 32;

impl Definition {
    /// A collector without labels.
    #[must_use]
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            namespace: String::new(),
            subsystem: String::new(),
            help: String::new(),
            labels: Vec::new(),
            buckets: Vec::new(),
            objectives: Vec::new(),
        }
    }

    /// What Prometheus calls it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let parts = [&*self.namespace, &*self.subsystem, &*self.name];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    }

    /// The names of its lines: a histogram has more than one.
    pub(crate) fn line_names(&self) -> Vec<String> {
        let name = self.full_name();
        let with = |ends: &[&str]| ends.iter().map(|end| format!("{name}{end}")).collect();
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![name],
            Kind::Histogram => with(&["", "_bucket", "_sum", "_count"]),
            Kind::Summary => with(&["", "_sum", "_count"]),
        }
    }

    /// Checks it, and fills in what is left to us.
    pub(crate) fn settled(mut self) -> Result<Self, Cause> {
        self.check()?;
        match self.kind {
            Kind::Histogram if self.buckets.is_empty() => self.buckets = DEFAULT_BUCKETS.to_vec(),
            // It is there anyway.
            Kind::Histogram if self.buckets.last() == Some(&f64::INFINITY) => drop(self.buckets.pop()),
            Kind::Histogram => {}
            _ => self.buckets.clear(),
        }
        if self.kind == Kind::Summary {
            self.objectives.sort_by(f64::total_cmp);
            self.objectives.dedup();
        } else {
            self.objectives.clear();
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), Cause> {
        let wrong = |text: String| Err(Cause::Invalid(text));
        let name = self.full_name();
        if self.name.is_empty() || !is_name(&name, true) || name.len() > MAX_NAME {
            return wrong(format!(
                "{name:?} is not a valid metric name; use letters, digits and _, no digit first"
            ));
        }
        if self.help.len() > MAX_HELP {
            return wrong(format!(
                "collector {name}: a help of {} bytes; {MAX_HELP} are allowed",
                self.help.len()
            ));
        }
        if self.labels.len() > MAX_LABELS {
            return wrong(format!(
                "collector {name}: {} labels; {MAX_LABELS} are allowed",
                self.labels.len()
            ));
        }
        for (index, label) in self.labels.iter().enumerate() {
            let own = match self.kind {
                Kind::Histogram => label == "le",
                Kind::Summary => label == "quantile",
                Kind::Counter | Kind::Gauge => false,
            };
            if !is_name(label, false) || label.starts_with("__") || label.len() > MAX_NAME || own {
                return wrong(format!("{label:?} is not a valid label name for {} {name:?}", self.kind));
            }
            if self.labels[..index].contains(label) {
                return wrong(format!("duplicate label name {label:?} in collector {name}"));
            }
        }
        if self.buckets.len() > MAX_BUCKETS {
            return wrong(format!(
                "collector {name}: {} buckets; {MAX_BUCKETS} are allowed",
                self.buckets.len()
            ));
        }
        let ascending = self.buckets.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.buckets.iter().any(|bound| bound.is_nan()) {
            return wrong(format!(
                "histogram buckets must be in increasing order: {:?} of {name}",
                self.buckets
            ));
        }
        let quantiles = self.objectives.iter().all(|quantile| (0.0..=1.0).contains(quantile));
        if !quantiles || self.objectives.len() > MAX_OBJECTIVES {
            return wrong(format!(
                "collector {name}: objectives are up to {MAX_OBJECTIVES} quantiles from 0 to 1, got {:?}",
                self.objectives
            ));
        }
        Ok(())
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`, the colon in metrics only.
fn is_name(name: &str, colon: bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || colon && byte == b':';
    name.bytes().all(fits) && !name.bytes().next().is_none_or(|first| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Definition)) -> Result<Definition, String> {
        let mut definition = Definition::new(Kind::Histogram, "x");
        change(&mut definition);
        definition.settled().map_err(|cause| cause.to_string())
    }

    #[test]
    fn names_are_joined_and_checked() {
        let joined = with(|definition| definition.namespace = "app".to_owned()).expect("fits");
        assert_eq!(joined.full_name(), "app_x");
        for name in ["", "a b", "1a", "a-b", "é"] {
            let error = with(|definition| definition.name = name.to_owned()).expect_err(name);
            assert!(error.contains("is not a valid metric name"), "{error}");
        }
        for label in ["", "a:b", "__name__", "le", "1"] {
            let error = with(|definition| definition.labels = vec![label.to_owned()]).expect_err(label);
            assert!(error.contains("is not a valid label name"), "{error}");
        }
        assert!(with(|definition| definition.labels = vec!["a".to_owned(), "a".to_owned()]).is_err());
    }

    #[test]
    fn buckets_ascend_and_have_prometheus_defaults() {
        assert_eq!(with(|_| {}).expect("fits").buckets, DEFAULT_BUCKETS);
        let infinite = with(|definition| definition.buckets = vec![1.0, f64::INFINITY]).expect("fits");
        assert_eq!(infinite.buckets, [1.0]);
        for buckets in [vec![1.0, 1.0], vec![2.0, 1.0], vec![f64::NAN]] {
            assert!(with(|definition| definition.buckets = buckets).is_err());
        }
    }

    #[test]
    fn objectives_are_quantiles() {
        let summary =
            |objectives: Vec<f64>| Definition { objectives, ..Definition::new(Kind::Summary, "x") }.settled();
        assert_eq!(summary(vec![0.9, 0.5, 0.9]).expect("fits").objectives, [0.5, 0.9]);
        assert!(summary(vec![1.5]).is_err() && summary(vec![f64::NAN]).is_err());
    }
}
