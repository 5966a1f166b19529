//! What a reload changes beside the app and its workers: services, collectors, and how monitors are answered. What cannot be
//! changed while the server runs is said.

use crate::plugins;
use rr_config::{Collector, Config};
use rr_metrics::Limits;
use rr_service::Services;
use rr_status::Dials;
use std::sync::Arc;

/// The plugins that follow.
pub(crate) struct Live {
    pub(crate) services: Option<Arc<Services>>,
    pub(crate) metrics: Arc<rr_metrics::Registry>,
    pub(crate) status: Option<Arc<Dials>>,
}

impl Live {
    /// Makes what new workers need: collectors that are new in the config.
    ///
    /// # Errors
    /// The text of what Prometheus would not take, or the lack of room.
    pub(crate) fn prepare(&self, old: &Config, new: &Config) -> Result<(), String> {
        let Some(section) = new.metrics.as_ref() else { return Ok(()) };
        self.metrics.limit(Limits { series: section.max_series });
        let added: Vec<(String, Collector)> =
            section.collect.iter().filter(|(name, _)| collector(old, name).is_none()).cloned().collect();
        plugins::declare(&self.metrics, &added)
    }

    /// Changes the rest, once the new workers serve. Services are stopped and started to the end even if nobody waits.
    pub(crate) async fn follow(&self, old: &Config, new: &Config) {
        if let (Some(dials), Some(status)) = (&self.status, &new.status) {
            dials.set(status.unavailable_status_code, status.check_timeout);
        }
        let Some(services) = self.services.clone().filter(|_| old.service != new.service) else { return };
        let settings =
            |config: &Config| plugins::service_settings(config.service.as_deref().unwrap_or_default());
        let (old, new) = (settings(old), settings(new));
        let replaced = tokio::spawn(async move { services.replace(old, new).await }).await;
        for error in replaced.unwrap_or_else(|error| vec![error.to_string()]) {
            tracing::error!(target: "service", "after the reload: {error}");
        }
    }
}

fn collector<'a>(config: &'a Config, name: &str) -> Option<&'a Collector> {
    let section = config.metrics.as_ref()?;
    section.collect.iter().find(|(other, _)| other == name).map(|(_, collector)| collector)
}

/// Keys of these and of other sections that a running server does not take over.
pub(crate) fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    let mut note = |changed: bool, key: &str| {
        if changed {
            keys.push(key.to_owned());
        }
    };
    match (&old.metrics, &new.metrics) {
        (Some(old), Some(new)) => note(old.address != new.address, "metrics.address"),
        (old, new) => note(old.is_some() != new.is_some(), "metrics"),
    }
    match (&old.status, &new.status) {
        (Some(old), Some(new)) => note(old.address != new.address, "status.address"),
        (old, new) => note(old.is_some() != new.is_some(), "status"),
    }
    // Without the section at the start there is nobody to start services; without it now there are none.
    note(old.service.is_none() && new.service.is_some(), "service");
    note(old.rpc != new.rpc, "rpc");
    note(old.kv != new.kv, "kv");
    note(old.lock != new.lock, "lock");
    note(old.otel != new.otel, "otel");
    let before = old.metrics.iter().flat_map(|section| &section.collect);
    for (name, _) in before.filter(|(name, before)| collector(new, name) != Some(before)) {
        keys.push(format!("metrics.collect.{name}"));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Config {
        rr_config::Loader::new().text("test", &format!("version: '3'\n{yaml}")).load().expect("loads").config
    }

    #[test]
    fn what_cannot_follow_is_named() {
        let changed = |old: &str, new: &str| needs_restart(&config(old), &config(new));
        let all =
            "metrics: {address: ':1', collect: {a: {type: counter}}}\nstatus: {address: ':2'}\nservice: {}";
        assert!(changed(all, all).is_empty());
        let live = "metrics: {address: ':1', max_series: 5, collect: {a: {type: counter}, b: {type: gauge}}}
status: {address: ':2', unavailable_status_code: 500}
service: {x: {command: y}}";
        assert!(changed(all, live).is_empty());
        assert!(changed(live, "metrics: {address: ':1', collect: {a: {type: counter}, b: {type: gauge}}}\nstatus: {address: ':2'}").is_empty());
        let other =
            "metrics: {address: ':3', collect: {a: {type: gauge}}}\nstatus: {address: ':4'}\nservice: {}";
        assert_eq!(changed(all, other), ["metrics.address", "status.address", "metrics.collect.a"]);
        assert_eq!(changed("", live), ["metrics", "status", "service"]);
        assert_eq!(
            changed("", "rpc: {listen: 'tcp://:1'}\nlock: {max_locks: 1}\notel: {}"),
            ["rpc", "lock", "otel"]
        );
    }
}
