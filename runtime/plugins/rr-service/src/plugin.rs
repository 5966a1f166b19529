//! The plugin: starts the services of the config, and ends all with the server.

use crate::services::{Face, Services, Settings};
use rr_plugin::{Attendant, Background, Drain};
use rr_pool::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// What it takes beyond the slowest process.
const SLACK: Duration = Duration::from_secs(2);

/// The plugin.
#[derive(Debug)]
pub struct ServicePlugin {
    services: Arc<Services>,
    configured: Vec<Settings>,
}

impl ServicePlugin {
    /// With the services of the config, which start when the server does.
    #[must_use]
    pub fn new(services: Arc<Services>, configured: Vec<Settings>) -> Self {
        Self { services, configured }
    }

    /// The list.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// What `informer` and `resetter` do with it.
    #[must_use]
    pub fn attendant(&self) -> Arc<dyn Attendant> {
        Arc::new(Face(Arc::clone(&self.services)))
    }
}

impl Background for ServicePlugin {
    fn name(&self) -> &'static str {
        "service"
    }

    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    fn start(&mut self) -> BoxFuture<Result<(), String>> {
        let (services, configured) = (Arc::clone(&self.services), std::mem::take(&mut self.configured));
        Box::pin(async move {
            for settings in configured {
                let name = settings.name.clone();
                // SV-06.
                services.create(settings).await.map_err(|error| format!("service.{name}: {error}"))?;
            }
            Ok(())
        })
    }

    fn serve(self: Box<Self>, mut drain: Drain) -> BoxFuture<()> {
        Box::pin(async move {
            drain.wait().await;
            let patience = self.services.patience().saturating_add(SLACK);
            if tokio::time::timeout(patience, self.services.close()).await.is_err() {
                tracing::warn!(target: "service", "services did not stop within {patience:?}; they end with the server");
            }
        })
    }
}
