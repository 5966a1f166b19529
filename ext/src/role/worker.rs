//! A worker's life: put the engine in order, say hello, serve, leave through `_exit`.

use crate::api::server::{App, Server};
use crate::role::web::{self, Served};
use crate::role::web_plan::Place;
use crate::role::zygote::{Booted, callables};
use crate::role::{Seat, hooks, serve, session, take};
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::types::Zval;
use rr_os::process::exit_now;
use rr_process::worker::NewWorker;
use rr_worker::{Parts, Session};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Serves; does not return, because the frames below belong to the zygote.
pub(crate) fn run(server: &Server, place: Option<&Place>, booted: &Booted, new: NewWorker) -> ! {
    let mut code = 255;
    zend::guarded(|| code = serve(server, place, booted, new));
    exit_now(code)
}

/// Serves files with PHP's own request startup and shutdown; does not return.
pub(crate) fn run_classic(place: Place, new: NewWorker) -> ! {
    let mut code = 255;
    zend::guarded(|| code = serve_classic(place, new));
    exit_now(code)
}

fn serve_classic(place: Place, new: NewWorker) -> i32 {
    let _lifeline = match settle(new, true) {
        Ok(lifeline) => lifeline,
        Err(code) => return code,
    };
    zend::web::settle_in(false, false, false);
    match hello() {
        Ok(()) => web::serve(&Served::File, place, &Zval::null()),
        Err(code) => code,
    }
}

/// Tells the master that the worker is ready.
pub(crate) fn hello() -> Result<(), i32> {
    hooks::greeted();
    match session::try_with(|session| session.hello(rr_os::process::id())) {
        Some(Ok(())) => Ok(()),
        _ => Err(1),
    }
}

/// Puts the process and its session in order. Returns the lifeline, which ends the process with the master and is
/// held until the end.
pub(crate) fn settle(new: NewWorker, idle: bool) -> Result<OwnedFd, i32> {
    take(Seat::Worker);
    if let Err(error) = rr_process::worker::settle(&new) {
        eprintln!("roadrunner: a worker could not be set up: {error}");
        return Err(1);
    }
    zend::become_worker(idle);
    let NewWorker { start, descriptors } = new;
    let parts = Parts {
        segment: descriptors.segment,
        shard: descriptors.shard,
        doorbell: descriptors.doorbell,
        slot: start.slot,
        ring: start.ring,
        spin: Duration::from_micros(start.spin_us),
    };
    match Session::attach(parts) {
        Ok(session) => session::install(session),
        Err(error) => {
            eprintln!("roadrunner: {error}");
            return Err(1);
        }
    }
    Ok(descriptors.lifeline)
}

fn serve(server: &Server, place: Option<&Place>, booted: &Booted, new: NewWorker) -> i32 {
    let Booted { app, handler } = booted;
    let _lifeline = match settle(new, false) {
        Ok(lifeline) => lifeline,
        Err(code) => return code,
    };
    if !run_hooks(&server.on_start, app) {
        return 255;
    }
    zend::worker_started();
    if place.is_some() {
        let (files, script) = (matches!(server.app, App::None), matches!(server.app, App::Script(_)));
        zend::web::settle_in(true, files, script);
    }
    // A worker script is ready when it asks for its first request.
    if !matches!(server.app, App::Script(_))
        && let Err(code) = hello()
    {
        return code;
    }
    let place = place.cloned();
    let code = match (&server.app, place) {
        (App::Handler(handler), _) => {
            Callable::new(handler).map_or(1, |handler| serve::handler(&handler, app))
        }
        (App::Loop(body), _) => Callable::new(body).map_or(1, |body| serve::run_loop(&body, app)),
        (App::Globals(handler), Some(place)) => {
            Callable::new(handler).map_or(1, |handler| web::serve(&Served::Callable(&handler), place, app))
        }
        (App::Script(path), Some(place)) => web::run_script(path, place),
        (App::None, Some(place)) => web::serve(&Served::File, place, app),
        (App::Adapted(_), _) => handler.as_ref().map_or(1, |handler| serve::handler(handler, app)),
        (App::None | App::Globals(_) | App::Script(_), None) => 1,
    };
    if code == 0 {
        run_hooks(&server.on_stop, app);
        zend::worker_stops();
        hooks::flush_output();
    }
    code
}

fn run_hooks(values: &[Zval], app: &Zval) -> bool {
    for hook in callables(values) {
        match hook.call(&mut [app.shallow_clone()]).0 {
            Outcome::Returned | Outcome::Exited => {}
            Outcome::Threw => {
                zend::report_exception();
                return false;
            }
            Outcome::Bailed => return false,
        }
    }
    true
}
