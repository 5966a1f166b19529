//! Driver `redis`: each operation is one script, which the server runs alone and by its own clock (`redis.lua`).

use crate::Micros;
use crate::foreign::{Attempt, Attempted, Backend, Failure, Hub, Which};
use futures_util::StreamExt;
use rr_pool::BoxFuture;
use rr_redis::{Again, Cmd, Failed, Redis, cmd};
use std::sync::Arc;

const SCRIPT: &str = include_str!("redis.lua");

/// Locks on Redis servers.
#[derive(Debug)]
pub struct RedisLocks {
    servers: Redis,
    /// In front of all keys. In braces, so that a cluster has them on one server: the counter is all resources'.
    prefix: String,
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        Self { text: failed.to_string(), unknown: failed.unknown }
    }
}

impl RedisLocks {
    /// Locks whose keys begin with `prefix`.
    #[must_use]
    pub fn new(servers: Redis, prefix: &str) -> Self {
        Self { servers, prefix: format!("{{{prefix}}}") }
    }

    fn channel(&self) -> String {
        format!("{}free", self.prefix)
    }

    fn script(&self, resource: &str, operation: &str) -> Cmd {
        let Self { prefix, .. } = self;
        let mut script = cmd("EVAL");
        script.arg(SCRIPT).arg(2).arg(format!("{prefix}lock:{resource}")).arg(format!("{prefix}token"));
        script.arg(self.channel()).arg(operation);
        script
    }

    fn about(&self, resource: &str, operation: &str, which: &Which) -> Cmd {
        let (mode, value) = match which {
            Which::Ticket(ticket) => ("ticket", &**ticket),
            Which::Id(id) => ("id", &**id),
            Which::All => ("all", ""),
        };
        let mut script = self.script(resource, operation);
        script.arg(mode).arg(value);
        script
    }

    /// What a script gives: whether, and how much.
    fn run(
        &self,
        script: Cmd,
        again: Again,
    ) -> impl Future<Output = Result<(bool, i64), Failure>> + Send + 'static {
        let servers = self.servers.clone();
        async move {
            let answer: Vec<(i64, i64)> = servers.send(vec![script], again).await?;
            let &(yes, number) = answer.first().ok_or_else(|| servers.failed("no answer"))?;
            Ok((yes == 1, number))
        }
    }
}

impl Backend for RedisLocks {
    fn attempt(&self, attempt: &Attempt) -> BoxFuture<Result<Attempted, Failure>> {
        let mut script = self.script(&attempt.resource, "attempt");
        script.arg(&*attempt.ticket).arg(attempt.id.as_deref().unwrap_or_default());
        script.arg(u8::from(attempt.shared)).arg(attempt.ttl).arg(attempt.stay);
        let run = self.run(script, Again::Yes);
        Box::pin(async move {
            let (granted, number) = run.await?;
            Ok(match (granted, u64::try_from(number)) {
                (true, Ok(token)) => Attempted::Granted(token),
                (_, number) => Attempted::Taken(number.ok()),
            })
        })
    }

    fn release(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<bool, Failure>> {
        let run = self.run(self.about(resource, "release", &which), Again::No);
        Box::pin(async move { Ok(run.await?.0) })
    }

    fn extend(&self, resource: &Arc<str>, which: Which, ttl: Micros) -> BoxFuture<Result<bool, Failure>> {
        let mut script = self.about(resource, "extend", &which);
        script.arg(ttl);
        let run = self.run(script, Again::Yes);
        Box::pin(async move { Ok(run.await?.0) })
    }

    fn remaining(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<Option<Micros>, Failure>> {
        let run = self.run(self.about(resource, "remaining", &which), Again::Yes);
        Box::pin(async move {
            let (held, left) = run.await?;
            Ok(held.then(|| Micros::try_from(left).unwrap_or(0)))
        })
    }

    fn listen(&self, hub: Arc<Hub>) -> BoxFuture<Failure> {
        let (servers, channel) = (self.servers.clone(), self.channel());
        Box::pin(async move {
            let mut listening = match servers.listen().await {
                Ok(listening) => listening,
                Err(failed) => return failed.into(),
            };
            if let Err(error) = listening.subscribe(channel).await {
                return servers.failed(error).into();
            }
            hub.wake_all();
            let mut messages = listening.on_message();
            while let Some(message) = messages.next().await {
                if let Ok(ticket) = std::str::from_utf8(message.get_payload_bytes()) {
                    hub.wake(ticket);
                }
            }
            servers.failed("the connection for messages has ended").into()
        })
    }
}
