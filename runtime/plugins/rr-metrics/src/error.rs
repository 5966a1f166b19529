//! What can be wrong with a metric, in RoadRunner's words (R-80…82).

use std::fmt;

/// What was asked for; its name stands before every error text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `metrics.Add`.
    Add,
    /// `metrics.Sub`.
    Sub,
    /// `metrics.Set`.
    Set,
    /// `metrics.Observe`.
    Observe,
    /// `metrics.Declare`.
    Declare,
    /// `metrics.Unregister`.
    Unregister,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "metrics_plugin_add",
            Self::Sub => "metrics_plugin_sub",
            Self::Set => "metrics_plugin_set",
            Self::Observe => "metrics_plugin_observe",
            Self::Declare => "metrics_plugin_declare",
            Self::Unregister => "metrics_plugin_unregister",
        })
    }
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// There is no such collector; `Add` says what to do.
    #[error("undefined collector {name}{}", if *.hint { ", try first Declare the desired collector" } else { "" })]
    Undefined {
        /// The collector.
        name: String,
        /// The operation is `Add`.
        hint: bool,
    },
    /// A collector with labels, and none given.
    #[error("required labels for collector {0}")]
    LabelsRequired(String),
    /// Another number of label values than of labels (ME-03).
    #[error("inconsistent label cardinality: expected {expected} label values but got {given} in []string{{{}}}", quoted(.values))]
    Cardinality {
        /// Labels of the collector.
        expected: usize,
        /// Values given.
        given: usize,
        /// The values.
        values: Vec<String>,
    },
    /// Not for a collector of this type.
    #[error("collector {name} does not support method {method}")]
    Unsupported {
        /// The collector, quoted where RoadRunner does.
        name: String,
        /// The method, quoted where RoadRunner does.
        method: &'static str,
    },
    /// ME-02: RoadRunner dies of it.
    #[error("counter cannot decrease in value")]
    Decrease,
    /// Only a gauge can be NaN or infinite.
    #[error("collector {0} takes finite numbers only")]
    NotFinite(String),
    /// Not one of the four types.
    #[error("unknown collector type {0}")]
    UnknownType(String),
    /// A name, label, bucket or text that Prometheus would not take.
    #[error("{0}")]
    Invalid(String),
    /// Another collector has the name that this one would have for Prometheus.
    #[error("duplicate metrics collector registration attempted: {0} is taken")]
    Duplicate(String),
    /// A collector of that name has another type, or other labels.
    #[error("collector {name} is a {is}, not a {asked}")]
    Mismatch {
        /// The collector.
        name: String,
        /// What it is.
        is: String,
        /// What it was taken for.
        asked: String,
    },
    /// The bound of `metrics.max_series`.
    #[error(
        "collector {name}: no room for another series, there are {limit}; use labels with fewer values, or raise metrics.max_series"
    )]
    Full {
        /// The collector.
        name: String,
        /// The bound.
        limit: usize,
    },
}

fn quoted(values: &[String]) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ")
}

/// An operation that was not done, with RoadRunner's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {cause}")]
pub struct Error {
    /// What was asked for.
    pub operation: Operation,
    /// Why it was not done.
    pub cause: Cause,
}

impl Cause {
    pub(crate) fn during(self, operation: Operation) -> Error {
        Error { operation, cause: self }
    }
}
