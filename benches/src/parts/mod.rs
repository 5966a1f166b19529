//! The parts of the report, one file each: every `run` starts what it needs, measures, prints and stops it.

pub(crate) mod idle;
pub(crate) mod pss;
pub(crate) mod reload;
pub(crate) mod replace;
pub(crate) mod throughput;
