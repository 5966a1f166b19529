//! The zygote: boots the app, freezes it, and forks inside `Server::run()`. Its processes leave through `_exit`.

use crate::api::server::{Adapted, App, Server};
use crate::role::web_plan::Plan;
use crate::role::{command, leaks, master, worker};
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;
use rr_os::process::exit_now;
use rr_process::message::{self, Message, Start};
use rr_process::worker::NewWorker;
use rr_process::zygote::{Engine, Turn};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// PHP's own code for a script that failed.
const FAILED: i32 = 255;

/// Boots and serves the control socket.
pub(crate) fn run(server: &Server, control: OwnedFd) -> PhpResult<i64> {
    let began = Instant::now();
    let (settings, http, is_command) = match server.load() {
        Ok(loaded) => {
            leaks::enable(loaded.config.dev.leaks);
            let is_command = master::is_command(server, &loaded.config);
            (loaded.config.to_json(), loaded.config.http, is_command)
        }
        Err(error) => {
            eprintln!("{error}");
            exit_now(1)
        }
    };
    let plan = Plan::of(server, http.unwrap_or_default());
    if let Some(plan) = &plan {
        plan.directives();
    }
    let classic = plan.as_ref().is_some_and(|plan| plan.place.classic);
    let booted = if classic { Booted { app: Zval::null(), handler: None } } else { Booted::of(server) };
    let memory = zend::freeze() as u64;
    let message = Message::Booted {
        settings,
        boot_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        memory,
        threads: rr_os::proc::threads().unwrap_or(1),
    };
    if message::send(&control, &message, &[]).is_err() {
        exit_now(1);
    }
    if let Some(plan) = plan.as_ref().filter(|_| classic) {
        // From here on nothing of the script is left: not `server`, not its closures.
        zend::web::leave_script();
        let mut hooks = Hooks { before_fork: Vec::new(), app: &Zval::null() };
        match rr_process::zygote::serve(control, &mut hooks, &mut zend::fork) {
            Ok(Turn::Worker(new)) => worker::run_classic(plan.place.clone(), *new),
            Ok(Turn::Exit) => exit_now(0),
            Ok(Turn::Orphaned) | Err(_) => exit_now(1),
        }
    }
    if is_command {
        zend::relay::leave_script();
        let mut hooks = Hooks { before_fork: Vec::new(), app: &Zval::null() };
        match rr_process::zygote::serve(control, &mut hooks, &mut zend::fork) {
            Ok(Turn::Worker(mut new)) => match new.start.script.take() {
                Some(script) => command::run(script, *new),
                None => exit_now(FAILED),
            },
            Ok(Turn::Exit) => exit_now(0),
            Ok(Turn::Orphaned) | Err(_) => exit_now(1),
        }
    }
    let mut hooks = Hooks { before_fork: callables(&server.before_fork), app: &booted.app };
    let turn = rr_process::zygote::serve(control, &mut hooks, &mut zend::fork);
    match turn {
        Ok(Turn::Worker(new)) => worker::run(server, plan.as_ref().map(|plan| &plan.place), &booted, *new),
        Ok(Turn::Exit) => exit_now(0),
        Ok(Turn::Orphaned) => exit_now(1),
        Err(error) => {
            eprintln!("roadrunner: the zygote's control socket: {error}");
            exit_now(1)
        }
    }
}

/// An exec'ed worker: boots and serves.
pub(crate) fn run_exec(server: &Server, mut new: NewWorker) -> PhpResult<i64> {
    if let Some(script) = new.start.script.take() {
        zend::relay::leave_script();
        command::run(script, new)
    }
    let config = server.load().ok().map(|loaded| loaded.config);
    leaks::enable(config.as_ref().is_some_and(|config| config.dev.leaks));
    let http = config.and_then(|config| config.http);
    let plan = Plan::of(server, http.unwrap_or_default());
    if let Some(plan) = plan {
        plan.directives();
        if plan.place.classic {
            zend::web::leave_script();
            worker::run_classic(plan.place, new)
        }
        worker::run(server, Some(&plan.place), &Booted::of(server), new)
    }
    worker::run(server, None, &Booted::of(server), new)
}

pub(crate) fn callables(values: &[Zval]) -> Vec<Callable> {
    values.iter().filter_map(Callable::new).collect()
}

/// What all workers of a release share.
pub(crate) struct Booted {
    /// What `boot()` has returned.
    pub(crate) app: Zval,
    /// The adapter to a handler of userland's interfaces, where the server has one.
    pub(crate) handler: Option<Callable>,
}

impl Booted {
    /// Boots the app; what goes wrong is on stderr, where the master reads it.
    fn of(server: &Server) -> Self {
        let boot = server.boot.as_ref().and_then(Callable::new);
        let app = boot.map_or_else(Zval::null, |boot| must(&boot, &mut [], "the boot closure"));
        let handler = match &server.app {
            App::Adapted(adapted) => Some(adapter(adapted, &app)),
            _ => None,
        };
        Self { app, handler }
    }
}

/// Asks the adapter for the handler of what was booted.
fn adapter(adapted: &Adapted, app: &Zval) -> Callable {
    let mut method = Zval::new();
    let make = method
        .set_string(&format!("{}::forServer", adapted.adapter), false)
        .ok()
        .and_then(|()| zend::embedded::declared(adapted.adapter).then(|| Callable::new(&method)).flatten());
    let made = make.map(|make| {
        let mut arguments =
            [adapted.handler.shallow_clone(), app.shallow_clone(), adapted.factories.shallow_clone()];
        must(&make, &mut arguments, "what makes the handler")
    });
    match made.as_ref().and_then(Callable::new) {
        Some(handler) => handler,
        None => {
            zend::report_exception();
            exit_now(FAILED)
        }
    }
}

/// Calls what a release cannot do without.
fn must(callable: &Callable, arguments: &mut [Zval], what: &str) -> Zval {
    let (outcome, value) = callable.call(arguments);
    match outcome {
        Outcome::Returned => value,
        Outcome::Threw => {
            zend::report_exception();
            exit_now(FAILED)
        }
        Outcome::Exited => {
            eprintln!("{what} called exit()");
            exit_now(1)
        }
        Outcome::Bailed => exit_now(FAILED),
    }
}

struct Hooks<'a> {
    before_fork: Vec<Callable>,
    app: &'a Zval,
}

impl Engine for Hooks<'_> {
    fn runs_code(&self) -> bool {
        !self.before_fork.is_empty()
    }

    fn before_fork(&mut self, _start: &Start) -> Result<(), String> {
        for hook in &self.before_fork {
            match hook.call(&mut [self.app.shallow_clone()]).0 {
                Outcome::Returned => {}
                Outcome::Threw => {
                    let text = zend::exception_text().unwrap_or_default();
                    zend::report_exception();
                    return Err(format!("a beforeFork hook failed: {text}"));
                }
                Outcome::Exited => return Err("a beforeFork hook called exit()".to_owned()),
                Outcome::Bailed => exit_now(FAILED),
            }
        }
        Ok(())
    }
}
