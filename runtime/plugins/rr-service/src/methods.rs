//! The methods of `service` (rows R-70…R-74).

use crate::process::Seen;
use crate::services::{Services, Settings, detached};
use rr_rpc::message::{common, service as message};
use rr_rpc::{Proto, Reply, Service};
use std::sync::Arc;
use std::time::Duration;

/// RoadRunner's defaults of what is zero.
const RESTART_SEC: u64 = 30;
const STOP_SEC: u64 = 5;

type Done = Proto<message::Response>;

fn done() -> Done {
    Proto(message::Response { message: String::new(), ok: true })
}

impl Services {
    /// The methods.
    #[must_use]
    pub fn methods(self: &Arc<Self>) -> Service {
        let [create, terminate, restart, status, statuses, list] = std::array::from_fn(|_| Arc::clone(self));
        Service::new("service")
            .method("Create", move |Proto(wanted): Proto<message::Create>| {
                let this = Arc::clone(&create);
                Reply::later(detached(async move {
                    this.create(settings(wanted, this.user())?).await.map(|()| done())
                }))
            })
            .method("Terminate", move |Proto(named): Proto<message::Service>| {
                let this = Arc::clone(&terminate);
                Reply::later(detached(async move { this.terminate(&named.name).await.map(|()| done()) }))
            })
            .method("Restart", move |Proto(named): Proto<message::Service>| {
                let this = Arc::clone(&restart);
                Reply::later(detached(async move { this.restart(&named.name).await.map(|()| done()) }))
            })
            .method("Status", move |Proto(named): Proto<message::Service>| {
                let seen = status.look(&named.name);
                Reply::later(async move {
                    let (command, mut processes) = seen?;
                    let last = processes.pop().ok_or_else(|| format!("{} has no process", named.name))?.0;
                    match read(command, last).await? {
                        message::Status { status: Some(gone), .. } => Err(gone.message),
                        status => Ok(Proto(status)),
                    }
                })
            })
            .method("Statuses", move |Proto(named): Proto<message::Service>| {
                let seen = statuses.look(&named.name);
                Reply::later(async move {
                    let (command, processes) = seen?;
                    let mut status = Vec::with_capacity(processes.len());
                    for (seen, _) in processes {
                        status.push(read(command.clone(), seen).await?);
                    }
                    Ok(Proto(message::Statuses { status }))
                })
            })
            .method("List", move |_: Proto<message::Service>| {
                Ok::<_, String>(Proto(message::List { services: list.names() }))
            })
    }
}

fn settings(wanted: message::Create, user: Option<String>) -> Result<Settings, String> {
    let seconds = |seconds: u64, zero: u64| Duration::from_secs(if seconds == 0 { zero } else { seconds });
    let name = wanted.name;
    let negative = |what: &str| format!("the service with {name} name: {what} is negative");
    Ok(Settings {
        processes: usize::try_from(wanted.process_num).map_err(|_| negative("process_num"))?,
        exec_timeout: u64::try_from(wanted.exec_timeout)
            .map(Duration::from_secs)
            .map_err(|_| negative("exec_timeout"))?,
        command: wanted.command,
        restart: wanted.remain_after_exit,
        restart_after: seconds(wanted.restart_sec, RESTART_SEC),
        stop_timeout: seconds(wanted.timeout_stop_sec, STOP_SEC),
        env: wanted.env.into_iter().collect(),
        user,
        name_in_log: wanted.service_name_in_logs,
        name,
    })
}

/// What `/proc` says of a process, read off the runtime's thread.
async fn read(command: String, seen: Seen) -> Result<message::Status, String> {
    let gone = |command, message: String| message::Status {
        command,
        status: Some(common::Status { code: 0, message }),
        ..Default::default()
    };
    let (pid, since) = match seen {
        Seen::Running { pid, since } => (pid, since),
        Seen::Gone(why) => return Ok(gone(command, why)),
    };
    let reading = move || {
        let used = rr_os::proc::processor_time(pid)?.as_secs_f64();
        Ok::<_, std::io::Error>((used, rr_os::proc::resident_memory(pid)?))
    };
    let read = tokio::task::spawn_blocking(reading).await.map_err(|error| error.to_string())?;
    Ok(match read {
        Ok((used, memory_usage)) => {
            let age = since.elapsed().as_secs_f64();
            #[expect(clippy::cast_possible_truncation, reason = "percent in the message's type")]
            let cpu_percent = if age > 0.0 { (100.0 * used / age) as f32 } else { 0.0 };
            message::Status { cpu_percent, pid: pid.cast_signed(), memory_usage, command, status: None }
        }
        Err(_) => gone(command, "it has just ended".to_owned()),
    })
}
