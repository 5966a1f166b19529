//! A worker's life: put the engine in order, say hello, serve, leave through `_exit`.

use crate::api::server::{App, Server};
use crate::role::zygote::callables;
use crate::role::{Seat, hooks, serve, session, take};
use crate::zend::{self, Callable, Outcome};
use ext_php_rs::types::Zval;
use rr_os::process::exit_now;
use rr_process::worker::NewWorker;
use rr_worker::{Parts, Session};
use std::time::Duration;

/// Serves; does not return, because the frames below belong to the zygote.
pub(crate) fn run(server: &Server, app: &Zval, new: NewWorker) -> ! {
    let mut code = 255;
    zend::guarded(|| code = serve(server, app, new));
    exit_now(code)
}

fn serve(server: &Server, app: &Zval, new: NewWorker) -> i32 {
    take(Seat::Worker);
    if let Err(error) = rr_process::worker::settle(&new) {
        eprintln!("roadrunner: a worker could not be set up: {error}");
        return 1;
    }
    zend::become_worker();
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
            return 1;
        }
    }
    // Held until the end: the kernel ends this process when the master's end closes.
    let _lifeline = descriptors.lifeline;
    if !run_hooks(&server.on_start, app) {
        return 255;
    }
    zend::worker_started();
    hooks::greeted();
    let hello = session::try_with(|session| session.hello(rr_os::process::id()));
    if !matches!(hello, Some(Ok(()))) {
        return 1;
    }
    let code = match &server.app {
        App::Handler(handler) => Callable::new(handler).map_or(1, |handler| serve::handler(&handler, app)),
        App::Loop(body) => Callable::new(body).map_or(1, |body| serve::run_loop(&body, app)),
        App::None => 1,
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
