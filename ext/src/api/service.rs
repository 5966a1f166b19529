//! `RoadRunner\Service`: programs that the server runs beside its workers.

use super::Text;
use super::exceptions::{Cause, of, of_session};
use super::rpc::from_json;
use crate::role::session;
use crate::zend::values::each_entry;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::prelude::*;
use ext_php_rs::types::ZendHashTable;
use rr_wire::Flags;
use serde_json::{Map, Value, json};

/// Programs that the server runs beside its workers: it starts them again, logs what they print, and ends them with
/// itself. Needs a `service` section in the settings, which may be empty.
#[php_class]
#[php(name = "RoadRunner\\Service")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Service;

fn failed(text: impl Into<String>) -> PhpException {
    of(Cause::Service, text)
}

fn call(method: &str, argument: &Value) -> PhpResult<Value> {
    let json = serde_json::to_vec(argument).map_err(|error| failed(error.to_string()))?;
    let answer = session::with(|session| session.call_in(Flags::JSON, method, &json))?;
    let answer = answer.map_err(|error| match &error {
        rr_worker::SessionError::Refused(text) if text.starts_with("rpc: can't find service") => {
            failed("there is no service section in the settings; add one, which may be empty: service: {}")
        }
        rr_worker::SessionError::Refused(text) => failed(text),
        _ => of_session(&error),
    })?;
    serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))
}

/// Seconds that are not negative.
fn seconds(what: &str, value: i64) -> PhpResult<i64> {
    if value < 0 { Err(failed(format!("{what}: {value} seconds"))) } else { Ok(value) }
}

fn environment(env: &ZendHashTable) -> PhpResult<Map<String, Value>> {
    let mut variables = Ok(Map::new());
    each_entry(env, |name, value| {
        let value = value.dereference();
        let text = match (value.zend_str(), value.long()) {
            (Some(text), _) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
            (None, number) => number.map(|number| number.to_string()),
        };
        match (&mut variables, std::str::from_utf8(name), text) {
            (Ok(variables), Ok(name), Some(text)) => {
                variables.insert(name.to_owned(), text.into());
            }
            (Ok(_), ..) => variables = Err(String::from_utf8_lossy(name).into_owned()),
            (Err(_), ..) => {}
        }
    });
    variables.map_err(|name| failed(format!("env: {name}: a text in UTF-8 is expected")))
}

#[php_impl]
impl Service {
    /// Starts a service: `$processes` processes of `$command`, which is split at blanks; what belongs together stands in
    /// quotes. With `$restart` a process that ends is started again `$pause` seconds later. One that runs for
    /// `$timeout` seconds is killed; 0 is no limit. To stop a process gets SIGINT, and SIGKILL `$grace` seconds
    /// later. With `$named` its lines have the logger `service.NAME`. It runs as `server.user`.
    ///
    /// @param array<string, string|int>|null $env further environment variables
    /// @throws ServiceException there is one of this name, or the command cannot be started
    /// @throws RoleException outside of a worker
    #[php(defaults(processes = 1, restart = false, pause = 30, timeout = 0, grace = 5, named = false))]
    #[expect(clippy::too_many_arguments, reason = "PHP names them")]
    pub fn start(
        name: &str,
        command: &str,
        processes: i64,
        env: Option<&ZendHashTable>,
        restart: bool,
        pause: i64,
        timeout: i64,
        grace: i64,
        named: bool,
    ) -> PhpResult<()> {
        let env = env.map(environment).transpose()?.unwrap_or_default();
        let create = json!({
            "name": name,
            "command": command,
            "process_num": processes,
            "exec_timeout": seconds("timeout", timeout)?,
            "remain_after_exit": restart,
            "env": env,
            "restart_sec": seconds("pause", pause)?,
            "service_name_in_logs": named,
            "timeout_stop_sec": seconds("grace", grace)?,
        });
        call("service.Create", &create).map(drop)
    }

    /// The names of all services.
    ///
    /// @return list<string>
    /// @throws ServiceException there is no `service` section
    /// @throws RoleException outside of a worker
    pub fn list() -> PhpResult<Vec<Text>> {
        let list = call("service.List", &json!({}))?;
        let names = list["services"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(names.iter().filter_map(Value::as_str).map(Text::new).collect())
    }

    /// The processes of a service. `error` says why one does not run, and `pid` is null then; `memory` is in bytes, `cpu`
    /// in percent of one processor over its life.
    ///
    /// @return list<array{pid: int|null, cpu: float, memory: int, command: string, error: string|null}>
    /// @throws ServiceException there is no such service
    /// @throws RoleException outside of a worker
    pub fn statuses(name: &str) -> PhpResult<ZBox<ZendHashTable>> {
        let list = call("service.Statuses", &json!({ "name": name }))?;
        let mut rows = ZendHashTable::new();
        for status in list["status"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let row = json!({
                "pid": status["pid"],
                "cpu": status["cpu_percent"].as_f64().unwrap_or(0.0),
                "memory": status["memory_usage"].as_u64().unwrap_or(0),
                "command": status["command"],
                "error": status["status"]["message"],
            });
            rows.push(from_json(&row)?).map_err(|error| failed(error.to_string()))?;
        }
        Ok(rows)
    }

    /// Stops all processes of a service and starts them again; returns when they run.
    ///
    /// @throws ServiceException there is no such service, or it cannot be started
    /// @throws RoleException outside of a worker
    pub fn restart(name: &str) -> PhpResult<()> {
        call("service.Restart", &json!({ "name": name })).map(drop)
    }

    /// Stops a service and forgets it; returns when its processes have ended.
    ///
    /// @throws ServiceException there is no such service
    /// @throws RoleException outside of a worker
    pub fn terminate(name: &str) -> PhpResult<()> {
        call("service.Terminate", &json!({ "name": name })).map(drop)
    }
}
