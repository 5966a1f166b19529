//! Signals of the master, as orders.

use crate::admin::Order;
use crate::obituaries::Obituaries;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

const SIGABRT: i32 = 6;

/// Starts listening. SIGTERM, SIGINT, SIGQUIT and SIGABRT stop (CLI-03), SIGHUP and SIGUSR2 reload, SIGCHLD reaps.
pub(crate) fn listen(orders: &mpsc::UnboundedSender<Order>, obituaries: &Obituaries) -> io::Result<()> {
    rr_os::signal::prepare_master()?;
    let kinds = [
        (SignalKind::terminate(), true, "SIGTERM"),
        (SignalKind::interrupt(), true, "SIGINT"),
        (SignalKind::quit(), true, "SIGQUIT"),
        (SignalKind::from_raw(SIGABRT), true, "SIGABRT"),
        (SignalKind::hangup(), false, "SIGHUP"),
        (SignalKind::user_defined2(), false, "SIGUSR2"),
    ];
    for (kind, stop, name) in kinds {
        let (mut signals, orders) = (signal(kind)?, orders.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                tracing::info!(target: "server", signal = name, "signal received");
                let order = if stop { Order::Stop } else { Order::Reload(None) };
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
