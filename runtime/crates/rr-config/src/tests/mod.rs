//! Tests of the crate as a whole: by row of the RoadRunner reference, by fault, by type, and with random texts.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod defaults;
mod dev;
mod faults;
mod kv;
mod otel;
mod random;
mod rows;
mod weak;
mod yaml;

use crate::{Config, Loaded, Loader};

/// The environment of all tests.
fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8080".into()),
        "HOST" => Some("0.0.0.0".into()),
        "EMPTY" => Some(String::new()),
        "1" => Some("one".into()),
        _ => None,
    }
}

/// Loads a text with `version: "3"` put on its first line, so that the text starts on line 2.
fn try_load(yaml: &str) -> Result<Loaded, crate::ConfigError> {
    Loader::new().text(".rr.yaml", &format!("version: \"3\"\n{yaml}")).env(&env).load()
}

fn load(yaml: &str) -> Config {
    try_load(yaml).unwrap_or_else(|error| panic!("{error}\nin:\n{yaml}")).config
}

fn fault(yaml: &str) -> String {
    try_load(yaml)
        .map(|loaded| panic!("no fault: {:?}", loaded.config))
        .unwrap_or_else(|error| error.to_string())
}

fn warnings(yaml: &str) -> Vec<String> {
    try_load(yaml).unwrap().warnings.iter().map(ToString::to_string).collect()
}

fn overridden(yaml: &str, list: &[&str]) -> Result<Loaded, crate::ConfigError> {
    let list: Vec<String> = list.iter().map(|flag| (*flag).to_owned()).collect();
    Loader::new().text(".rr.yaml", yaml).overrides(&list).env(&env).load()
}
