//! The one list of plugins.

use crate::settings;
use rr_config::Config;
use rr_http::HttpPlugin;
use rr_plugin::Plugin;
use std::os::fd::OwnedFd;

/// A plugin, and the pool it wants.
pub(crate) struct Entry {
    pub(crate) plugin: Box<dyn Plugin>,
    pub(crate) pool: rr_config::Pool,
}

/// The plugins that `config` asks for, bound to their addresses.
///
/// # Errors
/// The text of what the first one lacks.
pub(crate) fn enabled(config: &Config, sockets: Vec<OwnedFd>) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    if let Some(http) = &config.http {
        let plugin = HttpPlugin::bind(http.clone(), sockets).map_err(|error| error.to_string())?;
        entries.push(Entry { plugin: Box::new(plugin), pool: settings::pool(http) });
    }
    Ok(entries)
}
