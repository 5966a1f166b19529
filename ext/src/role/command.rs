//! A command worker that is a fork of a PHP which has started already: the script of `server.command` runs in it as on
//! the command line, its relay is in shared memory.

use crate::role::{hooks, session, worker};
use crate::zend;
use rr_os::process::exit_now;
use rr_process::message::Script;
use rr_process::worker::NewWorker;
use rr_wire::relay::RelayError;
use rr_worker::{Port, PortError};
use std::cell::RefCell;
use std::ffi::CString;

thread_local! {
    static PORT: RefCell<Option<Port>> = const { RefCell::new(None) };
}

/// Runs the script; does not return.
pub(crate) fn run(script: Script, new: NewWorker) -> ! {
    let mut code = 255;
    zend::guarded(|| code = serve(script, new));
    exit_now(code)
}

fn serve(script: Script, new: NewWorker) -> i32 {
    let _lifeline = match worker::settle(new, true) {
        Ok(lifeline) => lifeline,
        Err(code) => return code,
    };
    hooks::explained();
    let Script { server, path, arguments, env, ini } = script;
    for (name, value) in &env {
        zend::set_env(name, value);
    }
    for (name, value) in &ini {
        zend::web::directive(name, value, false);
    }
    if std::fs::File::open(&path).is_err() {
        eprintln!("Could not open input file: {path}");
        return 1;
    }
    PORT.with(|port| port.replace(Some(Port::new(server, rr_os::process::id()))));
    let arguments = std::iter::once(path.clone()).chain(arguments);
    let Ok(arguments) = arguments.map(CString::new).collect::<Result<Vec<_>, _>>() else { return 255 };
    let Ok(path) = CString::new(path) else { return 255 };
    zend::relay::run(&path, arguments)
}

/// Uses the port. No PHP code runs inside.
fn with<T>(work: impl FnOnce(&mut Port, &mut rr_worker::Session) -> Result<T, PortError>) -> Option<T> {
    let done = PORT.with(|port| {
        let mut port = port.try_borrow_mut().ok()?;
        let port = port.as_mut()?;
        session::try_with(|session| work(port, session))
    })?;
    done.map_err(|error| eprintln!("roadrunner: {error}")).ok()
}

/// `fread(STDIN)`: how many bytes, `None` when the relay is broken; and whether none will follow.
pub(crate) fn read(into: &mut [u8], wait: bool) -> (Option<usize>, bool) {
    let read = with(|port, session| {
        let count = port.read(session, into, wait)?;
        Ok((count, count == 0 && port.is_stopped()))
    });
    read.map_or((None, true), |(count, end)| (Some(count), end))
}

/// `fwrite(STDOUT)`.
pub(crate) fn write(bytes: &[u8]) -> bool {
    let written = with(|port, session| match port.write(session, bytes) {
        Err(PortError::Relay(RelayError::NotAFrame(_))) => Ok(port.stray()),
        other => other.map(|()| None),
    });
    match written {
        Some(None) => true,
        // Over a pipe this would end the worker. Here it is not the protocol's, so it goes to the log.
        Some(Some(text)) => {
            eprintln!("{text}");
            true
        }
        None => false,
    }
}

/// Whether a read would not wait.
pub(crate) fn is_ready() -> bool {
    with(|port, session| port.is_ready(session)).unwrap_or(true)
}
