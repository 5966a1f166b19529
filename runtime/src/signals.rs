//! Signals of the master, as orders.

use crate::calls::Order;
use crate::obituaries::Obituaries;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Starts listening. SIGTERM, SIGINT and SIGQUIT stop (CLI-03), SIGHUP and SIGUSR2 reload, SIGCHLD reaps.
pub(crate) fn listen(orders: &mpsc::UnboundedSender<Order>, obituaries: &Obituaries) -> io::Result<()> {
    rr_os::signal::prepare_master()?;
    let kinds = [
        (SignalKind::terminate(), Order::Stop, "SIGTERM"),
        (SignalKind::interrupt(), Order::Stop, "SIGINT"),
        (SignalKind::quit(), Order::Stop, "SIGQUIT"),
        (SignalKind::hangup(), Order::Reload, "SIGHUP"),
        (SignalKind::user_defined2(), Order::Reload, "SIGUSR2"),
    ];
    for (kind, order, name) in kinds {
        let (mut signals, orders) = (signal(kind)?, orders.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                tracing::info!(target: "server", signal = name, "signal received");
                if orders.send(order).is_err() {
                    break;
                }
            }
        });
    }
    let mut children = signal(SignalKind::child())?;
    let obituaries = obituaries.clone();
    tokio::spawn(async move {
        loop {
            obituaries.reap();
            if children.recv().await.is_none() {
                break;
            }
        }
    });
    Ok(())
}
