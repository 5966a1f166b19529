//! What the PHP engine must do in each process. A process is the master by running `Server::run()`, or what the
//! master has assigned through the environment when it exec'ed it.

pub(crate) mod answer;
pub(crate) mod command;
pub(crate) mod dev;
pub(crate) mod hooks;
mod leaks;
mod master;
pub(crate) mod printed;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod tables;
pub(crate) mod vitals;
pub(crate) mod web;
pub(crate) mod web_plan;
pub(crate) mod web_unit;
pub(crate) mod web_variables;
mod worker;
mod zygote;

use crate::api::server::{Server, wrong_role};
use crate::zend;
use ext_php_rs::prelude::*;
use rr_process::Assignment;
use rr_process::assignment::{VARIABLE, WORKER_FD, zygote_fd};
use rr_process::worker::{Descriptors, NewWorker};
use std::cell::RefCell;
use std::os::fd::OwnedFd;

/// What this process is.
enum Seat {
    /// A script that has not called `run()`.
    Plain,
    /// `run()` is under way, or over.
    Master,
    /// Assigned: boots the app and forks.
    Zygote { control: OwnedFd, _lifeline: OwnedFd },
    /// Assigned: boots the app and serves.
    Exec(Box<NewWorker>),
    /// Serves.
    Worker,
}

thread_local! {
    static SEAT: RefCell<Seat> = const { RefCell::new(Seat::Plain) };
}

fn take(next: Seat) -> Seat {
    SEAT.with(|seat| seat.replace(next))
}

/// Whether a master has started this process to boot the app.
pub(crate) fn is_assigned() -> bool {
    SEAT.with_borrow(|seat| matches!(seat, Seat::Zygote { .. } | Seat::Exec(_)))
}

/// MINIT. 0 is success.
pub(crate) fn startup() -> i32 {
    if zend::is_zts() {
        eprintln!(
            "roadrunner: this PHP is thread-safe (ZTS), which is not supported yet; use a non-thread-safe (NTS) build"
        );
        return 1;
    }
    if crate::api::exceptions::register().is_none() {
        eprintln!("roadrunner: PHP refused the extension's exception classes");
        return 1;
    }
    zend::web::timeout_class();
    zend::embedded::install();
    match zend::take_env(VARIABLE).map(|value| assume(&value)) {
        None | Some(Ok(())) => 0,
        Some(Err(error)) => {
            eprintln!("roadrunner: {error}");
            rr_os::process::exit_now(1)
        }
    }
}

/// Takes the assigned role: user first, then the lifeline, so that it is armed with the user's credentials.
fn assume(value: &str) -> Result<(), String> {
    let assignment = Assignment::parse(value)?;
    let text = |error: std::io::Error| error.to_string();
    rr_os::signal::prepare_child().map_err(text)?;
    if let Some(user) = assignment.user {
        zend::set_env("HOME", &user.home);
        rr_os::user::become_user(&user.into()).map_err(|error| format!("server.user: {error}"))?;
    }
    zend::web::worker_functions();
    dev::startup();
    if assignment.frankenphp {
        // Worker scripts ask for it before their first request.
        zend::set_env("FRANKENPHP_WORKER", "1");
    }
    if assignment.web {
        zend::web::name(assignment.frankenphp);
    }
    let seat = match assignment.worker {
        Some(start) => {
            let mut descriptors =
                zend::inherited(WORKER_FD, Descriptors::COUNT + 2 * assignment.tables.len()).map_err(text)?;
            let tables = descriptors.split_off(Descriptors::COUNT);
            tables::map(assignment.tables, tables).map_err(text)?;
            tables::ask(assignment.asked);
            let descriptors = Descriptors::from_received(descriptors).map_err(text)?;
            rr_os::lifeline::hold(&descriptors.lifeline).map_err(text)?;
            Seat::Exec(Box::new(NewWorker { start, descriptors }))
        }
        None => {
            rr_os::process::set_name(c"rr-zygote");
            let mut descriptors =
                zend::inherited(zygote_fd::CONTROL, 2 + 2 * assignment.tables.len()).map_err(text)?;
            tables::map(assignment.tables, descriptors.split_off(2)).map_err(text)?;
            tables::ask(assignment.asked);
            let lifeline = descriptors.pop().ok_or("no lifeline")?;
            let control = descriptors.pop().ok_or("no control socket")?;
            rr_os::lifeline::hold(&lifeline).map_err(text)?;
            Seat::Zygote { control, _lifeline: lifeline }
        }
    };
    take(seat);
    Ok(())
}

/// `Server::run()`: what it does depends on what this process is.
pub(crate) fn run(server: &Server) -> PhpResult<i64> {
    if SEAT.with(|seat| matches!(*seat.borrow(), Seat::Plain)) {
        let launch = master::prepare(server)?;
        take(Seat::Master);
        return master::run(launch);
    }
    match take(Seat::Master) {
        Seat::Zygote { control, _lifeline } => zygote::run(server, control),
        Seat::Exec(worker) => zygote::run_exec(server, *worker),
        Seat::Plain | Seat::Master => {
            Err(wrong_role("Server::run() was called before; a process can serve once"))
        }
        Seat::Worker => {
            take(Seat::Worker);
            Err(wrong_role("Server::run() cannot be called inside a worker"))
        }
    }
}
