//! OpenTelemetry, where it is built in: the plugin, and the tracer for units of work.

use rr_config::Config;
#[cfg(feature = "otel")]
use rr_config::Middleware;
use rr_plugin::Background;
use rr_plugin::trace::Tracer;
use std::sync::Arc;

/// What comes of the section `otel`.
#[derive(Default)]
pub(crate) struct Made {
    /// Sends what there is to send.
    pub(crate) plugin: Option<Box<dyn Background>>,
    /// Traces HTTP requests; only with `otel` in `http.middleware`, as with RoadRunner.
    pub(crate) http: Option<Arc<dyn Tracer>>,
}

/// The plugin. `metrics` are sent too where that is wanted.
///
/// # Errors
/// The text of what is wrong with the section.
#[cfg(feature = "otel")]
pub(crate) fn make(config: &Config, metrics: &Arc<rr_metrics::Registry>) -> Result<Made, String> {
    let Some(section) = &config.otel else { return Ok(Made::default()) };
    let made = rr_otel::Settings::make(section, &|name| std::env::var(name).ok())?;
    for warning in made.warnings {
        tracing::warn!(target: "otel", "{warning}");
    }
    let Some(settings) = made.settings else { return Ok(Made::default()) };
    let metrics = Arc::clone(metrics);
    let (plugin, tracer) = rr_otel::OtelPlugin::new(settings, Arc::new(move || metrics.text()))?;
    let named = |http: &rr_config::Http| http.middleware.contains(&Middleware::Otel);
    let http = tracer.filter(|_| config.http.as_ref().is_some_and(named));
    Ok(Made { plugin: Some(Box::new(plugin)), http })
}

/// Says that there is none.
///
/// # Errors
/// None.
#[cfg(not(feature = "otel"))]
pub(crate) fn make(config: &Config, _: &Arc<rr_metrics::Registry>) -> Result<Made, String> {
    if config.otel.is_some() {
        tracing::warn!(target: "otel", "otel has no effect: this extension was built without the feature otel");
    }
    Ok(Made::default())
}
