//! Whether a plugin lives and whether it is ready.

use crate::Source;
use rr_pool::{Pool, State};
use rr_rpc::message::status as message;
use rr_rpc::{Proto, Service};
use serde::Serialize;
use std::sync::Arc;

/// What is asked of a pool (ST-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// A worker is ready or working.
    Lives,
    /// A worker is ready: one that is busy is not, so a pool that has only those should get no more work.
    IsReady,
}

impl Question {
    fn met(self, pool: &Pool) -> bool {
        let workers = pool.workers();
        workers.iter().any(|worker| match worker.state {
            State::Ready => true,
            State::Working => self == Self::Lives,
            State::Booting | State::Draining | State::Dead => false,
        })
    }

    /// RoadRunner's names of the operation, for its error texts.
    const fn name(self) -> &'static str {
        match self {
            Self::Lives => "status",
            Self::IsReady => "ready",
        }
    }
}

/// What is said of a plugin.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) plugin_name: String,
    pub(crate) error_message: &'static str,
    pub(crate) status_code: u16,
}

/// Reports of the plugins of these names, of all if there are none. Unknown names are left out (ST-03).
pub(crate) fn reports(
    source: &dyn Source,
    question: Question,
    names: &[String],
    unavailable: u16,
) -> Vec<Report> {
    let pools = source.pools();
    let wanted = pools.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|other| other == name));
    let report = |(name, pool): &(&'static str, Arc<Pool>)| {
        let (error_message, status_code) = match question.met(pool) {
            true => ("", 200),
            false => ("internal server error, see logs", unavailable),
        };
        Report { plugin_name: (*name).to_owned(), error_message, status_code }
    };
    wanted.map(report).collect()
}

/// `status.Status` and `status.Ready`.
pub fn methods(source: Arc<dyn Source>) -> Service {
    let answer = |source: &dyn Source, question: Question, plugin: &str| {
        let pools = source.pools();
        let Some((_, pool)) = pools.iter().find(|(name, _)| *name == plugin) else {
            let name = question.name();
            return Err(format!("checker_rpc_{name}:\n\tchecker_plugin_{name}: no such plugin: {plugin}"));
        };
        let code = if question.met(pool) { 200 } else { 503 };
        Ok(Proto(message::Response { code, message: String::new() }))
    };
    let ready = Arc::clone(&source);
    Service::new("status")
        .method("Status", move |Proto(asked): Proto<message::Request>| {
            answer(&*source, Question::Lives, &asked.plugin)
        })
        .method("Ready", move |Proto(asked): Proto<message::Request>| {
            answer(&*ready, Question::IsReady, &asked.plugin)
        })
}
