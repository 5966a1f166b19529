//! What workers can ask of the master on the call lane.

use rr_dev::Dev;
use rr_pool::{Answer, Caller, Calls, Pool};
use rr_wire::log::{Level, Record};
use serde_json::json;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::mpsc;

/// What the master can be told to do, by a signal or by PHP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start a new generation.
    Reload,
    /// Drain and leave.
    Stop,
}

/// The methods.
#[derive(Debug)]
pub(crate) struct Methods {
    orders: mpsc::UnboundedSender<Order>,
    pool: OnceLock<Weak<Pool>>,
    dev: Option<Arc<Dev>>,
}

impl Methods {
    pub(crate) fn new(orders: mpsc::UnboundedSender<Order>, dev: Option<Arc<Dev>>) -> Arc<Self> {
        Arc::new(Self { orders, pool: OnceLock::new(), dev })
    }

    pub(crate) fn serve(&self, pool: &Arc<Pool>) {
        let _ = self.pool.set(Arc::downgrade(pool));
    }

    fn order(&self, order: Order) -> Answer {
        Answer::Now(
            self.orders
                .send(order)
                .map(|()| b"true".to_vec())
                .map_err(|_| "the server is stopping".to_owned()),
        )
    }
}

impl Calls for Methods {
    fn call(&self, caller: &Caller, method: &str, body: &[u8]) -> Answer {
        match method {
            rr_wire::log::METHOD => {
                log(caller, body, self.dev.as_deref());
                Answer::None
            }
            "server.Reload" => self.order(Order::Reload),
            "server.Stop" => self.order(Order::Stop),
            "server.Workers" => {
                let workers =
                    self.pool.get().and_then(Weak::upgrade).map(|pool| pool.workers()).unwrap_or_default();
                let rows: Vec<_> = workers
                    .iter()
                    .map(|worker| {
                        json!({
                            "id": worker.id, "pid": worker.pid, "generation": worker.generation,
                            "state": worker.state.name(), "served": worker.served,
                            "age_ms": worker.age.as_millis() as u64,
                            "busy_ms": worker.busy_for.map(|busy| busy.as_millis() as u64),
                        })
                    })
                    .collect();
                Answer::Now(serde_json::to_vec(&rows).map_err(|error| error.to_string()))
            }
            // RP-07.
            other => Answer::Now(Err(format!("rpc: can't find method {other}"))),
        }
    }
}

fn log(caller: &Caller, body: &[u8], dev: Option<&Dev>) {
    let Some(record) = Record::parse(body) else {
        tracing::warn!(target: "server", pid = caller.pid, "a worker sent a log record that is none");
        return;
    };
    let text = String::from_utf8_lossy(record.text);
    let (pool, pid, worker) = (&*caller.pool, caller.pid, caller.worker);
    let request = caller.unit_of(record.unit);
    // In development mode: what the request is.
    let on = dev.and_then(|dev| dev.named(request));
    let on = on.as_deref();
    let context = String::from_utf8_lossy(record.context);
    let context = (!context.is_empty()).then_some(&*context);
    match record.level {
        Level::Error => tracing::error!(target: "php", pool, pid, worker, request, on, context, "{text}"),
        Level::Warn => tracing::warn!(target: "php", pool, pid, worker, request, on, context, "{text}"),
        Level::Info => tracing::info!(target: "php", pool, pid, worker, request, on, context, "{text}"),
        Level::Debug => tracing::debug!(target: "php", pool, pid, worker, request, on, context, "{text}"),
    }
}
